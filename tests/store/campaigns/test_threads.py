"""A campaign in stolen threads is a handle of its own; it holds neither good answers nor aimed copies of them."""

from __future__ import annotations

import random

from store.campaigns.grouping import Grouping, grouped
from store.campaigns.joining import Joiner
from store.campaigns.material import Entry, Flags
from store.campaigns.oddness import Reason
from store.campaigns.order import Rank
from tests.store.campaigns.letters import Campaign, single


def answer(number: int, campaign: Campaign, firm: int, flags: Flags = Flags.REPLY) -> Entry:
    """Make a letter of the campaign above a thread stolen from a firm: with the firm's disclaimer, name and network."""
    copy = campaign.copy(number, flags)
    return copy._replace(
        content=[*copy.content, *disclaimer(firm)], origin=firm_keys(firm), sender=f"ann@firm{firm}.example"
    )


def disclaimer(firm: int) -> list[int]:
    """Make the disclaimer that the firm writes below each letter."""
    rng = random.Random(f"disclaimer-{firm}")
    return [rng.getrandbits(64) for _ in range(20)]


def firm_keys(firm: int) -> list[int]:
    """Return the keys of the firm's sending servers."""
    rng = random.Random(f"firm-{firm}")
    return [rng.getrandbits(64) for _ in range(4)]


def real(number: int, firm: int, *, aimed: bool = False) -> Entry:
    """Make an answer of the firm, or an aimed copy from a look-alike domain with the firm's disclaimer."""
    lone = single(number, Flags.REPLY)
    domain = f"firm{firm}-mail.example" if aimed else f"firm{firm}.example"
    return lone._replace(
        content=[*lone.content, *disclaimer(firm)],
        origin=lone.origin if aimed else firm_keys(firm),
        sender=f"ann@{domain}",
    )


def wave() -> list[Entry]:
    campaign = Campaign(1)
    stolen = [answer(number, campaign, number % 6) for number in range(90)]
    good = [real(number, number % 6) for number in range(1000, 1018)]
    aimed = [real(number, number % 6, aimed=True) for number in range(2000, 2006)]
    return [*stolen, *good, *aimed, *(single(number) for number in range(3000, 3200))]


def threads(grouping: Grouping) -> list[set[int]]:
    return [set(one.copies) for one in grouping.handles if one.limits.threads]


def test_a_campaign_in_stolen_threads_is_a_handle_without_the_firms_answers_and_aimed_copies() -> None:
    grouping = grouped(wave())
    assert threads(grouping) == [set(range(90))]
    handle = next(one for one in grouping.handles if one.limits.threads)
    assert (handle.rank, handle.rank.offered, handle.rank.sure, handle.odd) == (Rank.THREADS, True, False, ())
    others = [one for one in grouping.handles if one is not handle]
    assert not any(copy >= 1000 for one in others for copy in one.copies)


def test_its_keys_are_of_content_and_payload_alone() -> None:
    handle = next(one for one in grouped(wave()).handles if one.limits.threads)
    assert {strand for strand, _ in handle.weights.values()} == {0, 1}


def test_look_alike_senders_are_odd_in_it_and_known_ones_where_one_account_was_stolen() -> None:
    campaign = Campaign(1)
    entries = [*wave(), answer(100, campaign, 1, Flags.REPLY | Flags.KNOWN)]
    entries += [answer(101, campaign, 2, Flags.REPLY | Flags.ALIKE)]
    handle = next(one for one in grouped(entries).handles if one.limits.threads)
    assert [(one.copy, one.reasons) for one in handle.odd] == [(101, (Reason.ALIKE,))]
    assert 100 in handle.copies
    entries = [answer(number, campaign, 1) for number in range(90)]
    # If all copies quote a single firm, a larger share of the text must be the campaign's: drop the disclaimer.
    entries = [one._replace(content=one.content[:-20]) for one in entries]
    entries += [entries[5]._replace(copy=100, flags=Flags.REPLY | Flags.KNOWN)]
    handle = grouped([*entries, *(single(number) for number in range(3000, 3200))]).handles[0]
    assert (len(handle.copies), handle.rank) == (90, Rank.THREADS)
    assert [(one.copy, one.reasons) for one in handle.odd] == [(100, (Reason.KNOWN,))]


def test_answers_on_a_mailing_list_are_none() -> None:
    campaign = Campaign(1)
    entries = [answer(number, campaign, number % 6, Flags.REPLY | Flags.LISTED) for number in range(90)]
    assert not threads(grouped(entries + [single(number) for number in range(3000, 3200)]))


def test_letters_of_their_own_with_the_line_of_a_mail_program_are_none() -> None:
    line, link = [random.Random(7).getrandbits(64) for _ in range(3)], [random.Random(8).getrandbits(64)]
    entries = []
    for number in range(90):
        lone = single(number, Flags.REPLY)
        entries.append(lone._replace(content=[*lone.content, *line], payload=link))
    assert not threads(grouped(entries + [single(number) for number in range(3000, 3200)]))


def test_what_one_firm_writes_below_its_letters_makes_none() -> None:
    logo = [random.Random(9).getrandbits(64)]
    entries = [real(number, 1)._replace(payload=logo) for number in range(90)]
    entries = [one._replace(content=one.content[:32]) for one in entries]
    assert not threads(grouped(entries + [single(number) for number in range(3000, 3200)]))
    spread = [one._replace(sender=f"ann@other{one.copy % 9}.example") for one in entries]
    assert threads(grouped(spread + [single(number) for number in range(3000, 3200)])) == [set(range(90))]


def test_what_was_taken_out_of_it_is_odd_there() -> None:
    handle = next(one for one in grouped(wave(), apart=[(5, 7)]).handles if one.limits.threads)
    assert Reason.APART in next(one.reasons for one in handle.odd if one.copy == 5)


def test_new_answers_join_it_and_those_of_the_firms_do_not() -> None:
    grouping = grouped(wave())
    place = next(number for number, one in enumerate(grouping.handles) if one.limits.threads)
    joiner = Joiner(grouping.handles)
    joined = joiner.join(answer(5000, Campaign(1), 3))
    assert joined is not None
    assert (joined.handle, joined.reasons) == (place, ())
    for aimed in (False, True):
        other = joiner.join(real(5001, 3, aimed=aimed))
        assert other is None or other.reasons
