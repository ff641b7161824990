"""Changing the Backup settings: the window, the confirmation of copies that a smaller maximum removes, and the writing.

Copies are counted and settings written in threads. The writing transaction counts again, and if more copies would be
removed by then, the question is asked again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from store.terms.progress import Cancelled, Progress
from store.terms.sizes import format_size
from tui.console import trace
from tui.console.tasks import Task
from tui.terminal.times import minute_time
from tui.terminal.words import removal_words

if TYPE_CHECKING:
    from store.authority.settings import Settings
    from store.space.rotation import Removal
    from tui.console.context import ConsoleContext


def backup_settings(context: ConsoleContext) -> None:
    """Open the Backup settings window, and write the settings that it returns."""
    from tui.console.dialogs.backup_settings import BackupSettingsDialog

    if context.settings_problem:
        context.shell.notice(context.settings_problem, severity="error")
        return

    def ask(used: int) -> None:
        shown = context.settings

        def answered(settings: Settings | None) -> None:
            if settings is not None and settings != shown:
                _look(context, settings, shown)

        context.shell.ask(BackupSettingsDialog(shown, used_bytes=used), answered)

    context.shell.background(lambda: context.vault.count().used_bytes, ask, group="look")


def _look(context: ConsoleContext, settings: Settings, shown: Settings) -> None:
    """Find out which copies a smaller maximum would remove, then ask for confirmation."""
    from store.space.rotation import Removal, would_remove

    if settings.max_size >= shown.max_size:
        _write(context, settings, shown, Removal())
        return
    context.shell.background(
        lambda: would_remove(context.vault, settings.max_size, settings.bin_share),
        lambda removal: _confirm(context, settings, shown, removal),
        group="look",
    )


def _confirm(
    context: ConsoleContext, settings: Settings, shown: Settings, removal: Removal, *, again: str = ""
) -> None:
    """Ask for the number of copies that would be removed; then write."""
    going = removal.copies + removal.binned
    if not going:
        _write(context, settings, shown, removal)
        return
    from tui.console.dialogs.confirm import ConfirmDialog

    def answered(yes: bool | None) -> None:
        if yes:
            _write(context, settings, shown, removal)
        else:
            context.shell.notice("Backup settings were not changed.")

    what = removal_words(removal, minute_time(removal.before, context.tz))
    dialog = ConfirmDialog(
        "Backup maximum size",
        f"A maximum of {format_size(settings.max_size)} removes {what}. This cannot be undone.",
        "Remove",
        warning=again,
        danger=True,
        typed=going,
        typed_verb="remove them",
    )
    context.shell.ask(dialog, answered)


def _write(context: ConsoleContext, settings: Settings, shown: Settings, confirmed: Removal) -> None:
    """Write only the fields that differ from `shown`: another console may have changed the others meanwhile."""
    from store.space.rotation import RemovesMore

    trace.note("act", name="settings")

    def work(progress: Progress, cancelled: Cancelled) -> Settings | RemovesMore:
        from store.space.changing_settings import change_settings

        try:
            return change_settings(
                context.vault,
                settings,
                operator=context.operator,
                base=shown,
                confirmed=confirmed,
                progress=progress,
                cancelled=cancelled,
            )
        except RemovesMore as more:
            return more

    def done(answer: Settings | RemovesMore) -> None:
        if isinstance(answer, RemovesMore):
            _confirm(context, settings, shown, answer.removal, again="More copies arrived meanwhile.")
            return
        context.settings = answer
        context.shell.store_changed()
        context.shell.notice("Backup settings have been changed")

    context.shell.run_task(Task("Changing Backup settings", work, done))
