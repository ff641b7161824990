"""A catalogue that tightened its texts lets go of the former ones."""

from __future__ import annotations

import gc
import threading
import time
import weakref

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.catalogue import catalogue as catalogues
from store.catalogue import sections, tightening
from store.catalogue.catalogue import Catalogue
from store.catalogue.follow import Follower
from store.catalogue.frame import Frame, empty_frame
from store.catalogue.query import mask_of
from store.catalogue.text import Dictionary
from store.filters.line import parse
from store.terms.records import Copy, CopyRecord
from store.vault.vault import Vault

TEXTS = [
    *("Anna <a@x.example>", "anna <a@x.example>", "Иван <i@x.example>", "Ηello <h@y.example>"),
    *("ηello", "", "b@y.example"),
]


@given(st.lists(st.lists(st.tuples(*[st.sampled_from(TEXTS)] * 3), min_size=1, max_size=12), min_size=1, max_size=4))
def test_without_duplicates_every_row_keeps_its_texts_and_is_found_alike(some: list[list[tuple[str, ...]]]) -> None:
    frame, number = empty_frame(), 0
    for part in some:
        records = [CopyRecord(from_=sender, to=to, subject=subject) for sender, to, subject in part]
        copies = [Copy(number + place, 0, 0, record) for place, record in enumerate(records, 1)]
        frame, number = frame.merge(Frame.of(copies)), number + len(copies)
    every = pl.arange(len(frame), dtype=pl.UInt32, eager=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tightening, "_FEW", 0)
        patch.setattr(tightening, "_SECTION", 3)
        thin = frame
        for name in frame.texts:
            thin = tightening.without_duplicates(thin, name)
    assert thin.row_list(every) == frame.row_list(every)
    for name in ("from", "to", "subject"):
        for needle in ("anna", "ηello", "hello", "a@x", "иван"):
            masks = [each.texts[name].find(needle).gather(each.rows.get_column(name)) for each in (thin, frame)]
            assert masks[0].to_list() == masks[1].to_list(), (name, needle)
    subjects = thin.texts["subject"]
    assert isinstance(subjects, Dictionary)
    distinct = {subject for part in some for *_, subject in part}
    assert len(subjects) < 1.2 * len(distinct) or len(subjects) == len(distinct)


def test_recipients_that_differ_in_latin_letters_alone_stay_apart() -> None:
    """Their To fields are equal, and so are their recipients but for a capital that looks like another letter."""
    recipients = ("Ηello@y.example", "ηello@y.example", "Ηello@y.example")
    records = [CopyRecord(to="x", envelope_recipients=(each,)) for each in recipients]
    copies = [Copy(number, 0, 0, record) for number, record in enumerate(records, 1)]
    tight = sections.tightened(Frame.of(copies), "to")
    for text in ("to:hello", "to:nello", "to:ηello"):
        mask = mask_of(tight, parse(text), now=0)
        assert mask is not None and mask.to_list() == [parse(text).matches(each, now=0) for each in copies]


def test_equal_hashes_of_different_texts_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tightening, "_FEW", 0)
    frame = Frame.of([Copy(number, 0, 0, CopyRecord(subject=f"s{number}")) for number in range(1, 9)])
    monkeypatch.setattr(pl.Series, "hash", lambda self, *_: pl.Series([0] * len(self), dtype=pl.UInt64))
    assert tightening.without_duplicates(frame, "subject") is frame


