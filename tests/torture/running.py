"""What a torture is run with, and what it hands back: a seed, a time, counts, and the laws that held."""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple


class Broken(Exception):
    """A law does not hold; `str` says which, and what was found."""


def hold(law: str, *wrong: object) -> None:
    """Raise Broken, naming the law, where anything of `wrong` is true: an empty list, "" and False are nothing."""
    if found := [each for each in wrong if each]:
        raise Broken(f"{law}: {'; '.join(str(each)[:2000] for each in found)}")


class Torture(NamedTuple):
    """One kind: `work` is run again and again while there is time, and raises Broken; `law` says what holds."""

    law: str
    work: Callable[[Run], None]
    #: Its part of the time, beside the others'.
    weight: float = 1.0


@dataclass
class Run:
    """One run of one torture: its dice, when it is over (`time.monotonic`), its folder, and what it counts."""

    dice: random.Random
    until: float
    folder: Path
    #: What was done, and how often, in the order in which it is told.
    counts: Counter[str] = field(default_factory=Counter)
    begun: bool = False
    #: Something that ruins what a torture looks at, so that its law has to break: for tests alone.
    sabotage: Callable[..., None] = lambda *_: None

    @property
    def left(self) -> float:
        """Seconds."""
        return self.until - time.monotonic()

    def more(self) -> bool:
        """Whether there is time for another piece of work: for the first there always is."""
        before, self.begun = self.begun, True
        return self.left > 0 or not before

    def new_folder(self) -> Path:
        """A folder of its own for a round, which programs that are started remember stores in as well."""
        path = self.folder / str(self.counts["rounds"])
        path.mkdir()
        self.counts["rounds"] += 1
        return path


@contextmanager
def remembering(folder: Path) -> Iterator[None]:
    """Let this program, and those that it starts, keep in `folder` what they saw of stores."""
    before = os.environ.get("XDG_STATE_HOME")
    os.environ["XDG_STATE_HOME"] = str(folder / "state")
    try:
        yield
    finally:
        if before is None:
            del os.environ["XDG_STATE_HOME"]
        else:
            os.environ["XDG_STATE_HOME"] = before


class Figure(NamedTuple):
    """What one torture did in `seconds`. `problem` is the law that broke, `skipped` why it could not be run."""

    name: str
    counts: dict[str, int]
    seconds: float
    law: str
    problem: str = ""
    skipped: str = ""

    @property
    def done(self) -> str:
        return ", ".join(f"{number:,} {what}" for what, number in self.counts.items() if number)

    def line(self) -> str:
        """The figures in one line."""
        if self.skipped:
            return f"{self.name}: not run: {self.skipped}"
        if self.problem:
            return f"{self.name}: BROKEN after {self.done or 'nothing'} ({self.seconds:.0f} s)\n  {self.problem}"
        return f"{self.name}: {self.done}; held: {self.law} ({self.seconds:.0f} s)"


def table(figures: list[Figure]) -> str:
    """The figures as a table in Markdown, as README.md beside this file has it."""
    lines = ["| torture | what was done | outcome | seconds |", "| --- | --- | --- | ---: |"]
    for each in figures:
        outcome = "not run" if each.skipped else "broken" if each.problem else "held"
        lines.append(f"| {each.name} | {each.done or each.skipped} | {outcome} | {each.seconds:.0f} |")
    return "\n".join(lines)
