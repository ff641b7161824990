"""The lines of two copies side by side: their fields, and their shared and differing keys. For a worker thread."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import tzinfo
from itertools import zip_longest
from typing import TYPE_CHECKING, NamedTuple

from store.campaigns.keys import Kind, Strand
from store.terms.sender import address_first
from store.terms.sizes import format_size
from store.terms.verdicts import verdict_label
from tui.terminal.known_words import known_words
from tui.terminal.lines import EMPTY, Line, Span, wrap
from tui.terminal.odd_words import STRANDS, kind_words
from tui.terminal.safe import safe
from tui.terminal.times import full_time
from tui.terminal.widths import cell_len

if TYPE_CHECKING:
    from store.terms.records import Copy, CopyRecord

_LABELS, _GAP = 15, 2
#: Most lines of a value; most keys shown of a strand.
_LINES, _KEYS = 4, 40
_STRAND_SHIFT, _KIND_SHIFT = 60, 56
#: Display order: payload and origin are short, content (subject and sentences) is long.
_STRANDS_SHOWN = (Strand.PAYLOAD, Strand.ORIGIN, Strand.CONTENT)
_COUNTED_ALONE = frozenset((Kind.SUBJECT_PAIR, Kind.WORDS))


class Compared(NamedTuple):
    """A copy, the texts of its keys (folded, NOT safe), and a label that is safe to show."""

    copy: Copy
    keys: Mapping[int, str]
    said: str


def compare_lines(one: Compared, other: Compared, zone: tzinfo, width: int) -> list[Line]:
    """Write the copy `one` on the left and the typical one on the right. Differences are coloured."""
    lines = _row("", one.said, other.said, width, kinds=("strong", "muted"))
    lines.append(EMPTY)
    for label, left, right in _fields(one.copy, other.copy, zone):
        lines += _row(label, left, right, width, kinds=_kinds(left, right))
    for strand in _STRANDS_SHOWN:
        lines.append(EMPTY)
        lines += _strand(STRANDS[strand - 1], _of(one.keys, strand), _of(other.keys, strand), width)
    return lines


def shared_share(one: Mapping[int, str], other: Mapping[int, str]) -> float:
    """Return the share of keys that two copies have in common (0 to 1)."""
    return len(one.keys() & other.keys()) / max(len(one.keys() | other.keys()), 1)


def _kinds(left: str, right: str) -> tuple[str, str]:
    return ("muted", "muted") if left == right else ("risk", "text")


def _fields(one: Copy, other: Copy, zone: tzinfo) -> Iterator[tuple[str, str, str]]:
    pairs = zip(_values(one.record), _values(other.record), strict=True)
    for (label, left), (_, right) in pairs:
        if left or right:
            yield label, left, right
    yield "Placed", full_time(one.stored_at, zone), full_time(other.stored_at, zone)


def _values(record: CopyRecord) -> Iterator[tuple[str, str]]:
    yield "From", address_first(record.from_)
    yield "Envelope", record.envelope_sender or ""
    yield "Subject", record.subject
    yield "To", record.to
    reason = record.reason
    yield "Held by", f"{verdict_label(reason.engine, reason.status)}  {reason.detail}".rstrip() if reason else ""
    yield "Known", known_words(record)
    yield "Size", format_size(record.size)
    yield "Files", ", ".join(f"{one.name or '(no name)'} {format_size(one.size)}" for one in record.attachments)


def _of(keys: Mapping[int, str], strand: int) -> dict[int, str]:
    return {key: text for key, text in keys.items() if key >> _STRAND_SHIFT == strand}


def _strand(name: str, one: Mapping[int, str], other: Mapping[int, str], width: int) -> list[Line]:
    shared = sorted(one.keys() & other.keys())
    left, right = sorted(one.keys() - other.keys()), sorted(other.keys() - one.keys())
    said = f"{len(shared):,} shared, {len(left):,} only left, {len(right):,} only right"
    lines: list[Line] = [(Span(f"{name:<{_LABELS}}  ", "strong"), Span(said, "risk" if left else "muted"))]
    rows = _paired(left, right, one, other)
    rows += [(kind_words(key), one[key], one[key]) for key in shared if key >> _KIND_SHIFT not in _COUNTED_ALONE]
    for label, here, there in rows[:_KEYS]:
        lines += _row(label, here, there, width, kinds=_kinds(here, there))
    if len(rows) > _KEYS:
        lines.append((Span(f"{'':<{_LABELS}}  and {len(rows) - _KEYS:,} more", "muted"),))
    return lines


def _paired(
    left: Sequence[int], right: Sequence[int], one: Mapping[int, str], other: Mapping[int, str]
) -> list[tuple[str, str, str]]:
    """Return rows of the keys that only one copy has; keys of the same kind share a row."""
    kinds = {key >> _KIND_SHIFT for key in (*left, *right)} - _COUNTED_ALONE
    rows = []
    for kind in sorted(kinds):
        here, there = ([key for key in keys if key >> _KIND_SHIFT == kind] for keys in (left, right))
        rows += [
            (kind_words(kind << _KIND_SHIFT), "" if a is None else one[a], "" if b is None else other[b])
            for a, b in zip_longest(here, there)
        ]
    return rows


def _row(label: str, left: str, right: str, width: int, *, kinds: tuple[str, str]) -> list[Line]:
    """Write a label and two values in columns, each on up to `_LINES` lines."""
    room = max(8, (width - _LABELS - 2 * _GAP) // 2)
    lines: list[Line] = []
    for place, (here, there) in enumerate(zip_longest(_pieces(left, room), _pieces(right, room), fillvalue="")):
        head = label if not place else ""
        lines.append(
            (
                Span(f"{head[:_LABELS]:<{_LABELS}}{'':{_GAP}}", "label"),
                Span(here + " " * max(0, room - cell_len(here)), kinds[0]),
                Span(" " * _GAP),
                Span(there, kinds[1]),
            )
        )
    return lines


def _pieces(text: str, room: int) -> list[str]:
    pieces = wrap(safe(text, max_len=_LINES * room), room)
    return pieces[:_LINES] if text else ["–"]
