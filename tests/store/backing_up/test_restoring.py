"""A store that was put back works again once an operator signed that its content is accepted."""

from __future__ import annotations

import re
import shutil
import subprocess
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from store.authority.audit import record_event
from store.authority.settings import Settings, read_settings
from store.backing_up.backing_up import back_up
from store.backing_up.restoring import restore, standing
from store.check import check
from store.database.connection import is_url
from store.delivery.queue import deliveries, release, retry
from store.enrolment.enrolment import enroll, open_with_credentials
from store.gateway.policy import LivePolicy
from store.gateway.seen import SeenVersions, seen_path
from store.helpers.clock import now_ms
from store.judging.rules.rules import Rule, write_rules
from store.mail.outcome import State
from store.opening.opening import Unlock, open_store
from store.space.changing_settings import change_settings
from store.terms.errors import StoreUnavailable, UnlockError
from store.vault.vault import Vault
from tests.conftest import PASSPHRASE
from tests.store.delivery.test_delivery_worker import fill, send, use
from tests.store.delivery.test_spent import put_back as put_back_rows
from tests.store.delivery.test_spent import rows
from tests.store.mail.smtp_server import ScriptedServer
from tui.commands.cli import main

KEY = Unlock.passphrase(PASSPHRASE)


def put_back(backup: Path, location: str) -> None:
    """Replace the store by a backup."""
    if is_url(location):
        options = ["--clean", "--if-exists", "--exit-on-error", "--no-owner", f"--dbname={location}"]
        subprocess.run(["pg_restore", *options, backup], check=True)
    else:
        shutil.copyfile(backup, location)


@pytest.mark.parametrize("keep", [False, True])
def test_a_backup_that_is_older_than_all(any_vault: Vault, put_some: Any, tmp_path: Path, keep: bool) -> None:
    change_settings(any_vault, Settings(relay="smtp://127.0.0.1:9", local_domains=("corp.example",)))
    write_rules(any_vault, [Rule(name="Old")])
    credentials, seen = tmp_path / "credentials", tmp_path / "seen"
    enroll(any_vault, "mx1", credentials)
    first, second = put_some(any_vault, 2)
    release(any_vault, [first], original=True)
    back_up(any_vault.location, tmp_path / "backup", KEY)
    release(any_vault, [second], original=True)
    lost = put_some(any_vault, 3)
    for number in range(4):
        write_rules(any_vault, [Rule(name=f"{number}")])

    def gateway() -> LivePolicy:
        live = LivePolicy(lambda *_args, **_fields: None, SeenVersions(seen))
        with closing(open_with_credentials(any_vault.location, credentials, seen)) as opened:
            live.refresh(opened)
            live.problem = opened.witness.problem  # type: ignore[attr-defined]
        return live

    gateway()
    any_vault.close()
    put_back(tmp_path / "backup", any_vault.location)
    live = gateway()
    assert live.problem  # type: ignore[attr-defined]
    assert live.policy.rules is not None and live.policy.rules[0].name == "3"
    with pytest.raises(StoreUnavailable, match="older than what was seen"):
        open_store(any_vault.location, KEY)
    with closing(open_store(any_vault.location, KEY, repair=True)) as opened:
        before = standing(opened)
        assert before.older is not None and list(before.waiting) == [1]
        assert restore(opened, keep=before.waiting if keep else (), operator="ann") == ([] if keep else [1])
        assert [each.live for each in deliveries(opened)] == [keep]
        assert put_some(opened, 1)[0] > lost[-1]
    with closing(open_store(any_vault.location, KEY)) as opened:
        assert check(opened).broken == []
        assert read_settings(opened).relay == "smtp://127.0.0.1:9"
    for _ in range(2):
        live = gateway()
        assert live.refused == {} and not live.problem  # type: ignore[attr-defined]
        assert live.policy.rules is not None and [rule.name for rule in live.policy.rules] == ["Old", "Default"]


def test_a_gateway_that_runs_meanwhile_takes_it_up(any_vault: Vault, put_some: Any, tmp_path: Path) -> None:
    write_rules(any_vault, [Rule(name="Old")])
    credentials, seen = tmp_path / "credentials", tmp_path / "seen"
    enroll(any_vault, "mx1", credentials)
    back_up(any_vault.location, tmp_path / "backup", KEY)
    write_rules(any_vault, [Rule(name="New")])
    with closing(open_with_credentials(any_vault.location, credentials, seen)) as gateway:
        LivePolicy(lambda *_args, **_fields: None, SeenVersions(seen)).refresh(gateway)
    any_vault.close()
    put_back(tmp_path / "backup", any_vault.location)
    live = LivePolicy(lambda *_args, **_fields: None, SeenVersions(seen))
    with closing(open_with_credentials(any_vault.location, credentials, seen)) as gateway:
        live.refresh(gateway)
        assert live.policy.rules is not None and live.policy.rules[0].name == "New"
        with gateway.reading(), pytest.raises(StoreUnavailable, match="Nothing is sent"):
            gateway.witness.require_current()
        put_some(gateway, 1)
        with closing(open_store(any_vault.location, KEY, repair=True)) as opened:
            restore(opened)
        with gateway.reading():
            gateway.witness.require_current()
        live.refresh(gateway)
        assert live.policy.rules[0].name == "Old" and live.refused == {}
        put_some(gateway, 1)
        gateway.witness.beat()
    with closing(open_store(any_vault.location, KEY)) as opened:
        assert check(opened).broken == [] and opened.count().messages == 2


