"""Sums up many sets of a frame's rows at once, for `store.catalogue.summaries`.

Imports Polars: only the modules that the catalogue loads in the background may import this one.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple
from weakref import WeakKeyDictionary

import polars as pl

from store.campaigns.standing import Standing
from store.catalogue.addresses import recipient_numbers, sender_numbers, sender_texts
from store.catalogue.frame import Frame, verdict_engine, verdict_status
from store.catalogue.sort import Sort, SortKey
from store.catalogue.summary import Sender, SendersLeft, Summary, VerdictCounts
from store.catalogue.text import RankedTexts
from store.filters.model import Period

#: More ids than `_MANY` are looked up in a table indexed by id, if the frame's id range is less than `_SPREAD` times
#: its length.
_MANY, _SPREAD = 20_000, 8
_NO_ID = 2**63
_NO_IDS, _NO_PLACES = pl.Series([], dtype=pl.Int64), pl.Series([], dtype=pl.UInt32)
_HOUR = Period.HOUR.milliseconds or 0


class _Sets(NamedTuple):
    """The sets as columns: copy ids (ascending) and the number of each id's set. Odd copies are separate."""

    ids: pl.Series
    sets: pl.Series
    odd: pl.Series
    odd_sets: pl.Series


#: Cached per Standing: combining a million ids takes as long as summing them up.
_of_standing: WeakKeyDictionary[Standing, _Sets] = WeakKeyDictionary()


def summed_campaigns(frame: Frame, standing: Standing, now: int) -> dict[int, Summary]:
    """Return the summary of each campaign at `now` (Unix ms), by campaign id. Odd copies count only as `odd`."""
    return _summed(frame, [one.id for one in standing.campaigns], _sets_of(standing), now)


def summed(frame: Frame, sets: Mapping[int, tuple[Iterable[int], Iterable[int]]], now: int) -> dict[int, Summary]:
    """Return the summary of each set at `now` (Unix ms), by key. `sets`: by key, (copy ids, ids of odd copies).

    Odd copies count only as `odd`.
    """
    return _summed(frame, list(sets), _sets(sets.values()), now)


def _summed(frame: Frame, keys: Sequence[int], sets: _Sets, now: int) -> dict[int, Summary]:
    found = {place: Summary() for place in range(len(keys))}
    rows, of = _present(frame, sets.ids, sets.sets)
    _, odd_of = _present(frame, sets.odd, sets.odd_sets)
    picked = pl.DataFrame(
        {
            "set": of,
            "placed": frame.rows.get_column("stored_at").gather(rows),
            "sender": sender_numbers(frame.texts["from"]).gather(frame.rows.get_column("from").gather(rows)),
        }
    )
    figures = picked.group_by("set").agg(
        pl.len(),
        pl.col("sender").n_unique(),
        first=pl.col("placed").min(),
        last=pl.col("placed").max(),
        hour=(pl.col("placed") >= now - _HOUR).sum(),
    )
    recipients = dict(_recipients(frame, rows, of))
    verdicts = _verdicts(of, frame.rows.get_column("verdict").gather(rows))
    odd = dict(odd_of.value_counts().iter_rows())
    for place, copies, senders, first, last, hour in figures.iter_rows():
        told = verdicts.get(place, ())
        found[place] = Summary(copies, recipients.get(place, 0), senders, told, first, last, hour)
    return {key: found[place]._replace(odd=odd.get(place, 0)) for place, key in enumerate(keys)}


def _recipients(frame: Frame, rows: pl.Series, of: pl.Series) -> Iterable[tuple[int, int]]:
    """Count the distinct recipients of each set."""
    codes = frame.rows.get_column("to").gather(rows)
    first, others = recipient_numbers(frame.texts["to"])
    each = pl.DataFrame({"set": of, "number": first.gather(codes)})
    if len(others):
        entries = pl.DataFrame({"set": of, "entry": codes}).unique()
        each = pl.concat([each, entries.join(others, on="entry").select("set", "number")])
    return each.group_by("set").agg(pl.col("number").drop_nulls().n_unique()).iter_rows()


