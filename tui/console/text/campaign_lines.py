"""The lines of the list of campaigns. Pure functions for a worker thread."""

from __future__ import annotations

from collections.abc import Container, Sequence
from datetime import tzinfo
from typing import TYPE_CHECKING, NamedTuple, overload

from store.campaigns.marks import State
from store.campaigns.order import Rank
from tui.console.text.campaign_rows import CampaignRow, DividerRow, ListRow, SenderRow, name_of
from tui.console.text.columns import severity, status_label
from tui.terminal.cells import placed
from tui.terminal.lines import Line, Span
from tui.terminal.safe import fit
from tui.terminal.words import copies, counted

if TYPE_CHECKING:
    from store.catalogue.summary import Summary, VerdictCounts

#: Widths (cells) from which a line has: recipients and rate; full times and an owner; a wide status.
_ROOMY, _WIDE, _FULL = 66, 92, 110
#: State of the work: sign and kind of span.
STATES = {State.NEW: ("○", "accent"), State.OPEN: ("◐", "accent"), State.DONE: ("✓", "muted")}
NOTHING = "–"


class _Columns(NamedTuple):
    """Widths of the columns in cells (0: left out)."""

    to: int
    held: int
    name: int
    since: int
    rate: int
    owner: int


def _columns(width: int) -> _Columns:
    to, rate = (6, 6) if width >= _ROOMY else (0, 0)
    since, owner = (12, 10) if width >= _WIDE else (6, 0)
    held = 18 if width >= _FULL else 14 if width >= _WIDE else 10
    # Mark, state, copies and odd copies take 19 cells, gaps included.
    taken = 19 + (to + 2 if to else 0) + held + 2 + since + 2 + (rate + 2 if rate else 0) + (owner + 2 if owner else 0)
    return _Columns(to, held, max(6, width - taken), since, rate, owner)


def heading(width: int) -> str:
    """Write the column headings."""
    cells = _columns(width)
    parts = ["     Copies   Odd"]
    parts += [f"{'To':>{cells.to}}"] if cells.to else []
    parts += [fit("Held by", cells.held), fit("Campaign", cells.name), fit("Since", cells.since)]
    parts += [f"{'Last h':>{cells.rate}}"] if cells.rate else []
    parts += ["Owner"] if cells.owner else []
    return "  ".join(parts)


def rate_words(last_hour: int) -> str:
    """Write the copies that came in the last hour: ``1,720``, or a dash for none."""
    return f"{last_hour:,}" if last_hour else NOTHING


def held_by(verdicts: VerdictCounts, width: int) -> tuple[str, str]:
    """Name the most frequent verdict in at most `width` cells; return also its kind of span."""
    if not verdicts:
        return NOTHING, "muted"
    engine, status, _ = verdicts[0]
    if status is None:
        return "no verdict"[:width], "muted"
    return status_label(status, width, engine), {"danger": "danger", "risk": "risk"}.get(severity(status), "text")


def _figures(summary: Summary, cells: _Columns) -> list[Span]:
    spans = [Span(f"{_number(summary.copies, 7)} "), Span(f"{_number(summary.odd, 5)}  ", _odd_kind(summary.odd))]
    return [*spans, *([Span(f"{_number(summary.recipients, cells.to)}  ")] if cells.to else [])]


def _number(number: int, width: int) -> str:
    """Write a count in `width` cells, in thousands if it is too long; a dash for 0."""
    text = f"{number:,}" if number else NOTHING
    return f"{text if len(text) <= width else f'{number // 1000:,}k':>{width}}"


def _odd_kind(odd: int) -> str:
    return "risk" if odd else "muted"


