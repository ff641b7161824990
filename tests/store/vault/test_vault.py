"""The vault's contract on both databases: copies come back exactly as put; deleted copies are gone for good."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from store.database.connection import is_url, run
from store.opening.opening import Unlock, open_store
from store.sealing.epochs import EPOCH_STEPS
from store.sealing.signatures import Right
from store.space.limits import usage
from store.terms.errors import CopyMissing, StoreError, TamperedError
from store.terms.records import CopyRecord
from store.vault import deleting
from store.vault.vault import Vault
from tests.amounts import amount
from tests.conftest import PASSPHRASE


def test_what_is_put_comes_back(any_vault: Vault, record: CopyRecord) -> None:
    raw = b"Subject: hi\r\n\r\nbody\x00\xff" * 100
    copy_id = any_vault.put(raw, record, stored_at=5)
    copy = any_vault.get(copy_id)
    assert any_vault.raw(copy_id) == raw
    assert (copy.id, copy.stored_at, copy.record.size, len(copy.record.sha256)) == (copy_id, 5, len(raw), 32)
    for field in ("from_", "subject", "envelope_sender", "envelope_recipients", "verdicts", "reason", "attachments"):
        assert getattr(copy.record, field) == getattr(record, field)


@settings(max_examples=amount(25, 60), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(raw=st.binary(max_size=300) | st.binary(max_size=20).map(lambda part: part * 9000), subject=st.text())
def test_any_bytes_come_back(vault: Vault, raw: bytes, subject: str) -> None:
    encodable = subject.encode("utf-8", "replace").decode()
    copy_id = vault.put(raw, CopyRecord(subject=encodable))
    assert vault.raw(copy_id) == raw
    assert vault.get(copy_id).record.subject == encodable


def test_text_that_has_no_encoding_does_not_keep_a_copy_out(any_vault: Vault, record: CopyRecord) -> None:
    import msgspec

    broken = msgspec.structs.replace(record, subject="a\udcffb", envelope_recipients=("\ud800@example.org",))
    copy = any_vault.get(any_vault.put(b"x", broken))
    assert (copy.record.subject, copy.record.envelope_recipients) == ("a?b", ("?@example.org",))
    assert (copy.record.from_, copy.record.verdicts) == (record.from_, record.verdicts)


def test_real_messages_come_back(vault: Vault, corpus_files: list[Any]) -> None:
    raws = [path.read_bytes() for path in corpus_files[:400]]
    ids = vault.put_many((raw, CopyRecord(), None) for raw in raws)
    assert [vault.raw(copy_id) for copy_id in ids] == raws


def test_pages(any_vault: Vault, put_some: Callable[..., list[int]]) -> None:
    ids = put_some(any_vault, 130)
    assert any_vault.ids() == ids == sorted(ids)
    assert [copy.id for copy in any_vault.newest(3)] == ids[:-4:-1]
    assert [copy.id for copy in any_vault.newest(3, before_id=ids[2])] == ids[1::-1]
    assert [copy.id for copy in any_vault.scan()] == ids
    assert [copy.id for copy in any_vault.scan(after_id=ids[99], limit=7)] == ids[100:107]
    wanted = [ids[5], 10**6, ids[2], ids[90]]
    assert [copy.id for copy in any_vault.get_many(wanted)] == [ids[5], ids[2], ids[90]]


def test_which_ids_are_there(any_vault: Vault, put_some: Callable[..., list[int]]) -> None:
    assert any_vault.id_range() == any_vault.tombstone_range() == (0, 0)
    ids = put_some(any_vault, 12)
    assert (any_vault.delete(ids[:2]).deleted, any_vault.delete([ids[5]]).deleted) == (ids[:2], [ids[5]])
    assert any_vault.id_range() == (ids[2], ids[-1])
    assert any_vault.present([*ids, ids[-1] + 1]) == set(any_vault.ids())
    assert [row[0] for row in any_vault.newest_rows(3, ids[6])] == [ids[6], ids[4], ids[3]]
    assert {row[0] for row in any_vault.rows_of(ids[:4])} == {ids[2], ids[3]}
    oldest, newest = any_vault.tombstone_range()
    assert (newest, oldest) == (any_vault.newest_tombstone(), newest - 1)
    assert (any_vault.freed_since(oldest), any_vault.freed_since(newest)) == (True, False)
    any_vault.delete([ids[6]], cause=deleting.ROTATED)
    assert not any_vault.freed_since(newest)


def test_long_readings_go_on_where_the_last_rows_ended(
    any_vault: Vault, put_some: Callable[..., list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("store.vault.reader._SCAN_ROWS", 2)
    ids = put_some(any_vault, 7)

    def never(copy_id: int, error: Exception) -> None:
        raise AssertionError(copy_id)

    def read(after: int, until: int) -> list[list[int]]:
        return [[copy.id for copy in batch] for batch in any_vault.batches(after, until, on_error=never)]

    assert read(0, ids[-1]) == [ids[:2], ids[2:4], ids[4:6], ids[6:]]
    assert read(ids[0], ids[4]) == [ids[1:3], ids[3:5]] and read(ids[-1], ids[-1] + 9) == []
    for limit in (None, 0, 1, 2, 3, 7, 8):
        assert [copy.id for copy in any_vault.scan(limit=limit)] == ids[:limit]
    assert [copy.id for copy in any_vault.get_many(ids[::-1])] == ids[::-1]
    assert any_vault.present([*ids, 99]) == set(ids) and any_vault.id_range() == (ids[0], ids[-1])


def test_a_put_can_be_read_by_another_process_at_once(
    any_vault: Vault, open_again: Callable[[], Vault], record: CopyRecord
) -> None:
    other = open_again()
    copy_id = any_vault.put(b"one", record)
    assert other.raw(copy_id) == b"one"
    assert other.raw(other.put(b"two", record)) == b"two"
    assert any_vault.raw(copy_id + 1) == b"two"


def test_epochs_end_after_their_steps(
    any_vault: Vault, put_some: Callable[..., list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("store.vault.epochs.EPOCH_STEPS", 60)
    ids = put_some(any_vault, 130)
    epochs = list(any_vault.models.Epoch.select().order_by(any_vault.models.Epoch.id))
    assert [epoch.count for epoch in epochs] == [60, 60, None]
    assert any_vault.raw(ids[-1]).startswith(b"129:")
    assert EPOCH_STEPS == 1000


def test_the_newest_step_of_an_epoch(any_vault: Vault, put_some: Callable[..., list[int]]) -> None:
    ids = put_some(any_vault, 5)
    [epoch] = any_vault.models.Epoch.select()
    assert any_vault.newest_step(epoch.id) == 4
    any_vault.delete(ids[3:])
    assert any_vault.newest_step(epoch.id) == 2
    assert any_vault.newest_step(epoch.id + 1) == -1
    with pytest.raises(TamperedError, match=r"[Ee]poch 99 .*its row is missing"):
        any_vault.epoch_reader.chains(99)


def test_epochs_end_after_an_hour(vault: Vault, record: CopyRecord, monkeypatch: pytest.MonkeyPatch) -> None:
    vault.put(b"one", record)
    monkeypatch.setattr("store.vault.epochs.time.monotonic", lambda: 1e12)
    vault.put(b"two", record)
    assert [epoch.count for epoch in vault.models.Epoch.select()] == [1, None]


def test_between_batches_of_a_deletion_others_may_write(
    any_vault: Vault, put_some: Callable[..., list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(deleting.time, "sleep", pauses.append)
    monkeypatch.setattr(deleting, "_MOST", 50)
    ids = put_some(any_vault, 250)
    seen: list[int] = []
    any_vault.delete(ids[:240], progress=lambda done, _total: seen.append(done))
    longest = 0.002 if is_url(any_vault.location) else 0.02
    assert len(pauses) == len(seen) - 1 > 1 and all(0 < pause <= longest for pause in pauses)
    pauses.clear()
    with any_vault.write():
        any_vault.delete(ids[240:])
    assert pauses == []


def test_a_short_pause_lets_others_write_in_postgresql(
    postgres_store: str, record: CopyRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server wakes whoever waits for the lock; in SQLite they poll it."""
    for name in ("_FIRST_BATCH", "_LEAST", "_MOST"):
        monkeypatch.setattr(deleting, name, 5)
    ours, other = (open_store(postgres_store, Unlock.passphrase(PASSPHRASE)) for _ in range(2))
    ids = ours.put_many((b"raw", record, None) for _ in range(300))
    deletion = threading.Thread(target=ours.delete, args=(ids,))
    deletion.start()
    put = 0
    while deletion.is_alive():
        other.put(b"raw", record)
        put += 1
    deletion.join()
    assert put > 10 and ours.count().messages == put
    ours.close()
    other.close()


