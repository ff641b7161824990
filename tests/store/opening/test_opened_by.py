"""The acting operator is the owner of the key slot that unlocked the store, whatever the environment says."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from store.authority import audit
from store.authority.audit import events, record_event
from store.authority.event_forms import ROLE
from store.authority.settings import Settings
from store.delivery.history import last_release
from store.delivery.queue import release
from store.enrolment.enrolment import enroll, open_with_credentials
from store.opening.opening import Unlock, create_store, open_store
from store.opening.slots import add_key_file, add_passphrase
from store.space.changing_settings import change_settings
from store.terms.records import CopyRecord
from store.vault.vault import Vault
from tui.commands.cli import main


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path, str]]:
    """Make a store with key files of ann and of nobody named, a passphrase of ben, and a recovery key."""
    folder = tmp_path_factory.mktemp("who")
    location = str(folder / "backup.db")
    vault, recovery = create_store(location, key_file=folder / "ann", operator="ann")
    with closing(vault):
        assert vault.opened_by == "ann"
        add_passphrase(vault, "words", "ben")
        add_key_file(vault, folder / "nameless", "")
        vault.put(b"Subject: x\r\n\r\nbody\r\n", CopyRecord(envelope_recipients=("b@y.example",)))
        enroll(vault, "mx1", folder / "mx1")
    yield location, folder, recovery


def opened_by(location: str, unlock: Unlock) -> str:
    with closing(open_store(location, unlock)) as vault:
        return vault.opened_by


def test_it_is_the_label_of_the_slot_that_opened(made: tuple[str, Path, str]) -> None:
    location, folder, recovery = made
    assert opened_by(location, Unlock.key_file(folder / "ann")) == "ann"
    assert opened_by(location, Unlock.passphrase("words")) == "ben"
    assert opened_by(location, Unlock.key_file(folder / "nameless")) == "key file 4"
    assert opened_by(location, Unlock.recovery(recovery)) == "recovery key 2"


def test_a_gateway_is_no_operator(made: tuple[str, Path, str]) -> None:
    location, folder, _ = made
    with closing(open_with_credentials(location, folder / "mx1")) as gateway:
        assert gateway.opened_by == ""


def test_a_label_that_does_not_verify_names_nobody(vault: Vault, tmp_path: Path) -> None:
    """A database writer can replace a slot's label with that of another slot."""
    slot, other = add_passphrase(vault, "words", "ben"), add_passphrase(vault, "other words", "ann")
    table: Any = vault.models.KeySlot
    with vault.write():
        sealed = table.get_by_id(other).sealed_label
        table.update(sealed_label=sealed).where(table.id == slot).execute()
    assert opened_by(vault.location, Unlock.passphrase("words")) == f"passphrase {slot}"


def test_commands_act_under_that_name_whatever_the_environment_says(
    made: tuple[str, Path, str], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    location, folder, _ = made
    for name in ("LOGNAME", "USER", "USERNAME", "SUDO_USER", "MAILHOLD_OPERATOR"):
        monkeypatch.setenv(name, "mallory")
    monkeypatch.setenv("MAILHOLD_STORE", location)
    monkeypatch.setenv("MAILHOLD_KEY_FILE", str(folder / "ann"))
    assert main(["settings", "set", "relay=smtp://127.0.0.1:9"]) == 0
    monkeypatch.setenv("MAILHOLD_KEY_FILE", str(folder / "nameless"))
    assert main(["deliver", "1", "--original"]) == 0
    with closing(open_store(location, Unlock.key_file(folder / "ann"))) as vault:
        newest = events(vault, 2)
        released = last_release(vault, 1)
    assert [(event.operator, event.action, event.uid) for event in newest] == [
        ("key file 4", "delivery queued", 1000),
        ("ann", "settings changed", 1000),
    ]
    assert released is not None and released.operator == "key file 4"


def test_an_event_has_the_login_beside_the_operator(any_vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "login_uid", lambda: 4711)
    record_event(any_vault, "looked", operator="ann")
    record_event(any_vault, "rotated", operator="")
    by_itself, by_ann = events(any_vault, 2)
    assert (by_ann.operator, by_ann.uid) == ("ann", 4711) and (by_itself.operator, by_itself.uid) == ("", None)


def test_events_without_a_login_are_read(any_vault: Vault) -> None:
    """Events of earlier versions have no such field."""

    class Before(msgspec.Struct, frozen=True, array_like=True):
        at: int
        operator: str
        action: str
        runs: list[tuple[int, int]]
        detail: str
        previous: bytes
        versions: dict[str, int]

    old = Before(5, "ann", "looked", [], "", b"", {})
    sealed = any_vault.seal(ROLE, msgspec.msgpack.encode(old))
    any_vault.models.Audit.insert(at=5, sealed=sealed).execute()
    [event] = events(any_vault, 1)
    assert (event.at, event.operator, event.action, event.uid, event.damage) == (5, "ann", "looked", None, "")
    record_event(any_vault, "looked again", operator="ann")
    assert [event.action for event in events(any_vault)] == ["looked again", "looked"]


def test_who_opens_an_unnamed_slot_is_called_by_kind_and_id(vault: Vault) -> None:
    change_settings(vault, Settings(relay="smtp://127.0.0.1:9"), operator=vault.opened_by)
    copy = vault.put(b"Subject: x\r\n\r\nbody\r\n", CopyRecord(envelope_recipients=("b@y.example",)))
    release(vault, [copy], original=True, operator=vault.opened_by)
    assert {event.operator for event in events(vault, 2)} == {"passphrase 1"}
