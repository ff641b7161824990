"""Monitoring: how full Backup is, and what came in."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.widget import Widget

from tui.console.context import ConsoleContext
from tui.console.keys.keymap import Scope, bindings
from tui.console.text.monitoring_lines import DAYS, Facts, monitoring_lines
from tui.console.widgets.line_view import LineView


class MonitoringView(Widget):
    """Space, copies by engine and by day, the oldest copy and when rotation reaches it. Live: it follows the store."""

    DEFAULT_CSS = """
    MonitoringView { width: 1fr; height: 1fr; }
    """
    BINDINGS: ClassVar[list[BindingType]] = bindings(Scope.PAGE)
    scope = Scope.PAGE
    title = "Monitoring"

    def __init__(self, context: ConsoleContext) -> None:
        super().__init__()
        self.context = context
        self._ready = False
        self._facts: Facts | None = None

    def compose(self) -> ComposeResult:
        yield LineView(id="monitoring-lines")

    def on_mount(self) -> None:
        self._ready = True
        self.lines = self.query_one(LineView)
        self.refresh_data()

    def refresh_data(self) -> None:
        """Take up what changed in the store."""
        if not self._ready:
            return
        context = self.context
        now, settings = context.clock(), context.settings
        waiting, attention = context.queue_length, context.attention

        def read() -> Facts:
            from store.space.rotation import forecast

            catalogue, vault = context.catalogue, context.vault
            usage = vault.usage()
            return Facts(
                usage=usage,
                settings=settings,
                engines=catalogue.engine_counts(),
                days=catalogue.day_counts(max(DAYS), tz=context.tz),
                forecast=forecast(vault, now=now),
                share=1.0 if catalogue.complete or not catalogue.total else catalogue.loaded / catalogue.total,
                now=now,
                zone=context.tz,
                waiting=waiting,
                attention=attention,
            )

        context.background(read, self._show, group="monitoring")

    def _show(self, facts: Facts) -> None:
        self._facts = facts
        if self.is_attached:
            self._draw()

    def on_resize(self) -> None:
        self._draw()

    def _draw(self) -> None:
        facts, height = self._facts, self.lines.size.height
        if facts is not None:
            self.lines.build(lambda width: monitoring_lines(facts, width, height))

    def on_line_view_wanted(self, event: LineView.Wanted) -> None:
        event.stop()
        event.view.show(event.builder(event.width))

    def action_to_list(self) -> None:
        self.context.shell.go("backup")
