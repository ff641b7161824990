"""The worker: take due deliveries from the queue and hand them to the relay, over several connections at once.

One task claims; two open the messages that go out next; `connections` tasks send, each over a session that it keeps,
writing one message's outcome while the next is sent. Nothing blocks the event loop: the database and the keys are used
in threads (`Ledger`). However the program ends, the next worker continues from the durable state
(`store.delivery.leases`).
"""

from __future__ import annotations

import asyncio
import math
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from store.authority.settings import ignored_names
from store.database.clock import DecidingClock
from store.delivery.access import Access, StoreAccess
from store.delivery.greeting import Greeting
from store.delivery.leases import LEASE, Claim, LeaseLost, claim, due, give_back, hold_back, renew, settle, start_data
from store.delivery.ledger import READERS, Ledger
from store.delivery.parcel import Parcel, pack
from store.delivery.spent import spent_of
from store.mail.client import Session, SessionLost, Timeouts, local_host_name
from store.mail.outcome import Outcome, State
from store.mail.relay import Relay, parse_relay
from store.terms.errors import MailholdError, NoRelay

if TYPE_CHECKING:
    import ssl
    from pathlib import Path

    from store.vault.vault import Vault

#: Maximum claims in hand per connection. Each round of claims reads the settings and commits once, whatever its size.
CLAIMED = 8
#: Seconds: between checks of the queue, until an idle session is closed, and first and longest pause after the relay
#: could not be reached.
POLL, IDLE, PAUSE, LONGEST_PAUSE = 0.5, 5.0, 5.0, 60.0
#: Seconds that a stop waits: for deliveries begun, and for those announced for DATA, which would else become `unknown`.
GRACE, DATA_GRACE = 2.0, 20.0


class DeliveryWorker:
    """Sends one gateway's due deliveries. `lease` is in ms, `poll` in seconds.

    `owner` names the worker in this program only; the store has a random token (`lease_owner`) for it. `problem` says
    why nothing is being sent, "" if nothing prevents it. `say` logs an event with its fields, none of which holds
    anything of a message.
    """

    def __init__(
        self,
        vault: Vault,
        *,
        owner: str,
        connections: int = 4,
        access: Access | None = None,
        spent: Path | None = None,
        lease: int = LEASE,
        poll: float = POLL,
        timeouts: Timeouts | None = None,
        lease_owner: str = "",
        say: Callable[..., None] = lambda *_args, **_fields: None,
    ) -> None:
        self._vault = vault
        self.say = say
        self._access: Access = access or StoreAccess(vault)
        self.owner = owner
        self.clock = DecidingClock(vault.db)
        self.spent = spent_of(vault, spent)
        self._lease_owner = lease_owner or secrets.token_hex(8)
        self._connections = connections
        self._lease = lease
        self._poll = poll
        self._timeouts = timeouts or Timeouts()
        self._relay_text = ""
        self._relay: Relay | None = None
        self._context: ssl.SSLContext | None = None
        self._host_name = ""
        self._pause = PAUSE
        self._paused_until = 0.0
        self.problem = ""
        self.resent_from = ""
        #: Passed to `pack`.
        self.ignored: frozenset[bytes] | None = None

    async def run(self, stop: asyncio.Event) -> None:
        """Send due deliveries until `stop` is set; then finish those under way."""
        await _Shift(self).work(stop, until_idle=False, deadline=None)

    async def run_until_idle(self, deadline: float | None = None) -> None:
        """Send until nothing more is due, the relay cannot be reached, or `deadline` seconds have passed.

        Does not wait for deferred deliveries. If the store cannot be written to any more, waits for it as long as a
        lease.
        """
        until = None if deadline is None else time.monotonic() + deadline
        await _Shift(self).work(asyncio.Event(), until_idle=True, deadline=until)

    @property
    def paused(self) -> bool:
        """True during the pause after the relay could not be reached."""
        return time.monotonic() < self._paused_until

    def lost(self, reason: str) -> None:
        """Note that the relay cannot be reached, and pause before the next try, twice as long each time."""
        self.problem = f"The relay cannot be used: {reason}"
        if not self.paused:
            self._paused_until = time.monotonic() + self._pause
            self._pause = min(self._pause * 2, LONGEST_PAUSE)

    def reached(self) -> None:
        """Note that the relay answered."""
        self.problem = ""
        self._pause, self._paused_until = PAUSE, 0.0

    def read_relay(self) -> bool:
        """Read the relay from the settings. False, with `problem` set, if there is none. Blocking."""
        try:
            settings = self._access.settings()
            self.resent_from = settings.administrator or f"mailhold@{self._host_name}"
            self.ignored = ignored_names(settings) if settings.release_loops else None
            text = settings.relay
            if not text:
                raise NoRelay("No relay is set, so queued deliveries wait. Set the relay in Settings.")
            if text != self._relay_text:
                relay = parse_relay(text)
                self._context, self._relay, self._relay_text = relay.tls_context(), relay, text
                self.reached()
        except MailholdError as error:
            self._relay, self._relay_text = None, ""
            self.problem = str(error)
            return False
        if not self.paused and not self.problem.startswith("The relay cannot"):
            self.problem = ""
        return True

    def session(self, *, anew: bool = False) -> Session:
        """Return a session that is not open yet; with `anew` even during a pause. Raises SessionLost."""
        if self._relay is None or (self.paused and not anew):
            raise SessionLost(self.problem)
        return Session(self._relay, self._context, self._host_name, self._timeouts)


