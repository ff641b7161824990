"""Help, footer and palette are made from the key map; commands that are unavailable say why."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual.widgets import Static

from store.authority.settings import Settings
from store.filters.line import FIELDS
from store.space.changing_settings import change_settings
from store.vault.vault import Vault
from tests.tui.console.driven import lines, make_console, settle, the_list
from tests.tui.console.fakes import FakeCatalogue
from tests.tui.console.view_harness import until_shown
from tui.console.acts import actions, chosen_facts
from tui.console.dialogs.help import HelpDialog, help_columns, side_by_side
from tui.console.keys.keymap import KEYS, Keymap, Scope
from tui.console.palette import ActionProvider


async def test_the_help_names_every_key(vault: Vault) -> None:
    app = make_console(vault)
    async with app.run_test(size=(160, 40)) as pilot:
        await settle(pilot)
        await pilot.press("question_mark")
        await pilot.pause()
        text = " ".join(str(app.screen.query_one("#text", Static).render()).split())
        for key in KEYS:
            assert app.keys.drawn(key, all_keys=True) in text
        for word in ("from:", "scan:", "part of the subject"):
            assert word in text
        await pilot.press("q")
        await pilot.pause()
        assert app.screen is app.main


@given(st.integers(53, 193), st.booleans(), st.sampled_from(Scope))
def test_every_entry_of_the_help_is_whole_and_there_once(width: int, impossible: bool, scope: Scope) -> None:
    keymap = Keymap({"mark": "space,t,ctrl+shift+f5,insert,ctrl+shift+f6"})
    reason = "No relay is set, so nothing can be delivered. Set one in Settings." if impossible else None
    blocks = HelpDialog(keymap, lambda action: reason, scope).blocks()
    entries = [entry for block in blocks for entry in block.entries]
    assert len(entries) >= len(KEYS) + len(FIELDS)
    for count in (1, 2) if width > 110 else (1,):
        drawn = help_columns(blocks, width, count)
        assert sum(cells for cells, _ in drawn) + 2 * (count - 1) <= width
        assert all(line.cell_length <= cells for cells, lines in drawn for line in lines)
        words = " ".join(" ".join(str(line) for _, lines in drawn for line in lines).split())
        said = [f"{block.title} " + " ".join(f"{one.name} {one.text}" for one in block.entries) for block in blocks]
        assert words == " ".join(" ".join(said).split())
        joined = side_by_side(drawn)
        assert all(line.cell_length <= width for line in joined)
        assert len("".join(map(str, joined)).replace(" ", "")) == len(words.replace(" ", ""))


async def test_the_help_window_cuts_nothing_at_any_width(vault: Vault) -> None:
    app = make_console(vault)
    async with app.run_test(size=(60, 24)) as pilot:
        await settle(pilot)
        await pilot.press("question_mark")
        for width in (*range(60, 121, 10), *range(122, 143), *range(145, 201, 11)):
            await pilot.resize_terminal(width, 24)
            await pilot.pause()
            text = app.screen.query_one("#text", Static)
            shown = text.render().split("\n")
            assert max(line.cell_length for line in shown) <= text.scrollable_content_region.width, width
            assert text.size.height == len(shown), width


async def test_the_footer_shows_the_keys_of_where_the_focus_is(vault: Vault) -> None:
    app = make_console(vault)
    async with app.run_test(size=(120, 30)) as pilot:
        await settle(pilot)
        assert "f Search filter" in lines(app)[-1]
        await pilot.press("slash")
        await pilot.pause()
        assert "Esc Clear" in lines(app)[-1] and "Search filter" not in lines(app)[-1]
        await pilot.press("escape", "tab")
        await pilot.pause()
        assert "⏎ Open" in lines(app)[-1]


async def test_the_footer_keeps_the_help_where_there_is_no_room(vault: Vault) -> None:
    app = make_console(vault)
    async with app.run_test(size=(44, 20)) as pilot:
        await settle(pilot)
        assert lines(app)[-1].rstrip().endswith("? Help")
        assert "r Deliver" in lines(app)[-1]


@pytest.mark.parametrize("place", ["3", "4", "5", "6", "7"])
async def test_the_footer_shows_the_way_back_in_every_view(vault: Vault, place: str) -> None:
    app = make_console(vault)
    async with app.run_test(size=(60, 20)) as pilot:
        await settle(pilot)
        await pilot.press(place)
        await settle(pilot)
        assert "Esc To messages list" in lines(app)[-1] and lines(app)[-1].rstrip().endswith("? Help")
        await pilot.press("escape")
        await settle(pilot)
        assert app.main.places.place == "backup"


async def test_a_click_in_the_footer_presses_the_key(vault: Vault) -> None:
    app = make_console(vault)
    async with app.run_test(size=(120, 30)) as pilot:
        await settle(pilot)
        await pilot.click("#keys", offset=(lines(app)[-1].index("Mark") + 1, 0))
        await settle(pilot)
        assert the_list(app).marks.count == 1


async def test_the_footer_shows_an_impossible_key_faint_and_why_under_the_mouse(vault: Vault) -> None:
    app = make_console(vault)

    def painted(text: str) -> tuple[bool, str | None]:
        """Return whether a key is drawn as impossible (also without colour), and what the mouse says there."""
        [strip] = app.main.footer.render_lines(app.main.footer.size.region)
        [drawn] = [each for each in strip if text in each.text]
        return bool(drawn.style and drawn.style.italic), str(app.main.footer.tooltip)

    async with app.run_test(size=(120, 30)) as pilot:
        await settle(pilot)
        at = lines(app)[-1].index("Deliver")
        await pilot.hover("#keys", offset=(at, 0))
        assert painted("Deliver") == (True, actions.NO_RELAY)
        assert not painted("Delete")[0]
        change_settings(vault, Settings(relay="smtp://127.0.0.1:9"))
        app.store_changed()
        await settle(pilot)
        await pilot.hover("#keys", offset=(at + 1, 0))
        assert painted("Deliver") == (False, "Deliver the marked copies, or the one at the cursor")


async def test_an_action_that_is_not_possible_says_why(vault: Vault) -> None:
    app = make_console(vault)
    async with app.run_test(size=(120, 30)) as pilot:
        await settle(pilot)
        assert app.cannot("deliver") == actions.NO_RELAY
        await pilot.press("r")
        await settle(pilot)
        assert actions.NO_RELAY in "\n".join(lines(app))
        assert app.cannot("unmark-all") == "Nothing is marked."
        await pilot.press("space")
        assert app.cannot("unmark-all") is None


async def test_with_a_relay_deliver_is_possible(vault: Vault) -> None:
    change_settings(vault, Settings(relay="smtp://127.0.0.1:2525"))
    app = make_console(vault)
    async with app.run_test(size=(120, 30)) as pilot:
        await settle(pilot)
        assert app.cannot("deliver") is None


async def test_an_empty_backup_has_nothing_to_do(vault: Vault) -> None:
    app = make_console(vault, FakeCatalogue())
    async with app.run_test(size=(120, 30)) as pilot:
        await settle(pilot)
        assert app.cannot("view") == app.cannot("delete") == chosen_facts.NOTHING
        await pilot.press("d")
        await settle(pilot)
        assert app.screen is app.main


async def test_the_palette_offers_what_is_possible_and_what_is_not(vault: Vault) -> None:
    app = make_console(vault)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        provider = ActionProvider(app.screen)
        offered = [hit async for hit in provider.discover()]
        texts = {str(hit.text): str(hit.help or "") for hit in offered}
        assert {"Open the Search filter window", "Go to Settings", "Sort by another column"} <= set(texts)
        deliver = next(key.text for key in KEYS if key.id == "deliver")
        assert actions.NO_RELAY in texts[deliver]
        found = [str(hit.text) async for hit in provider.search("sort")]
        assert "Sort by another column" in found and "Go to Settings" not in found


async def test_the_palette_runs_an_action(vault: Vault) -> None:
    app = make_console(vault)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        await pilot.press("colon", *"mark all")
        await pilot.pause(0.5)
        await pilot.press("enter", "enter")
        await settle(pilot)
        assert the_list(app).marks.count == 40


async def test_a_users_keys_are_used_and_shown(vault: Vault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "keys.toml"
    path.write_text('[keys]\nmark = "m"\n')
    monkeypatch.setenv("MAILHOLD_KEYS", str(path))
    app = make_console(vault)
    async with app.run_test(size=(120, 30)) as pilot:
        await settle(pilot)
        assert "m Mark" in lines(app)[-1]
        await pilot.press("m", "space")
        assert the_list(app).marks.count == 1


async def test_a_bad_key_file_is_a_notice_and_no_more(
    vault: Vault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "keys.toml"
    path.write_text("[keys")
    monkeypatch.setenv("MAILHOLD_KEYS", str(path))
    app = make_console(vault)
    async with app.run_test(size=(120, 30)) as pilot:
        await until_shown(pilot, "not valid TOML")
        await pilot.press("space")
        assert the_list(app).marks.count == 1
