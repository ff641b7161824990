"""The operator's view: taken before the console locks, restored after it is unlocked."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from store.catalogue.sort import Sort, SortKey
from tui.console.lock.lock import View
from tui.console.screens.message import MessageView

if TYPE_CHECKING:
    from tui.console.screens.backup import BackupView
    from tui.console.screens.main import MainScreen
    from tui.console.widgets.pages import Result


def view_of(main: MainScreen) -> tuple[View, Callable[[], list[int]]]:
    """Return the current view, and a function that finds the marked ids (slow, for a thread)."""
    backup, page = main.backup, main.places.page
    view = View(
        place=main.places.place,
        filter=backup.line.text,
        sort=backup.sort.key.value,
        descending=backup.sort.descending,
        cursor=backup.list.cursor_id,
        line=backup.list.cursor - round(backup.list.scroll_y),
        copy=page.copy_id if isinstance(page, MessageView) else None,
        folder=str(main.context.save_folder),
    )
    return view, backup.list.marks.chosen().ids


def resume(main: MainScreen, view: View) -> None:
    """Restore the view. Windows that were open are not restored; text typed in them is lost."""
    main.context.save_folder = Path(view.folder)
    _resume_list(main.backup, view)
    if view.place != "backup":
        main.places.go(view.place, focus=True)
    if view.copy is not None:
        main.places.open_copy(view.copy, main.backup.list.neighbour if view.place == "backup" else None)


def _resume_list(backup: BackupView, view: View) -> None:
    """Restore filter, sort order and cursor, and the marks of copies that still exist."""
    if view.filter:
        backup.line.show_text(view.filter)
        backup.edit_filter(view.filter)
        backup.settle()
    backup.once_shown = partial(_stand, backup, view)  # for what the sort lists: it moves to the first row
    backup.set_sort(Sort(SortKey(view.sort), view.descending))
    if view.marks:
        vault = backup.context.vault

        def mark(ids: list[int]) -> None:
            backup.list.marks.add(ids)
            backup.list.marks_changed()

        backup.context.shell.background(lambda: sorted({*vault.ids()}.intersection(view.marks)), mark, group="mark")


def _stand(backup: BackupView, view: View, result: Result) -> bool:
    """Move the cursor to the former copy once it is listed, unless the user pressed a key.

    True once there is nothing to do.
    """
    if backup.context.shell.typed or view.cursor is None:
        return True
    position = result.position(view.cursor)
    if position is not None:
        backup.list.scroll_to(y=max(0, position - view.line), animate=False, force=True, immediate=True)
        backup.list.cursor = position
    return position is not None or not result.partial
