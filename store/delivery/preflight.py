"""What a release would do, found out before it is asked for: nothing is written.

`look` decides as `store.delivery.queue.release` does, by the same functions, from records alone. What only a message
itself tells (`content_of`) takes longer: its size as it will be sent, 8-bit bytes, fields taken off, body hashes.
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
from store.mail.client import wire_form
from store.mail.dkim import BodyHash, body_hashes
from store.mail.relay import parse_relay
from store.terms.errors import CopyMissing, NoRelay, RelayError, TamperedError

if TYPE_CHECKING:
    from store.mail.offers import Offers
    from store.terms.records import Copy
    from store.vault.vault import Vault

_BATCH = 500


class Going(NamedTuple):
    """A copy that would be placed in the queue: to whom, and its size in bytes as it lies in Backup.

    `needs_utf8` of its addresses can be reached through a relay that offers SMTPUTF8 only.
    """

    addresses: tuple[str, ...]
    size: int
    needs_utf8: int


@dataclass
class Preflight:
    """What `release` would do with a choice, and what is known of the relay.

    `going`, `refused`, `left_out` and `withheld` are what it would queue (by copy id), and its result's; `addresses` is
    the number of mailboxes that would get something. `gateway` is the name of who sends, "" where that is a console or
    a command, and NOT safe for a terminal, as are addresses. `relay` is that of the settings, without its password.
    `heard` is what it answered that gateway last, None where nothing is known; `unheard` then says why what the store
    holds is not believed, or "". `hold` is how long (ms) what is queued waits before anything takes it.
    `lookalikes` are going although their sender only looks like another, with the reason against them.
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
        """What the relay offers, None where that is not known."""
        return self.heard.hello.offers if self.heard is not None and not self.heard.hello.problem else None


def look(
    vault: Vault,
    ids: Sequence[int],
    choice: Choice,
    *,
    cancelled: Callable[[], bool] = lambda: False,
    unsealed: Unsealed | None = None,
) -> Preflight:
    """Find out what `release` would do. `unsealed`, kept from one call to the next, makes the later ones quick.

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
    """Who would send, and what the relay answered him, where nobody was chosen yet. Raises as `look` does."""
    found = Preflight()
    _take_relay(vault, read_settings(vault), found)
    return found


def _take_relay(vault: Vault, settings: Settings, found: Preflight) -> None:
    target = delivery_target(vault)
    found.gateway_id, found.gateway, found.relay = target.gateway_id, target.name, _shown(settings.relay)
    hear(vault, found)


def hear(vault: Vault, found: Preflight) -> None:
    """Take up what the gateway that sends heard from the relay last. Raises StoreUnavailable, UnlockError."""
    found.heard, found.unheard = None, ""
    try:
        take_up(found, read_hello(vault, found.gateway_id))
    except TamperedError as error:
        found.unheard = str(error)


def take_up(found: Preflight, heard: Heard | None) -> None:
    """Go by an answer of the relay, unless it is that of another one than is set now."""
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
    """A message as it would be sent: its bytes, whether 8-bit ones are among them, and the fields that differ.

    Names are as the message spells them. `signed` are its DKIM signatures' body hashes, None where nobody looked.
    `unmarked` says why it gets no marker where it was to have one, `problem` why it cannot be sent at all.
    """

    size: int = 0
    eight_bit: bool = False
    taken_off: tuple[str, ...] = ()
    put_on: tuple[str, ...] = ()
    signed: tuple[BodyHash, ...] | None = None
    unmarked: str = ""
    problem: str = ""


class Dressing(NamedTuple):
    """What is put on messages that go out: the address for Resent-From, a host's name, and the marker's `ignored`."""

    resent_from: str
    host_name: str
    ignored: Set[bytes] | None


def dressing_of(settings: Settings, host_name: str) -> Dressing:
    """Describe what these settings add to messages."""
    ignored = ignored_names(settings) if settings.release_loops else None
    return Dressing(settings.administrator or f"mailhold@{host_name}", host_name, ignored)


def content_of(vault: Vault, copy_id: int, dressing: Dressing, now: int, *, hashes: bool = False) -> Content:
    """Read a copy, and see what would be sent of it; its body hashes only with `hashes`. Raises StoreUnavailable."""
    try:
        return dressed(vault.raw(copy_id), dressing, now, hashes=hashes)
    except (TamperedError, CopyMissing) as error:
        return Content(problem=str(error))


def dressed(raw: bytes, dressing: Dressing, now: int, *, hashes: bool = False) -> Content:
    """See what would be sent of the message `raw`, as `store.delivery.parcel.pack` makes it."""
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
    if b"\r." in message:  # Else nothing in it could be taken for its end.
        try:
            wire_form(message)
        except ValueError as error:
            problem = str(error)
    return Content(len(message), not message.isascii(), taken_off, put_on, signed, unmarked, problem)


class Tally(NamedTuple):
    """What the copies that would be sent come to; those of `contents` exactly, the others by their size in Backup.

    `read` of them were read. Sizes are bytes.
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
    """Sum up what is known of the copies that would be sent."""
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
    """In how many messages each name stands, whatever its case; spelled as where it was first seen."""
    counts: Counter[str] = Counter()
    spelled: dict[str, str] = {}
    for each in names:
        for name in each:
            spelled.setdefault(name.lower(), name)
        counts.update({name.lower() for name in each})
    return {spelled[name]: counts[name] for name in spelled}
