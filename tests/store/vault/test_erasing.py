"""Copies deleted for good are overwritten on the disk; what is not yet overwritten is reported."""

from __future__ import annotations

import json
import random
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from store.database import connection
from store.database.connection import run
from store.opening.opening import Unlock, open_store
from store.opening.slots import add_key_file
from store.terms.records import CopyRecord
from store.vault import erasing
from store.vault.vault import Vault
from tests.conftest import PASSPHRASE
from tui.commands.cli import main


def _sealed(vault: Vault) -> dict[int, bytes]:
    """Return all sealed data of each copy: body and record."""
    bodies = {copy_id: bytes(sealed) for copy_id, sealed in run(vault.db, "SELECT id, sealed FROM body").fetchall()}
    records = run(vault.db, "SELECT id, record FROM message").fetchall()
    return {copy_id: bodies[copy_id] + bytes(record) for copy_id, record in records}


def _found(vault: Vault, sealed: bytes) -> bool:
    """Return True if any piece of `sealed` is in the file or in its log."""
    held = b"".join(Path(vault.location + suffix).read_bytes() for suffix in ("", "-wal"))
    return any(sealed[start : start + 24] in held for start in range(0, len(sealed) - 24, 500))


@contextmanager
def _snapshot(location: str) -> Iterator[None]:
    """Keep a read transaction open on another connection."""
    with closing(sqlite3.connect(location, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT COUNT(*) FROM message").fetchone()
        yield


@pytest.fixture
def put(vault: Vault, record: CopyRecord) -> Callable[[int, int], list[int]]:
    """Put this many copies of a size that does not compress."""
    source = random.Random(5)

    def work(count: int, size: int) -> list[int]:
        return vault.put_many((source.randbytes(size), record, None) for _ in range(count))

    return work


def test_nothing_is_left_of_what_was_deleted(vault: Vault, put: Callable[[int, int], list[int]]) -> None:
    ids = [copy_id for size in (100, 3000, 9000, 40_000) for copy_id in put(25, size)]
    sealed = _sealed(vault)
    assert all(_found(vault, sealed[copy_id]) for copy_id in ids)
    gone = ids[10:90]
    result = vault.delete(gone, operator="ada")
    assert (result.deleted, result.left) == (gone, "")
    assert not [copy_id for copy_id in gone if _found(vault, sealed[copy_id])]
    assert all(_found(vault, sealed[copy_id]) for copy_id in vault.ids())


def test_what_rotation_removes_is_not_overwritten(vault: Vault, put: Callable[[int, int], list[int]]) -> None:
    ids = put(20, 9000)
    sealed = _sealed(vault)
    vault.delete(ids[:5], cause="rotated")
    assert all(_found(vault, sealed[copy_id]) for copy_id in ids[:5])
    vault.delete(ids[5:6])
    assert run(vault.db, "PRAGMA secure_delete").fetchone() == (2,)


def test_a_reader_puts_the_erasure_off_and_nobody_waits_for_it(
    vault: Vault, put: Callable[[int, int], list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = put(20, 9000)
    sealed = _sealed(vault)
    monkeypatch.setattr(erasing, "_PAUSE", 0.0)
    monkeypatch.setattr(connection, "BUSY_SECONDS", 0.0)
    with _snapshot(vault.location):
        result = vault.delete(ids[:5])
        assert result.deleted == ids[:5] and result.left.startswith(
            "Not yet erased from the disk, because another program"
        )
        assert any(_found(vault, sealed[copy_id]) for copy_id in ids[:5])
        assert put(1, 100)
        assert not vault.erasing.finish(1)
    assert vault.erasing.finish(1)
    assert Path(vault.location + "-wal").stat().st_size == 0
    assert not any(_found(vault, sealed[copy_id]) for copy_id in ids[:5])


def test_a_batch_overwrites_no_more_than_a_few_megabytes(
    vault: Vault, put: Callable[[int, int], list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("store.vault.deleting.ERASED_BYTES", 100_000)
    ids = put(20, 30_000)
    done: list[int] = []
    vault.delete(ids, progress=lambda count, _total: done.append(count))
    assert done[:3] == [3, 6, 9]


def test_the_command_says_what_is_not_erased(
    vault: Vault,
    put: Callable[[int, int], list[int]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    put(3, 9000)
    add_key_file(vault, tmp_path / "key")
    monkeypatch.setattr(erasing, "_PAUSE", 0.0)
    monkeypatch.setenv("MAILHOLD_STORE", vault.location)
    monkeypatch.setenv("MAILHOLD_KEY_FILE", str(tmp_path / "key"))
    with _snapshot(vault.location):
        assert main(["delete", "1", "--yes", "--json", "--for-good"]) == 0
        out, err = capsys.readouterr()
        assert json.loads(out)["erased"] is False and "mailhold: Not yet erased from the disk" in err
    assert main(["delete", "2", "--yes", "--json", "--for-good"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["erased"] is True and not err


@pytest.mark.parametrize(("leaves_after", "erased"), [(1, True), (9, True), (10, False)])
def test_a_reader_is_waited_for_a_little(
    vault: Vault, put: Callable[[int, int], list[int]], monkeypatch: pytest.MonkeyPatch, leaves_after: int, erased: bool
) -> None:
    ids, pauses = put(5, 9000), list[float]()
    reader = _snapshot(vault.location)

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == leaves_after:
            reader.__exit__(None, None, None)

    monkeypatch.setattr(erasing.time, "sleep", pause)
    monkeypatch.setattr(connection, "BUSY_SECONDS", 0.0)
    with ExitStack() as stack:
        stack.enter_context(reader)
        if erased:
            stack.pop_all()  # The reader ends in a pause.
        assert (vault.delete(ids).left == "") is erased
        assert vault.erasing.pending is not erased
    assert pauses == [0.03] * min(leaves_after, 9)


def test_nothing_is_to_be_erased_where_nothing_was_deleted(
    vault: Vault, put: Callable[[int, int], list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    put(1, 9000)
    size = Path(vault.location + "-wal").stat().st_size
    assert vault.erasing.finish() and size
    assert Path(vault.location + "-wal").stat().st_size == size, "the log is left as it is"


def test_a_store_that_is_not_there_for_a_moment_is_tried_again(
    vault: Vault, put: Callable[[int, int], list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    ids, cut, tries = put(5, 9000), erasing.cut_log, list[int]()

    def fails(db: Any) -> bool:
        tries.append(1)
        if len(tries) < 3:
            raise sqlite3.OperationalError("disk I/O error")
        return cut(db)

    monkeypatch.setattr(erasing, "_PAUSE", 0.0)
    monkeypatch.setattr(erasing, "cut_log", fails)
    assert vault.delete(ids).left == "" and len(tries) == 3
    assert Path(vault.location + "-wal").stat().st_size == 0


@pytest.mark.integration
def test_on_postgresql_nothing_waits_to_be_erased(postgres_store: str, record: CopyRecord) -> None:
    with closing(open_store(postgres_store, Unlock.passphrase(PASSPHRASE))) as vault:
        vault.delete([vault.put(b"x", record)])
        assert not vault.erasing.pending and vault.erasing.finish(0)
