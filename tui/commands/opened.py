"""The store that a command works on: found, unlocked, and closed at the end."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from store.database.modes import Use
from store.terms.errors import StoreFormat, StoreMissing, UsageError, WrongKey
from tui.commands.passphrases import PASSPHRASE, RECOVERY_KEY, ask_secret
from tui.terminal.safe import safe

if TYPE_CHECKING:
    from store.opening.opening import Unlock
    from store.vault.vault import Vault

#: How often a passphrase or recovery key is asked for.
_TRIES = 3


@contextmanager
def opened(
    args: argparse.Namespace, use: Use = Use.WRITE, *, former: bool = False, repair: bool = False
) -> Iterator[Vault]:
    """Open and unlock the store that `args` name; close it at the end. Raises what `open_vault` raises.

    If the store is read-only, the reason is printed to standard error. `former` also accepts the format of an older
    release, `repair` also a damaged store row.
    """
    vault = open_vault(args, use, former=former, repair=repair)
    try:
        if vault.read_only is not None:
            print(f"mailhold: {safe(vault.read_only.says(f'The store {vault.location}'))}", file=sys.stderr)
        yield vault
    finally:
        vault.close()


def use_of(args: argparse.Namespace) -> Use:
    """Return the access that the verb needs: Use.READ or Use.WRITE."""
    return Use.READ if args.verb in ("list", "show", "get", "export") else Use.WRITE


def open_vault(args: argparse.Namespace, use: Use, *, former: bool = False, repair: bool = False) -> Vault:
    """Open and unlock the store that `args` name, for `use`. `former` and `repair` are those of `open_store`.

    Raises UsageError if no store is named, StoreMissing, StoreFormat, and what `open_store` raises.
    """
    location = store_location(args)
    if "://" not in location:
        # Check these before asking for a passphrase.
        if not Path(location).exists():
            raise StoreMissing(
                f"There is no store at {location}: check --store and whether its file system is mounted, or create one "
                f"with `mailhold init --store {location}`."
            )
        if Path(location).is_fifo() or Path(location).is_char_device():  # reading one may block for ever
            raise StoreFormat(f"{location} is not a Mailhold store: give the path of a store's file.")
    from store.opening.opening import open_store

    left = _TRIES
    while True:
        left -= 1
        try:
            return open_store(location, unlocking(args), use, former=former, repair=repair)
        except WrongKey as error:
            if not left or not _asks(args):
                raise
            # Ending here would let the next try, typed ahead, be read and kept by the shell.
            print(f"mailhold: {safe(str(error))} Try again.", file=sys.stderr)


def _asks(args: argparse.Namespace) -> bool:
    """Return True if the secret that unlocks the store is typed."""
    return bool(getattr(args, "recovery", False)) or key_file(args) is None


def store_location(args: argparse.Namespace) -> str:
    """Return the store's path or URL from `--store` or MAILHOLD_STORE. Raises UsageError if neither is given."""
    location = getattr(args, "store", None)
    if location is None:  # an empty --store is an unset variable of a script: do not fall back to another store
        location = os.environ.get("MAILHOLD_STORE")
    if not location:
        raise UsageError(
            "No store given. Add --store PATH or set MAILHOLD_STORE. `mailhold init --store PATH` creates a store, "
            "and `mailhold demo` shows one with sample mail."
        )
    return str(location)


def key_file(args: argparse.Namespace) -> Path | None:
    """Return the key file from `--key-file` or MAILHOLD_KEY_FILE, None if neither is given.

    Raises UsageError for an empty option.
    """
    name = getattr(args, "key_file", None)
    if name == "":  # an unset variable of a script: do not fall back to another key
        raise UsageError("--key-file is empty. Give a key file, or leave the option out.")
    name = name or os.environ.get("MAILHOLD_KEY_FILE")
    return Path(name) if name else None


def unlocking(args: argparse.Namespace) -> Unlock:
    """Return how to unlock the store: recovery key or passphrase (both are asked for), or key file."""
    from store.opening.opening import Unlock

    if getattr(args, "recovery", False):
        return Unlock.recovery(_typed(RECOVERY_KEY))
    path = key_file(args)
    if path is not None:
        return Unlock.key_file(path)
    return Unlock.passphrase(_typed(PASSPHRASE))


def _typed(prompt: str) -> str:
    """Ask for a secret, again if nothing was typed before Enter."""
    return next((typed for _ in range(_TRIES - 1) if (typed := ask_secret(prompt))), "") or ask_secret(prompt)
