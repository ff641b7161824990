"""Handles of many copies are found in samples, and hold the same copies as a search over all at once."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence

import pytest
from hypothesis import given, settings

from store.campaigns.grouping import Grouping, grouped
from store.campaigns.material import Entry, Flags
from store.campaigns.oddness import Reason
from store.campaigns.sampling import grouped_by_sample
from tests.store.campaigns.letters import Campaign, single
from tests.store.campaigns.test_grouping import members, mixtures, odd_of
from tests.store.campaigns.test_threads import wave as threads

SIZES = (900, 500, 300)


def big(seed: int = 1) -> list[Entry]:
    """Make a wave of three campaigns, one of them of twenty copies, and singles."""
    campaigns = [Campaign(10 * seed + place) for place in range(4)]
    entries: list[Entry] = []
    for campaign, size in zip(campaigns, (*SIZES, 20), strict=True):
        entries += [campaign.copy(len(entries) + n) for n in range(size)]
    return entries + [single(5000 + n) for n in range(300)]


def by_sample(entries: Sequence[Entry], *, at_once: int = 400, drawn: int = 250, **named: object) -> Grouping:
    return grouped_by_sample(
        [one.copy for one in entries],
        reader(entries),
        at_once=at_once,
        drawn=drawn,
        **named,  # type: ignore[arg-type]
    )


def reader(entries: Sequence[Entry]) -> Callable[[Sequence[int]], Iterator[Entry]]:
    of = {one.copy: one for one in entries}
    return lambda ids: (of[copy] for copy in ids if copy in of)


@settings(max_examples=20, deadline=None)
@given(mixtures)
def test_few_copies_are_grouped_at_once(entries: list[Entry]) -> None:
    assert by_sample(entries) == grouped(entries)


def test_large_handles_hold_the_same_copies_and_small_ones_are_found_in_what_is_left() -> None:
    entries = big()
    sampled, whole = by_sample(entries), grouped(entries)
    assert members(sampled) == members(whole)
    assert sampled.rest == whole.rest
    assert [one.rank for one in sampled.handles] == [one.rank for one in whole.handles]
    for one, other in zip(sampled.handles, whole.handles, strict=True):
        assert len(one.fits) == len(one.copies)
        assert one.limits.expected == other.limits.expected


def test_the_same_copies_give_the_same_handles() -> None:
    entries = big()
    shuffled = random.Random(4).sample(entries, len(entries))
    of = {one.copy: one for one in entries}
    again = grouped_by_sample(
        [one.copy for one in shuffled], lambda ids: [of[copy] for copy in ids], at_once=400, drawn=250
    )
    assert again == by_sample(entries)


@settings(max_examples=20, deadline=None)
@given(mixtures)
def test_each_copy_has_one_place_and_none_that_is_kept_out_is_in_an_act(entries: list[Entry]) -> None:
    grouping = by_sample(entries, at_once=10, drawn=30)
    places = [copy for handle in grouping.handles for copy in (*handle.copies, *(one.copy for one in handle.odd))]
    assert sorted([*places, *grouping.rest]) == sorted(one.copy for one in entries)
    flags = {one.copy: one.flags for one in entries}
    for handle in grouping.handles:
        kept_out = Flags.KNOWN | Flags.ALIKE | (Flags.NONE if handle.limits.threads else Flags.REPLY)
        assert not any(flags[copy] & kept_out for copy in handle.copies)
        assert list(handle.copies) == sorted(handle.copies)
        assert [one.copy for one in handle.odd] == sorted(one.copy for one in handle.odd)
    assert list(grouping.rest) == sorted(grouping.rest)


def test_the_evidence_counts_all_copies_and_not_the_sample() -> None:
    entries = big()
    handle = by_sample(entries).handles[0]
    for why in (handle.seed, *handle.evidence):
        having = {one.copy for one in entries if why.key in one.strands[why.strand]}
        assert (why.inside, why.outside) == (len(having & set(handle.copies)), len(having - set(handle.copies)))


def test_flags_keep_copies_out_that_are_in_no_sample() -> None:
    campaign = Campaign(1)
    entries = big()
    entries += [campaign.copy(7000, Flags.KNOWN), campaign.copy(7001, Flags.REPLY), campaign.copy(7002, Flags.ALIKE)]
    entries += [Campaign(10).copy(7010 + n, Flags.KNOWN) for n in range(3)]
    odd = odd_of(by_sample(entries))
    assert [odd[7010 + n] for n in range(3)] == [(Reason.KNOWN,)] * 3


def test_of_other_odd_ones_as_few_are_shown_as_where_all_are_grouped_at_once() -> None:
    campaign = Campaign(10)
    entries = [campaign.copy(number) for number in range(1500)]
    entries += [campaign.copy(9000 + number, Flags.CLAIMS) for number in range(60)]
    entries += [single(20_000 + number) for number in range(600)]
    first, whole = by_sample(entries).handles[0], grouped(entries).handles[0]
    assert (len(first.copies), len(first.odd)) == (len(whole.copies), len(whole.odd)) == (1500, 0)


def test_what_was_taken_out_is_odd_and_keeps_copies_like_it_out() -> None:
    entries = big()
    out = Campaign(10).copy(9000)
    entries += [out, *(out._replace(copy=9001 + number) for number in range(4))]
    assert set(range(9000, 9005)) <= members(by_sample(entries))[0]
    grouping = by_sample(entries, apart=[(9000, 7), (9000, 77_777)])
    odd = odd_of(grouping)
    assert all(odd[copy] == (Reason.APART,) for copy in range(9000, 9005))
    assert 7 in members(grouping)[0]


def test_campaigns_in_stolen_threads_are_found_too() -> None:
    entries = threads()
    more = [one._replace(copy=one.copy + 10_000) for one in entries if one.copy < 90]
    grouping = by_sample([*entries, *more], at_once=200, drawn=200)
    found = [set(one.copies) for one in grouping.handles if one.limits.threads]
    assert found == [{*range(90), *range(10_000, 10_090)}]


def test_copies_that_are_gone_by_then_are_in_none() -> None:
    entries = big()
    there = [one for one in entries if one.copy % 7]
    grouping = grouped_by_sample([one.copy for one in entries], reader(there), at_once=400, drawn=250)
    assert {copy for one in members(grouping) for copy in one} | set(grouping.rest) == {one.copy for one in there}


def test_it_ends_where_it_is_told_to_stop() -> None:
    def stop() -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        by_sample(big(), stop=stop)
