"""The catalogue's rows in memory: numbers and codes by row, texts in dictionaries; immutable, ordered by id.

Imports Polars: only the modules that the catalogue loads in the background may import this one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cached_property
from itertools import accumulate, repeat

import polars as pl

from store.catalogue.forms import forms, identifier_forms, sender_forms
from store.catalogue.identifiers import Identifiers
from store.catalogue.lookup import LookUps
from store.catalogue.masks import all_are, only
from store.catalogue.order import Orders
from store.catalogue.repeats import Repeats
from store.catalogue.senders import Senders
from store.catalogue.text import Dictionary, Texts
from store.filters.model import MessageFilter, recipients_text
from store.terms.records import Copy, CopyRecord, Row
from store.terms.sender import sender_differs
from store.terms.verdicts import Engine, Status

TEXTS = ("from", "to", "subject", "message_id", "mta_message_id")
#: Those not in the list of the console.
IDENTIFIERS = ("message_id", "mta_message_id")
SCHEMA = {
    "id": pl.Int64,
    "stored_at": pl.Int64,
    "size": pl.Int64,
    "rule_id": pl.Int64,
    "verdict": pl.UInt8,
    "dangerous": pl.Boolean,
    "sender_differs": pl.Boolean,
    **dict.fromkeys(TEXTS, pl.UInt32),
}
#: Most chunks of the rows. Queries take as long with as many as with one.
_CHUNKS = 24
_NUMBERS = ("id", "stored_at", "size", "rule_id", "verdict", "dangerous", "sender_differs")
_ENGINES: list[Engine | None] = [*Engine, *[None] * (8 - len(Engine))]
_STATUSES: list[Status | None] = [*Status, *[None] * (32 - len(Status))]


def verdict_code(engine: Engine | None, status: Status | None) -> int:
    """Encode engine and status as a number that sorts by engine, then status; None sorts last."""
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

    def __init__(
        self, rows: pl.DataFrame, texts: dict[str, Texts], rule_names: dict[int, str], placed: pl.Series | None = None
    ) -> None:
        """Make a frame. `placed`: the row numbers ordered by time placed, then id, if known."""
        self.rows = rows
        self.texts = texts
        self.rule_names = rule_names
        self.orders = Orders(rows, texts, placed)
        #: The latest filter that depends only on this frame, and its mask (`query.mask_of`).
        self.found: tuple[MessageFilter, pl.Series | None] | None = None
        self._look_ups: dict[tuple[str, ...], LookUps] = {}

    @classmethod
    def of(cls, copies: Iterable[Copy]) -> Frame:
        """Make a frame of copies in ascending order of ids."""
        return cls.of_batches([list(copies)])

    @classmethod
    def of_batches(cls, batches: Iterable[Sequence[Copy]]) -> Frame:
        """Make a frame of copies in batches, ids ascending, so that only one batch of records is in memory."""
        ids, times, sizes, rules, verdicts, dangerous, differs = columns = [[], [], [], [], [], [], []]  # type: ignore[var-annotated]  # lists of several kinds
        from_fields: dict[str, int] = {}
        recipients: dict[tuple[str, str], int] = {}
        recipients_known: dict[tuple[str, tuple[str, ...]], int] = {}
        subjects: dict[str, int] = {}
        from_codes: list[int] = []
        to_codes: list[int] = []
        subject_codes: list[int] = []
        message_ids: list[str] = []
        mta_ids: list[str] = []
        rule_names: dict[int, str] = {}
        for batch in batches:
            records = [copy.record for copy in batch]
            ids += [copy.id for copy in batch]
            times += [copy.stored_at for copy in batch]
            sizes += [record.size for record in records]
            rules += [record.rule_id for record in records]
            verdicts += [
                _VERDICT_CODES[reason.engine, reason.status] if (reason := record.reason) else 255 for record in records
            ]
            dangerous += [record.dangerous for record in records]
            differs += [sender_differs(record.from_, record.envelope_sender) for record in records]
            rule_names.update({record.rule_id: record.rule_name for record in records if record.rule_name})
            from_codes += [from_fields.setdefault(record.from_, len(from_fields)) for record in records]
            to_codes += [_recipients_code(record, recipients, recipients_known) for record in records]
            subject_codes += [subjects.setdefault(record.subject, len(subjects)) for record in records]
            # Nearly all distinct: looking for duplicates is not worth the time.
            message_ids += [record.message_id for record in records]
            mta_ids += [record.mta_message_id for record in records]
        each = range(len(ids))
        values = dict(zip(SCHEMA, [*columns, from_codes, to_codes, subject_codes, each, each], strict=True))
        frame = pl.DataFrame([pl.Series(name, values[name], dtype=kind) for name, kind in SCHEMA.items()])
        words = [
            senders(from_fields),
            dictionary(*zip(*recipients, strict=True)) if recipients else dictionary((), ()),
            dictionary(subjects, subjects),
            identifiers(message_ids),
            identifiers(mta_ids),
        ]
        return cls(frame, dict(zip(TEXTS, words, strict=True)), rule_names)

    def __len__(self) -> int:
        return self.rows.height

    @property
    def ids(self) -> pl.Series:
        return self.rows.get_column("id")

    @property
    def last_id(self) -> int:
        return int(self.ids[-1]) if len(self) else 0

    @cached_property
    def verdict_counts(self) -> dict[int, int]:
        """The number of rows of each verdict code."""
        return dict(self.rows.get_column("verdict").value_counts().iter_rows())

    def merge(self, other: Frame, repeats: Repeats | None = None) -> Frame:
        """Add the rows of another frame that shares no id with this one. With `repeats`, texts known to it are not."""
        if not len(other):
            return self
        texts, codes = {}, []
        for name, words in self.texts.items():
            code = other.rows.get_column(name)
            if repeats is None:
                texts[name], code = words.extend(other.texts[name]), (code + len(words)).cast(pl.UInt32)
            else:
                texts[name], places = repeats.extend(name, words, other.texts[name])
                code = places[code].alias(name)
            codes.append(code)
        moved = other.rows.with_columns(codes)
        placed = None
        if not len(self) or self.last_id < other.ids[0]:
            rows = _joined(self.rows, moved)
            placed = self.orders.placed_after(moved)
        elif other.last_id < self.ids[0]:
            rows = _joined(moved, self.rows)
        else:
            rows = pl.concat([self.rows, moved], rechunk=True).sort("id")
        older, newer = (self, other) if self.last_id < other.last_id else (other, self)
        return Frame(rows, texts, older.rule_names | newer.rule_names, placed)

    def without(self, ids: Iterable[int]) -> Frame:
        """Drop the rows of these ids. Their texts stay in memory until `tightened`."""
        gone = self.among(ids)
        if not gone.any():
            return self
        return Frame(self.rows.filter(~gone), self.texts, self.rule_names, self.orders.placed_without(~gone))

    def with_texts(self, name: str, words: Texts, codes: pl.Series) -> Frame:
        """Replace the dictionary and the codes of one text column."""
        texts = {**self.texts, name: words}
        return Frame(self.rows.with_columns(codes.alias(name)), texts, self.rule_names, self.orders.placed())

    def with_shared_codes(self) -> Frame:
        """Hold the codes of both identifiers once if they are equal, as they mostly are: few messages share any."""
        one, other = (self.rows.get_column(name) for name in IDENTIFIERS)
        if not one.equals(other):
            return self
        return Frame(self.rows.with_columns(one.alias(other.name)), self.texts, self.rule_names)

    def new_to(self, other: Frame) -> Frame:
        """Return this frame without the rows whose ids are in `other`."""
        known = occur_in(self.ids, other.ids)
        return Frame(self.rows.filter(~known), self.texts, self.rule_names) if known.any() else self

    def missing_from(self, ids: Iterable[int]) -> tuple[list[int], list[int]]:
        """Compare with these ids. Returns the ids that only the frame has, and those that it lacks."""
        others = _ordered(ids)
        mine = self.ids
        extra = mine.filter(~occur_in(mine, others))
        lacking = others.filter(~occur_in(others, mine))
        return extra.to_list(), lacking.to_list()

    def position(self, copy_id: int) -> int | None:
        """Return the row number of an id; None if there is none."""
        if not 0 <= copy_id < 2**63:
            return None
        position = int(self.ids.search_sorted(copy_id))
        return position if position < len(self) and self.ids[position] == copy_id else None

    def rows_of(self, ids: Iterable[int]) -> pl.Series:
        """Return the row numbers (UInt32, ascending) of those ids that exist."""
        wanted = _ordered(ids)
        if not len(self) or not len(wanted):
            return pl.Series([], dtype=pl.UInt32)
        rows = self.ids.search_sorted(wanted).clip(upper_bound=len(self) - 1).cast(pl.UInt32)
        return rows.filter(self.ids[rows] == wanted)

    def among(self, ids: Iterable[int]) -> pl.Series:
        """Return a mask by row: whether the row's id is one of these."""
        return only(self.rows_of(ids), len(self))

    def having(self, masks: Mapping[str, pl.Series]) -> pl.Series:
        """Return a mask by row: those of which any text is in the mask of its column's texts."""
        names = tuple(masks)
        if names not in self._look_ups:
            self._look_ups[names] = LookUps([self.rows.get_column(name) for name in names])
        ways = [[mask if name == other else None for other in names] for name, mask in masks.items()]
        return self._look_ups[names].fits_any(ways)

    def prepare(self) -> None:
        """Make the first sorts and the first searches fast. Costs seconds per million rows once, then little."""
        self.prepare_searches()
        self.orders.prepare()

    def prepare_searches(self) -> None:
        """Make the first searches fast. Costs up to a second per million rows once."""
        for words in self.texts.values():
            words.prepare()

    def placed_span(self, ids: Iterable[int]) -> tuple[int, int]:
        """Return when the oldest and the newest of these copies were placed (Unix ms); (0, 0) if none exists."""
        placed = self.rows.get_column("stored_at")[self.rows_of(ids)]
        if not len(placed):
            return 0, 0
        return int(placed.min()), int(placed.max())  # type: ignore[arg-type]  # numbers, of a column of numbers

    def row_list(self, positions: pl.Series, *, identifiers: bool = True) -> list[Row]:
        """Make the list lines of the rows at these positions, in this order.

        Without `identifiers` these are empty, which saves the time to decompress them.
        """
        picked = self.rows[positions]
        left_out = () if identifiers else IDENTIFIERS
        texts = {
            name: repeat("") if name in left_out else self.texts[name].gather(picked.get_column(name)).to_list()
            for name in TEXTS
        }
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
                differs,
            )
            for copy_id, at, size, rule, code, dangerous, differs, from_, to, subject, mid, mta in zip(
                *(picked.get_column(name).to_list() for name in _NUMBERS), *texts.values(), strict=identifiers
            )
        ]


