"""Sentences about what a release would do, for the Deliver message window and `mailhold deliver --dry-run`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple

from store.delivery.choosing import IN_HEADER, NO_ENVELOPE, NO_ONE, NOT_LOCAL
from store.delivery.lookalikes import LOOKALIKE
from store.delivery.placing import INFECTED
from store.mail.dkim import Holds
from store.terms.sizes import format_size
from tui.terminal.safe import safe
from tui.terminal.times import time_left
from tui.terminal.words import addresses, copies, counted

if TYPE_CHECKING:
    from store.delivery.preflight import Content, Preflight, Tally
    from store.mail.dkim import BodyHash

#: Limits: field names in a sentence; characters of a field name, of a domain, of a server's reply.
_NAMES, _NAME, _DOMAIN, _REASON = 8, 40, 100, 120
#: Copies with look-alike senders that are named, and the longest reason given for each (characters).
_LOOKALIKES, _LIKE = 2, 200
_MINUTE, _HOUR, _DAY = 60_000, 3_600_000, 86_400_000

_OF_COPIES = (
    (INFECTED, "infected"),
    (LOOKALIKE, "of look-alike senders"),
    (NO_ENVELOPE, "with addresses in its header only"),
    (NOT_LOCAL, "with addresses in its header only"),
    (NO_ONE, "without a recipient"),
    ("There is no message copy", "no longer in Backup"),
    ("an address of its envelope", "with an address that cannot be used"),
)
_OF_ADDRESSES = (
    (IN_HEADER, "in the header only", "in the header only"),
    ("has it", "has it already", "have it already"),
    ("may have it", "may have it", "may have it"),
    ("waits", "waits for it", "wait for it"),
)


class Said(NamedTuple):
    """A sentence, safe for a terminal. `problem`: it reports a problem; `whom`: it says how many copies go to whom."""

    text: str
    problem: bool = False
    whom: bool = False


def sentences(
    found: Preflight,
    tally: Tally,
    contents: Mapping[int, Content],
    *,
    now: int,
    asking: bool = False,
    undo: str = "undo (z)",
) -> list[Said]:
    """Return all sentences about the release, problems first. `now` is Unix ms.

    `asking`: the relay is being asked again at the moment. `undo` says how the user can cancel it while it is held.
    """
    said = [*_lookalikes(found), *_who(found, tally), *_relay(found, now, asking)]
    if found.going:
        said.append(Said(_hold(found, undo)))
        said += [*_needs(found, tally), *_fields(tally, len(found.going)), *_body_hashes(found, contents)]
    if tally.read < len(found.going):
        said.append(Said(f"Reading the messages: {tally.read:,} of {len(found.going):,}."))
    return sorted(said, key=lambda each: not each.problem)


def relay_sentences(found: Preflight, *, now: int, asking: bool = False) -> list[Said]:
    """Return the sentences about the relay, before recipients are chosen. `now` and `asking` as for `sentences`."""
    return list(_relay(found, now, asking))


def _lookalikes(found: Preflight) -> Iterator[Said]:
    """Name the copies with a look-alike sender, both those left out and those delivered anyway."""
    out = [each for each in found.refused if each[1].startswith(LOOKALIKE)]
    for some, what in ((out, "is left out"), (found.lookalikes, "is delivered anyway")):
        for copy_id, reason in some[:_LOOKALIKES]:
            yield Said(f"Copy {copy_id} {what}: {safe(reason, max_len=_LIKE)}.", True)
        if len(some) > _LOOKALIKES:
            yield Said(f"{len(some) - _LOOKALIKES:,} more like this.", True)


def _who(found: Preflight, tally: Tally) -> Iterator[Said]:
    left = len(found.refused) + len(found.withheld)
    total = len(found.going) + left
    if found.going:
        some = copies(total) if not left else f"{len(found.going):,} of {copies(total)}"
        verb = "goes" if len(found.going) == 1 else "go"
        yield Said(f"{some} {verb} to {addresses(found.addresses)}.", whom=True)
    else:
        yield Said("Nothing will be sent.", True)
    parts = []
    if left:
        reasons = Counter(_copy_reason(reason) for _, reason in found.refused)
        reasons["already delivered or queued"] += len(found.withheld)
        parts.append(f"{copies(left)} ({_listed(reasons)})")
    if found.left_out:
        kinds = Counter(_address_reason(each.reason) for each in found.left_out)
        reasons = Counter({one if number == 1 else many: number for (one, many), number in kinds.items()})
        parts.append(f"{addresses(len(found.left_out))} ({_listed(reasons)})")
    if parts:
        yield Said(f"Left out: {'; '.join(parts)}.", whom=True)
    for copy_id, problem in tally.problems[:1]:
        more = f" And {len(tally.problems) - 1:,} more like this." if len(tally.problems) > 1 else ""
        yield Said(f"Copy {copy_id} would fail: {safe(problem, max_len=_REASON)}{more}", True)
    if tally.unmarked:
        what = counted(tally.unmarked, "copy gets no release marker and is", "copies get no release marker and are")
        yield Said(f"{what} judged again if the relay routes mail back through the gateway.")


def _hold(found: Preflight, undo: str) -> str:
    one, left = len(found.going) == 1, time_left(found.hold)
    if found.hold:
        return f"Held for {left}: until then {undo} can cancel {'it' if one else 'them'}."
    return f"{'It is' if one else 'They are'} sent at once and cannot be cancelled."


def _copy_reason(reason: str) -> str:
    return next((words for begins, words in _OF_COPIES if reason.startswith(begins)), "damaged")


def _address_reason(reason: str) -> tuple[str, str]:
    found = next((each[1:] for each in _OF_ADDRESSES if reason.startswith(each[0])), None)
    return found or ("for another reason", "for another reason")


def _listed(reasons: Counter[str]) -> str:
    return ", ".join(f"{number:,} {words}" for words, number in reasons.items() if number)


def _relay(found: Preflight, now: int, asking: bool) -> Iterator[Said]:
    who = f"The gateway {safe(found.gateway, max_len=_NAME)}" if found.gateway else "This host"
    relay, ending = safe(found.relay, max_len=_DOMAIN), " It is being asked again." if asking else ""
    if found.unheard:
        yield Said(f"{who} sends to {relay}. Its stored answer cannot be trusted: {safe(found.unheard)}", True)
    elif found.heard is None:
        unknown = "is being asked what it accepts" if asking else "has not been asked yet what it accepts"
        yield Said(f"{who} sends to {relay}, which {unknown}.")
    elif reason := found.heard.hello.problem:
        when, why = age(found.heard.at, now), safe(reason, max_len=_REASON)
        yield Said(f"{who} sends to {relay}, which did not answer {when}: {why}.{ending}".replace("..", "."), True)
    else:
        yield Said(f"{who} sends to {relay}, which answered {age(found.heard.at, now)}.{ending}")


def age(at: int, now: int) -> str:
    """Say in words how long ago `at` was (Unix ms): `2 minutes ago`."""
    passed = now - at
    if passed < -_MINUTE:
        return "in the future (a clock is wrong)"
    if passed < _MINUTE:
        return "just now"
    if passed < _HOUR:
        return f"{counted(passed // _MINUTE, 'minute', 'minutes')} ago"
    if passed < _DAY:
        return f"{counted(passed // _HOUR, 'hour', 'hours')} ago"
    return f"{counted(passed // _DAY, 'day', 'days')} ago"


def _needs(found: Preflight, tally: Tally) -> Iterator[Said]:
    offers, largest = found.offers, format_size(tally.largest)
    size = f"It is {largest}" if len(found.going) == 1 else f"The largest is {largest}"
    if offers is None:
        yield Said(f"{size}.")
    elif tally.too_large:
        one, many = "copy is larger than", "copies are larger than"
        limit = format_size(offers.limit)
        yield Said(f"{counted(tally.too_large, one, many)} the {limit} that the relay accepts, and would fail.", True)
    else:
        takes = f"the relay accepts {format_size(offers.limit)}" if offers.limit else "the relay states no limit"
        yield Said(f"{size}; {takes}.")
    if offers is not None and not offers.eight_bit and tally.eight_bit:
        one, many = "copy has 8-bit text", "copies have 8-bit text"
        what = counted(tally.eight_bit, one, many)
        yield Said(f"{what}, and the relay does not offer 8BITMIME: mail servers may change or refuse it.", True)
    if offers is not None and not offers.utf8 and tally.utf8_addresses:
        what = f"{addresses(tally.utf8_addresses)} of {copies(tally.utf8_copies)}"
        yield Said(f"The relay does not offer SMTPUTF8, without which {what} would fail.", True)
    eight_bit = _needed(tally.eight_bit, found, offers is not None and offers.eight_bit)
    if not tally.eight_bit and tally.read < len(found.going):
        eight_bit = "not known yet"
    utf8 = _needed(tally.utf8_copies, found, offers is not None and offers.utf8)
    yield Said(f"8BITMIME: {eight_bit}. SMTPUTF8: {utf8}.")


def _needed(number: int, found: Preflight, offered: bool) -> str:
    """Say how many copies need an SMTP extension, and whether the relay offers it."""
    if not number:
        return "not needed"
    words = "needed" if len(found.going) == 1 else counted(number, "copy needs it", "copies need it")
    return words if found.offers is None else f"{words}, {'offered' if offered else 'not offered'}"


def _fields(tally: Tally, going: int) -> Iterator[Said]:
    if tally.read:
        removed, added = _names(tally.taken_off, going, tally.read), _names(tally.put_on, 1, tally.read)
        yield Said(f"Fields removed: {removed}. Added: {added}.")


def _names(counts: Mapping[str, int], going: int, read: int) -> str:
    """List the names, each with the number of copies unless all copies have it."""
    names = [
        safe(name, max_len=_NAME) + (f" ({number:,})" if going > 1 and number < read else "")
        for name, number in counts.items()
    ]
    more = [f"{len(names) - _NAMES:,} more"] if len(names) > _NAMES else []
    return ", ".join([*names[:_NAMES], *more]) or "none"


def _body_hashes(found: Preflight, contents: Mapping[int, Content]) -> Iterator[Said]:
    if len(found.going) != 1:
        return
    content = contents.get(next(iter(found.going)))
    if content is None or content.problem or content.signed is None:
        return
    if not content.signed:
        yield Said("DKIM: the message is not signed.")
    taken_off = {name.lower().encode() for name in content.taken_off}
    for signed in content.signed:
        yield _body_hash(signed)
        if gone := sorted(name.decode("ascii", "replace") for name in signed.signed & taken_off):
            names = _names(dict.fromkeys(gone, 1), 1, 1)
            yield Said(f"DKIM: {_domain(signed)} signed fields that are removed: {names}.", True)


def _body_hash(signed: BodyHash) -> Said:
    part = "the hash of a part of the body" if signed.partial else "the body hash"
    subject = f"DKIM: {part} of {_domain(signed)}"
    if signed.holds is Holds.YES:
        return Said(f"{subject} matches.")
    if signed.holds is Holds.NO:
        return Said(f"{subject} does not match: the body was changed before the message reached Backup.", True)
    return Said(f"DKIM: a signature of {_domain(signed)} is of a kind that Mailhold does not check.")


def _domain(signed: BodyHash) -> str:
    return safe(signed.domain, max_len=_DOMAIN) or "an unknown domain"


def lines(said: Iterable[Said]) -> str:
    """Join the sentences, one per line; problems are marked with ▲."""
    return "\n".join(f"▲ {each.text}" if each.problem else each.text for each in said)
