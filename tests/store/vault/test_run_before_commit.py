"""Work that the committing thread does before a commit, and the copies that it hands in."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial

import pytest

from store.check import check
from store.terms.records import CopyRecord
from store.vault.vault import Vault


class Told:
    """Collects results until there are as many as expected."""

    def __init__(self, expected: int) -> None:
        self.ids: list[int] = []
        self.threads: set[int] = set()
        self._expected = expected
        self._done = threading.Event()

    def __call__(self, copy_id: int, error: Exception | None) -> None:
        assert error is None
        self.ids.append(copy_id)
        if len(self.ids) == self._expected:
            self._done.set()

    def wait(self) -> list[int]:
        assert self._done.wait(60)
        return self.ids


def hand_in(vault: Vault, raw: bytes, record: CopyRecord, told: Told) -> None:
    told.threads.add(threading.get_ident())
    vault.hand_in(raw, record, told)


def test_it_is_done_by_one_other_thread_and_its_copies_are_stored(any_vault: Vault, record: CopyRecord) -> None:
    told = Told(90)
    raws = [b"%d" % number * 40 for number in range(90)]
    for raw in raws:
        any_vault.run_before_commit(partial(hand_in, any_vault, raw, record, told))
    assert [any_vault.raw(copy_id) for copy_id in told.wait()] == raws
    assert len(told.threads) == 1 and threading.get_ident() not in told.threads
    assert check(any_vault).broken == []


def test_what_is_handed_over_together_shares_a_commit(vault: Vault, record: CopyRecord) -> None:
    told, go_on, commits = Told(21), threading.Event(), []

    def wait() -> None:
        assert go_on.wait(60)
        hand_in(vault, b"first", record, told)

    written = vault._writer._commit
    vault._writer._commit = lambda group, *rest: commits.append(len(group)) or written(group, *rest)  # type: ignore
    vault.run_before_commit(wait)
    for number in range(10):
        vault.run_before_commit(partial(hand_in, vault, b"%d" % number, record, told))
        vault.hand_in(b"in %d" % number, record, told)
    go_on.set()
    assert len(told.wait()) == 21 and commits == [21]


def test_work_without_a_copy_needs_no_commit(vault: Vault, record: CopyRecord) -> None:
    done, told = threading.Event(), Told(1)
    vault.run_before_commit(done.set)
    assert done.wait(60) and vault.ids() == []
    vault.run_before_commit(partial(hand_in, vault, b"x", record, told))
    assert told.wait() == vault.ids()


def test_a_system_without_a_thread_left_stops_nothing_for_good(
    vault: Vault, record: CopyRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    told = Told(2)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", fail)
        with pytest.raises(RuntimeError):
            vault.run_before_commit(partial(hand_in, vault, b"never", record, told))
        with pytest.raises(RuntimeError):
            vault.hand_in(b"never", record, told)
        with pytest.raises(RuntimeError):
            vault.put(b"never", record)
    vault.run_before_commit(partial(hand_in, vault, b"first", record, told))
    vault.hand_in(b"second", record, told)
    assert {vault.raw(copy_id) for copy_id in told.wait()} == {b"first", b"second"} and len(vault.ids()) == 2


def test_what_was_handed_over_when_the_vault_is_closed_is_stored(
    vault: Vault, record: CopyRecord, open_again: Callable[[], Vault]
) -> None:
    told = Told(60)
    for number in range(60):
        vault.run_before_commit(partial(hand_in, vault, b"%d" % number, record, told))
    vault.close()
    assert len(told.ids) == 60 and open_again().ids() == sorted(told.ids)


def test_what_raises_stops_nobody_else(vault: Vault, record: CopyRecord, monkeypatch: pytest.MonkeyPatch) -> None:
    told, reported = Told(2), []

    def fail(*_given: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(threading, "excepthook", lambda given: reported.append(given.exc_type))
    vault.run_before_commit(fail)
    vault.hand_in(b"one", record, fail)
    hand_in(vault, b"two", record, told)
    vault.run_before_commit(partial(hand_in, vault, b"three", record, told))
    assert [vault.raw(copy_id) for copy_id in told.wait()] == [b"two", b"three"]
    assert reported == [ZeroDivisionError, ZeroDivisionError]