def campaign_line(row: CampaignRow, marked: bool, now: int, zone: tzinfo, width: int) -> Line:
    """Write a campaign: mark, state, copies, odd copies, recipients, verdict, name, first time, present rate, owner."""
    cells, summary, mark = _columns(width), row.summary, row.campaign.mark
    sign, kind = STATES[mark.state]
    held, its_kind = held_by(summary.verdicts, cells.held)
    threads = "in stolen threads: " if row.campaign.rank is Rank.THREADS else ""
    name = threads + name_of(row.campaign)
    name = f"└ {row.related}: {name}" if row.related else name
    spans = [
        Span("● " if marked else "  ", "accent"),
        Span(f"{sign} ", kind),
        *_figures(summary, cells),
        Span(f"{fit(held, cells.held)}  ", its_kind),
        Span(f"{fit(name, cells.name)}  ", "muted" if mark.state is State.DONE else "text"),
        Span(f"{fit(placed(summary.first, now, zone, cells.since) if summary.first else '', cells.since)}", "muted"),
    ]
    if cells.rate:
        spans.append(Span(f"  {rate_words(summary.last_hour):>{cells.rate}}", "text" if summary.last_hour else "muted"))
    if cells.owner:
        spans.append(Span(f"  {fit(mark.owner, cells.owner)}", "accent"))
    return tuple(spans)


def divider_line(row: DividerRow, width: int) -> Line:
    """Write the rule above the senders of copies that are in no campaign."""
    words = f" In no campaign: {copies(row.copies)} of {counted(row.senders, 'sender', 'senders')} "
    return (Span(f"────{words}".ljust(width, "─")[:width], "muted"),)


def known_note(row: SenderRow) -> tuple[str, str, str]:
    """Return sign, words and kind of span for what is known of a sender. NOT safe."""
    words = ["list"] if row.listed else []
    if row.alike:
        return "▲", ", ".join([*words, f"looks like {row.alike}"]), "risk"
    if row.written_to:
        return "✓", ", ".join([*words, f"{row.written_to:,} written to"]), "accent"
    if row.let_through:
        return "✓", ", ".join([*words, f"{row.let_through:,} let through"]), "accent"
    return " ", ", ".join(words), "muted"


def sender_line(row: SenderRow, now: int, zone: tzinfo, width: int) -> Line:
    """Write a sender of copies that are in no campaign: copies, verdict, what is known of it, newest subject."""
    cells, sender = _columns(width), row.sender
    sign, note, kind = known_note(row)
    held, its_kind = held_by(sender.verdicts, cells.held)
    room = cells.name + 2 + (cells.rate + 2 if cells.rate else 0) + (cells.owner + 2 if cells.owner else 0) - 2
    told = min(len(note), 24, room // 2)
    left = room - (told + 2 if told else 0)
    who = min(left, max(left // 2, 18)) if left > 30 else left
    spans = [
        Span(f"  {sign} ", kind),
        Span(f"{_number(sender.copies, 7)} "),
        Span(f"{_number(sender.odd, 5)}  ", _odd_kind(sender.odd)),
        *([Span(f"{_number(sender.recipients, cells.to)}  ")] if cells.to else []),
        Span(f"{fit(held, cells.held)}  ", its_kind),
        Span(fit(sender.address or "(no sender)", who)),
    ]
    if left > who + 2:
        spans.append(Span(f"  {fit(sender.subject or '(no subject)', left - who - 2)}", "muted"))
    if told:
        spans.append(Span(f"  {fit(note, told)}", kind))
    when = placed(sender.last, now, zone, cells.since)
    return (*spans, Span(f"  {fit(when, cells.since)}", "muted"))


class ListLines(Sequence[Line]):
    """The lines of all rows. Each is made when it is drawn, so that a new mark shows at once in any number of rows."""

    def __init__(self, rows: Sequence[ListRow], marked: Container[int], now: int, zone: tzinfo, width: int) -> None:
        self._rows = rows
        self._marked = marked
        self._now, self._zone = now, zone
        self._width = width

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, index: int) -> Line: ...
    @overload
    def __getitem__(self, index: slice) -> list[Line]: ...
    def __getitem__(self, index: int | slice) -> Line | list[Line]:
        if isinstance(index, slice):
            return [self[at] for at in range(*index.indices(len(self)))]
        row = self._rows[index]
        if isinstance(row, CampaignRow):
            return campaign_line(row, row.campaign.id in self._marked, self._now, self._zone, self._width)
        if isinstance(row, SenderRow):
            return sender_line(row, self._now, self._zone, self._width)
        return divider_line(row, self._width)
