"""The key map: one table for bindings, footer and help; a user's file changes it, and errors in it are reported."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from textual.binding import Binding

from tui.console.keys.key_file import KeymapError, load
from tui.console.keys.keymap import KEYS, Keymap, Scope, bindings, by_id, draw, keys_of


def write(folder: Path, text: str) -> Path:
    path = folder / "keys.toml"
    path.write_text(text, "utf-8")
    return path


def test_ids_are_unique() -> None:
    assert not [name for name, times in Counter(key.id for key in KEYS).items() if times > 1]


@pytest.mark.parametrize("scope", list(Scope))
def test_no_key_does_two_things_in_one_place(scope: Scope) -> None:
    names = [
        binding.key for key in keys_of(scope) for binding in Binding.make_bindings([(key.keys, key.action, key.text)])
    ]
    assert not [name for name, times in Counter(names).items() if times > 1]


@pytest.mark.parametrize(
    "scope", [Scope.LIST, Scope.VIEW, Scope.CAMPAIGNS, Scope.CAMPAIGN, Scope.COMPARE, Scope.PAGE, Scope.TREE]
)
def test_the_keys_everywhere_hide_no_other(scope: Scope) -> None:
    everywhere = {name for key in keys_of(Scope.APP) for name in key.keys.split(",")}
    here = {name for key in keys_of(scope) for name in key.keys.split(",")}
    assert not everywhere & here - {"h"}


def test_the_keys_of_the_design() -> None:
    keys = {key.id: key.keys for key in KEYS}
    for name, wanted in {
        "deliver": "r",
        "view": "enter",
        "delete": "d,delete",
        "save": "s",
        "search-filter": "f",
        "filter": "slash",
        "mark": "space,t",
        "mark-query": "T",
        "unmark-query": "U",
        "unmark-all": "ctrl+t",
        "mark-all": "asterisk",
        "mark-range": "v",
        "sort": "o",
        "copy": "y",
        "palette": "colon,ctrl+p",
        "next-pane": "tab",
        "half-down": "ctrl+d",
        "half-up": "ctrl+u",
    }.items():
        assert keys[name] == wanted


def test_bindings_carry_the_ids_that_a_file_names() -> None:
    made = bindings(Scope.LIST)
    assert {binding.id for binding in made if isinstance(binding, Binding)} == {key.id for key in keys_of(Scope.LIST)}


@pytest.mark.parametrize(
    ("key", "sign"),
    [("ctrl+d", "^D"), ("slash", "/"), ("enter", "⏎"), ("shift+up", "⇧↑"), ("f1", "F1"), ("r", "r"), ("G", "G")],
)
def test_keys_are_drawn_short(key: str, sign: str) -> None:
    assert draw(key) == sign


def test_no_file_changes_nothing(tmp_path: Path) -> None:
    assert load(tmp_path / "none.toml").overrides == {}


def test_a_file_gives_other_keys(tmp_path: Path) -> None:
    keymap = load(write(tmp_path, '[keys]\ndeliver = "R"\nmark = ["space", "m"]\n'))
    assert keymap.drawn(by_id()["deliver"]) == "R"
    assert keymap.keys(by_id()["mark"]) == ["space", "m"]
    assert Keymap().drawn(by_id()["deliver"]) == "r"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[keys", "not valid TOML"),
        ('[keys]\nno-such = "x"', "no-such"),
        ('[keys]\ndeliver = ""', "no key"),
        ("[keys]\ndeliver = 5", "no key"),
        ('keys = "x"', "needs a [keys] table"),
        ('[keys]\ndeliver = "d"', "both to"),
    ],
)
def test_a_bad_file_is_said_to_be_bad(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(KeymapError, match=r"keys\.toml") as caught:
        load(write(tmp_path, text))
    assert says in str(caught.value)


def test_a_file_that_is_no_text_is_said_to_be_bad(tmp_path: Path) -> None:
    path = tmp_path / "keys.toml"
    path.write_bytes(b"\xff\xfe\0")
    with pytest.raises(KeymapError, match="cannot be read"):
        load(path)


def test_keys_that_swap_are_no_clash(tmp_path: Path) -> None:
    keymap = load(write(tmp_path, '[keys]\ndeliver = "s"\nsave = "r"\n'))
    assert keymap.overrides == {"deliver": "s", "save": "r"}
