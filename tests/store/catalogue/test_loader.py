"""Child processes that read copies wait until their results are taken, and their threads end when nobody takes them."""

from __future__ import annotations

import threading

from store.catalogue import loader
from store.catalogue.loader import Children, Span
from store.terms.records import CopyRecord
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
    assert children._answers.qsize() <= loader._WAITING and any(thread.is_alive() for thread in mine)
    children.stop()
    for thread in mine:
        thread.join(30)
        assert not thread.is_alive()


def test_all_results_come_in_order_however_few_may_wait(vault: Vault) -> None:
    vault.put_many((b"x", CopyRecord(subject=f"s{number}"), number) for number in range(1, 31))
    spans = [Span(number, number + 1) for number in reversed(range(30))]
    assert [loaded.span for loaded in Children(vault, spans).frames()] == spans
