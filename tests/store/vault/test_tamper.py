"""A database writer changes one field of one row: the change is found and named, and the row is not used."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from store.authority.audit import events, record_event
from store.authority.deleting import delete_copies
from store.authority.settings import read_settings
from store.check import CheckResult, check
from store.delivery.queue import release
from store.opening.opening import Unlock, open_store
from store.opening.slots import add_key_file, add_passphrase, list_slots
from store.sealing.copies import pack_body
from store.sealing.sealed import hpke_seal
from store.sealing.statements import statement
from store.space.changing_settings import change_settings
from store.terms.errors import MailholdError, StoreOlder, TamperedError, WrongKey
from store.terms.records import CopyRecord
from store.vault.deleting import entries_of
from store.vault.vault import Vault
from tests.amounts import THOROUGH
from tests.conftest import PASSPHRASE

#: Columns that workers change without the authority, and numbers that only give the time or order of writing.
OPERATIONAL = {
    "delivery": {
        "created_at",
        "state",
        "attempts",
        "next_attempt_at",
        "lease_owner",
        "lease_token",
        "lease_until",
        "data_started_at",
        "finished_at",
        "expires_at",
    },
    "store": {"id"},
    "state": {"next_copy_id"},
    "delivery_recipient": {"id", "state", "changed_at"},
    "tombstone": {"id"},
    "key_slot": {"id"},
    "configuration": {"id"},
    "audit": {"id"},
    "gateway": {"alive_at"},
}
NAMES = {
    "store": "the store's row",
    "state": "the table of counters",
    "message": "copy",
    "body": "copy",
    "key_slot": "key slot",
    "delivery_recipient": "recipient",
    "audit": "event",
}


@pytest.fixture
def full_vault(
    any_vault: Vault, open_again: Callable[[], Vault], record: CopyRecord, tmp_path: Path
) -> Iterator[Vault]:
    """Make a store with rows in every table: closed epochs and an open one, both kinds of tombstone, orders, events."""
    first = open_again()
    first.put_many((b"first %d" % i * 20, record, 100 + i) for i in range(6))
    first.close()
    second = open_again()
    second.put_many((b"second %d" % i * 2000, record, 200 + i) for i in range(4))
    second.close()
    any_vault.put_many((b"third %d" % i * 20, record, 300 + i) for i in range(4))
    delete_copies(any_vault, [3], operator="anna", for_good=True)
    any_vault.delete([8], cause="rotated")
    add_passphrase(any_vault, "second passphrase", "bert")
    add_key_file(any_vault, tmp_path / "key", "cron")
    settings = read_settings(any_vault)
    change_settings(any_vault, type(settings)(relay="smtp://127.0.0.1:2525"), operator="anna")
    record_event(any_vault, "copies viewed", operator="anna", copies=[1])
    release(any_vault, [1, 2], original=True, operator="anna")
    yield any_vault


def _columns(vault: Vault) -> list[tuple[str, str]]:
    found = []
    for model in vault.models.all:
        table = model._meta.table_name
        for field in model._meta.sorted_fields:
            if field.column_name not in OPERATIONAL.get(table, set()):
                found.append((table, field.column_name))
    return found


def _variants(value: Any, other: Any) -> list[Any]:
    """Yield replacements of a field's value: one flip in each region, cuts, and another row's value."""
    if value is None:
        return [b"x" * 64 if isinstance(other, bytes) else 3]
    if isinstance(value, int):
        changed: list[Any] = [value + 1, -value - 5, 1 << 62]
    elif isinstance(value, str):
        changed = [value + "x", ""]
    else:
        data = bytes(value)
        places = {0, 1, len(data) // 3, len(data) // 2, len(data) - 17, len(data) - 1}
        flips = [
            data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
            for at in sorted(place for place in places if 0 <= place < len(data))
        ]
        changed = [*flips, data[:-1], data + b"\0", b""]
    if other is not None:
        changed.append(bytes(other) if isinstance(value, bytes | memoryview) else other)
    return [new for new in changed if new != value]


def _tampered(vault: Vault, statement: str, *values: Any) -> CheckResult | None:
    """Return what `check` finds after one statement, then undo it. None if the database refuses the statement."""
    with vault.db.atomic() as transaction:
        try:
            vault.db.execute_sql(statement.replace("?", vault.db.param), values)
            return check(vault)
        except MailholdError:
            raise
        except Exception as error:
            assert type(error).__name__ in ("IntegrityError", "DataError", "ProgrammingError"), repr(error)
            return None
        finally:
            transaction.rollback()


def test_an_untouched_store_is_whole(full_vault: Vault) -> None:
    result = check(full_vault)
    assert (result.broken, result.checked, len(result.open_epochs)) == ([], 12, 1)


@pytest.mark.timeout(300)
def test_every_field_of_every_row(full_vault: Vault, sql: Callable[..., Any]) -> None:
    vault, tried = full_vault, 0
    unnoticed = []
    # On PostgreSQL some bytes of each field are enough: the signatures are the same on both databases.
    all_of_them = THOROUGH or not vault.location.startswith("postgresql:")
    for table, column in _columns(vault):
        rows = sql(vault, f'SELECT id, "{column}" FROM {table} ORDER BY id')
        assert rows, f"no row in {table}"
        for row_id, value in rows[:2]:
            others = [other for other_id, other in rows if other_id != row_id and other is not None]
            variants = _variants(value, others[-1] if others else None)
            if not all_of_them:
                variants = [variants[0], variants[-1]]
            for new in variants:
                result = _tampered(vault, f'UPDATE {table} SET "{column}" = ? WHERE id = ?', new, row_id)
                if result is None:
                    continue
                tried += 1
                name = NAMES.get(table, table)
                if not any(name in what or name in why for what, why in result.broken):
                    unnoticed.append((table, column, row_id, new, result.broken))
    assert not unnoticed, "\n".join(map(repr, unnoticed))
    assert tried > (300 if all_of_them else 100)
    assert check(vault).broken == []


@pytest.mark.parametrize(
    "table", ["store", "state", "gateway", "epoch", "message", "body", "tombstone", "configuration"]
)
def test_every_missing_row(full_vault: Vault, sql: Callable[..., Any], table: str) -> None:
    for (row_id,) in sql(full_vault, f"SELECT id FROM {table} ORDER BY id")[:12]:
        result = _tampered(full_vault, f"DELETE FROM {table} WHERE id = ?", row_id)
        last_of_open_epoch = table == "message" and row_id == 14
        assert result is not None and (result.broken or last_of_open_epoch), f"{table} row {row_id} went unnoticed"


def test_a_copy_that_is_put_back(full_vault: Vault, sql: Callable[..., Any]) -> None:
    row = sql(full_vault, "SELECT * FROM message WHERE id = 5")[0]
    body = sql(full_vault, "SELECT * FROM body WHERE id = 5")[0]
    full_vault.delete([5])
    marks = ", ".join("?" for _ in row)
    sql(full_vault, f"INSERT INTO message VALUES ({marks})", *row)
    sql(full_vault, "INSERT INTO body VALUES (?, ?)", *body)
    assert ("copy 5", "it was deleted, but its row is there again") in check(full_vault).broken


def test_two_copies_that_change_places(full_vault: Vault, sql: Callable[..., Any]) -> None:
    sql(full_vault, "UPDATE message SET id = -1 WHERE id = 1")
    sql(full_vault, "UPDATE message SET id = 1 WHERE id = 2")
    sql(full_vault, "UPDATE message SET id = 2 WHERE id = -1")
    for copy_id in (1, 2):
        for read in (full_vault.get, full_vault.raw):
            with pytest.raises(TamperedError, match=f"Copy {copy_id} "):
                read(copy_id)
    assert {"copy 1", "copy 2"} <= {what for what, _why in check(full_vault).broken}


def test_two_bodies_that_change_places(full_vault: Vault, sql: Callable[..., Any]) -> None:
    sql(full_vault, "UPDATE body SET id = -1 WHERE id = 1")
    sql(full_vault, "UPDATE body SET id = 1 WHERE id = 2")
    sql(full_vault, "UPDATE body SET id = 2 WHERE id = -1")
    assert full_vault.get(1).id == 1
    with pytest.raises(TamperedError, match="Copy 1 "):
        full_vault.raw(1)


def test_reading_names_the_copy_and_spares_the_others(full_vault: Vault, sql: Callable[..., Any]) -> None:
    sql(full_vault, "UPDATE message SET stored_at = stored_at + 1 WHERE id = 2")
    with pytest.raises(TamperedError, match="Copy 2 "):
        list(full_vault.scan())
    reported: list[int] = []
    ids = full_vault.ids()
    copies = [copy.id for copy in full_vault.scan(on_error=lambda copy_id, _error: reported.append(copy_id))]
    assert (reported, copies) == ([2], [copy_id for copy_id in ids if copy_id != 2])
    assert [copy.id for copy in full_vault.newest(100, on_error=lambda *_: None)] == copies[::-1]
    assert [copy.id for copy in full_vault.get_many([1, 2, 4], on_error=lambda *_: None)] == [1, 4]


def test_many_at_once_are_refused_as_each_by_itself_is(full_vault: Vault, sql: Callable[..., Any]) -> None:
    sql(full_vault, "UPDATE message SET step = 5000 WHERE id = 2")
    sql(full_vault, "UPDATE message SET record = ? WHERE id = 4", b"\x01" * 60)
    sql(full_vault, "UPDATE message SET epoch_id = 2 WHERE id = 5")
    sql(full_vault, "UPDATE message SET stored_at = stored_at + 1 WHERE id = 9")
    sql(full_vault, "UPDATE epoch SET opening_signature = ? WHERE id = 3", bytes(64))
    refused: dict[int, str] = {}
    batches = full_vault.batches(1, 12, on_error=lambda copy_id, error: refused.update({copy_id: str(error)}))
    found = [copy for batch in batches for copy in batch]
    assert [copy.id for copy in found] == [6, 7, 10]
    assert found == full_vault.get_many([6, 7, 10])
    assert sorted(refused) == [2, 4, 5, 9, 11, 12]
    for copy_id, message in refused.items():
        with pytest.raises(TamperedError) as caught:
            full_vault.get(copy_id)
        assert str(caught.value) == message


def test_an_epoch_of_a_forger(full_vault: Vault, open_again: Callable[[], Vault], sql: Callable[..., Any]) -> None:
    """The read key is public: a database writer can seal to it. Only a gateway's signature makes an epoch."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from store.sealing.copies import BODY, RECORD, Place, pack_body
    from store.sealing.epochs import EpochName, open_epoch
    from store.sealing.keys import hybrid_public
    from tests.store.sealing.parts import seal_part

    name = EpochName(full_vault.store_id, 1, 90, 90)
    forger = Ed25519PrivateKey.generate()
    opening, signature, ratchet = open_epoch(name, hybrid_public(full_vault.keys.read_public), forger, bytes(32), 1)
    full_vault.models.Epoch.insert(
        id=90,
        gateway_id=1,
        number=90,
        opened_at=1,
        previous=bytes(32),
        commitment=opening.commitment,
        sealed_secret=opening.sealed_secret,
        opening_signature=signature,
    ).execute()
    step = ratchet.advance()
    place = Place(name, step, 900, 1, 3, 100)
    record = seal_part(ratchet.record_key, place, RECORD, b"\x80")
    body = seal_part(ratchet.body_key, place, BODY, pack_body(b"abc"))
    sql(full_vault, "INSERT INTO message VALUES (900, 90, 0, 1, 3, 100, ?)", record)
    sql(full_vault, "INSERT INTO body VALUES (900, ?)", body)
    with pytest.raises(TamperedError, match=r"Copy 900 .*epoch 90"):
        full_vault.get(900)
    assert {"copy 900", "epoch 90"} <= {what for what, _why in check(full_vault).broken}


