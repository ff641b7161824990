"""The window that lists the copies that a bulk act did not process, with the reasons."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterable, Sequence

from textual.widget import Widget
from textual.widgets import Static

from tui.console.dialogs.base import Dialog
from tui.console.widgets.controls import PushButton
from tui.terminal.safe import safe
from tui.terminal.words import copies, counted

_LISTED = 1_000
_WIDTH = 68


def _block(text: str) -> str:
    return textwrap.fill(text, _WIDTH, subsequent_indent="  ")


def _reasons(failures: Sequence[tuple[int, str]]) -> str:
    lines = []
    for reason in Counter(reason for _, reason in failures):
        ids = [copy_id for copy_id, why in failures if why == reason]
        shown = ", ".join(f"{copy_id:,}" for copy_id in ids[:_LISTED]) + (", …" if len(ids) > _LISTED else "")
        lines.append(_block(f"▲ {safe(reason)}"))
        lines.append(_block(f"  {'copy' if len(ids) == 1 else 'copies'} {shown}") + "\n")
    return "\n".join(lines).rstrip()


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
            yield Static(_reasons(self.failures), markup=False, id="reasons", classes="gap")
        if self.beside:
            yield Static(
                "Left out of the deliveries placed in queue:", markup=False, classes="gap" * bool(self.failures)
            )
            yield Static(_reasons(self.beside), markup=False, id="beside", classes="gap")

    def buttons(self) -> Iterable[PushButton]:
        yield PushButton("OK", id="ok")

    def on_mount(self) -> None:
        self.query_one("#dialog").border_title = self.title_text

    def accept(self) -> None:
        self.dismiss(None)
