"""The complete loop for tests: Postfix, the gateway as its own process on a throw-away store, and an operator.

A `Lab` is an operator's open vault, `python -m tui gateway` with its enrolled credentials and configuration file, and a
real Postfix that asks it about each message. Releases from the store come back through the same Postfix and milter.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import smtplib
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from store.authority.settings import Settings, Unavailable
from store.enrolment.enrolment import enroll
from store.judging.rules.address_lists import AddressLists, write_lists
from store.judging.rules.rules import Rule, write_rules
from store.mail.header_fields import header_of
from store.opening.opening import create_store
from store.space.changing_settings import change_settings
from tests import prepared
from tests.integration import postfix as mta
from tests.integration.postfix import DOMAIN, Postfix

ROOT = Path(__file__).resolve().parents[2]
#: A sender on every lab's black list: its mail is kept and not delivered.
BLACK = f"black@{DOMAIN}"
SENDER = f"sender@{DOMAIN}"
ADMINISTRATOR = f"admin@{DOMAIN}"
ENROLLED = "mx1.gw.test"


class Reply(NamedTuple):
    """The server's reply to a message."""

    code: int
    text: str

    @property
    def queue_id(self) -> str:
        found = re.search(r"queued as (\S+)", self.text)
        return found[1] if found else ""


def why_not() -> str:
    """Say why a lab cannot be run here, or return ""."""
    return mta.why_not()


class Gateway:
    """The daemon's process. It can be started, killed and stopped repeatedly; its log continues in one file."""

    def __init__(self, folder: Path, location: str, *, engines: str = "", sections: str = "") -> None:
        self.folder = folder
        self.socket = folder / "run" / "milter.sock"
        self.credentials = folder / "gateway.credentials"
        self.config = folder / "mailhold.toml"
        self.log_file = folder / "gateway.log"
        for name in ("run", "tmp"):
            (folder / name).mkdir(mode=0o755)
        self.config.write_text(
            f'[store]\nlocation = "{location}"\ncredentials = "{self.credentials}"\n\n'
            f'[milter]\nlisten = ["unix:{self.socket}"]\ngroup = "postfix"\n\n{engines}\n{sections}\n'
        )
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def log(self) -> str:
        return self.log_file.read_text(errors="replace") if self.log_file.exists() else ""

    def start(self, timeout: float = 60, *, plainly: bool = False) -> None:
        """Start it, `plainly` as a new Python process, and return once it accepts connections."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("MAILHOLD_")}
        environment |= {"TMPDIR": str(self.folder / "tmp"), "HOME": str(self.folder / "tmp")}
        with self.log_file.open("ab") as log:
            self.process = (subprocess.Popen if plainly else prepared.Popen)(
                [sys.executable, "-m", "tui", "gateway", "--config", str(self.config)],
                cwd=ROOT,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        until = time.monotonic() + timeout
        while time.monotonic() < until and self.process.poll() is None:
            try:
                with socket.socket(socket.AF_UNIX) as sock:
                    sock.connect(str(self.socket))
                    return
            except OSError:
                time.sleep(0.01)
        self.kill()
        raise RuntimeError(f"the gateway does not listen:\n{self.log()[-3000:]}")

    def kill(self) -> bool:
        """Kill it with SIGKILL; return False if it had already ended."""
        if self.process is None:
            return False
        alive = self.process.poll() is None
        self.process.kill()
        self.process.wait(30)
        self.process = None
        return alive

    def stop(self, timeout: float = 30) -> int:
        """Stop it as a service manager does; return its exit code."""
        if self.process is None:
            return 0
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(timeout)
        finally:
            self.kill()

    def wait_for_log(self, pattern: str, timeout: float = 30, after: int = 0) -> str:
        """Wait for the first line of the log, from character `after` on, matching `pattern` (a regular expression)."""
        until = time.monotonic() + timeout
        while True:
            found = re.search(f"^.*(?:{pattern}).*$", self.log()[after:], re.MULTILINE | re.IGNORECASE)
            if found:
                return found[0]
            if time.monotonic() > until:
                raise AssertionError(f"the gateway did not log {pattern!r}:\n{self.log()[after:][-3000:]}")
            time.sleep(0.05)


class Lab:
    """A store with its operator, the gateway, and Postfix in front of it, in one folder.

    `location` is the store's location ("": a file in the folder); `clamd` and `rspamd` are addresses; `milters` are
    asked before the gateway; `sections` is appended to mailhold.toml. Close it.
    """

    def __init__(
        self,
        *,
        location: str = "",
        clamd: str = "",
        rspamd: str = "",
        rules: tuple[Rule, ...] = (),
        settings: Mapping[str, Any] | None = None,
        milters: tuple[str, ...] = (),
        sections: str = "",
        start: bool = True,
    ) -> None:
        # Postfix's user cannot enter pytest's own folder.
        self.folder = Path(tempfile.mkdtemp(prefix="mailhold-lab-"))
        self.folder.chmod(0o755)
        self.store = self.folder / "store"
        self.store.mkdir()
        self.location = location or str(self.store / "mail.store")
        engines = "".join(
            f'[engines.{name}]\naddress = "{address}"\n'
            for name, address in (("clamd", clamd), ("rspamd", rspamd))
            if address
        )
        self.gateway = Gateway(self.folder, self.location, engines=engines, sections=sections)
        self.key_file = self.folder / "key"
        self.vault, _recovery = create_store(self.location, key_file=self.key_file)
        self.gateway_id = enroll(self.vault, ENROLLED, self.gateway.credentials, operator="test")
        asked = ", ".join((*milters, f"unix:{self.gateway.socket}"))
        self.postfix = Postfix(settings={"smtpd_milters": asked, "milter_default_action": "tempfail"})
        relay = f"smtp://127.0.0.1:{self.postfix.port}"
        self.settings = Settings(relay=relay, administrator=ADMINISTRATOR, release_loops=True)
        self.settings = msgspec.structs.replace(self.settings, **(settings or {}))
        change_settings(self.vault, self.settings, operator="test")
        if rules:
            write_rules(self.vault, rules, "test")
        write_lists(self.vault, AddressLists(black=(BLACK,)), "test")
        if start:
            try:
                self.gateway.start()
            except BaseException:
                self.close()
                raise

    def send(self, raw: bytes, sender: str = SENDER, to: tuple[str, ...] = (f"bob@{DOMAIN}",)) -> Reply:
        """Send a message to Postfix unchanged (dots doubled); return its reply, or the first one that refused it."""
        with smtplib.SMTP("127.0.0.1", self.postfix.port, local_hostname="client.test", timeout=240) as client:
            client.ehlo()
            return send_on(client, raw, sender, to)

    def set(self, **changes: Any) -> None:
        """Change settings as an operator; return when the gateway has reloaded them."""
        changed = msgspec.structs.replace(self.settings, **changes)
        if changed == self.settings:
            return
        self.settings = changed
        before = len(self.gateway.log())
        change_settings(self.vault, changed, operator="test")
        self.gateway.wait_for_log('"configuration taken up".*"settings"', after=before)

    def mailbox(self) -> list[bytes]:
        """Return the delivered mail once Postfix's queue is empty."""
        self.postfix.wait_until_empty()
        return self.postfix.received()

    def close(self) -> None:
        self.gateway.kill()
        self.postfix.stop()
        self.vault.close()
        shutil.rmtree(self.folder, ignore_errors=True)