def test_duplicates_go_while_copies_are_loaded(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    thinned: list[int] = []
    monkeypatch.setattr(catalogues, "_THIN_FROM", 0)
    monkeypatch.setattr(tightening, "thin", lambda follower: thinned.append(len(follower.state.frame)))
    vault.put(b"x", CopyRecord(from_="a@b.example"))
    catalogue = Catalogue(vault)
    try:
        catalogue.start()
        assert catalogue.wait_complete(60) and thinned == [1]
    finally:
        catalogue.close()


def test_duplicates_go_again_if_loading_begins_anew(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    thinned: list[int] = []
    finish, failures = Follower.finish, iter([MemoryError])

    def fails_once(follower: Follower) -> None:
        if failure := next(failures, None):
            raise failure
        finish(follower)

    monkeypatch.setattr(catalogues, "_THIN_FROM", 0)
    monkeypatch.setattr(catalogues, "_RETRY_SECONDS", 0)
    monkeypatch.setattr(tightening, "thin", lambda follower: thinned.append(len(follower.state.frame)))
    monkeypatch.setattr(Follower, "finish", fails_once)
    vault.put(b"x", CopyRecord(from_="a@b.example"))
    catalogue = Catalogue(vault)
    try:
        catalogue.start()
        until = time.monotonic() + 60
        while not catalogue.complete:
            assert time.monotonic() < until
            time.sleep(0.01)
        assert thinned == [1, 1]
    finally:
        catalogue.close()


def test_thinning_changes_only_columns_with_duplicates(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tightening, "_FEW", 0)
    follower = Follower(vault)
    for start in (1, 11):
        copies = [Copy(start + place, 0, 0, CopyRecord(subject=f"s{place}")) for place in range(9)]
        follower.add_loaded(Frame.of(copies), ())
    before = follower.state.frame
    tightening.thin(follower)
    after = follower.state.frame
    assert len(after.texts["subject"]) == 9 < len(before.texts["subject"])
    assert after.texts["mta_message_id"] is before.texts["mta_message_id"]


def test_tightening_lets_go_of_a_column_before_the_next(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tightening, "_FEW", 0)
    monkeypatch.setattr(tightening, "_GIVEN_BACK_SECONDS", 0)
    monkeypatch.setattr(sections, "_LOOSE", 1)
    follower = Follower(vault)
    for start in (1, 11):
        records = [CopyRecord(from_=f"a{place}@b.example", subject=f"s{place}") for place in range(9)]
        follower.add_loaded(Frame.of([Copy(start + place, 0, 0, record) for place, record in enumerate(records)]), ())
    former = weakref.ref(follower.state.frame.texts["from"])
    going = tightening.tighten(follower, threading.Event())
    assert next(going, True) is None
    gc.collect()
    assert former() is None


def test_tightening_rebuilds_each_loose_column_unless_it_is_stopped(
    vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    vault.put(b"x", CopyRecord(from_="a@b.example"))
    catalogue = Catalogue(vault)
    try:
        catalogue.start()
        assert catalogue.wait_complete(60)
        follower = catalogue._follower
        assert follower is not None
        while catalogue.refresh():
            pass
        monkeypatch.setattr(tightening, "loose", lambda _frame, _name: True)
        monkeypatch.setattr(tightening, "_GIVEN_BACK_SECONDS", 0)
        assert len(list(tightening.tighten(follower, catalogue._stopping))) == len(follower.state.frame.texts)
        catalogue._stopping.set()
        assert not list(tightening.tighten(follower, catalogue._stopping))
    finally:
        catalogue.close()


def test_tightening_is_a_change_once(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogues, "_IDLE_SECONDS", 0.0)
    monkeypatch.setattr(tightening, "loose", lambda _frame, name: name == "subject")
    vault.put(b"x", CopyRecord(from_="a@b.example"))
    catalogue = Catalogue(vault)
    try:
        catalogue.start()
        assert catalogue.wait_complete(60)
        for _ in range(600):
            if catalogue.refresh():
                break
            time.sleep(0.1)
        else:
            pytest.fail("no change")
        assert not catalogue.refresh()
    finally:
        catalogue.close()


def test_what_is_saved_needs_no_tightening_at_the_next_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """With another limit in memory than for a snapshot, each start rebuilt a column: seconds at a million copies."""
    monkeypatch.setattr(sections, "_LOOSE", 0)
    copies = [Copy(number, 0, 0, CopyRecord(subject=f"s{number}")) for number in range(1, 116)]
    frame = Frame.of(copies).without(range(101, 116))
    assert tightening.loose(frame, "subject")
    saved = sections.tight(frame)
    again = sections.frame_of(sections.layout_of(saved), sections.sections(saved, "zstd", compact=True))
    assert not [name for name in again.texts if tightening.loose(again, name)]
