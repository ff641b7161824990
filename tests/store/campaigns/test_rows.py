"""What lets copies join a handle is read as it was written, that of a campaign in stolen threads too."""

from __future__ import annotations

import pytest

from store.campaigns.grouping import Handle, grouped
from store.campaigns.marks import Mark
from store.campaigns.rows import packed_joining, unpacked_joining
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
