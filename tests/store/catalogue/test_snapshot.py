"""The snapshot: sealed, private, used only if it fits its store, and it does not keep deleted copies."""

from __future__ import annotations

import os
import shutil
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from store.catalogue import keeping, snapshot
from store.catalogue.catalogue import NEWEST, Catalogue
from store.catalogue.follow import Follower
from store.catalogue.once import select_once
from store.filters.line import MessageFilter, parse
from store.opening.opening import Unlock, create_store, open_store
from store.terms.errors import StoreUnavailable
from store.terms.records import CopyRecord, row_of
from store.vault.vault import Vault
from tests.amounts import amount
from tests.conftest import PASSPHRASE

EVERYTHING = MessageFilter()


@pytest.fixture(autouse=True)
def snapshots_of_few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeping, "SNAPSHOT_COPIES", 0)


@pytest.fixture
def path(vault: Vault) -> Path:
    return Path(f"{vault.location}.snapshot")


@pytest.fixture
def scanned(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Record the ids that are read from the database one by one."""
    ids: list[int] = []
    rows = vault.rows

    def noting(*args: Any) -> list[Any]:
        found = rows(*args)
        ids.extend(row[0] for row in found)
        return found

    monkeypatch.setattr(vault, "rows", noting)
    yield ids


def put(vault: Vault, *subjects: str) -> list[int]:
    return vault.put_many((b"raw", CopyRecord(subject=subject, from_="boss@corp.example"), 5) for subject in subjects)


def run(vault: Vault, **options: Any) -> list[str]:
    """Start a catalogue, query it for all subjects, close it."""
    catalogue = Catalogue(vault, **options)
    catalogue.start()
    assert catalogue.wait_complete(30)
    found = [row.subject for row in catalogue.select(EVERYTHING).rows(0, 1000)]
    assert catalogue.select(EVERYTHING).rows(0, 1000) == [
        row_of(copy) for copy in sorted(vault.get_many(vault.ids()), key=lambda copy: -copy.id)
    ]
    catalogue.close()
    return found


def test_the_next_start_reads_only_what_is_new(vault: Vault, path: Path, scanned: list[int]) -> None:
    ids = put(vault, "one", "two")
    run(vault)
    assert scanned == ids
    scanned.clear()
    new = put(vault, "three")
    assert run(vault) == ["three", "two", "one"]
    assert scanned == new
    assert path.is_file()


def test_it_is_private_sealed_and_leaves_nothing_beside_it(vault: Vault, path: Path) -> None:
    put(vault, *["a very secret subject"] * 40)
    run(vault)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert not list(path.parent.glob("*.tmp"))
    content = path.read_bytes()
    assert b"secret" not in content and b"corp.example" not in content
    assert b"ARROW" not in content and b"\x28\xb5\x2f\xfd" not in content


def test_a_deleted_copy_is_reconciled_away_and_the_snapshot_written_again(vault: Vault, path: Path) -> None:
    ids = put(vault, "one", "deleted subject", "three")
    run(vault)
    vault.delete([ids[1]])
    assert run(vault) == ["three", "one"]
    opened = snapshot.open_snapshot(vault, path)
    assert opened is not None
    assert opened[0].ids.to_list() == [ids[0], ids[2]]
    assert opened[0].texts["subject"].texts.to_list() == ["one", "three"]


def test_what_went_into_the_bin_and_came_back_meanwhile_is_seen(vault: Vault, path: Path) -> None:
    ids = put(vault, "one", "two", "three", "four")
    vault.bin.put(ids[:1], until=5)
    assert run(vault) == ["four", "three", "two"]
    vault.bin.put([ids[1], ids[3]], until=5)
    vault.bin.restore([ids[0], ids[3]])
    assert run(vault) == ["four", "three", "one"]
    vault.bin.empty([ids[1]])
    opened = snapshot.open_snapshot(vault, path)
    assert opened is not None
    found = opened[0].texts["subject"].texts.to_list()
    assert sorted(found) == ["four", "one", "three"], "nothing that was deleted lives on"
    assert opened[1].bin_row == vault.bin.newest_row() == 4


def test_a_snapshot_of_a_later_state_of_the_bin_is_not_believed(
    vault: Vault, path: Path, sql: Callable[..., Any]
) -> None:
    ids = put(vault, "one", "two")
    vault.bin.put(ids[:1], until=5)
    run(vault)
    sql(vault, "DELETE FROM bin_act")
    follower = Follower(vault)
    opened = snapshot.open_snapshot(vault, path)
    assert opened is not None
    with pytest.raises(snapshot.SnapshotError):
        follower.resume(*opened)


def test_a_running_console_writes_it_again_soon_after_a_deletion(
    vault: Vault, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeping, "_QUIET_SECONDS", 0.05)
    ids = put(vault, "one", "deleted subject", "three")
    catalogue = Catalogue(vault)
    catalogue.start()
    assert catalogue.wait_complete(30)
    while not path.exists():
        time.sleep(0.01)
    vault.delete([ids[1]])
    assert catalogue.refresh()
    while (opened := snapshot.open_snapshot(vault, path)) is None or len(opened[0]) != 2:
        time.sleep(0.01)
    assert "deleted subject" not in opened[0].texts["subject"].texts.to_list()
    catalogue.close()


def test_when_the_last_copies_went_nothing_is_left(vault: Vault, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = put(vault, "one", "two")
    run(vault)
    monkeypatch.setattr(keeping, "SNAPSHOT_COPIES", 1)
    vault.delete(ids[:1])
    assert run(vault) == ["two"]
    assert not path.exists()


@pytest.mark.parametrize(
    ("where", "what", "error"),
    [
        (snapshot, "save", OSError(28, "No space left on device")),
        (Follower, "marks", StoreUnavailable("the store's file is gone")),
    ],
)
def test_where_it_cannot_be_replaced_one_with_deleted_copies_is_removed(
    vault: Vault, path: Path, monkeypatch: pytest.MonkeyPatch, where: Any, what: str, error: Exception
) -> None:
    ids = put(vault, "one", "two", "three")
    run(vault)
    vault.delete(ids[:1])

    def failing(*_: Any) -> None:
        raise error

    monkeypatch.setattr(where, what, failing)
    assert run(vault) == ["three", "two"]
    assert not path.exists()


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), StoreUnavailable("gone")])
def test_a_save_that_fails_leaves_the_one_before_and_no_rest(
    vault: Vault, path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    put(vault, "one")
    run(vault)
    before = path.read_bytes()
    catalogue = Catalogue(vault)
    catalogue.start()
    assert catalogue.wait_complete(30)
    put(vault, "two")
    catalogue.refresh()

    def failing(*_: Any) -> None:
        raise error

    monkeypatch.setattr(snapshot, "_write_part", failing)
    catalogue.close()
    assert path.read_bytes() == before
    assert not list(path.parent.glob("*.tmp"))


def test_what_a_killed_process_left_is_removed_and_anothers_work_is_not(vault: Vault, path: Path) -> None:
    abandoned, current = (path.with_name(f"{path.name}.{name}.tmp") for name in ("abandoned", "current"))
    for file in (abandoned, current):
        file.write_bytes(b"")
    os.utime(abandoned, (1, 1))
    put(vault, "one")
    run(vault)
    assert not abandoned.exists()
    assert current.exists()


def test_deletions_whose_tombstones_are_gone_are_found(vault: Vault, sql: Callable[..., Any]) -> None:
    ids = put(vault, *"abcdef")
    run(vault)
    for copy_id in ids[:3]:
        vault.delete([copy_id])
    sql(vault, "DELETE FROM tombstone WHERE id <= ?", 2)
    assert run(vault) == ["f", "e", "d"]


def test_a_store_that_was_put_back_and_went_on_is_not_mixed_up(
    vault: Vault, open_again: Callable[[], Vault], state_home: Path
) -> None:
    put(vault, "one", "two")
    vault.close()
    files = [Path(vault.location), Path(f"{vault.location}-wal")]
    kept = {file: file.read_bytes() for file in files if file.exists()}
    again = open_again()
    put(again, "three as it was")
    run(again)
    again.close()
    for file in (*files, Path(f"{vault.location}-shm")):
        file.unlink(missing_ok=True)
    for file, content in kept.items():
        file.write_bytes(content)
    shutil.rmtree(state_home)  # Clear the memory: it would show that the store is older than the one seen.
    back = open_again()
    assert run(back) == ["two", "one"]
    back.close()


def test_a_snapshot_of_another_life_of_the_store_is_not_believed(
    vault: Vault, open_again: Callable[[], Vault], state_home: Path
) -> None:
    put(vault, "one")
    vault.close()
    content = Path(vault.location).read_bytes()
    first = open_again()
    put(first, "two of the first life", "three of the first life")
    run(first)
    first.close()
    Path(vault.location).write_bytes(content)
    for suffix in ("-wal", "-shm"):
        Path(f"{vault.location}{suffix}").unlink(missing_ok=True)
    shutil.rmtree(state_home)
    second = open_again()
    put(second, "two", "three", "four")
    assert run(second) == ["four", "three", "two", "one"]


def test_an_older_snapshot_is_brought_up_to_date(vault: Vault, path: Path) -> None:
    ids = put(vault, "one", "two", "three")
    run(vault)
    older = path.read_bytes()
    vault.delete(ids[:1])
    put(vault, "four")
    run(vault)
    path.write_bytes(older)
    assert run(vault) == ["four", "three", "two"]
    opened = snapshot.open_snapshot(vault, path)
    assert opened is not None and "one" not in opened[0].texts["subject"].texts.to_list()


def test_one_of_another_store_is_not_believed(vault: Vault, path: Path, tmp_path: Path) -> None:
    other, _ = create_store(str(tmp_path / "other"), passphrase="x")
    put(other, "of the other store")
    run(other)
    shutil.copy(f"{other.location}.snapshot", path)
    other.close()
    put(vault, "mine")
    with pytest.raises(snapshot.SnapshotError):
        snapshot.open_snapshot(vault, path)
    assert run(vault) == ["mine"]


@given(st.data())
@settings(max_examples=amount(25, 60), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_changed_in_it_makes_it_no_snapshot(vault: Vault, path: Path, data: st.DataObject) -> None:
    if not path.exists():
        put(vault, "one", "two")
        run(vault)
    content = path.read_bytes()
    kind = data.draw(st.sampled_from(["flip", "cut", "append", "remove"]))
    at = data.draw(st.integers(0, len(content) - 1))
    changed = {
        "flip": content[:at] + bytes([content[at] ^ (1 << data.draw(st.integers(0, 7)))]) + content[at + 1 :],
        "cut": content[:at],
        "append": content + b"\x00" * data.draw(st.integers(1, 40)),
        "remove": content[:at] + content[at + 1 :],
    }[kind]
    path.write_bytes(changed)
    try:
        with pytest.raises(snapshot.SnapshotError):
            snapshot.open_snapshot(vault, path)
        assert not path.exists() or run(vault) == ["two", "one"]
    finally:
        path.write_bytes(content)


def test_parts_of_two_snapshots_do_not_go_together(vault: Vault, path: Path) -> None:
    put(vault, "one")
    run(vault)
    first = path.read_bytes()
    put(vault, "two")
    run(vault)
    second = path.read_bytes()

    def parts(content: bytes) -> list[bytes]:
        found, at = [content[:8]], 8
        while at < len(content):
            end = at + 8 + int.from_bytes(content[at : at + 8], "big")
            found.append(content[at:end])
            at = end
        return found

    mine, other = parts(first), parts(second)
    assert b"".join(mine) == first
    for number in range(1, len(mine)):
        path.write_bytes(b"".join([*mine[:number], other[number], *mine[number + 1 :]]))
        with pytest.raises(snapshot.SnapshotError):
            snapshot.open_snapshot(vault, path)
    swapped = [*mine[:2], mine[3], mine[2], *mine[4:]]
    path.write_bytes(b"".join(swapped))
    with pytest.raises(snapshot.SnapshotError):
        snapshot.open_snapshot(vault, path)


@pytest.mark.parametrize("what", ["empty", "text", "folder", "link", "pipe", "unreadable"])
def test_what_is_no_snapshot_is_no_reason_to_stop(vault: Vault, path: Path, tmp_path: Path, what: str) -> None:
    put(vault, "one")
    if what == "empty":
        path.touch()
    elif what == "text":
        path.write_text("hello, this is not a snapshot at all")
    elif what == "folder":
        path.mkdir()
    elif what == "link":
        (tmp_path / "elsewhere").write_bytes(b"precious")
        path.symlink_to(tmp_path / "elsewhere")
    elif what == "pipe":
        os.mkfifo(path)
    else:
        path.write_bytes(b"MHSNAP1\n" + b"\xff" * 8)
    assert run(vault) == ["one"]
    if what == "link":
        assert (tmp_path / "elsewhere").read_bytes() == b"precious"


def test_a_folder_of_its_own_choice(vault: Vault, path: Path, tmp_path: Path) -> None:
    put(vault, "one")
    run(vault, snapshot=tmp_path / "chosen [1]*")
    assert (tmp_path / "chosen [1]*").is_file()
    assert not path.exists()


def test_an_old_meaning_of_the_codes_is_refused(vault: Vault, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from store.catalogue import sections as catalogue_sections

    put(vault, "one")
    run(vault)
    monkeypatch.setattr(catalogue_sections, "MEANING", ["0"])
    with pytest.raises(snapshot.SnapshotError, match="another release"):
        snapshot.open_snapshot(vault, path)
    assert run(vault) == ["one"]


def test_damaged_copies_are_remembered(vault: Vault, sql: Callable[..., Any]) -> None:
    ids = put(vault, "one", "two")
    sql(vault, "UPDATE message SET record = ? WHERE id = ?", b"\x01" * 60, ids[0])
    for _ in range(2):
        catalogue = Catalogue(vault)
        catalogue.start()
        assert catalogue.wait_complete(30)
        assert catalogue.damaged == {ids[0]}
        assert catalogue.select(parse("")).ids() == [ids[1]]
        catalogue.close()


def test_a_store_in_postgresql_has_its_snapshot_in_the_users_cache(
    postgres_store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It serves a catalogue and a single query, like one beside a file."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    vault = open_store(postgres_store, Unlock.passphrase(PASSPHRASE))
    path = tmp_path / "mailhold" / f"{vault.store_id.hex()}.snapshot"
    put(vault, "one", "two", "three")
    assert select_once(vault, EVERYTHING, NEWEST, 10) is None
    assert run(vault) == ["three", "two", "one"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    [first, *_] = vault.ids()
    vault.delete([first])
    put(vault, "four")
    found = select_once(vault, EVERYTHING, NEWEST, 10)
    assert found is not None and [row.subject for row in found[0]] == ["four", "three", "two"]
    assert run(vault) == ["four", "three", "two"]
    vault.close()


def test_a_user_without_a_home_directory_has_no_snapshot_of_a_store_in_postgresql(
    postgres_store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def homeless(_path: Path) -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(Path, "expanduser", homeless)
    vault = open_store(postgres_store, Unlock.passphrase(PASSPHRASE))
    assert keeping.snapshot_path(vault) is None
    vault.close()
