"""What several commands share: finding and unlocking the store, and printing."""

from __future__ import annotations

import argparse
import getpass
import json
import os
import signal
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from store.terms.errors import (
    CopyMissing,
    MailholdError,
    StoreError,
    StoreFormat,
    StoreMissing,
    UnlockError,
    UsageError,
)

if TYPE_CHECKING:
    from store.opening.opening import Unlock
    from store.vault.vault import Vault


def look_at_free_space(vault: Vault) -> None:
    """Send the administrator the free space notification, if it is due now. What keeps it back fails no command."""
    from store.delivery.administrator import notify_administrator

    try:
        notify_administrator(vault)
    except MailholdError as error:
        print(f"mailhold: the free space could not be looked at: {error}", file=sys.stderr)


def operator_name() -> str:
    """Who acts, for orders and events: the login name behind sudo where there is one."""
    try:
        return as_text(os.environ.get("SUDO_USER") or getpass.getuser())
    except (KeyError, OSError):
        return str(os.getuid())


def as_text(word: str | Path) -> str:
    """A word of the command line or a path, with the bytes in it that are no UTF-8 replaced: fit to be kept."""
    return os.fsencode(word).decode("utf-8", "replace")


def is_terminal() -> bool:
    """Whether the console can be used here: it reads the keys from standard input and draws on standard error."""
    return all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr))


def store_location(args: argparse.Namespace) -> str:
    """The store that `--store` or MAILHOLD_STORE names. Raises UsageError where neither does."""
    location = getattr(args, "store", None)
    if location is None:  # an empty --store is a script's unset variable: it must not mean another store
        location = os.environ.get("MAILHOLD_STORE")
    if not location:
        raise UsageError(
            "No store is named: give --store PATH or set MAILHOLD_STORE. `mailhold init --store PATH` creates one, "
            "and `mailhold demo` shows one full of sample mail."
        )
    return str(location)


def key_file(args: argparse.Namespace) -> Path | None:
    """The key file that `--key-file` or MAILHOLD_KEY_FILE names, if any. Raises UsageError for an empty option."""
    name = getattr(args, "key_file", None)
    if name == "":  # a script's unset variable: it must not mean another key
        raise UsageError("--key-file is empty: name a key file, or leave the option out.")
    name = name or os.environ.get("MAILHOLD_KEY_FILE")
    return Path(name) if name else None


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


def unlocking(args: argparse.Namespace) -> Unlock:
    """How to unlock the store: the recovery key, the key file, or a passphrase that is asked for."""
    from store.opening.opening import Unlock

    if getattr(args, "recovery", False):
        return Unlock.recovery(ask_secret("Recovery key: "))
    path = key_file(args)
    if path is not None:
        return Unlock.key_file(path)
    return Unlock.passphrase(ask_secret("Passphrase: "))


def open_vault(args: argparse.Namespace) -> Vault:
    """Open and unlock the store that `args` name."""
    location = store_location(args)
    if "://" not in location:
        # Said before a passphrase is asked for, not after.
        if not Path(location).exists():
            raise StoreMissing(
                f"There is no store at {location}: check --store, or create one with `mailhold init --store "
                f"{location}`."
            )
        if Path(location).is_fifo() or Path(location).is_char_device():  # reading one could wait for ever
            raise StoreFormat(f"{location} is not a Mailhold store: name the store's file.")
    from store.opening.opening import open_store

    return open_store(location, unlocking(args))


def iso(milliseconds: int | None) -> str | None:
    """Unix milliseconds -> ISO 8601 in UTC, as `2026-11-24T07:41:03.250Z`; None and 0 (unknown) -> None."""
    if not milliseconds:
        return None
    try:
        moment = datetime.fromtimestamp(milliseconds / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def local_time(milliseconds: int) -> str:
    """Unix milliseconds -> `2026-11-24 09:41` in the local time zone; `no date` where there is no such time."""
    try:
        return datetime.fromtimestamp(milliseconds / 1000).strftime("%Y-%m-%d %H:%M")
    except (ValueError, OverflowError, OSError):
        return "no date"


def print_json(value: Any) -> None:
    """Print `value` as JSON in ASCII: no byte of a message can act on the terminal it may be shown on."""
    print(json.dumps(value, ensure_ascii=True, indent=2 if sys.stdout.isatty() else None))


def print_recovery_key(lines: Iterable[str]) -> None:
    """Print lines that show a recovery key. Raises StoreError where they may not have been seen: nobody has it then."""
    try:
        for line in lines:
            print(line)
        sys.stdout.flush()
    except OSError as error:
        # What could not be written must not come out later, at the end of the program.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise StoreError(
            f"The recovery key could not be shown ({error.strerror}), and is lost; the store opens with its other "
            "keys. Make a new one with `mailhold keys add --new-recovery`, and remove the lost one with `keys remove`."
        ) from None


def say_failed(failures: Iterable[tuple[object, str]]) -> int:
    """Name each item that failed on standard error; returns how many there were."""
    from tui.terminal.safe import safe

    count = 0
    for item, why in failures:
        count += 1
        print(f"mailhold: {safe(str(item))}: {safe(why)}", file=sys.stderr)
    return count


def say_missing(missing: Iterable[int]) -> int:
    """Name each copy that is not there on standard error; returns how many there were."""
    return say_failed((f"copy {copy_id}", str(CopyMissing(copy_id))) for copy_id in missing)


class Progress:
    """A progress bar on standard error; silent where that is not a terminal."""

    def __init__(self, verb: str) -> None:
        self._verb = verb
        self._shown = sys.stderr.isatty()
        self._last = -1.0

    def __call__(self, done: int, total: int) -> None:
        import time

        now = time.monotonic()
        if not self._shown or (now - self._last < 0.1 and done != total):
            return
        self._last = now
        if total:
            filled = min(30, done * 30 // total)
            print(f"\r{self._verb} {'█' * filled}{'░' * (30 - filled)} {done:,}/{total:,}", end="", file=sys.stderr)
        else:
            print(f"\r{self._verb} {done:,}", end="", file=sys.stderr)
        sys.stderr.flush()

    def finish(self) -> None:
        """Clear the bar."""
        if self._shown and self._last >= 0:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)


class Interrupt:
    """While it is entered, the first Ctrl-C asks the work to stop at a clean point; the second stops it at once.

    Pass the object as `cancelled`; it is true afterwards too, so that the command can say that it was cancelled.
    """

    def __init__(self) -> None:
        self._asked = False

    def __call__(self) -> bool:
        return self._asked

    def __enter__(self) -> Interrupt:
        self._before = signal.signal(signal.SIGINT, self._interrupt)
        return self

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGINT, self._before)

    def _interrupt(self, *_: object) -> None:
        if self._asked:
            raise KeyboardInterrupt
        self._asked = True
        print("\nmailhold: stopping after this step; Ctrl-C again stops at once.", file=sys.stderr)