def test_check_config_says_so(
    vault: Vault, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    credentials, config = tmp_path / "credentials", tmp_path / "mailhold.toml"
    enroll(vault, "mx1", credentials)
    config.write_text(
        f'[store]\nlocation = "{vault.location}"\ncredentials = "{credentials}"\n'
        f'[milter]\nlisten = ["unix:{tmp_path}/milter"]\n[metrics]\nlisten = ""\n'
    )
    back_up(vault.location, tmp_path / "backup")
    write_rules(vault, [Rule(name="One")])
    open_with_credentials(vault.location, credentials, seen_path(credentials)).close()
    command = ["gateway", "--check-config", "--config", str(config)]
    assert main(command) == 0
    vault.close()
    before = seen_path(credentials).read_bytes()
    put_back(tmp_path / "backup", vault.location)
    capsys.readouterr()
    assert main(command) == 1
    assert re.search("older than what this gateway saw at .*: 1 event. .*`mailhold restore`", capsys.readouterr().out)
    with closing(open_with_credentials(vault.location, credentials)) as gateway:  # It writes more than the store lacks.
        for _ in range(3):
            record_event(gateway, "gateway started", operator="", detail="mx1")
    assert main(command) == 1
    assert "an event or an epoch differs from the one that was seen" in capsys.readouterr().out
    assert seen_path(credentials).read_bytes() == before


def test_where_nothing_was_seen(vault: Vault, put_some: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put_some(vault, 2)
    back_up(vault.location, tmp_path / "backup")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "new machine"))
    with closing(open_store(str(tmp_path / "backup"), KEY)) as opened:
        assert standing(opened) == (None, 0, {})
        assert restore(opened) == []
    with closing(open_store(str(tmp_path / "backup"), KEY)) as opened:
        assert check(opened).broken == []


def test_a_gateway_cannot(vault: Vault, tmp_path: Path) -> None:
    enroll(vault, "mx1", tmp_path / "credentials")
    with (
        closing(open_with_credentials(vault.location, tmp_path / "credentials")) as gateway,
        pytest.raises(UnlockError, match="with an operator key"),
    ):
        restore(gateway)


async def test_a_release_that_was_not_kept_is_not_sent_whatever_its_row_says(
    any_vault: Vault, put_some: Any, tmp_path: Path
) -> None:
    """The rows of both deliveries are put back as they were before the store was restored."""
    async with ScriptedServer() as server:
        use(any_vault, server.port)
        called_off, kept = fill(any_vault, 2)
        before = rows(any_vault)
        assert restore(any_vault, keep=[kept], operator="ann") == [called_off]
        put_back_rows(any_vault, before)
        await send(any_vault)
        [taken] = server.taken
        assert b"X-Number: 1\r\n" in taken.content
        first, second = sorted(deliveries(any_vault), key=lambda each: each.id)
        assert (first.state, second.state) == (State.UNKNOWN, State.SENT)
        assert "before the store was restored" in first.recipients[0].reply
        retry(any_vault, called_off, operator="ann")
        await send(any_vault)
        assert len(server.taken) == 2


async def test_what_is_ordered_after_it_is_sent_whatever_the_clock_says(
    any_vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The clock of the machine that restored it was ahead of this one's."""
    with monkeypatch.context() as patched:
        patched.setattr("store.backing_up.restoring.now_ms", lambda: now_ms() + 3_600_000)
        restore(any_vault)
    async with ScriptedServer() as server:
        use(any_vault, server.port)
        fill(any_vault, 1)
        await send(any_vault)
        assert len(server.taken) == 1


@pytest.mark.parametrize("known", [0, 2])
def test_a_lost_deliverys_id_is_not_given_out_again(
    any_vault: Vault, put_some: Any, tmp_path: Path, known: int
) -> None:
    use(any_vault, 9)
    fill(any_vault, known)
    back_up(any_vault.location, tmp_path / "backup", KEY)
    lost = fill(any_vault, 3)
    any_vault.close()
    put_back(tmp_path / "backup", any_vault.location)
    with closing(open_store(any_vault.location, KEY, repair=True)) as opened:
        restore(opened)
        assert fill(opened, 1) == [lost[-1] + 1]
    with closing(open_store(any_vault.location, KEY)) as opened:
        assert check(opened).broken == []
