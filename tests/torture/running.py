"""The input and output of a torture: a seed, a time, counts, and the laws that held."""

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
    """A law does not hold; `str` gives the law and what was found."""


def hold(law: str, *wrong: object) -> None:
    """Raise Broken with the law if anything in `wrong` is true: an empty list, "" and False are not."""
    if found := [each for each in wrong if each]:
        raise Broken(f"{law}: {'; '.join(str(each)[:2000] for each in found)}")


class Torture(NamedTuple):
    """A kind of torture: `work` is repeated while there is time, and raises Broken; `law` says what holds."""

    law: str
    work: Callable[[Run], None]
    #: Its share of the time.
    weight: float = 1.0


@dataclass
class Run:
    """One run of one torture: its random source, its end (`time.monotonic`), its folder, and its counts."""

    dice: random.Random
    until: float
    folder: Path
    #: What was done and how often, in the order of the report.
    counts: Counter[str] = field(default_factory=Counter)
    begun: bool = False
    #: Damages what a torture looks at, so that its law breaks: only for tests.
    sabotage: Callable[..., None] = lambda *_: None

    @property
    def left(self) -> float:
        """Seconds left."""
        return self.until - time.monotonic()

    def more(self) -> bool:
        """Return True if there is time for another piece of work: always for the first."""
        before, self.begun = self.begun, True
        return self.left > 0 or not before

    def new_folder(self) -> Path:
        """Make a folder for a round, in which the programs started also keep their memory of stores."""
        path = self.folder / str(self.counts["rounds"])
        path.mkdir()
        self.counts["rounds"] += 1
        return path


@contextmanager
def remembering(folder: Path) -> Iterator[None]:
    """Let this program, and those it starts, keep their memory of stores in `folder`."""
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
    """What one torture did in `seconds`. `problem` is the broken law, `skipped` why it could not run."""

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
        """Format the figures as one line."""
        if self.skipped:
            return f"{self.name}: not run: {self.skipped}"
        if self.problem:
            return f"{self.name}: BROKEN after {self.done or 'nothing'} ({self.seconds:.0f} s)\n  {self.problem}"
        return f"{self.name}: {self.done}; held: {self.law} ({self.seconds:.0f} s)"


def table(figures: list[Figure]) -> str:
    """Format the figures as a Markdown table, as in README.md in this folder."""
    lines = ["| torture | what was done | outcome | seconds |", "| --- | --- | --- | ---: |"]
    for each in figures:
        outcome = "not run" if each.skipped else "broken" if each.problem else "held"
        lines.append(f"| {each.name} | {each.done or each.skipped} | {outcome} | {each.seconds:.0f} |")
    return "\n".join(lines)
