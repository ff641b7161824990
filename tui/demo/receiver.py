"""The demo's receiving mail server: SMTP on the loopback interface, in a thread of its own, delivering to a Maildir.

It rejects two addresses, so that the message queue is not empty: one mailbox is full (temporary), one
recipient does not exist (permanent).
"""

from __future__ import annotations

import asyncio
import itertools
import os
import socket
import threading
import time
from pathlib import Path

from aiosmtpd.smtp import SMTP, Envelope, Session

from store.helpers.secret_files import write_new

HOST = "127.0.0.1"
FULL, GONE = "support@example.org", "piotr.wrobel@example.org"
_REFUSALS = {
    FULL: f"452 4.2.2 <{FULL}>: the mailbox is full (in the demo always)",
    GONE: f"550 5.1.1 <{GONE}>: no such user (in the demo always)",
}
_SIZE_LIMIT = 256 << 20


class _Server(SMTP):
    """aiosmtpd's server, with a line limit large enough for real mail."""

    line_length_limit = 1 << 20


class Receiver:
    """Accepts mail for all addresses but `FULL` and `GONE`.

    Creates `maildir`, whose folders only its owner can read.
    """

    def __init__(self, maildir: Path) -> None:
        self.maildir = maildir
        self.port = 0
        self._numbers = itertools.count(1)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="demo-receiver", daemon=True)
        self._ready = threading.Event()
        self._failure: OSError | None = None

    def start(self) -> None:
        """Start listening on a free port, which `port` then holds. Raises OSError."""
        for name in ("cur", "new", "tmp"):
            (self.maildir / name).mkdir(mode=0o700, parents=True, exist_ok=True)
        self.maildir.chmod(0o700)
        self._thread.start()
        self._ready.wait()
        if self._failure is not None:
            raise self._failure

    def stop(self) -> None:
        """Stop listening. Accepted mail stays in the Maildir."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(5)

    @property
    def arrived(self) -> int:
        """Count the messages in the Maildir."""
        return sum(1 for name in ("new", "cur") for _ in (self.maildir / name).iterdir())

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            server = self._loop.run_until_complete(self._loop.create_server(self._session, HOST, 0))
        except OSError as error:
            self._failure = error
            self._ready.set()
            return
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        self._loop.run_forever()
        server.close()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(asyncio.sleep(0))
        self._loop.close()

    def _session(self) -> SMTP:
        return _Server(
            self,
            data_size_limit=_SIZE_LIMIT,
            enable_SMTPUTF8=True,
            hostname="mailboxes.example.org",
            ident="demo receiver",
            loop=self._loop,
        )

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Accept every recipient but the two (called by aiosmtpd)."""
        refusal = _REFUSALS.get(address.lower())
        if refusal:
            return refusal
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(options)
        return "250 2.1.5 Ok"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        """Write the message to the Maildir, then answer (called by aiosmtpd)."""
        content = envelope.original_content or b""
        sender = (envelope.mail_from or "").strip("<>")
        top = [f"Return-Path: <{sender}>", *(f"Delivered-To: {to}" for to in envelope.rcpt_tos)]
        name = f"{time.time_ns() // 1000}.{os.getpid()}_{next(self._numbers)}.{socket.gethostname()}"
        await asyncio.to_thread(self._keep, name, "\r\n".join([*top, ""]).encode() + content)
        return f"250 2.0.0 Ok: delivered as {name}"

    def _keep(self, name: str, data: bytes) -> None:
        unfinished = self.maildir / "tmp" / name
        write_new(unfinished, data)
        unfinished.rename(self.maildir / "new" / name)
