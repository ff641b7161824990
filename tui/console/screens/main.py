"""The console's main screen: top line, tree, workspace, footer. It switches the pages of the workspace."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import Screen
from textual.widget import Widget

from store.filters.named import key_of, written
from tui.console.acts import actions, saving_filters
from tui.console.acts.changing_settings import backup_settings
from tui.console.acts.chosen_facts import NOTHING
from tui.console.acts.undoing import undo
from tui.console.compositor import SparingCompositor
from tui.console.context import ConsoleContext
from tui.console.follow import Facts
from tui.console.keys.keymap import KEYS, Key, Keymap, Scope, bindings, by_id, name_of
from tui.console.outcome_notice import OutcomeNotice
from tui.console.saved_filters import ANEW, Entry, SavedFilters
from tui.console.screens.backup import BackupView
from tui.console.screens.places import Places
from tui.console.tasks import TaskRunner
from tui.console.textual_private import paint_with
from tui.console.widgets.key_footer import KeyFooter, KeysChanged
from tui.console.widgets.message_list import MOVES
from tui.console.widgets.notice import NoticeLine
from tui.console.widgets.status_bar import StatusBar
from tui.console.widgets.task_bar import TaskBar
from tui.console.widgets.tree import ConsoleTree, Place
from tui.terminal.safe import safe

NO_TWINS = "No other copies from the senders delivered last are in Backup."

#: Narrower terminals show the tree only while it has the focus.
WIDE = 100
#: Seconds between checks whether saved filters are due to be counted, and a list with a period to be read again.
_LOOK = 1.0
#: Actions on what the filter line says: impossible while it is not read.
_OF_FILTER = ("deliver", "delete", "save", "save-filter", "mark", "mark-range", "mark-up", "mark-down", "mark-all")
#: Scopes for which the page itself says why an action is not possible.
_OF_PAGE = (
    Scope.CAMPAIGNS,
    Scope.CAMPAIGN,
    Scope.COMPARE,
    Scope.BIN,
    Scope.BINNED,
    Scope.QUEUE,
    Scope.RULES,
    Scope.ADDRESSES,
)


class MainScreen(Screen[None]):
    """Top line, tree on the left, workspace on the right, footer with the keys at the bottom."""

    DEFAULT_CSS = """
    MainScreen {
        background: $background; layout: vertical;
        & > #panes { height: 1fr; }
        #workspace { width: 1fr; height: 1fr; padding: 0 0 0 1; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = bindings(Scope.APP)
    #: Not the tree, which comes first: where it has no room it would be shown for a moment, because it has the focus.
    AUTO_FOCUS = "MessageList"

    def __init__(self, context: ConsoleContext, keymap: Keymap, tasks: TaskRunner) -> None:
        super().__init__()
        paint_with(self, SparingCompositor())
        self.context = context
        self.keymap = keymap
        self.tasks = tasks
        self._tree_wanted: bool | None = None
        #: When a list with a period was read again (s, `time.monotonic`).
        self._listed_at = 0.0

    def compose(self) -> ComposeResult:
        self.backup = BackupView(self.context)
        read_only = self.context.vault.read_only is not None
        self.status = StatusBar(self.context.host, lambda: self._drawn("go-queue"), read_only=read_only, id="status")
        self.console_tree = ConsoleTree(id="tree")
        self.saved = SavedFilters(self.context, self._show_saved)
        self.notice_line = NoticeLine(id="notice")
        self.outcome_notice = OutcomeNotice(self.context, self.notice_line)
        self.places = Places(self.context, self.backup, self._page_shown)
        self.task_bar = TaskBar(lambda: self.tasks.running, lambda: self._drawn("cancel-task"), id="tasks")
        self.footer = KeyFooter(self.keymap, self.cannot, self._label, id="keys")
        yield self.status
        workspace = Vertical(self.notice_line, self.places, self.task_bar, id="workspace")
        yield Horizontal(self.console_tree, workspace, id="panes")
        yield self.footer

    def on_mount(self) -> None:
        self._fit_tree()
        self.backup.list.focus()
        self.refresh_keys()
        self.set_interval(_LOOK, self._look_at_saved)

    def _drawn(self, action: str) -> str:
        return self.keymap.drawn(by_id()[action])

    def _label(self, key: Key) -> str:
        # Not if the footer is short of room: the longer word would push another key out and back in.
        marked = key.id == "view" and self.size.width >= WIDE and self.backup.list.views_mark
        return "View marked" if marked else key.label

    def on_resize(self, event: events.Resize) -> None:
        self._fit_tree()

    def _fit_tree(self) -> None:
        tree = self.console_tree
        wanted = self.app.size.width >= WIDE if self._tree_wanted is None else self._tree_wanted
        tree.display = wanted or tree.has_focus

    def on_screen_suspend(self) -> None:
        self.footer.covered = True

    def on_screen_resume(self) -> None:
        self.footer.covered = False

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        self.refresh_keys()

    def on_descendant_blur(self, event: events.DescendantBlur) -> None:
        if isinstance(event.widget, ConsoleTree):
            self.call_after_refresh(self._fit_tree)

    def refresh_keys(self) -> None:
        """Show the keys of the focused scope in the footer."""
        self.footer.show(self.scope)

    @property
    def scope(self) -> Scope:
        """The scope of the focused widget."""
        focused = self.focused
        for node in focused.ancestors_with_self if focused else ():
            scope = getattr(node, "scope", None)
            if isinstance(scope, Scope) and node is not self:
                return scope
        return self.places.scope

    def action_tree(self) -> None:
        self._tree_wanted = not self.console_tree.display
        if self.console_tree.has_focus:
            self.places.page.focus_main()
        self._fit_tree()

    def action_next_pane(self) -> None:
        if self.console_tree.has_focus:
            self.places.page.focus_main()
        else:
            self.console_tree.display = True
            self.console_tree.focus()

    def _page_shown(self) -> None:
        if self.notice_line.passing:
            self.notice_line.hide()
        self.console_tree.here = self._tree_place()
        self.refresh_keys()

    def _tree_place(self) -> str:
        if self.places.place != "backup":
            return self.places.place
        if (key := self.saved.key_like(self.backup.filter)) is not None:
            return f"saved:{key}"
        return f"engine:{self.backup.engine.value}" if self.backup.engine else "all"

    def choose(self, place: Place, *, focus: bool) -> None:
        """Go to the place chosen in the tree."""
        if place.id == "saved" or place.saved:
            self.places.go("backup", focus=focus)
            self._filter_by_saved(place.saved)
        elif place.id in ("backup", "all") or place.engine is not None:
            self.places.go("backup", focus=focus)
            if place.id != "backup":
                self.backup.set_engine(place.engine)
        else:
            self.places.go(place.id, focus=focus)

    def _filter_by_saved(self, key: str) -> None:
        if (entry := self.saved.of(key)) is None:
            return
        if entry.filter is None:
            self.show_notice(f"This saved filter is invalid: {safe(entry.saved.line)}", "warning")
        else:
            self.backup.set_filter(entry.filter)

    def on_console_tree_delete(self, event: ConsoleTree.Delete) -> None:
        event.stop()
        if (entry := self.saved.of(event.place.saved)) is None:
            self.show_notice("Only a saved filter can be deleted here.", "warning")
        else:
            saving_filters.delete(self.context, entry.saved.name)

    def _show_saved(self, entries: Sequence[Entry], counts: Mapping[str, int | None]) -> None:
        names = {key_of(each.saved.name): written(each.saved.name) for each in entries}
        self.console_tree.show_saved(names, counts)
        self.console_tree.here = self._tree_place()

    def _look_at_saved(self) -> None:
        """Keep up to date what no change of the store tells: the age of the oldest copy, counts of saved filters, and a
        list whose filter has a period.

        Saved filters are counted if the tree is visible. Neither while a window is open: the user may be typing in it.
        """
        self.status.tell_age(self.context.clock())
        if self.console_tree.display and self.is_current:
            self.saved.look()
        now = time.monotonic()
        listed = self.is_current and self.places.page is self.backup
        if listed and self.backup.filter.moves and now - self._listed_at >= ANEW:
            self._listed_at = now
            self.backup.follow_store()

    def on_console_tree_chosen(self, event: ConsoleTree.Chosen) -> None:
        event.stop()
        self.choose(event.place, focus=event.enter)

    def on_console_tree_left(self, event: ConsoleTree.Left) -> None:
        event.stop()
        self.places.page.focus_main()

    def on_backup_view_filtered(self, event: BackupView.Filtered) -> None:
        event.stop()
        self.console_tree.here = self._tree_place()

    def actions_here(self) -> list[Key]:
        """List the actions that work in the focused scope, for the palette."""
        scope = self.scope if self.scope not in (Scope.TREE, Scope.FILTER) else Scope.LIST
        return [key for key in KEYS if key.palette and key.scope in (scope, Scope.APP)]

    def cannot(self, action: str) -> str | None:
        """Return why an action of the key map is not possible now, or None."""
        if action in (*_OF_FILTER, "apply-filter") and (unread := self.backup.unread):
            return unread
        if reason := actions.reason_against(self.context, action):
            return reason
        key = by_id().get(action)
        if key is not None and (key.scope in _OF_PAGE or key.id == "view-restore"):
            page = self.places.page
            return page.reason_against(action) if page.scope is key.scope else None
        if action in ("deliver", "delete", "save") and self.backup.list.marks:
            return None
        if action in ("deliver", "view", "delete", "save", "copy", "mark", "mark-range", "mark-all", "campaign"):
            return None if self.backup.count else NOTHING
        match action:
            case "unmark-all":
                return None if self.backup.list.marks else "Nothing is marked."
            case "save-filter":
                return saving_filters.NO_FILTER if self.backup.filter.is_empty else None
            case "clear-filter":
                return saving_filters.NO_FILTER if self.backup.filter.is_empty and not self.backup.unread else None
            case "list-twins":
                return None if self.context.twins is not None else NO_TWINS
            case "hide-notice":
                return None if self.notice_line.display else "No notice is shown."
            case "cancel-task":
                return None if self.tasks.running else "No task is running."
        return None

    async def run_key(self, key: Key) -> None:
        """Run a key's action, for the footer and the palette."""
        if reason := self.cannot(key.id):
            self.show_notice(reason, "warning")
            return
        target: Widget | Screen[None] = self
        if key.scope is not Scope.APP:
            target = self.places.page
            if key.scope is Scope.TREE:
                target = self.console_tree
            elif key.scope is Scope.LIST and name_of(key.action) in MOVES:
                target = self.backup.list
        await self.app.run_action(key.action, target)

    def on_keys_changed(self, event: KeysChanged) -> None:
        event.stop()
        self.refresh_keys()

    async def on_key_footer_pressed(self, event: KeyFooter.Pressed) -> None:
        event.stop()
        await self.run_key(event.key)

    def action_backup_settings(self) -> None:
        backup_settings(self.context)

    def action_undo(self, again: bool = False) -> None:
        undo(self.context, again=again)

    def action_go(self, place: str) -> None:
        self.places.go(place, focus=True)

    def action_list_twins(self) -> None:
        if self.context.twins is None:
            self.show_notice(NO_TWINS, "warning")
        else:
            self.context.shell.list_messages(self.context.twins)

    def action_hide_notice(self) -> None:
        self.notice_line.hide()

    def on_notice_line_hide(self, event: NoticeLine.Hide) -> None:
        event.stop()
        self.action_hide_notice()

    def action_cancel_task(self) -> None:
        for task in self.tasks.running[-1:]:
            task.cancel()

    def action_command_palette(self) -> None:
        self.app.action_command_palette()

    def action_next_theme(self) -> None:
        names = list(self.app.available_themes)
        self.app.theme = names[(names.index(self.app.theme) + 1) % len(names)]

    def action_help(self) -> None:
        from tui.console.dialogs.help import HelpDialog

        self.app.push_screen(HelpDialog(self.keymap, self.cannot, self.scope))

    def on_backup_view_quit(self, event: BackupView.Quit) -> None:
        event.stop()
        self.leave()

    def leave(self) -> None:
        """Leave the console. If work is running, ask first, unless a question is open already."""
        from tui.console.dialogs.confirm import ConfirmDialog

        if self.tasks.running and not isinstance(self.app.screen, ConfirmDialog):
            question = "A task is running. Quitting cancels it; what it has not done yet is left as it is."
            self.context.shell.ask(
                ConfirmDialog("Quit", question, "Quit"), lambda yes: self.context.shell.end() if yes else None
            )
        else:
            self.context.shell.end()

    def show_notice(self, text: str, severity: str = "information") -> None:
        """Show a notice above the workspace."""
        self.outcome_notice.stop()
        self.notice_line.show(text, severity)

    def take_facts(self, facts: Facts) -> None:
        """Update top line, tree, list and the visible page with new facts about the store."""
        context = self.context
        context.settings, context.settings_problem = facts.settings, facts.settings_problem
        context.outcomes, context.live = facts.outcomes, facts.live
        context.queue_length, context.attention = facts.queue_length, facts.attention
        context.saved = facts.saved
        self.status.attention, self.status.disk_full = facts.attention, facts.disk_full
        self.status.show(
            used=facts.used,
            maximum=facts.maximum,
            low=facts.free < facts.settings.notify_below,
            oldest=facts.oldest,
            now=context.clock(),
        )
        others = {"queue": facts.queue_length, "bin": facts.binned, "campaigns": facts.campaigns}
        self.console_tree.show_counts(facts.total, facts.engines, others)
        self.saved.take(facts, counting=self.console_tree.display)
        self.backup.take_facts(facts)
        self.outcome_notice.refresh()
        if self.places.page is not self.backup:
            self.places.page.refresh_data()
        self.refresh_keys()
