"""Campaigns and their join data are read as they were written, and take few bytes."""

from __future__ import annotations

from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.campaigns.grouping import Handle, grouped
from store.campaigns.marks import Mark
from store.campaigns.rows import Ids, packed_campaign, packed_ids, packed_joining, unpacked_ids, unpacked_joining
from store.campaigns.standing import Campaign
from tests.store.campaigns.letters import Campaign as Letters
from tests.store.campaigns.letters import single
from tests.store.campaigns.test_threads import wave


def handles() -> list[Handle]:
    one = Letters(4, domain="sender.example")
    return [
        *grouped(wave()).handles,
        *grouped([*(one.copy(number) for number in range(60)), *(single(number) for number in range(99, 199))]).handles,
    ]


@pytest.mark.parametrize("handle", handles(), ids=lambda one: one.rank.name)
def test_what_lets_copies_join_is_read_as_it_was_written(handle: Handle) -> None:
    campaign = Campaign(
        7, handle.rank, handle.copies, handle.fits, handle.odd, handle.seed, handle.evidence, "", {}, Mark(7)
    )
    read = unpacked_joining(packed_joining(3, handle), campaign, 3)
    assert read.limits == handle.limits
    assert read.weights == {key: (strand, pytest.approx(weight)) for key, (strand, weight) in handle.weights.items()}
    assert read._replace(weights={}) == handle._replace(weights={})


@given(st.sets(st.integers(1, (1 << 62))))
def test_ids_are_read_as_they_were_written(ids: set[int]) -> None:
    assert list(unpacked_ids(packed_ids(sorted(ids)))) == sorted(ids)


@pytest.mark.parametrize(
    "ids", [Ids(b"\xff"), Ids(b"\1", b"12345678"), Ids(b"\xff", b"1234567"), Ids(b"\xff\xff", b"\xff" * 16)]
)
def test_ids_that_nobody_wrote_are_refused(ids: Ids) -> None:
    with pytest.raises(ValueError):
        unpacked_ids(ids)


def test_a_copy_takes_few_bytes() -> None:
    handle = handles()[0]
    copies = array("Q", range(40, 4_000_000, 40))
    many = handle._replace(copies=copies, fits=bytes(len(copies)))
    assert len(packed_campaign(1, many, "", {})) < 2.1 * len(copies)
