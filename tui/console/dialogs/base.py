"""The base of all dialogs: a frame, a body that scrolls, buttons that do not, and common keys.

A dialog is a `ModalScreen` that returns one value and never accesses the store. Esc returns None (or the value of
`cancelled`), Enter in a field accepts, Tab and the arrows move between controls, Enter or Space presses a button.
Letters only type into fields, so that typing is safe even in a dialog that the user did not expect.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar, Generic, TypeVar

from textual import events
from textual.app import ComposeResult
from textual.await_complete import AwaitComplete
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.message import Message
from textual.screen import ModalScreen
from textual.widget import Widget
from textual.widgets import Button, Input, OptionList, Select, Static

from tui.console import trace
from tui.console.keys.arming import Arming
from tui.console.widgets.controls import PushButton
from tui.terminal.safe import safe

Answer = TypeVar("Answer")


class DialogBody(VerticalScroll, can_focus=False, inherit_bindings=False):
    """The part of a dialog that scrolls if the terminal is too low."""

    def on_resize(self) -> None:
        """Keep the focused control visible when an error line or a lower terminal takes lines away."""
        focused = self.screen.focused
        if focused is not None and self in focused.ancestors:
            self.scroll_to_widget(focused, animate=False)


class BelowBody(Static):
    """A text between body and buttons that never scrolls.

    It tells its dialog when its height has changed.
    """

    class Resized(Message):
        """The height of the widget changed."""

    def on_resize(self) -> None:
        self.post_message(self.Resized())


class DialogError(BelowBody):
    """The line that says why the input cannot be accepted."""


class Dialog(ModalScreen[Answer], Generic[Answer]):
    """A framed window over the console. Subclasses fill `body()` and `buttons()` and return their value in `accept()`.

    The lower edge of the frame lists the keys of the focused control. A window that `acts` ignores input until the user
    has seen it (`tui.console.keys.type_ahead`).
    """

    DEFAULT_CSS = """
    Dialog {
        align: center middle;
        & > #dialog {
            width: 76; max-width: 100%; height: auto; max-height: 100%; padding: 0 1;
            border: solid $accent; border-title-style: bold; border-title-color: $foreground; background: $surface;
        }
        DialogBody { height: auto; scrollbar-size-vertical: 1; padding: 0 1; }
        #dialog-error { height: auto; padding: 0 1; color: $text-error; display: none; }
        #dialog-buttons { height: 1; margin: 1 0 0 0; padding: 0 1; align-horizontal: right; }
        #dialog-buttons PushButton:last-of-type { margin: 0; }
        .gap { margin-top: 1; }
        .note { color: $text-muted; height: auto; }
        .warning { color: $text-warning; height: auto; }
        .danger { color: $text-error; height: auto; }
        .row { height: auto; width: 1fr; }
        .label { width: auto; height: 1; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "cancel", "Cancel", show=False),
        Binding("down", "line(1)", "Next control, or scroll down", show=False),
        Binding("up", "line(-1)", "Previous control, or scroll up", show=False),
        Binding("pagedown", "scroll_body('page_down')", "Scroll down", show=False),
        Binding("pageup", "scroll_body('page_up')", "Scroll up", show=False),
        Binding("home", "scroll_body('home')", "Scroll to the top", show=False),
        Binding("end", "scroll_body('end')", "Scroll to the end", show=False),
    ]
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (76, "-roomy")]  # noqa: RUF012 - an instance's, as Textual declares it
    #: None: by default Textual focuses the first control until `on_mount`, and that may be the button that acts.
    AUTO_FOCUS = ""
    heading: ClassVar[str] = ""
    #: True if the answer deletes, delivers, saves or changes something, or if the window opens by itself.
    acts: ClassVar[bool] = True
    #: The word for Esc in the frame.
    esc_word: ClassVar[str] = "cancel"
    #: Selector of the control that is focused when the dialog opens; "": the first one.
    first_focus: str = ""

    def __init__(self) -> None:
        super().__init__()
        self.arming = Arming() if self.acts else None
        self._answered = False
        #: The answer given while another screen covered the window, in a list of one.
        self._held: list[Answer | None] = []

    def body(self) -> Iterable[Widget]:
        """Yield the dialog's content, top to bottom."""
        raise NotImplementedError

    def below_body(self) -> Iterable[BelowBody]:
        """Yield the widgets below the body, which do not scroll."""
        return ()

    def buttons(self) -> Iterable[PushButton]:
        """Yield the buttons, left to right.

        The one with id ``cancel`` works like Esc, the one with id ``ok`` accepts.
        """
        yield PushButton("OK", id="ok")
        yield PushButton("Cancel", id="cancel")

    def accept(self) -> None:
        """Validate the input; `dismiss` with the answer, or `complain` and stay open."""
        raise NotImplementedError

    def cancelled(self) -> Answer | None:
        """Return the answer for a cancelled dialog."""
        return None

    def compose(self) -> ComposeResult:
        with Vertical(id="dialog") as frame:
            frame.border_title = self.heading
            with DialogBody():
                yield from self.body()
            yield from self.below_body()
            yield DialogError(id="dialog-error", markup=False)
            with Horizontal(id="dialog-buttons"):
                yield from self.buttons()

    def on_mount(self) -> None:
        self._bound_body()
        first = [self.query_one(self.first_focus)] if self.first_focus else self.focus_chain[:1]
        self.set_focus(next(iter(first), None))
        self.opened()
        self._show_keys()
        self.watch(self.query_one(DialogBody), "show_vertical_scrollbar", self._show_keys_later, init=False)

    def opened(self) -> None:
        """Run code once the dialog is mounted and its first control is focused. A hook."""

    def on_resize(self) -> None:
        self._bound_body()
        self.call_after_refresh(self._show_keys)

    def on_screen_resume(self) -> None:
        if self.arming is not None:
            self.arming.begin()
        if self._held:
            self.dismiss(self._held.pop())

    def on_screen_suspend(self) -> None:
        if self.arming is not None:
            self.arming.cover()

    def on_descendant_focus(self) -> None:
        self._show_keys()

    def _show_keys_later(self) -> None:
        """Update the keys after the layout: only then is it known whether the body scrolls."""
        self.call_after_refresh(self._show_keys)

    def _show_keys(self) -> None:
        """List the focused control's keys on the frame's lower edge: always Enter and Esc, others if there is room."""
        frame = self.query_one("#dialog")
        words = [*self._keys_here(), f"Esc {self.esc_word}"]
        while len(words) > 2 and len(" · ".join(words)) > frame.outer_size.width - 6:
            words.pop(-3)
        frame.border_subtitle = " · ".join(words)

    def _keys_here(self) -> Iterable[str]:
        """Yield the focused control's keys, then the way to the next control, then Enter's."""
        focused = self.focused
        words = list(getattr(focused, "key_words", ()))
        enter = [word for word in words if word.startswith("Enter")]
        if not enter:
            pressed = focused if isinstance(focused, PushButton) else next(iter(self.query("#ok").results(PushButton)))
            enter = [f"Enter {pressed.text}"]
        words = [word for word in words if word not in enter]
        if self.query_one(DialogBody).max_scroll_y:
            words.append("PgDn scroll")
        if len(self.focus_chain) > 1:
            words.append("Tab next")
        return [*words, *enter]

    def dismiss(self, result: Answer | None = None) -> AwaitComplete:
        """Close the window with its answer, once it is in front: what Textual closes is the screen in front.

        Ignored if it is closed: a second key may have been on its way.
        """
        if self._answered:
            return AwaitComplete.nothing()
        if not self.is_active:
            self._held = [result]
            return AwaitComplete.nothing()
        self._answered = True
        trace.note("answered", window=type(self).__name__, given=result not in (None, False))
        return super().dismiss(result)

    def _bound_body(self) -> None:
        below = sum(each.outer_size.height or 1 for each in self.query(BelowBody) if each.display)
        self.query_one(DialogBody).styles.max_height = max(1, self.app.size.height - 4 - below)

    def on_below_body_resized(self, event: BelowBody.Resized) -> None:
        event.stop()
        self._bound_body()

    def complain(self, text: str, focus: str = "") -> None:
        """Show `text` above the buttons as the reason why the input is not accepted (""
        clears it), and focus a control.
        """
        error = self.query_one(DialogError)
        error.update(safe(text))
        error.display = bool(text)
        self._bound_body()
        if focus:
            self.query_one(focus).focus()

    def action_cancel(self) -> None:
        self.dismiss(self.cancelled())

    def action_line(self, step: int) -> None:
        """Focus the next control (`step` -1: the previous one). If the body has none, scroll it by a line."""
        body = self.query_one(DialogBody)
        if body.max_scroll_y and not any(body in control.ancestors for control in self.focus_chain):
            body.scroll_relative(y=step, animate=False)
        elif step > 0:
            self.focus_next()
        else:
            self.focus_previous()

    def action_scroll_body(self, where: str) -> None:
        """Scroll the body; `where` is the end of the name of one of Textual's methods."""
        getattr(self.query_one(DialogBody), f"scroll_{where}")(animate=False)

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Press OK or Cancel. Textual calls the handler of each class itself: those of subclasses must not."""
        event.stop()
        if event.button.id == "cancel":
            self.action_cancel()
        elif event.button.id == "ok":
            self.accept()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.accept()

    def on_key(self, event: events.Key) -> None:
        if event.key == "enter" and not isinstance(self.focused, Button | Input | OptionList | Select):
            event.stop()
            self.accept()
