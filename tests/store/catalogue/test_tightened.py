"""A catalogue that tightened its texts lets go of the former ones."""

from __future__ import annotations

import gc
import threading
import time
import weakref

import pytest

from store.catalogue import catalogue as catalogues
from store.catalogue import sections, tightening
from store.catalogue.catalogue import Catalogue
from store.catalogue.follow import Follower
from store.catalogue.frame import Frame
from store.catalogue.query import mask_of
from store.filters.line import parse
from store.terms.records import Copy, CopyRecord
from store.vault.vault import Vault


def test_recipients_that_differ_in_latin_letters_alone_stay_apart() -> None:
    """Their To fields are equal, and so are their recipients but for a capital that looks like another letter."""
    recipients = ("Ηello@y.example", "ηello@y.example", "Ηello@y.example")
    records = [CopyRecord(to="x", envelope_recipients=(each,)) for each in recipients]
    copies = [Copy(number, 0, 0, record) for number, record in enumerate(records, 1)]
    tight = sections.tightened(Frame.of(copies), "to")
    for text in ("to:hello", "to:nello", "to:ηello"):
        mask = mask_of(tight, parse(text), now=0)
        assert mask is not None and mask.to_list() == [parse(text).matches(each, now=0) for each in copies]


def test_tightening_lets_go_of_a_column_before_the_next(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tightening, "_GIVEN_BACK_SECONDS", 0)
    monkeypatch.setattr(sections, "_LOOSE", 1)
    follower = Follower(vault)
    for start in (1, 11):
        records = [CopyRecord(from_=f"a{place}@b.example", subject=f"s{place}") for place in range(9)]
        new = Frame.of([Copy(start + place, 0, 0, record) for place, record in enumerate(records)])
        follower.swap(follower.state.frame, follower.state.frame.merge(new))
    del new
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
