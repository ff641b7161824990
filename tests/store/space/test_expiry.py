"""What was long enough in the bin is removed, but not because a clock was ahead for a while."""

from __future__ import annotations

import pytest

from store.helpers.clock import DAY_MS, now_ms
from store.space import expiry
from store.terms.records import CopyRecord
from store.vault.vault import Vault


class Clocks:
    """The wall clock is `ahead` (ms), and `passed` seconds have passed."""

    ahead = 0
    passed = 0.0

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("store.space.bin.now_ms", self.now)
        monkeypatch.setattr(expiry, "now_ms", self.now)
        monkeypatch.setattr(expiry.time, "monotonic", lambda: self.passed)

    def now(self) -> int:
        return now_ms() + self.ahead


@pytest.fixture
def clocks(monkeypatch: pytest.MonkeyPatch) -> Clocks:
    return Clocks(monkeypatch)


def fill(vault: Vault) -> None:
    """Put two copies into the bin: one whose time is over, and one that is kept for a week."""
    ids = [vault.put(b"x", CopyRecord(subject=f"s{number}")) for number in range(2)]
    vault.bin.put(ids[:1], until=now_ms() - 1000)
    vault.bin.put(ids[1:], until=now_ms() + 7 * DAY_MS)


def test_what_is_over_goes_after_an_hour(vault: Vault, clocks: Clocks) -> None:
    fill(vault)
    looks = expiry.Expiry(vault)
    for passed, removed in ((0, 0), (expiry.SETTLED - 1, 0), (expiry.SETTLED, 1), (2 * expiry.SETTLED, 0)):
        clocks.passed = passed
        assert looks.look() == removed
    assert len(vault.bin.ids()) == 1


def test_a_clock_that_is_set_right_within_the_hour_empties_no_bin(vault: Vault, clocks: Clocks) -> None:
    fill(vault)
    looks = expiry.Expiry(vault)
    looks.look()
    clocks.passed = expiry.SETTLED
    assert looks.look() == 1
    clocks.ahead = 30 * DAY_MS
    assert looks.look() == 0
    clocks.passed += expiry.SETTLED - 1
    assert looks.look() == 0
    clocks.ahead = 0
    assert looks.look() == 0
    clocks.ahead, clocks.passed = 30 * DAY_MS, clocks.passed + 2
    assert looks.look() == 0
    assert len(vault.bin.ids()) == 1
