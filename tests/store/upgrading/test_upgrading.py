"""The kept store of format 1 is upgraded to format 2 completely, byte for byte, or not at all, at any kill."""

from __future__ import annotations

import hashlib
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from store.authority.audit import events
from store.authority.configuration import check_configuration, reset
from store.authority.heads import configuration_digest
from store.authority.settings import Settings, read_settings
from store.check import check
from store.database.connection import run
from store.database.orm import SqliteDatabase
from store.database.tables import FORMAT
from store.delivery.queue import delivery_of
from store.delivery.worker import DeliveryWorker
from store.enrolment.enrolment import open_with_credentials
from store.helpers.clock import now_ms
from store.judging.rules.address_lists import read_lists
from store.judging.rules.rules import read_rules
from store.mail.outcome import State
from store.opening.opening import Unlock, create_store, open_store
from store.space.changing_settings import change_settings
from store.terms.errors import GatewayRevoked, StoreFormat, StoreUnavailable, TamperedError
from store.upgrading.upgrading import UPGRADED, GatewaysRun, format_of, upgrade
from store.vault.vault import Vault
from tests.conftest import BACKENDS
from tests.store.authority.newest_head import read_head
from tests.store.mail.smtp_server import ScriptedServer
from tests.store.upgrading.format_1 import CONTENT, PASSPHRASE, in_postgresql, in_sqlite, rows_of, secret

UNLOCK = Unlock.passphrase(PASSPHRASE)


