"""`mailhold` without a command: the console."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from store.database.modes import Use
from store.helpers.installed import require
from store.terms.errors import UsageError
from tui.commands.caller import is_terminal
from tui.commands.opened import open_vault
from tui.console import latency
from tui.terminal.ending import ends_cleanly, say_ended

if TYPE_CHECKING:
    from store.vault.vault import Vault


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare nothing: the console has no options."""


def run(args: argparse.Namespace) -> int:
    """Open the console and return the app's return code. Raises UsageError."""
    require("The console", "console", textual="Textual", rich="Rich", polars="Polars")
    if not is_terminal():
        raise UsageError("The console needs a terminal. `mailhold --help` lists the commands that work without one.")
    with ends_cleanly():
        vault = open_vault(args, Use.EITHER)
        latency.prepare()
        return run_console(vault, vault.opened_by)


def run_console(vault: Vault, operator: str, *, view: bytes = b"", theme: str = "") -> int:
    """Run the console on an open store and close the store at the end; return the app's return code.

    If the console locks, this process is replaced by the locked console (`tui.console.lock`) and the call does not
    return. `view` is the sealed view that a locked console handed over.
    """
    try:
        from tui.console.app import MailholdApp
        from tui.console.lock.lock import become_locked, unsealed

        shown = unsealed(vault, view) if view else None
        app = MailholdApp(vault, operator=operator, lockable=True, view=shown, theme=theme, finds=True)
        app.run()
    finally:
        vault.close()
    if app.ended_by:
        say_ended(app.account)
    elif app.lock.handover is not None:
        become_locked(app.lock.handover, "tui.commands.locked")
    return app.return_code or 0
