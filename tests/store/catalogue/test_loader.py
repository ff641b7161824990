"""Child processes that read copies wait until their results are taken, and their threads end when nobody takes them."""

from __future__ import annotations

import io
import threading
import weakref
from collections.abc import Iterable, Sequence

import pytest

from store.catalogue import catalogue as catalogue_module
from store.catalogue import column_reader, loader
from store.catalogue.catalogue import Catalogue
from store.catalogue.column_fields import Source
from store.catalogue.column_reader import ColumnReader
from store.catalogue.follow import Follower
from store.catalogue.frame import Frame
from store.catalogue.loader import Children, Span
from store.terms.errors import StoreUnavailable
from store.terms.records import Copy, CopyRecord
from store.vault.vault import Vault


def _readers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "catalogue-reader"]


def test_few_results_wait_and_stopping_ends_the_threads(vault: Vault) -> None:
    vault.put_many((b"x", CopyRecord(subject=f"s{number}"), number) for number in range(1, 31))
    spans = [Span(number, number + 1) for number in reversed(range(30))]
    before = {*_readers()}
    children: Children[object] = Children(vault, spans)
    results = children.frames()
    assert [next(results).span for _ in range(3)] == spans[:3]
    mine = [thread for thread in _readers() if thread not in before]
    for thread in mine:
        thread.join(2)
    assert any(thread.is_alive() for thread in mine)
    waiting = [children._answers.get() for _ in range(children._answers.qsize())]
    # A number is no result: it says that a child has ended.
    assert sum(not isinstance(each, int) for each in waiting) <= loader._WAITING
    children.stop()
    for thread in mine:
        thread.join(30)
        assert not thread.is_alive()


def test_all_results_come_in_order_however_few_may_wait(vault: Vault) -> None:
    vault.put_many((b"x", CopyRecord(subject=f"s{number}"), number) for number in range(1, 31))
    spans = [Span(number, number + 1) for number in reversed(range(30))]
    assert [loaded.span for loaded in Children(vault, spans).frames()] == spans


def test_a_child_holds_no_frame_while_it_makes_the_next(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    vault.put_many((b"x", CopyRecord(subject=f"s{number}"), number) for number in range(1, 4))
    made: list[weakref.ref[Frame]] = []
    of_batches = Frame.of_batches

    def watched(batches: Iterable[Sequence[Copy]]) -> Frame:
        assert not any(frame() for frame in made)
        frame = of_batches(batches)
        made.append(weakref.ref(frame))
        return frame

    monkeypatch.setattr(Frame, "of_batches", watched)
    out = io.BytesIO()
    loader._write(vault, loader._Task("", b"", [Span(2, 3), Span(1, 2), Span(0, 1)], None), out)
    assert len(made) == 3 and out.getvalue()


@pytest.fixture
def many_spans(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> Vault:
    """Make a vault of some copies, which child processes read in many results."""
    vault.put_many((b"x", CopyRecord(subject=f"s{number}"), number) for number in range(1, 61))
    monkeypatch.setattr(catalogue_module, "FEW_COPIES", 0)
    monkeypatch.setattr(column_reader, "FEW_COPIES", 0)
    monkeypatch.setattr(loader, "FIRST_IDS", 2)
    monkeypatch.setattr(loader, "FRAME_IDS", 2)
    return vault


def _assert_ended(threads: list[threading.Thread]) -> None:
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()


def test_no_child_waits_for_a_catalogue_that_failed_to_load(many_spans: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    before, failed = {*_readers()}, threading.Event()

    def fail(*_: object) -> None:
        failed.set()
        raise StoreUnavailable("The database is away.")

    monkeypatch.setattr(Follower, "add_loaded", fail)
    monkeypatch.setattr(catalogue_module, "_RETRY_SECONDS", 600)
    catalogue = Catalogue(many_spans)
    catalogue.start()
    try:
        assert failed.wait(30)
        with pytest.raises(StoreUnavailable):
            catalogue.wait_complete(30)
        _assert_ended([thread for thread in _readers() if thread not in before])
    finally:
        catalogue.close()


def test_no_child_waits_for_a_reading_that_was_given_up(many_spans: Vault) -> None:
    before = {*_readers()}
    reader = ColumnReader(many_spans, Source.RECORD)
    reader.catch_up(Frame.of(many_spans.get_many(many_spans.ids())), lambda: False)
    _assert_ended([thread for thread in _readers() if thread not in before])
