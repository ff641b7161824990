"""Named configuration: versions, concurrent changes, and changes by a database writer."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from store.authority import audit, configuration, configuration_rows
from store.authority.configuration import Conflict, check_configuration, read, write
from store.opening.opening import create_store
from store.terms.errors import TamperedError
from store.terms.records import CopyRecord
from store.vault.vault import Vault


class Colours(msgspec.Struct, frozen=True):
    names: list[str] = []


def row(vault: Vault, name: str = "colours") -> dict[str, Any]:
    table = vault.models.Configuration
    return dict(table.select().where(table.name == name).order_by(table.id.desc()).dicts().first())


def put_back(vault: Vault, old: dict[str, Any]) -> None:
    table = vault.models.Configuration
    table.delete().where(table.name == old["name"]).execute()
    table.insert(**old).execute()


def problems(vault: Vault) -> list[str]:
    return [problem for _, problem in check_configuration(vault) if problem]


def test_nothing_was_written(any_vault: Vault) -> None:
    assert read(any_vault, "colours", Colours) is None
    assert list(check_configuration(any_vault)) == []


def test_versions_count_up(any_vault: Vault) -> None:
    assert write(any_vault, "colours", Colours(["red"]), now=5) == 1
    assert write(any_vault, "other", [1, 2]) == 1
    assert write(any_vault, "colours", Colours(["blue"]), now=7) == 2
    assert read(any_vault, "colours", Colours) == (Colours(["blue"]), 2, 7)
    assert list(check_configuration(any_vault)) == [
        ("configuration colours, former version 1", None),
        ("configuration other", None),
        ("configuration colours", None),
    ]


def test_who_comes_second_is_told(any_vault: Vault) -> None:
    write(any_vault, "colours", Colours(), expected=0)
    with pytest.raises(Conflict, match="somebody else"):
        write(any_vault, "colours", Colours(["late"]), expected=0)
    assert write(any_vault, "colours", Colours(["red"]), expected=1) == 2


def test_of_many_that_race_one_wins(any_vault: Vault, open_again: Callable[[], Vault]) -> None:
    vaults = [any_vault, open_again(), open_again()]
    start = threading.Barrier(6)
    won: list[int] = []

    def race(vault: Vault, number: int) -> None:
        start.wait()
        try:
            write(vault, "colours", Colours([str(number)]), expected=0)
            won.append(number)
        except Conflict:
            pass

    threads = [threading.Thread(target=race, args=(vaults[number % 3], number)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    stored = read(any_vault, "colours", Colours)
    assert stored is not None
    assert (stored.value, stored.version) == (Colours([str(won[0])]), 1)


def test_the_event_is_of_the_same_transaction(any_vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise RuntimeError("disk")

    monkeypatch.setattr(audit, "record_event", full)
    with pytest.raises(RuntimeError):
        write(any_vault, "colours", Colours(["red"]), action="painted")
    assert read(any_vault, "colours", Colours) is None


@pytest.mark.parametrize("field", ["version", "changed_at", "sealed", "signature"])
def test_a_changed_field_is_found(any_vault: Vault, field: str) -> None:
    write(any_vault, "colours", Colours(["red"]))
    value = row(any_vault)[field]
    if isinstance(value, int):
        altered: Any = value + 1
    else:
        altered = bytearray(value)
        altered[len(altered) // 2] ^= 4
        altered = bytes(altered)
    any_vault.models.Configuration.update(**{field: altered}).execute()
    with pytest.raises(TamperedError, match="Colours"):
        read(any_vault, "colours", Colours)
    assert len(problems(any_vault)) == 1


def test_every_flipped_byte_is_found(vault: Vault) -> None:
    write(vault, "colours", Colours(["red"]))
    whole = row(vault)
    for field in ("sealed", "signature"):
        for at in range(len(whole[field])):
            flipped = bytearray(whole[field])
            flipped[at] ^= 1
            put_back(vault, whole | {field: bytes(flipped)})
            with pytest.raises(TamperedError):
                read(vault, "colours", Colours)


@pytest.mark.parametrize("field", ["sealed", "signature"])
def test_a_cut_or_empty_field_is_found(vault: Vault, field: str) -> None:
    write(vault, "colours", Colours(["red"]))
    whole = row(vault)
    for length in (0, 1, 20, len(whole[field]) - 1):
        put_back(vault, whole | {field: whole[field][:length]})
        with pytest.raises(TamperedError):
            read(vault, "colours", Colours)


@pytest.mark.parametrize("field", ["version", "changed_at", "sealed", "signature"])
@pytest.mark.parametrize("absurd", ["text", b"bytes", 3.5, 7])
def test_an_absurd_value_is_found(vault: Vault, field: str, absurd: object) -> None:
    """A table recreated without types accepts any value in any column."""
    write(vault, "colours", Colours(["red"]))
    with vault.db.making():
        vault.db.connection().executescript(
            "CREATE TABLE loose AS SELECT * FROM configuration; DROP TABLE configuration; "
            "ALTER TABLE loose RENAME TO configuration"
        )
    vault.db.execute_sql(f"UPDATE configuration SET {field} = ?", (absurd,))
    with pytest.raises(TamperedError):
        read(vault, "colours", Colours)
    assert len(problems(vault)) == 1


def test_a_row_does_not_stand_in_for_another(any_vault: Vault) -> None:
    write(any_vault, "colours", Colours(["red"]))
    any_vault.models.Configuration.update(name="settings").execute()
    with pytest.raises(TamperedError):
        read(any_vault, "settings", Colours)


def test_a_row_of_another_store_is_not_taken(any_vault: Vault, tmp_path: Path) -> None:
    other, _ = create_store(str(tmp_path / "other.store"), passphrase="p")
    write(other, "colours", Colours(["red"]))
    put_back(any_vault, row(other))
    other.close()
    with pytest.raises(TamperedError):
        read(any_vault, "colours", Colours)


def test_working_state_cannot_pass_for_signed_configuration(vault: Vault) -> None:
    write(vault, "free-space-notice", Colours(["red"]))
    assert row(vault, "free-space-notice")["signature"] == b""
    any_other = row(vault, "free-space-notice") | {"name": "colours"}
    vault.models.Configuration.insert(**(any_other | {"id": 99})).execute()
    with pytest.raises(TamperedError):
        read(vault, "colours", Colours)


def test_an_older_version_that_this_vault_has_seen_newer(any_vault: Vault) -> None:
    write(any_vault, "colours", Colours(["red"]))
    old = row(any_vault)
    write(any_vault, "colours", Colours(["blue"]))
    put_back(any_vault, old)
    with pytest.raises(TamperedError, match="it has version 1, but version 2 was written later"):
        read(any_vault, "colours", Colours)
    with pytest.raises(TamperedError):
        write(any_vault, "colours", Colours(["green"]))
    assert len(problems(any_vault)) == 1


def test_a_version_that_was_rolled_back_was_never_there(any_vault: Vault) -> None:
    write(any_vault, "colours", Colours(["red"]))
    with pytest.raises(RuntimeError), any_vault.write():
        write(any_vault, "colours", Colours(["blue"]), action="painted")
        assert read(any_vault, "colours", Colours) is not None
        raise RuntimeError("the disk is full")
    stored = read(any_vault, "colours", Colours)
    assert stored is not None
    assert stored.value == Colours(["red"])
    assert write(any_vault, "colours", Colours(["green"])) == 2


def test_an_older_version_that_the_audit_trail_knows_newer(any_vault: Vault, open_again: Callable[[], Vault]) -> None:
    write(any_vault, "colours", Colours(["red"]), action="painted")
    old = row(any_vault)
    write(any_vault, "colours", Colours(["blue"]), action="painted")
    put_back(any_vault, old)
    with pytest.raises(TamperedError, match="was written later"):
        read(open_again(), "colours", Colours)


def test_a_row_that_was_taken_away(any_vault: Vault, open_again: Callable[[], Vault]) -> None:
    write(any_vault, "colours", Colours(["red"]), action="painted")
    any_vault.models.Configuration.delete().execute()
    with pytest.raises(TamperedError):
        read(open_again(), "colours", Colours)


def test_a_damaged_event_does_not_stop_the_settings(any_vault: Vault, open_again: Callable[[], Vault]) -> None:
    write(any_vault, "colours", Colours(["red"]), action="painted")
    any_vault.models.Audit.update(sealed=b"broken").execute()
    assert read(open_again(), "colours", Colours) is not None


def test_nor_does_one_whose_bit_was_flipped_nor_an_epoch(any_vault: Vault, open_again: Callable[[], Vault]) -> None:
    any_vault.put(b"x", CopyRecord())
    write(any_vault, "colours", Colours(["red"]), action="painted")
    for model, field in ((any_vault.models.Audit, "sealed"), (any_vault.models.Epoch, "commitment")):
        row = model.select().order_by(model.id.desc()).first()
        damaged = bytearray(getattr(row, field))
        damaged[-1] ^= 1
        setattr(row, field, bytes(damaged))
        row.save()
        write(open_again(), "colours", Colours(["blue"]), action="painted")


def test_a_row_that_is_replaced_while_it_is_read_does_not_count_as_missing(
    any_vault: Vault, open_again: Callable[[], Vault], monkeypatch: pytest.MonkeyPatch
) -> None:
    other, name, fetch = open_again(), "free-space-notice", configuration_rows.run
    write(any_vault, name, ["first"])

    def overtaken(db: Any, sql: str, *values: Any) -> Any:
        if sql == configuration_rows._ROW and db is other.db:
            monkeypatch.setattr(configuration_rows, "run", fetch)
            write(any_vault, name, ["second"])
        return fetch(db, sql, *values)

    monkeypatch.setattr(configuration_rows, "run", overtaken)
    found = read(other, name, list[str])
    assert found is not None and found.value == ["second"]


def test_readers_and_a_writer_at_once(any_vault: Vault, open_again: Callable[[], Vault]) -> None:
    write(any_vault, "colours", Colours(["0"]), action="painted")
    other = open_again()
    failed: list[BaseException] = []
    stop = threading.Event()

    def reader() -> None:
        last = 0
        while not stop.is_set():
            try:
                found = read(other, "colours", Colours)
                assert found is not None
                assert found.version >= last
                last = found.version
            except BaseException as error:
                failed.append(error)
                return

    thread = threading.Thread(target=reader)
    thread.start()
    for number in range(40):
        write(any_vault, "colours", Colours([str(number)]), action="painted")
    stop.set()
    thread.join()
    assert failed == []
    assert configuration.read(other, "colours", Colours) is not None
