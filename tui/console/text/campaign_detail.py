"""The lines of a campaign in full: figures on why its copies belong together, and what speaks against it.

Pure functions for a worker thread. They make all text from messages safe.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import tzinfo
from typing import TYPE_CHECKING, NamedTuple

from store.campaigns.order import Rank
from tui.console.text.campaign_lines import STATES, held_by, known_note
from tui.console.text.campaign_rows import CampaignRow, DividerRow, SenderRow, name_of
from tui.console.text.columns import status_label
from tui.console.text.monitoring_lines import bar
from tui.terminal.cells import placed
from tui.terminal.lines import EMPTY, Line, Span, block, field, wrap
from tui.terminal.odd_words import REASONS, STRANDS, kind_words
from tui.terminal.safe import fit, safe
from tui.terminal.times import minute_time
from tui.terminal.words import copies, counted

if TYPE_CHECKING:
    from store.campaigns.grouping import Why
    from store.campaigns.standing import Campaign

_LABELS = 9
_BAR = 10
#: A fit (%) below the first is reported; a key speaks against a campaign if outside copies
#: exceed this share of inside ones.
_LOOSE, _OUTSIDE = 75, 0.05
_FINE = bytes(range(_LOOSE, 256))
#: Characters shown of a key's text; letters listed.
_TEXT, _LETTERS = 60, 40
#: Least cells for the counts inside and outside.
_FIGURES = 18
_NUMBERS = re.compile(r"\d+")


class CampaignFacts(NamedTuple):
    """Facts about a campaign's senders and deliveries.

    Of `senders` distinct addresses, `looked_up` were looked up (0: all). Of these, mail was `written_to` so many from
    here and `let_through` from so many; not `counted`: the store has no counters of mail yet, so none of this is known.
    `delivered`: copies that reached or may have reached a mailbox. `letters`: shapes of subjects (NOT safe) with the
    number of copies, most frequent first.
    """

    senders: int
    written_to: int
    let_through: int
    delivered: int
    letters: Sequence[tuple[str, int]] = ()
    looked_up: int = 0
    counted: bool = True


def letters_of(subjects: Sequence[tuple[str, int]]) -> list[tuple[str, int]]:
    """Group subjects by shape and add up their counts: numbers become #, letter case is ignored."""
    shapes: Counter[str] = Counter()
    shown: dict[str, str] = {}
    for subject, count in subjects:
        text = " ".join(_NUMBERS.sub("#", subject).split())
        key = text.casefold()
        shown.setdefault(key, text)
        shapes[key] += count
    return [(shown[key], count) for key, count in shapes.most_common()]


def overview_lines(row: CampaignRow, facts: CampaignFacts | None, now: int, zone: tzinfo, width: int) -> list[Line]:
    """Write the campaign at the cursor: the best key of each strand, what speaks against it, and facts."""
    campaign = row.campaign
    return [
        *_head(row, now, zone, width),
        *_facts(facts, width),
        *_against(row, width),
        *_evidence(campaign, width, each=1),
    ]


def campaign_lines(row: CampaignRow, facts: CampaignFacts | None, now: int, zone: tzinfo, width: int) -> list[Line]:
    """Write an open campaign: like `overview_lines`, with all its evidence and its letters."""
    campaign = row.campaign
    lines = [
        *_head(row, now, zone, width),
        *_facts(facts, width),
        *_against(row, width),
        *_evidence(campaign, width, each=99),
    ]
    if facts is not None and facts.letters:
        total = max(sum(count for _, count in facts.letters), 1)
        lines.append(EMPTY)
        lines.append((Span(f"{'Letters':<{_LABELS}}  ", "label"), Span(_letters_said(facts.letters), "muted")))
        for text, count in facts.letters[:_LETTERS]:
            room = max(8, width - _LABELS - 2 - _BAR - 10)
            lines.append(
                (
                    Span(" " * (_LABELS + 2) + bar(count / total, _BAR), "accent"),
                    Span(f" {count:>7,}  "),
                    Span(fit(text or "(no subject)", room)),
                )
            )
        if len(facts.letters) > _LETTERS:
            lines.append((Span(f"{'':<{_LABELS}}  and {len(facts.letters) - _LETTERS:,} more", "muted"),))
    return lines


