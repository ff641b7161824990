"""Heads: what each writer says that the store holds, on both databases."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from store.authority.audit import record_event
from store.authority.heads import configuration_digest, head_rows, present, read_head, verified_head
from store.check import check
from store.terms.records import CopyRecord
from store.vault.vault import Vault


def test_an_operator_signs_in_each_transaction(any_vault: Vault) -> None:
    for number in range(3):
        record_event(any_vault, "saved", operator="anna")
        head = read_head(any_vault, 0)
        now = present(any_vault)
        assert head is not None and (head.event, head.event_digest) == (now.event, now.event_digest)
        assert head.event >= number + 1 and head.configuration == configuration_digest(any_vault)
    assert check(any_vault).broken == []


def test_sequences_count_the_heads_of_all(any_vault: Vault, open_again: Callable[[], Vault]) -> None:
    first = max(verified_head(any_vault, *row).vector.sequence for row in head_rows(any_vault))
    other = open_again()
    for vault in (any_vault, other, other, any_vault):
        record_event(vault, "saved", operator="anna")
    last = read_head(any_vault, 0)
    assert last is not None and last.sequence == first + 4


def test_puts_are_signed_for_at_the_end(any_vault: Vault, open_again: Callable[[], Vault], record: CopyRecord) -> None:
    other = open_again()
    ids = [other.put(b"x", record) for _ in range(5)]
    other.delete(ids[:2])
    other.delete(ids[2:3], cause="rotated")
    other.close()
    head, own = read_head(any_vault, 0), read_head(any_vault, 1)
    assert head is not None and own is not None
    assert (head.next_copy, head.buried, own.epoch) == (ids[-1] + 1, 3, 1)
    assert own.sequence != head.sequence and own.open_epochs == []


@pytest.mark.parametrize("column", ["vector", "signature"])
def test_a_head_that_does_not_verify_is_told(any_vault: Vault, sql: Callable[..., object], column: str) -> None:
    sql(any_vault, f"UPDATE head SET {column} = ? WHERE writer = 0", b"\x93\x01\x02\x03")
    assert "the head of writer 0" in dict(check(any_vault).broken)
    record_event(any_vault, "saved", operator="anna")
    assert verified_head(any_vault, *head_rows(any_vault)[0]).vector.event
