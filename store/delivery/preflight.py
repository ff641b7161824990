"""Preview of a release: what it would do. Nothing is written.

`look` decides by the same functions as `store.delivery.queue.release`, from records alone. Facts that need the message
itself (`content_of`) take longer: its size as sent, 8-bit bytes, fields removed, body hashes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from store.authority.settings import Settings, ignored_names, read_settings
from store.delivery.choosing import Choice, chosen_of, plans, shared_out
from store.delivery.held import Again, LeftOut, held_of
from store.delivery.hello import Heard, read_hello
from store.delivery.marker import TOKEN_SIZE, digest_of, field_of, markable
from store.delivery.outbox import hold_ms
from store.delivery.outcomes import Unsealed
from store.delivery.parcel import sender_of
from store.delivery.retrying import NO_RELAY
from store.delivery.trace import names_in, resent_fields, rewritten
from store.enrolment.enrolled import delivery_target
from store.mail.addresses import ascii_form, mailbox
from store.mail.dkim import BodyHash, body_hashes
from store.mail.relay import parse_relay
from store.mail.wire import wire_form
from store.terms.errors import CopyMissing, NoRelay, RelayError, TamperedError

if TYPE_CHECKING:
    from store.mail.offers import Offers
    from store.terms.records import Copy
    from store.vault.vault import Vault

_BATCH = 500


class Going(NamedTuple):
    """A copy that would be queued: its addresses, and its size in Backup (bytes).

    `needs_utf8` of the addresses need a relay that offers SMTPUTF8.
    """

    addresses: tuple[str, ...]
    size: int
    needs_utf8: int


@dataclass
class Preflight:
    """Result of a preview: what `release` would do with a choice, and what is known of the relay.

    `going` is what it would queue (by copy id); `refused`, `left_out` and `withheld` are as in its result; `addresses`
    is the number of mailboxes that would get something. `gateway` is the name of the gateway that sends ("" if a
    console or a command does), NOT safe for a terminal, as are addresses. `relay` is that of the settings, without its
    password. `heard` is its last answer to that gateway, None if unknown; `unheard` then says why the stored answer is
    not trusted, or "". `hold` is how long (ms) the deliveries wait before they are sent. `lookalikes` are copies that
    go although their sender imitates another, with the reason against them.
    """

    going: dict[int, Going] = field(default_factory=dict)
    refused: list[tuple[int, str]] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)
    withheld: list[int] = field(default_factory=list)
    addresses: int = 0
    gateway_id: int = 0
    gateway: str = ""
    relay: str = ""
    heard: Heard | None = None
    unheard: str = ""
    hold: int = 0
    lookalikes: list[tuple[int, str]] = field(default_factory=list)

    @property
    def offers(self) -> Offers | None:
        """What the relay offers, None if unknown."""
        return self.heard.hello.offers if self.heard is not None and not self.heard.hello.problem else None


def look(
    vault: Vault,
    ids: Sequence[int],
    choice: Choice,
    *,
    cancelled: Callable[[], bool] = lambda: False,
    unsealed: Unsealed | None = None,
) -> Preflight:
    """Preview what `release` would do. Keep `unsealed` from one call to the next to make later calls quick.

    Raises NoRelay, NoRecipients and AddressError as `release` does, UnlockError, StoreUnavailable.
    """
    settings = read_settings(vault)
    if not settings.relay:
        raise NoRelay(NO_RELAY)
    chosen, again = chosen_of(settings, choice), Again(choice.again)
    found = Preflight()
    wanted = list(dict.fromkeys(ids))
    found.hold = hold_ms(settings, len(wanted))
    for at in range(0, len(wanted), _BATCH):
        if cancelled():
            break
        batch = list(plans(vault, settings, wanted[at : at + _BATCH], chosen, found.refused, found.left_out))
        holders = {} if again.everybody else held_of(vault, [plan.copy.id for plan in batch], unsealed)
        for plan in batch:
            free, kept_from = shared_out(plan, holders.get(plan.copy.id, {}), again)
            found.left_out += kept_from
            if free:
                found.going[plan.copy.id] = _going(plan.copy, free)
            else:
                found.withheld.append(plan.copy.id)
    found.lookalikes = [(copy_id, why) for copy_id, why in choice.spared.items() if copy_id in found.going]
    found.addresses = len({mailbox(address) for each in found.going.values() for address in each.addresses})
    _take_relay(vault, settings, found)
    return found


def look_at_relay(vault: Vault) -> Preflight:
    """Find the gateway that would send and the relay's last answer, before anybody is chosen. Raises as `look` does."""
    found = Preflight()
    _take_relay(vault, read_settings(vault), found)
    return found


def _take_relay(vault: Vault, settings: Settings, found: Preflight) -> None:
    target = delivery_target(vault)
    found.gateway_id, found.gateway, found.relay = target.gateway_id, target.name, _shown(settings.relay)
    hear(vault, found)


def hear(vault: Vault, found: Preflight) -> None:
    """Read the relay's last answer to the sending gateway into `found`. Raises StoreUnavailable, UnlockError."""
    found.heard, found.unheard = None, ""
    try:
        take_up(found, read_hello(vault, found.gateway_id))
    except TamperedError as error:
        found.unheard = str(error)


