"""Stores to torture, on both databases, and messages whose bytes follow from their numbers."""

from __future__ import annotations

import base64
import hashlib
import itertools
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from store.authority.settings import Settings
from store.database.connection import run
from store.enrolment.enrolment import enroll
from store.opening.first_configuration import write_first_configuration
from store.opening.opening import Unlock, create_store, open_store
from store.space.changing_settings import change_settings
from store.terms.records import CopyRecord
from store.vault.vault import Vault
from tests.postgres import Cluster

DOMAIN = "gw.test"
SENDER = f"sender@{DOMAIN}"
_schemas = itertools.count(1)


def message(number: int, size: int = 3000) -> bytes:
    """Make message number `number`: its size and every byte follow from the two."""
    # It does not compress to nothing, like most mail.
    body = base64.encodebytes(hashlib.shake_128(b"%d" % number).digest(size * 3 // 4)).replace(b"\n", b"\r\n")
    return (
        b"From: %s\r\nSubject: number %d\r\nX-Number: %d %d\r\n\r\n"
        % (
            SENDER.encode(),
            number,
            number,
            size,
        )
        + body
    )


def number_of(raw: bytes) -> tuple[int, bool]:
    """Return the number of a message, and whether it is that message byte for byte; (-1, False) if it has none."""
    match = re.search(rb"^X-Number: (\d+) (\d+)\r?$", raw, re.MULTILINE)
    if match is None:
        return -1, False
    return int(match[1]), raw == message(int(match[1]), int(match[2]))


def record_of(number: int) -> CopyRecord:
    """Make the record of message number `number`, addressed to a unique address."""
    return CopyRecord(subject=f"number {number}", envelope_sender=SENDER, envelope_recipients=(f"u{number}@{DOMAIN}",))


class Store:
    """A store at `location`, unlocked by the key file in `folder`."""

    def __init__(self, folder: Path, location: str = "", **settings: Any) -> None:
        self.folder = folder
        self.location = location or str(folder / "mail.store")
        self.key_file = folder / "key"
        self.settings = Settings(**{"hold": 0, "hold_many": 0, **settings})
        #: How many of the numbered copies it holds, if known.
        self.held = 0
        vault, self.recovery_key = create_store(
            self.location, key_file=self.key_file, prepare=write_first_configuration
        )
        change_settings(vault, self.settings, operator="test")
        vault.close()

    @contextmanager
    def opened(self) -> Iterator[Vault]:
        """Open the store as an operator; close it at the end."""
        vault = open_store(self.location, Unlock.key_file(self.key_file))
        try:
            yield vault
        finally:
            vault.close()

    def enroll(self, name: str) -> Path:
        """Enrol a gateway that does not run, so that releases wait for no daemon. Return its credentials file."""
        path = self.folder / f"{name}.credentials"
        with self.opened() as vault:
            enroll(vault, name, path, operator="test")
            with vault.write():
                run(vault.db, "UPDATE gateway SET alive_at = 1")
        return path

    @property
    def environment(self) -> dict[str, str]:
        """The environment in which `mailhold` finds the store."""
        return {"MAILHOLD_STORE": self.location, "MAILHOLD_KEY_FILE": str(self.key_file)}


class Databases:
    """Where stores are made: in files, and on a server that is started when first needed."""

    def __init__(self) -> None:
        self._cluster: Cluster | None = None

    def location(self, database: str) -> str:
        """Return a place for a new store; "" for a file. Raises `tests.postgres.Missing`."""
        if database == "SQLite":
            return ""
        import psycopg

        if self._cluster is None:
            self._cluster = Cluster()
        location = self._cluster.url(schema := f"torture{next(_schemas)}")
        with psycopg.connect(location, autocommit=True) as connection:
            connection.execute(f"CREATE SCHEMA {schema}".encode())
        return location

    def stop(self) -> None:
        if self._cluster is not None:
            self._cluster.stop()
            self._cluster = None
