"""Turn a claimed delivery into one SMTP transaction. Blocking: call it in a thread."""

from __future__ import annotations

from collections.abc import Set
from typing import NamedTuple

from store.delivery.access import Access
from store.delivery.leases import LONGEST_WAIT, Claim
from store.delivery.marker import field_of, markable, new_token
from store.delivery.release_rows import Release, releases_of
from store.delivery.spent import Spent
from store.delivery.trace import released_message, resent_fields
from store.mail.addresses import address_problem
from store.mail.outcome import Outcome, State
from store.mail.wire import wire_form
from store.terms.dsn import Dsn
from store.terms.errors import CopyMissing, TamperedError

#: Maximum recipients per transaction (RFC 5321, 4.5.3.1.8: every server takes at least that many).
MAX_RECIPIENTS = 100

_NOT_ORDERED = "Not sent: the order does not name this recipient."
_JUDGED_AGAIN = (
    "without a delivery marker, because {}: if the relay leads back through intake, the message is judged again"
)
_SPENT = (
    "Not sent: the store is older than this machine's record, which says that it was sent, may have been sent, or "
    "was cancelled."
)
_FORGONE = (
    "Not sent: it was ordered before the store was restored, so it may have been sent already. Send it again if "
    "nobody got it."
)
_NOT_ALLOWED = "It is infected or probably infected, and Backup settings no longer allow the delivery of such messages."


class Parcel(NamedTuple):
    """One SMTP transaction: `rows` maps addresses to recipient rows. If `refused` is not empty, nothing is sent.

    `releases` are the rows of the message's marker, by address; `unmarked` says why it lacks a marker that it should
    have. `nonce` is the order's. If `held_until` (Unix ms) is not 0, nothing is sent before then. `dsn` is what the
    message's sender asked to be notified of. `wire` is the message as DATA carries it, None if it cannot be sent so.
    """

    sender: str
    rows: dict[str, int]
    message: bytes
    refused: dict[int, Outcome]
    releases: dict[str, Release]
    unmarked: str = ""
    nonce: bytes = b""
    held_until: int = 0
    dsn: Dsn | None = None
    wire: bytes | None = None

    def told(self, outcome: Outcome) -> Outcome:
        """Say in the reply that intake will judge the message again, if it lacks a marker that it should have."""
        if outcome.state is not State.SENT or not self.unmarked:
            return outcome
        return outcome._replace(reply=f"{outcome.reply} ({_JUDGED_AGAIN.format(self.unmarked)})")


def pack(
    access: Access,
    claim: Claim,
    resent_from: str,
    host_name: str,
    now: int,
    ignored: Set[bytes] | None = None,
    spent: Spent | None = None,
) -> Parcel:
    """Open and verify what a claim releases. Puts recipients that must not be sent to in `refused`, with the reason.

    `resent_from` is the address for Resent-From. If the relay leads back through intake, `ignored` are the names (lower
    case) of fields that it may add on the way; None if it does not, and then the message gets no marker. `now` is Unix
    ms by the deciding clock. Raises StoreUnavailable where the copy cannot be read now.
    """
    try:
        order = access.order(claim.row)
        # A later `not_before` was written by a clock that was ahead, and is ignored.
        if now < order.not_before <= now + LONGEST_WAIT:
            return Parcel("", {}, b"", {}, {}, held_until=order.not_before)
        places = list(claim.recipients)
        ordered = {places[each.place]: each.address for each in order.addressees if each.place < len(places)}
        live = claim.live
        strangers = [row for row in live if row not in ordered]
        if strangers:
            return _refusal(strangers, _NOT_ORDERED)
        if access.forgone(order):
            return _refusal(live, _FORGONE, State.UNKNOWN)
        if spent is not None and (gone := spent.of(order.nonce, [ordered[row] for row in live])):
            return _refusal([row for row in live if ordered[row] in gone], _SPENT, State.UNKNOWN)
        if order.dangerous and not access.settings().allow_infected:
            return _refusal(live, _NOT_ALLOWED)
        raw = access.message(claim.row, order)
    except (TamperedError, CopyMissing) as error:
        return _refusal(claim.live, str(error))
    rows = {ordered[row]: row for row in live[:MAX_RECIPIENTS]}
    resent = resent_fields(resent_from, f"{order.nonce.hex()}@{host_name}", now)
    parcel = Parcel(
        sender_of(order.sender), rows, released_message(raw, resent), {}, {}, nonce=order.nonce, dsn=order.dsn
    )
    if ignored is not None:
        parcel = _marked(access, claim, parcel, ignored, now)
    try:
        return parcel._replace(wire=wire_form(parcel.message))
    except ValueError:
        return parcel  # Sending it says why it cannot be sent.


def _marked(access: Access, claim: Claim, parcel: Parcel, ignored: Set[bytes], now: int) -> Parcel:
    """Give the parcel a marker if its message can have one."""
    wire, why = markable(parcel.message)
    if why:
        return parcel._replace(unmarked=why)
    token = new_token()
    try:
        releases = releases_of(access, claim.row, token, parcel.sender, list(parcel.rows), wire, ignored, now)
    except TamperedError as error:
        return parcel._replace(unmarked=error.why)
    return parcel._replace(message=field_of(token) + wire, releases=releases)


def sender_of(address: str) -> str:
    """Return the sender for an envelope. A malformed sender becomes the null sender, so that the copy can be sent.

    A name without a domain, as in local mail, is allowed.
    """
    return "" if address_problem(address if "@" in address else f"{address}@localhost") else address


def _refusal(rows: list[int], why: str, state: State = State.FAILED) -> Parcel:
    return Parcel("", {}, b"", dict.fromkeys(rows, Outcome(state, why)), {})
