"""Frames alone: any filter and sort over any rows equals the plain computation, for every way to build the frame."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from itertools import chain, pairwise, repeat
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from store.catalogue import lookup as catalogue_lookup
from store.catalogue import masks as catalogue_masks
from store.catalogue import order as catalogue_order
from store.catalogue import sections as catalogue_sections
from store.catalogue import senders as catalogue_senders
from store.catalogue import slices
from store.catalogue import text as catalogue_text
from store.catalogue.catalogue import NEWEST, Sort, SortKey
from store.catalogue.frame import Frame, empty_frame, senders
from store.catalogue.lookup import LookUps, fits_any, looked_up
from store.catalogue.masks import places
from store.catalogue.order import LastFirst
from store.catalogue.query import Extras, day_counts, engine_counts, foresee, mask_of, rule_ids
from store.catalogue.repeats import Repeats
from store.catalogue.sections import frame_of, layout_of, sections, tightened
from store.catalogue.selection import FrameSelection
from store.catalogue.senders import Senders
from store.filters import asked
from store.filters.folding import searched
from store.filters.line import MessageFilter, Term, parse
from store.filters.model import Beside
from store.mail.outcome import Delivered
from store.terms.records import Copy, CopyRecord, row_of
from store.terms.sender import address_first
from store.terms.verdicts import Engine, Status, Verdict
from tests.amounts import amount
from tests.store.catalogue.catalogue_model import expected, sorts
from tests.store.filters.filter_model import NOW, SENDERS, besides, filters, moments, needles, records, wide_filters

#: Mostly False.
_RARELY = st.sampled_from([False, False, False, True])


@st.composite
def copies(draw: st.DrawFn, max_size: int = 12) -> list[Copy]:
    ids = sorted(draw(st.sets(st.integers(1, 40), max_size=max_size)))
    in_order = draw(st.booleans())
    times = draw(st.lists(moments, min_size=len(ids), max_size=len(ids)))
    return [
        Copy(copy_id, stored_at, 0, draw(records))
        for copy_id, stored_at in zip(ids, sorted(times) if in_order else times, strict=True)
    ]


def select(
    frame: Frame,
    flt: MessageFilter,
    sort: Sort = NEWEST,
    outcomes: dict[int, Delivered] | None = None,
    extras: Extras | None = None,
) -> FrameSelection:
    mask = mask_of(frame, flt, now=NOW, outcomes=outcomes, extras=extras)
    return FrameSelection(
        frame, frame.orders.shown(mask, sort), mask, total=len(frame), partial=False, high_water=frame.last_id
    )


@given(copies(), filters, sorts, st.dictionaries(st.integers(1, 40), st.sampled_from(Delivered)))
@settings(max_examples=amount(100, 300))
def test_a_selection_is_what_the_filter_lets_through_in_order(
    some: list[Copy], flt: MessageFilter, sort: Sort, outcomes: dict[int, Delivered]
) -> None:
    wanted = expected(some, flt, sort, outcomes=outcomes)
    found = select(Frame.of(some), flt, sort, outcomes)
    assert found.rows(0, 100) == [row_of(copy) for copy in wanted]
    assert found.ids() == [copy.id for copy in wanted]
    assert (found.count, found.total) == (len(wanted), len(some))
    for copy in some:
        position = wanted.index(copy) if copy in wanted else None
        assert found.position(copy.id) == position
        assert (copy.id in found) == (position is not None)
    assert found.among(range(-1, 45)) == {copy.id for copy in wanted}
    assert found.position(99) is None and found.position(-1) is None and found.position(2**70) is None


@given(
    copies(),
    st.lists(filters, min_size=1, max_size=2),
    st.lists(st.tuples(st.integers(0, 1), moments, st.dictionaries(st.integers(1, 40), st.sampled_from(Delivered)))),
)
def test_a_filter_asked_again_has_the_answer_of_that_moment(
    some: list[Copy], asked_for: list[MessageFilter], asks: list[tuple[int, int, dict[int, Delivered]]]
) -> None:
    frame = Frame.of(some)
    for number, now, outcomes in asks:
        flt = asked_for[number % len(asked_for)]
        mask = mask_of(frame, flt, now=now, outcomes=outcomes)
        found = [copy.id for copy in some] if mask is None else frame.ids.filter(mask).to_list()
        wanted = expected(some, flt, Sort(SortKey.PLACED, False), now=now, outcomes=outcomes)
        assert sorted(found) == sorted(copy.id for copy in wanted)


def test_the_same_filter_in_another_order_is_not_searched_again(monkeypatch: pytest.MonkeyPatch) -> None:
    frame = Frame.of([Copy(1, NOW, 0, CopyRecord(subject="abc"))])
    found = mask_of(frame, parse("subject:b"), now=NOW)
    monkeypatch.setattr(catalogue_text.Texts, "find", None)
    assert mask_of(frame, parse("subject:b"), now=NOW + 1) is found


def test_a_filter_is_not_answered_with_what_another_thread_asked_for_meanwhile(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    frame = Frame.of([Copy(1, NOW, 0, CopyRecord(subject="abc"))])
    mine, other = parse("subject:b"), parse("subject:x")
    nothing = mask_of(frame, other, now=NOW)
    answer = mine, mask_of(frame, mine, now=NOW)
    reads = chain([answer, answer], repeat((other, nothing)))
    found = property(lambda _: next(reads), lambda _frame, _value: None)
    monkeypatch.setattr(Frame, "found", found, raising=False)
    mask = mask_of(frame, mine, now=NOW)
    assert mask is not None and mask.to_list() == [True]


_WAYS = st.lists(st.lists(st.lists(st.booleans(), min_size=1, max_size=5), max_size=3), max_size=3)


@given(_WAYS, st.integers(0, 20), st.data())
def test_rows_that_fit_a_way_fit_each_of_its_masks(
    ways: list[list[list[bool]]], count: int, data: st.DataObject
) -> None:
    made, fits = [], [False] * count
    for way in ways:
        here, pairs = [True] * count, []
        for bits in way:
            codes = [data.draw(st.integers(0, len(bits) - 1)) for _ in range(count)]
            here = [one and bits[code] for one, code in zip(here, codes, strict=True)]
            pairs.append((pl.Series(bits, dtype=pl.Boolean), pl.Series(codes, dtype=pl.UInt32)))
        made.append(pairs)
        fits = [one or other for one, other in zip(fits, here, strict=True)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(slices, "_SLICE", 8)
        assert fits_any(made, count).to_list() == fits


@given(st.lists(st.lists(st.booleans(), min_size=4, max_size=4), min_size=1, max_size=3), st.data())
def test_the_latest_look_up_is_kept_only_for_the_same_masks(sets: list[list[bool]], data: st.DataObject) -> None:
    masks = [None, *(pl.Series(bits, dtype=pl.Boolean) for bits in sets)]
    codes = data.draw(st.lists(st.tuples(*[st.integers(0, 3)] * 2), min_size=1, max_size=9))
    columns = [pl.Series(column, dtype=pl.UInt32) for column in zip(*codes, strict=True)]
    look_ups = LookUps(columns)
    for _ in range(9):
        ways = data.draw(st.lists(st.tuples(*[st.integers(0, len(sets))] * 2), max_size=3))
        expected = [
            any(
                all(number == 0 or sets[number - 1][code] for number, code in zip(way, row, strict=True))
                for way in ways
            )
            for row in codes
        ]
        assert look_ups.fits_any([[masks[number] for number in way] for way in ways]).to_list() == expected


class PlainExtras:
    """Answers questions beyond the rows from the copies themselves, one by one."""

    def __init__(self, some: list[Copy], beside: dict[int, Beside]) -> None:
        self.some = {copy.id: copy for copy in some}
        self.beside = beside

    def mask(self, frame: Frame, field: str, values: Sequence[Any]) -> pl.Series:
        one = getattr(self, f"_{field}")
        return pl.Series([bool(one(copy_id, values)) for copy_id in frame.ids.to_list()], dtype=pl.Boolean)

    def known(self, frame: Frame, field: str) -> pl.Series | None:
        if field not in ("link", "file", "sha256"):
            return None
        return pl.Series([self.beside[copy_id].looked for copy_id in frame.ids.to_list()], dtype=pl.Boolean)

    def _campaign(self, copy_id: int, values: Sequence[int]) -> bool:
        return not (self.beside[copy_id].campaigns or {0}).isdisjoint(values)

    def _odd(self, copy_id: int, values: Sequence[bool]) -> bool:
        return self.beside[copy_id].odd in values

    def _known(self, copy_id: int, values: Sequence[bool]) -> bool:
        return asked.is_known(self.some[copy_id].record) in values

    def _link(self, copy_id: int, values: Sequence[str]) -> bool:
        return any(value in searched(link) for link in self.beside[copy_id].links for value in values)

    def _file(self, copy_id: int, values: Sequence[str]) -> bool:
        texts = [
            text for file in self.beside[copy_id].files for text in (searched(file.name), searched(file.content_type))
        ]
        return any(value in text for text in texts for value in values)

    def _sha256(self, copy_id: int, values: Sequence[str]) -> bool:
        return any(file.sha256.hex().startswith(value) for file in self.beside[copy_id].files for value in values)

    def _client(self, copy_id: int, values: Sequence[asked.Client]) -> bool:
        record = self.some[copy_id].record
        return any(value.holds(record.client_address, record.client_name) for value in values)

    def _envelope(self, copy_id: int, values: Sequence[str]) -> bool:
        texts = asked.envelope_texts(self.some[copy_id].record)
        return any(value in searched(text) for text in texts for value in values)

    def _score(self, copy_id: int, values: Sequence[int | None]) -> bool:
        score, (low, high) = asked.score_of(self.some[copy_id].record), values
        return score is not None and (low is None or score >= low) and (high is None or score <= high)

    def _symbol(self, copy_id: int, values: Sequence[str]) -> bool:
        return any(value in symbol for symbol in asked.symbols_of(self.some[copy_id].record) for value in values)

    def _auth(self, copy_id: int, values: Sequence[str]) -> bool:
        return not asked.auth_words(self.some[copy_id].record.authentication).isdisjoint(values)


@given(copies(), wide_filters, st.dictionaries(st.integers(1, 40), st.sampled_from(Delivered)), st.data())
@settings(max_examples=amount(100, 400))
def test_what_is_asked_beside_the_rows_narrows_as_the_filter_itself_does(
    some: list[Copy], flt: MessageFilter, outcomes: dict[int, Delivered], data: st.DataObject
) -> None:
    beside = {copy.id: data.draw(besides) for copy in some}
    found = select(Frame.of(some), flt, Sort(SortKey.PLACED, False), outcomes, PlainExtras(some, beside))
    wanted = {copy.id for copy in some if flt.matches(copy, now=NOW, outcomes=outcomes, beside=beside[copy.id])}
    assert set(found.ids()) == wanted
    if not flt.asks():
        assert set(select(Frame.of(some), flt, outcomes=outcomes).ids()) == wanted
    unknown = {copy.id for copy in some if flt.matches(copy, now=NOW, outcomes=outcomes)}
    if flt.asks() <= {"campaign", "odd", "link", "file", "sha256"}:
        assert set(select(Frame.of(some), flt, outcomes=outcomes).ids()) == unknown


@given(copies(20), filters, sorts, st.data())
@settings(max_examples=amount(50, 150))
def test_however_a_frame_came_about_it_answers_the_same(
    some: list[Copy], flt: MessageFilter, sort: Sort, data: st.DataObject
) -> None:
    share = [data.draw(st.integers(0, 3)) for _ in some]
    frame = empty_frame()
    for number in data.draw(st.permutations(range(4))):
        part = Frame.of(copy for copy, owner in zip(some, share, strict=True) if owner == number)
        if data.draw(st.booleans()):
            part = frame_of(layout_of(part), sections(part, "uncompressed", compact=data.draw(st.booleans())))
        frame = frame.merge(part)
        if data.draw(st.booleans()):
            frame.orders.prepare()
            select(frame, flt, sort)
    gone = data.draw(st.sets(st.integers(1, 40)))
    frame = frame.without(gone)
    for name in data.draw(st.lists(st.sampled_from(sorted(frame.texts)))):
        frame = tightened(frame, name)
    left = [copy for copy in some if copy.id not in gone]
    assert select(frame, flt, sort).rows(0, 100) == [row_of(copy) for copy in expected(left, flt, sort)]


@given(st.lists(st.integers(-(1 << 63), (1 << 63) - 1), min_size=1, max_size=9))
def test_numbers_are_written_in_few_bytes_and_read_as_they_were(numbers: list[int]) -> None:
    copies = [Copy(place, at, 0, CopyRecord()) for place, at in enumerate(numbers, 1)]
    frame = Frame.of(copies)
    again = frame_of(layout_of(frame), sections(frame, "zstd", compact=True))
    assert again.rows.equals(frame.rows)


@pytest.mark.parametrize("newest_first", [False, True])
def test_new_rows_are_added_without_copying_many_others_and_are_in_few_chunks(newest_first: bool) -> None:
    some = [Copy(number, NOW, 0, CopyRecord()) for number in range(1, 121)]
    many, others = (some[-60:], some[-61::-1]) if newest_first else (some[:60], some[60:])
    frame, chunks = Frame.of(many), []
    for copy in others:
        frame = frame.merge(Frame.of([copy]))
        chunks.append(frame.rows.n_chunks())
        assert set(frame.rows.n_chunks("all")) == {chunks[-1]}
        assert 60 in frame.ids.chunk_lengths()
    assert chunks[:3] == [2, 3, 4] and max(chunks) == 24 and min(chunks[24:]) == 12
    assert frame.rows.equals(Frame.of(some).rows.with_columns(frame.rows[list(frame.texts)]))


@given(copies(9), st.data())
def test_equal_codes_of_identifiers_are_held_once_and_others_are_left(some: list[Copy], data: st.DataObject) -> None:
    frame = Frame.of(some)
    if data.draw(st.booleans()):
        frame = frame.without(data.draw(st.sets(st.integers(1, 9))))
        frame = tightened(frame, data.draw(st.sampled_from(["message_id", "mta_message_id"])))
    shared = frame.with_shared_codes()
    assert shared.rows.equals(frame.rows)
    every = pl.arange(len(frame), dtype=pl.UInt32, eager=True)
    assert shared.row_list(every) == frame.row_list(every)
    one, other = (shared.rows.get_column(name) for name in ("message_id", "mta_message_id"))
    if len(frame) and one.equals(other):
        places = [column._s.as_single_ptr() for column in (one, other)]
        assert places[0] == places[1]


@given(copies(20), filters, sorts, st.integers(1, 5), st.booleans())
def test_parts_put_together_are_what_all_at_once_is(
    some: list[Copy], flt: MessageFilter, sort: Sort, size: int, without_repeats: bool
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(catalogue_sections, "_LOOSE", 1)
        patch.setattr(catalogue_sections, "_SECTION", 2)
        parts = [Frame.of(some[start : start + size]) for start in range(0, len(some), size)] or [empty_frame()]
        repeats = Repeats() if without_repeats else None
        frame = reduce(lambda whole, part: whole.merge(part, repeats), parts[::-1])
        assert select(frame, flt, sort).rows(0, 100) == [row_of(copy) for copy in expected(some, flt, sort)]
        for name in ("from", "to", "subject"):
            words = tightened(frame, name).texts[name]
            for one in words.parts if isinstance(words, Senders) else [words]:
                assert isinstance(one, catalogue_text.Dictionary)
                both = list(zip(one.texts.to_list(), one.search.to_list(), strict=True))
                assert [form for _, form in both] == sorted(one.search.to_list())
                assert all(one != other for one, other in pairwise(both))
            every = pl.arange(len(words), dtype=pl.UInt32, eager=True)
            if isinstance(words, Senders):
                assert {*words.gather(every).to_list()} == {copy.record.from_ for copy in some}
                assert len({*zip(*(codes.to_list() for codes in words.codes), strict=True)}) == len(words)


_TYPED = st.one_of(
    st.sampled_from(["in", "v", "oi", "ce", "с", "ч", "ё", "т", "ss", "@", "<", " ", "a", "x.", "e", "о", "i"]), needles
)
_EDITS = st.lists(st.tuples(st.sampled_from(["type", "type", "type", "delete", "replace"]), _TYPED), max_size=8)


@given(st.lists(records, min_size=1, max_size=10), _EDITS, st.data())
@settings(max_examples=amount(60, 300))
def test_however_a_filter_is_typed_it_finds_what_a_plain_search_finds(
    some: list[CopyRecord], edits: list[tuple[str, str]], data: st.DataObject
) -> None:
    rows = [Copy(number, NOW, 0, record) for number, record in enumerate(some, 1)]
    many = data.draw(st.booleans())
    with pytest.MonkeyPatch.context() as patch:
        if many:  # as if there were many copies: in slices, narrowed down, with common letters known
            patch.setattr(slices, "_SLICE", 8)
            patch.setattr(catalogue_text, "_FEW", 2)
            patch.setattr(catalogue_text, "_TINY", 2)
            patch.setattr(catalogue_text, "_PREPARED", 2)
            patch.setattr(catalogue_text, "_SAMPLE", 1)
        there, waiting = rows[: len(rows) // 2 + 1], rows[len(rows) // 2 + 1 :]
        frame, line = Frame.of(there), ""
        for edit, text in edits:
            line = line[: -len(text)] if edit == "delete" else line + text if edit == "type" else text
            match data.draw(st.sampled_from(["", "", "", "", "come", "go", "prepare"])):
                case "come" if waiting:
                    there, waiting = [*there, waiting[0]], waiting[1:]
                    frame = frame.merge(Frame.of(there[-1:]))
                case "go" if len(there) > 1:
                    gone = there[data.draw(st.integers(0, len(there) - 1))]
                    there = [copy for copy in there if copy is not gone]
                    frame = frame.without([gone.id])
                case "prepare":
                    frame.prepare()
            term = Term(line, data.draw(_RARELY))
            field = data.draw(st.sampled_from(["words", "words", "words", "from_", "to", "subject"]))
            flt = MessageFilter(**{field: (term,)}) if line else MessageFilter()
            if data.draw(st.booleans()):  # to the end, or until it is no longer wanted
                left = iter(range(data.draw(st.sampled_from([0, 1, 2, 5, 99]))))
                foresee(frame, flt, now=NOW, wanted=lambda left=left: next(left, None) is not None)  # type: ignore[misc]  # a default, not an argument
            assert select(frame, flt).ids() == [copy.id for copy in expected(there, flt, NEWEST)]


def test_what_the_same_texts_show_is_not_looked_up_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A longer word that is in the same texts as the shorter one has the same mask, of texts and of rows."""
    subjects = ["casino", "the casino", "else"]
    frame = Frame.of(
        [Copy(number, NOW, 0, CopyRecord(subject=text, from_=f"{text} <a@b>")) for number, text in enumerate(subjects)]
    )
    found = mask_of(frame, parse("cas"), now=NOW)
    monkeypatch.setattr(catalogue_lookup, "fits_any", None)
    assert mask_of(frame, parse("casi"), now=NOW) is found
    assert mask_of(frame, parse("casin"), now=NOW) is found
    assert select(frame, parse("casino")).ids() == [1, 0]


