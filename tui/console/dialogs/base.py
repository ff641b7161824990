"""What every dialog shares: one frame, a body that scrolls, buttons that never do, and the keys.

A dialog is a `ModalScreen` that returns one value and never touches the store. Esc answers `None` (or what `cancelled`
says), Enter in a field accepts, Tab and the arrows walk the controls, Enter or Space presses a button. No letter does
anything but be typed into a field: a window that is not the one a user takes it for must be safe to type into.
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
    """The part of a dialog that scrolls where the terminal is too low for it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("pageup", "page_up", "Scroll up", show=False),
        Binding("pagedown", "page_down", "Scroll down", show=False),
    ]

    def on_resize(self) -> None:
        """Keep the control with the focus in sight where an error or a lower terminal takes lines away."""
        focused = self.screen.focused
        if focused is not None and self in focused.ancestors:
            self.scroll_to_widget(focused, animate=False)


class BelowBody(Static):
    """What stands between body and buttons, and never scrolls.

    Its dialog learns how many lines it takes, once it is laid out.
    """

    class Resized(Message):
        """It takes another number of lines."""

    def on_resize(self) -> None:
        self.post_message(self.Resized())


class DialogError(BelowBody):
    """What stands in the way of an answer."""


class Dialog(ModalScreen[Answer], Generic[Answer]):
    """A framed window over the console. Subclasses fill `body()` and `buttons()` and answer through `accept()`.

    The frame's lower edge names the keys that work where the focus is. A window that `acts` counts nothing that was
    pressed before it was seen; `tui.console.keys.type_ahead` holds it back.
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
        Binding("down", "app.focus_next", "Next", show=False),
        Binding("up", "app.focus_previous", "Previous", show=False),
    ]
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (76, "-roomy")]  # noqa: RUF012 - an instance's, as Textual declares it
    #: Textual would give it to the first control until the window is whole: that may be the verb.
    AUTO_FOCUS = ""
    heading: ClassVar[str] = ""
    #: True where the answer deletes, delivers, saves or changes something, or where the window comes by itself.
    acts: ClassVar[bool] = True
    #: What Esc does, in a word.
    esc_word: ClassVar[str] = "cancel"
    #: The control that has focus when the dialog opens.
    first_focus: str = ""

    def __init__(self) -> None:
        super().__init__()
        self.arming = Arming() if self.acts else None

    def body(self) -> Iterable[Widget]:
        """Yield the dialog's content, top to bottom."""
        raise NotImplementedError

    def below_body(self) -> Iterable[BelowBody]:
        """Yield what stands below the body and does not scroll."""
        return ()

    def buttons(self) -> Iterable[PushButton]:
        """Yield the buttons, left to right. One with the id ``cancel`` answers like Esc, ``ok`` accepts."""
        yield PushButton("OK", id="ok")
        yield PushButton("Cancel", id="cancel")

    def accept(self) -> None:
        """Validate and `dismiss` with the answer, or `complain` and stay."""
        raise NotImplementedError

    def cancelled(self) -> Answer | None:
        """Return the answer when the user gives up."""
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
        """Act once the dialog is mounted and its first control has focus. A hook."""

    def on_resize(self) -> None:
        self._bound_body()
        self.call_after_refresh(self._show_keys)

    def on_screen_resume(self) -> None:
        if self.arming is not None:
            self.arming.begin()

    def on_screen_suspend(self) -> None:
        if self.arming is not None:
            self.arming.cover()

    def on_descendant_focus(self) -> None:
        self._show_keys()

    def _show_keys_later(self) -> None:
        """Whether the body scrolls is known once it is laid out, which may be after the window was."""
        self.call_after_refresh(self._show_keys)

    def _show_keys(self) -> None:
        """Name the keys that work where the focus is, on the frame's lower edge: Enter and Esc, and what has room."""
        frame = self.query_one("#dialog")
        words = [*self._keys_here(), f"Esc {self.esc_word}"]
        while len(words) > 2 and len(" · ".join(words)) > frame.outer_size.width - 6:
            words.pop(-3)
        frame.border_subtitle = " · ".join(words)

    def _keys_here(self) -> Iterable[str]:
        """Yield the keys of the focused control, then the way to the next one; last, Enter's."""
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
        trace.note("answered", window=type(self).__name__, given=result not in (None, False))
        return super().dismiss(result)

    def _bound_body(self) -> None:
        below = sum(each.outer_size.height or 1 for each in self.query(BelowBody) if each.display)
        self.query_one(DialogBody).styles.max_height = max(1, self.app.size.height - 4 - below)

    def on_below_body_resized(self, event: BelowBody.Resized) -> None:
        event.stop()
        self._bound_body()

    def complain(self, text: str, focus: str = "") -> None:
        """Show `text` above the buttons as what stands in the way ("" clears it), and focus the control to mend."""
        error = self.query_one(DialogError)
        error.update(safe(text))
        error.display = bool(text)
        self._bound_body()
        if focus:
            self.query_one(focus).focus()

    def action_cancel(self) -> None:
        self.dismiss(self.cancelled())

    def on_button_pressed(self, event: Button.Pressed) -> None:
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
