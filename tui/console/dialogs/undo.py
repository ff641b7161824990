"""The window that asks before the last act is undone, and the window that says what could not be undone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import tzinfo
from typing import TYPE_CHECKING

from textual.widget import Widget
from textual.widgets import Static

from tui.console.dialogs.base import Dialog
from tui.console.widgets.controls import PushButton
from tui.terminal.safe import safe
from tui.terminal.setting_words import change_words
from tui.terminal.times import full_time

if TYPE_CHECKING:
    from store.undoing.plans import Plan, Told

#: Most lines listed of what is done, and of what is not; the rest are counted.
_LISTED = 200


def said_of(plan: Plan, text: str) -> str:
    """Return a text about what the plan changes, with settings named as the console does; NOT safe."""
    return change_words(plan.act.event.action, text)


def _listed(texts: Sequence[str], sign: str) -> str:
    lines = [f"{sign} {safe(text)}" for text in texts[:_LISTED]]
    if len(texts) > _LISTED:
        lines.append(f"  and {len(texts) - _LISTED:,} more")
    return "\n".join(lines)


class UndoDialog(Dialog[bool]):
    """Shows the operator's last act, its time, and what undoing (or redoing) it changes and cannot change.

    Returns True only if the button was pressed. The button is focused: the act can be redone.
    """

    DEFAULT_CSS = """
    UndoDialog { #does, #does-not { height: auto; } }
    """
    first_focus = "#ok"

    def __init__(self, plan: Plan, zone: tzinfo) -> None:
        super().__init__()
        self.plan = plan
        self.zone = zone

    def body(self) -> Iterable[Widget]:
        plan = self.plan
        when = full_time(plan.act.event.at, self.zone)
        yield Static(
            f"Redo your action of {when}?" if plan.again else f"Undo your action of {when}?",
            markup=False,
        )
        what = plan.what
        if what.startswith(f"{plan.act.event.action}: "):
            what = f"{plan.act.event.action}: {said_of(plan, what.removeprefix(f'{plan.act.event.action}: '))}"
        yield Static(safe(what), markup=False, classes="note")
        yield Static(
            _listed([said_of(plan, text) for text in plan.told.does], "✓"), markup=False, id="does", classes="gap"
        )
        if plan.told.does_not:
            yield Static(_listed(plan.told.does_not, "▲"), markup=False, id="does-not", classes="warning gap")

    def buttons(self) -> Iterable[PushButton]:
        yield PushButton("Redo" if self.plan.again else "Undo", id="ok")
        yield PushButton("Cancel", id="cancel")

    def opened(self) -> None:
        self.query_one("#dialog").border_title = "Redo" if self.plan.again else "Undo"

    def accept(self) -> None:
        self.dismiss(True)

    def cancelled(self) -> bool:
        return False


class UndoneDialog(Dialog[None]):
    """Says what was undone (or redone), and what was not and why. Shown if this differs from what was announced."""

    DEFAULT_CSS = """
    UndoneDialog { #does, #does-not { height: auto; } }
    """
    acts = False
    esc_word = "close"
    first_focus = "#ok"

    def __init__(self, told: Told, *, again: bool) -> None:
        super().__init__()
        self.told = told
        self.again = again

    def body(self) -> Iterable[Widget]:
        done = "redone" if self.again else "undone"
        yield Static(f"This was {done}:" if self.told.does else f"Nothing was {done}:", markup=False)
        if self.told.does:
            yield Static(_listed(self.told.does, "✓"), markup=False, id="does", classes="gap")
        if self.told.does_not:
            yield Static(_listed(self.told.does_not, "▲"), markup=False, id="does-not", classes="warning gap")

    def buttons(self) -> Iterable[PushButton]:
        yield PushButton("OK", id="ok")

    def opened(self) -> None:
        self.query_one("#dialog").border_title = "Redo" if self.again else "Undo"

    def accept(self) -> None:
        self.dismiss(None)
