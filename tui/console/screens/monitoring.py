"""Monitoring: how full Backup is, and what has arrived."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType

from store.space.limits import last_known, usage
from store.space.rotation import forecast
from tui.console.context import ConsoleContext
from tui.console.keys.keymap import Scope, bindings
from tui.console.screens.page import Page
from tui.console.text.monitoring_lines import DAYS, Facts, monitoring_lines
from tui.console.widgets.line_view import LineView


class MonitoringView(Page):
    """Used space, copies by engine and by day, and when rotation removes the oldest copy.

    Kept up to date with the store.
    """

    BINDINGS: ClassVar[list[BindingType]] = bindings(Scope.PAGE)

    def __init__(self, context: ConsoleContext) -> None:
        super().__init__(context)
        self.lines = LineView(id="monitoring-lines")
        self._facts: Facts | None = None

    def compose(self) -> ComposeResult:
        yield self.lines

    def follow_store(self) -> None:
        """Read the figures again."""
        context = self.context
        now, settings = context.clock(), context.settings
        waiting, attention = context.queue_length, context.attention

        def read() -> Facts:
            catalogue, vault = context.catalogue, context.vault
            return Facts(
                usage=usage(vault),
                settings=settings,
                engines=catalogue.engine_counts(),
                days=catalogue.day_counts(max(DAYS), tz=context.tz),
                forecast=forecast(vault, now=now),
                share=1.0 if catalogue.complete or not catalogue.total else catalogue.loaded / catalogue.total,
                now=now,
                zone=context.tz,
                waiting=waiting,
                attention=attention,
                damaged=last_known(vault),
            )

        context.shell.background(read, self._show, group="monitoring")

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
