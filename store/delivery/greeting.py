"""Ask the relay what it offers: a worker notes each answer, and asks again when an operator wants that.

An answer is written only if it differs from the last one or that is older than `FRESH_MS`, because a sending gateway
opens many sessions and every commit makes the store's followers read it again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

from store.authority.settings import read_settings
from store.delivery.hello import Heard, Hello, hello_of, read_hello, want_hello, wanted, write_hello
from store.helpers.clock import now_ms
from store.mail.client import Session, SessionLost, Timeouts, local_host_name
from store.mail.relay import parse_relay
from store.sealing.keys import LOCAL_ID
from store.terms.errors import MailholdError, NoRelay, RelayError, StoreUnavailable

if TYPE_CHECKING:
    from store.delivery.ledger import Ledger
    from store.vault.vault import Vault

#: Minimum age (ms) of an unchanged answer before it is written again.
FRESH_MS = 5 * 60_000
#: Seconds between a worker's checks for an operator's request, and between checks for its answer.
LOOK, WAIT_LOOK = 1.0, 0.25
_TIMEOUTS = Timeouts(10.0, 10.0, 10.0)


class Sender(Protocol):
    """The part of `store.delivery.worker.DeliveryWorker` that is needed to ask the relay."""

    def read_relay(self) -> bool:
        """Read the relay from the settings. Blocking."""

    def session(self, *, anew: bool = False) -> Session:
        """Return a session that is not open yet; with `anew` even during the pause after a failure.

        Raises SessionLost.
        """

    def lost(self, reason: str) -> None:
        """Note that the relay cannot be reached."""

    def reached(self) -> None:
        """Note that the relay answered."""


class Greeting:
    """Opens sessions for one run of a worker, and notes what the relay answers."""

    def __init__(self, vault: Vault, ledger: Ledger, sender: Sender, gateway_id: int) -> None:
        self._vault = vault
        self._ledger = ledger
        self._sender = sender
        self._gateway_id = gateway_id
        self._last: Heard | None = None
        self._answered = 0

    async def connect(self, *, anew: bool = False) -> Session:
        """Open a session; with `anew` even during the pause after a failure. Notes the answer, also if it fails.

        Raises SessionLost.
        """
        relay = ""
        try:
            session = self._sender.session(anew=anew)
            relay = str(session.relay)
            await session.open()
        except SessionLost as error:
            if relay:
                self._sender.lost(str(error))
            if relay or anew:
                await self._note(hello_of(relay, {}, str(error)), anew)
            raise
        self._sender.reached()
        await self._note(hello_of(relay, session.extensions), anew)
        return session

    async def _note(self, hello: Hello, anew: bool) -> None:
        now, last = now_ms(), self._last
        if not anew and last is not None and last.hello == hello and 0 <= now - last.at < FRESH_MS:
            return
        with suppress(MailholdError):
            await self._ledger.write(lambda: write_hello(self._vault, hello, now))
            self._last = Heard(now, hello)

    async def answer(self) -> None:
        """Ask the relay again whenever an operator requests it, until cancelled."""
        while True:
            with suppress(MailholdError, SessionLost):
                wish = await self._ledger.read(lambda: wanted(self._vault, self._gateway_id, self._answered))
                if wish != self._answered:
                    self._answered = wish
                    await self._ledger.read(self._sender.read_relay)
                    await (await self.connect(anew=True)).close()
            await asyncio.sleep(LOOK)


def greet(vault: Vault, now: int) -> Heard:
    """Ask the relay from this host what it offers, without writing it. `now` is Unix ms. Blocks for up to 30 seconds.

    Raises StoreUnavailable, TamperedError.
    """
    text = read_settings(vault).relay
    hello = asyncio.run(_greet(text)) if text else Hello("", str(NoRelay("No relay is set. Set it in Settings.")))
    return Heard(now, hello)


def ask_here(vault: Vault) -> Heard:
    """Ask the relay from this host, as `local`, and write the answer. Blocks for up to 30 seconds.

    Raises StoreUnavailable, TamperedError, and UnlockError where the keys at hand are no gateway's.
    """
    heard = greet(vault, now_ms())
    with vault.write(quiet=True):
        write_hello(vault, heard.hello, heard.at)
    return heard


async def _greet(text: str) -> Hello:
    try:
        relay = parse_relay(text)
        session = Session(relay, await asyncio.to_thread(relay.tls_context), await local_host_name(), _TIMEOUTS)
    except RelayError as error:
        return hello_of("", {}, str(error))
    try:
        await session.open()
    except SessionLost as error:
        return hello_of(str(relay), {}, str(error))
    try:
        return hello_of(str(relay), session.extensions)
    finally:
        await session.close()


def ask_anew(vault: Vault, gateway_id: int, wait: float, cancelled: Callable[[], bool] = lambda: False) -> Heard | None:
    """Make a gateway ask the relay again. Asks here for `local`, else waits up to `wait` seconds for the gateway.

    Returns the new answer, None if none came in that time. Blocks. Raises StoreUnavailable, TamperedError, and
    UnlockError where the keys at hand cannot ask.
    """
    if gateway_id == LOCAL_ID:
        return ask_here(vault)
    before = _known(vault, gateway_id)
    want_hello(vault, gateway_id, now_ms())
    until = time.monotonic() + wait
    while not cancelled():
        heard = read_hello(vault, gateway_id)
        if heard is not None and heard != before:
            return heard
        if time.monotonic() > until:
            break
        time.sleep(WAIT_LOOK)
    return None


def _known(vault: Vault, gateway_id: int) -> Heard | None:
    """Read the gateway's last answer; None if there is none or it does not verify."""
    try:
        return read_hello(vault, gateway_id)
    except StoreUnavailable:
        raise
    except MailholdError:
        return None
