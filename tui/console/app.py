"""The console's app: connects the store, the screens and the threads."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from datetime import tzinfo
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from textual import events
from textual.binding import Binding, BindingType
from textual.screen import ModalScreen

from store.authority.audit import record_event
from store.authority.settings import Settings, read_settings
from store.database.connection import is_url, shown_location
from store.filters.saved import SavedFilter, read_saved_filters
from store.terms.errors import MailholdError, StoreUnavailable
from tui.console import trace
from tui.console.background import Background
from tui.console.collecting import Collector
from tui.console.context import ConsoleContext, Neighbour
from tui.console.driver import EndsWithTerminal
from tui.console.follow import Facts, Follower
from tui.console.keys import key_file
from tui.console.keys.keymap import Keymap
from tui.console.keys.type_ahead import TypeAheadApp
from tui.console.lock.locking import Lock
from tui.console.palette import ActionProvider
from tui.console.screens.main import MainScreen
from tui.console.tasks import Task, TaskRunner, explain, run_in_thread
from tui.console.theme import dress
from tui.terminal import job_control
from tui.terminal.cells import local_zone, now_ms

if TYPE_CHECKING:
    from store.campaigns.finder import Finder
    from store.catalogue.catalogue import Catalogue
    from store.filters.model import MessageFilter
    from store.vault.vault import Vault
    from tui.console.lock.lock import View
    from tui.console.text.bin_lines import Held

A = TypeVar("A")
T = TypeVar("T")

#: Seconds between two polls of the store, and between two looks whether the console is to be locked.
POLL, _LOOK = 0.1, 0.3
#: Seconds until a poll without an answer is reported: longer than connecting or waiting for a lock may take.
SILENT = 20.0


class MailholdApp(EndsWithTerminal, TypeAheadApp):
    """The console on an open store. `clock` returns Unix ms; times are shown in `tz` (default: the machine's zone).

    `view`: what to show first, after the console was locked; `lockable`: it can lock; `finds`: a process of its own
    finds campaigns in the background.
    """

    TITLE = "Mailhold"
    CSS = """
    CommandPalette {
        & > Vertical { width: 78; max-width: 100%; margin-top: 1; background: transparent; }
        #--input { border: solid $accent; background: $surface; padding: 0 1; }
        #--input.--list-visible { border: solid $accent; border-bottom: none; }
        SearchIcon { display: none; }
        CommandInput, CommandInput:focus { border: none; height: 1; padding: 0; background: $surface; }
        CommandList { max-height: 80vh; }
        CommandList, CommandList:focus { background: $surface; border: solid $accent; border-top: none; }
        CommandList > .option-list--option { padding: 0 1; text-style: none; }
        CommandList > .option-list--option-highlighted { background: $cursor; color: $foreground; text-style: none; }
        & > .command-palette--help-text { color: $muted; text-style: none; }
    }
    """
    COMMANDS: ClassVar[set[Any]] = {ActionProvider}
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+q", "quit", "Quit", show=False, priority=True, id="quit"),
        Binding("ctrl+o", "lock", "Lock", show=False, priority=True, id="lock"),
        Binding("ctrl+z", "suspend_process", "Suspend", show=False, priority=True, id="suspend"),
        # Named here so that Textual does not add its own binding, which would open the palette over a window.
        Binding("ctrl+p", "command_palette", "Command palette", show=False, id="palette"),
    ]
    NOTIFICATION_TIMEOUT = 4

    def __init__(
        self,
        vault: Vault,
        *,
        catalogue: Catalogue | None = None,
        operator: str = "",
        clock: Callable[[], int] = now_ms,
        tz: tzinfo | None = None,
        host: str | None = None,
        lockable: bool = False,
        view: View | None = None,
        theme: str = "",
        finds: bool = False,
    ) -> None:
        super().__init__()
        trace.start()
        dress(self, theme)
        self._key_problem = ""
        try:
            self.keys = key_file.load()
        except key_file.KeymapError as error:
            self.keys, self._key_problem = Keymap(), str(error)
        self.set_keymap(self.keys.overrides)
        if catalogue is None:
            from store.catalogue.catalogue import Catalogue

            catalogue = Catalogue(vault)
        self.vault = vault
        self.catalogue = catalogue
        self.context = ConsoleContext(
            vault=vault,
            catalogue=catalogue,
            shell=self,
            operator=operator,
            clock=clock,
            tz=tz or local_zone(),
            settings=_settings(vault),
            saved=_saved(vault),
            host=socket.getfqdn() if host is None else host,
        )
        self.tasks = TaskRunner(lambda: self.main.task_bar.changed(), self._say_error)
        self._threads = Background(self._hand)
        self._finder = _finder(vault) if finds else None
        self._follower = Follower(vault, catalogue, self._finder)
        self._collector = Collector()
        self._poll_problem = ""  # why the last poll failed
        self._polled_at = 0.0  # when it began
        self._followed = False
        self._problem = ""
        self._worker: Any = None
        self._leaving = False
        self._view = view
        #: What became of work that was unfinished at the end, one sentence each.
        self.account: list[str] = []
        self.main = MainScreen(self.context, self.keys, self.tasks)
        self.lock = Lock(self, self.main, self.stop_delivering, possible=lockable)

    def get_default_screen(self) -> MainScreen:
        return self.main

    def _hand(self, receive: Callable[[Any], None], what: Any) -> None:
        try:
            self.call_later(receive, what)
        except RuntimeError:  # the console ended while a thread was still working
            pass

    def on_mount(self) -> None:
        # Before the process stops, so that the list is covered when the screen is drawn again.
        self.app_suspend_signal.subscribe(self, lambda _: self.lock.suspended(), immediate=True)
        self.app_resume_signal.subscribe(self, self._resumed)

    async def on_event(self, event: events.Event) -> None:
        if isinstance(event, events.Key | events.MouseEvent | events.Paste):
            self.lock.touched()
            self._collector.touched()
        await super().on_event(event)

    def _resumed(self, _: object) -> None:
        """Redraw everything: a shell used the terminal meanwhile. Lock, also if a signal suspended the console."""
        self.lock.suspended()
        for screen in self.screen_stack:
            for widget in screen.walk_children(with_self=True):
                widget.refresh()

    def on_ready(self) -> None:
        self.catalogue.on_complete = lambda: self._hand(lambda _: self._loaded(), None)
        self._collector.started()
        self._poll()
        self.set_interval(POLL, self._poll_in_turn)
        self.set_interval(_LOOK, self.lock.look)
        if self._view is not None:
            from tui.console.lock.resuming import resume

            resume(self.main, self._view)
        if self.vault.read_only is not None:
            self.notice(self.vault.read_only.says("This store"), severity="warning")
        if self._key_problem:
            self.notice(self._key_problem, severity="warning")

    def end(self) -> None:
        """Leave the console. If deliveries are being sent, finish them first, which may take seconds, and say so."""
        if self._worker is None or self._leaving:
            self.exit()
            return
        self._leaving = True
        self.notice("Finishing the current delivery before quitting…")
        self.run_worker(self._end())

    async def _end(self) -> None:
        await run_in_thread(self._worker.stop, name="delivery end")
        self.exit()

    async def on_unmount(self) -> None:
        self._threads.stop()
        await run_in_thread(self._wind_up, name="console end")

    def _wind_up(self) -> None:
        """Stop running work at safe points, and record how far it came. May take seconds, so it runs in a thread."""
        from store.message.in_child import close_children

        if self._finder is not None:
            self._finder.close()
        self.account = self.tasks.shut_down()
        for stopped in self.account:
            with suppress(MailholdError):
                record_event(self.vault, "stopped", operator=self.context.operator, detail=stopped)
        self.stop_delivering()
        self.catalogue.close()
        self._threads.join()
        close_children()

    def stop_delivering(self) -> None:
        """Finish the deliveries being sent from here; may take seconds."""
        if self._worker is not None:
            self._worker.stop()

    def _loaded(self) -> None:
        self._collector.loaded()
        self._poll()

    def _poll_in_turn(self) -> None:
        self._collector.look()
        if time.monotonic() >= self._follower.rest_until:
            self._poll()

    def _poll(self) -> None:
        if not self._threads.busy("follow"):
            self._polled_at = time.monotonic()
            self._threads.start(self._follower.poll, self._take_facts, self._poll_error, "follow")
        elif time.monotonic() > self._polled_at + SILENT and not self._poll_problem:
            where = self.vault.location
            what = "the database server and the network" if is_url(where) else "its disk"
            said = f"The store {shown_location(where)} has not answered for {SILENT:.0f} seconds: check {what}."
            self._poll_error(StoreUnavailable(said))

    def _poll_error(self, error: Exception) -> None:
        said, self._poll_problem = self._poll_problem, explain(error)
        if said != self._poll_problem:
            self.main.status.out_of_date = True
            self._say_error(error)

    def _take_facts(self, facts: Facts | None) -> None:
        self._followed = True
        if self._poll_problem:
            self._poll_problem, self.main.status.out_of_date = "", False
            self.notice("The store is available again.")
        if facts is not None:
            self.main.take_facts(facts)
            if facts.problem and facts.problem != self._problem:
                self.notice(facts.problem, severity="error")
            self._problem = facts.problem
            self.lock.settings_read(facts.settings.lock_after)
            self._run_worker_if_wanted(facts)

    def _run_worker_if_wanted(self, facts: Facts) -> None:
        """Start delivering from here if a relay is set and deliveries wait.

        Leases keep two senders from taking the same one.
        """
        wanted = facts.settings.relay and facts.queue_length and self.vault.read_only is None
        if self._worker is None and wanted:
            from store.delivery.worker_thread import start_worker_thread

            self._worker = start_worker_thread(self.vault, f"console {self.context.operator}".strip())

    def notice(self, text: str, *, severity: str = "information") -> None:
        self.main.show_notice(text, severity)

    def follow_deliveries(self, delivery_ids: Sequence[int], held_for: int = 0) -> None:
        self.main.outcome_notice.follow(delivery_ids, held_for)

    def run_task(self, task: Task[Any]) -> None:
        self.tasks.start(task)

    def background(
        self,
        work: Callable[[], T],
        on_done: Callable[[T], None],
        *,
        on_error: Callable[[Exception], None] | None = None,
        group: str,
        wait: float = 0.0,
    ) -> None:
        self._threads.start(work, on_done, on_error or self._say_error, group, wait)

    def _say_error(self, error: Exception) -> None:
        self.notice(explain(error), severity="error")

    def open_copy(self, copy_id: int, neighbour: Neighbour | None = None) -> None:
        self.main.places.open_copy(copy_id, neighbour)

    def open_act(self, held: Held) -> None:
        self.main.places.open_act(held)

    def open_campaign(self, campaign_id: int, copy_id: int | None = None) -> None:
        self.main.places.open_campaign(campaign_id, copy_id)

    def open_compare(self, campaign_id: int, copy_id: int, neighbour: Neighbour | None = None) -> None:
        self.main.places.open_compare(campaign_id, copy_id, neighbour)

    def list_messages(self, flt: MessageFilter) -> None:
        self.main.backup.set_filter(flt)
        self.main.places.go("backup", focus=True)

    def close_page(self) -> None:
        self.main.places.close_page()

    def go(self, place: str) -> None:
        self.main.places.go(place, focus=True)

    def store_changed(self) -> None:
        self._poll()

    def unmark(self, ids: Collection[int]) -> None:
        self.main.backup.list.forget(list(ids))

    def ask(self, dialog: ModalScreen[A], answered: Callable[[A | None], None]) -> None:
        self.lock.uncovered(lambda: self.push_screen(dialog, answered))

    def cannot(self, action: str) -> str | None:
        return self.main.cannot(action)

    def action_lock(self) -> None:
        self.lock.now()

    def action_suspend_process(self) -> None:
        """Suspend the console, if a shell can continue it."""
        if job_control.can_be_continued():
            super().action_suspend_process()
        else:
            self.notice(job_control.NO_SHELL, severity="warning")

    async def action_quit(self) -> None:
        self.main.leave()

    def idle(self) -> bool:
        """Return True once the store was polled and no thread is working; for tests."""
        return self._followed and not self._threads.busy() and not self.tasks.running

    def changing(self) -> bool:
        listing = self.focused is self.main.backup.list and self._threads.busy("select")
        places = self.main.places
        opening = places.opening is not None or places.page.reading
        return listing or self._threads.busy("look") or opening or not self.screen.is_mounted


def _finder(vault: Vault) -> Finder | None:
    """Make the background search for campaigns; None if the store is read-only."""
    if vault.read_only is not None:
        return None
    from store.campaigns.finder import Finder

    return Finder(vault)


def _settings(vault: Vault) -> Settings:
    """Read the settings at the start. If that fails, the first poll reports it."""
    try:
        return read_settings(vault)
    except MailholdError:
        return Settings()


def _saved(vault: Vault) -> tuple[SavedFilter, ...]:
    """Read the saved filters at the start. If that fails, the first poll reports it."""
    try:
        return read_saved_filters(vault)
    except MailholdError:
        return ()