def _recipients_code(
    record: CopyRecord, codes: dict[tuple[str, str], int], known: dict[tuple[str, tuple[str, ...]], int]
) -> int:
    """Return the code of a record's To field and its text for searching, which repeat. `known`: by their origin."""
    origin = record.to, record.envelope_recipients
    code = known.get(origin)
    if code is None or not record.envelope_recipients:
        code = known[origin] = codes.setdefault((record.to, recipients_text(record)), len(codes))
    return code


def _joined(rows: pl.DataFrame, others: pl.DataFrame) -> pl.DataFrame:
    """Put rows below others. The smaller part becomes one chunk; copying all of a million rows would take 30 ms."""
    if rows.height < others.height:
        rows = rows.rechunk()
    else:
        others = others.rechunk()
    both = pl.concat([rows, others], rechunk=False)
    return both if both.n_chunks() <= _CHUNKS else _fewer_chunks(both)


def _fewer_chunks(rows: pl.DataFrame) -> pl.DataFrame:
    """Put chunks together until there are half as many as there may be: each time the two neighbours with fewest rows.

    So a large one is rarely copied.
    """
    sizes = rows.get_column("id").chunk_lengths()
    parts = [[size] for size in sizes]
    while len(parts) > _CHUNKS // 2:
        at = min(range(len(parts) - 1), key=lambda place: sum(parts[place]) + sum(parts[place + 1]))
        parts[at : at + 2] = [parts[at] + parts[at + 1]]
    starts = accumulate(map(sum, parts), initial=0)
    found = [rows.slice(start, sum(part)) for start, part in zip(starts, parts, strict=False)]
    return pl.concat([part.rechunk() for part in found], rechunk=False)