def send_on(client: smtplib.SMTP, raw: bytes, sender: str, to: tuple[str, ...]) -> Reply:
    """Send a message on an open connection that has been greeted."""
    answers = [client.mail(sender, ["BODY=8BITMIME"])]
    answers += [client.rcpt(address) for address in to]
    answers.append(client.docmd("DATA"))
    for code, text in answers:
        if code >= 400:
            client.rset()
            return Reply(code, text.decode())
    data = raw.replace(b"\n.", b"\n..")
    client.send((b"." if data.startswith(b".") else b"") + data + b".\r\n")
    code, text = client.getreply()
    return Reply(code, text.decode())


def crlf(raw: bytes) -> bytes:
    """Convert line ends to CR LF and append one at the end."""
    raw = raw.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\n", b"\r\n")
    return raw if raw.endswith(b"\r\n") else raw + b"\r\n"


def value_of(content: bytes, name: bytes) -> bytes:
    """Return the first header field of that name (lower case) in a message; b"" if there is none."""
    fields = header_of(content).fields()
    return next((content[each.value : each.end].strip() for each in fields if each.name == name), b"")


def wait(look: Callable[[], Any], enough: Callable[[Any], bool], timeout: float = 30) -> Any:
    """Return the result of `look` once it is `enough` or `timeout` seconds are over."""
    until = time.monotonic() + timeout
    while True:
        seen = look()
        if enough(seen) or time.monotonic() > until:
            return seen
        time.sleep(0.05)


__all__ = [
    "ADMINISTRATOR",
    "BLACK",
    "ENROLLED",
    "SENDER",
    "Gateway",
    "Lab",
    "Reply",
    "Unavailable",
    "crlf",
    "send_on",
    "value_of",
    "wait",
    "why_not",
]