@given(st.lists(st.booleans(), max_size=40), st.integers(1, 9), st.integers(0, 45), st.integers(0, 45))
def test_the_last_rows_first_are_all_rows_turned_round(bits: list[bool], block: int, start: int, length: int) -> None:
    mask = pl.Series(bits, dtype=pl.Boolean)
    rows = [row for row, bit in enumerate(bits) if bit][::-1]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(catalogue_order, "_BLOCK", block)
        found = LastFirst(mask)
        assert len(found) == len(rows)
        assert found.slice(start, length).to_list() == rows[start : start + length]
        assert found.slice(start, length).dtype == pl.UInt32
        assert [found.place(row) for row in rows] == [*range(len(rows))]


@given(copies(20), sorts)
def test_sorting_few_of_many_is_sorting_many(some: list[Copy], sort: Sort) -> None:
    flt = parse("a")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(catalogue_order, "_FEW_ROWS", 1)
        patch.setattr(catalogue_order, "_FEW_TEXTS", 0)
        few = select(Frame.of(some), flt, sort).ids()
    assert few == select(Frame.of(some), flt, sort).ids() == [copy.id for copy in expected(some, flt, sort)]


@given(st.lists(st.lists(st.text(max_size=2), max_size=4), min_size=2, max_size=5), st.integers(0, 3))
def test_ranks_of_added_texts_fit_between_the_others(parts: list[list[str]], limit: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(catalogue_text, "_TAIL_LIMIT", limit)
        frame, number = empty_frame(), 0
        for part in parts:
            new = [Copy(number + index, 0, 0, CopyRecord(subject=text)) for index, text in enumerate(part, 1)]
            number += len(part)
            frame = frame.merge(Frame.of(new))
            words = frame.texts["subject"]
            ranks = words.ranks().to_list()
            keys = words.forms_between(0, len(words)).to_list()
            for first in range(len(keys)):
                for second in range(len(keys)):
                    assert (ranks[first] < ranks[second]) == (keys[first] < keys[second])
                    assert (ranks[first] == ranks[second]) == (keys[first] == keys[second])


@given(st.lists(st.lists(st.sampled_from(SENDERS), max_size=4), min_size=2, max_size=5), st.booleans())
def test_ranks_of_added_senders_fit_between_the_others(parts: list[list[str]], few: bool) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(catalogue_senders, "_FEW_NEW", 100 if few else 0)
        frame, number = empty_frame(), 0
        for part in parts:
            new = [Copy(number + index, 0, 0, CopyRecord(from_=text)) for index, text in enumerate(part, 1)]
            number += len(part)
            frame = frame.merge(Frame.of(new))
            words = frame.texts["from"]
            ranks, keys = (
                words.ranks().to_list(),
                [address_first(text) for text in words.forms_between(0, len(words)).to_list()],
            )
            assert [keys[place] for place in sorted(range(len(keys)), key=ranks.__getitem__)] == sorted(keys)
            assert len(set(ranks)) == len(set(keys))


def test_ranks_take_four_bytes_until_mail_comes() -> None:
    words = senders(["b@x.example", "a@x.example"])
    assert words.ranks().dtype == pl.UInt32 and words.ranks().to_list() == [2, 1]
    more = words.extend(senders(["aa@x.example"]))
    ranks = more.ranks().to_list()
    assert ranks[1] < ranks[2] < ranks[0]
    assert words.ranks().dtype == pl.UInt32


def test_added_senders_are_ranked_in_step(monkeypatch: pytest.MonkeyPatch) -> None:
    words = senders([f"Ann <{number:03}@example.com>" for number in range(0, 1000, 2)])
    words.ranks()
    looks: list[int] = []
    forms = Senders.forms

    def counted(self: Senders, codes: pl.Series) -> pl.Series:
        looks.append(len(codes))
        return forms(self, codes)

    monkeypatch.setattr(Senders, "forms", counted)
    words = words.extend(senders([f"Ann <{number:03}@example.com>" for number in range(1, 1000, 10)]))
    ranks = words.ranks().to_list()
    # Not once for each new sender.
    assert len(looks) <= 10 + 1
    assert sorted(range(600), key=ranks.__getitem__) == sorted(
        range(600), key=words.forms_between(0, 600).to_list().__getitem__
    )


def test_a_selection_stays_as_it_was() -> None:
    frame = Frame.of([Copy(number, number, 0, CopyRecord(subject="x")) for number in range(1, 5)])
    before = select(frame, parse("x"))
    later = frame.merge(Frame.of([Copy(9, 9, 0, CopyRecord(subject="x"))])).without([2])
    assert select(later, parse("x")).ids() == [9, 4, 3, 1]
    assert before.ids() == [4, 3, 2, 1]
    assert before.rows(-5, 2) == before.rows(0, 2)
    assert before.rows(3, 99) == before.rows(3, 4)
    assert before.rows(9, 12) == before.rows(2, 1) == []


def test_what_is_deleted_is_in_no_section_and_in_no_tightened_column() -> None:
    some = [
        Copy(number, 0, 0, CopyRecord(subject=f"secret {number} of many", rule_id=number, rule_name=f"rule {number}"))
        for number in (1, 2)
    ]
    frame = Frame.of(some).without([1])
    written = b"".join(sections(frame, "uncompressed", compact=True))
    assert b"secret 2" in written and b"rule 2" in written
    assert b"secret 1" not in written and b"rule 1" not in written
    assert tightened(frame, "subject").texts["subject"].texts.to_list() == ["secret 2 of many"]


def test_sections_that_do_not_fit_together_are_refused() -> None:
    frame = Frame.of([Copy(1, 0, 0, CopyRecord(subject="x"))])
    parts = list(sections(frame, "zstd", compact=True))
    other = list(sections(empty_frame(), "zstd", compact=True))
    for wrong in (parts[:-1], [*other[:-1], parts[-1]], [b"x", *parts[1:]], [parts[-1], *parts[1:]], []):
        with pytest.raises(ValueError, match="catalogue"):
            frame_of(layout_of(frame), wrong)


def test_comparing_ids_tells_both_sides() -> None:
    frame = Frame.of([Copy(number, 0, 0, CopyRecord()) for number in (1, 3, 5)])
    assert frame.missing_from([5, 2, 1]) == ([3], [2])
    assert empty_frame().missing_from([2, 1]) == ([], [1, 2])
    assert frame.missing_from([]) == ([1, 3, 5], [])


def test_figures_for_the_screen() -> None:
    day = 24 * 3_600_000
    spam, virus = Verdict(Engine.ANTI_SPAM, Status.SPAM), Verdict(Engine.ANTI_VIRUS, Status.INFECTED)
    frame = Frame.of(
        [
            Copy(1, 0, 0, CopyRecord(reason=spam, rule_id=2, rule_name="old")),
            Copy(2, day - 1, 0, CopyRecord(reason=virus, rule_id=2, rule_name="new")),
            Copy(3, day, 0, CopyRecord(reason=spam, rule_id=1)),
            Copy(4, 3 * day, 0, CopyRecord()),
        ]
    )
    assert engine_counts(frame) == {Engine.ANTI_SPAM: 2, Engine.ANTI_VIRUS: 1, None: 1}
    assert rule_ids(frame) == [(0, ""), (1, ""), (2, "new")]
    assert day_counts(frame, [0, day, 2 * day, 3 * day]) == [
        {Engine.ANTI_SPAM: 1, Engine.ANTI_VIRUS: 1},
        {Engine.ANTI_SPAM: 1},
        {},
    ]
    assert day_counts(empty_frame(), [0, day]) == [{}]


def test_every_sort_key_is_a_sort_of_an_empty_frame() -> None:
    for key in SortKey:
        assert select(empty_frame(), parse("a"), Sort(key, True)).ids() == []
        assert select(empty_frame(), parse(""), Sort(key, False)).ids() == []


@given(st.lists(st.booleans(), max_size=50), st.data())
def test_places_and_look_ups_are_what_polars_slower_ways_give(bits: list[bool], data: st.DataObject) -> None:
    mask = pl.Series(bits, dtype=pl.Boolean)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(catalogue_masks, "_PLACES", data.draw(st.integers(1, 60)))
        assert places(mask).to_list() == mask.arg_true().to_list()
    assert places(mask).dtype == pl.UInt32
    codes = data.draw(st.lists(st.integers(0, len(bits) - 1), max_size=50)) if bits else []
    found = looked_up(mask, pl.Series(codes, dtype=pl.UInt32))
    assert found.to_list() == [bits[code] for code in codes]
    assert found.dtype == pl.Boolean
