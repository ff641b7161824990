"""Possible campaigns over copies of a real store, drawn at random, without a finder."""

from __future__ import annotations

import random
from array import array
from collections.abc import Sequence

from store.campaigns.grouping import Handle, OddCopy, Why
from store.campaigns.marks import Mark, Marks
from store.campaigns.oddness import Limits, Reason
from store.campaigns.order import Rank
from store.campaigns.standing import Campaign, Standing
from store.campaigns.stored import Found, State, Stored
from store.vault.vault import Vault


def campaign(
    number: int, copies: Sequence[int], odd: Sequence[int] = (), *, fits: bytes = b"", owner: str = ""
) -> Campaign:
    """Make a campaign of these copies; all fit fully unless `fits` is given."""
    return Campaign(
        number,
        Rank.PLAIN,
        array("Q", sorted(copies)),
        fits or bytes([100] * len(copies)),
        tuple(OddCopy(copy, (Reason.FIT,)) for copy in sorted(odd)),
        Why(0, 1, len(copies), 0),
        (),
        f"letter {number}",
        {},
        Mark(number, owner=owner),
    )


def standing_of(
    ids: Sequence[int], seed: int, *, campaigns: int = 4, marks: Marks | None = None, number: int = 1
) -> Standing:
    """Put some copies into campaigns, some as odd ones, and leave the rest outside."""
    rng = random.Random(f"standing-{seed}")
    places: dict[int, tuple[int, bool]] = {}
    for copy in ids:
        if rng.random() < 0.85:
            places[copy] = (rng.randrange(1, campaigns + 1), rng.random() < 0.1)
    made = []
    for each in range(1, campaigns + 1):
        copies = sorted(copy for copy, (place, odd) in places.items() if place == each and not odd)
        odd = [copy for copy, (place, odd) in places.items() if place == each and odd]
        fits = bytes(rng.choice((50, 60, 74, 75, 90, 100)) for _ in copies)
        owner = (marks.of(each).owner if marks else "") or rng.choice(("", "", "ada"))
        made.append(campaign(each, copies, odd, fits=fits, owner=owner))
    return Standing(made, number=number)


def store(vault: Vault, standing: Standing) -> None:
    """Write the campaigns as a finder would, so that every reader of the store sees them."""
    limits = Limits(10.0, (True, True, True), (1.0, 1.0, 1.0), False, False, None)
    found = [
        Found(
            one.id,
            Handle(one.rank, one.copies, one.fits, one.odd, one.seed, one.evidence, {1: (0, 1.0)}, limits),
            one.title,
            {1: one.title},
        )
        for one in standing.campaigns
    ]
    newest = vault.id_range()[1]
    Stored(vault).put_found(State(until=newest, looked=newest, found_at=1), found, {})
