"""One altered row of the queue: its delivery is listed as damaged and can be cancelled; all others are unaffected."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from peewee import SqliteDatabase

from store.authority.audit import events
from store.authority.settings import Settings
from store.database.schema import Models
from store.delivery.access import StoreAccess
from store.delivery.leases import claim, settle, start_data
from store.delivery.listing import whole
from store.delivery.queue import (
    Delivery,
    cancel,
    deliveries,
    delivery_of,
    queue_length,
    release,
    retry,
)
from store.delivery.releases import Releases
from store.helpers.clock import now_ms
from store.mail.outcome import Outcome, State
from store.space.changing_settings import change_settings
from store.terms.errors import DeliveryError, MailholdError, TamperedError
from store.terms.records import CopyRecord
from store.vault.vault import Vault

TO = ("a@x.example", "b@x.example", "c@x.example")
Sql = Callable[..., Any]
_MODELS = Models(SqliteDatabase(None))
TABLES = {
    table.table_name: [field.column_name for field in table.sorted_fields]
    for table in (model._meta for model in (_MODELS.Delivery, _MODELS.DeliveryRecipient))
}
#: Columns that operators are not shown.
UNSEEN = {"lease_owner", "lease_token", "lease_until", "data_started_at", "expires_at", "changed_at"}
#: Columns that workers write without the authority.
WORKERS = {"created_at", "attempts", "next_attempt_at", "state"}
VALUES: list[Any] = [None, "text", 1.5, b"blob", b"\xff" * 80, b"", "", "queued", "sending", "sent", -1, 0, 1, 1 << 62]


@pytest.fixture
def ready(any_vault: Vault) -> Vault:
    """Make three deliveries to three recipients each: number 1 was tried and has replies, the others wait."""
    change_settings(any_vault, Settings(relay="smtp://127.0.0.1:1"))
    record = CopyRecord(envelope_recipients=TO)
    copies = any_vault.put_many([(b"Subject: x\r\n\r\nbody\r\n", record, None) for _ in range(3)])
    release(any_vault, copies, original=True, operator="op")
    with any_vault.write():
        (held,) = claim(any_vault, 1, "w", 1, now_ms(), 60_000)
        outcomes = (Outcome(State.DEFERRED, "451 later"), Outcome(State.SENT, "250 Ok"))
        settle(any_vault, held, dict(zip(held.live, outcomes, strict=False)), now_ms())
    return any_vault


def test_a_copy_that_is_not_the_ordered_one_is_not_sent(ready: Vault) -> None:
    """The body verifies under its own key and digest: only the order's digest shows that it is another copy."""
    with ready.write():
        (held,) = claim(ready, 1, "w", 1, now_ms(), 60_000)
    access = StoreAccess(ready)
    order = access.order(held.row)
    assert access.message(held.row, order) == ready.raw(order.copy_id)
    other = msgspec.structs.replace(order, sha256=hashlib.sha256(b"another message").digest())
    with pytest.raises(TamperedError, match="not the one that was ordered"):
        access.message(held.row, other)


def take_anything(vault: Vault, sql: Sql) -> None:
    """Recreate the tables without types, as anyone who can write the file can."""
    for table, (_id, *columns) in TABLES.items():
        sql(vault, f"ALTER TABLE {table} RENAME TO old_{table}")
        sql(vault, f"CREATE TABLE {table} (id INTEGER PRIMARY KEY, {', '.join(columns)})")
        sql(vault, f"INSERT INTO {table} SELECT id, {', '.join(columns)} FROM old_{table}")


def by_id(vault: Vault) -> dict[int, Delivery]:
    return {delivery.id: delivery for delivery in deliveries(vault)}


def altered(vault: Vault, sql: Sql, table: str, column: str, new: Any) -> bool:
    """Return True if the database accepts `new` for a column of the first row."""
    try:
        with vault.db.atomic():
            sql(vault, f"UPDATE {table} SET {column} = ? WHERE id = 1", new)
    except MailholdError:
        raise
    except Exception as error:
        assert type(error).__name__ in ("IntegrityError", "DataError", "ProgrammingError"), repr(error)
        return False
    return True


def may_go_unnoticed(table: str, column: str, new: Any) -> bool:
    if column in UNSEEN or (column == "sealed_reply" and new is None):
        return True
    if column == "id":  # sealed into dependent rows; a recipient's own id only orders it among the others
        return table == "delivery_recipient"
    if column == "state":
        return new in ("queued", "sending") or (table == "delivery_recipient" and new == "sent")
    return column in WORKERS and new in (0, 1)


def cancelled_where_damaged(vault: Vault, found: dict[int, Delivery]) -> None:
    """Assert that retry is refused for the damaged delivery, and that cancel removes it from the queue."""
    for delivery in found.values():
        if not delivery.damage:
            continue
        with pytest.raises(DeliveryError, match=r"damaged or was tampered with"):
            retry(vault, delivery.id)
        if not delivery.live:
            continue
        length = queue_length(vault)
        cancel(vault, delivery.id, "op")
        after = delivery_of(vault, delivery.id)
        assert queue_length(vault) == length - 1 and not after.live
        assert not any(recipient.state.live for recipient in after.recipients)
        assert vault.models.Delivery.select().where(
            (vault.models.Delivery.id == delivery.id) & vault.models.Delivery.sealed_body_key.is_null()
        )
        assert events(vault, 1)[0].detail == f"delivery {delivery.id}, damaged: {delivery.damage}"


