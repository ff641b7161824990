"""Rotation: the oldest copies go once the maximum is exceeded, no more than needed, never one being delivered."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from store.authority import configuration
from store.authority.deleting import delete_copies
from store.authority.settings import NAME, Settings
from store.check import check
from store.database.connection import DiskFull
from store.helpers.clock import DAY_MS
from store.opening.opening import create_store
from store.space import limits
from store.space import rotation as retention
from store.space.bin import first_of
from store.space.changing_settings import change_settings
from store.space.limits import usage
from store.space.rotation import Removal, forecast, give_back, rotate, would_remove
from store.terms.errors import CopyMissing, StoreUnavailable, TamperedError
from store.terms.records import CopyRecord
from store.vault import deleting
from store.vault.deleting import entries_of, ids_of, tombstone_statement
from store.vault.derived import Derived
from store.vault.oldest import first_since
from store.vault.vault import Vault
from tests.amounts import amount

NOW = 1_790_000_000_000


def put(vault: Vault, size: int = 10_000, at: int | None = None) -> int:
    return vault.put(os.urandom(size), CopyRecord(subject="x"), stored_at=at)


def fill(vault: Vault, count: int, size: int = 10_000) -> list[int]:
    return vault.put_many((os.urandom(size), CopyRecord(), None) for _ in range(count))


def sizes(vault: Vault) -> dict[int, int]:
    return {copy.id: copy.stored_size for copy in vault.scan()}


def set_maximum(vault: Vault, size: int) -> None:
    change_settings(vault, Settings(max_size=size, notify_below=0))


def delivery(vault: Vault, copy_id: int, *, finished: int | None = None) -> Any:
    return vault.models.Delivery.create(
        copy_id=copy_id,
        created_at=NOW,
        gateway_id=1,
        state="queued" if finished is None else "sent",
        next_attempt_at=NOW,
        order_blob=b"order",
        order_signature=b"signature",
        expires_at=NOW,
        finished_at=finished,
    )


def rotated(vault: Vault) -> list[int]:
    """Return the ids in rotation's tombstones, in the order of deletion."""
    table = vault.models.Tombstone
    return [
        copy_id
        for row in table.select().where(table.cause == "rotated").order_by(table.id)
        for copy_id in ids_of(entries_of(row.entries, "tombstone"))
    ]


def test_within_the_maximum_nothing_goes(any_vault: Vault) -> None:
    ids = fill(any_vault, 3)
    told: list[tuple[int, int]] = []
    assert rotate(any_vault, progress=lambda *at: told.append(at)) == (0, 0, 0)
    assert told == []
    set_maximum(any_vault, any_vault.count().used_bytes)
    assert any_vault.ids() == ids
    assert usage(any_vault).free_bytes == 0
    assert rotated(any_vault) == []


def test_one_byte_too_many_takes_the_oldest_and_no_more(any_vault: Vault) -> None:
    ids = fill(any_vault, 5)
    used = any_vault.count().used_bytes
    oldest = sizes(any_vault)[ids[0]]
    set_maximum(any_vault, used - 1)
    assert any_vault.ids() == ids[1:]
    assert any_vault.count().used_bytes == used - oldest
    assert rotated(any_vault) == ids[:1]


def test_down_to_the_maximum_exactly_is_enough(any_vault: Vault) -> None:
    ids = fill(any_vault, 5)
    oldest = sizes(any_vault)[ids[0]]
    told: list[tuple[int, int]] = []
    maximum = any_vault.count().used_bytes - oldest
    change_settings(any_vault, Settings(max_size=maximum, notify_below=0), progress=lambda *done: told.append(done))
    assert any_vault.ids() == ids[1:] and told == [(oldest, oldest)]
    assert usage(any_vault).free_bytes == 0


def test_a_false_counter_does_not_empty_the_store(any_vault: Vault) -> None:
    """A database writer can write any number there; the copies themselves are counted then."""
    ids = fill(any_vault, 5)
    used = any_vault.count().used_bytes
    with any_vault.write():
        any_vault.db.execute_sql("UPDATE state SET used_bytes = used_bytes + 90000000000")
    ids.append(put(any_vault))
    assert any_vault.ids() == ids
    assert any_vault.count().used_bytes == used + sizes(any_vault)[ids[-1]]
    assert check(any_vault).broken == []


