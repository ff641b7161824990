"""Saved filters: kept in order, one per name, shared by all who open the store."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from store.authority import audit
from store.filters import saved as saved_filters
from store.filters.saved import SavedFilter, read_saved_filters, remove_filter, save_filter
from store.terms.errors import FilterError, MailholdError, TamperedError, UsageError
from store.vault.vault import Vault
from tests.amounts import amount


def names(vault: Vault) -> list[str]:
    return [each.name for each in read_saved_filters(vault)]


def test_saved_read_and_removed(any_vault: Vault, open_again: Callable[[], Vault]) -> None:
    assert read_saved_filters(any_vault) == ()
    save_filter(any_vault, "spam of the week", "scan:anti-spam period:week", operator="ada")
    save_filter(any_vault, "  Infected   today ", " status:infected period:day ", operator="ada")
    assert read_saved_filters(open_again()) == (
        SavedFilter("Infected today", "status:infected period:day"),
        SavedFilter("spam of the week", "scan:anti-spam period:week"),
    )
    assert remove_filter(any_vault, "INFECTED TODAY", operator="ada") is True
    assert remove_filter(any_vault, "infected today", operator="ada") is False
    assert names(any_vault) == ["spam of the week"]
    assert [event.action for event in audit.events(any_vault)] == ["filter removed", "filter saved", "filter saved"]


def test_the_same_name_is_replaced(any_vault: Vault) -> None:
    save_filter(any_vault, "Straße", "from:a")
    save_filter(any_vault, "STRASSE", "from:b")
    assert read_saved_filters(any_vault) == (SavedFilter("STRASSE", "from:b"),)


@pytest.mark.parametrize(
    ("name", "line", "error"),
    [
        ("", "from:a", UsageError),
        (" \t", "from:a", UsageError),
        ("x" * 41, "from:a", UsageError),
        ("a\x1b[31m", "from:a", UsageError),
        ("@", "from:a", UsageError),
        ("a\u202eb", "from:a", UsageError),
        ("all", "  ", UsageError),
        ("wrong", "period:someday", FilterError),
    ],
)
def test_what_cannot_be_saved(vault: Vault, name: str, line: str, error: type[MailholdError]) -> None:
    with pytest.raises(error):
        save_filter(vault, name, line)
    assert read_saved_filters(vault) == ()


def test_there_is_a_limit(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saved_filters, "MAX_FILTERS", 3)
    for number in range(3):
        save_filter(vault, f"n{number}", "from:a")
    with pytest.raises(UsageError, match="Delete one first"):
        save_filter(vault, "n3", "from:a")
    save_filter(vault, "N2", "from:b")
    assert names(vault) == ["n0", "n1", "N2"]


def test_two_at_once_lose_nothing(any_vault: Vault, open_again: Callable[[], Vault]) -> None:
    vaults = [any_vault, open_again()]

    def work(number: int) -> None:
        for step in range(5):
            save_filter(vaults[number % 2], f"{number}-{step}", "from:a")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert names(any_vault) == sorted(f"{number}-{step}" for number in range(4) for step in range(5))


@given(st.text(max_size=50), st.text(max_size=50))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=amount(25, 60), deadline=None)
def test_any_text_is_saved_or_a_clear_error(vault: Vault, name: str, line: str) -> None:
    try:
        saved = save_filter(vault, name, line)
    except MailholdError as error:
        assert str(error)
    else:
        assert saved in read_saved_filters(vault)


def test_filters_that_were_altered_are_not_used(vault: Vault) -> None:
    save_filter(vault, "a", "from:a")
    vault.models.Configuration.update(sealed=b"x" * 99).execute()
    with pytest.raises(TamperedError, match="Saved-filters"):
        read_saved_filters(vault)
