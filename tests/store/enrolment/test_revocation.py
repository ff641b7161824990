"""A revoked gateway: what it sealed before stays readable, and what its credentials seal afterwards is refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from store.authority.audit import events, record_event
from store.authority.settings import Settings
from store.check import check
from store.delivery.queue import delivery_of, release, retry
from store.enrolment.enrolled import beat, delivery_target, gateways, is_alive
from store.enrolment.enrolment import check_enrolment, enroll, open_with_credentials
from store.enrolment.revocation import REVOKED, revoke
from store.space.changing_settings import change_settings
from store.terms.errors import GatewayRevoked, TamperedError, UnlockError, UsageError
from store.terms.records import CopyRecord
from store.vault.gateway_rows import former_key
from store.vault.vault import Vault
from tests.integration.gateway_process import GatewayProcess

RAW = b"Subject: one\r\n\r\nbody\r\n"
Sql = Callable[..., Any]


@pytest.fixture
def credentials(any_vault: Vault, tmp_path: Path) -> Path:
    change_settings(any_vault, Settings(relay="smtp://127.0.0.1:9", max_size=200_000))
    path = tmp_path / "mx1.credentials"
    enroll(any_vault, "mx1", path, operator="olga")
    return path


@pytest.fixture
def gateway(any_vault: Vault, credentials: Path) -> Iterator[Vault]:
    """Open the store as `mx1`: a closed epoch, an open one, a tombstone and an event are its own."""
    first = open_with_credentials(any_vault.location, credentials)
    first.put_many((RAW + b"%d" % number, CopyRecord(), None) for number in range(3))
    first.delete([1], cause="rotated")
    first.close()
    opened = open_with_credentials(any_vault.location, credentials)
    opened.put(RAW, CopyRecord(envelope_recipients=("a@x.example",)))
    record_event(opened, "gateway started", operator="", detail="mx1")
    yield opened
    opened.close()


def test_what_it_placed_before_stays_readable_by_all(
    any_vault: Vault, gateway: Vault, open_again: Callable[[], Vault]
) -> None:
    other, fresh = open_again(), open_again()
    assert other.raw(4) == RAW  # This cached the gateway's key.
    done = revoke(any_vault, "mx1", operator="olga")
    assert (done.gateway_id, done.epochs, done.waiting, done.refused) == (2, 2, [], [])
    for vault in (any_vault, other, fresh):
        assert vault.ids() == [2, 3, 4] and [vault.raw(each)[:20] for each in vault.ids()] == [RAW[:20]] * 3
        assert vault.tombstones_since(0)[1] == [1]
        assert events(vault)[0][2:4] == ("olga", REVOKED) and events(vault)[1].action == "gateway started"
    result = check(any_vault)
    assert (result.broken, result.open_epochs) == ([], [])
    assert [each.revoked for each in gateways(any_vault)] == [True]


def test_its_new_epochs_are_refused(any_vault: Vault, gateway: Vault, open_again: Callable[[], Vault]) -> None:
    other = open_again()
    assert other.raw(4) == RAW
    gateway.epoch_writer.drop()
    revoke(any_vault, "mx1")
    forged = gateway.put(RAW, CopyRecord())
    for vault in (any_vault, other, open_again()):
        with pytest.raises(TamperedError, match=f"Copy {forged} "):
            vault.raw(forged)
    assert {what for what, _ in check(any_vault).broken} == {f"copy {forged}", "epoch 3"}


def test_an_epoch_of_the_time_before_is_refused_too(any_vault: Vault, gateway: Vault, sql: Sql) -> None:
    """Times do not count: what the stolen key signs is refused, whatever date it gives."""
    revoke(any_vault, "mx1")
    signing = gateway.keys.gateway
    assert signing is not None
    from store.vault.epochs import opening_of

    row = any_vault.models.Epoch.get_by_id(1)
    signature = signing.signing.sign(opening_of(any_vault.store_id, row).data())
    sql(any_vault, "UPDATE epoch SET opening_signature = ? WHERE id = 1", signature)
    assert any(what == "epoch 1" for what, _ in check(any_vault).broken)


def test_what_is_added_to_its_open_epoch_is_named(any_vault: Vault, gateway: Vault) -> None:
    revoke(any_vault, "mx1")
    gateway.put(RAW, CopyRecord())
    assert ("epoch 2", "it was closed after 1 copies, but has more") in check(any_vault).broken


def test_its_new_tombstones_are_refused(any_vault: Vault, gateway: Vault) -> None:
    revoke(any_vault, "mx1")
    mark, _ = any_vault.tombstones_since(0)
    gateway.delete([2], cause="rotated")
    assert any_vault.tombstones_since(mark)[1] == []
    found = {what for what, _ in check(any_vault).broken}
    assert any(what.startswith("tombstone") for what in found) and "epoch 1" in found


def test_it_opens_no_store_any_more(any_vault: Vault, gateway: Vault, credentials: Path, tmp_path: Path) -> None:
    revoke(any_vault, "mx1")
    with pytest.raises(GatewayRevoked, match="mx1 was revoked"):
        check_enrolment(gateway)
    with pytest.raises(GatewayRevoked):
        open_with_credentials(any_vault.location, credentials)
    with pytest.raises(UsageError, match="already"):
        enroll(any_vault, "mx1", tmp_path / "again")
    assert enroll(any_vault, "mx1b", tmp_path / "again") == 3
    open_with_credentials(any_vault.location, tmp_path / "again").close()


def test_nothing_is_sealed_to_it_and_what_waits_is_named(any_vault: Vault, gateway: Vault) -> None:
    beat(gateway)
    queued = release(any_vault, [4], original=True).queued
    assert any_vault.models.Delivery.get_by_id(queued[0]).gateway_id == 2
    assert revoke(any_vault, "mx1").waiting == queued
    beat(gateway)
    assert not is_alive(any_vault, 2) and delivery_target(any_vault).gateway_id == 1
    retry(any_vault, queued[0])
    assert any_vault.models.Delivery.get_by_id(queued[0]).gateway_id == 1
    assert not delivery_of(any_vault, queued[0]).damage


def test_an_enrolment_that_is_put_back_is_found(any_vault: Vault, gateway: Vault, sql: Sql) -> None:
    columns = "signing_key, delivery_key, signature"
    [old] = sql(any_vault, f"SELECT {columns} FROM gateway WHERE id = 2")
    revoke(any_vault, "mx1")
    sql(any_vault, "UPDATE gateway SET signing_key = ?, delivery_key = ?, signature = ? WHERE id = 2", *old)
    assert ("gateway 2", "it was revoked, but its enrolment is there again") in check(any_vault).broken


def test_the_key_that_a_revoked_gateway_signed_with_is_what_the_authority_says(
    any_vault: Vault, gateway: Vault, sql: Sql
) -> None:
    with pytest.raises(TamperedError, match="not revoked"):
        former_key(any_vault, 2)
    revoke(any_vault, "mx1")
    assert gateway.keys.gateway is not None
    own = gateway.keys.gateway.signing.public_key().public_bytes_raw()
    assert former_key(any_vault, 2).public_bytes_raw() == own
    sql(any_vault, "UPDATE gateway SET delivery_key = ? WHERE id = 2", bytes(31) + b"\1")
    with pytest.raises(TamperedError):
        former_key(any_vault, 2)


def test_what_did_not_verify_before_does_not_afterwards(any_vault: Vault, gateway: Vault, sql: Sql) -> None:
    sql(any_vault, "UPDATE epoch SET opened_at = 5 WHERE id = 1")
    done = revoke(any_vault, "mx1")
    assert done.epochs == 1 and [what for what, _ in done.refused] == ["epoch 1"]
    with pytest.raises(TamperedError):
        any_vault.raw(2)
    assert any_vault.raw(4) == RAW


def test_who_may_revoke_what(any_vault: Vault, gateway: Vault) -> None:
    with pytest.raises(UnlockError):
        revoke(gateway, "mx1")
    for name in ("mx2", "local"):
        with pytest.raises(UsageError, match="There is no gateway"):
            revoke(any_vault, name)
    revoke(any_vault, "mx1")
    with pytest.raises(UsageError, match="already"):
        revoke(any_vault, "mx1")
    assert check(any_vault).broken == []


def test_a_gateway_that_runs_stops_and_leaves_the_store_whole() -> None:
    process = GatewayProcess('[metrics]\nlisten = ""\n')
    try:
        process.start()
        vault = process.vault()
        revoke(vault, "mx1")
        assert process.process is not None and process.process.wait(20) == 1
        assert "gateway failed" in process.log_text() and "mx1 was revoked" in process.log_text()
        assert check(vault).broken == []
        assert not is_alive(vault, 2)
        vault.close()
        with pytest.raises(AssertionError, match="mx1 was revoked"):
            process.start()
    finally:
        process.close()
