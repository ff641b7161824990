"""The catalogue's rows in memory: numbers and codes by row, texts in dictionaries; immutable, ordered by id.

Imports Polars: only the modules that the catalogue loads in the background may import this one.
"""

from __future__ import annotations

import io
import threading
from collections import OrderedDict
from collections.abc import Collection, Iterable, Iterator
from functools import cached_property
from typing import Literal

import polars as pl

from store.catalogue_sort import Sort, SortKey
from store.catalogue_text import Dictionary
from store.filter_model import fold, recipients_text
from store.records import Copy, Row
from store.verdicts import Engine, Status

_TEXTS = ("from", "to", "subject", "message_id", "mta_message_id")
_SORT_TEXT = {SortKey.FROM: "from", SortKey.TO: "to", SortKey.SUBJECT: "subject"}
_SORT_NUMBER = {SortKey.ENGINE: "verdict", SortKey.SIZE: "size", SortKey.RULE: "rule_id"}
_SCHEMA = {
    "id": pl.Int64,
    "stored_at": pl.Int64,
    "size": pl.Int64,
    "rule_id": pl.Int64,
    "verdict": pl.UInt8,
    "dangerous": pl.Boolean,
    **dict.fromkeys(_TEXTS, pl.UInt32),
}
_RULES = {"id": pl.Int64, "name": pl.String}
_ENGINES: list[Engine | None] = [*Engine, *[None] * (8 - len(Engine))]
_STATUSES: list[Status | None] = [*Status, *[None] * (32 - len(Status))]
_CACHED_ORDERS = 3
_SORT_FEW = 16
_TEXT_FEW = 50_000
_LOOSE = 50_000

Compression = Literal["uncompressed", "zstd"]

#: What the codes in a serialised frame mean; a snapshot made under another meaning is of no use.
MEANING = ["1", *_SCHEMA, *(engine.value for engine in Engine), *(status.value for status in Status)]


def verdict_code(engine: Engine | None, status: Status | None) -> int:
    """Engine and status as one number that sorts by engine, then status; none comes last."""
    return _ENGINES.index(engine) * 32 + _STATUSES.index(status)


def verdict_engine(code: int) -> Engine | None:
    return _ENGINES[code >> 5]


def verdict_status(code: int) -> Status | None:
    return _STATUSES[code & 31]


_VERDICT_CODES = {
    (engine, status): verdict_code(engine, status) for engine in (*Engine, None) for status in (*Status, None)
}


