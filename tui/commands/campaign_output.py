"""Output of `mailhold campaigns`: JSON values, and lines that are safe for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from store.terms.sender import address_first
from store.terms.verdicts import verdict_label
from tui.commands.printing import iso, local_time
from tui.terminal.odd_words import STRANDS, kind_words, reasons_words
from tui.terminal.safe import fit, safe
from tui.terminal.words import copies

if TYPE_CHECKING:
    from store.campaigns.grouping import Why
    from store.campaigns.standing import Campaign
    from store.catalogue.summary import Summary, VerdictCounts
    from store.terms.records import Copy

_LABEL = 14


def called(campaign: Campaign) -> str:
    """Return a campaign's name: the one an operator gave, else its title, else the text of its evidence, else its
    number. NOT safe.
    """
    told = (campaign.texts.get(why.key, "") for why in (campaign.seed, *campaign.evidence))
    return campaign.mark.name or campaign.title or next(filter(None, told), f"campaign {campaign.id}")


def as_json(campaign: Campaign, summary: Summary | None) -> dict[str, Any]:
    """Convert a campaign to the JSON object in docs/commands.md. Without a `summary` counts and times are left out."""
    mark = campaign.mark
    sums: dict[str, Any] = {}
    if summary is not None:
        sums = {
            "copies": summary.copies,
            "odd": summary.odd,
            "first": iso(summary.first),
            "last": iso(summary.last),
            "last_hour": summary.last_hour,
            "recipients": summary.recipients,
            "senders": summary.senders,
            "held_by": [
                {
                    "engine": engine.value if engine else None,
                    "status": status.value if status else None,
                    "copies": count,
                }
                for engine, status, count in summary.verdicts
            ],
        }
    return {
        "id": campaign.id,
        **sums,
        "name": called(campaign),
        "title": campaign.title,
        "owner": mark.owner or None,
        "state": mark.state.value,
        "note": mark.note or None,
        "rank": campaign.rank.name.lower(),
        "offered": campaign.rank.offered,
        "joined": list(campaign.parts),
        "evidence": [
            {
                "strand": STRANDS[why.strand].lower(),
                "kind": kind_words(why.key),
                "text": campaign.texts.get(why.key) or None,
                "inside": why.inside,
                "outside": why.outside,
                "seed": number == 0,
            }
            for number, why in enumerate(_evidence(campaign))
        ],
    }


def members(campaign: Campaign, fine: Mapping[int, Copy], odd: Mapping[int, Copy]) -> dict[str, Any]:
    """Return the JSON lists of the campaign's copies with their fits (0 to 100 %), and of its odd copies with the
    reasons.

    `fine` and `odd` map ids to the copies that could be read; other copies are left out.
    """
    return {
        "members": [
            {"id": copy, "fit": fit_} for copy, fit_ in zip(campaign.copies, campaign.fits, strict=True) if copy in fine
        ],
        "odd_members": [
            {"id": each.copy, "reasons": [reason.value for reason in each.reasons]}
            for each in campaign.odd
            if each.copy in odd
        ],
    }


def table(campaigns: Sequence[Campaign], sums: Mapping[int, Summary]) -> Iterator[str]:
    """Yield a table line for each campaign; campaigns for which an action is offered come first."""
    if not campaigns:
        return
    head = f"{'ID':>6}  {'COPIES':>7}  {'ODD':>4}  {'TO':>6}  {'HELD BY':<14}  {'SINCE':<16}"
    yield f"{head}  {'STATE':<5}  {'OWNER':<10}  CAMPAIGN"
    for offered in (True, False):
        of_these = [one for one in campaigns if one.rank.offered is offered]
        if of_these and not offered:
            yield (
                "No action is offered for these (few copies, list mail or a single sender). They do not count as "
                "campaigns."
            )
        for one in of_these:
            found = sums[one.id]
            since = local_time(found.first) if found.copies else "-"
            yield (
                f"{one.id:>6}  {found.copies:>7,}  {found.odd or '-':>4}  {found.recipients:>6,}  "
                f"{fit(held_by(found.verdicts), 14)}  {since:<16}  {one.mark.state.value:<5}  "
                f"{fit(one.mark.owner or '-', 10)}  {fit(called(one), 60).rstrip()}"
            )


def held_by(verdicts: VerdictCounts) -> str:
    """Name the verdict that most copies have: ``Spam``, or ``Spam +2`` if there are two other verdicts."""
    if not verdicts:
        return "-"
    engine, status, _ = verdicts[0]
    label = verdict_label(engine, status) if status else "-"
    return f"{label} +{len(verdicts) - 1}" if len(verdicts) > 1 else label


def lines(
    campaign: Campaign, summary: Summary, fine: Mapping[int, Copy], odd: Mapping[int, Copy], shown: int
) -> Iterator[str]:
    """Yield the lines of a campaign in full: marks, evidence, odd copies, then the `shown` copies of lowest fit."""
    mark = campaign.mark
    yield f"Campaign {campaign.id}: {safe(called(campaign))}"
    for label, text in (
        ("Title", campaign.title if mark.name else ""),
        ("State", mark.state.value),
        ("Owner", mark.owner),
        ("Note", mark.note),
        ("Joined with", ", ".join(map(str, campaign.parts))),
        ("Copies", f"{summary.copies:,}, and {summary.odd:,} odd"),
        ("Senders", f"{summary.senders:,}"),
        ("Recipients", f"{summary.recipients:,}"),
        ("Placed", f"{local_time(summary.first)} to {local_time(summary.last)}" if summary.copies else ""),
        ("Last hour", copies(summary.last_hour)),
        *_held(summary.verdicts),
        ("Action", "offered" if campaign.rank.offered else f"not offered ({campaign.rank.name.lower()})"),
    ):
        if text:
            yield f"{label:<{_LABEL}}{safe(text)}"
    yield "Why these copies are grouped"
    for number, why in enumerate(_evidence(campaign)):
        yield f"  {_why(campaign, why)}{'  (seed)' if number == 0 else ''}"
    if odd:
        yield "Odd copies (left out of actions unless you include them)"
        for each in campaign.odd:
            if each.copy in odd:
                yield f"{_copy(odd[each.copy], '')}  {reasons_words(each.reasons)}"
    order = sorted(zip(campaign.fits, campaign.copies, strict=True))
    least = [(fit_, fine[copy]) for fit_, copy in order if copy in fine]
    if least[:shown]:
        yield "Copies in the campaign, worst fit first"
        for fit_, copy in least[:shown]:
            yield _copy(copy, f"{fit_} %")
    if len(least) > shown:
        yield f"and {copies(len(least) - shown)} more (--limit N prints N, --json all)"


def _evidence(campaign: Campaign) -> list[Why]:
    """Return the evidence, the seed first."""
    return [campaign.seed, *(why for why in campaign.evidence if why.key != campaign.seed.key)]


def _why(campaign: Campaign, why: Why) -> str:
    text = campaign.texts.get(why.key, "")
    what = f"{STRANDS[why.strand]:<8} {kind_words(why.key)}" + (f' "{fit(text, 60).rstrip()}"' if text else "")
    return f"{what}: {why.inside:,} inside, {why.outside:,} outside"


def _held(verdicts: VerdictCounts) -> list[tuple[str, str]]:
    told = [f"{verdict_label(engine, status) if status else '-'} {count:,}" for engine, status, count in verdicts]
    return [("Held by", ", ".join(told))]


def _copy(copy: Copy, share: str) -> str:
    record = copy.record
    return (
        f"{copy.id:>8}  {share:>5}  {local_time(copy.stored_at)}  {fit(address_first(record.from_), 32)}  "
        f"{fit(record.subject, 44)}".rstrip()
    )
