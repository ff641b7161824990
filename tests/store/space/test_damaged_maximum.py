"""Rotation if the settings do not verify: the last known maximum applies, or none if none is known."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from store.authority.settings import Settings
from store.enrolment.enrolment import enroll, open_with_credentials
from store.space.changing_settings import change_settings
from store.space.limits import last_known, usage
from store.space.rotation import forecast, rotate
from store.terms.records import CopyRecord
from store.vault.vault import Vault

SIZE = 10_000
FIVE = Settings(max_size=5 * (SIZE + 1000), notify_below=0)


def fill(vault: Vault, count: int) -> list[int]:
    return [vault.put(os.urandom(SIZE), CopyRecord()) for _ in range(count)]


def damage(vault: Vault, *, all_versions: bool = False) -> None:
    """Flip a bit of the newest settings, or damage all versions."""
    table = vault.models.Configuration
    rows = list(table.select().where(table.name == "settings").order_by(table.id.desc()))
    with vault.write():
        for row in rows if all_versions else rows[:1]:
            sealed = bytes(row.sealed)
            table.update(sealed=sealed[:-1] + bytes([sealed[-1] ^ 1])).where(table.id == row.id).execute()


def test_a_put_goes_on_by_the_maximum_that_this_process_knew(any_vault: Vault) -> None:
    change_settings(any_vault, FIVE)
    fill(any_vault, 7)
    assert any_vault.count().messages == 5
    damage(any_vault, all_versions=True)
    ids = fill(any_vault, 3)
    assert any_vault.ids() == list(range(ids[-1] - 4, ids[-1] + 1))
    known = last_known(any_vault)
    assert known is not None and known.max_bytes == FIVE.max_size and "the oldest copies are removed" in str(known)


def test_a_put_goes_on_by_a_former_version_that_verifies(any_vault: Vault, open_again: Callable[[], Vault]) -> None:
    change_settings(any_vault, FIVE)
    change_settings(any_vault, Settings(max_size=FIVE.max_size, notify_below=0, relay="smtp://relay.example:25"))
    fill(any_vault, 4)
    damage(any_vault)
    again = open_again()
    ids = fill(again, 4)
    assert again.ids() == list(range(ids[-1] - 4, ids[-1] + 1))


def test_a_former_version_of_smaller_days_removes_nothing_of_what_is_there(
    any_vault: Vault, open_again: Callable[[], Vault]
) -> None:
    change_settings(any_vault, FIVE)
    change_settings(any_vault, Settings(max_size=100 * FIVE.max_size, notify_below=0))
    fill(any_vault, 20)
    damage(any_vault)
    again = open_again()
    fill(again, 3)
    assert again.count().messages in (20, 21), (
        "it stays about as large as it was, and each new copy takes the oldest's place"
    )
    assert again.ids()[-1] == 23


def test_a_put_removes_nothing_where_no_maximum_is_known(any_vault: Vault, open_again: Callable[[], Vault]) -> None:
    change_settings(any_vault, FIVE)
    fill(any_vault, 5)
    damage(any_vault, all_versions=True)
    again = open_again()
    fill(again, 4)
    assert again.count().messages == 9
    assert rotate(again).removed == 0
    known = last_known(again)
    assert known is not None and known.max_bytes is None and "no copies are removed" in str(known)
    full = usage(again)
    assert (full.messages, full.max_bytes, full.free_bytes) == (9, 0, 0) and full.used_bytes
    assert forecast(again).reaches_oldest_at is None


def test_settings_that_verify_again_are_gone_by_at_once(any_vault: Vault, open_again: Callable[[], Vault]) -> None:
    change_settings(any_vault, FIVE)
    fill(any_vault, 5)
    damage(any_vault, all_versions=True)
    again = open_again()
    fill(again, 4)
    damage(again, all_versions=True)  # The bits are flipped back.
    assert last_known(again) is None
    fill(again, 1)
    assert again.count().messages == 5


def test_a_gateway_rotates_on_too(vault: Vault, tmp_path: Path) -> None:
    change_settings(vault, FIVE)
    enroll(vault, "mx1", tmp_path / "mx1")
    gateway = open_with_credentials(vault.location, tmp_path / "mx1")
    fill(gateway, 6)
    damage(vault, all_versions=True)
    fill(gateway, 6)
    assert gateway.count().messages == 5
    gateway.close()


def test_settings_whose_row_is_gone_are_not_those_of_a_new_store(
    any_vault: Vault, open_again: Callable[[], Vault]
) -> None:
    change_settings(any_vault, Settings(max_size=1 << 40))
    with any_vault.write():
        any_vault.models.Configuration.delete().execute()
    known = last_known(open_again())
    assert known is not None and known.max_bytes is None
