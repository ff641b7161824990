"""A bin for tests of the console: three acts of two operators, one of them partly brought back."""

from __future__ import annotations

from store.authority.deleting import bring_back, delete_copies
from store.authority.settings import Settings
from store.space.changing_settings import change_settings
from store.vault.vault import Vault
from tests.tui.console.fakes import MINUTE, sample
from tests.tui.console.view_harness import NOW

COPIES = 120


def raw(number: int) -> bytes:
    """Make the message of a copy."""
    return b"Subject: number %d\r\n\r\nhello %d\r\n" % (number, number)


def fill_bin(vault: Vault) -> None:
    """Put copies 1 to 120; delete 1 to 60, then 70, 72 and 80, then 119; bring 51 to 56 back."""
    vault.put_many((raw(n), sample(n, NOW), NOW - (COPIES - n) * MINUTE) for n in range(1, COPIES + 1))
    change_settings(vault, Settings(relay="smtp://127.0.0.1:9"), operator="ada")
    delete_copies(vault, range(1, 61), operator="ada")
    delete_copies(vault, [70, 72, 80], operator="j.fischer\x1b[31m")
    delete_copies(vault, [119], operator="ada")
    bring_back(vault, range(51, 57), operator="ada")
