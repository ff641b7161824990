"""`check`: its counts, that it can be cancelled, and that it reports no errors while others write."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from store.check import check
from store.terms.records import CopyRecord
from store.vault.vault import Vault


def test_progress_and_count(any_vault: Vault, put_some: Callable[..., list[int]]) -> None:
    put_some(any_vault, 60)
    seen: list[tuple[int, int]] = []
    result = check(any_vault, progress=lambda *at: seen.append(at))
    assert (result.checked, result.broken, result.cancelled) == (60, [], False)
    assert seen[0] == (1, 60) and seen[-1] == (60, 60)


def test_cancel(any_vault: Vault, put_some: Callable[..., list[int]]) -> None:
    put_some(any_vault, 60)
    seen: list[int] = []
    result = check(any_vault, progress=lambda at, _total: seen.append(at), cancelled=lambda: len(seen) == 10)
    assert (result.checked, result.broken, result.cancelled) == (10, [], True)


def test_an_empty_store(any_vault: Vault) -> None:
    assert (check(any_vault).checked, check(any_vault).broken) == (0, [])


@pytest.mark.parametrize("cause", ["deleted", "rotated"])
def test_while_others_write_and_delete(
    any_vault: Vault, open_again: Callable[[], Vault], record: CopyRecord, cause: str
) -> None:
    other, stop = open_again(), threading.Event()

    def busy() -> None:
        ids: list[int] = []
        for _ in range(60):
            if stop.is_set():
                return
            ids += other.put_many((b"x" * 300, record, None) for _ in range(40))
            for copy_id in ids[:3]:
                other.delete([copy_id], cause=cause)
            other.delete(ids[3::3], cause=cause)
            ids = [copy_id for index, copy_id in enumerate(ids[3:]) if index % 3]

    thread = threading.Thread(target=busy)
    thread.start()
    try:
        for _ in range(5):
            result = check(any_vault)
            assert result.broken == []
    finally:
        stop.set()
        thread.join()


def test_a_broken_epoch_is_told_once_and_its_copies_each(
    any_vault: Vault, put_some: Callable[..., list[int]], sql: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("store.vault.epochs.EPOCH_STEPS", 20)
    ids = put_some(any_vault, 60)
    sql(any_vault, "UPDATE epoch SET opened_at = opened_at + 1 WHERE id = 2")
    broken = dict(check(any_vault).broken)
    assert sorted(broken) == sorted(["epoch 2", *(f"copy {copy_id}" for copy_id in ids[20:40])])
    assert "epoch 2" in broken[f"copy {ids[20]}"]


def test_a_missing_step_says_where(
    any_vault: Vault, put_some: Callable[..., list[int]], sql: Callable[..., Any]
) -> None:
    ids = put_some(any_vault, 10)
    for copy_id in (ids[2], ids[3], ids[7]):
        sql(any_vault, "DELETE FROM message WHERE id = ?", copy_id)
        sql(any_vault, "DELETE FROM body WHERE id = ?", copy_id)
    assert ("epoch 1", "copies are missing without a tombstone, at steps 2-3, 7") in check(any_vault).broken
