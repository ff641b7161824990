"""Putting copies: shared commits, and no key is ever used twice, whatever fails."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from peewee import OperationalError

from store.check import check
from store.sealing.copies import seal_copy
from store.terms.errors import StoreUnavailable
from store.terms.records import CopyRecord
from store.vault import prepared, writer
from store.vault.vault import Vault


@pytest.fixture
def keys_used(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Record every key that sealed something, in order."""
    used: list[bytes] = []

    def noting(keys: Any, *args: Any) -> tuple[bytes, bytes]:
        used.extend((bytes(keys.record_key), bytes(keys.body_key)))
        return seal_copy(keys, *args)

    monkeypatch.setattr(writer, "seal_copy", noting)
    return used


def _in_threads(count: int, work: Callable[[int], None]) -> None:
    threads = [threading.Thread(target=work, args=(index,)) for index in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_many_threads_put(any_vault: Vault, record: CopyRecord, keys_used: list[bytes]) -> None:
    ids: dict[int, bytes] = {}

    def work(index: int) -> None:
        for turn in range(8):
            raw = b"%d of %d" % (turn, index) * 50
            ids[any_vault.put(raw, record)] = raw

    _in_threads(12, work)
    assert len(ids) == 96
    assert {copy_id: any_vault.raw(copy_id) for copy_id in any_vault.ids()} == ids
    assert len(set(keys_used)) == len(keys_used) == 2 * 96
    assert check(any_vault).broken == []


def test_those_who_wait_share_a_commit(vault: Vault, record: CopyRecord, monkeypatch: pytest.MonkeyPatch) -> None:
    groups: list[int] = []
    commit = writer.Writer._commit

    def counting(self: writer.Writer, group: list[writer.Prepared]) -> list[int]:
        groups.append(len(group))
        return commit(self, group)

    monkeypatch.setattr(writer.Writer, "_commit", counting)
    holding = vault.writing()
    holding.__enter__()
    threads = [threading.Thread(target=vault.put, args=(b"x", record)) for _ in range(9)]
    for thread in threads:
        thread.start()
    while len(vault._writer._queue) < 8:
        threading.Event().wait(0.01)
    holding.__exit__(None, None, None)
    for thread in threads:
        thread.join()
    assert groups == [1, 8]


@pytest.mark.parametrize(
    ("limit", "most", "expected"), [("GROUP_BYTES", 100, [1, 3, 3, 1]), ("GROUP_COPIES", 3, [1, 3, 3, 1])]
)
def test_those_who_wait_share_a_commit_of_so_many_or_of_a_few_megabytes(
    vault: Vault, record: CopyRecord, monkeypatch: pytest.MonkeyPatch, limit: str, most: int, expected: list[int]
) -> None:
    monkeypatch.setattr(writer, limit, most)
    sizes: list[int] = []
    commit = writer.Writer._commit

    def noting(self: writer.Writer, group: list[writer.Prepared]) -> list[int]:
        sizes.append(len(group))
        return commit(self, group)

    monkeypatch.setattr(writer.Writer, "_commit", noting)
    holding = vault.writing()
    holding.__enter__()
    threads = [threading.Thread(target=vault.put, args=(os.urandom(40), record)) for _ in range(8)]
    for thread in threads:
        thread.start()
    while len(vault._writer._queue) < 7:
        threading.Event().wait(0.01)
    holding.__exit__(None, None, None)
    for thread in threads:
        thread.join()
    assert sizes == expected


def test_the_committing_thread_stays_for_those_who_wait_however_long_another_commits(
    vault: Vault, record: CopyRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "IDLE_SECONDS", 0.001)
    changed, waited = vault._writer._changed, list[bool]()
    wait = changed.wait
    monkeypatch.setattr(changed, "wait", lambda seconds: waited.append(wait(seconds)) or waited[-1])
    with ThreadPoolExecutor(2) as pool:
        with vault.writing():
            stored = [pool.submit(vault.put, b"x", record) for _ in range(2)]
            while not vault._writer._queue:
                threading.Event().wait(0.001)
            committing = vault._writer._thread
            while waited.count(False) < 3 and committing is not None and committing.is_alive():
                threading.Event().wait(0.001)
            stays = vault._writer._thread is committing
            if not stays:  # Otherwise the waiting threads would wait for ever.
                vault._writer._have_committed()
        assert sorted(each.result() for each in stored) == [1, 2]
    assert stays


def test_threads_that_take_turns_are_served_by_one_connection(
    vault: Vault, record: CopyRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    committing: list[int] = []
    commit = writer.Writer._commit

    def noting(self: writer.Writer, group: list[writer.Prepared]) -> list[int]:
        committing.append(threading.get_ident())
        return commit(self, group)

    monkeypatch.setattr(writer.Writer, "_commit", noting)
    with ThreadPoolExecutor(1) as first, ThreadPoolExecutor(1) as second:
        for _ in range(3):
            first.submit(vault.put, b"alone", record).result()
        for _ in range(3):
            second.submit(vault.put, b"in turn", record).result()
            first.submit(vault.put, b"in turn", record).result()
        for _ in range(2):
            first.submit(vault.put, b"alone again", record).result()
    assert len(set(committing[:3])) == len(set(committing[3:9])) == 1
    assert committing[0] != committing[3]
    assert committing[9:] == committing[:2]
    vault.close()
    assert committing[3] not in {thread.ident for thread in threading.enumerate()}


def test_the_committing_thread_ends_where_nothing_comes(
    vault: Vault, record: CopyRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "IDLE_SECONDS", 0.01)
    vault.put(b"one", record)
    _in_threads(2, lambda _index: vault.put(b"more", record))
    while any(thread.name == "vault-writer" for thread in threading.enumerate()):
        threading.Event().wait(0.01)
    assert vault.raw(vault.put(b"after", record)) == b"after"


def test_closing_while_one_commits_and_one_waits_lets_both_end(vault: Vault, record: CopyRecord) -> None:
    stored: list[int] = []

    def put() -> None:
        stored.append(vault.put(b"x", record))

    holding = vault.writing()
    holding.__enter__()
    threads = [threading.Thread(target=put, daemon=True) for _ in range(2)]
    for thread in threads:
        thread.start()
    while not vault._writer._queue:
        threading.Event().wait(0.01)
    closing = threading.Thread(target=vault._writer.close, daemon=True)
    closing.start()
    while not vault._writer._closing:
        threading.Event().wait(0.01)
    holding.__exit__(None, None, None)
    for thread in (*threads, closing):
        thread.join(10)
        assert not thread.is_alive()
    assert sorted(stored) == vault.ids()


def test_a_put_inside_a_transaction_is_refused(vault: Vault, record: CopyRecord) -> None:
    _in_threads(2, lambda _index: vault.put(b"x", record))
    with vault.write(), pytest.raises(RuntimeError, match="inside another transaction"):
        vault.put(b"lost", record)


def test_a_failure_reaches_all_who_shared_it_and_nobody_after(
    any_vault: Vault, record: CopyRecord, monkeypatch: pytest.MonkeyPatch, keys_used: list[bytes]
) -> None:
    first = any_vault.put(b"before", record)
    with monkeypatch.context() as broken:
        broken.setattr(writer, "_insert", _fails(OperationalError("disk is sick")))
        errors: list[Exception] = []

        def work(_index: int) -> None:
            try:
                any_vault.put(b"lost", record)
            except StoreUnavailable as error:
                errors.append(error)

        _in_threads(4, work)
        assert len(errors) == 4
        assert all("disk is sick" in str(error) for error in errors)
    after = any_vault.put(b"after", record)
    assert (any_vault.raw(first), any_vault.raw(after), len(any_vault.ids())) == (b"before", b"after", 2)
    assert len(set(keys_used)) == len(keys_used)
    assert check(any_vault).broken == []
    closed = any_vault.models.Epoch.get_by_id(1)
    assert closed.count == 1


def test_an_epoch_that_was_opened_for_nothing_leaves_no_trace(
    any_vault: Vault, record: CopyRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(writer, "_insert", _fails(OperationalError("no")))
        with pytest.raises(StoreUnavailable):
            any_vault.put(b"lost", record)
    assert any_vault.models.Epoch.select().count() == 0
    any_vault.put(b"kept", record)
    assert check(any_vault).broken == []


@pytest.mark.parametrize("committed", [True, False])
def test_a_commit_whose_answer_is_lost(
    any_vault: Vault, record: CopyRecord, monkeypatch: pytest.MonkeyPatch, committed: bool
) -> None:
    any_vault.put(b"before", record)
    commit = any_vault.db.commit

    def lost() -> None:
        if committed:
            commit()
        raise OperationalError("the connection was lost")

    with monkeypatch.context() as broken:
        broken.setattr(any_vault.db, "commit", lost)
        if committed:
            broken.setattr(any_vault.db, "rollback", lambda: None)
        with pytest.raises(StoreUnavailable):
            any_vault.put(b"who knows", record)
    any_vault.put(b"after", record)
    raws = [any_vault.raw(copy_id) for copy_id in any_vault.ids()]
    assert raws == ([b"before", b"who knows", b"after"] if committed else [b"before", b"after"])
    assert check(any_vault).broken == []


@pytest.mark.parametrize("count", [1, 2, 5])
@pytest.mark.parametrize("committed", [True, False])
def test_copies_whose_commit_has_no_answer_are_stored_where_they_are_there(
    any_vault: Vault, record: CopyRecord, monkeypatch: pytest.MonkeyPatch, committed: bool, count: int
) -> None:
    """The connection is lost for a moment: the outcome of the transaction is looked up with the next one."""
    assert any_vault.put(b"before", record) == 1
    commit, placed, told = any_vault.db.commit, [b"%d" % number for number in range(count)], list[list[int]]()
    with monkeypatch.context() as broken:

        def lost() -> None:
            if committed:
                commit()
            broken.setattr(any_vault.db, "commit", commit)
            raise OperationalError("the connection was lost")

        broken.setattr(any_vault.db, "commit", lost)
        if committed:
            rollback = any_vault.db.rollback
            broken.setattr(any_vault.db, "rollback", lambda: broken.setattr(any_vault.db, "rollback", rollback))
            ids = any_vault.put_many(((raw, record, None) for raw in placed), told.append)
            assert ids == list(range(2, 2 + count)) == told[0]
        else:
            with pytest.raises(StoreUnavailable, match="the connection was lost"):
                any_vault.put_many((raw, record, None) for raw in placed)
    there = placed if committed else []
    assert any_vault.put(b"after", record) == 2 + len(there)
    assert [any_vault.raw(copy_id) for copy_id in any_vault.ids()] == [b"before", *there, b"after"]
    assert any_vault.count().messages == 2 + len(there)
    assert check(any_vault).broken == []


def test_a_rolled_back_id_that_another_process_takes(
    any_vault: Vault, open_again: Callable[[], Vault], record: CopyRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = open_again()
    any_vault.put(b"before", record)
    with monkeypatch.context() as broken:
        broken.setattr(any_vault.db, "commit", _fails(OperationalError("the connection was lost")))
        with pytest.raises(StoreUnavailable):
            any_vault.put(b"lost", record)
    other.put(b"theirs", record)
    any_vault.put(b"after", record)
    assert [any_vault.raw(copy_id) for copy_id in any_vault.ids()] == [b"before", b"theirs", b"after"]
    assert check(any_vault).broken == []


def test_an_interrupt_in_the_middle_leaves_a_working_vault(
    any_vault: Vault, record: CopyRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(writer, "_insert", _fails(KeyboardInterrupt()))
        with pytest.raises(KeyboardInterrupt):
            any_vault.put(b"lost", record)
    assert any_vault.raw(any_vault.put(b"kept", record)) == b"kept"
    assert check(any_vault).broken == []


def test_the_file_grows_as_the_usage_says(vault: Vault, record: CopyRecord) -> None:
    """The maximum size is that of the file: the counted usage must equal the file's size within a few per cent."""
    import random

    source = random.Random(1)
    sizes = [source.randrange(200, 120_000) for _ in range(150)]
    vault.put_many((source.randbytes(size), record, None) for size in sizes)
    vault.db.execute_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    assert 0.9 < Path(vault.location).stat().st_size / vault.count().used_bytes < 1.1


def _fails(error: BaseException) -> Callable[..., None]:
    def failing(*_args: Any) -> None:
        raise error

    return failing


@pytest.mark.parametrize(
    ("record", "body", "taken"),
    [
        (0, 0, 92),
        (200, 1000, 1592),
        (4021, 0, 4615),  # the longest record that fits a page with its row
        (4022, 0, 4754),
        (0, 4053, 4655),
        (0, 4054, 4794),
        (300, 4573, 5169),  # as much as one overflow page takes
        (300, 4574, 5170),
        (0, 8145, 8756),
        (500, 8146, 9520),
        (5000, 5000, 10564),
        (200, 75_000, 75840),
    ],
)
def test_a_copy_takes_up_what_sqlite_needs_for_it(record: int, body: int, taken: int) -> None:
    """Overflow pages and the remainder in the row equal those that SQLite's dbstat table reports for such rows."""
    assert prepared.stored_size(record, body) == taken


@example([4 << 20, 1])
@example([(4 << 20) - 1, 1, 1])
@given(st.lists(st.sampled_from([0, 1, 100, 999_999, 1 << 20, (4 << 20) - 1, 4 << 20, 5 << 20]), max_size=130))
def test_a_group_ends_with_fifty_copies_or_four_megabytes(lengths: list[int]) -> None:
    body = memoryview(bytes(5 << 20))
    items = [writer.Prepared(b"%d" % number, body[:length], 0, 0, 0) for number, length in enumerate(lengths)]
    groups = list(writer._groups(items))
    assert [item for group in groups for item in group] == items
    for group in groups:
        sizes = [len(item.body) for item in group]
        assert 0 < len(group) <= 50 and sum(sizes[:-1]) < 4 << 20
    for group in groups[:-1]:
        assert len(group) == 50 or sum(len(item.body) for item in group) >= 4 << 20


def test_what_is_handed_in_is_told_of_once_it_is_durable(any_vault: Vault, record: CopyRecord) -> None:
    told: dict[bytes, int] = {}
    all_told = threading.Event()

    def hand_in(raw: bytes) -> None:
        def tell(copy_id: int, error: Exception | None) -> None:
            assert error is None
            told[raw] = copy_id
            if len(told) == 40:
                all_told.set()

        any_vault.hand_in(raw, record, tell)

    raws = [b"%d" % number * 30 for number in range(40)]
    for raw in raws[:20]:
        hand_in(raw)
    others = [any_vault.put(b"another %d" % number, record) for number in range(3)]
    for raw in raws[20:]:
        hand_in(raw)
    assert all_told.wait(30)
    assert {raw: any_vault.raw(copy_id) for raw, copy_id in told.items()} == {raw: raw for raw in raws}
    assert not set(others) & set(told.values())
    assert check(any_vault).broken == []


def test_what_was_handed_in_when_the_vault_is_closed_is_stored(
    vault: Vault, record: CopyRecord, open_again: Callable[[], Vault]
) -> None:
    told: list[int] = []
    for number in range(60):
        vault.hand_in(b"%d" % number, record, lambda copy_id, _error: told.append(copy_id))
    vault.close()
    assert len(told) == 60 and open_again().ids() == sorted(told)


def test_a_failure_is_told_to_all_that_were_handed_in(
    vault: Vault, record: CopyRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[int, Exception | None]] = []
    both = threading.Event()

    def tell(copy_id: int, error: Exception | None) -> None:
        told.append((copy_id, error))
        if len(told) == 2:
            both.set()

    def fail(*_given: Any) -> None:
        raise OperationalError("disk I/O error")

    with monkeypatch.context() as patch:
        patch.setattr(writer, "_insert", fail)
        vault.hand_in(b"one", record, tell)
        vault.hand_in(b"two", record, tell)
        assert both.wait(30)
    assert [copy_id for copy_id, _ in told] == [0, 0]
    assert all(isinstance(error, StoreUnavailable) for _, error in told)
    assert vault.raw(vault.put(b"three", record)) == b"three" and len(vault.ids()) == 1


@pytest.mark.parametrize("of", ["db", "witness", "tables"])
@pytest.mark.parametrize("kind", [KeyboardInterrupt, RuntimeError, OperationalError])
def test_a_transaction_that_fails_at_any_step_leaves_none_open_and_no_lock(
    any_vault: Vault, record: CopyRecord, monkeypatch: pytest.MonkeyPatch, of: str, kind: type[BaseException]
) -> None:
    """Each step fails before it is done, and after."""
    steps = {
        "db": ("begin", "push_transaction", "commit"),
        "witness": ("begun", "before_commit", "committed", "released"),
        "tables": ("require",),
    }[of]
    owner = getattr(any_vault, of)
    any_vault.put(b"first", record)
    placed = [b"first"]
    for name in steps:
        step = getattr(owner, name)
        for late in (False, True):
            if name == "begin" and late:
                continue  # As before it, but with a transaction that nobody knows of.

            def fails(*given: Any, step: Callable[..., Any] = step, late: bool = late, **named: Any) -> None:
                if late:
                    step(*given, **named)
                raise kind("in the middle")

            with monkeypatch.context() as patch:
                patch.setattr(owner, name, fails)
                with pytest.raises((kind, StoreUnavailable)), any_vault.write():
                    pass
            assert not any_vault.db.in_transaction()
            _in_threads(1, lambda _index: placed.append(b"%d" % any_vault.put(b"%d" % len(placed), record)))
            assert any_vault.raw(any_vault.ids()[-1]) == b"%d" % (len(placed) - 1)
    assert any_vault.count().messages == len(placed) == len(any_vault.ids())
    assert check(any_vault).broken == []
