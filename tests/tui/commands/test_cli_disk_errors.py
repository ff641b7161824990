"""A disk that fails after a command's work: the work done is reported, and the failure too."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from store.authority.settings import Settings, read_settings
from store.opening.opening import Unlock, create_store, open_store
from store.space.changing_settings import change_settings
from store.terms.errors import StoreUnavailable
from store.terms.records import CopyRecord
from store.vault.vault import Vault
from tests.system_calls import Call, Fault, calls
from tui.commands.cli import main


@pytest.fixture
def vault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Vault:
    """Make a store that only commands open and close."""
    monkeypatch.setenv("MAILHOLD_STORE", str(tmp_path / "mail.store"))
    monkeypatch.setenv("MAILHOLD_KEY_FILE", str(tmp_path / "key"))
    made, _recovery = create_store(str(tmp_path / "mail.store"), key_file=tmp_path / "key")
    change_settings(made, Settings(relay="smtp://127.0.0.1:9", allow_infected=True))
    record = CopyRecord(envelope_recipients=("b@y.example",))
    made.put_many((b"Subject: %d\r\n\r\n" % number * 200, record, None) for number in range(30))
    made.close()
    return made


def _number(kind: str, work: Callable[[], object]) -> int:
    """Return how many calls of a kind `work` makes."""
    seen = 0

    def count(call: Call) -> None:
        nonlocal seen
        seen += call.name.startswith(kind)

    with calls(count):
        work()
    return seen


def _failing(kind: str, first: int, words: list[str]) -> int:
    """Run `mailhold` with all calls of a kind failing from number `first` on."""
    seen = 0

    def answer(call: Call) -> Fault | None:
        nonlocal seen
        seen += call.name.startswith(kind)
        return Fault.LOST if call.name.startswith(kind) and seen > first else None

    with calls(answer):
        return main(words)


@pytest.mark.parametrize(
    ("kind", "words", "said", "there"),
    [
        (
            "pread",
            ["import", "--json", "{folder}/new"],
            lambda told: told["imported"],
            lambda vault: len(vault.ids()) - 30,
        ),
        (
            "pread",
            ["delete", "--json", "--yes", "1-20"],
            lambda told: told["deleted"],
            lambda vault: 30 - len(vault.ids()),
        ),
        ("pread", ["settings", "set", "--json", "max_size=1GB"], lambda _told: 1, lambda vault: _changed(vault)),
    ],
    ids=["import", "delete", "settings"],
)
def test_what_was_done_is_told_though_the_disk_fails_afterwards(
    vault: Vault,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    kind: str,
    words: list[str],
    said: Callable[[Any], int],
    there: Callable[[Vault], int],
) -> None:
    """The first failure may be any read or write of the store."""
    (tmp_path / "new").mkdir()
    for number in range(5):
        (tmp_path / "new" / f"{number}.eml").write_bytes(b"From: a@x.example\r\nSubject: %d\r\n\r\nx\r\n" % number)
    words = [word.format(folder=tmp_path) for word in words]
    store = tmp_path / "mail.store"
    before = store.read_bytes()
    number = _number(kind, lambda: main(words))
    told = 0
    for first in range(0, number, 1 + number // 40):
        for path in tmp_path.glob("mail.store*"):
            path.unlink()
        store.touch(mode=0o600)
        store.write_bytes(before)
        capfd.readouterr()
        with pytest.MonkeyPatch.context() as patch:
            # Clear the memory of the store from the previous try.
            patch.setenv("XDG_STATE_HOME", str(tmp_path / f"state{first}"))
            code = _failing(kind, first, words)
            out, err = capfd.readouterr()
            again = open_store(str(store), Unlock.key_file(tmp_path / "key"))
            done = there(again)
            again.close()
        assert (said(json.loads(out)) if out else 0) == done, (first, number, out, err)
        assert code == 0 or err.startswith("mailhold: ")
        told += bool(out) and bool(err)
    assert told or words[0] == "delete"


def _changed(vault: Vault) -> int:
    return int(read_settings(vault).max_size == 1 << 30)


def test_what_was_queued_is_told_though_the_queue_cannot_be_read(
    vault: Vault, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(_vault: Vault) -> None:
        raise StoreUnavailable("The store is not available (disk I/O error): look at its disk.")

    monkeypatch.setattr("tui.commands.deliver.queue_json", fails)
    assert main(["deliver", "--original", "1-9"]) == 1
    out, err = capfd.readouterr()
    assert out == "9 placed in queue for delivery.\n"
    assert err.startswith("mailhold: the queue could not be read: The store is not available (disk I/O error)")
    assert main(["deliver", "--json", "--original", "10-12"]) == 1
    told = json.loads(capfd.readouterr().out)
    assert (told["queued"], told["deliveries"]) == (3, [])


@pytest.mark.usefixtures("vault")
def test_a_store_that_check_cannot_read_is_to_be_restored(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "mail.store"
    damaged = path.read_bytes().replace(b'CREATE TABLE "bin_act', b'CREATE TABLF "bin_act', 1)
    assert damaged != path.read_bytes()
    path.write_bytes(damaged)
    for words in (["check"], ["status"]):
        capsys.readouterr()
        assert main(words) == 1
        assert "If it cannot read the store either, restore a backup." in capsys.readouterr().err
