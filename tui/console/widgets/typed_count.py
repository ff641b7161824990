"""A number that must be typed before an irreversible act: nobody types 1,204 by accident."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.widgets import Input, Static

from tui.console.widgets.controls import Field

#: Thousands separators of various countries.
_SEPARATORS = str.maketrans(dict.fromkeys(",.'’_ \u00a0\u2009\u202f", ""))


def number_of(text: str) -> int | None:
    """Parse a whole number, with or without separators; None if it is not one."""
    digits = text.translate(_SEPARATORS)
    return int(digits) if digits.isascii() and digits.isdecimal() and len(digits) < 20 else None


class NumberField(Field):
    """A field for a number. It leaves the key `]` to the window."""

    def check_consume_key(self, key: str, character: str | None) -> bool:
        return key != "right_square_bracket" and super().check_consume_key(key, character)


class TypedCount(Vertical, can_focus=False):
    """``Type 1,204 to delete`` and a field. If the number is 0, nothing is shown or required.

    The window calls `insist` before it answers, and `need` when the required number changes.
    """

    DEFAULT_CSS = """
    TypedCount {
        height: auto; width: 1fr;
        & > Horizontal { height: 1; width: 1fr; }
        #typed-label { width: auto; height: 1; padding: 0 1 0 0; }
        #typed-number { max-width: 22; }
        #typed-wrong { height: auto; color: $text-error; display: none; }
    }
    """

    def __init__(self, number: int = 0, verb: str = "", *, classes: str = "gap") -> None:
        """Set up the field. `verb` is what the button does, as in the middle of a sentence: ``delete``."""
        super().__init__(classes=classes)
        self.number = number
        self.verb = verb
        self.display = bool(number)

    @property
    def _label(self) -> str:
        return f"Type {self.number:,} to {self.verb}"

    def compose(self) -> ComposeResult:
        with Horizontal():
            yield Static(self._label, id="typed-label", markup=False)
            yield NumberField(id="typed-number")
        yield Static(id="typed-wrong", markup=False)

    @property
    def field(self) -> Field:
        """The field for the number."""
        return self.query_one("#typed-number", Field)

    def need(self, number: int, verb: str = "") -> None:
        """Require this number from now on (0: none). A text typed for another number is cleared."""
        if number != self.number and self.is_mounted:
            self.field.value = ""
        self.number, self.verb = number, verb or self.verb
        self.display = bool(number)
        if self.is_mounted:
            self.query_one("#typed-label", Static).update(self._label)
            self._say("")

    def _say(self, text: str) -> None:
        line = self.query_one("#typed-wrong", Static)
        line.update(text)
        line.display = bool(text)

    @property
    def typed(self) -> bool:
        """True if the field has the number, or none is required."""
        return not self.number or number_of(self.field.value) == self.number

    def insist(self) -> bool:
        """Return True if the number was typed or none is required; else show what is missing, and focus the field."""
        if self.typed:
            return True
        wrong = "The number does not match" if self.field.value.strip() else "No number was typed"
        self._say(f"{wrong}: type {self.number:,}, or press Esc.")
        self.field.focus()
        return False

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        self._say("")

    def on_input_blurred(self, event: Input.Blurred) -> None:
        event.stop()