def test_every_column_of_both_tables(ready: Vault, sql: Sql) -> None:
    alter_every_column(ready, sql, at_least=60)


@pytest.mark.parametrize("any_store", ["sqlite"], indirect=True)
def test_every_column_of_both_tables_without_types(ready: Vault, sql: Sql) -> None:
    """PostgreSQL keeps its types; anyone who can write an SQLite file can remove them."""
    take_anything(ready, sql)
    alter_every_column(ready, sql, at_least=150)


def alter_every_column(ready: Vault, sql: Sql, at_least: int) -> None:
    whole = by_id(ready)
    assert [whole[each].damage for each in (1, 2, 3)] == ["", "", ""]
    unnoticed, tried = [], 0
    for table, columns in TABLES.items():
        for column in columns:
            (before,) = sql(ready, f"SELECT {column} FROM {table} WHERE id = 1")[0]
            for new in VALUES:
                if new == before or (new == 1.5 and ready.db.param != "?"):  # PostgreSQL makes 2 of it.
                    continue
                with ready.db.atomic() as transaction:
                    if altered(ready, sql, table, column, new):
                        tried += 1
                        found = by_id(ready)
                        assert {each: found[each] for each in (2, 3)} == {each: whole[each] for each in (2, 3)}
                        if not any(each.damage for each in found.values()) and not may_go_unnoticed(table, column, new):
                            unnoticed.append((table, column, new))
                        cancelled_where_damaged(ready, found)
                        assert set(Releases(ready).read()) >= {2, 3}
                    transaction.rollback()
    assert not unnoticed, "\n".join(map(repr, unnoticed))
    assert tried > at_least and by_id(ready) == whole


def test_a_recipient_that_is_gone_or_moved(ready: Vault, sql: Sql) -> None:
    sql(ready, "DELETE FROM delivery_recipient WHERE delivery_id = 1")
    sql(ready, "UPDATE delivery_recipient SET delivery_id = 3 WHERE id = 4")
    found = by_id(ready)
    assert found[1].damage == found[2].damage == "its recipients were changed"
    assert "it belongs to another delivery" in found[3].damage
    assert [each.address for each in found[3].recipients] == ["", *TO]
    cancelled_where_damaged(ready, found)


@pytest.mark.parametrize("any_store", ["sqlite"], indirect=True)
def test_a_worker_finds_another_token_than_its_own_in_a_damaged_delivery_that_was_cancelled(
    ready: Vault, sql: Sql
) -> None:
    sql(ready, "UPDATE delivery SET order_blob = ?", b"nothing")
    sql(ready, "UPDATE delivery SET lease_token = ? WHERE id = 3", 1 << 60)
    for delivery_id in (1, 2, 3):
        cancel(ready, delivery_id)
    assert [token for (token,) in sql(ready, "SELECT lease_token FROM delivery ORDER BY id")] == [2, 1, 1]


@pytest.mark.parametrize(
    ("value", "number"),
    [(0, 0), (1, 1), ((1 << 53) - 1, (1 << 53) - 1), (1 << 53, 0), (-1, 0), (1.5, 0), ("1", 0), (b"1", 0), (None, 0)],
)
def test_a_number_that_a_column_cannot_hold_counts_as_none(value: object, number: int) -> None:
    assert whole(value) == number


def test_text_that_is_no_text(ready: Vault, sql: Sql) -> None:
    """SQLite never returns a text column that is not UTF-8; PostgreSQL accepts none."""
    whole = by_id(ready)
    for table, column in (("delivery", "state"), ("delivery_recipient", "state"), ("delivery", "lease_owner")):
        with ready.db.atomic() as transaction:
            sql(ready, f"UPDATE {table} SET {column} = CAST(x'ff' AS TEXT) WHERE id = 1")
            found = by_id(ready)
            assert (found[2], found[3]) == (whole[2], whole[3])
            cancelled_where_damaged(ready, found)
            cancel(ready, 2)
            transaction.rollback()


def test_what_is_being_sent_is_not_cancelled_however_damaged_it_is(ready: Vault, sql: Sql) -> None:
    with ready.write():
        held = next(each for each in claim(ready, 1, "w", 9, now_ms(), 60_000) if each.id == 2)
        start_data(ready, held, held.live, {}, now_ms(), 60_000)
    sql(ready, "UPDATE delivery SET order_signature = ? WHERE id = 2", b"x")
    with pytest.raises(DeliveryError, match="being sent right now"):
        cancel(ready, 2)
    sql(ready, "UPDATE delivery SET lease_until = ? WHERE id = 2", 1 << 62)  # no worker takes a lease that long
    cancel(ready, 2)
    after = delivery_of(ready, 2)
    assert not after.live and {each.state for each in after.recipients} == {State.UNKNOWN}


def test_a_finished_delivery_of_another_copy_is_not_sent_again(ready: Vault, sql: Sql) -> None:
    """Its order says which copy was released to these recipients; a row that names another copy releases nothing."""
    cancel(ready, 2)
    sql(ready, "UPDATE delivery SET copy_id = 3 WHERE id = 2")
    with pytest.raises(TamperedError, match="order was not signed"):
        retry(ready, 2)