def empty_frame() -> Frame:
    return Frame.of(())


def dictionary(shown: Collection[str], looked_at: Collection[str]) -> Dictionary:
    """Make a dictionary of the `shown` texts; searches look at the corresponding `looked_at` texts."""
    texts = _strings(shown)
    return Dictionary.of(texts, forms(texts, texts if looked_at is shown else _strings(looked_at)))


def senders(fields: Collection[str]) -> Senders:
    """Make a dictionary of From fields."""
    texts = _strings(fields)
    return Senders.of(texts, sender_forms(texts))


def identifiers(texts: Collection[str]) -> Identifiers:
    """Make a column of identifiers."""
    made = _strings(texts)
    return Identifiers.of(made, identifier_forms(made))


def _strings(texts: Collection[str]) -> pl.Series:
    return pl.Series(list(texts), dtype=pl.String)


def _ordered(ids: Iterable[int]) -> pl.Series:
    return pl.Series("id", [copy_id for copy_id in ids if 0 <= copy_id < 2**63], dtype=pl.Int64).sort()


def occur_in(values: pl.Series, ordered: pl.Series) -> pl.Series:
    """Return a mask: which values occur in the ascending series `ordered`."""
    if not len(ordered):
        return all_are(False, len(values))
    places = ordered.search_sorted(values).clip(upper_bound=len(ordered) - 1)
    return ordered[places] == values
