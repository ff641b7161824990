"""Generations of the configuration key: what each gateway can open after enrolment, revocation, or loss of a grant."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from store.authority import configuration
from store.authority.settings import Settings, read_settings
from store.check import check
from store.database.connection import run
from store.enrolment.enrolment import enroll, open_with_credentials
from store.enrolment.revocation import revoke
from store.gateway.policy import LivePolicy
from store.sealing.granting import generation_keys
from store.sealing.sealed import generation_of
from store.space.changing_settings import change_settings
from store.terms.errors import TamperedError, UnlockError
from store.vault.vault import Vault


@pytest.fixture
def gateways(any_vault: Vault, tmp_path: Path) -> Iterator[list[Vault]]:
    """Open two gateways."""
    opened = []
    for name in ("mx1", "mx2"):
        enroll(any_vault, name, tmp_path / name)
        opened.append(open_with_credentials(any_vault.location, tmp_path / name))
    yield opened
    for each in opened:
        each.close()


def sealed(vault: Vault) -> list[tuple[str, int, int]]:
    """Return name, version and generation of the configuration's rows."""
    rows = run(vault.db, "SELECT name, version, sealed FROM configuration ORDER BY id").fetchall()
    return [(name, version, generation_of(bytes(blob), name)) for name, version, blob in rows]


def grants(vault: Vault) -> list[tuple[int, int]]:
    return [(row[0], row[1]) for row in vault.grants.rows()]


def test_gateways_have_the_keys_that_operators_derive(any_vault: Vault, gateways: list[Vault]) -> None:
    assert any_vault.keys.seed is not None
    derived = generation_keys(any_vault.keys.seed, any_vault.store_id, 1)
    for vault in (any_vault, *gateways):
        assert vault.grants.keys() == vault.grants.keys(1) == derived
    assert derived.configuration != derived.counter
    assert grants(any_vault) == [(1, 1), (1, 2), (1, 3)]
    assert not check(any_vault).broken


def test_who_only_reads_has_none(vault: Vault) -> None:
    reader = Vault.from_key_material(vault.location, vault.worker_key_material())
    with pytest.raises((UnlockError, TamperedError)):
        reader.grants.keys()
    with pytest.raises(UnlockError):
        reader.grants.grant(1)
    reader.close()


def test_who_reads_the_settings_has_those_of_then(any_vault: Vault, gateways: list[Vault]) -> None:
    change_settings(any_vault, Settings(administrator="a@x.example"), operator="anna")
    revoke(any_vault, "mx2", operator="anna")
    reader = Vault.from_key_material(any_vault.location, any_vault.worker_key_material(settings=True))
    assert read_settings(reader).administrator == "a@x.example"
    assert reader.grants.keys(2) == any_vault.grants.keys(2)
    with pytest.raises((UnlockError, TamperedError)):
        reader.grants.grant(1)
    revoke(any_vault, "mx1", operator="anna")
    with pytest.raises(UnlockError):
        read_settings(reader)
    reader.close()


def test_revoking_renews_the_key(any_vault: Vault, gateways: list[Vault]) -> None:
    change_settings(any_vault, Settings(administrator="a@x.example"), operator="anna")
    configuration.write(any_vault, "free-space-notice", [1])
    with any_vault.write():
        insert = "INSERT INTO release VALUES (?, 1, ?, ?, 1, ?)"
        for number in (2, 3):
            run(any_vault.db, insert, b"tag%d" % number, number, b"", b"")
    before = [read_settings(each).administrator for each in gateways]
    assert sealed(any_vault) == [("settings", 1, 1), ("free-space-notice", 1, 1)]
    revoke(any_vault, "mx2", operator="anna")
    assert sealed(any_vault) == [("settings", 2, 2), ("free-space-notice", 2, 2)]
    assert grants(any_vault) == [(1, 1), (1, 2), (2, 1), (2, 2)]
    assert before == ["a@x.example"] * 2
    assert read_settings(any_vault).administrator == read_settings(gateways[0]).administrator == "a@x.example"
    assert gateways[0].grants.keys() == any_vault.grants.keys(2) != any_vault.grants.keys(1)
    with pytest.raises(TamperedError):
        read_settings(gateways[1])
    assert run(any_vault.db, "SELECT gateway_id FROM release").fetchall() == [(2,)]
    assert not check(any_vault).broken
    change_settings(any_vault, Settings(administrator="b@x.example"), operator="anna")
    assert read_settings(gateways[0]).administrator == "b@x.example"


def test_a_running_gateway_takes_a_new_key_up(any_vault: Vault, gateways: list[Vault]) -> None:
    change_settings(any_vault, Settings(administrator="a@x.example"))
    said: list[dict[str, Any]] = []
    policy = LivePolicy(lambda event, **fields: said.append({"event": event, **fields}))
    policy.refresh(gateways[0])
    revoke(any_vault, "mx2")
    change_settings(any_vault, Settings(administrator="b@x.example"))
    assert policy.refresh(gateways[0]) and not policy.refused
    assert policy.policy.settings is not None and policy.policy.settings.administrator == "b@x.example"