def test_the_tail_of_a_closed_epoch(full_vault: Vault, sql: Callable[..., Any]) -> None:
    sql(full_vault, "DELETE FROM message WHERE id = 10")
    sql(full_vault, "DELETE FROM body WHERE id = 10")
    assert ("epoch 2", "copies are missing without a tombstone, at steps 3") in check(full_vault).broken


def test_a_forged_tombstone_hides_nothing(full_vault: Vault, sql: Callable[..., Any]) -> None:
    import msgspec

    mark, _ = full_vault.tombstones_since(0)
    entries = msgspec.msgpack.encode([(1, 1, 0, 1 << 60)])
    sql(
        full_vault,
        "INSERT INTO tombstone (at, cause, gateway_id, entries, signature) VALUES (1, 'deleted', 0, ?, ?)",
        entries,
        bytes(64),
    )
    assert full_vault.tombstones_since(mark)[1] == []
    assert any(what.startswith("tombstone") for what, _why in check(full_vault).broken)


def test_a_gateway_may_not_delete_for_an_operator(full_vault: Vault) -> None:
    import msgspec

    from store.vault.deleting import tombstone_statement

    gateway = full_vault.keys.gateway
    assert gateway is not None
    entries = msgspec.msgpack.encode([(1, 1, 0, 1)])
    signature = gateway.signing.sign(tombstone_statement(full_vault.store_id, 1, "deleted", 1, entries, None))
    full_vault.models.Tombstone.insert(
        at=1, cause="deleted", gateway_id=1, entries=entries, signature=signature
    ).execute()
    assert any("may not delete" in why for _what, why in check(full_vault).broken)


