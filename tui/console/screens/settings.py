"""Settings: the values in force, and a button that opens the Backup settings window."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.widgets import Button, Rule

from store.authority.settings import shown_bin_days, shown_bin_share, shown_hold, shown_lock_after
from store.terms.sizes import format_size
from tui.console.acts.changing_settings import backup_settings
from tui.console.context import ConsoleContext
from tui.console.keys.keymap import Scope, bindings
from tui.console.screens.page import Page
from tui.console.text.relay_text import masked
from tui.console.widgets.controls import PushButton
from tui.console.widgets.line_view import LineView
from tui.terminal.lines import EMPTY, Line, Span, field, wrap
from tui.terminal.setting_words import LABELS

if TYPE_CHECKING:
    from store.authority.settings import Settings

_LABELS = 36


def setting_lines(settings: Settings, width: int, problem: str = "") -> list[Line]:
    """Write each setting under its name in the spec, with its value; then those for delivery,
    notification, bin and console.

    `problem`: why the settings cannot be read; then these are the last known ones.
    """
    labels = _LABELS if width >= 60 else 24
    threshold = format_size(settings.notify_below) if settings.notify_below else "No notification"
    allowed = ("Yes", "risk") if settings.allow_infected else ("No", "text")
    spec: list[tuple[str, str, str]] = [
        (LABELS["max_size"], format_size(settings.max_size), "text"),
        (LABELS["notify_below"], threshold, "text"),
        (LABELS["allow_infected"], *allowed),
        (LABELS["if_unavailable"], settings.if_unavailable.label, "text"),
    ]
    relay = masked(settings.relay) or "Not set: nothing can be delivered"
    administrator = settings.administrator or "Not set: nobody is notified"
    domains = ", ".join(settings.local_domains) or "Not set: no header address is ticked for delivery"
    other: list[tuple[str, str, str]] = [
        (LABELS["relay"], relay, "text" if settings.relay else "risk"),
        (LABELS["administrator"], administrator, "text" if settings.administrator else "muted"),
        (LABELS["local_domains"], domains, "text" if settings.local_domains else "muted"),
        (LABELS["hold"], _hold_words(settings), "text"),
    ]
    if settings.release_loops:
        other.insert(1, (LABELS["release_loops"], "Yes: released messages carry a marker", "text"))
    if settings.release_ignores:
        other.insert(-1, (LABELS["release_ignores"], ", ".join(settings.release_ignores), "text"))
    for_good = ("Off: deleted copies are gone for good", "risk")
    days = (f"{shown_bin_days(settings.bin_days)}, or until Backup needs the space", "text")
    binned: list[tuple[str, str, str]] = [
        (LABELS["bin_days"], *(days if settings.bin_days else for_good)),
        ("Its share of the maximum size", f"{shown_bin_share(settings.bin_share)}, protected from rotation", "text"),
    ]
    lines: list[Line] = []
    if problem:
        said = f"▲ {problem} These are the last known settings; they are not in force."
        lines += [*((Span(piece, "danger"),) for piece in wrap(said, width)), EMPTY]
    for label, value, kind in spec:
        lines += field(label, [(value, kind)], width, labels)
    lock = ("Off", "muted") if not settings.lock_after else (shown_lock_after(settings.lock_after), "text")
    lines += [EMPTY, (Span("Delivery and notification", "muted"),)]
    for label, value, kind in other:
        lines += field(label, [(value, kind)], width, labels)
    lines += [EMPTY, (Span("Bin", "muted"),)]
    for label, value, kind in binned:
        lines += field(label, [(value, kind)], width, labels)
    lines += [EMPTY, (Span("The console (`mailhold settings set lock_after=15`)", "muted"),)]
    lines += field("Lock after so long without input", [lock], width, labels)
    return lines


def _hold_words(settings: Settings) -> str:
    """Say how long a release can be cancelled: ``15 s; 300 s for more than 50 copies``."""
    if not settings.hold and not settings.hold_many:
        return "Off: releases cannot be cancelled"
    few, many = shown_hold(settings.hold), shown_hold(settings.hold_many)
    return f"{few}; {many} for more than 50 copies"


class SettingsView(Page):
    """Shows the settings. The button opens the window that changes them."""

    BINDINGS: ClassVar[list[BindingType]] = bindings(Scope.PAGE)

    def __init__(self, context: ConsoleContext) -> None:
        super().__init__(context)
        self._shown: tuple[Settings, str] | None = None

    def compose(self) -> ComposeResult:
        yield PushButton("Backup settings", id="open-settings")
        yield Rule(line_style="solid")
        lines = LineView(id="setting-lines")
        lines.can_focus = False
        yield lines

    def follow_store(self) -> None:
        """Show the settings that the console has in memory."""
        settings, problem = self.context.settings, self.context.settings_problem
        if (settings, problem) != self._shown:
            self._shown = settings, problem
            self.query_one(LineView).build(lambda width: setting_lines(settings, width, problem))

    def on_button_pressed(self, event: Button.Pressed) -> None:
        event.stop()
        backup_settings(self.context)
