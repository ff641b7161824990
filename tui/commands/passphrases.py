"""Passphrases and other secrets typed on the terminal without echo."""

from __future__ import annotations

import getpass
from pathlib import Path

from store.terms.errors import UnlockError, UsageError

#: Least characters of a new passphrase.
SHORTEST = 12
PASSPHRASE, RECOVERY_KEY, NEW_PASSPHRASE = "Passphrase: ", "Recovery key: ", "New passphrase: "
#: What to say, by prompt, if there is no terminal to ask on.
_NO_TERMINAL = {
    PASSPHRASE: (
        "The store needs a passphrase, and there is no terminal to ask for it. Add --key-file F or set "
        "MAILHOLD_KEY_FILE."
    ),
    RECOVERY_KEY: "There is no terminal to ask for the recovery key. Run the command in a terminal.",
}
_NO_NEW = (
    "There is no terminal to ask for the new passphrase. Run the command in a terminal, or make a key file instead: "
    "`mailhold keys add --new-key-file F`, for a new store `mailhold init --key-file F`."
)


def can_ask_secret() -> bool:
    """Return True if the process has a terminal to ask for a secret."""
    try:
        with Path("/dev/tty").open("rb"):
            return True
    except OSError:
        return False


def ask_secret(prompt: str) -> str:
    """Ask for a secret on the terminal, without echo. Raises UnlockError if there is no terminal."""
    if not can_ask_secret():
        raise UnlockError(_NO_TERMINAL.get(prompt, _NO_NEW))
    try:
        return getpass.getpass(prompt)
    except EOFError:
        raise UnlockError("No passphrase was given.") from None


def ask_new_passphrase() -> str:
    """Ask twice for a new passphrase. Raises UsageError if it is empty, too short or the two differ."""
    first = ask_secret(NEW_PASSPHRASE)
    if not first:
        raise UsageError("An empty passphrase protects nothing. Choose one, or use a key file.")
    if len(first) < SHORTEST:
        raise UsageError(
            f"A passphrase of fewer than {SHORTEST} characters is too easy to guess for who has a copy of the store. "
            "Nothing was changed. Choose a longer one, for example several words, or use a key file."
        )
    if ask_secret("Repeat passphrase: ") != first:
        raise UsageError("The two passphrases differ. Nothing was changed.")
    return first