def test_each_put_rotates_at_once(any_vault: Vault) -> None:
    put(any_vault)
    per_copy = any_vault.count().used_bytes
    maximum = 5 * per_copy + per_copy // 2
    set_maximum(any_vault, maximum)
    for _ in range(12):
        newest = put(any_vault)
        present = any_vault.ids()
        assert present == list(range(newest - len(present) + 1, newest + 1))
        assert any_vault.count().used_bytes <= maximum
        assert len(present) <= 5
        assert len(present) == min(5, newest)
    assert rotated(any_vault) == list(range(1, any_vault.ids()[0]))


def test_what_went_is_gone(any_vault: Vault) -> None:
    first, second = fill(any_vault, 2)
    set_maximum(any_vault, any_vault.count().used_bytes - 1)
    with pytest.raises(CopyMissing):
        any_vault.raw(first)
    assert any_vault.raw(second)
    assert any_vault.models.Body.select().count() == 1


def test_a_copy_with_a_live_delivery_stays(any_vault: Vault) -> None:
    ids = fill(any_vault, 5)
    order = delivery(any_vault, ids[0])
    delivery(any_vault, ids[1], finished=NOW)
    used = any_vault.count().used_bytes
    set_maximum(any_vault, used - 1)
    assert any_vault.ids() == [ids[0], *ids[2:]]
    any_vault.models.Delivery.update(finished_at=NOW).where(any_vault.models.Delivery.id == order.id).execute()
    set_maximum(any_vault, any_vault.count().used_bytes - 1)
    assert any_vault.ids() == ids[2:]


def test_where_all_are_being_delivered_nothing_goes(any_vault: Vault) -> None:
    ids = fill(any_vault, 3)
    for copy_id in ids:
        delivery(any_vault, copy_id)
    used = any_vault.count().used_bytes
    set_maximum(any_vault, 1)
    assert any_vault.ids() == ids
    assert rotate(any_vault) == (0, 0, used - 1)
    assert would_remove(any_vault, 1) == Removal(held=3) == (0, 3, 0, 0, 0, 0)
    assert Removal() == (0, 0, 0, 0, 0, 0)
    assert put(any_vault) in any_vault.ids()


def test_the_newest_stays_even_alone_above_the_maximum(any_vault: Vault) -> None:
    fill(any_vault, 3)
    set_maximum(any_vault, 50_000)
    big = put(any_vault, 200_000)
    assert any_vault.ids() == [big]
    assert any_vault.raw(big)
    assert usage(any_vault).free_bytes == 0
    small = put(any_vault, 1000)
    assert any_vault.ids() == [small]


def test_oldest_is_by_placing_not_by_the_clock(any_vault: Vault) -> None:
    first, second, third = (put(any_vault, at=at) for at in (NOW, NOW - DAY_MS, NOW - 2 * DAY_MS))
    set_maximum(any_vault, any_vault.count().used_bytes - 1)
    assert any_vault.ids() == [second, third]
    assert first not in any_vault.ids()


