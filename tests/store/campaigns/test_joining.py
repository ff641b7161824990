"""A new copy joins the handle in which a full search would put it; copies kept out of the act are odd there too."""

from __future__ import annotations

import pytest

from store.campaigns.grouping import grouped
from store.campaigns.joining import Joiner
from store.campaigns.material import Flags
from store.campaigns.oddness import Reason
from tests.store.campaigns.letters import Campaign, single, wave


def test_without_handles_nothing_joins() -> None:
    assert Joiner([]).join(single(1)) is None


@pytest.mark.parametrize("seed", range(3))
def test_the_copies_of_a_handle_join_it_with_the_fit_that_they_have_there(seed: int) -> None:
    entries, _ = wave(seed)
    grouping = grouped(entries)
    joiner = Joiner(grouping.handles)
    place_of = {
        copy: (place, fit)
        for place, handle in enumerate(grouping.handles)
        for copy, fit in zip(handle.copies, handle.fits, strict=True)
    }
    for entry in entries:
        joined = joiner.join(entry)
        if entry.copy in place_of:
            assert joined is not None
            assert (joined.handle, joined.fit, joined.reasons) == (*place_of[entry.copy], ())
        else:
            assert joined is None


def test_new_copies_of_a_campaign_join_it_and_strangers_do_not() -> None:
    campaigns = [Campaign(place) for place in range(3)]
    entries = [campaign.copy(100 * place + n) for place, campaign in enumerate(campaigns) for n in range(60)]
    grouping = grouped(entries)
    joiner = Joiner(grouping.handles)
    for place, handle in enumerate(grouping.handles):
        campaign = campaigns[handle.copies[0] // 100]
        joined = joiner.join(campaign.copy(999))
        assert joined is not None
        assert (joined.handle, joined.reasons) == (place, ())
        answer = joiner.join(campaign.copy(999, Flags.REPLY))
        assert answer is not None
        assert answer.reasons == (Reason.REPLY,)
    assert joiner.join(single(999)) is None