def _letters_said(letters: Sequence[tuple[str, int]]) -> str:
    return f"{counted(len(letters), 'subject', 'subjects')}, numbers ignored"


def _head(row: CampaignRow, now: int, zone: tzinfo, width: int) -> list[Line]:
    campaign, summary, mark = row.campaign, row.summary, row.campaign.mark
    sign, kind = STATES[mark.state]
    lines: list[Line] = []
    name = safe(name_of(campaign), max_len=200)
    for place, piece in enumerate(wrap(name, max(8, width - 2))):
        lines.append((Span(f"{sign} " if not place else "  ", kind), Span(piece, "strong")))
    parts = [mark.state.value, f"campaign {campaign.id}"]
    parts += [f"of {safe(mark.owner, max_len=40)}"] if mark.owner else []
    there = copies(summary.copies) if summary.copies else counted(summary.odd, "odd copy", "odd copies")
    parts.append(f"{there} to {counted(summary.recipients, 'recipient', 'recipients')}")
    if summary.first:
        parts.append(f"since {placed(summary.first, now, zone, 12).strip()}")
    if summary.last_hour:
        parts.append(f"{summary.last_hour:,} in the last hour")
    lines += [(Span(piece, "muted"),) for piece in wrap(" · ".join(parts), width)]
    if row.related:
        lines += field("Related", [(f"{row.related} as campaign {row.elder}", "text")], width, _LABELS)
    if mark.note:
        lines += field("Note", [(mark.note, "text")], width, _LABELS)
    if campaign.parts:
        lines += field("Joined", [(", ".join(f"campaign {part}" for part in campaign.parts), "text")], width, _LABELS)
    return lines


def _facts(facts: CampaignFacts | None, width: int) -> list[Line]:
    """Write ``nobody here wrote to any of its 4,485 senders; none was delivered``, or the risks found."""
    if facts is None:
        return [(Span(f"{'Senders':<{_LABELS}}  ", "label"), Span("…", "muted"))]
    said = []
    some = f" ({facts.looked_up:,} looked up)" if 0 < facts.looked_up < facts.senders else ""
    if facts.written_to:
        were = "was" if facts.written_to == 1 else "were"
        whom = f"{facts.written_to:,} of its {facts.senders:,} senders{some}"
        said.append((f"▲ {whom} {were} written to from here", "risk"))
    if facts.let_through:
        said.append((f"▲ mail from {counted(facts.let_through, 'sender', 'senders')} was let through before", "risk"))
    if facts.delivered:
        was = "copy was" if facts.delivered == 1 else "copies were"
        said.append((f"▲ {facts.delivered:,} {was} delivered", "risk"))
    good = []
    if facts.senders and not facts.written_to:
        whom = "its one sender" if facts.senders == 1 else f"any of its {facts.senders:,} senders"
        wrote = f"nobody here wrote to {whom}{some}"
        good.append(wrote if facts.counted else f"not known if anyone here wrote to {whom}")
    if not facts.delivered:
        good.append("none was delivered")
    if good:
        said.append(("; ".join(good), "text"))
    return field("Senders", said, width, _LABELS)


def _evidence(campaign: Campaign, width: int, *, each: int) -> list[Line]:
    size = max(len(campaign.copies), 1)
    seed = campaign.seed
    column = max(_FIGURES, *(len(_figures(why)) for why in (seed, *campaign.evidence)))
    lines = [_why(campaign, "Seed", seed, size, column, width)]
    for strand, name in enumerate(STRANDS):
        keys = [why for why in campaign.evidence if why.strand == strand and why.key != seed.key][:each]
        if not keys and seed.strand != strand:
            lines.append((Span(f"{name:<{_LABELS}}  ", "label"), Span("no evidence", "muted")))
        for place, why in enumerate(keys):
            lines.append(_why(campaign, name if not place else "", why, size, column, width))
    return lines


def _figures(why: Why) -> str:
    return f"{why.inside:,} in, {why.outside:,} out"


