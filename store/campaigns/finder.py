"""Runs the finder process beside a console. It lets new copies join campaigns and has campaigns found anew.

The process is `python -m store.campaigns.finder_process`. It gets location and keys on its standard input, which stays
open: it ends when its parent ends, and by itself after a while without work.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from store.campaigns.lease import Held, Lease
from store.campaigns.reading import StandingReader
from store.terms.errors import UnlockError
from store.vault.vault import Vault

if TYPE_CHECKING:
    import subprocess

#: Seconds between checks for work, and before a failed process is started again.
_ASK, _AGAIN = 5.0, 60.0
#: A process that failed before but has now run this long (s) counts as working again.
_STEADY = 10.0
#: A process that does not end within this time (s) after its pipe was closed is killed; what it had not written is
#: found again.
_PATIENCE = 3.0

_FAILED = (
    "Finding campaigns in the background fails at the moment; it is retried every minute. Run `mailhold campaigns` "
    "to find them now and see what is wrong."
)


class Task(msgspec.Struct, array_like=True):
    """The task of a finder process.

    With `held`: find campaigns anew under that lease; otherwise: do whatever is due.
    """

    location: str
    material: bytes
    held: Held | None = None


class Finder:
    """Keeps a finder process running while there is work. Call `look` from one thread only."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault
        self._lease: Lease | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()
        self._closed = False
        #: The problem, for an operator to read; "" if there is none.
        self.problem = ""
        self._next = self._began = 0.0
        self._token: object = None

    @property
    def running(self) -> bool:
        """Whether the process is running."""
        return self._process is not None and self._process.poll() is None

    def look(self, reader: StandingReader) -> None:
        """Start the process if there is work and no other process does it. Cheap: call it a few times a second.

        Raises StoreUnavailable.
        """
        now = time.monotonic()
        if self.running and now - self._began > _STEADY:
            self.problem = ""
        if self.running or self._closed:
            return
        if self._process is not None:
            end(self._process)
            failed, self._process = self._process.returncode != 0, None
            self.problem = _FAILED if failed else ""
            self._next = now + (_AGAIN if failed else _ASK)
        if now < self._next and (self._next - now > _ASK or self._token == self._vault.change_token()):
            return
        self._token, self._next = self._vault.change_token(), now + _ASK
        try:
            self._lease = self._lease or Lease(self._vault)
            if reader.work() and self._lease.free():
                self._start()
        except (UnlockError, OSError):
            self._next = now + _AGAIN

    def _start(self) -> None:
        with self._lock:
            if not self._closed:
                self._began = time.monotonic()
                self._process = started(Task(self._vault.location, self._vault.worker_key_material(settings=True)))

    def close(self) -> None:
        """End the process; what it had not written is found again later."""
        with self._lock:
            self._closed = True
            process = self._process
        if process is not None:
            end(process)


def started(task: Task) -> subprocess.Popen[bytes]:
    """Start a finder process with this task. Raises OSError."""
    import subprocess

    package = str(Path(__file__).resolve().parents[2])
    inherited = os.environ.get("PYTHONPATH")
    process = subprocess.Popen(
        [sys.executable, "-m", "store.campaigns.finder_process"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([package, inherited] if inherited else [package])},
        start_new_session=True,
    )
    message = msgspec.msgpack.encode(task)
    assert process.stdin is not None
    with suppress(BrokenPipeError):
        process.stdin.write(len(message).to_bytes(4, "big") + message)
        process.stdin.flush()
    return process


def end(process: subprocess.Popen[bytes]) -> None:
    """Close the pipe, give the process `_PATIENCE` seconds to end, then kill it."""
    import subprocess

    assert process.stdin is not None
    with suppress(OSError):
        process.stdin.close()
    try:
        process.wait(_PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
