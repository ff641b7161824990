"""Saving a filter under a name, and deleting a saved filter. The store is written in threads."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from store.filters.line import parse, print_filter
from store.filters.named import SavedFilter, expanded, key_of, written
from store.filters.saved import remove_filter, save_filter
from store.terms.errors import FilterError
from tui.console.acts.actions import reason_against
from tui.terminal.safe import safe

if TYPE_CHECKING:
    from store.filters.model import MessageFilter
    from tui.console.context import ConsoleContext

T = TypeVar("T")

NO_FILTER = "No filter is set."


def save(context: ConsoleContext, text: str, flt: MessageFilter) -> None:
    """Ask for a name and save the filter `flt` under it, as `text` was typed if that means the same."""
    reason = reason_against(context, "save-filter") or (NO_FILTER if flt.is_empty else None)
    if reason is not None:
        context.shell.notice(reason, severity="refusal")
        return
    from tui.console.dialogs.save_filter import SaveFilterDialog

    line = _line(context, text, flt)

    def answered(name: str | None) -> None:
        if name:
            _do(context, lambda: save_filter(context.vault, name, line, operator=context.operator), _saved)

    context.shell.ask(SaveFilterDialog(line, context.saved), answered)


def _line(context: ConsoleContext, text: str, flt: MessageFilter) -> str:
    """Return the line to save. Names of other saved filters are replaced by their text, since they may change."""
    try:
        line = expanded(text, context.saved)
        if parse(line, tz=context.tz) == flt:
            return line.strip()
    except FilterError:
        pass
    return print_filter(flt, tz=context.tz)


def _saved(saved: SavedFilter) -> str:
    name = safe(written(saved.name))
    return f"Filter saved as {name}. The tree lists it, and d there deletes it; z undoes this."


def delete(context: ConsoleContext, name: str) -> None:
    """Ask, then delete the saved filter of that name."""
    if reason := reason_against(context, "tree-delete"):
        context.shell.notice(reason, severity="refusal")
        return
    saved = next((each for each in context.saved if key_of(each.name) == key_of(name)), None)
    if saved is None:
        return
    from tui.console.dialogs.confirm import ConfirmDialog

    def done(there: bool) -> str:
        what = safe(written(saved.name))
        return f"Saved filter {what} deleted. z brings it back." if there else f"{what} is already deleted."

    def answered(yes: bool | None) -> None:
        if yes:
            _do(context, lambda: remove_filter(context.vault, saved.name, operator=context.operator), done)

    question = f"Delete the saved filter {safe(saved.name)}?\nAll operators see it:  {safe(saved.line)}"
    context.shell.ask(ConfirmDialog("Delete saved filter", question, "Delete", ready=True), answered)


def _do(context: ConsoleContext, work: Callable[[], T], said: Callable[[T], str]) -> None:
    def done(result: T) -> None:
        context.shell.store_changed()
        context.shell.notice(said(result))

    context.shell.background(work, done, group="saved")
