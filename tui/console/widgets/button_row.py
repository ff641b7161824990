"""A row of buttons that cuts none off: without room the gaps shrink, then whole buttons are left out."""

from __future__ import annotations

from collections.abc import Sequence

from textual.containers import Horizontal

from tui.console.widgets.controls import PushButton

#: Cells between two buttons, and between two of a row that has no room for more.
_GAP, _NEAR = 2, 1


class ButtonRow(Horizontal):
    """Buttons in a row. `spared` are the ids of those that can be left out, the first one first."""

    DEFAULT_CSS = """
    ButtonRow {
        height: 1;
        &.-near PushButton { margin: 0 1 0 0; }
    }
    """

    def __init__(self, buttons: Sequence[PushButton], spared: Sequence[str], *, id: str | None = None) -> None:
        super().__init__(*buttons, id=id)
        self._buttons = buttons
        self._spared = spared

    def on_resize(self) -> None:
        self._fit()

    def watch_virtual_size(self) -> None:
        """Fit a new row: Textual sends it no `Resize` if a widget's place was looked up before the first layout."""
        if self.size:
            self._fit()

    def _fit(self) -> None:
        left = list(self._buttons)
        spared = iter(self._spared)
        while self._cells(left, _NEAR) > self.size.width and (name := next(spared, None)) is not None:
            left = [button for button in left if button.id != name]
        self.set_class(self._cells(left, _GAP) > self.size.width, "-near")
        for button in self._buttons:
            button.display = button in left

    @staticmethod
    def _cells(buttons: Sequence[PushButton], gap: int) -> int:
        return sum(button.cells for button in buttons) + gap * (len(buttons) - 1)
