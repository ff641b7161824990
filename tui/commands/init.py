"""`mailhold init`: create a store and show its recovery key once."""

from __future__ import annotations

import argparse

from tui.commands.common import ask_new_passphrase, key_file, operator_name, store_location


def arguments(parser: argparse.ArgumentParser) -> None:
    """No option of its own: with --key-file nothing is asked."""


def run(args: argparse.Namespace) -> int:
    """Create the store; print the recovery key. Raises StoreExists, KeyFileError, UsageError."""
    from store.opening import create_store

    location = store_location(args)
    path = key_file(args)
    passphrase = None if path else ask_new_passphrase()
    vault, recovery = create_store(location, passphrase=passphrase, key_file=path, operator=operator_name())
    vault.close()
    print(f"Created the store {location}.")
    print(f"It opens with {f'the key file {path}' if path else 'your passphrase'}, or with this recovery key:\n")
    print(f"    {recovery}\n")
    print("Write the recovery key down and keep it apart from the store: it is not shown again,")
    print("and without any key nobody can open the store, its makers included.")
    return 0
