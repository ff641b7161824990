"""Full disks, small and less small, while another program uses up freed space: copies can still be deleted."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from store.authority import audit
from store.authority.acts import folded
from store.authority.deleting import NO_ROOM, delete_copies, empty_bin
from store.check import check
from store.database.connection import DiskFull, disk_full
from store.database.modes import Use
from store.helpers.clock import now_ms
from store.opening.opening import Unlock, create_store, look_at, open_store
from store.terms.errors import StoreMissing, StoreUnavailable
from store.terms.records import CopyRecord
from store.undoing.undoing import carry_out, next_plan
from store.vault.vault import Vault
from tests import small_disk
from tests.conftest import PASSPHRASE
from tui.commands.cli import main


@pytest.fixture(autouse=True)
def real_ballast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("store.vault.ballast.BALLAST_BYTES", 4 * 1024 * 1024)


def _open(location: str) -> Vault:
    return open_store(location, Unlock.passphrase(PASSPHRASE))


def _fill(vault: Vault, record: CopyRecord, sizes: tuple[int, ...]) -> list[int]:
    """Put copies of random sizes until the disk is full."""
    source, ids = random.Random(1), []
    with pytest.raises(DiskFull):
        while True:
            ids.append(vault.put(source.randbytes(source.choice(sizes)), record))
    return ids


@pytest.mark.parametrize("held", [False, True], ids=["closed", "open elsewhere"])
@pytest.mark.parametrize(
    ("megabytes", "sizes"), [(12, (500, 3000, 48_000)), (20, (3000, 48_000, 1_500_000)), (60, (48_000, 200_000))]
)
def test_copies_are_deleted_from_a_full_disk_again_and_again(
    record: CopyRecord, megabytes: int, sizes: tuple[int, ...], held: bool
) -> None:
    with small_disk.small_disk(megabytes) as disk:
        location = str(disk / "mail.store")
        first, _recovery = create_store(location, passphrase=PASSPHRASE)
        ids = _fill(first, record, sizes)
        if not held:
            first.close()
        small_disk.fill(disk)
        with small_disk.eater(disk):
            for part in range(4):
                chunk = ids[part::4]
                small_disk.fill(disk)
                vault = _open(location)
                assert vault.delete(chunk, operator="ada").deleted == chunk
                audit.record_event(vault, "delete", operator="ada", copies=chunk)
                vault.close()
        (disk / "eaten").unlink()
        (disk / "filler").unlink()
        again = _open(location)
        assert again.ids() == [] and again.put(b"x", record) and check(again).broken == []
        again.close()
        first.close()
        look = Path(location + ".ballast").stat().st_size
        assert look == min(4 * 1024 * 1024, megabytes * 1024 * 1024 // 12 // (256 * 1024) * 256 * 1024)


def _fill_nearly(disk: Path) -> None:
    """Leave less free space than the sign of a full disk, and enough to move copies in small parts."""
    small_disk.fill(disk)
    filler = disk / "filler"
    os.truncate(filler, filler.stat().st_size - 700 * 1024)


@pytest.mark.parametrize("megabytes", [12, 20])
def test_an_operator_deletes_for_good_only_what_he_asked_to(record: CopyRecord, megabytes: int) -> None:
    """Moving copies frees nothing: the ballast is kept for the deletion."""
    with small_disk.small_disk(megabytes) as disk:
        vault, _recovery = create_store(str(disk / "mail.store"), passphrase=PASSPHRASE)
        ids = _fill(vault, record, (500, 3000, 48_000))
        vault.close()
        small_disk.fill(disk)
        with small_disk.eater(disk):
            for part in range(5):
                small_disk.fill(disk)
                vault = _open(str(disk / "mail.store"))
                result = delete_copies(vault, ids[part::5], operator="ada")
                assert result.deleted == [] and sorted([*result.binned, *result.no_room]) == ids[part::5]
                assert result.refused == [(copy_id, NO_ROOM) for copy_id in result.no_room]
                assert [*vault.tombstones_since(0)[1]] == [] or part
                rest = delete_copies(vault, result.no_room, operator="ada", for_good=True)
                assert rest.deleted == result.no_room and not rest.refused
                binned = vault.bin.ids()
                assert empty_bin(vault, binned, operator="ada").deleted == binned
                vault.close()
        (disk / "eaten").unlink()
        (disk / "filler").unlink()
        vault = _open(str(disk / "mail.store"))
        assert vault.ids() == [] and vault.put(b"x", record) and check(vault).broken == []
        vault.close()


@pytest.mark.parametrize("held", [False, True], ids=["closed", "open"])
def test_a_few_copies_go_into_the_bin_of_a_nearly_full_disk_and_come_back(record: CopyRecord, held: bool) -> None:
    source = random.Random(4)
    with small_disk.small_disk(12) as disk:
        location = str(disk / "mail.store")
        vault, _recovery = create_store(location, passphrase=PASSPHRASE)
        ids = vault.put_many((source.randbytes(4000), record, None) for _ in range(109))
        if not held:
            vault.close()
        _fill_nearly(disk)
        if not held:
            vault = _open(location)
        for chosen in (ids[:2], ids[10:20], ids[20:]):
            result = delete_copies(vault, chosen, operator="ada")
            assert (result.binned, result.deleted, result.no_room) == (chosen, [], [])
        plan = next_plan(vault, "ada")
        assert plan is not None and carry_out(vault, plan, operator="ada") == plan.told
        assert vault.ids() == [*ids[2:10], *ids[20:]] and check(vault).broken == []
        assert next(iter(audit.events(vault))).undoes
        vault.close()


@pytest.mark.parametrize("number", [15, 60, 109, 400])
def test_what_one_act_deletes_on_a_nearly_full_disk_one_undo_brings_back(record: CopyRecord, number: int) -> None:
    with small_disk.small_disk(12) as disk:
        location = str(disk / "mail.store")
        vault, _recovery = create_store(location, passphrase=PASSPHRASE)
        ids = vault.put_many((os.urandom(4000), record, None) for _ in range(number))
        vault.close()
        _fill_nearly(disk)
        vault = _open(location)
        assert delete_copies(vault, ids, operator="ada").binned == ids
        [event] = folded([each for each in audit.events(vault) if each.action == "delete into the bin"], now_ms())
        assert list(event.copies) == ids and not event.detail
        plan = next_plan(vault, "ada")
        assert plan is not None and carry_out(vault, plan, operator="ada") == plan.told
        assert vault.ids() == ids and next_plan(vault, "ada") is None and check(vault).broken == []
        vault.close()


def test_a_full_disk_has_no_room_for_the_bin(record: CopyRecord) -> None:
    with small_disk.small_disk(12) as disk:
        vault, _recovery = create_store(str(disk / "mail.store"), passphrase=PASSPHRASE)
        ids = vault.put_many((os.urandom(4000), record, None) for _ in range(109))
        assert vault.room.has_some()
        assert vault.room.empty_log()
        os.truncate(disk / "mail.store-wal", 0)
        small_disk.fill(disk)
        assert not vault.room.has_some()
        result = delete_copies(vault, ids[:30], operator="ada")
        assert (result.binned, result.deleted, result.no_room) == ([], [], ids[:30])
        assert vault.ids() == ids
        vault.close()


@pytest.mark.parametrize("use", [Use.READ, Use.WRITE, Use.EITHER])
def test_a_store_behind_a_link_works_on_a_full_disk(record: CopyRecord, tmp_path: Path, use: Use) -> None:
    with small_disk.small_disk(12) as disk:
        vault, _recovery = create_store(str(disk / "mail.store"), passphrase=PASSPHRASE)
        ids = vault.put_many((os.urandom(4000), record, None) for _ in range(50))
        vault.close()
        (disk / "inner").symlink_to("mail.store")
        (tmp_path / "link.store").symlink_to(disk / "inner")
        small_disk.fill(disk)
        vault = open_store(str(tmp_path / "link.store"), Unlock.passphrase(PASSPHRASE), use)
        assert vault.ids() == ids and vault.location == str(disk / "mail.store")
        if use is not Use.READ:
            assert delete_copies(vault, ids[:3], operator="ada", for_good=True).deleted == ids[:3]
        vault.close()
        assert [each.name for each in tmp_path.iterdir()] == ["link.store"]


def test_links_that_lead_nowhere_are_no_stores(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    with pytest.raises(StoreMissing, match=r"There is no store at .*/b"):
        look_at(str(tmp_path / "a"))
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(StoreUnavailable, match="cannot be read: Too many levels of symbolic links"):
        look_at(str(tmp_path / "a"))


def test_what_is_deleted_from_a_full_disk_is_given_back_to_it(record: CopyRecord) -> None:
    with small_disk.small_disk(20) as disk:
        vault, _recovery = create_store(str(disk / "mail.store"), passphrase=PASSPHRASE)
        ids = _fill(vault, record, (48_000,))
        small_disk.fill(disk)
        size = (disk / "mail.store").stat().st_size
        assert vault.delete(ids).left.startswith("Not erased from the disk: the disk is full")
        assert (disk / "mail.store").stat().st_size < size // 4
        assert shutil.disk_usage(disk).free > 8 * 1024 * 1024
        vault.close()


@pytest.mark.parametrize("size", [48_000, 1_500_000])
def test_no_copy_is_put_that_fits_in_the_log_and_not_in_the_file(record: CopyRecord, size: int) -> None:
    source = random.Random(3)
    with small_disk.small_disk(40) as disk:
        vault, _recovery = create_store(str(disk / "mail.store"), passphrase=PASSPHRASE)
        with pytest.raises(DiskFull):
            while True:
                vault.put_many((source.randbytes(size), record, None) for _ in range(2_400_000 // size))
        assert vault.room.empty_log()
        assert shutil.disk_usage(disk).free < 4_000_000, "there was room for more"
        vault.close()


def test_an_import_into_a_full_disk_tells_what_it_placed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    source = random.Random(2)
    mail = tmp_path / "mail"
    mail.mkdir()
    for number in range(90):
        body = source.randbytes(150_000).hex().encode()
        (mail / f"{number}.eml").write_bytes(b"From: a@example.org\r\nSubject: x\r\n\r\n" + body)
    with small_disk.small_disk(12) as disk:
        monkeypatch.setenv("MAILHOLD_STORE", str(disk / "mail.store"))
        monkeypatch.setenv("MAILHOLD_KEY_FILE", str(tmp_path / "key"))
        assert main(["init"]) == 0
        capfd.readouterr()
        assert main(["import", str(mail)]) == 1
        out, err = capfd.readouterr()
        vault = open_store(str(disk / "mail.store"), Unlock.key_file(tmp_path / "key"))
        placed = len(vault.ids())
        vault.close()
        assert 0 < placed < 90 and out.startswith(f"{placed} placed in Backup, ")
        assert "(its disk is full): free space on that disk, or delete copies." in err
        small_disk.fill(disk)
        assert main(["delete", "--yes", f"1-{placed}"]) == 0


def test_deleting_copies_is_advised_where_there_is_ballast(store: str, tmp_path: Path) -> None:
    assert str(disk_full(store)).endswith("(its disk is full): free space on that disk.")
    Path(store + ".ballast").touch()
    assert str(disk_full(store)).endswith("(its disk is full): free space on that disk, or delete copies.")
    assert str(disk_full("postgresql://h/db")).endswith("free space on that disk.")


def test_what_was_deleted_before_the_disk_was_full_is_told(
    vault: Vault, put_some: Callable[..., list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = put_some(vault, 300)
    write, begun = vault.write, 0

    def refuse(*, quiet: bool = False) -> Any:
        nonlocal begun
        begun += 1
        if begun > 1:
            raise disk_full(vault.location)
        return write(quiet=quiet)

    monkeypatch.setattr(vault, "write", refuse)
    result = vault.delete(ids)
    assert result.deleted == ids[:100]
    assert [copy_id for copy_id, _ in result.refused] == ids[100:] and "disk is full" in result.refused[0][1]
    monkeypatch.undo()
    assert vault.ids() == ids[100:]
    monkeypatch.setattr(vault, "write", refuse)
    with pytest.raises(StoreUnavailable, match="disk is full"):
        vault.delete(ids[100:])


def test_a_file_that_is_shorter_than_it_says_is_a_store(store: str, tmp_path: Path) -> None:
    """A checkpoint without room for the last pages leaves this; the log has them."""
    copy = tmp_path / "copy"
    shutil.copy(store, copy)
    os.truncate(copy, copy.stat().st_size - 3 * 4096)
    look_at(str(copy))
