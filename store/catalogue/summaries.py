"""Totals for sets of copies: per campaign, and per sender whose copies no campaign act applies to.

    summary(catalogue, ids)              of any copies
    summaries(catalogue, standing)       of every campaign, by its id
    senders(catalogue, standing)         by sender, copies that fit no campaign with offered acts

Only copies in the catalogue are counted, not deleted ones or ones not loaded yet. Call these functions in a worker: the
first call after loading takes up to two seconds more per million copies. Importing this module imports no Polars.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from store.catalogue.summary import NoSenders, Sender, SendersLeft, Summary

if TYPE_CHECKING:
    from store.campaigns.standing import Standing
    from store.catalogue.catalogue import Catalogue

__all__ = ["NoSenders", "Sender", "SendersLeft", "Summary", "senders", "summaries", "summary"]


def summary(catalogue: Catalogue, ids: Iterable[int]) -> Summary:
    """Sum up these copies."""
    if (frame := catalogue.frame) is None:
        return Summary()
    from store.catalogue.summing import summed

    return summed(frame, {0: (ids, ())}, catalogue.now())[0]


def summaries(catalogue: Catalogue, standing: Standing) -> dict[int, Summary]:
    """Sum up the copies that fit each campaign."""
    if (frame := catalogue.frame) is None:
        return {one.id: Summary() for one in standing.campaigns}
    from store.catalogue.summing import summed_campaigns

    return summed_campaigns(frame, standing, catalogue.now())


def senders(catalogue: Catalogue, standing: Standing) -> SendersLeft:
    """List the senders of the copies that no campaign act applies to."""
    if (frame := catalogue.frame) is None:
        return NoSenders()
    from store.catalogue.summing import FrameSenders

    return FrameSenders(frame, standing)
