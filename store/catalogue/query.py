"""A MessageFilter over a frame: which rows it lets through, and the figures that the console shows.

Imports Polars: only the modules that the catalogue loads in the background may import this one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache, reduce
from operator import or_

import polars as pl

from store.catalogue.frame import Frame, verdict_engine, verdict_status
from store.catalogue.text import looked_up, places
from store.filters.model import KB, MessageFilter, Term, fold
from store.mail.outcome import Delivered
from store.terms.verdicts import Engine

_PARALLEL = 50_000
_FEW = 0.1
_IDS = ("message_id", "mta_message_id")
_WORDS = ("from", "to", "subject")


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(3, "search")


def mask_of(
    frame: Frame, flt: MessageFilter, *, now: int, outcomes: Mapping[int, Delivered] | None = None
) -> pl.Series | None:
    """Boolean, by row: what the filter lets through at `now` (Unix ms); None where that is every row.

    `outcomes` by copy id, NO where it has none; only a filter on `delivered` looks at them.
    """
    mask: pl.Series | None = None
    for part in _numbers(frame, flt, now, outcomes or {}):
        mask = part if mask is None else mask & part
    for names, terms in (
        (("from",), flt.from_),
        (("to",), flt.to),
        (("subject",), flt.subject),
        (_IDS, flt.message_id),
        (_WORDS, flt.words),
    ):
        for term in terms:
            mask = _narrowed(frame, names, term, mask)
    return mask


def _numbers(frame: Frame, flt: MessageFilter, now: int, outcomes: Mapping[int, Delivered]) -> Iterator[pl.Series]:
    rows = frame.rows
    if (earliest := flt.earliest(now)) is not None:
        yield rows.get_column("stored_at") >= earliest
    if flt.until is not None:
        yield rows.get_column("stored_at") <= flt.until
    if flt.size_min is not None:
        yield rows.get_column("size") >= flt.size_min * KB
    if flt.size_max is not None:
        yield rows.get_column("size") <= flt.size_max * KB
    rules = rows.get_column("rule_id")
    if flt.rule_ids:
        yield _any_of(rules, flt.rule_ids)
    if flt.not_rule_ids:
        yield ~_any_of(rules, flt.not_rule_ids)
    if flt.engines or flt.not_engines or flt.status or flt.not_status:
        codes = [
            code
            for code in range(256)
            if (not flt.engines or verdict_engine(code) in flt.engines)
            and verdict_engine(code) not in flt.not_engines
            and (not flt.status or verdict_status(code) in flt.status)
            and verdict_status(code) not in flt.not_status
        ]
        wanted = pl.Series([code in codes for code in range(256)], dtype=pl.Boolean)
        yield wanted.gather(rows.get_column("verdict"))
    if flt.asks_delivered():
        never = flt.lets_through(Delivered.NO)
        through = {outcome: flt.lets_through(outcome) for outcome in Delivered}
        others = frame.among(copy_id for copy_id, outcome in outcomes.items() if through[outcome] is not never)
        yield ~others if never else others


def _any_of(values: pl.Series, wanted: Sequence[int]) -> pl.Series:
    mask = values == wanted[0]
    for value in wanted[1:]:
        mask = mask | (values == value)
    return mask


def _narrowed(frame: Frame, names: Sequence[str], term: Term, mask: pl.Series | None) -> pl.Series:
    """What a term leaves of the mask (None: of all rows)."""
    needle = fold(term.text)
    rows = None
    if mask is not None and (mask.sum() or 0) < _FEW * len(frame):
        rows = places(mask)

    def find(name: str) -> pl.Series:
        codes = frame.rows.get_column(name)
        if rows is not None:
            return frame.texts[name].find_among(needle, codes.gather(rows))
        return looked_up(frame.texts[name].find(needle), codes)

    if not _is_text(needle):
        found = pl.repeat(False, len(frame) if rows is None else len(rows), dtype=pl.Boolean, eager=True)
    elif len(names) > 1 and (len(frame) if rows is None else len(rows)) > _PARALLEL:
        # Polars looks through one column with one thread, and lets other threads run meanwhile.
        found = reduce(or_, list(_pool().map(find, names)))
    else:
        found = reduce(or_, map(find, names))
    found = ~found if term.negated else found
    if rows is not None:
        return pl.repeat(False, len(frame), dtype=pl.Boolean, eager=True).scatter(rows.filter(found), True)
    return found if mask is None else mask & found


def _is_text(needle: str) -> bool:
    """False for text that no message can hold (lone surrogates, as a terminal's undecodable bytes become)."""
    try:
        needle.encode()
    except UnicodeEncodeError:
        return False
    return True


def engine_counts(frame: Frame) -> dict[Engine | None, int]:
    """How many copies each engine's verdict caused (None: no verdict)."""
    counts: dict[Engine | None, int] = {}
    for code, count in frame.rows.get_column("verdict").value_counts().iter_rows():
        engine = verdict_engine(code)
        counts[engine] = counts.get(engine, 0) + count
    return counts


def rule_ids(frame: Frame) -> list[tuple[int, str]]:
    """The rules that judged any copy, ascending by id, with the name that the newest such copy has for it."""
    ids = frame.rows.get_column("rule_id").unique().sort().to_list()
    return [(rule_id, frame.rule_names.get(rule_id, "")) for rule_id in ids]


def day_counts(frame: Frame, starts: Sequence[int]) -> list[dict[Engine | None, int]]:
    """Copies by engine between each of the ascending times (Unix ms) and the next one."""
    counts: list[dict[Engine | None, int]] = [{} for _ in starts[1:]]
    placed = frame.rows.get_column("stored_at")
    recent = frame.rows.select("stored_at", "verdict").filter((placed >= starts[0]) & (placed < starts[-1]))
    days = pl.Series("start", starts, dtype=pl.Int64).search_sorted(recent.get_column("stored_at"), side="right") - 1
    for day, code, count in recent.with_columns(day=days).group_by("day", "verdict").len().iter_rows():
        engine = verdict_engine(code)
        counts[day][engine] = counts[day].get(engine, 0) + count
    return counts
