"""Peewee models of the tables. Everything from a message, and every setting, is stored as ciphertext.

`store.database.tables` creates the tables; the models only map their rows to Python.

Stored in plain text: ids, sizes (bytes), times (Unix milliseconds UTC), counts, states and public keys. `Models(db)`
binds a fresh set of classes to one database, so that one process can have several stores open.
"""

from __future__ import annotations

from typing import Any

from store.database.orm import (
    SQL,
    BigAutoField,
    BigIntegerField,
    BlobField,
    Database,
    Field,
    Model,
    Node,
    SqliteDatabase,
    TextField,
)

#: SQLite's application_id of a store file ("MHLD").
APPLICATION_ID = 0x4D484C44


def row_ids(model: Any) -> list[int]:
    """Return the ids of all rows of a table, ascending."""
    return [row_id for (row_id,) in model.select(model.id).order_by(model.id).tuples()]


class Models:
    """The model classes of one open database, as attributes: `models.Message`, `models.Delivery`, …"""

    def __init__(self, db: Database) -> None:
        # Without AUTOINCREMENT, SQLite may reuse the id of the newest row after it is deleted.
        never_again: list[Node] = [SQL("AUTOINCREMENT")] if isinstance(db, SqliteDatabase) else []

        def stable_id() -> Any:
            return BigAutoField(constraints=never_again)

        class Base(Model):
            class Meta:
                database = db
                strict_tables = isinstance(db, SqliteDatabase)

        class Store(Base):
            """Exactly one row: the store's id and public keys, signed by the authority."""

            id: Field = BigIntegerField(primary_key=True)
            format: Field = BigIntegerField()
            store_id: Field = BlobField()
            read_key: Field = BlobField()
            authority_key: Field = BlobField()
            created_at: Field = BigIntegerField()
            signature: Field = BlobField()

        class State(Base):
            """Counters, in up to three rows (`store.vault.counters`).

            Every write locks row 1, which puts the writers on PostgreSQL in order.
            """

            id: Field = BigIntegerField(primary_key=True)
            messages: Field = BigIntegerField()
            used_bytes: Field = BigIntegerField()
            next_copy_id: Field = BigIntegerField()

        class KeySlot(Base):
            id: Field = stable_id()
            kind: Field = TextField()
            salt: Field = BlobField()
            memory: Field = BigIntegerField()
            iterations: Field = BigIntegerField()
            lanes: Field = BigIntegerField()
            commitment: Field = BlobField()
            sealed_seed: Field = BlobField()
            sealed_label: Field = BlobField()
            created_at: Field = BigIntegerField()
            signature: Field = BlobField()

            class Meta:
                table_name = "key_slot"

        class Gateway(Base):
            id: Field = BigIntegerField(primary_key=True)
            name: Field = TextField(unique=True)
            signing_key: Field = BlobField()
            delivery_key: Field = BlobField()
            enrolled_at: Field = BigIntegerField()
            signature: Field = BlobField()
            #: Time of the last heartbeat (0: stopped, or never ran). Not signed.
            alive_at: Field = BigIntegerField(default=0)

        class Epoch(Base):
            """A run of copies sealed under one secret. The last four fields are null until it is closed."""

            id: Field = BigIntegerField(primary_key=True)
            gateway_id: Field = BigIntegerField()
            number: Field = BigIntegerField()
            opened_at: Field = BigIntegerField()
            previous: Field = BlobField()
            commitment: Field = BlobField()
            sealed_secret: Field = BlobField()
            opening_signature: Field = BlobField()
            count: Field = BigIntegerField(null=True)
            chain_head: Field = BlobField(null=True)
            closed_at: Field = BigIntegerField(null=True)
            closing_signature: Field = BlobField(null=True)

            class Meta:
                indexes = ((("gateway_id", "number"), True),)

        class Message(Base):
            """A copy's sealed record.

            Its id is taken from `State.next_copy_id` in the same transaction and never reused.
            """

            id: Field = BigIntegerField(primary_key=True)
            epoch_id: Field = BigIntegerField()
            step: Field = BigIntegerField()
            stored_at: Field = BigIntegerField()
            size: Field = BigIntegerField()
            stored_size: Field = BigIntegerField()
            record: Field = BlobField()

        class Body(Base):
            """A copy's sealed body, with the id of its message.

            In a table of its own so that scanning records does not read bodies.
            """

            id: Field = BigIntegerField(primary_key=True)
            sealed: Field = BlobField()

        class Tombstone(Base):
            """One batch of deleted copies, signed. `entries` are runs (first copy id, epoch, first step, length)."""

            id: Field = stable_id()
            at: Field = BigIntegerField()
            cause: Field = TextField()
            gateway_id: Field = BigIntegerField()
            entries: Field = BlobField()
            sealed_operator: Field = BlobField(null=True)
            signature: Field = BlobField()

        class Configuration(Base):
            id: Field = stable_id()
            name: Field = TextField(index=True)
            version: Field = BigIntegerField()
            changed_at: Field = BigIntegerField()
            sealed: Field = BlobField()
            signature: Field = BlobField()

        class Audit(Base):
            id: Field = stable_id()
            at: Field = BigIntegerField()
            sealed: Field = BlobField()

        class Delivery(Base):
            """A release order. It is live, and its copy cannot be deleted, exactly while `finished_at` is null."""

            id: Field = stable_id()
            copy_id: Field = BigIntegerField(index=True)
            created_at: Field = BigIntegerField()
            gateway_id: Field = BigIntegerField()
            state: Field = TextField()
            attempts: Field = BigIntegerField(default=0)
            next_attempt_at: Field = BigIntegerField()
            lease_owner: Field = TextField(default="")
            lease_token: Field = BigIntegerField(default=0)
            lease_until: Field = BigIntegerField(default=0)
            data_started_at: Field = BigIntegerField(null=True)
            order_blob: Field = BlobField()
            order_signature: Field = BlobField()
            sealed_body_key: Field = BlobField(null=True)
            expires_at: Field = BigIntegerField()
            finished_at: Field = BigIntegerField(null=True)

            class Meta:
                indexes = ((("state", "next_attempt_at"), False),)

        class DeliveryRecipient(Base):
            id: Field = stable_id()
            delivery_id: Field = BigIntegerField(index=True)
            sealed_address: Field = BlobField()
            state: Field = TextField()
            sealed_reply: Field = BlobField(null=True)
            changed_at: Field = BigIntegerField()

            class Meta:
                table_name = "delivery_recipient"

        self.Store: Any = Store
        self.State: Any = State
        self.KeySlot: Any = KeySlot
        self.Gateway: Any = Gateway
        self.Epoch: Any = Epoch
        self.Message: Any = Message
        self.Body: Any = Body
        self.Tombstone: Any = Tombstone
        self.Configuration: Any = Configuration
        self.Audit: Any = Audit
        self.Delivery: Any = Delivery
        self.DeliveryRecipient: Any = DeliveryRecipient
        self.all: list[Any] = [
            Store,
            State,
            KeySlot,
            Gateway,
            Epoch,
            Message,
            Body,
            Tombstone,
            Configuration,
            Audit,
            Delivery,
            DeliveryRecipient,
        ]
