"""While copies are loaded, a text that is there already is not added a second time."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.catalogue.follow import Follower
from store.catalogue.frame import Frame, empty_frame
from store.catalogue.identifiers import Identifiers
from store.catalogue.query import mask_of
from store.catalogue.repeats import Repeats
from store.catalogue.sections import frame_of, layout_of, sections, tightened
from store.catalogue.senders import Senders
from store.catalogue.text import Dictionary, Texts
from store.filters.line import parse
from store.terms.records import Copy, CopyRecord
from store.vault.vault import Vault

TEXTS = [
    *("Anna <a@x.example>", "anna <a@x.example>", "Иван <i@x.example>", "Ηello <h@y.example>"),
    *("ηello", "", "b@y.example"),
]
_PARTS = st.lists(st.lists(st.tuples(*[st.sampled_from(TEXTS)] * 3), min_size=1, max_size=12), min_size=1, max_size=5)
NEEDLES = ("anna", "ηello", "hello", "a@x", "иван")


def _frames(parts: list[list[tuple[str, ...]]]) -> Iterator[Frame]:
    number = 0
    for part in parts:
        records = [CopyRecord(from_=sender, to=to, subject=subject) for sender, to, subject in part]
        yield Frame.of([Copy(number + place, 0, 0, record) for place, record in enumerate(records, 1)])
        number += len(part)


def _dictionaries(words: Texts) -> tuple[Dictionary, ...]:
    if isinstance(words, Senders):
        return words.parts
    assert isinstance(words, Dictionary)
    return (words,)


def _entries(words: Dictionary) -> list[tuple[object, ...]]:
    searched, shown = words.columns(pl.arange(len(words), dtype=pl.UInt32, eager=True))
    return [(*form, text) for form, text in zip(searched.iter_rows(), shown.to_list(), strict=True)]


@given(_PARTS, st.data())
def test_every_row_keeps_its_texts_and_is_found_alike_and_no_text_is_there_twice(
    parts: list[list[tuple[str, ...]]], data: st.DataObject
) -> None:
    plain, frame, repeats = empty_frame(), empty_frame(), Repeats()
    anew: set[str] = set()
    for each in data.draw(st.permutations([*_frames(parts)])):
        plain, given_up, frame = plain.merge(each), frame, frame.merge(each, repeats)
        if data.draw(st.integers(0, 4)) == 0:
            frame = given_up.merge(each.without(each.ids.to_list()[:1]), repeats)
            plain = plain.without(each.ids.to_list()[:1])
            anew.update(["from", "to", "subject"])
        if data.draw(st.integers(0, 4)) == 0:
            name = data.draw(st.sampled_from(["from", "to", "subject"]))
            frame = tightened(frame, name)
            anew.add(name)
        if data.draw(st.integers(0, 4)) == 0:
            gone = {*plain.ids.to_list()[:: data.draw(st.integers(2, 5))]}
            plain, frame = plain.without(gone), frame.without(gone)
    every = pl.arange(len(plain), dtype=pl.UInt32, eager=True)
    assert frame.row_list(every) == plain.row_list(every)
    for name in ("from", "to", "subject"):
        for needle in NEEDLES:
            masks = [each.texts[name].find(needle).gather(each.rows.get_column(name)) for each in (frame, plain)]
            assert masks[0].to_list() == masks[1].to_list(), (name, needle)
        # What was known of a column that was rebuilt, or of a frame that was given up, is of no use any more.
        for words in _dictionaries(frame.texts[name]) if name not in anew else ():
            entries = _entries(words)
            assert len({*entries}) == len(entries)


def test_equal_hashes_of_different_texts_keep_these_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pl.Series, "hash", lambda self, *_: pl.Series([0] * len(self), dtype=pl.UInt64))
    frame, repeats = empty_frame(), Repeats()
    for start in (1, 11, 21):
        copies = [Copy(start + place, 0, 0, CopyRecord(subject=f"s{place + start % 3}")) for place in range(5)]
        frame = frame.merge(Frame.of(copies), repeats)
    every = pl.arange(len(frame), dtype=pl.UInt32, eager=True)
    shown = [row.subject for row in frame.row_list(every)]
    assert shown == [f"s{place + start % 3}" for start in (1, 11, 21) for place in range(5)]


def test_a_follower_adds_each_text_once_and_keeps_no_hashes_when_all_is_loaded(vault: Vault) -> None:
    follower = Follower(vault)
    follower.begin()
    for start in (21, 11, 1):
        records = [CopyRecord(from_=f"a{place}@b.example", to="c@d.example", subject=f"s{place}") for place in range(9)]
        follower.add_loaded(Frame.of([Copy(start + place, 0, 0, each) for place, each in enumerate(records)]), ())
    frame = follower.state.frame
    senders = frame.texts["from"]
    assert isinstance(senders, Senders)
    assert [len(frame.texts["subject"]), len(frame.texts["to"]), *map(len, senders.parts)] == [9, 1, 1, 9, 1]
    assert follower.repeats.known
    follower.finish()
    assert not follower.repeats.known


def test_the_codes_of_both_identifiers_are_one_column_when_all_is_loaded(vault: Vault) -> None:
    vault.put_many((b"x", CopyRecord(message_id=f"<{number}@b.example>"), number) for number in range(1, 9))
    follower = Follower(vault)
    follower.begin()
    follower.add_loaded(Frame.of(vault.get_many(range(1, 9))), ())
    follower.finish()
    rows = follower.state.frame.rows
    columns = [rows.get_column(name)._s for name in ("message_id", "mta_message_id")]
    assert len({column.as_single_ptr() for column in columns}) == 1


def test_texts_that_change_meanwhile_are_not_taken_for_those_that_were_known(vault: Vault) -> None:
    follower = Follower(vault)
    follower.begin()

    def add(start: int, *subjects: str) -> None:
        records = [CopyRecord(subject=subject) for subject in subjects]
        follower.add_loaded(Frame.of([Copy(start + place, 0, 0, each) for place, each in enumerate(records)]), ())

    add(11, "b", "a", "gone")
    old = follower.state.frame
    follower.swap(old, tightened(old.without([13]), "subject"))
    add(1, "gone", "a", "c")
    every = pl.arange(5, dtype=pl.UInt32, eager=True)
    shown = [row.subject for row in follower.state.frame.row_list(every)]
    assert shown == ["gone", "a", "c", "b", "a"]
    add(5, "gone")
    subjects = follower.state.frame.texts["subject"]
    assert isinstance(subjects, Dictionary) and subjects.texts.to_list().count("gone") == 1


def test_after_a_column_was_rebuilt_new_texts_are_known_again() -> None:
    frame, repeats = (
        Frame.of([Copy(11 + place, 0, 0, CopyRecord(subject=text)) for place, text in enumerate("ba")]),
        Repeats(),
    )
    frame = tightened(empty_frame().merge(frame, repeats), "subject")
    for number in (1, 2, 3):
        frame = frame.merge(Frame.of([Copy(number, 0, 0, CopyRecord(subject="a"))]), repeats)
    subjects = frame.texts["subject"]
    assert isinstance(subjects, Dictionary) and subjects.texts.to_list() == ["a", "b", "a"]


def test_recipients_that_differ_in_latin_letters_alone_stay_apart() -> None:
    """Their To fields are equal, and so are their recipients but for a capital that looks like another letter."""
    frame, repeats = empty_frame(), Repeats()
    records = [CopyRecord(to="x", envelope_recipients=(each,)) for each in ("Ηello@y.example", "ηello@y.example")]
    copies = [Copy(number, 0, 0, record) for number, record in enumerate(records * 2, 1)]
    for copy in copies:
        frame = frame.merge(Frame.of([copy]), repeats)
    for text in ("to:hello", "to:nello", "to:ηello"):
        mask = mask_of(frame, parse(text), now=0)
        assert mask is not None and mask.to_list() == [parse(text).matches(each, now=0) for each in copies]


def test_identifiers_of_many_frames_become_large_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("store.catalogue.identifiers._PIECE", 40)
    frame, repeats = empty_frame(), Repeats()
    for start in range(0, 100, 10):
        ids = [f"<{number:04}@mail.example.org>" for number in range(start, start + 10)]
        copies = [Copy(number + 1, 0, 0, CopyRecord(message_id=text)) for number, text in enumerate(ids, start)]
        one = Frame.of(copies)
        read = frame_of(layout_of(one), sections(one, "uncompressed", compact=False))
        frame = frame.merge(read, repeats)
    column = frame.texts["message_id"]
    assert isinstance(column, Identifiers)
    assert [(piece.count, piece.plain is None) for piece in column.pieces] == [(40, True), (40, True), (20, False)]
    assert column.gather(frame.rows.get_column("message_id")).to_list()[::33] == [
        f"<{number:04}@mail.example.org>" for number in (0, 33, 66, 99)
    ]


def test_forms_that_equal_their_texts_take_no_memory_of_their_own(vault: Vault) -> None:
    follower = Follower(vault)
    follower.begin()
    for start in range(400, 0, -10):
        records = [CopyRecord(from_=f"sender.number.{start + place}@b.example") for place in range(10)]
        follower.add_loaded(Frame.of([Copy(start + place, 0, 0, each) for place, each in enumerate(records)]), ())
    senders = follower.state.frame.texts["from"]
    assert isinstance(senders, Senders)
    local = senders.parts[1]
    assert len(local) == 400 and local.search is local.texts
