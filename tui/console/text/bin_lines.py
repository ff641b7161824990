"""The lines of the Bin page. Pure functions for a worker thread."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import tzinfo
from typing import TYPE_CHECKING, NamedTuple

from store.terms.sender import address_first
from store.terms.sizes import format_size
from tui.terminal.bin_words import day, length, promise_words, standing
from tui.terminal.cells import placed, short_size
from tui.terminal.lines import EMPTY, Line, Span, block, field
from tui.terminal.safe import fit, safe
from tui.terminal.times import full_time, minute_time
from tui.terminal.words import copies

if TYPE_CHECKING:
    from store.space.bin import Promise
    from store.space.limits import Usage
    from store.terms.records import Row
    from store.vault.bin import BinAct

#: From the first width (cells) on, a line has the act, the time to the minute and full sizes; from the second on
#: also how long a promise lasts.
_ROOMY, _WIDE = 72, 104
_LABELS = 13
_UNVERIFIED = (
    "The act does not verify, so it is unknown who deleted these copies and when. Run `mailhold check` for details."
)


class Held(NamedTuple):
    """An act that has copies in the bin, and the promise to keep them."""

    act: BinAct
    promise: Promise


class _Columns(NamedTuple):
    what: int
    when: int
    who: int
    copies: int
    size: int
    until: int
    standing: int


def _columns(width: int) -> _Columns:
    """Return the widths of the columns in cells (0: left out); with two cells between
    columns they add up to `width`.
    """
    if width < _ROOMY:
        return _Columns(0, 6, 8, 7, 7, 6, max(6, width - 44))
    until = 24 if width >= _WIDE else 6
    room = width - 7 - 12 - 9 - 9 - until - 12
    who = max(8, min(20, room - 14))
    return _Columns(7, 12, who, 9, 9, until, max(6, room - who))


def summary(usage: Usage) -> str:
    """Write ``1,204 copies in the bin · 32 MB · share 750 MB``."""
    parts = [f"{copies(usage.binned)} in the bin", format_size(usage.binned_bytes)]
    return " · ".join([*parts, f"share {format_size(usage.bin_bytes)}"] if usage.max_bytes else parts)


def heading(width: int) -> str:
    """Write the column headings."""
    cells = _columns(width)
    names = [
        (fit("What", cells.what), cells.what),
        (fit("When", cells.when), cells.when),
        (fit("By", cells.who), cells.who),
        (f"{'Copies':>{cells.copies}}", cells.copies),
        (f"{'Size':>{cells.size}}", cells.size),
        (fit("Kept until" if cells.until > 6 else "Until", cells.until), cells.until),
        ("Status", cells.standing),
    ]
    return "  ".join(text for text, room in names if room).rstrip()


def act_line(held: Held, now: int, zone: tzinfo, width: int) -> Line:
    """Write an act on one line: what, when, by whom, number and size of its copies in the
    bin, until when, and their state.
    """
    act, cells = held.act, _columns(width)
    verified = bool(act.at)
    when = placed(act.at, now, zone, cells.when) if verified else "?"
    who = act.operator or "—" if verified else "unknown"
    size = format_size(act.left_size) if cells.what else short_size(act.left_size)
    whole = act.left == act.copies
    spans = [Span(f"{fit('Deleted', cells.what)}  ")] if cells.what else []
    spans += [
        Span(f"{fit(when, cells.when)}  ", "muted"),
        Span(f"{fit(who, cells.who)}  ", "text" if verified else "danger"),
        Span(f"{act.left:>{cells.copies},}  {size:>{cells.size}}  "),
        Span(f"{fit(_until(held, now, zone, brief=cells.until <= 6), cells.until)}  ", _kind(held, now)),
        Span(fit(standing(act), cells.standing), "muted" if whole else "accent"),
    ]
    return tuple(spans)


def _kind(held: Held, now: int) -> str:
    return "text" if held.promise.is_certain and held.act.until > now else "risk"


def _until(held: Held, now: int, zone: tzinfo, *, brief: bool) -> str:
    """Write ``2 Dec, or ~30 hours``; if `brief`, ``2 Dec``, or ``~30 h`` if there is an estimate."""
    until, lasts = held.promise
    if not until:
        return "?"
    date = day(until, zone, now)
    if lasts is None:
        return date
    about = f"~{length(lasts)}"
    if not brief:
        return f"{date}, or {about}"
    number, _, unit = about.partition(" ")
    return f"{number} {unit[:1]}" if unit else about


def deleted_by(act: BinAct, zone: tzinfo) -> str:
    """Write ``deleted by ada on 24 Nov 2026 07:41``, safe to show; another text if the act does not verify."""
    if not act.at:
        return "deleted by an unknown operator"
    by = f" by {safe(act.operator, max_len=60)}" if act.operator else ""
    return f"deleted{by} on {minute_time(act.at, zone)}"


def detail_lines(held: Held, rows: Sequence[Row] | None, now: int, zone: tzinfo, width: int) -> list[Line]:
    """Write an act in full, with its first copies (`rows`; None: not read yet)."""
    act, labels = held.act, _LABELS
    by = f" by {safe(act.operator)}" if act.operator else ""
    when = full_time(act.at, zone)
    head = f"Deleted{by}"
    if not act.at:
        lines = block(f"▲ {_UNVERIFIED}", width, "danger")
    elif len(head) + len(when) + 2 <= width:
        lines = [(Span(f"{head}  ", "strong"), Span(when, "muted"))]
    else:
        lines = [*block(head, width, "strong"), (Span(when, "muted"),)]
    if act.at:
        lines += field("Deleted", [(f"{copies(act.copies)}, {format_size(act.size)}", "text")], width, labels)
    there = f"{copies(act.left)}, {format_size(act.left_size)}"
    lines += field("In the bin", [(there, "text")], width, labels)
    if act.restored:
        lines += field("Brought back", [(copies(act.restored), "accent")], width, labels)
    if act.gone:
        lines += field("Gone for good", [(copies(act.gone), "risk")], width, labels)
    if act.until:
        kept = promise_words(held.promise, zone, now)
        lines += field("Kept", [(kept, _kind(held, now))], width, labels)
    lines.append(EMPTY)
    if rows is None:
        return [*lines, (Span("Reading the copies…", "muted"),)]
    lines += [_copy_line(row, now, zone, width) for row in rows]
    if len(rows) < act.left:
        lines.append((Span(f"and {act.left - len(rows):,} more: Enter shows all", "muted"),))
    return lines


def _copy_line(row: Row, now: int, zone: tzinfo, width: int) -> Line:
    """Write a copy on one line: when it was placed in Backup, sender, subject."""
    when = placed(row.stored_at, now, zone, 12)
    sender = max(12, min(32, (width - 16) // 3))
    return (
        Span(f"{when}  ", "muted"),
        Span(f"{fit(address_first(row.from_), sender)}  "),
        Span(fit(row.subject or "(no subject)", max(0, width - 16 - sender))),
    )
