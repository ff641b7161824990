"""SQL that creates a store's tables and indexes. A store whose schema differs from it is not trusted.

The text is SQLite's, which stores each statement verbatim, so those of format 1 must stay as they are. `postgresql`
translates the types. Tables are never altered: a new format adds and drops whole tables.
"""

from __future__ import annotations

from store.database.connection import StoreDatabase, run
from store.database.orm import SqliteDatabase
from store.database.vacuuming import settings_of

#: The newest store format. Stored in the store row and in SQLite's user_version.
FORMAT = 2

_ID = '"id" INTEGER NOT NULL PRIMARY KEY'
#: Without AUTOINCREMENT, SQLite may reuse the id of the newest row after it is deleted.
_STABLE_ID = f"{_ID} AUTOINCREMENT"
_MESSAGE = (
    f'{_ID}, "epoch_id" INTEGER NOT NULL, "step" INTEGER NOT NULL, "stored_at" INTEGER NOT NULL, '
    '"size" INTEGER NOT NULL, "stored_size" INTEGER NOT NULL, "record" BLOB NOT NULL'
)

#: Tables of both formats.
_KEPT = (
    f'CREATE TABLE "store" ({_ID}, "format" INTEGER NOT NULL, "store_id" BLOB NOT NULL, "read_key" BLOB NOT NULL, '
    '"authority_key" BLOB NOT NULL, "created_at" INTEGER NOT NULL, "signature" BLOB NOT NULL) STRICT',
    f'CREATE TABLE "state" ({_ID}, "messages" INTEGER NOT NULL, "used_bytes" INTEGER NOT NULL, '
    '"next_copy_id" INTEGER NOT NULL) STRICT',
    f'CREATE TABLE "key_slot" ({_STABLE_ID}, "kind" TEXT NOT NULL, "salt" BLOB NOT NULL, "memory" INTEGER NOT NULL, '
    '"iterations" INTEGER NOT NULL, "lanes" INTEGER NOT NULL, "commitment" BLOB NOT NULL, "sealed_seed" BLOB NOT NULL, '
    '"sealed_label" BLOB NOT NULL, "created_at" INTEGER NOT NULL, "signature" BLOB NOT NULL) STRICT',
    f'CREATE TABLE "gateway" ({_ID}, "name" TEXT NOT NULL, "signing_key" BLOB NOT NULL, "delivery_key" BLOB NOT NULL, '
    '"enrolled_at" INTEGER NOT NULL, "signature" BLOB NOT NULL, "alive_at" INTEGER NOT NULL) STRICT',
    'CREATE UNIQUE INDEX "gateway_name" ON "gateway" ("name")',
    f'CREATE TABLE "epoch" ({_ID}, "gateway_id" INTEGER NOT NULL, "number" INTEGER NOT NULL, '
    '"opened_at" INTEGER NOT NULL, "previous" BLOB NOT NULL, "commitment" BLOB NOT NULL, '
    '"sealed_secret" BLOB NOT NULL, "opening_signature" BLOB NOT NULL, '
    '"count" INTEGER, "chain_head" BLOB, "closed_at" INTEGER, "closing_signature" BLOB) STRICT',
    'CREATE UNIQUE INDEX "epoch_gateway_id_number" ON "epoch" ("gateway_id", "number")',
    f'CREATE TABLE "message" ({_MESSAGE}) STRICT',
    f'CREATE TABLE "body" ({_ID}, "sealed" BLOB NOT NULL) STRICT',
    f'CREATE TABLE "tombstone" ({_STABLE_ID}, "at" INTEGER NOT NULL, "cause" TEXT NOT NULL, '
    '"gateway_id" INTEGER NOT NULL, "entries" BLOB NOT NULL, "sealed_operator" BLOB, "signature" BLOB NOT NULL) STRICT',
    f'CREATE TABLE "configuration" ({_STABLE_ID}, "name" TEXT NOT NULL, "version" INTEGER NOT NULL, '
    '"changed_at" INTEGER NOT NULL, "sealed" BLOB NOT NULL, "signature" BLOB NOT NULL) STRICT',
    'CREATE INDEX "configuration_name" ON "configuration" ("name")',
    f'CREATE TABLE "audit" ({_STABLE_ID}, "at" INTEGER NOT NULL, "sealed" BLOB NOT NULL) STRICT',
    f'CREATE TABLE "delivery" ({_STABLE_ID}, "copy_id" INTEGER NOT NULL, "created_at" INTEGER NOT NULL, '
    '"gateway_id" INTEGER NOT NULL, "state" TEXT NOT NULL, "attempts" INTEGER NOT NULL, '
    '"next_attempt_at" INTEGER NOT NULL, "lease_owner" TEXT NOT NULL, "lease_token" INTEGER NOT NULL, '
    '"lease_until" INTEGER NOT NULL, "data_started_at" INTEGER, "order_blob" BLOB NOT NULL, '
    '"order_signature" BLOB NOT NULL, "sealed_body_key" BLOB, "expires_at" INTEGER NOT NULL, '
    '"finished_at" INTEGER) STRICT',
    'CREATE INDEX "delivery_copy_id" ON "delivery" ("copy_id")',
    'CREATE INDEX "delivery_state_next_attempt_at" ON "delivery" ("state", "next_attempt_at")',
    f'CREATE TABLE "delivery_recipient" ({_STABLE_ID}, "delivery_id" INTEGER NOT NULL, '
    '"sealed_address" BLOB NOT NULL, "state" TEXT NOT NULL, "sealed_reply" BLOB, "changed_at" INTEGER NOT NULL) STRICT',
    'CREATE INDEX "deliveryrecipient_delivery_id" ON "delivery_recipient" ("delivery_id")',
)

