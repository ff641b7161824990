"""The Delete message(s) window for campaigns: it lists the checks, and its numbers add up."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import tzinfo
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static

from store.clearing.checked import Loosest
from tui.console.dialogs.base import Dialog
from tui.console.dialogs.delete import fate
from tui.console.widgets.controls import PushButton
from tui.console.widgets.typed_count import TypedCount
from tui.terminal.clearing_words import AGAINST, Line, check_lines, gone_words, stay_words
from tui.terminal.words import counted, message_copies

if TYPE_CHECKING:
    from store.clearing.checked import Checked

_STYLES = {AGAINST: "$text-warning"}
#: Widths (cells) of the columns for a check and for its number.
_WHAT, _NUMBER = 28, 10


class CheckList(Static):
    """The checks, in columns. In a narrow window the details of a check are on a line below it."""

    DEFAULT_CSS = """
    CheckList { height: auto; width: 1fr; }
    """

    def __init__(self, lines: Sequence[Line]) -> None:
        self._wide, self._narrow = _drawn(lines, wide=True), _drawn(lines, wide=False)
        super().__init__(self._wide, markup=False, id="checked", classes="gap")

    def on_resize(self) -> None:
        widest = max((len(line) for line in self._wide.plain.splitlines()), default=0)
        self.update(self._wide if widest <= self.size.width else self._narrow)


def _drawn(lines: Sequence[Line], *, wide: bool) -> Content:
    drawn = (Content.styled(_line(line, wide=wide), _STYLES.get(line.sign, "")) for line in lines)
    return Content("\n").join(drawn)


def _line(line: Line, *, wide: bool) -> str:
    number = "" if line.number is None else f"{line.number:,}"
    drawn = f"{line.sign} {line.what:<{_WHAT}}{number:>{_NUMBER}}".rstrip()
    if not line.more:
        return drawn
    if not wide:
        return f"{drawn}\n    {line.more}"
    return f"{drawn}: {line.more}" if line.number is None else f"{drawn}  {line.more}"


class DeleteCampaignsDialog(Dialog[bool | Loosest]):
    """Asks whether to delete the copies of campaigns, and lists the checks.

    `kept` says how long the bin keeps them: ``until 2 Dec``; then one Enter confirms. "" means that there is no bin;
    then the number must be typed; `no_room`: the bin has no room, because the disk is full. Returns True if the button
    was pressed; if `]` was pressed, the copy that fits worst, to be shown instead of deleting. `operator` is the asking
    operator.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("right_square_bracket", "show_loosest", "Show the copy with the worst fit", show=False, priority=True)
    ]

    heading = "Delete message(s)"

    def __init__(
        self, checked: Checked, zone: tzinfo, *, kept: str = "", no_room: bool = False, operator: str = ""
    ) -> None:
        super().__init__()
        self.checked = checked
        self.zone = zone
        self.kept = kept
        self.no_room = no_room
        self.operator = operator
        self.first_focus = "#ok" if kept else "#cancel"

    def body(self) -> Iterable[Widget]:
        checked = self.checked
        what = message_copies(checked.total)
        where = counted(checked.campaigns, "campaign", "campaigns")
        yield Static(f"Delete {what} in {where} from Backup?", markup=False, id="question")
        stays = " ".join(filter(None, (stay_words(checked.stay), gone_words(checked.gone))))
        if stays:
            yield Static(stays, markup=False, id="stays", classes="note")
        yield CheckList(list(check_lines(checked, self.zone, self.operator)))
        yield Static(fate(self.checked.total, self.kept, no_room=self.no_room), markup=False, id="fate", classes="gap")
        yield TypedCount(0 if self.kept else checked.total, "delete")

    def buttons(self) -> Iterable[PushButton]:
        yield PushButton("Delete", id="ok", danger=not self.kept)
        yield PushButton("Cancel", id="cancel")

    def opened(self) -> None:
        if not self.kept:
            self.query_one(TypedCount).field.focus()

    def _keys_here(self) -> Iterable[str]:
        shows = ["] show worst fit"] if self.checked.loosest is not None else []
        return [*shows, *super()._keys_here()]

    def accept(self) -> None:
        if self.query_one(TypedCount).insist():
            self.dismiss(True)

    def action_show_loosest(self) -> None:
        if self.checked.loosest is not None:
            self.dismiss(self.checked.loosest)

    def cancelled(self) -> bool:
        return False
