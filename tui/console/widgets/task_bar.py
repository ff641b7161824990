"""The running tasks, one line each: title, progress, and the key that cancels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from textual.content import Content
from textual.widget import Widget

from tui.console.tasks import Task
from tui.console.widgets.status_bar import bar
from tui.terminal.safe import safe

_LINES = 3


class TaskBar(Widget):
    """Hidden while no task runs. A click on a line asks to cancel that task."""

    DEFAULT_CSS = """
    TaskBar {
        height: auto; max-height: 3; display: none; background: $panel; padding: 0 1;
        & > .task-bar--bar { color: $accent; }
        & > .task-bar--muted { color: $muted; }
    }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {"task-bar--bar", "task-bar--muted"}

    def __init__(self, running: Callable[[], list[Task[Any]]], cancel_key: Callable[[], str], *, id: str) -> None:
        super().__init__(id=id)
        self._tasks = running
        self._cancel_key = cancel_key
        self._shown = 0

    def on_mount(self) -> None:
        self._timer = self.set_interval(0.2, self.refresh, pause=True)

    def changed(self) -> None:
        """Update after a task started or ended."""
        running = len(self._tasks())
        self.display = running > 0
        if running:
            self._timer.resume()
        else:
            self._timer.pause()
        self.refresh(layout=min(running, _LINES) != self._shown)
        self._shown = min(running, _LINES)

    def render(self) -> Content:
        bar_style = self.get_visual_style("task-bar--bar", partial=True)
        muted = self.get_visual_style("task-bar--muted", partial=True)
        lines: list[Content] = []
        for task in self._tasks()[:_LINES]:
            count = f"{task.done:,} of {task.total:,}" if task.total else f"{task.done:,}" if task.done else ""
            filled, rest = bar(task.done, task.total, 20)
            hint = "cancelling…" if task.cancelled else f"{self._cancel_key()} Cancel"
            lines.append(
                Content.assemble(
                    safe(task.title), "  ", (filled, bar_style), (rest, muted), "  ", count, "  ", (hint, muted)
                )
            )
        return Content("\n").join(lines)

    def on_click(self) -> None:
        for task in self._tasks()[-1:]:
            task.cancel()