@pytest.fixture(params=BACKENDS)
def former(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return the location of the store of format 1."""
    if request.param == "sqlite":
        return in_sqlite(tmp_path)
    return in_postgresql(request.getfixturevalue("empty_postgres"))


@pytest.fixture
def upgraded(former: str) -> Iterator[Vault]:
    """Upgrade the store and open it normally."""
    vault = open_store(former, UNLOCK, former=True)
    assert upgrade(vault, operator="anna") == [1]
    assert upgrade(vault) == []
    vault.close()
    vault = open_store(former, UNLOCK)
    yield vault
    vault.close()


def test_without_upgrading_it_is_not_opened(former: str, tmp_path: Path) -> None:
    before = rows_of(former)
    with pytest.raises(StoreFormat, match="run `mailhold upgrade`"):
        open_store(former, UNLOCK)
    with pytest.raises(StoreFormat, match="run `mailhold upgrade`"):
        open_with_credentials(former, secret("mx1.credentials", tmp_path))
    assert rows_of(former) == before


def test_everything_is_there_and_verifies(upgraded: Vault, tmp_path: Path) -> None:
    assert format_of(upgraded) == FORMAT
    assert not check(upgraded).broken
    read = {str(each): hashlib.sha256(upgraded.raw(each)).hexdigest() for each in upgraded.ids()}
    assert read == CONTENT["copies"]
    assert read_settings(upgraded).administrator == "postmaster@corp.example"
    assert [rule.name for rule in read_rules(upgraded)] == ["Partners", "Default"]
    assert read_lists(upgraded).black == ("*@spam.example",)
    assert {problem for _, problem in check_configuration(upgraded)} == {None}
    newest = events(upgraded, 1)[0]
    assert (newest.action, newest.operator, newest.detail) == (UPGRADED, "anna", "format 1 -> 2")
    for writer in (0, 1, 2, 3):
        head = read_head(upgraded, writer)
        assert head is not None and (head.event, head.next_copy, head.deliveries) == (newest.id, 37, 4)
        assert (head.tombstone, head.buried, head.key_generation, head.generation) == (3, 7, 1, 0)
        assert head.configuration == configuration_digest(upgraded)
        assert (head.sequence, head.epoch > 0, head.open_epochs) == (writer + 1, writer > 0, [])
    for unlock in (
        Unlock.key_file(secret("key-file", tmp_path)),
        Unlock.recovery(CONTENT["recovery_key"]),
    ):
        open_store(upgraded.location, unlock).close()


def test_its_tables_are_those_of_a_new_store(tmp_path: Path) -> None:
    location = in_sqlite(tmp_path)
    vault = open_store(location, UNLOCK, former=True)
    upgrade(vault)
    vault.close()
    create_store(str(tmp_path / "new"), passphrase="x")[0].close()
    upgraded, new = rows_of(location), rows_of(str(tmp_path / "new"))
    assert (upgraded["schema"], upgraded["version"]) == (new["schema"], new["version"])


def test_its_gateways_go_on_with_their_credentials(upgraded: Vault, tmp_path: Path, record: Any) -> None:
    gateway = open_with_credentials(upgraded.location, secret("mx1.credentials", tmp_path))
    assert read_settings(gateway) == read_settings(upgraded)
    copy_id = gateway.put(b"Subject: new\r\n\r\nbody\r\n", record)
    gateway.close()
    assert upgraded.raw(copy_id) == b"Subject: new\r\n\r\nbody\r\n"
    with pytest.raises(GatewayRevoked):
        open_with_credentials(upgraded.location, secret("mx2.credentials", tmp_path))
    assert run(upgraded.db, "SELECT generation, holder FROM key_grant ORDER BY 2").fetchall() == [(1, 1), (1, 2)]
    assert not check(upgraded).broken


async def test_its_deliveries_go_on(upgraded: Vault) -> None:
    [waiting] = CONTENT["deliveries"]["waiting"]
    async with ScriptedServer() as server:
        settings = type(read_settings(upgraded))(relay=f"smtp://127.0.0.1:{server.port}")
        change_settings(upgraded, settings, operator="anna")
        await DeliveryWorker(upgraded, owner="test").run_until_idle()
    assert delivery_of(upgraded, waiting).state is State.SENT
    assert [taken.rcpt for taken in server.taken] == [["u7@corp.example", "more@corp.example"]]
    for name in ("cancelled", "waiting at mx1", "delivered"):
        [each] = CONTENT["deliveries"][name]
        assert delivery_of(upgraded, each).state is {"cancelled": State.CANCELLED, "delivered": State.SENT}.get(
            name, State.QUEUED
        )


def test_a_running_gateway_keeps_it_as_it_is(former: str) -> None:
    vault = open_store(former, UNLOCK, former=True)
    with vault.write():
        run(vault.db, "UPDATE gateway SET alive_at = ? WHERE id = 2", now_ms() - 1000)
    before = rows_of(former)
    with pytest.raises(GatewaysRun, match=r"mx1\.example\.org"):
        upgrade(vault)
    assert rows_of(former) == before
    with vault.write():
        run(vault.db, "UPDATE gateway SET alive_at = ?", now_ms() - 90_000)
    assert upgrade(vault) == [1]
    vault.close()


def test_damage_stays_damage_and_keeps_nothing_else_back(former: str) -> None:
    vault = open_store(former, UNLOCK, former=True)
    with vault.write():
        run(vault.db, "UPDATE configuration SET signature = ? WHERE name = 'settings'", b"x" * 64)
        run(vault.db, "UPDATE gateway SET signature = ? WHERE id = 2", b"x" * 64)
    assert upgrade(vault) == [1]
    assert read_lists(vault).black == ("*@spam.example",)
    with pytest.raises(TamperedError):
        read_settings(vault)
    wrong = {what for what, _why in check(vault).broken}
    assert {"configuration settings", "gateway 2"} <= wrong
    assert run(vault.db, "SELECT holder FROM key_grant").fetchall() == [(1,)]
    reset(vault, "settings", Settings(administrator="a@x.example"))
    assert read_settings(vault).administrator == "a@x.example"
    vault.close()


def test_somebody_else_was_quicker(former: str) -> None:
    first, second = (open_store(former, UNLOCK, former=True) for _ in range(2))
    assert upgrade(first) == [1]
    assert upgrade(second) == []
    assert read_settings(second).administrator == "postmaster@corp.example"
    change_settings(second, Settings(administrator="a@x.example"))
    assert read_settings(first).administrator == "a@x.example"
    first.close()
    second.close()


def test_tables_that_format_1_did_not_make_are_not_upgraded(former: str) -> None:
    vault = open_store(former, UNLOCK, former=True)
    with vault.db.making():
        run(vault.db, "CREATE INDEX mine ON audit (at)")
    before = rows_of(former)
    with pytest.raises(StoreUnavailable, match="there is a"):
        upgrade(vault)
    vault.close()
    assert rows_of(former) == before
    with pytest.raises(StoreUnavailable, match="there is a"):
        open_store(former, UNLOCK, former=True)


def _killed_at(location: str, number: int) -> bool:
    """Upgrade in a child that dies before its change `number`. Return True if there was such a statement."""
    child = os.fork()
    if child:
        _, status = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(status) in (0, 9)
        return os.waitstatus_to_exitcode(status) == 9
    try:
        signal.alarm(60)
        vault = open_store(location, UNLOCK, former=True)
        _count(vault, number)
        upgrade(vault, operator="anna")
    except BaseException:
        os._exit(1)
    os._exit(0)


def _count(vault: Vault, number: int) -> None:
    """Kill this process before the statement `number` that changes anything, counted from now."""
    left = [number]

    def before(text: str) -> None:
        left[0] -= not text.lstrip().startswith(("SELECT", "PRAGMA schema"))
        if left[0] < 0:
            os._exit(9)

    if isinstance(vault.db, SqliteDatabase):
        vault.db.connection().set_trace_callback(before)
        return
    import psycopg

    execute: Callable[..., Any] = psycopg.Cursor.execute

    def counting(self: Any, text: str, *arguments: Any, **options: Any) -> Any:
        before(text)
        return execute(self, text, *arguments, **options)

    commit: Callable[..., Any] = psycopg.Connection.commit

    def committing(self: Any) -> None:
        before("COMMIT")
        commit(self)
        before("COMMITTED")

    psycopg.Cursor.execute, psycopg.Connection.commit = counting, committing  # type: ignore[method-assign]


def test_killed_at_any_statement_it_is_whole(former: str) -> None:
    before = rows_of(former)
    killed = 0
    while _killed_at(former, killed):
        killed += 1
        if rows_of(former) != before:
            break
    assert killed > 25
    vault = open_store(former, UNLOCK, former=True)
    assert upgrade(vault) in ([], [1])
    assert format_of(vault) == FORMAT and not check(vault).broken
    assert len([each for each in events(vault) if each.action == UPGRADED]) == 1
    vault.close()
