"""After a letter typed in the filter line the next one is foreseen, and only then."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from store.catalogue import foresight
from store.filters.line import MessageFilter
from store.vault.vault import Vault
from tests.tui.console.driven import make_console, settle, the_list
from tests.tui.console.fakes import FakeCatalogue, copies


@pytest.fixture
def foreseen(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """Note each text that was foreseen on, and its number of copies."""
    asked: list[tuple[str, int]] = []

    class Noted:
        def __init__(self, catalogue: FakeCatalogue) -> None:
            pass

        def foresee(self, text: str, found: int, read: Callable[[str], MessageFilter]) -> None:
            asked.append((text, found))
            raise MemoryError

    monkeypatch.setattr(foresight, "Foresight", Noted)
    return asked


async def test_the_letter_after_a_typed_one_is_foreseen(vault: Vault, foreseen: list[tuple[str, int]]) -> None:
    app = make_console(vault, FakeCatalogue(copies(40)))
    async with app.run_test(size=(120, 30)) as pilot:
        await settle(pilot)
        await pilot.press("slash")
        assert not foreseen
        for letter in "in":
            await pilot.press(letter)
            await settle(pilot)
        assert foreseen == [("i", foreseen[0][1]), ("in", the_list(app).count)]
        await pilot.press("backspace")
        await settle(pilot)
        await pilot.press("escape", "j")
        await settle(pilot)
        assert len(foreseen) == 2
        app.main.backup.set_filter(MessageFilter())
        await settle(pilot)
        assert len(foreseen) == 2