class Frame:
    """Immutable rows in ascending order of ids, each id once."""

    def __init__(self, rows: pl.DataFrame, texts: dict[str, Dictionary], rule_names: dict[int, str]) -> None:
        self.rows = rows
        self.texts = texts
        self.rule_names = rule_names
        self._orders: OrderedDict[Sort, pl.Series] = OrderedDict()
        self._lock = threading.Lock()

    @classmethod
    def of(cls, copies: Iterable[Copy]) -> Frame:
        """From copies in ascending order of ids."""
        ids, times, sizes, rules, verdicts, dangerous = columns = [[], [], [], [], [], []]  # type: ignore[var-annotated]
        senders: dict[str, int] = {}
        recipients: dict[tuple[str, str], int] = {}
        subjects: dict[str, int] = {}
        from_codes: list[int] = []
        to_codes: list[int] = []
        subject_codes: list[int] = []
        message_ids: list[str] = []
        mta_ids: list[str] = []
        rule_names: dict[int, str] = {}
        for copy_id, stored_at, _, record in copies:
            reason = record.reason
            ids.append(copy_id)
            times.append(stored_at)
            sizes.append(record.size)
            rules.append(record.rule_id)
            verdicts.append(_VERDICT_CODES[reason.engine, reason.status] if reason else 255)
            dangerous.append(record.dangerous)
            if record.rule_name:
                rule_names[record.rule_id] = record.rule_name
            from_codes.append(senders.setdefault(record.from_, len(senders)))
            to_codes.append(recipients.setdefault((record.to, recipients_text(record)), len(recipients)))
            subject_codes.append(subjects.setdefault(record.subject, len(subjects)))
            # Hardly ever equal to another one: not worth looking for it.
            message_ids.append(record.message_id)
            mta_ids.append(record.mta_message_id)
        each = range(len(ids))
        values = dict(zip(_SCHEMA, [*columns, from_codes, to_codes, subject_codes, each, each], strict=True))
        frame = pl.DataFrame([pl.Series(name, values[name], dtype=kind) for name, kind in _SCHEMA.items()])
        words = [_dictionary(senders, senders), _dictionary(*zip(*recipients, strict=True) if recipients else ((), ()))]
        words += [_dictionary(subjects, subjects), _dictionary(message_ids, message_ids), _dictionary(mta_ids, mta_ids)]
        return cls(frame, dict(zip(_TEXTS, words, strict=True)), rule_names)

    def __len__(self) -> int:
        return self.rows.height

    @property
    def ids(self) -> pl.Series:
        return self.rows.get_column("id")

    @property
    def last_id(self) -> int:
        return int(self.ids[-1]) if len(self) else 0

    @cached_property
    def in_time_order(self) -> bool:
        """Whether ids ascend as the times placed do, which spares sorting by them."""
        return bool(self.rows.get_column("stored_at").is_sorted())

    def merge(self, other: Frame) -> Frame:
        """These rows and those of another frame, which has none of the same ids."""
        if not len(other):
            return self
        shifts = [pl.col(name) + pl.lit(len(self.texts[name]), pl.UInt32) for name in _TEXTS]
        moved = other.rows.with_columns(shifts)
        texts = {name: words.extend(other.texts[name]) for name, words in self.texts.items()}
        if not len(self) or self.last_id < other.ids[0]:
            rows = pl.concat([self.rows, moved], rechunk=True)
        elif other.last_id < self.ids[0]:
            rows = pl.concat([moved, self.rows], rechunk=True)
        else:
            rows = pl.concat([self.rows, moved], rechunk=True).sort("id")
        older, newer = (self, other) if self.last_id < other.last_id else (other, self)
        return Frame(rows, texts, older.rule_names | newer.rule_names)

    def without(self, ids: Iterable[int]) -> Frame:
        """These rows but for those ids. Their texts stay in memory until `tightened`."""
        gone = self.among(ids)
        return Frame(self.rows.filter(~gone), self.texts, self.rule_names) if gone.any() else self

    def new_to(self, other: Frame) -> Frame:
        """These rows but for those whose ids another frame has."""
        known = _among(self.ids, other.ids)
        return Frame(self.rows.filter(~known), self.texts, self.rule_names) if known.any() else self

    def missing_from(self, ids: Iterable[int]) -> tuple[list[int], list[int]]:
        """Compared with these ids: those that this frame has and they do not, and those that it lacks."""
        others = _ordered(ids)
        mine = self.ids
        extra = mine.filter(~_among(mine, others))
        lacking = others.filter(~_among(others, mine))
        return extra.to_list(), lacking.to_list()

    def position(self, copy_id: int) -> int | None:
        """The row of an id."""
        if not 0 <= copy_id < 2**63:
            return None
        position = int(self.ids.search_sorted(copy_id))
        return position if position < len(self) and self.ids[position] == copy_id else None

    def among(self, ids: Iterable[int]) -> pl.Series:
        """Boolean, by row: whether its id is one of these."""
        return _among(self.ids, _ordered(ids))

    def row_list(self, positions: pl.Series) -> list[Row]:
        """The list lines of these rows, in this order."""
        picked = self.rows[positions]
        texts = {name: self.texts[name].texts.gather(picked.get_column(name)).to_list() for name in _TEXTS}
        return [
            Row(
                copy_id,
                at,
                _ENGINES[code >> 5],
                _STATUSES[code & 31],
                from_,
                to,
                subject,
                size,
                rule,
                mid,
                mta,
                dangerous,
            )
            for copy_id, at, size, rule, code, dangerous, from_, to, subject, mid, mta in zip(
                *(picked.get_column(name).to_list() for name in list(_SCHEMA)[:6]), *texts.values(), strict=True
            )
        ]

    def order(self, sort: Sort) -> pl.Series | None:
        """All rows in this order; None for ascending ids. Among equal keys the newest come first."""
        if sort.key is SortKey.PLACED and self.in_time_order:
            return self._newest_first() if sort.descending else None
        with self._lock:
            if (known := self._orders.get(sort)) is not None:
                self._orders.move_to_end(sort)
                return known
        if sort.key is SortKey.PLACED:
            columns = self.rows.select("stored_at", "id")
            order = columns.select(pl.arg_sort_by("stored_at", "id", descending=sort.descending)).to_series()
        else:
            order = self._sorted(self._newest_first(), sort)
        with self._lock:
            self._orders[sort] = order
            while len(self._orders) > _CACHED_ORDERS:
                self._orders.popitem(last=False)
        return order

    def ordered(self, mask: pl.Series, sort: Sort) -> pl.Series:
        """The rows of a Boolean mask, in this order."""
        count = int(mask.sum() or 0)
        with self._lock:
            known = sort in self._orders
        placed = sort.key is SortKey.PLACED
        if not known and count < len(self) // _SORT_FEW and not (placed and not self.in_time_order):
            few = mask.arg_true()
            if placed:
                return few.reverse() if sort.descending else few
            if self.in_time_order:
                return self._sorted(few.reverse(), sort)
        order = self.order(sort)
        if order is None:
            return mask.arg_true()
        if placed and self.in_time_order:
            return mask.arg_true().reverse()
        return order.filter(mask.gather(order))

    def _newest_first(self) -> pl.Series:
        if self.in_time_order:
            return pl.arange(len(self), dtype=pl.UInt32, eager=True).reverse()
        newest = self.order(Sort(SortKey.PLACED, True))
        assert newest is not None
        return newest

    def _sorted(self, positions: pl.Series, sort: Sort) -> pl.Series:
        if name := _SORT_NUMBER.get(sort.key):
            keys = self.rows.get_column(name).gather(positions)
        else:
            name = _SORT_TEXT[sort.key]
            codes = self.rows.get_column(name).gather(positions)
            words = self.texts[name]
            if len(positions) < _TEXT_FEW and not words.ranked:
                keys = words.search.gather(codes)
            else:
                keys = words.ranks().gather(codes)
        frame = pl.DataFrame({"key": keys})
        return positions.gather(
            frame.select(pl.arg_sort_by("key", descending=sort.descending, maintain_order=True)).to_series()
        )

    def rank_texts(self) -> None:
        """Make what sorting by a text needs, so that the first such sort does not wait for it."""
        for name in _SORT_TEXT.values():
            if not self.texts[name].ranked:
                self.texts[name].ranks()

    def loose(self, name: str) -> bool:
        """Whether `tightened` would free much: many texts of the column are used by no row, or held twice."""
        entries = len(self.texts[name])
        return entries > _LOOSE and entries > 1.5 * self.rows.get_column(name).n_unique()

    def tightened(self, name: str) -> Frame:
        """The same rows; of one text column each text is held once, those of no row are gone, in memory of its own."""
        words, codes = _compacted(self.texts[name], self.rows.get_column(name))
        fresh = _words_from_ipc(_words_to_ipc(words, "uncompressed"))
        return Frame(self.rows.with_columns(codes.alias(name)), {**self.texts, name: fresh}, self.rule_names)

    @property
    def section_count(self) -> int:
        """How many `sections` there are."""
        return len(_TEXTS) + 2

    def sections(self, compression: Compression, *, compact: bool) -> Iterator[bytes]:
        """As Arrow IPC: each dictionary, the rule names, the rows. `compact`: nothing that is not of these rows."""
        rows = self.rows
        for name, words in self.texts.items():
            if compact:
                words, codes = _compacted(words, rows.get_column(name))
                rows = rows.with_columns(codes.alias(name))
            yield _words_to_ipc(words, compression)
        rules = set(rows.get_column("rule_id").unique()) if compact else set(self.rule_names)
        names = {rule: name for rule, name in self.rule_names.items() if rule in rules}
        yield _to_ipc(pl.DataFrame({"id": list(names), "name": list(names.values())}, schema=_RULES), compression)
        yield _to_ipc(rows, compression)

    @classmethod
    def of_sections(cls, sections: Iterable[bytes]) -> Frame:
        """From what `sections` made. Raises ValueError where they do not fit together."""
        source = iter(sections)
        try:
            texts = {name: _words_from_ipc(next(source)) for name in _TEXTS}
            rules, rows = (pl.read_ipc(io.BytesIO(section)) for section in source)
            fits = all((rows.get_column(name) < len(words)).all() for name, words in texts.items())
        except (pl.exceptions.PolarsError, OSError, StopIteration, ValueError) as error:
            raise ValueError("not Arrow IPC sections of a catalogue") from error
        if rows.schema != pl.Schema(_SCHEMA) or rules.schema != pl.Schema(_RULES) or not fits:
            raise ValueError("not the columns of a catalogue")
        return cls(rows, texts, dict(rules.iter_rows()))


