"""`mailhold init`: create a store and show its recovery key once."""

from __future__ import annotations

import argparse

from tui.commands.caller import login_name
from tui.commands.opened import key_file, store_location
from tui.commands.passphrases import ask_new_passphrase
from tui.commands.printing import print_recovery_key


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare nothing: init has no options of its own."""


def run(args: argparse.Namespace) -> int:
    """Create the store; print the recovery key. Raises StoreExists, KeyFileError, UsageError."""
    from store.database.connection import shown_location
    from store.opening.first_configuration import write_first_configuration
    from store.opening.opening import create_store

    location = store_location(args)
    path = key_file(args)
    passphrase = None if path else ask_new_passphrase()
    vault, recovery = create_store(
        location,
        passphrase=passphrase,
        key_file=path,
        operator=login_name(),
        prepare=write_first_configuration,
    )
    vault.close()
    print_recovery_key(
        (
            f"Created the store {shown_location(location)}.",
            f"It opens with {f'the key file {path}' if path else 'your passphrase'}, or with this recovery key:\n",
            f"    {recovery}\n",
            "Write the recovery key down and keep it apart from the store: it is not shown again,",
            "and without any key nobody can open the store, not even its makers.",
        )
    )
    return 0