#: Tables of format 1 only.
GONE = ("used_marker",)
_GONE = (
    f'CREATE TABLE "used_marker" ({_STABLE_ID}, "tag" BLOB NOT NULL, "expires_at" INTEGER NOT NULL) STRICT',
    'CREATE UNIQUE INDEX "usedmarker_tag" ON "used_marker" ("tag")',
    'CREATE INDEX "usedmarker_expires_at" ON "used_marker" ("expires_at")',
)

#: Tables of format 2 only.
ADDED = (
    # One row per recipient of a message that a gateway sends; deleted when the message comes back in, or expires.
    'CREATE TABLE "release" ("tag" BLOB NOT NULL PRIMARY KEY, "delivery_id" INTEGER NOT NULL, '
    '"gateway_id" INTEGER NOT NULL, "digest" BLOB NOT NULL, "expires_at" INTEGER NOT NULL, '
    '"signature" BLOB NOT NULL) STRICT, WITHOUT ROWID',
    'CREATE INDEX "release_expires_at" ON "release" ("expires_at")',
    # A generation's configuration and counter keys, sealed to one gateway.
    'CREATE TABLE "key_grant" ("generation" INTEGER NOT NULL, "holder" INTEGER NOT NULL, "sealed" BLOB NOT NULL, '
    '"signature" BLOB NOT NULL, PRIMARY KEY ("generation", "holder")) STRICT, WITHOUT ROWID',
    # What each writer says the store holds, and the losses from it that an operator accepted.
    'CREATE TABLE "head" ("writer" INTEGER NOT NULL PRIMARY KEY, "vector" BLOB NOT NULL, '
    '"signature" BLOB NOT NULL) STRICT',
    'CREATE TABLE "acceptance" ("generation" INTEGER NOT NULL PRIMARY KEY, "data" BLOB NOT NULL, '
    '"signature" BLOB NOT NULL) STRICT',
    # Copies in the bin: the columns of "message", and the act that deleted the copy.
    f'CREATE TABLE "binned" ({_MESSAGE}, "act" INTEGER NOT NULL) STRICT',
    'CREATE INDEX "binned_act" ON "binned" ("act", "stored_size")',
    f'CREATE TABLE "bin_act" ({_STABLE_ID}, "kind" TEXT NOT NULL, "act" INTEGER NOT NULL, "at" INTEGER NOT NULL, '
    '"until" INTEGER NOT NULL, "entries" BLOB NOT NULL, "sealed_operator" BLOB, "signature" BLOB NOT NULL) STRICT',
    # Data derived from copies, and counters of mail per sender.
    'CREATE TABLE "derived" ("id" INTEGER NOT NULL, "kind" TEXT NOT NULL, "version" INTEGER NOT NULL, '
    '"sealed" BLOB NOT NULL, PRIMARY KEY ("id", "kind")) STRICT',
    'CREATE TABLE "known" ("n" INTEGER NOT NULL, "tag" BLOB NOT NULL PRIMARY KEY, "day" INTEGER NOT NULL, '
    '"sealed" BLOB NOT NULL) STRICT, WITHOUT ROWID',
    'CREATE INDEX "known_day" ON "known" ("day")',
    # Keys of operators who sign for themselves.
    'CREATE TABLE "certificate" ("signer" INTEGER NOT NULL PRIMARY KEY, "key" BLOB NOT NULL, '
    '"rights" INTEGER NOT NULL, "since" INTEGER NOT NULL, "until" INTEGER NOT NULL, "signature" BLOB NOT NULL) STRICT',
    # The relay's EHLO answer to each gateway.
    'CREATE TABLE "hello" ("gateway_id" INTEGER NOT NULL PRIMARY KEY, "at" INTEGER NOT NULL, "sealed" BLOB NOT NULL, '
    '"signature" BLOB NOT NULL) STRICT',
    # Copies of messages that the gateway has not answered to the MTA yet.
    'CREATE TABLE "pending" ("gateway_id" INTEGER NOT NULL, "tag" BLOB NOT NULL, "copy_id" INTEGER NOT NULL, '
    '"at" INTEGER NOT NULL, PRIMARY KEY ("tag", "copy_id")) STRICT, WITHOUT ROWID',
)

#: All tables and indexes of the newest format, in the order of creation.
TABLES = _KEPT + ADDED
#: By format number: its tables and indexes.
TABLES_OF = {1: _KEPT + _GONE, FORMAT: TABLES}


def postgresql(text: str) -> str:
    """Translate the column types in the statement `text` into PostgreSQL's."""
    for sqlite, other in (
        (_STABLE_ID, '"id" BIGSERIAL NOT NULL PRIMARY KEY'),
        (" INTEGER", " BIGINT"),
        (" BLOB", " BYTEA"),
        (" STRICT, WITHOUT ROWID", ""),
        (" STRICT", ""),
    ):
        text = text.replace(sqlite, other)
    return text


def make(db: StoreDatabase, statements: tuple[str, ...] = TABLES) -> None:
    """Create tables and indexes, in the open transaction."""
    with db.making():
        for text in statements:
            run(db, text if isinstance(db, SqliteDatabase) else postgresql(text) + settings_of(text))


def drop(db: StoreDatabase, tables: tuple[str, ...]) -> None:
    """Drop tables and their indexes, in the open transaction."""
    with db.making():
        for table in tables:
            run(db, f'DROP TABLE "{table}"')
