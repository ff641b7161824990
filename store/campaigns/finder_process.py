"""The finder process: holds the lease, lets new copies join campaigns, and starts a process for each finding.

A finding runs in its own process so that its memory is returned afterwards. Both run at low priority and write nothing
after losing the lease.
"""

from __future__ import annotations

import os
import resource
import sys
import threading
import time
from typing import TYPE_CHECKING

from store.campaigns.arrivals import Arrivals
from store.campaigns.due import due
from store.campaigns.finder import Task, end, started
from store.campaigns.finding import find_leased
from store.campaigns.in_child import close_children
from store.campaigns.lease import Lease, LeaseLost
from store.campaigns.marks import read_marks
from store.campaigns.stored import Stored
from store.database.modes import Use
from store.helpers.decoding import msgpack_decoder
from store.terms.errors import MailholdError, TamperedError
from store.vault.vault import Vault

if TYPE_CHECKING:
    import subprocess

#: Seconds between checks for new copies; without work before the process ends; after a failed finding before the next.
_LOOK, _IDLE, _AGAIN = 0.5, 20.0, 60.0
#: Work still running this long (s) after the pipe was closed is abandoned; what it had not written is found again.
_PATIENCE = 2.0
_NICE = 10


def main() -> int:
    """Run the process until there is no more work or the pipe is closed. Returns the exit code."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.nice(_NICE)
    pipe = sys.stdin.buffer
    task = msgpack_decoder(Task).decode(pipe.read(int.from_bytes(pipe.read(4), "big")))
    over = threading.Event()
    # A finding needs no cleanup: it writes in one transaction, completely or not at all.
    patience = 0.0 if task.held is not None else _PATIENCE
    threading.Thread(target=_watch, args=(over, patience), name="pipe", daemon=True).start()
    try:
        vault = Vault.from_key_material(task.location, task.material, Use.WRITE)
        try:
            return _do(vault, task, over)
        finally:
            close_children()
            vault.close()
    except LeaseLost:
        return 0  # Another process does the work.
    except MailholdError:
        return 1


def _watch(over: threading.Event, patience: float) -> None:
    """Wait until the parent closes the pipe, then end this process after at most `patience` seconds."""
    # Unbuffered: Python cannot exit while a thread waits in a buffered read.
    while os.read(0, 1):
        pass
    over.set()
    time.sleep(patience)
    os._exit(1)


def _do(vault: Vault, task: Task, over: threading.Event) -> int:
    lease = Lease(vault, task.held)
    if task.held is not None:
        find_leased(vault, Stored(vault, guard=lease.guard), cancelled=over.is_set, again=True)
        return 0
    if not lease.take():
        return 0
    with lease.kept():
        return Work(vault, task, lease).until(over)


class Work:
    """The main loop of a finder process that holds the lease."""

    def __init__(self, vault: Vault, task: Task, lease: Lease) -> None:
        self._vault, self._task, self._lease = vault, task, lease
        self._stored = Stored(vault, guard=lease.guard)
        self._arrivals = Arrivals(vault, self._stored)
        self._finding: subprocess.Popen[bytes] | None = None
        self._failed = False
        self._not_before = 0.0
        self._token: object = None
        self._damaged_of = -1
        self._damaged = False

    def until(self, over: threading.Event) -> int:
        """Work until `over` is set or there was no work for a while. Returns 1 if a finding failed.

        Raises LeaseLost.
        """
        idle = time.monotonic()
        try:
            while not over.is_set() and time.monotonic() - idle < _IDLE:
                joining = self._join()
                if self._find() or joining:
                    idle = time.monotonic()
                if not joining:
                    over.wait(_LOOK)
        finally:
            if self._finding is not None:
                end(self._finding)
        return int(self._failed)

    def _join(self) -> bool:
        """Let some new copies join. Returns True if there may be more."""
        token = self._vault.change_token()
        if token == self._token:
            return False
        try:
            if self._arrivals.look():
                return True
        except TamperedError:
            pass  # The state is damaged; finding campaigns anew repairs it.
        self._token = token
        return False

    def _find(self) -> bool:
        """Start a finding if one is due. Returns True while a finding runs."""
        if self._finding is not None:
            if self._finding.poll() is None:
                return True
            self._failed = self._finding.returncode != 0
            self._not_before = time.monotonic() + (_AGAIN if self._failed else 0.0)
            self._finding = self._token = None
        if time.monotonic() < self._not_before or not self._is_due():
            return False
        self._lease.renew()
        self._finding = started(Task(self._task.location, self._task.material, self._lease.held))
        return True

    def _is_due(self) -> bool:
        try:
            state = self._stored.state()
        except TamperedError:
            return True
        if state.generation != self._damaged_of:
            problems: list[str] = []
            self._stored.read(problem=problems.append)
            self._damaged_of, self._damaged = state.generation, bool(problems)
        try:
            marks, _ = read_marks(self._vault)
        except MailholdError:
            return False  # A finding must know which copies operators peeled off.
        return due(self._vault, state, marks, damaged=self._damaged)


if __name__ == "__main__":
    sys.exit(main())
