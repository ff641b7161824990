"""The tables and indexes of a store, as text: the release makes exactly these, and a store that differs is not trusted.

The text is SQLite's, which keeps it letter by letter; those of format 1 stand as they were made then. PostgreSQL's is
made of it, type by type. Nothing is ever altered: a new format has new tables.
"""

from __future__ import annotations

from store.database.connection import StoreDatabase, run
from store.database.orm import SqliteDatabase

#: The format of a store: what its row and SQLite's user_version say.
FORMAT = 2

_ID = '"id" INTEGER NOT NULL PRIMARY KEY'
#: A plain INTEGER PRIMARY KEY of SQLite gives the id of a deleted newest row out again.
_STABLE_ID = f"{_ID} AUTOINCREMENT"
_MESSAGE = (
    f'{_ID}, "epoch_id" INTEGER NOT NULL, "step" INTEGER NOT NULL, "stored_at" INTEGER NOT NULL, '
    '"size" INTEGER NOT NULL, "stored_size" INTEGER NOT NULL, "record" BLOB NOT NULL'
)

#: What format 1 has and format 2 keeps.
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

#: What format 1 has and format 2 has no more.
GONE = ("used_marker",)
_GONE = (
    f'CREATE TABLE "used_marker" ({_STABLE_ID}, "tag" BLOB NOT NULL, "expires_at" INTEGER NOT NULL) STRICT',
    'CREATE UNIQUE INDEX "usedmarker_tag" ON "used_marker" ("tag")',
    'CREATE INDEX "usedmarker_expires_at" ON "used_marker" ("expires_at")',
)

#: What format 2 has beside that.
ADDED = (
    # What a gateway sends out, a row a recipient; it goes when the message comes back in, or expires.
    'CREATE TABLE "release" ("tag" BLOB NOT NULL PRIMARY KEY, "delivery_id" INTEGER NOT NULL, '
    '"gateway_id" INTEGER NOT NULL, "digest" BLOB NOT NULL, "expires_at" INTEGER NOT NULL, '
    '"signature" BLOB NOT NULL) STRICT, WITHOUT ROWID',
    'CREATE INDEX "release_expires_at" ON "release" ("expires_at")',
    # The configuration key of a generation and its counter key, sealed to a gateway.
    'CREATE TABLE "key_grant" ("generation" INTEGER NOT NULL, "holder" INTEGER NOT NULL, "sealed" BLOB NOT NULL, '
    '"signature" BLOB NOT NULL, PRIMARY KEY ("generation", "holder")) STRICT, WITHOUT ROWID',
    # What each writer says that the store holds, and what an operator accepted that is less.
    'CREATE TABLE "head" ("writer" INTEGER NOT NULL PRIMARY KEY, "vector" BLOB NOT NULL, '
    '"signature" BLOB NOT NULL) STRICT',
    'CREATE TABLE "acceptance" ("generation" INTEGER NOT NULL PRIMARY KEY, "data" BLOB NOT NULL, '
    '"signature" BLOB NOT NULL) STRICT',
    # Copies in the bin: a row of "message", and the act that put it there.
    f'CREATE TABLE "binned" ({_MESSAGE}, "act" INTEGER NOT NULL) STRICT',
    'CREATE INDEX "binned_act" ON "binned" ("act", "stored_size")',
    f'CREATE TABLE "bin_act" ({_STABLE_ID}, "kind" TEXT NOT NULL, "act" INTEGER NOT NULL, "at" INTEGER NOT NULL, '
    '"until" INTEGER NOT NULL, "entries" BLOB NOT NULL, "sealed_operator" BLOB, "signature" BLOB NOT NULL) STRICT',
    # What was found out about copies, and about addresses.
    'CREATE TABLE "derived" ("id" INTEGER NOT NULL, "kind" TEXT NOT NULL, "version" INTEGER NOT NULL, '
    '"sealed" BLOB NOT NULL, PRIMARY KEY ("id", "kind")) STRICT',
    'CREATE TABLE "known" ("n" INTEGER NOT NULL, "tag" BLOB NOT NULL PRIMARY KEY, "day" INTEGER NOT NULL, '
    '"sealed" BLOB NOT NULL) STRICT, WITHOUT ROWID',
    'CREATE INDEX "known_day" ON "known" ("day")',
    # Operators who sign with keys of their own.
    'CREATE TABLE "certificate" ("signer" INTEGER NOT NULL PRIMARY KEY, "key" BLOB NOT NULL, '
    '"rights" INTEGER NOT NULL, "since" INTEGER NOT NULL, "until" INTEGER NOT NULL, "signature" BLOB NOT NULL) STRICT',
    # What the relay answered to a gateway's EHLO.
    'CREATE TABLE "hello" ("gateway_id" INTEGER NOT NULL PRIMARY KEY, "at" INTEGER NOT NULL, "sealed" BLOB NOT NULL, '
    '"signature" BLOB NOT NULL) STRICT',
    # Copies whose message the MTA has no answer to yet.
    'CREATE TABLE "pending" ("gateway_id" INTEGER NOT NULL, "tag" BLOB NOT NULL, "copy_id" INTEGER NOT NULL, '
    '"at" INTEGER NOT NULL, PRIMARY KEY ("tag", "copy_id")) STRICT, WITHOUT ROWID',
)

#: All of a store, in the order in which it is made.
TABLES = _KEPT + ADDED
#: Those of each format, by its number.
TABLES_OF = {1: _KEPT + _GONE, FORMAT: TABLES}


def postgresql(text: str) -> str:
    """Translate the types in the statement `text` into PostgreSQL's."""
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
    """Make tables and indexes, in the transaction that is open."""
    with db.making():
        for text in statements:
            run(db, text if isinstance(db, SqliteDatabase) else postgresql(text))


def drop(db: StoreDatabase, tables: tuple[str, ...]) -> None:
    """Take tables away with their indexes, in the transaction that is open."""
    with db.making():
        for table in tables:
            run(db, f'DROP TABLE "{table}"')