def take_up(found: Preflight, heard: Heard | None) -> None:
    """Use an answer of the relay, unless it comes from another relay than the one set now."""
    if heard is not None and heard.hello.relay in (found.relay, ""):
        found.heard, found.unheard = heard, ""


def _going(copy: Copy, addresses: list[str]) -> Going:
    needs = [address for address in addresses if ascii_form(address) is None]
    if ascii_form(sender_of(copy.record.envelope_sender or "")) is None:
        needs = addresses
    return Going(tuple(addresses), copy.record.size, len(needs))


def _shown(relay: str) -> str:
    try:
        return str(parse_relay(relay))
    except RelayError:
        return ""


class Content(NamedTuple):
    """A message as it would be sent: its bytes, whether 8-bit bytes are among them, and the fields that change.

    Names are spelled as in the message. `signed` are the body hashes of its DKIM signatures, None if not computed.
    `unmarked` says why it lacks a marker that it should have, `problem` why it cannot be sent at all.
    """

    size: int = 0
    eight_bit: bool = False
    taken_off: tuple[str, ...] = ()
    put_on: tuple[str, ...] = ()
    signed: tuple[BodyHash, ...] | None = None
    unmarked: str = ""
    problem: str = ""


class Dressing(NamedTuple):
    """What a release adds to messages: the address for Resent-From, a host's name, and `ignored` for the marker."""

    resent_from: str
    host_name: str
    ignored: Set[bytes] | None


def dressing_of(settings: Settings, host_name: str) -> Dressing:
    """Return what these settings add to messages."""
    ignored = ignored_names(settings) if settings.release_loops else None
    return Dressing(settings.administrator or f"mailhold@{host_name}", host_name, ignored)


def content_of(vault: Vault, copy_id: int, dressing: Dressing, now: int, *, hashes: bool = False) -> Content:
    """Read a copy and preview what would be sent. Checks body hashes only with `hashes`. Raises StoreUnavailable."""
    try:
        return dressed(vault.raw(copy_id), dressing, now, hashes=hashes)
    except (TamperedError, CopyMissing) as error:
        return Content(problem=str(error))


def dressed(raw: bytes, dressing: Dressing, now: int, *, hashes: bool = False) -> Content:
    """Preview what would be sent of the message `raw`, as `store.delivery.parcel.pack` makes it."""
    resent = resent_fields(dressing.resent_from, f"{bytes(16).hex()}@{dressing.host_name}", now)
    message, taken_off, put_on = rewritten(raw, resent)
    unmarked = ""
    if dressing.ignored is not None:
        wire, unmarked = markable(message)
        marker = field_of(bytes(TOKEN_SIZE))
        try:
            digest_of(bytes(TOKEN_SIZE), "", wire, 0, dressing.ignored)
        except TamperedError as error:
            unmarked = unmarked or error.why
        if not unmarked:
            message, put_on = marker + wire, (*names_in(marker), *put_on)
    signed = tuple(body_hashes(message)) if hashes else None
    problem = ""
    if b"\r." in message:  # Without it, no line can be mistaken for the end of the message.
        try:
            wire_form(message)
        except ValueError as error:
            problem = str(error)
    return Content(len(message), not message.isascii(), taken_off, put_on, signed, unmarked, problem)


class Tally(NamedTuple):
    """Totals of the copies that would be sent: exact for those in `contents`, by the size in Backup for the others.

    `read` of them were in `contents`. Sizes are bytes.
    """

    read: int
    largest: int
    too_large: int
    eight_bit: int
    utf8_copies: int
    utf8_addresses: int
    taken_off: Mapping[str, int]
    put_on: Mapping[str, int]
    unmarked: int
    problems: list[tuple[int, str]]


def tally(found: Preflight, contents: Mapping[int, Content]) -> Tally:
    """Sum up the copies that would be sent."""
    known = {copy_id: contents[copy_id] for copy_id in found.going if copy_id in contents}
    sizes = [
        known[copy_id].size if copy_id in known and not known[copy_id].problem else going.size
        for copy_id, going in found.going.items()
    ]
    needing = [going.needs_utf8 for going in found.going.values() if going.needs_utf8]
    offers = found.offers
    return Tally(
        len(known),
        max(sizes, default=0),
        0 if offers is None else sum(not offers.takes(size) for size in sizes),
        sum(each.eight_bit for each in known.values()),
        len(needing),
        sum(needing),
        _counted(each.taken_off for each in known.values()),
        _counted(each.put_on for each in known.values()),
        sum(bool(each.unmarked) for each in known.values()),
        [(copy_id, each.problem) for copy_id, each in known.items() if each.problem],
    )


def _counted(names: Iterable[tuple[str, ...]]) -> dict[str, int]:
    """Count the messages that each name is in, ignoring case; spelled as first seen."""
    counts: Counter[str] = Counter()
    spelled: dict[str, str] = {}
    for each in names:
        for name in each:
            spelled.setdefault(name.lower(), name)
        counts.update({name.lower() for name in each})
    return {spelled[name]: counts[name] for name in spelled}
