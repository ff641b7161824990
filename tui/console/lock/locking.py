"""When the console locks, and the steps before: work ends, deliveries end, the view is sealed.

`tui.console.lock.lock` does the locking itself.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from store.opening.slots import opens_with_passphrase
from store.terms.errors import MailholdError
from tui.console.lock.lock import Handover, sealed
from tui.console.tasks import run_in_thread
from tui.terminal.words import NO_PASSPHRASE, counted

if TYPE_CHECKING:
    from textual.app import App

    from tui.console.lock.lock_app import Curtain
    from tui.console.screens.main import MainScreen

#: Seconds per unit (minute) of the setting `lock_after`.
MINUTE = 60.0

IN_DEMO = "The demo cannot lock, because its store has no passphrase."
SUSPENDED = "Locked because it was suspended."
_WORK_RUNS = "The console will lock when the running task is done."


class Lock:
    """The lock of one console. Call its methods on the event loop's thread.

    `stop_delivering` ends the deliveries sent from here, which may take seconds. `handover` is set once the console has
    ended in order to lock. If locking is impossible (`possible` is False), the console says so.
    """

    def __init__(
        self, app: App[None], main: MainScreen, stop_delivering: Callable[[], None], *, possible: bool
    ) -> None:
        self.possible = possible
        self.handover: Handover | None = None
        self._app = app
        self._main = main
        self._context = main.context
        self._stop_delivering = stop_delivering
        self._touched = time.monotonic()
        self._minutes = 0
        self._wanted = False
        self._closing = False
        self._held: list[Callable[[], object]] = []

    def uncovered(self, call: Callable[[], object]) -> None:
        """Call it now, or while the console is covered only once it is uncovered: no window opens above the cover."""
        if self._closing:
            self._held.append(call)
        else:
            call()

    def touched(self) -> None:
        """Note user activity: a key or the mouse."""
        self._touched = time.monotonic()

    def settings_read(self, minutes: int) -> None:
        """Apply the setting `lock_after`; warn if locking was turned on and is impossible."""
        if minutes and not self._minutes:
            self._context.shell.background(self._obstacle, self._warn, group="lock")
        self._minutes = minutes

    def look(self) -> None:
        """Lock if the idle time is over and no work runs."""
        left = time.monotonic() - self._touched
        due = self.possible and 0 < self._minutes * MINUTE <= left
        if (due or self._wanted) and not self._main.tasks.running:
            self._begin(
                f"Locked after {counted(self._minutes, 'minute', 'minutes')} without a key press." if due else ""
            )

    def now(self) -> None:
        """Lock at the operator's request."""
        if not self.possible:
            self._context.shell.notice(IN_DEMO, severity="warning")
            return
        self._wanted = True
        if self._main.tasks.running:
            self._context.shell.notice(_WORK_RUNS)
        self.look()

    def suspended(self) -> None:
        """Cover the console, and lock it as soon as it is continued: anybody may do that. A running task ends first.

        Does nothing if no passphrase opens the store.
        """
        if not self.possible or self._closing:
            return
        if self._main.tasks.running:
            self._wanted = True
        else:
            self._begin(SUSPENDED, warns=False)

    def _begin(self, why: str, *, warns: bool = True) -> None:
        from tui.console.lock.lock_app import Curtain

        if not self._closing:
            self._closing, self._wanted = True, False
            curtain = Curtain()
            self._app.push_screen(curtain)
            self._app.run_worker(self._lock(curtain, why, warns))

    async def _lock(self, curtain: Curtain, why: str, warns: bool) -> None:
        context = self._context
        obstacle = await run_in_thread(self._obstacle, name="lock")
        if obstacle:
            await curtain.dismiss()
            self._closing = False
            self.touched()
            if warns:
                context.shell.notice(obstacle, severity="warning")
            held, self._held = self._held, []
            for call in held:
                call()
            return
        from tui.console.lock.resuming import view_of

        view, marks = view_of(self._main)

        def put_away() -> bytes:
            self._stop_delivering()
            return sealed(context.vault, msgspec.structs.replace(view, marks=marks()))

        blob = await run_in_thread(put_away, name="lock")
        self.handover = Handover(context.vault.location, self._app.theme, why, blob)
        self._app.exit()

    def _obstacle(self) -> str:
        """Return why the console cannot lock now, or ""."""
        if not self.possible:
            return IN_DEMO
        try:
            return "" if opens_with_passphrase(self._context.vault) else NO_PASSPHRASE
        except MailholdError:
            return ""  # lock even if the store cannot be reached: it must not stay open

    def _warn(self, obstacle: str) -> None:
        if obstacle:
            self._context.shell.notice(obstacle, severity="warning")