@pytest.mark.parametrize(
    "column", ["salt", "memory", "iterations", "lanes", "commitment", "sealed_seed", "signature", "sealed_label"]
)
def test_a_key_slot(full_vault: Vault, sql: Callable[..., Any], column: str) -> None:
    for slot_id, value in sql(full_vault, f"SELECT id, {column} FROM key_slot WHERE kind = 'passphrase' ORDER BY id"):
        for new in _variants(value, None):
            sql(full_vault, f"UPDATE key_slot SET {column} = ? WHERE id = ?", new, slot_id)
            with pytest.raises(TamperedError, match=f"[Kk]ey slot {slot_id} "):
                list_slots(full_vault)
            if column not in ("signature", "sealed_label"):
                passphrase = PASSPHRASE if slot_id == 1 else "second passphrase"
                with pytest.raises((WrongKey, TamperedError)):
                    open_store(full_vault.location, Unlock.passphrase(passphrase))
            sql(full_vault, f"UPDATE key_slot SET {column} = ? WHERE id = ?", value, slot_id)
    list_slots(full_vault)


@pytest.mark.parametrize("column", ["store_id", "read_key", "authority_key", "created_at", "signature"])
def test_the_stores_own_row(full_vault: Vault, sql: Callable[..., Any], column: str) -> None:
    value = sql(full_vault, f"SELECT {column} FROM store")[0][0]
    for new in _variants(value, None):
        sql(full_vault, f"UPDATE store SET {column} = ?", new)
        with pytest.raises((WrongKey, TamperedError)):
            open_store(full_vault.location, Unlock.passphrase(PASSPHRASE))
    sql(full_vault, f"UPDATE store SET {column} = ?", value)
    open_store(full_vault.location, Unlock.passphrase(PASSPHRASE)).close()