def test_without_its_grant_a_gateway_keeps_its_last_settings_and_says_so(
    any_vault: Vault, gateways: list[Vault]
) -> None:
    change_settings(any_vault, Settings(administrator="a@x.example"))
    policy = LivePolicy(lambda *_, **__: None)
    policy.refresh(gateways[0])
    revoke(any_vault, "mx2")
    with any_vault.write():
        [row] = run(any_vault.db, "SELECT * FROM key_grant WHERE generation = 2 AND holder = 2").fetchall()
        run(any_vault.db, "DELETE FROM key_grant WHERE generation = 2 AND holder = 2")
    policy.refresh(gateways[0])
    assert policy.policy.settings is not None and policy.policy.settings.administrator == "a@x.example"
    assert "configuration key 2" in policy.refused["settings"] and "not granted" in policy.refused["settings"]
    with any_vault.write():
        run(any_vault.db, "INSERT INTO key_grant VALUES (?, ?, ?, ?)", *row)
    policy.refresh(gateways[0])
    assert not policy.refused


def test_what_an_operator_writes_grants_anew_what_was_taken_away(any_vault: Vault, gateways: list[Vault]) -> None:
    revoke(any_vault, "mx2")
    with any_vault.write():
        run(any_vault.db, "DELETE FROM key_grant")
    change_settings(any_vault, Settings(administrator="a@x.example"))
    assert read_settings(gateways[0]).administrator == "a@x.example"
    assert grants(any_vault) == [(2, 1), (2, 2)]


def test_a_grant_that_is_there_is_left_as_it_is(any_vault: Vault, gateways: list[Vault]) -> None:
    before = any_vault.grants.rows()
    change_settings(any_vault, Settings(administrator="a@x.example"))
    with any_vault.write():
        any_vault.grants.grant()
    assert any_vault.grants.rows() == before and len(before) > 1


def test_what_is_sealed_tells_the_generation_where_all_grants_were_taken_away(
    any_vault: Vault, gateways: list[Vault], open_again: Callable[[], Vault]
) -> None:
    change_settings(any_vault, Settings(administrator="a@x.example"))
    revoke(any_vault, "mx2")
    with any_vault.write():
        run(any_vault.db, "DELETE FROM key_grant")
    change_settings(open_again(), Settings(administrator="b@x.example"))
    assert sealed(any_vault)[-1] == ("settings", 3, 2)
    assert grants(any_vault) == [(2, 1), (2, 2)]


def test_working_state_that_a_former_key_seals_is_not_believed(any_vault: Vault, gateways: list[Vault]) -> None:
    configuration.write(any_vault, "free-space-notice", [1])
    columns = "version, changed_at, sealed, signature"
    [old] = run(any_vault.db, f"SELECT {columns} FROM configuration").fetchall()
    revoke(any_vault, "mx2")
    for vault in (any_vault, gateways[0]):
        assert configuration.read(vault, "free-space-notice", list[int]) == ([1], 2, old[1])
    with any_vault.write():
        update = f"UPDATE configuration SET ({columns}) = (?, ?, ?, ?)"
        run(any_vault.db, update, *old)
    for vault in (any_vault, gateways[0]):
        with pytest.raises(TamperedError):
            configuration.read(vault, "free-space-notice", list[int])
    assert any(what == "configuration free-space-notice" for what, _ in check(any_vault).broken)


@pytest.mark.parametrize("change", ["generation = 7", "holder = 9", "sealed = ?", "signature = ?"])
def test_a_grant_that_was_changed_is_none(
    any_vault: Vault, gateways: list[Vault], change: str, open_again: Callable[[], Vault]
) -> None:
    values = [b"x" * 99] if "?" in change else []
    with any_vault.write():
        run(any_vault.db, f"UPDATE key_grant SET {change} WHERE holder = 2", *values)
    with pytest.raises(TamperedError):
        gateways[0].grants.keys()
    assert gateways[1].grants.keys() == open_again().grants.keys()
    assert [what for what, _ in check(any_vault).broken if "configuration key" in what]


def test_grants_do_not_stand_for_each_other(any_vault: Vault, gateways: list[Vault]) -> None:
    revoke(any_vault, "mx2")
    with any_vault.write():
        rows = run(any_vault.db, "SELECT generation, sealed, signature FROM key_grant WHERE holder = 2").fetchall()
        for generation, (_, blob, signature) in zip((1, 2), reversed(rows), strict=True):
            update = "UPDATE key_grant SET sealed = ?, signature = ? WHERE holder = 2 AND generation = ?"
            run(any_vault.db, update, blob, signature, generation)
    for generation in (1, 2):
        with pytest.raises(TamperedError):
            gateways[0].grants.keys(generation)


def test_keys_are_wiped(vault: Vault) -> None:
    made = vault.grants.keys()
    vault.close()
    assert not any(made.configuration) and not any(made.counter)


def test_a_generation_that_was_begun_here_stays_the_newest_though_its_grants_are_taken_away(
    any_vault: Vault, sql: Callable[..., Any]
) -> None:
    with any_vault.write():
        assert any_vault.grants.renew() == 2
    sql(any_vault, "DELETE FROM key_grant WHERE generation = 2")
    assert any_vault.grants.newest() == 2
    assert generation_of(any_vault.grants.seal("settings", b"x"), "settings") == 2
