"""One run of a worker: its tasks, its sessions, and the claims it holds.

One task claims; threads open the messages that go out next (`Ahead`); `connections` tasks send, each over a session
that it keeps, writing one message's outcome while the next is sent. Nothing blocks the event loop: the database and the
keys are used in threads (`Ledger`). However the program ends, the next worker continues from the durable state
(`store.delivery.leases`).

To a relay that offers PIPELINING, a message's envelope and DATA go out in one write. That DATA is about to be sent is
recorded before that: with the outcomes of earlier messages, in one commit, while the message before is on its way. So a
crash makes at most two messages of each connection `unknown`, as it does for other relays.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from store.delivery.ahead import Ahead, Ready
from store.delivery.greeting import Greeting
from store.delivery.leases import (
    Claim,
    LeaseLost,
    claim,
    due,
    give_back,
    hold_back,
    renew,
    withdraw,
)
from store.delivery.ledger import Ledger
from store.delivery.parcel import Parcel, pack
from store.delivery.spent import Spending
from store.delivery.together import End, Start, settle_all, start_all
from store.mail.client import Session, SessionLost, local_host_name
from store.mail.outcome import Outcome, State
from store.terms.errors import MailholdError

if TYPE_CHECKING:
    from store.delivery.relaying import Relaying

#: Maximum claims in hand per connection. Each round of claims reads the settings and commits once, whatever its size.
CLAIMED = 16
#: Bytes of the largest message that a connection takes while it still sends another. To wait for the record of a larger
#: one costs little of the time that it takes, and its memory would be needed for every connection.
AHEAD_BYTES = 1024 * 1024
#: Seconds until an idle session is closed.
IDLE = 5.0
#: Seconds that a stop waits: for deliveries begun, and for those announced for DATA, which would else become `unknown`.
GRACE, DATA_GRACE = 2.0, 20.0
#: Seconds until a task that goes on although it was cancelled is cancelled again: more than the end of a session takes.
CANCEL_AGAIN = 3.0

Key = tuple[int, int]


class Shift:
    """One run of a worker, from start to stop."""

    def __init__(self, worker: Relaying) -> None:
        self._worker = worker
        self._vault = worker.vault
        self._ledger = Ledger(worker.vault, worker.spent)
        self._greeting = Greeting(worker.vault, self._ledger, worker, worker.access.gateway_id)
        self._ahead = Ahead(worker.vault, self._open)
        # By `Claim.key`: a delivery whose lease ran out, as while the machine slept, may be claimed here once more.
        self._held: dict[Key, Claim] = {}
        #: Claims recorded as about to be sent: the states of their recipients before, and what is being sent.
        self._announced: dict[Key, tuple[dict[int, State], Parcel] | None] = {}
        #: Of these, those whose content may have been sent, and those recorded while the message before was sent, and
        #: when (Unix ms).
        self._begun: set[Key] = set()
        self._marks: dict[Key, tuple[asyncio.Future[None], int]] = {}
        self._progress = asyncio.Event()

    async def work(self, stop: asyncio.Event, *, until_idle: bool, deadline: float | None) -> None:
        worker = self._worker
        worker.host_name = worker.host_name or await local_host_name()
        # If somebody waits for the end, give up writing an outcome when the lease ends, as a killed worker would.
        self._patience = worker.lease / 1000 if until_idle else math.inf
        senders = [asyncio.create_task(self._send_all()) for _ in range(worker.connections)]
        works = (self._keep_leases(), self._greeting.answer(), self._wake_at(stop))
        beside = [asyncio.create_task(each) for each in works]
        try:
            await self._feed(stop, until_idle, deadline)
            await self._drain(senders)
        finally:
            await _ended((*beside, *senders))
            await self._return(list(self._held.values()))
            await self._ahead.close()
            await self._ledger.close()

    async def _wake_at(self, stop: asyncio.Event) -> None:
        await stop.wait()
        self._progress.set()

    async def _feed(self, stop: asyncio.Event, until_idle: bool, deadline: float | None) -> None:
        worker = self._worker
        while not stop.is_set() and (deadline is None or time.monotonic() < deadline):
            self._progress.clear()
            if self._ahead.unopened >= worker.connections or worker.paused:
                await self._ledger.read(worker.read_relay)  # So that messages in hand go to a relay just changed.
            elif (
                await self._claim(worker.connections * CLAIMED - self._ahead.unopened)
                and self._ahead.unopened < worker.connections
            ):
                continue
            if until_idle and not self._held:
                return
            # Wake when claims run out, when `stop` is set, or after the poll interval.
            with suppress(TimeoutError):
                async with asyncio.timeout(worker.poll):
                    await self._progress.wait()

    async def _claim(self, limit: int) -> int:
        """Claim up to `limit` deliveries, and have them opened. Returns how many."""
        worker, vault, gateway = self._worker, self._vault, self._worker.access.gateway_id
        try:
            if not await self._ledger.read(lambda: worker.read_relay() and self._any_due()):
                return 0
            claims = await self._ledger.write(
                lambda: claim(vault, gateway, worker.lease_owner, limit, worker.clock.now(), worker.lease)
            )
        except MailholdError as error:
            worker.problem = str(error)
            return 0
        self._held.update((each.key, each) for each in claims)
        self._ahead.add(claims)
        return len(claims)

    def _any_due(self) -> bool:
        with self._vault.reading():
            self._vault.witness.require_current()
        if self._worker.spent is not None:
            self._worker.spent.spend_cancelled(self._vault, self._worker.access)
        with self._vault.reading():
            return bool(due(self._vault, self._worker.access.gateway_id, 1, self._worker.clock.read()))

    async def _keep_leases(self) -> None:
        worker = self._worker
        while True:
            await asyncio.sleep(worker.lease / 3000)
            held = [each.id for each in self._held.values()]
            if held:
                with suppress(MailholdError):
                    now = worker.clock.now()
                    await self._ledger.write(partial(renew, self._vault, worker.lease_owner, held, now, worker.lease))

    async def _drain(self, senders: Sequence[asyncio.Task[None]]) -> None:
        """Give back claims not begun, and wait for the others, longer if their message may be out already."""
        await self._return(self._ahead.give_up())
        began = time.monotonic()
        while self._held and not all(sender.done() for sender in senders):
            grace = DATA_GRACE if self._announced else GRACE
            if time.monotonic() > began + grace:
                return
            self._progress.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(0.1):
                    await self._progress.wait()

    async def _return(self, claims: Sequence[Claim]) -> None:
        """Give back claims, except those that may have been sent: the next claim settles these by their recipients."""
        for each in claims:
            with suppress(MailholdError, LeaseLost):
                if each.key not in self._announced:
                    await self._ledger.write(partial(give_back, self._vault, each))
                elif each.key not in self._begun and (announced := self._announced[each.key]) is not None:
                    await self._withdraw(each, *announced)
            self._held.pop(each.key, None)

    async def _withdraw(self, each: Claim, before: Mapping[int, State], parcel: Parcel) -> None:
        """Give back a claim that was announced, but whose content was not sent."""
        if marked := self._marks.pop(each.key, None):
            await self._ledger.now(marked[0])
        await self._strike(parcel, list(parcel.rows))
        now, releases = self._worker.clock.now(), list(parcel.releases.values())
        await self._ledger.write(lambda: withdraw(self._vault, each, before, releases, now))
        self._announced.pop(each.key, None)

    def _open(self, each: Claim) -> Parcel:
        """Open the message of a claim. In a thread."""
        worker = self._worker
        names, now = (worker.resent_from, worker.host_name), worker.clock.now()
        return pack(worker.access, each, *names, now, ignored=worker.ignored, spent=worker.spent)

    async def _send_all(self) -> None:
        session: Session | None = None
        ending: asyncio.Task[None] | None = None
        following: list[Ready] = []
        try:
            while True:
                ready = following.pop() if following else self._ahead.take_nowait()
                if ready is None:
                    try:
                        # Not `wait_for`: in Python 3.11 it swallows a cancellation if a message comes just then.
                        async with asyncio.timeout(IDLE):
                            ready = await self._ahead.take()
                    except TimeoutError:
                        if session:
                            await session.close()
                        continue
                each, parcel = ready
                outcomes: dict[int, Outcome] | None = None
                try:
                    session, outcomes = await self._deliver(each, parcel, session, following)
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
                self._begun.add(each.key)  # There are outcomes to write, so a stop must not give it back.
                await self._settle(each, outcomes)
        except Exception as error:
            self._stopped(each, error)
        self._let_go(each)

    def _stopped(self, each: Claim, error: Exception) -> None:
        # Leave the lease to expire; the next claim decides by the recipients' states whether to resend.
        self._worker.problem = f"Delivery {each.id} stopped unexpectedly: {error!r}."

    def _let_go(self, each: Claim) -> None:
        self._held.pop(each.key, None)
        self._announced.pop(each.key, None)
        self._begun.discard(each.key)
        self._marks.pop(each.key, None)
        if not self._held or self._ahead.unopened < self._worker.connections:
            self._progress.set()

    async def _deliver(
        self, each: Claim, parcel: Parcel | Exception, session: Session | None, following: list[Ready]
    ) -> tuple[Session | None, dict[int, Outcome] | None]:
        """Make one attempt. Returns the session for the next one, and the outcomes (None: lease lost, or held)."""
        if isinstance(parcel, MailholdError):
            self._worker.problem = str(parcel)
            return session, dict.fromkeys(each.live, Outcome(State.DEFERRED, str(parcel)))
        if isinstance(parcel, Exception):
            self._stopped(each, parcel)
            return session, None
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
        failed: dict[str, Outcome] = {}
        try:
            session, outcomes = await self._attempt(each, parcel, session, following, failed)
        except LeaseLost:
            return session, None
        except (SessionLost, MailholdError) as error:  # DATA was not sent, though it may have been announced.
            outcomes = dict.fromkeys(parcel.rows, Outcome(State.DEFERRED, str(error))) | failed
        refused = [to for to, outcome in outcomes.items() if outcome.state not in (State.SENT, State.UNKNOWN)]
        if each.key in self._announced and refused:
            try:
                if marked := self._marks.pop(each.key, None):
                    await self._ledger.now(marked[0])
            except LeaseLost:
                return session, None
            except MailholdError:
                pass
            with suppress(MailholdError):  # On failure, it is not sent again from here.
                await self._strike(parcel, refused)
        return session, {parcel.rows[address]: parcel.told(outcome) for address, outcome in outcomes.items()}

    async def _attempt(
        self, each: Claim, parcel: Parcel, session: Session | None, following: list[Ready], failed: dict[str, Outcome]
    ) -> tuple[Session, dict[str, Outcome]]:
        """Send over `session`, or over a new session if that one was closed since its last use.

        Adds to `failed` whom the relay refused for good. Once that is recorded, anybody may release the copy to them
        anew, so this delivery must not go to them any more, whatever the relay would say next time.
        """

        async def before_data(accepted: Sequence[str], refused: Mapping[str, Outcome]) -> None:
            failed.update((address, outcome) for address, outcome in refused.items() if not outcome.state.live)
            if marked := self._marks.pop(each.key, None):
                mark, at = marked
                await self._ledger.now(mark)
                # One recorded long ago is recorded again: its lease may be lost since.
                fresh = 0 <= self._worker.clock.now() - at < self._worker.lease // 3
                if fresh and len(accepted) == len(parcel.rows):
                    return
            if each.key in self._announced and refused:
                await self._strike(parcel, list(refused))
            await self._ledger.now(self._announce(each, parcel, accepted, refused))

        def before_content() -> None:
            self._begun.add(each.key)
            if session is not None and session.offers.pipelining and not following:
                self._look_ahead(following)

        parts = (parcel.message, before_data, parcel.dsn, parcel.wire, before_content)
        if session and session.connected and session.relay is self._worker.relay:
            try:
                return session, await session.send(parcel.sender, list(parcel.rows), *parts)
            except SessionLost:
                pass
        if session:
            await session.close()
        session = await self._greeting.connect()
        left = [address for address in parcel.rows if address not in failed]
        try:
            return session, failed | await session.send(parcel.sender, left, *parts)
        except BaseException:
            await session.close(polite=False)  # The caller does not have it yet.
            raise

    def _look_ahead(self, following: list[Ready]) -> None:
        """Take the message that goes out next, and announce it while the present one is on its way."""
        if (ready := self._ahead.take_nowait(AHEAD_BYTES)) is None:
            return
        following.append(ready)
        each, parcel = ready
        if isinstance(parcel, Parcel) and parcel.rows:
            mark = self._announce(each, parcel, list(parcel.rows), {})
            self._marks[each.key] = mark, self._worker.clock.now()

    def _announce(
        self, each: Claim, parcel: Parcel, accepted: Sequence[str], refused: Mapping[str, Outcome]
    ) -> asyncio.Future[None]:
        """Record that the message is about to go to those accepted. Done when it is durable."""
        rows = [parcel.rows[address] for address in accepted]
        others = {parcel.rows[address]: outcome for address, outcome in refused.items()}
        now, lease = self._worker.clock.now(), self._worker.lease
        releases = [parcel.releases[address] for address in accepted if address in parcel.releases]
        retracted = [parcel.releases[address] for address in refused if address in parcel.releases]
        self._announced.setdefault(each.key, (dict(each.recipients), parcel))
        start = Start(each, rows, others, now, lease, releases, retracted)
        return self._ledger.together(self._start_all, start, Spending(parcel.nonce, accepted, each.row.expires_at))

    def _start_all(self, starts: Sequence[Start]) -> list[LeaseLost | None]:
        return start_all(self._vault, starts)

    def _settle_all(self, ends: Sequence[End]) -> list[LeaseLost | State]:
        return settle_all(self._vault, ends)

    async def _strike(self, parcel: Parcel, refused: Sequence[str]) -> None:
        """Note on this machine that the message did not go to these recipients. Raises StoreUnavailable.

        An announcement that is still being written, perhaps of a task that was cancelled, is noted before that.
        """
        if (spent := self._worker.spent) is not None:
            await self._ledger.after(lambda: spent.strike(parcel.nonce, refused))

    async def _settle(self, each: Claim, outcomes: Mapping[int, Outcome]) -> None:
        """Write the outcomes, retrying while the database is away and patience lasts; leases are kept meanwhile."""
        until = time.monotonic() + self._patience
        while True:
            try:
                # Last: a record that DATA was about to be sent must not come after the end of that attempt.
                end = End(each, outcomes, self._worker.clock.now())
                await self._ledger.together(self._settle_all, end, last=True)
            except LeaseLost:
                return
            except MailholdError as error:
                self._worker.problem = str(error)
                if time.monotonic() > until:
                    return
                await asyncio.sleep(0.5)
            else:
                return


async def _ended(tasks: Sequence[asyncio.Task[None]]) -> None:
    """Cancel tasks until they have ended: in Python 3.11 a library's `wait_for` may swallow a cancellation."""
    left = set(tasks)
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=CANCEL_AGAIN)
    await asyncio.gather(*tasks, return_exceptions=True)
