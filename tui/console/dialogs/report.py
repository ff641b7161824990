"""The window that lists the copies that a bulk act did not process, with the reasons."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from itertools import islice

from textual.widget import Widget
from textual.widgets import Static

from store.helpers.runs import ranges, runs
from store.terms.errors import CopyBinned, CopyMissing
from tui.console.dialogs.base import Dialog
from tui.console.widgets.controls import PushButton
from tui.terminal.safe import safe
from tui.terminal.words import copies, counted

_WIDTH = 68
#: Most reasons listed, and most ranges of copy ids for one reason.
_REASONS, _RUNS = 200, 200
#: What is said of copies that are no longer in Backup, once for all of them.
_GONE = {
    str(CopyBinned(0)): "it is in the bin: u in Bin brings it back",
    str(CopyMissing(0)): "it was deleted, removed by rotation, or never existed",
}


def _block(text: str) -> str:
    return textwrap.fill(text, _WIDTH, subsequent_indent="  ")


def _reason(copy_id: int, why: str) -> str:
    """Return a reason without the copy's own id, so that it is the same for all copies that it holds for."""
    number = str(copy_id)
    if (gone := _GONE.get(why.replace(number, "0"))) is not None:
        return gone
    named, rest = why[:5], why[5:].removeprefix(number)
    own = named.lower() == "copy " and len(rest) < len(why[5:]) and not rest[:1].isdigit()
    return f"this copy{rest}" if own else why


def _listed(ids: Iterable[int]) -> str:
    """Write ``copy 7``, or ``107 copies: 39901-39910, 39950``. Of very many, also the number left out and the last."""
    numbers = sorted(set(ids))
    if len(numbers) == 1:
        return f"copy {numbers[0]}"
    shown = ranges(numbers, _RUNS)
    if shown.endswith("…"):
        left = len(numbers) - sum(count for _, count in islice(runs(numbers), _RUNS))
        shown = f"{shown.removesuffix(' …')} and {left:,} more up to {numbers[-1]}"
    return f"{copies(len(numbers))}: {shown}"


def reasons(failures: Iterable[tuple[int, str]]) -> str:
    """Write each reason once, with the ids of its copies, ascending. Safe to show."""
    ids: dict[str, list[int]] = {}
    for copy_id, why in failures:
        ids.setdefault(_reason(copy_id, why), []).append(copy_id)
    lines = [
        f"{_block(f'▲ {safe(why)}')}\n{_block(f'  {_listed(some)}')}" for why, some in islice(ids.items(), _REASONS)
    ]
    if others := [copy_id for some in islice(ids.values(), _REASONS, None) for copy_id in some]:
        lines.append(
            f"▲ {counted(len(ids) - _REASONS, 'other reason', 'other reasons')}\n{_block(f'  {_listed(others)}')}"
        )
    return "\n\n".join(lines)


class ReportDialog(Dialog[None]):
    """Lists the copies of `failures` (id, reason); `done` copies were `verb` (deleted, saved…).

    `beside`: copies among those done that went to fewer addresses than chosen, with the reasons.
    """

    DEFAULT_CSS = """
    ReportDialog { #reasons, #beside { height: auto; } }
    """
    esc_word = "close"
    first_focus = "#ok"

    def __init__(
        self,
        title: str,
        done: int,
        verb: str,
        failures: Sequence[tuple[int, str]],
        beside: Sequence[tuple[int, str]] = (),
    ) -> None:
        super().__init__()
        self.title_text = title
        self.done = done
        self.verb = verb
        self.failures = failures
        self.beside = beside

    def body(self) -> Iterable[Widget]:
        if self.failures:
            failed = counted(len(self.failures), "was not", "were not")
            yield Static(f"{copies(self.done)} {self.verb}, {failed} {self.verb}:", markup=False)
            yield Static(reasons(self.failures), markup=False, id="reasons", classes="gap")
        if self.beside:
            yield Static(
                "Left out of the deliveries placed in queue:", markup=False, classes="gap" * bool(self.failures)
            )
            yield Static(reasons(self.beside), markup=False, id="beside", classes="gap")

    def buttons(self) -> Iterable[PushButton]:
        yield PushButton("OK", id="ok")

    def on_mount(self) -> None:
        self.query_one("#dialog").border_title = self.title_text

    def accept(self) -> None:
        self.dismiss(None)
