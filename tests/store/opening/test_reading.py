"""Reading a store does not change it and does not wait for writers."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from store.authority.settings import read_settings
from store.check import check
from store.database import connection
from store.opening.opening import Unlock, open_store
from store.opening.slots import add_key_file
from store.vault.vault import Vault
from tests.conftest import PASSPHRASE
from tests.write_lock import write_lock_held
from tui.commands.cli import main


@pytest.fixture
def held(vault: Vault, put_some: Callable[..., list[int]], monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Make a store of three copies whose write lock another process holds; waiting for a lock fails at once."""
    put_some(vault, 3)
    monkeypatch.setattr(connection, "BUSY_SECONDS", 0.01)
    with write_lock_held(vault.location):
        yield vault.location


@pytest.fixture
def commands(vault: Vault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Vault:
    """Set the environment for commands on `vault`."""
    add_key_file(vault, tmp_path / "key")
    monkeypatch.setenv("MAILHOLD_STORE", vault.location)
    monkeypatch.setenv("MAILHOLD_KEY_FILE", str(tmp_path / "key"))
    return vault


def test_opening_and_reading_change_nothing(vault: Vault, put_some: Callable[..., list[int]]) -> None:
    ids = put_some(vault, 3)
    with closing(sqlite3.connect(vault.location)) as other:
        version, log = "PRAGMA data_version", Path(vault.location + "-wal")
        before = other.execute(version).fetchone(), vault.change_token(), log.read_bytes()
        again = open_store(vault.location, Unlock.passphrase(PASSPHRASE))
        assert again.ids() == ids and again.raw(ids[0]) and again.count().messages == 3
        again.change_token()
        read_settings(again)
        assert check(again).broken == []
        again.close()
        assert (other.execute(version).fetchone(), vault.change_token(), log.read_bytes()) == before


def test_a_store_that_another_process_writes_to_opens_and_is_read(held: str) -> None:
    opened = open_store(held, Unlock.passphrase(PASSPHRASE))
    assert len(opened.ids()) == 3 and opened.change_token() == opened.change_token()
    opened.close()


@pytest.mark.parametrize("words", [["list"], ["show", "1"], ["status"], ["settings"], ["queue"], ["check"]])
def test_commands_that_read_wait_for_no_writer(
    commands: Vault, held: str, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*words, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) is not None
