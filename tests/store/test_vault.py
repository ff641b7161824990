"""The vault's contract: what is put comes back, exactly, and what is deleted is gone, for good."""

from __future__ import annotations

from store.records import CopyRecord
from store.vault import Vault


def test_what_is_put_comes_back(any_vault: Vault) -> None:
    raw = b"Subject: hi\r\n\r\nbody\x00\xff"
    copy_id = any_vault.put(raw, CopyRecord(subject="hi"), stored_at=5)
    copy = any_vault.get(copy_id)
    assert (copy.id, copy.stored_at, copy.record.subject, copy.record.size) == (copy_id, 5, "hi", len(raw))
    assert any_vault.raw(copy_id) == raw