def _verdicts(of: pl.Series, codes: pl.Series) -> dict[int, VerdictCounts]:
    # Set and verdict as one number: counting numbers takes a third of the time of counting pairs.
    pairs = (of.cast(pl.UInt64) * 256 + codes).alias("pair").value_counts()
    counts = pairs.select(pl.col("pair") // 256, pl.col("count"), verdict=pl.col("pair") % 256)
    counts = counts.sort("pair", "count", "verdict", descending=[False, True, False])
    found: dict[int, list[tuple[int, int]]] = {}
    for key, count, code in counts.iter_rows():
        found.setdefault(key, []).append((code, count))
    return {
        key: tuple((verdict_engine(code), verdict_status(code), count) for code, count in each)
        for key, each in found.items()
    }


def _present(frame: Frame, ids: pl.Series, of: pl.Series) -> tuple[pl.Series, pl.Series]:
    """Return the row numbers of those ids that exist, and the set of each."""
    if not len(frame) or not len(ids):
        return pl.Series([], dtype=pl.UInt32), of.head(0)
    first, last = int(frame.ids[0]), frame.last_id
    if len(ids) > _MANY and last - first < _SPREAD * len(frame):
        # For a million ids, indexing a table takes a quarter of the time of binary searches.
        inside = (ids >= first) & (ids <= last)
        if not inside.all():
            ids, of = ids.filter(inside), of.filter(inside)
        each = pl.arange(len(frame), dtype=pl.UInt32, eager=True)
        table = pl.repeat(None, last - first + 1, dtype=pl.UInt32, eager=True).scatter(frame.ids - first, each)
        rows = table.gather(ids - first)
        there = rows.is_not_null()
    else:
        rows = frame.ids.search_sorted(ids).clip(upper_bound=len(frame) - 1).cast(pl.UInt32)
        there = frame.ids.gather(rows) == ids
    return (rows, of) if there.all() else (rows.filter(there), of.filter(there))


def _sets_of(standing: Standing) -> _Sets:
    found = _of_standing.get(standing)
    if found is None:
        found = _sets((one.copies, [each.copy for each in one.odd]) for one in standing.campaigns)
        _of_standing[standing] = found
    return found


def _sets(sets: Iterable[tuple[Iterable[int], Iterable[int]]]) -> _Sets:
    pairs = list(sets)
    return _Sets(*_ordered([fine for fine, _ in pairs]), *_ordered([odd for _, odd in pairs]))


def _ordered(sets: Sequence[Iterable[int]]) -> tuple[pl.Series, pl.Series]:
    ids = [_numbers(each) for each in sets]
    places = [pl.repeat(place, len(part), dtype=pl.UInt32, eager=True) for place, part in enumerate(ids)]
    frame = pl.DataFrame({"id": pl.concat([_NO_IDS, *ids]), "set": pl.concat([_NO_PLACES, *places])}).sort("id")
    return frame.get_column("id"), frame.get_column("set")


def _numbers(ids: Iterable[int]) -> pl.Series:
    """Return the valid ids as a series, ascending, each once."""
    if isinstance(ids, array):  # An array (copies of campaigns) converts three times as fast.
        series = pl.Series(ids, dtype=pl.UInt64)
        series = series.filter(series < _NO_ID).cast(pl.Int64)
        return series if series.is_sorted() else series.unique().sort()
    return pl.Series([copy_id for copy_id in ids if 0 <= copy_id < _NO_ID], dtype=pl.Int64).unique().sort()


class FrameSenders(SendersLeft):
    """The senders of those rows of a frame that no campaign act applies to."""

    def __init__(self, frame: Frame, standing: Standing) -> None:
        sets = _sets_of(standing)
        offered = pl.Series([one.rank.offered for one in standing.campaigns], dtype=pl.Boolean)
        rest = ~_mask(frame, sets.ids.filter(offered.gather(sets.sets)))
        taken = frame.orders.ordered(rest, Sort(SortKey.PLACED, False))
        rows = pl.DataFrame(
            {
                "row": taken,
                "sender": sender_numbers(frame.texts["from"]).gather(frame.rows.get_column("from").gather(taken)),
                "placed": frame.rows.get_column("stored_at").gather(taken),
                "odd": _mask(frame, sets.odd.filter(offered.gather(sets.odd_sets))).gather(taken),
            }
        )
        # Grouping keeps the order of rows, oldest first, so `last` is the newest.
        figures = rows.group_by("sender").agg(
            pl.len(), pl.col("odd").sum(), pl.col("placed").last(), pl.col("row").last()
        )
        self._frame = frame
        self._rows = rows
        self._figures = figures.sort("len", "placed", "row", descending=True)
        self.count = self._figures.height
        self.copies = rows.height
        self.odd = int(rows.get_column("odd").sum() or 0)

    def rows(self, start: int, stop: int) -> list[Sender]:
        start = max(start, 0)
        shown = self._figures.slice(start, max(stop - start, 0))
        numbers = shown.get_column("sender")
        place = pl.DataFrame({"sender": numbers, "set": pl.arange(len(numbers), dtype=pl.UInt32, eager=True)})
        among = self._rows.join(place, on="sender")
        rows, of = among.get_column("row"), among.get_column("set")
        recipients = dict(_recipients(self._frame, rows, of))
        verdicts = _verdicts(of, self._frame.rows.get_column("verdict").gather(rows))
        newest = shown.get_column("row")
        words = self._frame.texts["from"]
        assert isinstance(words, RankedTexts)
        texts = sender_texts(words.forms(self._frame.rows.get_column("from").gather(newest)))
        subjects = self._frame.texts["subject"].gather(self._frame.rows.get_column("subject").gather(newest))
        return [
            Sender(address, copies, odd, recipients.get(at, 0), verdicts[at], copy_id, placed, subject)
            for at, (address, copies, odd, copy_id, placed, subject) in enumerate(
                zip(
                    *(texts, shown.get_column("len"), shown.get_column("odd"), self._frame.ids.gather(newest)),
                    *(shown.get_column("placed"), subjects),
                    strict=True,
                )
            )
        ]

    def ids(self, position: int) -> list[int]:
        """As `SendersLeft.ids`. Raises IndexError."""
        if not 0 <= position < self.count:
            raise IndexError(position)
        sender = self._figures.get_column("sender")[position]
        rows = self._rows.filter(pl.col("sender") == sender).get_column("row")
        return self._frame.ids.gather(rows.sort()).to_list()


def _mask(frame: Frame, ids: pl.Series) -> pl.Series:
    rows, _ = _present(frame, ids, ids)
    return pl.repeat(False, len(frame), dtype=pl.Boolean, eager=True).scatter(rows, True)
