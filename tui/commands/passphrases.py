"""Secrets that are typed unseen on the terminal."""

from __future__ import annotations

import getpass
from pathlib import Path

from store.terms.errors import UnlockError, UsageError


def ask_secret(prompt: str) -> str:
    """Ask for a secret on the terminal, unseen. Raises UnlockError where there is no terminal to ask on."""
    try:
        with Path("/dev/tty").open("rb"):
            pass
    except OSError:
        raise UnlockError(
            "The store is locked and there is no terminal to ask for a passphrase on: give --key-file F or set "
            "MAILHOLD_KEY_FILE."
        ) from None
    try:
        return getpass.getpass(prompt)
    except EOFError:
        raise UnlockError("No passphrase was given.") from None


def ask_new_passphrase() -> str:
    """Ask for a new passphrase twice. Raises UsageError where it is empty or the two differ."""
    first = ask_secret("New passphrase: ")
    if not first:
        raise UsageError("An empty passphrase protects nothing: choose one, or use a key file.")
    if ask_secret("The same again: ") != first:
        raise UsageError("The two passphrases are not the same; nothing was done.")
    return first