def test_a_copy_without_its_body_is_named(
    any_vault: Vault, put_some: Callable[..., list[int]], sql: Callable[..., Any]
) -> None:
    first, second = put_some(any_vault, 2)
    sql(any_vault, "DELETE FROM body WHERE id = ?", first)
    with pytest.raises(TamperedError, match=f"[Cc]opy {first} .*its body is missing"):
        any_vault.raw(first)
    assert any_vault.get(first).id == first and any_vault.raw(second)


def test_a_reader_keeps_the_keys_of_as_many_epochs_as_it_says(
    any_vault: Vault, put_some: Callable[..., list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("store.vault.epochs.EPOCH_STEPS", 2)
    monkeypatch.setattr("store.vault.epochs.EpochReader._KEPT", 2)
    ids, opened = put_some(any_vault, 6), []
    read = any_vault.epoch_reader.read
    monkeypatch.setattr(any_vault.epoch_reader, "read", lambda row: opened.append(row.id) or read(row))
    for copy_id in (ids[0], ids[2], ids[0], ids[2], ids[4], ids[2], ids[0]):
        any_vault.get(copy_id)
    first, second, third = sorted({*opened})
    assert opened == [first, second, third, first]


@pytest.mark.parametrize("step", [-1, 1000, 1 << 40])
def test_a_step_that_there_is_not_hides_no_other_copy(
    any_vault: Vault, put_some: Callable[..., list[int]], sql: Callable[..., Any], step: int
) -> None:
    ids = put_some(any_vault, 4)
    sql(any_vault, "UPDATE message SET step = ? WHERE id = ?", step, ids[2])
    refused: dict[int, str] = {}
    found = any_vault.get_many(ids, on_error=lambda copy_id, error: refused.update({copy_id: str(error)}))
    assert [copy.id for copy in found] == [ids[0], ids[1], ids[3]] and refused.keys() == {ids[2]}
    with pytest.raises(TamperedError, match="a step or epoch that does not exist"):
        any_vault.get_many(ids)


def test_an_epoch_that_was_not_begun_needs_no_end(vault: Vault, record: CopyRecord) -> None:
    assert not vault.epoch_writer.needs_finish()
    with vault.write():
        vault.epoch_writer.finish(5)
    vault.epoch_writer.committed()
    assert vault.models.Epoch.select().count() == 0
    assert vault.raw(vault.put(b"x", record)) == b"x" and vault.epoch_writer.needs_finish()


def test_closing_ends_the_epoch(any_vault: Vault, open_again: Callable[[], Vault], record: CopyRecord) -> None:
    other = open_again()
    other.put(b"one", record)
    other.close()
    other.close()
    epoch = any_vault.models.Epoch.get()
    assert (epoch.count, len(epoch.closing_signature)) == (1, 64)
    with pytest.raises(StoreError, match="Open it again"):
        other.put(b"two", record)
    with pytest.raises(StoreError, match="Open it again"):
        other.ids()


def test_deleted_is_gone_and_its_id_never_used_again(
    any_vault: Vault, put_some: Callable[..., list[int]], record: CopyRecord, sql: Callable[..., Any]
) -> None:
    ids = put_some(any_vault, 10)
    seen: list[tuple[int, int]] = []
    result = any_vault.delete([ids[-1], ids[3], 999, ids[3]], progress=lambda *at: seen.append(at))
    assert (result.deleted, result.missing, result.refused) == ([ids[3], ids[-1]], [999], [])
    assert seen[-1] == (3, 3)
    for gone in (ids[3], ids[-1]):
        for read in (any_vault.get, any_vault.raw):
            with pytest.raises(CopyMissing):
                read(gone)
    assert sql(any_vault, "SELECT COUNT(*) FROM body")[0][0] == 8
    assert any_vault.put(b"new", record) == ids[-1] + 1


def test_a_copy_with_a_live_delivery_is_refused(any_vault: Vault, put_some: Callable[..., list[int]]) -> None:
    ids = put_some(any_vault, 3)
    table = any_vault.models.Delivery
    row = {"created_at": 1, "gateway_id": 1, "state": "x", "next_attempt_at": 1, "expires_at": 1}
    blobs = {"order_blob": b"", "order_signature": b""}
    table.insert(copy_id=ids[0], **row, **blobs).execute()
    table.insert(copy_id=ids[1], finished_at=5, **row, **blobs).execute()
    result = any_vault.delete(ids)
    assert result.deleted == ids[1:]
    assert [copy_id for copy_id, _why in result.refused] == [ids[0]]
    assert "cancel" in result.refused[0][1]


def test_deleting_many_batches_can_be_cancelled(any_vault: Vault, put_some: Callable[..., list[int]]) -> None:
    ids = put_some(any_vault, 400, size=1)
    done: list[int] = []
    result = any_vault.delete(ids, progress=lambda at, _total: done.append(at), cancelled=lambda: bool(done))
    assert result.deleted == ids[: done[0]]
    assert any_vault.ids() == ids[done[0] :]


def test_between_batches_others_have_as_long_as_a_batch_took(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    now, pauses = 0.0, list[float]()

    class Time:
        @staticmethod
        def perf_counter() -> float:
            nonlocal now
            now += 0.008
            return now

        sleep = staticmethod(pauses.append)

    monkeypatch.setattr(deleting, "time", Time)
    vault.delete(range(1, 1000))
    assert pauses
    assert pauses == pytest.approx([0.008] * len(pauses))


def test_tombstones_tell_what_was_deleted(any_vault: Vault, put_some: Callable[..., list[int]]) -> None:
    ids = put_some(any_vault, 30)
    assert any_vault.tombstones_since(0) == (0, [])
    any_vault.delete([*ids[3:9], ids[20]], operator="anna")
    mark, deleted = any_vault.tombstones_since(0)
    assert deleted == [*ids[3:9], ids[20]]
    any_vault.delete([ids[0]], cause="rotated")
    assert any_vault.tombstones_since(mark)[1] == [ids[0]]
    operator = any_vault.models.Tombstone.get_by_id(mark).sealed_operator
    assert b"anna" not in bytes(operator) and any_vault.unseal("tombstone operator", bytes(operator)) == b"anna"


def test_usage_counts(any_vault: Vault, put_some: Callable[..., list[int]]) -> None:
    assert (any_vault.count().messages, any_vault.count().used_bytes, any_vault.count().oldest) == (0, 0, None)
    ids = put_some(any_vault, 10, size=9000)
    full = usage(any_vault)
    assert (full.messages, full.oldest) == (10, 1000) == (any_vault.count().messages, any_vault.count().oldest)
    assert full.used_bytes == sum(copy.stored_size for copy in any_vault.scan())
    assert full.free_bytes == full.max_bytes - full.used_bytes
    any_vault.delete(ids[:4])
    assert any_vault.count().used_bytes == sum(copy.stored_size for copy in any_vault.scan())
    assert any_vault.count().oldest == 1004


def test_the_change_token_sees_every_commit(
    any_vault: Vault, open_again: Callable[[], Vault], record: CopyRecord, sql: Callable[..., Any]
) -> None:
    other = open_again()
    token = any_vault.change_token()
    assert any_vault.change_token() == token

    def changed() -> bool:
        nonlocal token
        before, token = token, any_vault.change_token()
        return before != token

    copy_id = any_vault.put(b"mine", record)
    assert changed()
    other.put(b"theirs", record)
    assert changed()
    other.delete([copy_id])
    assert changed()
    with any_vault.write():
        sql(any_vault, "INSERT INTO audit (at, sealed) VALUES (1, ?)", b"x")
    assert changed()
    thread = threading.Thread(target=lambda: any_vault.put(b"thread", record))
    thread.start()
    thread.join()
    assert changed()
    assert not changed()


def test_sealing_service(any_vault: Vault) -> None:
    sealed = any_vault.seal("snapshot", b"secret")
    assert any_vault.unseal("snapshot", sealed) == b"secret"
    assert any_vault.seal("snapshot", b"secret") != sealed
    any_vault.verify("order", b"data", any_vault.sign("order", b"data"), Right.RELEASE)


def test_a_write_transaction_rolls_back(any_vault: Vault, sql: Callable[..., Any]) -> None:
    with pytest.raises(ZeroDivisionError), any_vault.write():
        sql(any_vault, "INSERT INTO audit (at, sealed) VALUES (1, ?)", b"x")
        raise ZeroDivisionError
    assert sql(any_vault, "SELECT COUNT(*) FROM audit")[0][0] == 0


def test_a_put_inside_a_transaction_is_a_mistake(any_vault: Vault, record: CopyRecord) -> None:
    with pytest.raises(RuntimeError), any_vault.write():
        any_vault.put(b"x", record)
    assert any_vault.raw(any_vault.put(b"y", record)) == b"y"


def test_a_reader_reads_and_cannot_write(any_vault: Vault, put_some: Callable[..., list[int]]) -> None:
    ids = put_some(any_vault, 5)
    reader = Vault.from_key_material(any_vault.location, any_vault.worker_key_material())
    try:
        assert [copy.id for copy in reader.scan()] == ids
        assert reader.raw(ids[0]).startswith(b"0:")
        with pytest.raises(StoreError):
            reader.put(b"x", CopyRecord())
        with pytest.raises(Exception, match="with an operator key"):
            reader.delete(ids)
        with pytest.raises(Exception, match="with an operator key"):
            reader.sign("order", b"")
        assert any_vault.ids() == ids
    finally:
        reader.close()


def test_a_released_copy_opens_for_its_delivery(any_vault: Vault, put_some: Callable[..., list[int]]) -> None:
    ids = put_some(any_vault, 2)

    class Row:
        id, copy_id, gateway_id = 9, ids[1], 1
        sealed_body_key: bytes | None = any_vault.release_body_key(ids[1], 9)

    assert any_vault.released_raw(Row).startswith(b"1:")
    for table, why in (("body", "Copy 2 .*its body is missing"), ("epoch", "Epoch 1 .*its row is missing")):
        with any_vault.write():
            run(any_vault.db, f"DELETE FROM {table}")
        with pytest.raises(TamperedError, match=why):
            any_vault.released_raw(Row)
    with any_vault.write():
        run(any_vault.db, "DELETE FROM message")
    with pytest.raises(CopyMissing):
        any_vault.released_raw(Row)


@pytest.mark.integration
def test_a_put_waits_for_postgresql_no_more_often_than_it_must(
    postgres_store: str, record: CopyRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    """BEGIN, the tables, the counters (which keep others out), both rows of the copy, the maximum size, COMMIT."""
    import psycopg

    asked: list[str] = []
    execute = psycopg.Cursor.execute

    def noting(cursor: Any, query: Any, *arguments: Any, **options: Any) -> Any:
        asked.append(str(query))
        return execute(cursor, query, *arguments, **options)

    monkeypatch.setattr("store.authority.keeper.SIGN_SECONDS", 3600.0)
    vault = open_store(postgres_store, Unlock.passphrase(PASSPHRASE))
    try:
        vault.put(b"Subject: first\r\n\r\n", record)
        monkeypatch.setattr(psycopg.Cursor, "execute", noting)
        copy_id = vault.put(b"Subject: x\r\n\r\n", record)
        monkeypatch.undo()
        assert len(asked) == 6, asked
        assert vault.raw(copy_id) == b"Subject: x\r\n\r\n"
    finally:
        vault.close()


def test_no_copy_has_an_impossible_id(any_vault: Vault) -> None:
    for copy_id in (0, -1, 1 << 62, 1 << 80):
        with pytest.raises(CopyMissing):
            any_vault.raw(copy_id)
