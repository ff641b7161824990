"""Finding handles: the same result for any order of copies, and no act includes a copy that it must not."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from store.campaigns.grouping import LEAST, Grouping, grouped
from store.campaigns.material import Entry, Flags
from store.campaigns.oddness import Reason
from store.campaigns.order import Rank
from tests.store.campaigns.letters import Campaign, single, wave


def members(grouping: Grouping) -> list[set[int]]:
    return [set(handle.copies) for handle in grouping.handles]


def odd_of(grouping: Grouping) -> dict[int, tuple[Reason, ...]]:
    return {one.copy: one.reasons for handle in grouping.handles for one in handle.odd}


def entries_of(numbers: list[int], seed: int, **kinds: int) -> list[Entry]:
    """Make any mixture of campaigns, strangers in them and singles, with any flags."""
    rng = random.Random(seed)
    campaigns = [Campaign(seed * 10 + place) for place in range(3)]
    made = []
    for number in numbers:
        kind, flags = rng.randrange(8), Flags(rng.randrange(32)) if rng.random() < 0.2 else Flags.NONE
        if kind == 0:
            made.append(single(number, flags))
        elif kind == 1:
            made.append(rng.choice(campaigns).stranger(number, flags))
        else:
            made.append(campaigns[kind % 3].copy(number, flags))
    return made


mixtures = st.builds(entries_of, st.lists(st.integers(0, 2**63), unique=True, max_size=90), st.integers(0, 1000))


def test_nothing_gives_no_handles() -> None:
    assert grouped([]) == Grouping((), grouped([]).rest)
    assert not grouped([]).rest


def test_copies_without_traits_are_the_rest() -> None:
    grouping = grouped([Entry(number, [], [], []) for number in range(20)])
    assert not grouping.handles
    assert list(grouping.rest) == list(range(20))


@pytest.mark.parametrize("seed", range(3))
def test_a_small_wave_is_found_and_its_strangers_are_left(seed: int) -> None:
    entries, campaigns = wave(seed)
    grouping = grouped(entries)
    assert sorted(members(grouping), key=len, reverse=True) == campaigns
    assert set(grouping.rest) == {one.copy for one in entries} - set().union(*campaigns)


@settings(max_examples=30, deadline=None)
@given(mixtures, st.randoms(use_true_random=False))
def test_the_order_of_the_copies_changes_nothing(entries: list[Entry], rng: random.Random) -> None:
    first = grouped(entries)
    shuffled = list(entries)
    rng.shuffle(shuffled)
    assert grouped(shuffled) == first


@settings(max_examples=30, deadline=None)
@given(mixtures)
def test_each_copy_has_one_place_and_none_that_is_kept_out_is_in_an_act(entries: list[Entry]) -> None:
    grouping = grouped(entries)
    places = [copy for handle in grouping.handles for copy in (*handle.copies, *(one.copy for one in handle.odd))]
    assert sorted([*places, *grouping.rest]) == sorted(one.copy for one in entries)
    flags = {one.copy: one.flags for one in entries}
    for handle in grouping.handles:
        assert len(handle.fits) == len(handle.copies)
        assert len(handle.copies) + len(handle.odd) >= LEAST
        assert not any(flags[copy] & (Flags.REPLY | Flags.KNOWN | Flags.ALIKE) for copy in handle.copies)
        assert all(one.reasons for one in handle.odd)
        assert handle.seed.inside + len(handle.odd) > 0
    ranks = [handle.rank for handle in grouping.handles]
    assert ranks == sorted(ranks)


@pytest.mark.parametrize(
    ("flag", "reason"),
    [
        (Flags.REPLY, Reason.REPLY),
        (Flags.ALIKE, Reason.ALIKE),
        (Flags.KNOWN, Reason.KNOWN),
        (Flags.CLAIMS, Reason.CLAIMS),
        (Flags.LISTED, Reason.LISTED),
    ],
)
def test_a_copy_of_the_letter_with_a_flag_is_odd_and_says_why(flag: Flags, reason: Reason) -> None:
    campaign = Campaign(1)
    grouping = grouped([*(campaign.copy(number) for number in range(60)), campaign.copy(99, flag)])
    assert odd_of(grouping) == {99: (reason,)}
    assert members(grouping) == [set(range(60))]


@pytest.mark.parametrize(
    ("known", "strangers", "flags", "taken"),
    [
        (25, 40, Flags.KNOWN, True),
        (20, 40, Flags.KNOWN, False),  # A known sender may write this many.
        (25, 20, Flags.KNOWN, False),  # A monitoring system in trouble, and some copies that look like it.
        (25, 40, Flags.KNOWN | Flags.LISTED, False),  # A newsletter.
        (25, 40, Flags.KNOWN | Flags.ALIKE, False),
    ],
)
def test_a_known_sender_of_much_that_strangers_send_too_has_lost_the_account(
    known: int, strangers: int, flags: Flags, taken: bool
) -> None:
    campaign = Campaign(1)
    entries = [campaign.copy(number) for number in range(100, 100 + strangers)]
    entries += [campaign.copy(number, flags)._replace(sender="anna@riosol.example") for number in range(known)]
    entries += [campaign.copy(99, Flags.KNOWN)]
    (handle,) = grouped(entries).handles
    assert 99 in {one.copy for one in handle.odd}, "another known one is still kept out"
    assert (set(range(known)) <= set(handle.copies)) is taken
    assert taken or not set(range(known)) & set(handle.copies)


@pytest.mark.parametrize("flag", [Flags.CLAIMS, Flags.LISTED])
def test_a_flag_that_most_have_is_the_way_of_the_handle(flag: Flags) -> None:
    campaign = Campaign(1)
    grouping = grouped([campaign.copy(number, flag if number % 4 else Flags.NONE) for number in range(60)])
    assert members(grouping) == [set(range(60))]
    assert grouping.handles[0].rank is Rank.CAREFUL


def test_answers_that_carry_nothing_are_shown_with_all_copies_odd_and_get_no_act() -> None:
    campaign = Campaign(1)
    entries = [campaign.copy(number, Flags.REPLY)._replace(payload=[]) for number in range(60)]
    grouping = grouped(entries + [single(n) for n in range(99, 199)])
    assert [(len(one.copies), len(one.odd), one.rank) for one in grouping.handles] == [(0, 60, Rank.SMALL)]
    assert grouping.handles[0].answers == tuple(range(60))


def test_of_answers_that_do_not_fit_as_few_are_shown_as_of_others_that_do_not() -> None:
    campaign = Campaign(1)
    entries = [campaign.copy(number) for number in range(300)]
    entries += [campaign.stranger(number, Flags.REPLY) for number in range(300, 330)]
    grouping = grouped([*entries, campaign.copy(400, Flags.REPLY | Flags.CLAIMS)])
    assert grouping.handles[0].answers == (400,)
    assert len(grouping.handles[0].odd) == 13
    assert not any(set(handle.copies) & set(range(300, 401)) for handle in grouping.handles)


def test_a_letter_of_its_own_with_the_link_of_a_campaign_is_no_part_of_it() -> None:
    campaign = Campaign(1)
    grouping = grouped([*(campaign.copy(number) for number in range(60)), campaign.stranger(99)])
    assert members(grouping) == [set(range(60))]
    assert Reason.CONTENT in odd_of(grouping)[99]


def test_a_domain_of_its_own_is_odd_where_all_others_have_one() -> None:
    campaign = Campaign(1, domain="sender.example")
    other = campaign.copy(99)._replace(sender="accounts@partner.example")
    grouping = grouped([*(campaign.copy(number) for number in range(60)), other])
    assert odd_of(grouping) == {99: (Reason.DOMAIN,)}


def test_few_copies_of_one_sender_and_small_handles_come_last_and_get_no_act() -> None:
    big, small, newsletter = Campaign(1), Campaign(2), Campaign(3)
    entries = [small.copy(number) for number in range(9)]
    entries += [newsletter.copy(number)._replace(sender="news@list.example") for number in range(20, 40)]
    entries += [big.copy(number) for number in range(100, 200)]
    grouping = grouped(entries)
    assert [(len(one.copies), one.rank) for one in grouping.handles] == [
        (100, Rank.PLAIN),
        (9, Rank.SMALL),
        (20, Rank.SENDER),
    ]
    assert [one.rank.offered for one in grouping.handles] == [True, False, False]


def test_what_a_mailing_service_sends_for_many_gets_no_act() -> None:
    service = Campaign(3, domain="service.example")
    grouping = grouped([service.stranger(number) for number in range(60)] + [single(n) for n in range(99, 199)])
    assert [(one.rank, one.rank.offered) for one in grouping.handles] == [(Rank.LISTED, False)]


def test_one_letter_from_many_senders_needs_fewer_copies_for_an_act() -> None:
    letter, singles = Campaign(1), [single(number) for number in range(1000, 6000)]
    entries = [letter.copy(number) for number in range(30)]
    assert [one.rank for one in grouped(entries + singles).handles] == [Rank.PLAIN]
    mixed = [
        one._replace(content=[*one.content, *range(100 * place, 100 * place + 90)]) for place, one in enumerate(entries)
    ]
    assert [one.rank for one in grouped(mixed + singles).handles] == [Rank.SMALL]


def test_another_letter_with_the_same_link_is_left_to_a_handle_of_its_own() -> None:
    campaign = Campaign(1)
    entries = [campaign.copy(number) for number in range(300)]
    strangers = [campaign.stranger(number) for number in range(300, 305)]
    shared = strangers[0].content[:2]
    strangers = [one._replace(content=[*shared, *one.content]) for one in strangers]
    entries = [one._replace(content=[*one.content, *shared]) for one in entries]
    grouping = grouped(entries + strangers)
    assert members(grouping) == [set(range(300))]
    assert list(grouping.rest) == list(range(300, 305))
    assert not grouping.handles[0].odd


def test_a_newsletter_of_one_domain_gets_no_act() -> None:
    newsletter = Campaign(3, domain="list.example")
    grouping = grouped([newsletter.copy(number, Flags.LISTED) for number in range(60)])
    assert [one.rank for one in grouping.handles] == [Rank.LISTED]


def test_the_evidence_counts_copies_inside_and_outside() -> None:
    entries, campaigns = wave(1)
    handle = grouped(entries).handles[0]
    for why in (handle.seed, *handle.evidence):
        having = {one.copy for one in entries if why.key in one.strands[why.strand]}
        assert why.inside == len(having & campaigns[0])
        assert why.outside == len(having - campaigns[0])
    assert {why.strand for why in handle.evidence} == {0, 1, 2}


@settings(max_examples=20, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 59), st.integers(0, 59)), max_size=4))
def test_what_must_not_be_together_is_not(pairs: list[tuple[int, int]]) -> None:
    pairs = [(out, stays) for out, stays in pairs if out != stays]
    campaign = Campaign(1)
    grouping = grouped([campaign.copy(number) for number in range(60)], apart=pairs)
    for handle in members(grouping):
        assert not any({out, stays} <= handle for out, stays in pairs)


def test_what_was_taken_out_is_odd_and_keeps_copies_like_it_out() -> None:
    campaign = Campaign(1)
    out = campaign.copy(900)
    entries = [*(campaign.copy(number) for number in range(60)), out, out._replace(copy=901)]
    assert {900, 901} <= members(grouped(entries))[0]
    grouping = grouped(entries, apart=[(900, 7), (900, 12_345)])
    assert odd_of(grouping)[900] == odd_of(grouping)[901] == (Reason.APART,)


def test_it_ends_where_it_is_told_to_stop() -> None:
    entries, _ = wave(1)
    for after in range(4):
        calls = iter(range(after))

        def stop(calls: object = calls) -> None:
            if next(calls, None) is None:  # type: ignore[call-overload]
                raise InterruptedError

        with pytest.raises(InterruptedError):
            grouped(entries, stop=stop)