def _why(campaign: Campaign, label: str, why: Why, size: int, column: int, width: int) -> Line:
    """Write ``Content   ██████████ 100 %  1,735 in, 0 out  sentence "…"``; `column`: cells for the two counts."""
    share = why.inside / size
    spans = [
        Span(f"{label:<{_LABELS}}  ", "label"),
        Span(f"{bar(share, _BAR)} ", "accent"),
        Span(f"{share * 100:>3.0f} %  "),
    ]
    much = why.outside > _OUTSIDE * max(why.inside, 1)
    spans.append(Span(f"{_figures(why):<{column}}  ", "risk" if much else "muted"))
    text = campaign.texts.get(why.key, "")
    said = f'{kind_words(why.key)} "{text[:_TEXT]}{"…" if len(text) > _TEXT else ""}"' if text else kind_words(why.key)
    room = width - sum(len(span.text) for span in spans)
    return (*spans, Span(fit(said, max(0, room)).rstrip()))


def _against(row: CampaignRow, width: int) -> list[Line]:
    said = list(against(row))
    if not said:
        said = [("nothing", "muted")]
    return field("Against", said, width, _LABELS)


def against(row: CampaignRow) -> Iterator[tuple[str, str]]:
    """Yield each reason against acting on a campaign, with its kind of span."""
    campaign, summary = row.campaign, row.summary
    if campaign.rank is Rank.CAREFUL:
        yield "▲ many of its copies answer messages, or came through mailing lists: check more of them", "risk"
    if campaign.rank is Rank.THREADS:
        yield "▲ in stolen threads: its copies answer messages, and real answers may be among them", "risk"
    if summary.odd:
        reasons = Counter(each.reasons[0] for each in campaign.odd if each.reasons)
        # Of odd ones that were deleted only the campaign still knows: no numbers that do not add up.
        exact = summary.odd == len(campaign.odd)
        told = ", ".join(
            f"{REASONS[reason]} {count:,}" if exact else REASONS[reason] for reason, count in reasons.most_common()
        )
        yield f"{counted(summary.odd, 'odd copy', 'odd copies')}, left out of every act: {told}", "risk"
    if campaign.seed.outside > _OUTSIDE * max(campaign.seed.inside, 1):
        yield f"its seed is also in {copies(campaign.seed.outside)} outside", "risk"
    if loose := campaign.fits.translate(None, _FINE):  # A campaign may have a million copies: no loop over them.
        yield f"{copies(len(loose))} fit below {_LOOSE} %, the worst at {min(loose)} %", "text"
    others = [(engine, status, count) for engine, status, count in summary.verdicts[1:] if status is not None]
    if others:
        told = ", ".join(f"{count:,} {status_label(status, 20, engine)}" for engine, status, count in others[:3])
        yield f"also held by other verdicts: {told}", "text"


def sender_lines(row: SenderRow, zone: tzinfo, width: int) -> list[Line]:
    """Write the sender at the cursor, whose copies are in no campaign."""
    sender = row.sender
    lines = block(sender.address or "(no sender)", width, "strong")
    held, kind = held_by(sender.verdicts, 20)
    parts = f"{copies(sender.copies)} to {counted(sender.recipients, 'recipient', 'recipients')} in no campaign"
    lines += [(Span(parts, "muted"),)]
    sign, note, its_kind = known_note(row)
    lines += field("Known", [(f"{sign} {note}".strip() or "nothing", its_kind if note else "muted")], width, _LABELS)
    lines += field("Held by", [(held, kind)], width, _LABELS)
    if sender.odd:
        lines += field("Odd", [(f"{copies(sender.odd)} odd in a campaign", "risk")], width, _LABELS)
    lines += field("Newest", [(sender.subject or "(no subject)", "text")], width, _LABELS)
    lines += field("Placed", [(minute_time(sender.last, zone), "muted")], width, _LABELS)
    return lines


def divider_lines(row: DividerRow, width: int) -> list[Line]:
    """Write the explanation for the divider."""
    text = (
        f"{copies(row.copies)} of {counted(row.senders, 'sender', 'senders')} are in no campaign that you can act on; "
        "good mail is among them. Known senders come first. Enter lists the copies of one sender."
    )
    return [(Span(piece, "muted"),) for piece in wrap(text, width)]