def test_a_big_copy_that_displaces_many_small_ones(any_vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "_BATCH_COPIES", 7)
    fill(any_vault, 60, 500)
    maximum = any_vault.count().used_bytes
    before = sizes(any_vault)
    set_maximum(any_vault, maximum)
    big = put(any_vault, maximum // 2)
    used = any_vault.count().used_bytes
    assert used <= maximum
    present = any_vault.ids()
    assert present == list(range(big - len(present) + 1, big + 1))
    assert used + before[present[0] - 1] > maximum


def test_inside_a_transaction_one_batch_goes_and_no_more(any_vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(any_vault, 30, 500)
    monkeypatch.setattr(retention, "rotate", lambda *_, **__: retention.RotateResult(0, 0, 0))
    set_maximum(any_vault, 1)
    monkeypatch.undo()
    monkeypatch.setattr(retention, "_BATCH_COPIES", 7)
    with any_vault.write():
        result = rotate(any_vault)
    assert result.removed == 7 and len(any_vault.ids()) == 23
    assert result.over_bytes == any_vault.count().used_bytes - 1


def test_shrinking_in_batches_that_can_be_cancelled(any_vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "_BATCH_COPIES", 5)
    ids = fill(any_vault, 40, 2000)
    seen: list[tuple[int, int]] = []
    change_settings(
        any_vault,
        Settings(max_size=1, notify_below=0),
        progress=lambda done, total: seen.append((done, total)),
        cancelled=lambda: len(seen) >= 3,
    )
    assert any_vault.ids() == ids[15:]
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert len({total for _, total in seen}) == 1
    assert rotate(any_vault).over_bytes == any_vault.count().used_bytes - 1
    assert any_vault.ids() == ids[-1:]


def test_tombstones_of_rotation_are_signed(any_vault: Vault) -> None:
    fill(any_vault, 8)
    set_maximum(any_vault, 40_000)
    (row,) = any_vault.models.Tombstone.select()
    data = tombstone_statement(
        any_vault.store_id, row.at, row.cause, row.gateway_id, bytes(row.entries), row.sealed_operator
    )
    any_vault.signers.key(row.gateway_id).verify(bytes(row.signature), data)


def test_rotation_of_many_writers_takes_no_more_than_needed(any_vault: Vault, open_again: Callable[[], Vault]) -> None:
    vaults = [any_vault, open_again()]
    fill(any_vault, 10)
    biggest = max(sizes(any_vault).values())
    maximum = any_vault.count().used_bytes
    set_maximum(any_vault, maximum)
    failed: list[BaseException] = []

    def work(vault: Vault) -> None:
        try:
            for _ in range(10):
                put(vault)
                rotate(vault)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=work, args=(vault,)) for vault in vaults for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    used = any_vault.count().used_bytes
    assert maximum - biggest <= used <= maximum
    present = any_vault.ids()
    assert present == list(range(51 - len(present), 51))
    assert sorted(rotated(any_vault)) == list(range(1, 51 - len(present)))


def pages(vault: Vault) -> tuple[int, int]:
    with sqlite3.connect(vault.location) as connection:
        return tuple(connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count"))


def test_a_smaller_maximum_gives_space_back_to_the_disk(vault: Vault) -> None:
    fill(vault, 60, 50_000)
    vault.db.execute_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    before = Path(vault.location).stat().st_size
    assert before > 3_000_000
    set_maximum(vault, 1_000_000)
    assert Path(vault.location).stat().st_size <= 1_000_000 + 120_000
    assert pages(vault)[1] <= 1
    assert vault.count().used_bytes <= 1_000_000
    assert all(vault.raw(copy_id) for copy_id in vault.ids())


def test_deleting_keeps_the_free_pages_for_new_copies(vault: Vault) -> None:
    ids = fill(vault, 40, 50_000)
    vault.delete(ids)
    count, free = pages(vault)
    assert free > 400
    assert give_back(vault) == 0
    assert pages(vault)[0] == count
    fill(vault, 30, 50_000)
    assert pages(vault)[0] <= count + 4


def test_nothing_is_given_back_inside_a_transaction(vault: Vault) -> None:
    fill(vault, 5, 50_000)
    vault.delete(vault.ids()[:4])
    with vault.write():
        assert give_back(vault) == 0


def test_giving_back_on_a_full_disk_gives_up_the_ballast(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(vault, 5)
    disk = FullDisk(vault, monkeypatch, ballast=True)
    disk.full = False
    batches: list[int] = []
    real = retention.give_back

    def refusing(vault: Vault, *, batch: int = 2000, **named: Any) -> int:
        batches.append(batch)
        if disk.ballast:
            raise DiskFull("the disk is full")
        return real(vault, batch=batch, **named)

    monkeypatch.setattr(retention, "give_back", refusing)
    retention.shrink(vault)
    assert batches == [2000, 100] and disk.settled == 1


def test_a_few_megabytes_go_in_one_batch_and_more_in_several(vault: Vault) -> None:
    """A batch holds the write lock: as many copies as about 8 MB of them."""
    fill(vault, 30, 600_000)
    used = vault.count().used_bytes
    for left, batches in ((used - 7 * 1024 * 1024, 1), (used - 16 * 1024 * 1024, 2)):
        seen: list[int] = []
        change_settings(
            vault, Settings(max_size=left, notify_below=0), progress=lambda done, _total, seen=seen: seen.append(done)
        )
        assert len(seen) == batches and vault.count().used_bytes <= left


def test_a_put_into_a_large_store_makes_room_for_the_next_puts_too(
    vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It frees a little more, so that not every put has to sign a tombstone. Other rotation frees what it must."""
    fill(vault, 40, 50_000)
    used = vault.count().used_bytes
    change_settings(vault, Settings(max_size=used, notify_below=0))
    fill(vault, 1, 50_000)
    assert vault.ids() == list(range(2, 42))  # not in a small store
    monkeypatch.setattr(retention, "_SPARE_FROM", 0)
    monkeypatch.setattr(retention, "_SPARE_SHARE", 12)
    [put] = fill(vault, 1, 50_000)
    oldest = vault.ids()[0]
    newest = vault.newest_tombstone()
    assert oldest == 2 + 1 + 3
    assert vault.count().used_bytes <= used
    fill(vault, 3, 50_000)
    assert vault.ids() == list(range(oldest, put + 4)) and vault.newest_tombstone() == newest
    assert used - 60_000 < vault.count().used_bytes <= used
    fill(vault, 1, 50_000)
    assert vault.ids()[0] == oldest + 4 and vault.newest_tombstone() > newest
    smaller = vault.count().used_bytes - 10_000
    promised = retention.would_remove(vault, smaller)
    left = vault.ids()
    change_settings(vault, Settings(max_size=smaller, notify_below=0))
    assert vault.ids() == left[promised.copies :] and promised.copies == 1
    assert check(vault).broken == []


def test_a_put_frees_few_copies_more_than_needed_even_if_they_are_small(
    vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "_SPARE_FROM", 0)
    monkeypatch.setattr(retention, "_SPARE_SHARE", 4)
    fill(vault, 400, 1)
    fill(vault, 30, 20_000)
    change_settings(vault, Settings(max_size=vault.count().used_bytes, notify_below=0))
    size = sizes(vault)
    [large] = fill(vault, 1, 20_000)
    gone = [copy_id for copy_id in size if copy_id not in vault.ids()]
    few, _ = first_of(size.items(), sizes(vault)[large])
    assert len(few) < len(gone) <= len(few) + retention._SPARE_COPIES
    assert vault.count().used_bytes <= usage(vault).max_bytes


@given(st.lists(st.integers(0, 9), max_size=12), st.integers(0, 40), st.integers(0, 60), st.integers(0, 12))
def test_the_first_copies_free_what_is_wanted_and_at_most_what_they_may(
    sizes: list[int], wanted: int, most: int, spare: int
) -> None:
    copies = list(enumerate(sizes))
    few, freed = first_of(copies, wanted)
    assert few == copies[: len(few)] and freed == sum(sizes[: len(few)])
    assert freed >= wanted or few == copies
    assert not few or freed - few[-1][1] < wanted  # none too many
    more, all_freed = first_of(copies, wanted, most, spare)
    assert more[: len(few)] == few and all_freed == sum(sizes[: len(more)])
    assert more == few or freed < all_freed + 1 <= most + 1
    following = copies[len(more) : len(more) + 1]
    assert len(more) <= len(few) + spare
    assert len(more) == len(few) + spare or not following or all_freed + following[0][1] > most


def test_a_file_that_others_make_larger_meanwhile_gives_nothing_back(
    vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = iter([10, 10, 12])
    values = {"page_size": lambda: 4096, "freelist_count": lambda: 0, "page_count": lambda: next(counts)}
    monkeypatch.setattr(retention, "_pragma", lambda _vault, name: values[name]())
    assert give_back(vault) == 0


def test_postgresql_needs_no_giving_back(any_vault: Vault) -> None:
    fill(any_vault, 3)
    assert give_back(any_vault) == 0


def test_forecast_of_an_empty_store(any_vault: Vault) -> None:
    assert forecast(any_vault, now=NOW) == (None, 0, None)


def test_forecast_goes_by_the_growth_of_the_last_days(any_vault: Vault) -> None:
    put(any_vault, at=NOW - 30 * DAY_MS)
    for day in range(7, 0, -1):
        put(any_vault, at=NOW - day * DAY_MS)
    per_copy = sizes(any_vault)[any_vault.ids()[-1]]
    used = any_vault.count().used_bytes
    set_maximum(any_vault, used + 10 * per_copy)
    outlook = forecast(any_vault, now=NOW)
    assert outlook.oldest == NOW - 30 * DAY_MS
    assert outlook.bytes_per_day == pytest.approx(per_copy, rel=0.01)
    assert outlook.reaches_oldest_at == pytest.approx(NOW + 10 * DAY_MS, abs=DAY_MS // 10)


def test_forecast_of_a_young_store_takes_its_whole_life(any_vault: Vault) -> None:
    put(any_vault, at=NOW - DAY_MS)
    put(any_vault, at=NOW - DAY_MS // 2)
    assert forecast(any_vault, now=NOW).bytes_per_day == any_vault.count().used_bytes
    assert forecast(any_vault, now=NOW - 2 * DAY_MS).reaches_oldest_at is None


def test_forecast_minutes_after_an_import_counts_it_as_an_hours(any_vault: Vault) -> None:
    put(any_vault, at=NOW - 60_000)
    assert forecast(any_vault, now=NOW).bytes_per_day == 24 * any_vault.count().used_bytes


def test_forecast_without_growth_sees_nothing_coming(any_vault: Vault) -> None:
    put(any_vault, at=NOW - 30 * DAY_MS)
    assert forecast(any_vault, now=NOW) == (NOW - 30 * DAY_MS, 0, None)
    put(any_vault, 100, at=NOW - DAY_MS)
    assert forecast(any_vault, now=NOW).reaches_oldest_at is None


@pytest.mark.parametrize(("days", "seen"), [(3649.5, True), (3650.5, False)])
def test_what_lies_more_than_ten_years_ahead_is_not_in_sight(any_vault: Vault, days: float, seen: bool) -> None:
    put(any_vault, at=NOW - 30 * DAY_MS)
    put(any_vault, at=NOW - DAY_MS)
    grown = sizes(any_vault)[any_vault.ids()[-1]]
    set_maximum(any_vault, any_vault.count().used_bytes + int(grown * days / 7))
    reached = forecast(any_vault, now=NOW).reaches_oldest_at
    assert (reached is not None) is seen
    assert reached is None or reached == pytest.approx(NOW + days * DAY_MS, abs=DAY_MS / 100)


def test_forecast_where_rotation_has_begun(any_vault: Vault) -> None:
    for hour in range(9, 0, -1):
        put(any_vault, at=NOW - hour * DAY_MS // 24)
    set_maximum(any_vault, any_vault.count().used_bytes)
    assert forecast(any_vault, now=NOW).reaches_oldest_at == NOW


def test_first_since_agrees_with_a_scan(any_vault: Vault) -> None:
    assert first_since(any_vault.db, NOW) == 0, "nothing is there any more"
    ids = [put(any_vault, 100, at=NOW + at * 10) for at in range(20)]
    any_vault.delete(ids[3:9])
    present = {copy.id: copy.stored_at for copy in any_vault.scan()}
    for since in range(NOW - 5, NOW + 205, 5):
        first = first_since(any_vault.db, since)
        expected = [copy_id for copy_id, at in present.items() if at >= since]
        assert [copy_id for copy_id in present if copy_id >= first] == (expected or [ids[-1]])


def test_tombstones_of_a_store_at_its_maximum_stay_few(any_vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    """Readers of the tombstones learn of each deleted copy, even if several tombstones became one."""
    monkeypatch.setattr(deleting, "_JOINED_COPIES", 10)
    fill(any_vault, 3, 500)
    set_maximum(any_vault, any_vault.count().used_bytes)
    seen, followed = 0, set()
    for number in range(60):
        put(any_vault, 500)
        if number % 4 == 0:
            seen, gone = any_vault.tombstones_since(seen)
            followed.update(gone)
        if number == 30:
            delete_copies(any_vault, [any_vault.ids()[1]], operator="ada", for_good=True)
    _, gone = any_vault.tombstones_since(seen)
    followed.update(gone)
    assert followed == set(range(1, 64)) - set(any_vault.ids())
    assert sorted(any_vault.tombstones_since(0)[1]) == sorted(followed)
    assert any_vault.models.Tombstone.select().count() <= 10
    assert check(any_vault).broken == []


def rotation_rows(vault: Vault) -> list[tuple[int, int]]:
    """Return the id of each tombstone and the number of copies it names, in order."""
    table = vault.models.Tombstone
    return [(row.id, len(ids_of(entries_of(row.entries, "it")))) for row in table.select().order_by(table.id)]


def full(vault: Vault) -> None:
    """Fill a store of three copies to its maximum: each further copy of their size replaces the oldest."""
    for _ in range(3):
        put(vault, 500)
    set_maximum(vault, vault.count().used_bytes)


def test_the_oldest_tombstone_stays_as_it_was_written(any_vault: Vault) -> None:
    """With it, readers of the tombstones detect that ones they have not seen are gone."""
    full(any_vault)
    put(any_vault, 500)
    [(oldest, copies)] = rotation_rows(any_vault)
    for _ in range(5):
        put(any_vault, 500)
    rows = rotation_rows(any_vault)
    assert rows[0] == (oldest, copies)
    assert len(rows) == 2 and rows[1][1] == 5


def test_a_tombstone_that_names_as_many_copies_as_it_may_is_left_alone(
    any_vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert deleting._JOINED_COPIES == 1000
    monkeypatch.setattr(deleting, "_JOINED_COPIES", 4)
    full(any_vault)
    for _ in range(12):
        put(any_vault, 500)
    assert [copies for _, copies in rotation_rows(any_vault)] == [1, 4, 4, 3]


def test_a_tombstone_that_is_an_hour_old_is_left_alone(any_vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    times = [NOW, NOW, NOW + 3_599_999, NOW + 2 * 3_599_999 + 1, NOW]
    clock = iter(times)
    monkeypatch.setattr(deleting, "now_ms", lambda: next(clock))
    full(any_vault)
    for _ in times:
        put(any_vault, 500)
    assert [copies for _, copies in rotation_rows(any_vault)] == [1, 2, 1, 1]


def damage_settings(vault: Vault) -> None:
    """Flip one bit of the settings, as a bad disk would."""
    table = vault.models.Configuration
    row = table.select().where(table.name == NAME).order_by(table.id.desc()).get()
    sealed = bytearray(row.sealed)
    sealed[len(sealed) // 2] ^= 1
    table.update(sealed=bytes(sealed)).where(table.id == row.id).execute()


def test_copies_are_put_whatever_became_of_the_settings(any_vault: Vault, open_again: Callable[[], Vault]) -> None:
    """A gateway that then starts knows no maximum: nothing is rotated, and no message goes without a copy."""
    ids = fill(any_vault, 3)
    set_maximum(any_vault, any_vault.count().used_bytes + 5)
    damage_settings(any_vault)
    fresh = open_again()
    with pytest.raises(TamperedError):
        limits.bounds(fresh)
    ids += [put(fresh), *fill(fresh, 2)]
    assert fresh.ids() == ids and fresh.raw(ids[3])
    assert limits.maximum_or_last(fresh) is None


def test_a_forged_tombstone_is_not_taken_over(any_vault: Vault) -> None:
    fill(any_vault, 5, 500)
    set_maximum(any_vault, any_vault.count().used_bytes)
    put(any_vault, 500)
    put(any_vault, 500)
    table = any_vault.models.Tombstone
    newest = table.select().order_by(table.id.desc()).get()
    forged = msgspec.msgpack.encode([(1, 1, 0, 7)])
    table.update(entries=forged).where(table.id == newest.id).execute()
    put(any_vault, 500)
    assert table.get_by_id(newest.id).entries == forged
    assert any(f"tombstone {newest.id}" in what for what, _ in check(any_vault).broken)


class FullDisk:
    """A disk that is full until the ballast is freed: the first write of a kind fails as SQLite's would."""

    def __init__(self, vault: Vault, monkeypatch: pytest.MonkeyPatch, ballast: bool) -> None:
        self.full = True
        self.ballast = ballast
        self.settled = 0
        delete = vault.delete

        def refusing(*arguments: Any, **named: Any) -> Any:
            result = delete(*arguments, **named)
            if self.full:
                raise sqlite3.OperationalError("database or disk is full")
            return result

        monkeypatch.setattr(vault, "delete", refusing)
        monkeypatch.setattr(vault.room, "make", self.make_room)
        monkeypatch.setattr(vault.room, "settle", self.settle)

    def make_room(self) -> bool:
        had, self.ballast = self.ballast, False
        self.full = self.full and not had
        return had

    def settle(self) -> None:
        self.settled += 1


def test_rotation_on_a_full_disk_gives_up_the_ballast(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = fill(vault, 5)
    disk = FullDisk(vault, monkeypatch, ballast=True)
    set_maximum(vault, vault.count().used_bytes - 1)
    assert vault.ids() == ids[1:]
    assert disk.settled == 1


def test_a_full_disk_without_ballast_is_a_clear_error(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = fill(vault, 5)
    FullDisk(vault, monkeypatch, ballast=False)
    with pytest.raises(StoreUnavailable, match="full"):
        set_maximum(vault, vault.count().used_bytes - 1)
    assert vault.ids() == ids
    monkeypatch.undo()
    assert rotate(vault).removed == 1


def test_settings_on_a_full_disk_give_up_the_ballast(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = fill(vault, 5)
    disk = FullDisk(vault, monkeypatch, ballast=True)
    write = configuration.write

    def refusing(*arguments: Any, **named: Any) -> int:
        version = write(*arguments, **named)
        if disk.full:
            raise sqlite3.OperationalError("database or disk is full")
        return version

    monkeypatch.setattr(configuration, "write", refusing)
    set_maximum(vault, vault.count().used_bytes - 1)
    assert vault.ids() == ids[1:]
    assert disk.settled == 1


@settings(max_examples=amount(12, 25), deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_the_forecast_is_what_a_smaller_maximum_removes(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    location = tmp_path_factory.mktemp("shrink") / "backup.db"
    vault, _ = create_store(str(location), key_file=location.with_name("key"))
    try:
        check_forecast(vault, data)
    finally:
        vault.close()


def check_forecast(vault: Vault, data: st.DataObject) -> None:
    """For copies of any sizes and times, some waiting for delivery: the forecast equals what is deleted."""
    placed = data.draw(
        st.lists(st.tuples(st.integers(1, 30_000), st.integers(0, 10**9)), max_size=12), label="sizes, times"
    )
    ids = [put(vault, size, NOW + later) for size, later in placed]
    for copy_id in data.draw(st.lists(st.sampled_from(ids), unique=True) if ids else st.just([]), label="waiting"):
        delivery(vault, copy_id)
    used = vault.count().used_bytes
    maximum = data.draw(st.integers(1, used + 10), label="maximum")
    before = {copy.id: copy for copy in vault.scan()}
    removal = would_remove(vault, maximum)
    assert vault.ids() == list(before), "looking removes nothing"
    change_settings(vault, Settings(max_size=maximum, notify_below=0), confirmed=removal)
    gone = [copy for copy_id, copy in before.items() if copy_id not in set(vault.ids())]
    assert removal == Removal(
        copies=len(gone),
        held=len(before),
        last_id=max((copy.id for copy in gone), default=0),
        newest=max((copy.stored_at for copy in gone), default=0),
        freed_bytes=sum(copy.stored_size for copy in gone),
    )
    assert all(copy.stored_at < removal.before <= removal.newest + 60_000 for copy in gone)


def test_the_forecast_is_exact_where_batches_are_many(any_vault: Vault) -> None:
    ids = fill(any_vault, 1_300, 100)
    delivery(any_vault, ids[7])
    removal = would_remove(any_vault, any_vault.count().used_bytes // 10)
    set_maximum(any_vault, any_vault.count().used_bytes // 10)
    left = any_vault.ids()
    assert removal.copies == 1_300 - len(left) > 1_000
    assert ids[7] in left and removal.last_id == left[1] - 1


def test_a_false_counter_makes_no_false_forecast(any_vault: Vault) -> None:
    fill(any_vault, 5)
    used = any_vault.count().used_bytes
    with any_vault.write():
        any_vault.db.execute_sql("UPDATE state SET used_bytes = used_bytes + 90000000000, messages = 7")
    assert would_remove(any_vault, used) == Removal(held=5)
    assert would_remove(any_vault, used - 1).copies == 1
    assert would_remove(any_vault, used + 90_000_000_000) == Removal(held=7), "a few bytes are taken as they stand"


@settings(max_examples=amount(15, 60), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(acts=st.lists(st.tuples(st.sampled_from(["put", "put in a thread", "set", "set elsewhere"]), st.integers(2, 6))))
def test_a_put_keeps_to_the_maximum_that_is_in_force_whoever_set_it(
    any_vault: Vault, open_again: Callable[[], Vault], acts: list[tuple[str, int]]
) -> None:
    """Limits are read again only if something else than copies of this process was written."""
    other = open_again()
    newest = put(any_vault, 5000)
    per_copy = sizes(any_vault)[newest]
    most = 6
    set_maximum(any_vault, most * per_copy + 200)
    ids = any_vault.ids()[-most:]
    with ThreadPoolExecutor(1) as pool:
        for act, number in acts:
            if act == "put":
                ids.append(put(any_vault, 5000))
            elif act == "put in a thread":
                ids.append(pool.submit(put, any_vault, 5000).result())
            else:
                most = number
                set_maximum(any_vault if act == "set" else other, most * per_copy + 200)
            ids = ids[-most:]
            assert any_vault.ids() == ids
    other.close()


def test_a_maximum_set_in_the_transaction_of_a_put_holds_for_the_next(vault: Vault) -> None:
    newest = put(vault, 5000)
    per_copy = sizes(vault)[newest]
    set_maximum(vault, 6 * per_copy + 200)
    fill(vault, 5, 5000)
    small = Settings(max_size=2 * per_copy + 200, notify_below=0)
    vault.put_many(
        [(os.urandom(5000), CopyRecord(), None)], lambda _ids: configuration.write(vault, NAME, small, expected=None)
    )
    newest = put(vault, 5000)
    assert vault.ids() == [newest - 1, newest]


def test_the_maximum_holds_what_was_made_from_copies_too(any_vault: Vault) -> None:
    ids = fill(any_vault, 6)
    set_maximum(any_vault, any_vault.count().used_bytes)
    Derived(any_vault, "traits", 1).write((copy_id, os.urandom(3_000)) for copy_id in ids)
    derived = any_vault.count().derived_bytes
    assert derived > 6 * 3_000 and usage(any_vault).derived_bytes == derived
    assert any_vault.count().used_bytes == usage(any_vault).max_bytes + derived and usage(any_vault).free_bytes == 0
    assert would_remove(any_vault, usage(any_vault).max_bytes).copies == 2
    rotate(any_vault)
    assert any_vault.ids() == ids[2:]
    assert any_vault.count().used_bytes <= usage(any_vault).max_bytes
    assert any_vault.count().derived_bytes == derived // 6 * 4
    newest = put(any_vault)
    assert any_vault.ids() == [*ids[3:], newest] or any_vault.ids() == [*ids[2:], newest]
    assert any_vault.count().used_bytes <= usage(any_vault).max_bytes


def test_a_false_number_of_what_was_made_does_not_empty_the_store(
    any_vault: Vault, sql: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = fill(any_vault, 4)
    Derived(any_vault, "traits", 1).write([(ids[0], b"x")])
    sql(any_vault, "UPDATE state SET used_bytes = ? WHERE id = 3", 1 << 50)
    rotate(any_vault)
    assert any_vault.ids() == ids and any_vault.count().derived_bytes < 1000
