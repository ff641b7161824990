"""Heads: each writer signs what the store holds, on both databases."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from store.authority import keeper
from store.authority.audit import record_event
from store.authority.heads import Head, Vector, configuration_digest, head_rows, present, verified_head
from store.check import check
from store.enrolment.enrolment import enroll, open_with_credentials
from store.enrolment.revocation import revoke
from store.terms.records import CopyRecord
from store.vault.vault import Vault
from tests.store.authority.newest_head import read_head


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


def test_a_new_gateways_head_says_nothing_of_anothers_epochs(
    any_vault: Vault, open_again: Callable[[], Vault], record: CopyRecord, tmp_path: Path
) -> None:
    enroll(any_vault, "mx1", tmp_path / "mx1")
    gateway = open_with_credentials(any_vault.location, tmp_path / "mx1")
    gateway.put(b"x", record)
    gateway.close()
    revoke(any_vault, "mx1")
    enroll(any_vault, "mx2", tmp_path / "mx2")
    first, second = read_head(any_vault, 2), read_head(any_vault, 3)
    assert first is not None and second is not None and (first.epoch, second.epoch) == (1, 0)
    assert open_again().read_only is None and check(any_vault).broken == []


def test_writers_in_parallel_keep_exact_sequences(
    any_vault: Vault, open_again: Callable[[], Vault], record: CopyRecord, tmp_path: Path
) -> None:
    gateways = []
    for name in ("mx1", "mx2"):
        enroll(any_vault, name, tmp_path / name)
        gateways.append(open_with_credentials(any_vault.location, tmp_path / name))
    consoles = [any_vault, open_again(), open_again()]
    signed: list[tuple[int, int]] = []
    real = keeper.put_head

    def noting(vault: Vault, writer: int, vector: Vector) -> Head:
        signed.append((vector.sequence, writer))
        return real(vault, writer, vector)

    def place(gateway: Vault) -> None:
        for _ in range(8):
            gateway.put(b"x", record)
            gateway.witness.beat()

    def act(console: Vault) -> None:
        for _ in range(8):
            record_event(console, "saved", operator="anna")

    with pytest.MonkeyPatch.context() as patch, ThreadPoolExecutor(5) as pool:
        patch.setattr(keeper, "put_head", noting)
        list(
            pool.map(
                lambda work: work[0](work[1]),
                [*((place, each) for each in gateways), *((act, each) for each in consoles)],
            )
        )
    numbers = sorted(number for number, _ in signed)
    assert numbers == list(range(numbers[0], numbers[0] + 40)) and {writer for _, writer in signed} == {0, 2, 3}
    for gateway in gateways:
        gateway.close()
    assert check(any_vault).broken == []
