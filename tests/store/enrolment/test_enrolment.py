"""A gateway's credentials: what they permit, and what they do not."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from store.authority.audit import events, record_event
from store.authority.settings import Settings, read_settings
from store.check import check
from store.delivery.access import StoreAccess
from store.delivery.leases import claim
from store.delivery.queue import delivery_of, release, retry
from store.delivery.waiting import wait_for_gateways
from store.delivery.worker import DeliveryWorker
from store.enrolment.enrolled import beat, delivery_target, gateways
from store.enrolment.enrolment import check_enrolment, enroll, open_with_credentials
from store.helpers.clock import now_ms
from store.mail.outcome import Outcome, State
from store.space.changing_settings import change_settings
from store.space.notice import Told
from store.space.notice import claim as claim_notice
from store.terms.errors import KeyFileError, StoreError, TamperedError, UnlockError, UsageError
from store.terms.records import CopyRecord
from store.vault.vault import Vault
from tests.store.mail.smtp_server import ScriptedServer


@pytest.fixture
def gateway(any_vault: Vault, tmp_path: Path) -> Iterator[Vault]:
    """Open the store of `any_vault` as the gateway `mx1`."""
    change_settings(any_vault, Settings(relay="smtp://127.0.0.1:9", administrator="a@corp.example"))
    enroll(any_vault, "mx1", tmp_path / "mx1.credentials", operator="olga")
    opened = open_with_credentials(any_vault.location, tmp_path / "mx1.credentials")
    yield opened
    opened.close()


def test_what_a_gateway_puts_operators_read_and_it_does_not(
    any_vault: Vault, gateway: Vault, record: CopyRecord
) -> None:
    first = gateway.put(b"Subject: one\r\n\r\nx", record)
    second = gateway.put(b"Subject: two\r\n\r\ny", record)
    for read in (gateway.get, gateway.raw):
        with pytest.raises(StoreError):
            read(first)
    with pytest.raises(StoreError):
        gateway.newest(1)
    assert any_vault.raw(first).endswith(b"x") and any_vault.raw(second).endswith(b"y")
    keys = gateway.keys
    assert (keys.seed, keys.read_private, keys.read_seed, keys.authority, keys.private_key) == (None,) * 5
    for act in (
        lambda: gateway.worker_key_material(),
        lambda: gateway.sign("settings", b""),
        lambda: change_settings(gateway, Settings(relay="")),
        lambda: gateway.delete([first]),
        lambda: release(gateway, [first], original=True),
        lambda: events(gateway),
    ):
        with pytest.raises((UnlockError, StoreError)):
            act()
    gateway.close()
    assert check(any_vault).broken == []


def test_it_reads_settings_and_rotates(any_vault: Vault, gateway: Vault, record: CopyRecord) -> None:
    assert read_settings(gateway).administrator == "a@corp.example"
    change_settings(any_vault, Settings(max_size=30_000))
    ids = [gateway.put(os.urandom(8_000), record) for _ in range(6)]
    assert ids[0] not in gateway.ids() and ids[-1] in gateway.ids()
    assert check(any_vault).broken == []


def test_its_events_are_for_operators_and_are_its_own(
    any_vault: Vault, gateway: Vault, sql: Callable[..., Any]
) -> None:
    record_event(gateway, "gateway started", operator="olga", detail="mx1")
    record_event(any_vault, "looked", operator="olga")
    newest, from_gateway, *_ = events(any_vault)
    assert (newest.action, newest.operator) == ("looked", "olga")
    # It cannot sign as an operator.
    assert (from_gateway.action, from_gateway.operator, from_gateway.detail) == ("gateway started", "", "mx1")
    assert check(any_vault).broken == []
    [(blob,)] = sql(any_vault, "SELECT sealed FROM audit WHERE id = ?", from_gateway.id)
    for at in (3, 20, 100, len(blob) - 1):
        changed = bytearray(blob)
        changed[at] ^= 1
        sql(any_vault, "UPDATE audit SET sealed = ? WHERE id = ?", bytes(changed), from_gateway.id)
        with pytest.raises(TamperedError):
            events(any_vault)
        assert check(any_vault).broken


def test_settings_put_back_are_found_behind_a_gateways_event(
    any_vault: Vault, gateway: Vault, sql: Callable[..., Any], open_again: Callable[[], Vault]
) -> None:
    [old] = sql(any_vault, "SELECT version, changed_at, sealed, signature FROM configuration WHERE name = 'settings'")
    change_settings(any_vault, Settings(relay="smtp://127.0.0.1:10"), operator="olga")
    record_event(gateway, "gateway started", operator="")
    sql(any_vault, "UPDATE configuration SET version = ?, changed_at = ?, sealed = ?, signature = ?", *old)
    with pytest.raises(TamperedError):
        read_settings(open_again())


def test_it_takes_the_free_space_notice(any_vault: Vault, gateway: Vault) -> None:
    change_settings(
        any_vault, Settings(max_size=10**9, notify_below=10**9 + 1, relay="smtp://x:1", administrator="a@corp.example")
    )
    due = claim_notice(gateway)
    assert not isinstance(due, str)
    assert claim_notice(any_vault) is Told.WAITING
    due.hand_over()
    assert due.settle(Outcome(State.SENT, "250 ok")) is Told.SENT
    assert claim_notice(any_vault) is Told.ALREADY
    assert (events(any_vault)[0].action, events(any_vault)[0].detail) == ("administrator notified", "250 ok")


async def test_releases_go_to_the_living_gateway_and_are_sent_by_it(
    any_vault: Vault, gateway: Vault, record: CopyRecord
) -> None:
    async with ScriptedServer() as server:
        change_settings(any_vault, Settings(relay=f"smtp://127.0.0.1:{server.port}"))
        first = gateway.put(b"Subject: one\r\n\r\nfirst", record)
        assert delivery_target(any_vault).gateway_id == 1
        beat(gateway)
        assert delivery_target(any_vault).gateway_id == 2
        [queued] = release(any_vault, [first], original=False, additional=["new@corp.example"]).queued
        await DeliveryWorker(any_vault, owner="console").run_until_idle(10)
        assert delivery_of(any_vault, queued).state == "queued"
        assert "not sent it yet" in await asyncio.to_thread(wait_for_gateways, any_vault, 0)
        waiting = asyncio.create_task(asyncio.to_thread(wait_for_gateways, any_vault))
        await DeliveryWorker(gateway, owner="gateway").run_until_idle(20)
        assert delivery_of(any_vault, queued).state == "sent"
        assert "250" in delivery_of(any_vault, queued).recipients[0].reply
        assert await waiting == ""
        [taken] = server.taken
        assert taken.content.rstrip().endswith(b"first")
        assert check(any_vault).broken == []


def test_a_release_for_a_gateway_that_died_is_sent_by_who_retries_it(
    any_vault: Vault, gateway: Vault, record: CopyRecord
) -> None:
    change_settings(any_vault, Settings(relay="smtp://127.0.0.1:9"))
    first = gateway.put(b"Subject: one\r\n\r\nfirst", record)
    beat(gateway)
    [queued] = release(any_vault, [first], original=True, operator="olga").queued
    beat(gateway, alive=False)
    assert "queue retry" in wait_for_gateways(any_vault)
    retry(any_vault, queued, "olga")
    assert wait_for_gateways(any_vault) == ""
    with gateway.write():
        assert claim(gateway, 2, "gateway", 10, now_ms() + 9, 1000) == []
    with any_vault.write():
        [claimed] = claim(any_vault, 1, "console", 10, now_ms() + 9, 1000)
    access = StoreAccess(any_vault)
    order = access.order(claimed.row)
    assert [each.address for each in order.addressees] == list(record.envelope_recipients)
    assert access.message(claimed.row, order).endswith(b"first")


def test_credentials_are_kept_close(any_vault: Vault, tmp_path: Path) -> None:
    path = tmp_path / "c"
    assert enroll(any_vault, "mx1", path) == 2
    assert path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(KeyFileError):
        enroll(any_vault, "mx2", path)
    with pytest.raises(UsageError):
        enroll(any_vault, "mx1", tmp_path / "d")
    for name in ("", "a b", "Ä", "local\n", "-x"):
        with pytest.raises(UsageError):
            enroll(any_vault, name, tmp_path / "d")
    assert not (tmp_path / "d").exists()
    assert [each.name for each in gateways(any_vault)] == ["mx1"]
    path.chmod(0o640)
    with pytest.raises(KeyFileError):
        open_with_credentials(any_vault.location, path)
    path.chmod(0o600)
    for damaged in (b"", b"{}", b"\xff", path.read_bytes()[:-40]):
        (tmp_path / "bad").write_bytes(damaged)
        (tmp_path / "bad").chmod(0o600)
        with pytest.raises(KeyFileError):
            open_with_credentials(any_vault.location, tmp_path / "bad")
    (tmp_path / "bad").chmod(0o644)
    with pytest.raises(KeyFileError, match="is not a credentials file"):
        open_with_credentials(any_vault.location, tmp_path / "bad")
    with pytest.raises(KeyFileError):
        open_with_credentials(any_vault.location, tmp_path / "none")


def test_a_store_or_enrolment_that_was_changed_is_refused(
    any_vault: Vault, gateway: Vault, sql: Callable[..., Any], tmp_path: Path
) -> None:
    check_enrolment(gateway)
    for table, where, columns in (
        ("store", "id = 1", ("read_key", "signature")),
        ("gateway", "id = 2", ("name", "signing_key", "delivery_key", "signature")),
    ):
        for column in columns:
            [(value,)] = sql(any_vault, f"SELECT {column} FROM {table} WHERE {where}")
            other = "x" if isinstance(value, str) else bytes(value)[:-1] + bytes([bytes(value)[-1] ^ 1])
            sql(any_vault, f"UPDATE {table} SET {column} = ? WHERE {where}", other)
            with pytest.raises(TamperedError):
                check_enrolment(gateway)
            with pytest.raises(TamperedError):
                open_with_credentials(any_vault.location, tmp_path / "mx1.credentials")
            sql(any_vault, f"UPDATE {table} SET {column} = ? WHERE {where}", value)
    check_enrolment(gateway)
    sql(
        any_vault,
        "UPDATE gateway SET delivery_key = (SELECT delivery_key FROM gateway WHERE id = 1), alive_at = ?",
        1 << 60,
    )
    assert delivery_target(any_vault).gateway_id == 1
    sql(any_vault, "DELETE FROM gateway WHERE id = 2")
    with pytest.raises(TamperedError, match="not enrolled"):
        check_enrolment(gateway)
