"""The rows of the list of campaigns, in order: campaigns, each with its related ones
below, then senders of other copies.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from store.campaigns.keys import Kind, kind_of

if TYPE_CHECKING:
    from store.campaigns.standing import Campaign, Standing
    from store.catalogue.summary import Sender, Summary

#: What related campaigns have in common if they are the work of one sender; most telling first.
_TELLING = {
    Kind.KIT: "same kit",
    Kind.FILE: "same file",
    Kind.PATH: "same link path",
    Kind.HOST: "same link host",
    Kind.LINK_DOMAIN: "same link domain",
    Kind.FILE_NAME: "same file name",
    Kind.COLOURS: "same colours",
}
#: Share of a campaign's copies that must have a key for it to count as the campaign's own.
_ITS_OWN = 0.3


class CampaignRow(NamedTuple):
    """A campaign, the summary of its copies in Backup, and what it has in common with its elder ("" without one)."""

    campaign: Campaign
    summary: Summary
    elder: int = 0
    related: str = ""


class DividerRow(NamedTuple):
    """The rule above the senders of copies that are in no campaign: numbers of these copies and senders."""

    copies: int
    senders: int


class SenderRow(NamedTuple):
    """A sender of copies that are in no campaign, and what is known of it. All text is NOT safe.

    `written_to`: messages sent to it from here; `let_through`: messages from it let through; `alike`: the
    domain that its domain looks like.
    """

    sender: Sender
    position: int
    written_to: int = 0
    let_through: int = 0
    alike: str = ""
    listed: bool = False

    @property
    def known(self) -> bool:
        """True if mail was sent to the sender from here, or let through from it."""
        return bool(self.written_to or self.let_through)


ListRow = CampaignRow | DividerRow | SenderRow


def name_of(campaign: Campaign) -> str:
    """Return a campaign's name: the one an operator gave, else its title, else the text of its evidence. NOT safe."""
    told = (campaign.texts.get(why.key, "") for why in (campaign.seed, *campaign.evidence))
    return campaign.mark.name or campaign.title or next(filter(None, told), f"Campaign {campaign.id}")


def telling_keys(campaign: Campaign) -> dict[int, Kind]:
    """Return the keys by which a campaign can be related to others, with their kinds."""
    size = max(len(campaign.copies), 1)
    found: dict[int, Kind] = {}
    for why in (campaign.seed, *campaign.evidence):
        try:
            kind = kind_of(why.key)
        except ValueError:
            continue
        if kind in _TELLING and why.inside >= _ITS_OWN * size:
            found[why.key] = kind
    return found


def in_order(campaigns: Sequence[Campaign], summaries: Mapping[int, Summary]) -> list[CampaignRow]:
    """List the campaigns for which an act is offered and that have copies in Backup, in the order of their acts.

    Related campaigns follow their elder.
    """
    shown = [one for one in campaigns if one.rank.offered and _there(summaries.get(one.id))]
    found = elders(shown)
    families: dict[int, list[CampaignRow]] = {}
    order: list[int] = []
    for one in shown:
        elder, related = found.get(one.id, (one.id, ""))
        if elder not in families:
            families[elder] = []
            order.append(elder)
        row = CampaignRow(one, summaries[one.id], elder if related else 0, related)
        if related:
            families[elder].append(row)
        else:
            families[elder].insert(0, row)
    return [row for elder in order for row in families[elder]]


def campaign_of(standing: Standing, copy: int) -> Campaign | None:
    """Find the campaign that a copy is in (odd or not) by binary search."""
    for one in standing.campaigns:
        at = bisect_left(one.copies, copy)
        if at < len(one.copies) and one.copies[at] == copy:
            return one
        at = bisect_left(one.odd, copy, key=lambda each: each.copy)
        if at < len(one.odd) and one.odd[at].copy == copy:
            return one
    return None


def _there(summary: Summary | None) -> bool:
    return summary is not None and bool(summary.copies or summary.odd)


def elders(campaigns: Iterable[Campaign]) -> dict[int, tuple[int, str]]:
    """Find each campaign's elder: the oldest campaign with which it shares a telling key.

    Returns the elder's id and the words for the shared key, by the campaign's id. Campaigns without an elder, or for
    which no act is offered, are left out.
    """
    by_age = sorted((one for one in campaigns if one.rank.offered), key=lambda one: one.id)
    own = {one.id: telling_keys(one) for one in by_age}
    shared = Counter(key for keys in own.values() for key in keys)
    first: dict[int, int] = {}
    found: dict[int, tuple[int, str]] = {}
    kinds = list(_TELLING)
    for one in by_age:
        common = [(kinds.index(kind), key) for key, kind in own[one.id].items() if shared[key] > 1 and key in first]
        if common:
            kind, key = min(common, key=lambda pair: (pair[0], first[pair[1]]))
            found[one.id] = first[key], _TELLING[kinds[kind]]
        for key in own[one.id]:
            first.setdefault(key, found[one.id][0] if one.id in found else one.id)
    return found
