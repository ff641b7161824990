"""A real gateway process for tests: its own store, credentials and configuration in a folder that Postfix can enter."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from store.enrolment.enrolment import enroll
from store.opening.opening import Unlock, create_store, open_store
from store.vault.vault import Vault
from tests import prepared

PASSPHRASE = "a passphrase for tests"


class GatewayProcess:
    """A store with its operator's vault, and `mailhold gateway` running on it. `extra` is appended to mailhold.toml.

    `store` is the folder of the store's file (a new folder by default). With `beside`, it is another gateway of that
    gateway's store. The log of the process goes to standard error.
    """

    def __init__(
        self,
        extra: str = "",
        *,
        store: Path | None = None,
        max_message: str = "20 MB",
        beside: GatewayProcess | None = None,
    ) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="mailhold-gateway-"))
        self.folder.chmod(0o755)
        self.location = beside.location if beside else str((store or self.folder) / "mail.store")
        self.socket = self.folder / "milter.sock"
        self.config = self.folder / "mailhold.toml"
        self.credentials = self.folder / "credentials"
        vault = beside.vault() if beside else create_store(self.location, passphrase=PASSPHRASE)[0]
        enroll(vault, "mx2" if beside else "mx1", self.credentials)
        vault.close()
        self.head = (
            f'[store]\nlocation = "{self.location}"\ncredentials = "{self.credentials}"\n'
            f'[milter]\nlisten = ["unix:{self.socket}"]\nmode = "0666"\nmax_message = "{max_message}"\n'
        )
        self.config.write_text(self.head + extra)
        self.process: subprocess.Popen[bytes] | None = None
        self.notified: list[str] = []
        self._notify: socket.socket | None = None
        self._log = self.folder / "log"

    def vault(self) -> Vault:
        """Open the store as an operator; the caller closes it."""
        return open_store(self.location, Unlock.passphrase(PASSPHRASE))

    def start(self, *, wait: bool = True, environment: dict[str, str] | None = None) -> None:
        """Start the process; return when it reports to the service manager that it is ready."""
        path = self.folder / "notify"
        if self._notify is not None:
            self._notify.close()
        path.unlink(missing_ok=True)
        self._notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._notify.bind(str(path))
        self._notify.settimeout(0.1)
        # Start plainly if PYTHONPATH names other libraries: a prepared process has already loaded its own.
        popen = subprocess.Popen if "PYTHONPATH" in (environment or {}) else prepared.Popen
        with self._log.open("ab") as log:
            self.process = popen(
                [sys.executable, "-m", "tui", "gateway", "--config", str(self.config)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, "NOTIFY_SOCKET": str(path), **(environment or {})},
            )
        if wait:
            self.wait_notified("READY=1")

    def wait_notified(self, line: str, timeout: float = 30) -> None:
        """Wait until the process has sent `line` to the service manager."""
        assert self._notify is not None and self.process is not None
        until = time.monotonic() + timeout
        while time.monotonic() < until:
            with contextlib.suppress(TimeoutError):
                said = self._notify.recv(4096).decode().split("\n")
                self.notified += said
                if line in said:
                    return
            if self.process.poll() is not None:
                raise AssertionError(f"the gateway ended:\n{self.log_text()}")
        raise AssertionError(f"no {line} within {timeout} s:\n{self.log_text()}")

    def stop(self, timeout: float = 40) -> int:
        """Send SIGTERM; return the exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout)

    def kill(self) -> None:
        """Send SIGKILL."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(20)

    def log_text(self) -> str:
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    def log(self, event: str = "") -> list[dict[str, Any]]:
        """Return the lines of the log, or those of one event."""
        entries = [json.loads(line) for line in self.log_text().splitlines()]
        return [entry for entry in entries if not event or entry["event"] == event]

    def wait_for(self, what: Callable[[], Any], timeout: float = 20) -> Any:
        """Wait until `what` returns something true, and return it."""
        until = time.monotonic() + timeout
        while True:
            found = what()
            if found or time.monotonic() > until:
                assert found, self.log_text()[-3000:]
                return found
            time.sleep(0.05)

    def close(self) -> None:
        """End the process and remove its files."""
        if self.process is not None and self.process.poll() is None:
            self.kill()
        if self._notify is not None:
            self._notify.close()
        shutil.rmtree(self.folder, ignore_errors=True)
