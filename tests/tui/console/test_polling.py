"""How often the console looks at the store."""

from __future__ import annotations

import pytest

from store.vault.vault import Vault
from tests.tui.console.driven import make_console, poll, settle
from tests.tui.console.fakes import FakeCatalogue, copies
from tui.console import follow
from tui.console.app import POLL


class _Counting(FakeCatalogue):
    """A catalogue that counts how often it is asked for changes."""

    polls = 0

    def refresh(self) -> bool:
        self.polls += 1
        return super().refresh()


@pytest.mark.parametrize("rest", [0, 1_000_000])
async def test_a_busy_store_is_looked_at_less_often(vault: Vault, monkeypatch: pytest.MonkeyPatch, rest: int) -> None:
    monkeypatch.setattr(follow, "REST", rest)
    monkeypatch.setattr(follow, "MOST_REST", 1_000_000.0)
    catalogue = _Counting(copies(3))
    async with make_console(vault, catalogue).run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        before = catalogue.polls
        for _ in range(200 if not rest else 6):
            await pilot.pause(POLL)
            if catalogue.polls > before + 2:
                break
        assert (catalogue.polls > before) is (rest == 0)
        # What an operator did here is shown at once.
        catalogue.changed()
        before = catalogue.polls
        await poll(pilot)
        assert catalogue.polls > before
