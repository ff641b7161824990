"""Send a delivery again, or cancel it.

Sending again reaches only recipients who did not get the message. Only an operator can send again to `unknown`
recipients, who may have got it. A mailbox that another delivery of the copy has reached, may have reached or will reach
is left out, unless the operator chose it.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any, NamedTuple

from store.authority.audit import record_event
from store.authority.settings import Settings, read_settings
from store.database.clock import decides_ms
from store.database.connection import run
from store.delivery.damaged import withdraw
from store.delivery.held import Again, LeftOut, held_elsewhere, why
from store.delivery.leases import call_off, set_free
from store.delivery.listing import Delivery, delivery_of, recipient_rows, row_of
from store.delivery.orders import Addressee, SealedRecipient, sign_at_once, unseal_recipient, verify_order
from store.delivery.outcomes import opened_rows
from store.delivery.placing import INFECTED, write_order
from store.enrolment.enrolled import delivery_target, is_alive
from store.mail.addresses import mailbox
from store.mail.outcome import LIVE, RETRIABLE, State
from store.sealing.keys import LOCAL_ID
from store.terms.errors import DeliveryError, InfectedRefused, NoRelay, TamperedError

if TYPE_CHECKING:
    from store.terms.records import Copy
    from store.vault.vault import Vault

NO_RELAY = "No relay is set, so nothing can be delivered. Set the relay in Settings, for example smtp://host:port."

_WAITS = "UPDATE delivery_recipient SET state = ?, changed_at = ? WHERE id = ?"
_REOPEN = (
    "UPDATE delivery SET state = ?, attempts = 0, next_attempt_at = ?, lease_token = lease_token + 1, "
    "data_started_at = NULL, finished_at = NULL WHERE id = ?"
)


class RetryRecipient(NamedTuple):
    """One recipient of a delivery that may be sent again. `address` and `reply` are NOT safe for a terminal.

    `at` is when its state was reached (Unix ms). `sends`: the retry would send to it. `left_out`: why another delivery
    prevents that, unless the address is in `again`. `twice`: the message may arrive twice if sent to it.
    """

    address: str
    state: State
    at: int
    reply: str
    sends: bool
    left_out: str
    twice: bool


class RetryPlan(NamedTuple):
    """What `retry` would do with a delivery. `live`: it is unfinished, and only sent sooner than planned."""

    delivery_id: int
    copy_id: int
    live: bool
    recipients: tuple[RetryRecipient, ...]

    @property
    def intent(self) -> list[tuple[str, State, bool, bool]]:
        """What must not change between showing the plan to an operator and carrying it out."""
        return [(each.address, each.state, each.sends, each.twice) for each in self.recipients]

    @property
    def sends(self) -> int:
        """How many recipients would be sent to."""
        return sum(each.sends for each in self.recipients)

    @property
    def left_out(self) -> list[LeftOut]:
        """Recipients left out because of another delivery."""
        return [LeftOut(self.copy_id, each.address, each.left_out) for each in self.recipients if each.left_out]


def retry_plan(vault: Vault, delivery_id: int, *, again: Collection[str] | bool = ()) -> RetryPlan:
    """Return what `retry` would do now. A delivery that a stopped gateway left half sent is returned to the queue.

    Raises DeliveryError and TamperedError as that does, as far as can be known before.
    """
    delivery = delivery_of(vault, delivery_id)
    _refuse(vault, delivery)
    if delivery.live and delivery.state is State.SENDING:
        with vault.write():
            set_free(vault, row_of(vault, delivery_id), decides_ms(vault.db))
        delivery = delivery_of(vault, delivery_id)
    verify_order(vault, row_of(vault, delivery_id))  # A forged order could send another copy to these recipients.
    # Rows by id are in the order of the recipients; a damaged delivery was refused above.
    rows = list(opened_rows(vault, [delivery.copy_id]))
    elsewhere = held_elsewhere(rows, delivery_id)
    chosen = Again(again)
    planned: list[RetryRecipient] = []
    taken: set[str] = set()
    times = [row.outcome.at for row in rows if row.outcome.delivery_id == delivery_id]
    for recipient, at in zip(delivery.recipients, times, strict=True):
        key, state = mailbox(recipient.address), recipient.state
        wanted = state in LIVE if delivery.live else state in RETRIABLE and key not in taken
        holder = None if delivery.live or not wanted else elsewhere.get(key)
        left_out = why(holder) if holder and recipient.address not in chosen else ""
        sends = wanted and not left_out
        if sends:
            taken.add(key)
        twice = wanted and (state is State.UNKNOWN or holder is not None)
        planned.append(RetryRecipient(recipient.address, state, at, recipient.reply, sends, left_out, twice))
    plan = RetryPlan(delivery_id, delivery.copy_id, delivery.live, tuple(planned))
    if not plan.sends:
        if plan.left_out:
            others = "; ".join(f"{each.address} {each.reason}" for each in plan.left_out)
            raise DeliveryError(f"Delivery {delivery_id} has no recipients left to send to: {others}.")
        raise DeliveryError(f"Delivery {delivery_id} reached all its recipients. There is nothing to send again.")
    return plan


def _refuse(vault: Vault, delivery: Delivery) -> None:
    if delivery.damage:
        raise DeliveryError(
            f"Delivery {delivery.id} is damaged or was tampered with ({delivery.damage}), so it is not sent again. "
            f"{'Cancel it, and deliver' if delivery.live else 'Deliver'} its copy again."
        )
    if delivery.live and delivery.state is State.SENDING and delivery.in_hand(now := decides_ms(vault.db)):
        if delivery.gateway_id == LOCAL_ID or is_alive(vault, delivery.gateway_id):
            raise DeliveryError(f"Delivery {delivery.id} is already being sent. Wait for the result.")
        seconds = (delivery.lease_until - now) // 1000 + 1
        raise DeliveryError(
            f"Delivery {delivery.id} was being sent when its gateway stopped. Try again in {seconds} seconds."
        )


def retry(
    vault: Vault,
    delivery_id: int,
    operator: str = "",
    *,
    again: Collection[str] | bool = (),
    plan: RetryPlan | None = None,
) -> RetryPlan:
    """Send a delivery again now: a waiting one at once, a finished one to those who did not get it.

    A held delivery keeps its order, signed again, so that no machine that sent it already sends it twice. A finished
    one gets a new order. Only this function sends to `unknown` recipients again. Mailboxes that another delivery of the
    copy reached or may yet reach are sent to only if in `again` (True: all). With `plan`, which the operator was shown,
    nothing is done if it does not hold any more. Returns what was done. Raises DeliveryError where there is nothing to
    send again, CopyMissing, NoRelay, InfectedRefused, TamperedError.
    """
    settings = read_settings(vault)
    if not settings.relay:
        raise NoRelay(NO_RELAY)
    with vault.write():
        now_planned = retry_plan(vault, delivery_id, again=again)
        row = row_of(vault, delivery_id)
        if plan is not None and plan.intent != now_planned.intent:
            raise DeliveryError(f"Delivery {delivery_id} has changed in the meantime. Look at it again, then decide.")
        now = decides_ms(vault.db)
        action = "delivery sent again"
        if now_planned.live:
            gone = row.gateway_id != LOCAL_ID and not is_alive(vault, row.gateway_id)
            untried = row.state == State.QUEUED and not row.attempts
            if gone or row.expires_at <= now:
                _address_anew(vault, row, operator, now)
            elif untried:  # A tried order has markers, which are bound to its signature.
                run(vault.db, "UPDATE delivery SET order_signature = ? WHERE id = ?", sign_at_once(vault, row), row.id)
            if untried:
                action = "delivery sent at once"
            run(vault.db, "UPDATE delivery SET next_attempt_at = ? WHERE id = ?", now, delivery_id)
        else:
            _reopen(vault, now_planned, settings, operator, now)
        record_event(vault, action, operator=operator, copies=[row.copy_id])
    return now_planned


def _copy(vault: Vault, copy_id: int) -> Copy:
    found = vault.get_many([copy_id])
    if not found:
        raise vault.missing(copy_id)
    return found[0]


def _address_anew(vault: Vault, row: Any, operator: str, now: int) -> None:
    """Give a delivery whose gateway no longer runs to a gateway that can send it."""
    copy = _copy(vault, row.copy_id)
    places = _recipients(vault, row.id)
    waiting = tuple(Addressee(place, each.address) for place, (_, state, each) in enumerate(places) if state in LIVE)
    write_order(vault, row.id, copy, waiting, delivery_target(vault), operator, now)
    run(vault.db, "UPDATE delivery SET lease_token = lease_token + 1 WHERE id = ?", row.id)


def _recipients(vault: Vault, delivery_id: int) -> list[tuple[int, str, SealedRecipient]]:
    """Return (id, state, content) of each recipient row, in order. Raises TamperedError if one was moved."""
    found = []
    for index, row in enumerate(recipient_rows(vault, [delivery_id])):
        recipient = unseal_recipient(vault, row)
        if recipient.place != index:
            raise TamperedError(f"delivery {delivery_id}", "its recipients were changed")
        found.append((row.id, row.state, recipient))
    return found


def _reopen(vault: Vault, plan: RetryPlan, settings: Settings, operator: str, now: int) -> None:
    copy, delivery_id = _copy(vault, plan.copy_id), plan.delivery_id
    if copy.record.dangerous and not settings.allow_infected:
        raise InfectedRefused(f"Copy {copy.id} is not sent again: {INFECTED}.")
    again: list[Addressee] = []
    for (row_id, _, recipient), planned in zip(_recipients(vault, delivery_id), plan.recipients, strict=True):
        if planned.sends:
            again.append(Addressee(recipient.place, recipient.address))
            run(vault.db, _WAITS, State.QUEUED.value, now, row_id)
    write_order(vault, delivery_id, copy, tuple(again), delivery_target(vault), operator, now)
    run(vault.db, _REOPEN, State.QUEUED.value, now, delivery_id)


def cancel(vault: Vault, delivery_id: int, operator: str = "") -> None:
    """Cancel a delivery. Recipients whose message may be out already become `unknown`, the others `cancelled`.

    Damaged deliveries can be cancelled too. Raises DeliveryError where it is finished, or is being sent at this very
    moment.
    """
    with vault.write():
        delivery = delivery_of(vault, delivery_id)
        if not delivery.live:
            raise DeliveryError(f"Delivery {delivery_id} is finished ({delivery.state}). There is nothing to cancel.")
        now = decides_ms(vault.db)
        if delivery.damage:
            done = withdraw(vault, delivery_id, now)
        else:
            done = call_off(vault, row_of(vault, delivery_id), now)
        if not done:
            raise DeliveryError(f"Delivery {delivery_id} is being sent right now. Wait for the result.")
        copies = [delivery.copy_id] if delivery.copy_id else []
        damage = f"delivery {delivery_id}, damaged: {delivery.damage}" if delivery.damage else ""
        record_event(vault, "delivery cancelled", operator=operator, copies=copies, detail=damage)
