"""The audit trail records every act, in order, complete, and sealed."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.authority import audit, configuration
from store.authority.audit import CopyIds, check_events, events, record_event
from store.terms.errors import TamperedError
from store.vault.vault import Vault


@given(st.sets(st.integers(0, 60)))
def test_ids_as_runs_are_the_ids(ids: set[int]) -> None:
    runs = CopyIds.of(ids)
    expected = sorted(ids)
    assert list(runs) == expected
    assert len(runs) == len(expected)
    assert runs == expected
    assert [runs[at] for at in range(len(runs))] == expected
    assert [runs[at] for at in range(-len(runs), 0)] == expected
    assert runs[1:4] == expected[1:4]
    assert all((number in runs) == (number in ids) for number in range(61))
    with pytest.raises(IndexError):
        runs[len(runs)]


def test_a_hundred_thousand_ids_take_one_run() -> None:
    assert CopyIds.of(range(5, 100_005)).runs == ((5, 100_000),)


def test_events_come_newest_first_in_pages(any_vault: Vault) -> None:
    for number in range(7):
        record_event(any_vault, "deleted", operator=f"op{number}", copies=[number, number + 1], detail="d", at=number)
    newest = events(any_vault, limit=3)
    assert [event.operator for event in newest] == ["op6", "op5", "op4"]
    assert newest[0][1:8] == (6, "op6", "deleted", [6, 7], "d", 1000, "")
    assert [event.at for event in events(any_vault, before_id=newest[-1].id)] == [3, 2, 1, 0]
    assert events(any_vault, limit=0) == []


def test_any_text_and_no_copies(any_vault: Vault) -> None:
    record_event(any_vault, "", operator="Jürgen \x1b[31m", detail="\u202e" * 1000)
    (event,) = events(any_vault)
    assert event.operator == "Jürgen \x1b[31m"
    assert event.detail == "\u202e" * 1000
    assert event.copies == []
    assert event.at > 1_700_000_000_000


def test_an_event_of_a_transaction_that_failed_is_not_there(any_vault: Vault) -> None:
    with pytest.raises(ValueError), any_vault.write():
        record_event(any_vault, "deleted", operator="op")
        raise ValueError
    assert events(any_vault) == []


def test_events_of_many_threads_make_one_chain(any_vault: Vault, open_again: Callable[[], Vault]) -> None:
    vaults = [any_vault, open_again()]

    def work(vault: Vault, name: str) -> None:
        for number in range(8):
            record_event(vault, "saved", operator=name, copies=[number])

    threads = [threading.Thread(target=work, args=(vaults[number % 2], str(number))) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(events(any_vault)) == 32
    assert [problem for _, problem in check_events(any_vault) if problem] == []


def test_check_names_each_event(any_vault: Vault) -> None:
    for _ in range(3):
        record_event(any_vault, "saved", operator="op")
    ids = [event.id for event in events(any_vault)][::-1]
    assert list(check_events(any_vault)) == [(f"event {number}", None) for number in ids]


def test_an_event_that_was_changed_is_found(any_vault: Vault) -> None:
    for _ in range(3):
        record_event(any_vault, "saved", operator="op")
    table = any_vault.models.Audit
    middle = events(any_vault)[1].id
    sealed = bytearray(table.get_by_id(middle).sealed)
    sealed[-1] ^= 1
    table.update(sealed=bytes(sealed)).where(table.id == middle).execute()
    with pytest.raises(TamperedError, match=f"Event {middle}"):
        events(any_vault)
    broken = {name for name, problem in check_events(any_vault) if problem}
    assert f"event {middle}" in broken


def test_a_changed_time_is_found(any_vault: Vault) -> None:
    record_event(any_vault, "saved", operator="op")
    any_vault.models.Audit.update(at=1).execute()
    with pytest.raises(TamperedError, match="signature"):
        events(any_vault)


@pytest.mark.parametrize("field", ["at", "sealed"])
@pytest.mark.parametrize("absurd", ["text", b"bytes", 3.5, 7])
def test_an_absurd_value_is_found(vault: Vault, field: str, absurd: object) -> None:
    """A table recreated without types accepts any value in any column."""
    record_event(vault, "saved", operator="op")
    with vault.db.making():
        vault.db.connection().executescript(
            "CREATE TABLE loose AS SELECT * FROM audit; DROP TABLE audit; ALTER TABLE loose RENAME TO audit"
        )
    vault.db.execute_sql(f"UPDATE audit SET {field} = ?", (absurd,))
    with pytest.raises(TamperedError):
        events(vault)
    assert sum(bool(problem) for _, problem in check_events(vault)) == 1


def test_an_event_that_was_taken_out_is_found(any_vault: Vault) -> None:
    for _ in range(4):
        record_event(any_vault, "saved", operator="op")
    table = any_vault.models.Audit
    third = events(any_vault)[1].id
    table.delete().where(table.id == third).execute()
    with pytest.raises(TamperedError, match="missing"):
        events(any_vault)
    assert sum(bool(problem) for _, problem in check_events(any_vault)) == 1


def test_two_events_that_changed_places_are_found(any_vault: Vault) -> None:
    record_event(any_vault, "first", operator="op", at=5)
    record_event(any_vault, "second", operator="op", at=5)
    table = any_vault.models.Audit
    first, second = table.select().order_by(table.id)
    table.update(sealed=second.sealed).where(table.id == first.id).execute()
    table.update(sealed=first.sealed).where(table.id == second.id).execute()
    with pytest.raises(TamperedError):
        events(any_vault)


def test_nothing_is_in_plain_text(vault: Vault) -> None:
    record_event(vault, "verb-in-trail", operator="name-of-operator", detail="subject-line-here")
    vault.close()
    for path in Path(vault.location).parent.iterdir():
        content = path.read_bytes() if path.is_file() else b""
        for word in (b"verb-in-trail", b"name-of-operator", b"subject-line-here"):
            assert word not in content


def test_versions_of_configuration_travel_with_the_trail(any_vault: Vault) -> None:
    assert audit.known_versions(any_vault) == {}
    configuration.write(any_vault, "colours", 1, action="painted")
    configuration.write(any_vault, "colours", 2)
    assert audit.known_versions(any_vault) == {"colours": 1}
    record_event(any_vault, "saved", operator="op")
    assert audit.known_versions(any_vault) == {"colours": 2}
