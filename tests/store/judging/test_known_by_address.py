"""Looking up many addresses at once gives each one's counts and no other's."""

from __future__ import annotations

import pytest

from store.helpers.clock import DAY_MS
from store.judging import known_by_address as module
from store.judging.known_by_address import known_by_address
from store.sealing.counting import DOMAIN, RECIPIENT, SENDER
from store.vault.known import Known
from store.vault.vault import Vault

DAY = 20_000


@pytest.mark.parametrize("part", [1, 200])
def test_each_address_has_what_was_counted_for_it(any_vault: Vault, monkeypatch: pytest.MonkeyPatch, part: int) -> None:
    monkeypatch.setattr(module, "_PART", part)
    known = Known(any_vault)
    known.add(
        {
            (SENDER, "anna@example.net"): (2, 1),
            (DOMAIN, "example.net"): (5, 0),
            (RECIPIENT, "bert@example.org"): (4, 0),
        },
        DAY,
    )
    asked = ["Anna@Example.NET", "bert@example.org", "carl@example.com", "no address", ""]
    found = known_by_address(any_vault, asked, now=DAY * DAY_MS)
    assert set(found) == {"Anna@Example.NET", "bert@example.org"}
    anna, bert = found["Anna@Example.NET"], found["bert@example.org"]
    assert (anna.address, anna.domain, anna.written_to) == (3, 5, 0)
    assert (bert.address, bert.domain, bert.written_to) == (0, 0, 4)


def test_a_store_without_counters_knows_nobody(any_vault: Vault) -> None:
    assert known_by_address(any_vault, ["anna@example.net"], now=DAY * DAY_MS) == {}