def test_a_released_key_of_somebody_else(full_vault: Vault, sql: Callable[..., Any]) -> None:
    """A delivery's key of another copy, for another delivery, or sealed by a database writer is not used."""
    first, second = full_vault.models.Delivery.select().order_by(full_vault.models.Delivery.id)[:2]
    assert full_vault.released_raw(first).startswith(b"first 0")
    own = bytes(first.sealed_body_key)
    for blob in (
        bytes(second.sealed_body_key),
        own[:64] + own[70:],
        b"",
        bytes(2000),
        own[:-1] + bytes((own[-1] ^ 1,)),
    ):
        first.sealed_body_key = blob
        with pytest.raises(TamperedError, match=f"[Dd]elivery {first.id} "):
            full_vault.released_raw(first)
    first.sealed_body_key = None
    with pytest.raises(TamperedError):
        full_vault.released_raw(first)
    # The delivery key is public: a database writer can seal to it, but cannot sign.
    assert full_vault.keys.gateway is not None
    info = statement("released body key", full_vault.store_id, first.gateway_id, first.id, first.copy_id)
    forged = hpke_seal(full_vault.keys.gateway.delivery.public_key(), info, bytes(64))
    for signature in (own[:64], bytes(64)):
        first.sealed_body_key = signature + forged
        with pytest.raises(TamperedError, match="not released by an operator"):
            full_vault.released_raw(first)


def test_absurd_values_in_a_file_without_strict_tables(
    vault: Vault, record: CopyRecord, sql: Callable[..., Any]
) -> None:
    """A writer of the file can make tables that accept any value in any column."""
    vault.put(b"x", record)
    sql(vault, "ALTER TABLE message RENAME TO old")
    sql(vault, "CREATE TABLE message (id INTEGER PRIMARY KEY, epoch_id, step, stored_at, size, stored_size, record)")
    sql(vault, "INSERT INTO message SELECT * FROM old")
    for column in ("epoch_id", "step", "stored_at", "size", "stored_size", "record"):
        (value,) = sql(vault, f"SELECT {column} FROM message")[0]
        for new in (None, "text", 1.5, b"blob", -1, 1 << 62):
            sql(vault, f"UPDATE message SET {column} = ?", new)
            with pytest.raises(TamperedError, match="Copy 1 "):
                vault.raw(1)
            assert any(what == "copy 1" for what, _why in check(vault).broken)
        sql(vault, f"UPDATE message SET {column} = ?", value)
    assert {what for what, _why in check(vault).broken} == {"the tables"}
    vault.tables.require = lambda: None  # type: ignore[method-assign] # as if nobody had looked yet
    sql(vault, "UPDATE message SET step = 'text', epoch_id = NULL, stored_size = 'much'")
    used = vault.count().used_bytes
    assert vault.delete([1]).deleted == [1]
    (row,) = vault.models.Tombstone.select()
    assert entries_of(row.entries, "it") == [(1, 0, 0, 1)], "what is no number counts as 0"
    assert vault.count()[:2] == (0, used)


