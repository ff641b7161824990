"""`mailhold` without a command: the console."""

from __future__ import annotations

import argparse

from store.errors import UsageError
from tui import latency
from tui.commands.common import is_terminal, open_vault, operator_name
from tui.ending import ends_cleanly, say_ended


def arguments(parser: argparse.ArgumentParser) -> None:
    """No option of its own."""


def run(args: argparse.Namespace) -> int:
    """Open the console; returns the app's return code."""
    if not is_terminal():
        raise UsageError("The console needs a terminal; `mailhold --help` lists the commands that do not.")
    with ends_cleanly():
        vault = open_vault(args)
        latency.prepare()
        try:
            from tui.app import MailholdApp

            app = MailholdApp(vault, operator=operator_name())
            app.run()
        finally:
            vault.close()
        if app.ended_by:
            say_ended(app.account)
        return app.return_code or 0