def empty_frame() -> Frame:
    return Frame.of(())


def _dictionary(shown: Collection[str], searched: Collection[str]) -> Dictionary:
    folded = [None if (form := fold(search)) == text else form for text, search in zip(shown, searched, strict=True)]
    return Dictionary.of(pl.Series("text", list(shown), dtype=pl.String), pl.Series("folded", folded, dtype=pl.String))


def _compacted(words: Dictionary, codes: pl.Series) -> tuple[Dictionary, pl.Series]:
    used = codes.unique().sort()
    texts, folded = words.parts(used)
    entries = pl.DataFrame({"text": texts, "folded": folded}).with_row_index("first")
    first = entries.select(pl.col("first").first().over("text", "folded")).to_series()
    kept = first.unique().sort()
    place = kept.search_sorted(first).cast(pl.UInt32)
    lookup = pl.repeat(0, len(words), dtype=pl.UInt32, eager=True).scatter(used, place)
    return Dictionary.of(texts.gather(kept), folded.gather(kept)), lookup.gather(codes)


def _ordered(ids: Iterable[int]) -> pl.Series:
    return pl.Series("id", [copy_id for copy_id in ids if 0 <= copy_id < 2**63], dtype=pl.Int64).sort()


def _among(values: pl.Series, ordered: pl.Series) -> pl.Series:
    """Boolean: which values occur in the ascending series `ordered`."""
    if not len(ordered):
        return pl.repeat(False, len(values), dtype=pl.Boolean, eager=True)
    places = ordered.search_sorted(values).clip(upper_bound=len(ordered) - 1)
    return ordered.gather(places) == values


def _words_to_ipc(words: Dictionary, compression: Compression) -> bytes:
    texts, folded = words.parts(pl.arange(len(words), dtype=pl.UInt32, eager=True))
    return _to_ipc(pl.DataFrame({"text": texts, "folded": folded}), compression)


def _words_from_ipc(section: bytes) -> Dictionary:
    words = pl.read_ipc(io.BytesIO(section))
    return Dictionary.of(words.get_column("text"), words.get_column("folded"))


def _to_ipc(frame: pl.DataFrame, compression: Compression) -> bytes:
    buffer = io.BytesIO()
    # The oldest layout writes texts one by one; the view layout writes whole buffers, deleted texts with them.
    frame.rechunk().write_ipc(buffer, compression=compression, compat_level=pl.CompatLevel.oldest())
    return buffer.getvalue()
