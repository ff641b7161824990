"""`check` reports what a database writer removed or put back, by comparing the store with the signed heads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from store.authority import keeper
from store.authority.audit import record_event
from store.authority.settings import Settings, write_settings
from store.check import check
from store.delivery.queue import release
from store.terms.errors import StoreOlder
from store.terms.records import CopyRecord
from store.vault.vault import Vault
from tests.store.authority.newest_head import read_head

Sql = Callable[..., Any]


@pytest.fixture
def full_vault(any_vault: Vault, record: CopyRecord) -> Vault:
    """Make a vault with copies, a deletion, events, and two deliveries."""
    ids = any_vault.put_many((b"Subject: x\r\n\r\n%d" % number, record, None) for number in range(8))
    write_settings(any_vault, Settings(), Settings(relay="smtp://127.0.0.1:1"), operator="anna")
    any_vault.delete(ids[:2])
    release(any_vault, ids[2:4], original=True, operator="anna")
    for _ in range(3):
        record_event(any_vault, "saved", operator="anna")
    any_vault.witness.beat()
    assert check(any_vault).broken == []
    return any_vault


def test_a_trail_that_was_cut(full_vault: Vault, sql: Sql) -> None:
    sql(full_vault, "DELETE FROM audit WHERE id > (SELECT MAX(id) - 2 FROM audit)")
    assert "older than what was seen" in dict(check(full_vault).broken)["the store"]
    assert "2 events" in dict(check(full_vault).broken)["the store"]
    with pytest.raises(StoreOlder, match="2 events"):
        record_event(full_vault, "saved", operator="anna")
    sql(full_vault, "DELETE FROM audit")
    assert "events" in dict(check(full_vault).broken)["the store"]


def test_more_events_than_were_cut(full_vault: Vault, sql: Sql) -> None:
    sql(full_vault, "DELETE FROM audit WHERE id > (SELECT MAX(id) - 1 FROM audit)")
    with pytest.raises(StoreOlder, match="1 event"), full_vault.write():
        for _ in range(3):
            record_event(full_vault, "saved", operator="anna")


def test_an_event_in_anothers_place(full_vault: Vault, sql: Sql) -> None:
    [(newest, before)] = sql(full_vault, "SELECT MAX(id), MAX(id) - 1 FROM audit")
    sql(full_vault, "UPDATE audit SET sealed = (SELECT sealed FROM audit WHERE id = ?) WHERE id = ?", before, newest)
    assert any("forked" in why or "older" in why for _, why in check(full_vault).broken)


def test_the_newest_epoch_with_its_copies(full_vault: Vault, sql: Sql) -> None:
    for text in ("DELETE FROM message", "DELETE FROM body", "DELETE FROM epoch"):
        sql(full_vault, text)
    sql(full_vault, "UPDATE state SET messages = 0, used_bytes = 0")
    broken = dict(check(full_vault).broken)
    assert broken["epoch number 1 of gateway 1"] == "it is missing, and so are all message copies in it"
    assert broken["ids of copies"].endswith("3-8")


def test_the_end_of_an_open_epoch_that_no_head_names(
    full_vault: Vault, record: CopyRecord, sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed processes leave epochs open for good, too many for a head to list. The ids show the gap nevertheless."""
    monkeypatch.setattr(keeper, "_OPEN_EPOCHS", 2)
    last: list[int] = []
    for number in range(5):
        full_vault.epoch_writer.drop()
        last.append(full_vault.put_many((b"%d %d" % (number, each), record, None) for each in range(2))[-1])
        full_vault.witness.beat()
    assert check(full_vault).broken == [] and len(check(full_vault).open_epochs) == 6
    head = read_head(full_vault, 1)
    assert head is not None and len(head.open_epochs) == 2
    [(oldest,)] = sql(full_vault, "SELECT epoch_id FROM message WHERE id = ?", last[0])
    assert oldest not in dict(head.open_epochs)
    for text in ("DELETE FROM message WHERE id = ?", "DELETE FROM body WHERE id = ?"):
        sql(full_vault, text, last[0])
    sql(full_vault, "UPDATE state SET messages = messages - 1, used_bytes = (SELECT SUM(stored_size) FROM message)")
    assert check(full_vault).broken == [("ids of copies", f"no copy and no tombstone has them: {last[0]}")]


def test_the_newest_copies_of_an_open_epoch(full_vault: Vault, sql: Sql) -> None:
    for text in ("DELETE FROM message WHERE id > 6", "DELETE FROM body WHERE id > 6"):
        sql(full_vault, text)
    assert ("epoch 1", "copies are missing without a tombstone, at steps 6-7") in check(full_vault).broken


def test_delivery_rows(full_vault: Vault, sql: Sql) -> None:
    sql(full_vault, "DELETE FROM delivery WHERE id = (SELECT MIN(id) FROM delivery)")
    assert "there are 1 instead of 2" in dict(check(full_vault).broken)["deliveries"]


def test_tombstones(full_vault: Vault, sql: Sql) -> None:
    sql(full_vault, "DELETE FROM tombstone")
    broken = dict(check(full_vault).broken)
    assert "deleted copies instead of 2" in broken["tombstones"] and "1 deletion" in broken["the store"]


def test_the_next_id_at_its_end(full_vault: Vault, sql: Sql) -> None:
    sql(full_vault, "UPDATE state SET next_copy_id = ?", (1 << 63) - 1)
    assert dict(check(full_vault).broken)["ids of copies"].endswith(f"9-{(1 << 63) - 2}")
    record_event(full_vault, "saved", operator="anna")
    head = read_head(full_vault, 0)
    assert head is not None and head.next_copy == 9


def test_settings_put_back(full_vault: Vault, sql: Sql) -> None:
    rows = sql(full_vault, "SELECT name, version, changed_at, sealed, signature FROM configuration")
    write_settings(
        full_vault, Settings(relay="smtp://127.0.0.1:1"), Settings(relay="smtp://127.0.0.1:2"), operator="anna"
    )
    sql(full_vault, "DELETE FROM configuration")
    for row in rows:
        sql(
            full_vault,
            "INSERT INTO configuration (name, version, changed_at, sealed, signature) VALUES (?, ?, ?, ?, ?)",
            *row,
        )
    assert "configuration" in dict(check(full_vault).broken)


def test_heads_that_were_taken_away(full_vault: Vault, sql: Sql) -> None:
    sql(full_vault, "DELETE FROM head")
    assert dict(check(full_vault).broken)["the heads"] == "the operators' head is missing"