def test_a_gateway_that_seals_another_body_than_it_describes(
    any_vault: Vault, record: CopyRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both seals verify and the size is right: only the SHA-256 in the record shows it, for every reader."""
    described, sealed = b"Subject: harmless\r\n\r\n", b"Subject: anything\r\n\r\n"
    monkeypatch.setattr("store.vault.prepared.pack_body", lambda _raw: pack_body(sealed))
    copy_id = any_vault.put(described, record)
    assert any_vault.get(copy_id).record.size == len(sealed)
    released = any_vault.release_body_key(copy_id, 9)

    class Delivery:
        id, gateway_id, sealed_body_key = 9, 1, released

    Delivery.copy_id = copy_id
    for read in (lambda: any_vault.raw(copy_id), lambda: any_vault.released_raw(Delivery)):
        with pytest.raises(TamperedError, match=f"Copy {copy_id} .* does not match its record"):
            read()
    [(what, why)] = check(any_vault).broken
    assert what == f"copy {copy_id}"
    assert "does not match its record" in why


def test_the_settings_and_the_trail(full_vault: Vault, sql: Callable[..., Any]) -> None:
    sql(full_vault, "UPDATE configuration SET version = version + 1")
    with pytest.raises(TamperedError, match=r"[Ss]ettings"):
        read_settings(full_vault)
    copy_id = full_vault.put(b"still taken in", CopyRecord())
    assert full_vault.raw(copy_id) == b"still taken in"
    sql(full_vault, "UPDATE audit SET at = at + 1 WHERE id = 1")
    with pytest.raises(TamperedError, match=r"[Ee]vent 1 "):
        events(full_vault)


def test_counters_that_give_out_a_taken_id(full_vault: Vault, sql: Callable[..., Any], record: CopyRecord) -> None:
    sql(full_vault, "UPDATE state SET next_copy_id = 4")
    assert any("IDs that are already used" in why for _what, why in check(full_vault).broken)
    # If a head was signed meanwhile, the store lacks what the memory has seen.
    with pytest.raises((TamperedError, StoreOlder), match=r"counters|older than what was seen"):
        full_vault.put(b"x", record)
    sql(full_vault, "UPDATE state SET next_copy_id = 500")
    assert full_vault.raw(full_vault.put(b"y", record)) == b"y"
    [(what, why)] = check(full_vault).broken
    assert what == "ids of copies" and why.endswith("-499")


def test_a_file_damaged_anywhere(vault: Vault, put_some: Callable[..., list[int]], tmp_path: Path) -> None:
    """Flipped bits, overwritten stretches and cuts of the SQLite file: a clear error or the right bytes, no hang."""
    import random
    import shutil

    ids = put_some(vault, 30, size=300)
    ids.append(vault.put(random.Random(1).randbytes(30_000), CopyRecord()))
    vault.delete(ids[3:6])
    expected = {copy_id: vault.raw(copy_id) for copy_id in vault.ids()}
    vault.close()
    whole, source, outcomes = Path(vault.location).read_bytes(), random.Random(5), []
    for turn in range(80):
        at = source.randrange(len(whole))
        if turn % 4 == 3:
            data = whole[:at]
        elif turn % 4 == 2:
            data = whole[:at] + source.randbytes(30) + whole[at + 30 :]
        else:
            data = whole[:at] + bytes([whole[at] ^ 1 << source.randrange(8)]) + whole[at + 1 :]
        folder = tmp_path / f"damaged{turn}"
        folder.mkdir()
        (folder / "s").write_bytes(data)
        outcomes.append(_outcome(str(folder / "s"), expected))
        shutil.rmtree(folder)
    assert {"refused", "found", "whole"} <= set(outcomes)


def _outcome(location: str, expected: dict[int, bytes]) -> str:
    """Return the fate of a damaged store: refused when opened, found by `check`, or intact (damage in free space)."""
    try:
        opened = open_store(location, Unlock.passphrase(PASSPHRASE))
    except MailholdError:
        return "refused"
    try:
        broken = check(opened).broken
        right = 0
        for copy_id in expected:
            try:
                assert opened.raw(copy_id) == expected[copy_id]
                right += 1
            except MailholdError:
                pass
        assert broken or right == len(expected)
        return "found" if broken else "whole"
    except MailholdError:
        return "refused"
    finally:
        opened.close()
