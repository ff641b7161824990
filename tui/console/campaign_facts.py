"""The facts about one campaign (its senders, letters and deliveries), read in a worker thread."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from store.mail.outcome import Delivered
from store.terms.sender import addresses
from store.vault.known import any_known
from tui.console.text.campaign_detail import CampaignFacts, letters_of

if TYPE_CHECKING:
    from store.campaigns.standing import Campaign
    from store.catalogue.catalogue import Catalogue
    from store.vault.vault import Vault

#: Most senders looked up (0.1 ms each); most subjects counted.
SENDERS, SUBJECTS = 3_000, 20_000
#: Outcomes of copies that reached or may have reached a mailbox.
_REACHED = frozenset({Delivered.YES, Delivered.PARTLY, Delivered.UNKNOWN})


def facts_of(
    vault: Vault, catalogue: Catalogue, campaign: Campaign, outcomes: Mapping[int, Delivered], now: int
) -> CampaignFacts:
    """Find the facts about the copies that fit a campaign at `now` (Unix ms).

    Of many senders, an even sample is looked up. Raises StoreUnavailable.
    """
    delivered = sum(outcome in _REACHED and _among(campaign.copies, copy) for copy, outcome in outcomes.items())
    if (frame := catalogue.frame) is None:
        return CampaignFacts(0, 0, 0, delivered)
    from store.catalogue.listed import sender_fields, subject_counts
    from store.judging.known_by_address import known_by_address

    fields, number = sender_fields(frame, campaign.copies, most=SENDERS)
    senders = {address.lower() for field in fields for address in addresses(field)[:1]}
    known = known_by_address(vault, senders, now=now)
    return CampaignFacts(
        senders=len(senders) if len(fields) == number else number,
        written_to=sum(one.written_to > 0 for one in known.values()),
        let_through=sum(one.address > 0 for one in known.values()),
        delivered=delivered,
        letters=letters_of(subject_counts(frame, campaign.copies, most=SUBJECTS)),
        looked_up=len(senders),
        counted=any_known(vault),
    )


def _among(ascending: Sequence[int], copy: int) -> bool:
    at = bisect_left(ascending, copy)
    return at < len(ascending) and ascending[at] == copy