class _Shift:
    """One run of a worker, from start to stop: its tasks, its sessions, and the claims it holds."""

    def __init__(self, worker: DeliveryWorker) -> None:
        self._worker = worker
        self._vault = worker._vault
        self._ledger = Ledger(worker._vault)
        self._greeting = Greeting(worker._vault, self._ledger, worker, worker._access.gateway_id)
        self._queue: asyncio.Queue[Claim] = asyncio.Queue()
        #: Bounded, since opened messages may be large.
        self._ready: asyncio.Queue[tuple[Claim, Parcel | MailholdError]] = asyncio.Queue(1)
        self._opening: dict[int, Claim] = {}
        self._held: dict[int, Claim] = {}
        self._announced: set[int] = set()
        self._progress = asyncio.Event()

    async def work(self, stop: asyncio.Event, *, until_idle: bool, deadline: float | None) -> None:
        worker = self._worker
        worker._host_name = worker._host_name or await local_host_name()
        # If somebody waits for the end, give up writing an outcome when the lease ends, as a killed worker would.
        self._patience = worker._lease / 1000 if until_idle else math.inf
        senders = [asyncio.create_task(self._send_all()) for _ in range(worker._connections)]
        beside = [asyncio.create_task(each) for each in (self._keep_leases(), self._greeting.answer())]
        openers = [asyncio.create_task(self._open_ahead()) for _ in range(READERS)]
        try:
            await self._feed(stop, until_idle, deadline)
            for opener in openers:
                opener.cancel()
            await asyncio.gather(*openers, return_exceptions=True)
            await self._drain(senders)
        finally:
            for task in (*beside, *openers, *senders):
                task.cancel()
            await asyncio.gather(*beside, *openers, *senders, return_exceptions=True)
            await self._return(list(self._held.values()))
            await self._ledger.close()

    async def _feed(self, stop: asyncio.Event, until_idle: bool, deadline: float | None) -> None:
        worker = self._worker
        most = worker._connections * CLAIMED
        while not stop.is_set() and (deadline is None or time.monotonic() < deadline):
            self._progress.clear()
            claimed = 0
            if self._queue.qsize() < worker._connections and not worker.paused:
                claimed = await self._claim(most - self._queue.qsize())
            if claimed:
                continue
            if until_idle and not self._held:
                return
            # Wake when a sender finishes, when `stop` is set, or after the poll interval.
            waits = [asyncio.create_task(stop.wait()), asyncio.create_task(self._progress.wait())]
            await asyncio.wait(waits, timeout=worker._poll, return_when=asyncio.FIRST_COMPLETED)
            for wait in waits:
                wait.cancel()

    async def _claim(self, limit: int) -> int:
        """Claim up to `limit` deliveries into the local queue. Returns how many."""
        worker, vault, gateway = self._worker, self._vault, self._worker._access.gateway_id
        try:
            if not await self._ledger.read(lambda: worker.read_relay() and self._any_due()):
                return 0
            claims = await self._ledger.write(
                lambda: claim(vault, gateway, worker._lease_owner, limit, worker.clock.now(), worker._lease)
            )
        except MailholdError as error:
            worker.problem = str(error)
            return 0
        for each in claims:
            self._held[each.id] = each
            self._queue.put_nowait(each)
        return len(claims)

    def _any_due(self) -> bool:
        with self._vault.reading():
            self._vault.witness.require_current()
        if self._worker.spent is not None:
            self._worker.spent.spend_cancelled(self._vault, self._worker._access)
        with self._vault.reading():
            return bool(due(self._vault, self._worker._access.gateway_id, 1, self._worker.clock.read()))

    async def _keep_leases(self) -> None:
        worker = self._worker
        while True:
            await asyncio.sleep(worker._lease / 3000)
            held = list(self._held)
            if held:
                with suppress(MailholdError):
                    now = worker.clock.now()
                    await self._ledger.write(partial(renew, self._vault, worker._lease_owner, held, now, worker._lease))

    async def _drain(self, senders: Sequence[asyncio.Task[None]]) -> None:
        """Give back claims not begun, and wait for the others, longer if their message may be out already."""
        waiting = list(self._opening.values())
        while not self._ready.empty():
            waiting.append(self._ready.get_nowait()[0])
        while not self._queue.empty():
            waiting.append(self._queue.get_nowait())
        await self._return(waiting)
        began = time.monotonic()
        while self._held and not all(sender.done() for sender in senders):
            grace = DATA_GRACE if self._announced else GRACE
            if time.monotonic() > began + grace:
                return
            self._progress.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._progress.wait(), 0.1)

    async def _return(self, claims: Sequence[Claim]) -> None:
        """Give back claims, except those announced for DATA: the next claim settles these by recipients' states."""
        for each in claims:
            if each.id not in self._announced:
                with suppress(MailholdError, LeaseLost):
                    await self._ledger.write(partial(give_back, self._vault, each))
            self._held.pop(each.id, None)

    async def _open_ahead(self) -> None:
        """Open the messages that go out next while earlier ones are being sent."""
        worker = self._worker
        while True:
            each = await self._queue.get()
            self._opening[each.id] = each
            names = (worker.resent_from, worker._host_name)
            work = partial(pack, worker._access, each, *names, ignored=worker.ignored, spent=worker.spent)
            found: Parcel | MailholdError
            try:
                found = await self._ledger.read(lambda work=work: work(now=worker.clock.now()))  # type: ignore[misc]  # mypy takes the default for a second argument
            except MailholdError as error:
                found = error
            except Exception as error:
                self._stopped(each, error)
                self._let_go(each)
            else:
                await self._ready.put((each, found))
            self._opening.pop(each.id, None)

    async def _send_all(self) -> None:
        session: Session | None = None
        ending: asyncio.Task[None] | None = None
        try:
            while True:
                try:
                    each, parcel = await asyncio.wait_for(self._ready.get(), IDLE)
                except TimeoutError:
                    if session:
                        await session.close()
                    continue
                outcomes: dict[int, Outcome] | None = None
                try:
                    session, outcomes = await self._deliver(each, parcel, session)
                except Exception as error:
                    self._stopped(each, error)
                if ending:
                    await ending
                ending = asyncio.create_task(self._end(each, outcomes))
        finally:
            if ending:
                ending.cancel()
            if session:
                await session.close()

    async def _end(self, each: Claim, outcomes: Mapping[int, Outcome] | None) -> None:
        """Write an attempt's outcomes, if any, and release the claim."""
        try:
            if outcomes is not None:
                await self._settle(each, outcomes)
        except Exception as error:
            self._stopped(each, error)
        self._let_go(each)

    def _stopped(self, each: Claim, error: Exception) -> None:
        # Leave the lease to expire; the next claim decides by the recipients' states whether to resend.
        self._worker.problem = f"Delivery {each.id} stopped unexpectedly: {error!r}."

    def _let_go(self, each: Claim) -> None:
        self._held.pop(each.id, None)
        self._announced.discard(each.id)
        self._progress.set()

    async def _deliver(
        self, each: Claim, parcel: Parcel | MailholdError, session: Session | None
    ) -> tuple[Session | None, dict[int, Outcome] | None]:
        """Make one attempt. Returns the session for the next one, and the outcomes (None: lease lost, or held)."""
        if isinstance(parcel, MailholdError):
            self._worker.problem = str(parcel)
            return session, dict.fromkeys(each.live, Outcome(State.DEFERRED, str(parcel)))
        if parcel.held_until:
            with suppress(MailholdError, LeaseLost):
                await self._ledger.write(partial(hold_back, self._vault, each, parcel.held_until))
            return session, None
        if parcel.refused:
            whys = sorted({outcome.reply for outcome in parcel.refused.values()})
            self._worker.say("delivery refused", level=40, delivery=each.id, why=" ".join(whys))
            return session, parcel.refused
        if parcel.unmarked:
            self._worker.say("released without a delivery marker", level=30, delivery=each.id, why=parcel.unmarked)
        try:
            session, outcomes = await self._attempt(each, parcel, session)
        except LeaseLost:
            return session, None
        except (SessionLost, MailholdError) as error:  # DATA was not sent, though it may have been announced.
            outcomes = dict.fromkeys(parcel.rows, Outcome(State.DEFERRED, str(error)))
        refused = [to for to, outcome in outcomes.items() if outcome.state not in (State.SENT, State.UNKNOWN)]
        if (spent := self._worker.spent) is not None and each.id in self._announced and refused:
            with suppress(MailholdError):  # On failure, it is not sent again from here.
                await self._ledger.read(lambda: spent.strike(parcel.nonce, refused))
        return session, {parcel.rows[address]: parcel.told(outcome) for address, outcome in outcomes.items()}

    async def _attempt(
        self, each: Claim, parcel: Parcel, session: Session | None
    ) -> tuple[Session, dict[str, Outcome]]:
        """Send over `session`, or over a new session if that one was closed since its last use."""

        async def before_data(accepted: Sequence[str], refused: Mapping[str, Outcome]) -> None:
            rows = [parcel.rows[address] for address in accepted]
            others = {parcel.rows[address]: outcome for address, outcome in refused.items()}
            now, lease = self._worker.clock.now(), self._worker._lease
            releases = [parcel.releases[address] for address in accepted if address in parcel.releases]
            self._announced.add(each.id)
            await self._ledger.write(lambda: start_data(self._vault, each, rows, others, now, lease, releases))
            if (spent := self._worker.spent) is not None:
                await self._ledger.read(lambda: spent.spend(parcel.nonce, accepted, each.row.expires_at))

        parts = (parcel.sender, list(parcel.rows), parcel.message, before_data, parcel.dsn)
        if session and session.connected and session.relay is self._worker._relay:
            try:
                return session, await session.send(*parts)
            except SessionLost:
                pass
        if session:
            await session.close()
        session = await self._greeting.connect()
        return session, await session.send(*parts)

    async def _settle(self, each: Claim, outcomes: Mapping[int, Outcome]) -> None:
        """Write the outcomes, retrying while the database is away and patience lasts; leases are kept meanwhile."""
        until = time.monotonic() + self._patience
        while True:
            try:
                await self._ledger.write(lambda: settle(self._vault, each, outcomes, self._worker.clock.now()))
            except LeaseLost:
                return
            except MailholdError as error:
                self._worker.problem = str(error)
                if time.monotonic() > until:
                    return
                await asyncio.sleep(0.5)
            else:
                return
