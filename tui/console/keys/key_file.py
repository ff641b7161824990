"""A user's own keys, from ``$MAILHOLD_KEYS`` or ``$XDG_CONFIG_HOME/mailhold/keys.toml``. It maps actions to keys::

[keys]
deliver = "r"
mark = "space,t"
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterable
from pathlib import Path

from textual.binding import Binding

from store.terms.errors import UsageError
from tui.console.keys.keymap import Keymap, Scope, by_id, keys_of


class KeymapError(UsageError):
    """The user's key file cannot be used."""


def default_path() -> Path:
    """Return the path of the user's key file."""
    if named := os.environ.get("MAILHOLD_KEYS"):
        return Path(named)
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "mailhold" / "keys.toml"


def load(path: Path | None = None) -> Keymap:
    """Load the key map with the user's changes; without a file, the default one.

    Raises KeymapError, naming the file, if it cannot be read, is not TOML, names an unknown action, or gives two
    actions of one scope the same key.
    """
    path = path or default_path()
    try:
        text = path.read_text("utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return Keymap()
    except (OSError, UnicodeDecodeError) as error:
        raise KeymapError(f"The key file {path} cannot be read ({error}); the usual keys are used.") from error
    try:
        table = tomllib.loads(text).get("keys", {})
    except tomllib.TOMLDecodeError as error:
        raise KeymapError(f"The key file {path} is not valid TOML ({error}); the usual keys are used.") from error
    overrides = _checked(table, path)
    keymap = Keymap(overrides)
    if clash := _clash(keymap):
        raise KeymapError(f"The key file {path} gives {clash}; the usual keys are used.")
    return keymap


def _checked(table: object, path: Path) -> dict[str, str]:
    if not isinstance(table, dict):
        raise KeymapError(f"The key file {path} needs a [keys] table; the usual keys are used.")
    overrides: dict[str, str] = {}
    for name, keys in table.items():
        if name not in by_id():
            raise KeymapError(f"The key file {path} names an unknown action {name!r}; see the help (?).")
        if isinstance(keys, list):
            keys = ",".join(str(key) for key in keys)
        if not isinstance(keys, str) or not all(part.strip() for part in keys.split(",")):
            raise KeymapError(f"The key file {path} gives no key to {name!r}; the usual keys are used.")
        overrides[name] = keys
    return overrides


def _clash(keymap: Keymap) -> str | None:
    for scope in Scope:
        owners: dict[str, str] = {}
        for key in keys_of(scope):
            for name in _normal(keymap.keys(key)):
                if name in owners and (key.id in keymap.overrides or owners[name] in keymap.overrides):
                    return f"the key {name!r} both to {owners[name]!r} and to {key.id!r}"
                owners[name] = key.id
    return None


def _normal(names: Iterable[str]) -> list[str]:
    return [binding.key for name in names for binding in Binding.make_bindings([(name, "x", "x")])]
