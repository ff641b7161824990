"""Applies a MessageFilter to a frame: which rows match; also the counts that the console shows.

Imports Polars: only the modules that the catalogue loads in the background may import this one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache, reduce
from operator import or_
from typing import Any, NamedTuple, Protocol

import polars as pl

from store.catalogue.column_fields import CAMPAIGN_FIELDS
from store.catalogue.frame import Frame, verdict_engine, verdict_status
from store.catalogue.masks import all_are, how_many, only, places
from store.catalogue.slices import GaveWay, at_leisure, has_leisure
from store.filters.asked import client_wanted, hundredths
from store.filters.folding import needles
from store.filters.model import KB, Group, MessageFilter, Term
from store.mail.outcome import Delivered
from store.terms.verdicts import Engine

_PARALLEL = 50_000
_FEW = 0.1
_IDS = ("message_id", "mta_message_id")
_WORDS = ("from", "to", "subject")


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(3, "search")


class Extras(Protocol):
    """Answers the filter fields that a frame has no column for. An implementation loads only the fields asked for."""

    def mask(self, frame: Frame, field: str, values: Sequence[Any]) -> pl.Series:
        """Return a mask by row, without nulls: copies that have any of the values; False where the field is not known.

        Fields and their values: ``campaign`` (ids; 0: in none), ``odd`` and ``known`` (True), ``link``, ``file``,
        ``symbol`` and ``envelope`` (`needles` of a text), ``sha256`` (hexadecimal prefixes), ``client`` (one
        `asked.Client`), ``score`` (lowest and highest, in hundredths, or None), ``auth`` (words as returned by
        `asked.auth_words`).
        """
        ...

    def known(self, frame: Frame, field: str) -> pl.Series | None:
        """Return a mask by row: copies whose value in this field is known. None if all are."""
        ...


class _Question(NamedTuple):
    """The arguments shared by all parts of a filter."""

    frame: Frame
    now: int
    outcomes: Mapping[int, Delivered]
    extras: Extras | None
    #: The result of a condition on a copy whose value is not known. A negated group inverts it, so that neither a
    #: condition nor its negation matches such a copy.
    unknown: bool = False


def mask_of(
    frame: Frame,
    flt: MessageFilter,
    *,
    now: int,
    outcomes: Mapping[int, Delivered] | None = None,
    extras: Extras | None = None,
) -> pl.Series | None:
    """Return a mask by row: copies that match the filter at `now` (Unix ms); None if every row matches.

    `outcomes`: by copy id, NO if missing; read only for a filter on `delivered`. Without `extras` the fields that it
    would answer are unknown. A copy never matches because of an unknown value.
    """
    # The same filter again, in another order: if it depends only on the frame, so does its mask.
    lasting = not flt.asks() and not flt.asks_delivered() and flt.fixed(now) == flt
    # Read once: another thread may ask for another filter meanwhile.
    if lasting and (found := frame.found) is not None and found[0] == flt:
        return found[1]
    mask = _left(_Question(frame, now, outcomes or {}, extras), flt, None)
    if lasting:
        frame.found = flt, mask
    return mask


def foresee(frame: Frame, flt: MessageFilter, *, now: int, wanted: Callable[[], bool]) -> None:
    """Search for what a filter will ask, at leisure, so that `mask_of` finds it among the latest results.

    Ends early, with no harm, once it is not `wanted`.
    """
    if flt.asks() or flt.asks_delivered():
        return
    try:
        with at_leisure(wanted):
            _left(_Question(frame, now, {}, None), flt, None)
    except GaveWay:
        return


def prepare_searches(frame: Frame, wanted: Callable[[], bool]) -> None:
    """Make the first letter of a search fast, at leisure, also while queries go on: somebody may type already.

    Ends early, with no harm, once it is not `wanted`.
    """
    try:
        with at_leisure(wanted):
            frame.prepare_searches()
    except GaveWay:
        return


def prepare(frame: Frame) -> None:
    """Make the first sorts and the first searches fast. Costs seconds per million rows once, then little."""
    frame.prepare()
    if frame.found is None:
        # The first search starts threads, and touches what no other work does.
        mask_of(frame, MessageFilter(words=(Term("e"),)), now=0)


def _left(asked: _Question, flt: MessageFilter, mask: pl.Series | None) -> pl.Series | None:
    """Narrow the mask (None: all rows) by the filter."""
    frame = asked.frame
    for part in _numbers(frame, flt, asked.now, asked.outcomes):
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
    for field, values, negated in _beside(flt):
        part = _extra(asked, field, values, negated)
        mask = part if mask is None else mask & part
    for group in flt.groups:
        mask = _grouped(asked, group, mask)
    return mask


def _grouped(asked: _Question, group: Group, mask: pl.Series | None) -> pl.Series:
    """Narrow the mask (None: all rows) by a group."""
    inside = asked._replace(unknown=asked.unknown is not group.negated)
    branches = [_left(inside, branch, mask) for branch in group.branches]
    found = reduce(or_, (_every(asked.frame) if branch is None else branch for branch in branches))
    if not group.negated:
        return found
    return ~found if mask is None else mask & ~found


def _every(frame: Frame) -> pl.Series:
    return all_are(True, len(frame))


def _beside(flt: MessageFilter) -> Iterator[tuple[str, Sequence[Any], bool]]:
    """Yield the conditions for `Extras`: field, values, and whether the condition is negated."""
    for field, wanted, negated in (
        ("campaign", flt.campaigns, False),
        ("campaign", flt.not_campaigns, True),
        ("sha256", flt.sha256, False),
        ("sha256", flt.not_sha256, True),
        ("auth", sorted(flt.auth), False),
        ("auth", sorted(flt.not_auth), True),
    ):
        if wanted:
            yield field, wanted, negated
    for field, flag in (("odd", flt.odd), ("known", flt.known)):
        if flag is not None:
            yield field, (True,), not flag
    if flt.score_min is not None or flt.score_max is not None:
        limits = [None if limit is None else hundredths(limit) for limit in (flt.score_min, flt.score_max)]
        yield "score", limits, False
    for field, terms in (("link", flt.links), ("file", flt.files), ("symbol", flt.symbols), ("envelope", flt.envelope)):
        for term in terms:
            yield field, [needle for needle in needles(term.text) if _is_text(needle)], term.negated
    for term in flt.clients:
        yield "client", [client_wanted(term.text)] if _is_text(term.text) else [], term.negated


def _extra(asked: _Question, field: str, values: Sequence[Any], negated: bool) -> pl.Series:
    """Return a mask by row: copies that have any of the values or, if `negated`, are known to have none of them."""
    frame, extras = asked.frame, asked.extras
    if extras is None:
        found = ~_every(frame) if field != "campaign" or 0 not in values else _every(frame)
        known = None if field in CAMPAIGN_FIELDS else ~_every(frame)
    else:
        found = extras.mask(frame, field, values) if values else ~_every(frame)
        known = extras.known(frame, field)
    found = ~found if negated else found
    if known is None:
        return found
    return found | ~known if asked.unknown else found & known


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
        yield wanted[rows.get_column("verdict")]
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
    """Narrow the mask (None: all rows) by a term."""
    wanted = [needle for needle in needles(term.text) if _is_text(needle)]
    rows = None
    if mask is not None and how_many(mask) < _FEW * len(frame):
        rows = places(mask)
    length = len(frame) if rows is None else len(rows)

    def find(name: str) -> pl.Series:
        if rows is not None:
            return frame.texts[name].find_among(wanted, frame.rows.get_column(name)[rows])
        return frame.texts[name].find(*wanted)

    if not wanted:
        found = all_are(False, length)
    else:
        shared = len(names) > 1 and length > _PARALLEL and not has_leisure()
        answers = [*(_pool().map if shared else map)(find, names)]
        found = reduce(or_, answers) if rows is not None else frame.having(dict(zip(names, answers, strict=True)))
    found = ~found if term.negated else found
    if rows is not None:
        return only(rows.filter(found), len(frame))
    return found if mask is None else mask & found


def _is_text(needle: str) -> bool:
    """Return False for text that no message can contain (lone surrogates, from undecodable bytes of a terminal)."""
    try:
        needle.encode()
    except UnicodeEncodeError:
        return False
    return True


def engine_counts(frame: Frame) -> dict[Engine | None, int]:
    """Count the copies by the engine whose verdict caused them (None: no verdict)."""
    counts: dict[Engine | None, int] = {}
    for code, count in frame.verdict_counts.items():
        engine = verdict_engine(code)
        counts[engine] = counts.get(engine, 0) + count
    return counts


def rule_ids(frame: Frame) -> list[tuple[int, str]]:
    """List the rules that judged any copy, ascending by id, with the name in the newest such copy ("" if unknown)."""
    ids = frame.rows.get_column("rule_id").unique().sort().to_list()
    return [(rule_id, frame.rule_names.get(rule_id, "")) for rule_id in ids]


def day_counts(frame: Frame, starts: Sequence[int]) -> list[dict[Engine | None, int]]:
    """Count the copies by engine in each interval between two of the ascending `starts` (Unix ms)."""
    counts: list[dict[Engine | None, int]] = [{} for _ in starts[1:]]
    placed = frame.rows.get_column("stored_at")
    recent = frame.rows.select("stored_at", "verdict").filter((placed >= starts[0]) & (placed < starts[-1]))
    days = pl.Series("start", starts, dtype=pl.Int64).search_sorted(recent.get_column("stored_at"), side="right") - 1
    for day, code, count in recent.with_columns(day=days).group_by("day", "verdict").len().iter_rows():
        engine = verdict_engine(code)
        counts[day][engine] = counts[day].get(engine, 0) + count
    return counts
