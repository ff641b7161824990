"""A disk that cannot be read is told as such, wherever a copy's way leads through the database."""

from __future__ import annotations

import sqlite3

import pytest

from store.terms.errors import StoreUnavailable
from store.terms.records import CopyRecord
from store.vault import epochs
from store.vault.vault import Vault


def test_an_epoch_that_cannot_be_read_is_no_internal_error(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    copy_id = vault.put(b"raw", CopyRecord())

    def fails(*_: object) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    vault.epoch_reader.clear()
    monkeypatch.setattr(epochs, "run", fails)
    with pytest.raises(StoreUnavailable, match="disk I/O error"):
        vault.get_many([copy_id])
