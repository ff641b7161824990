"""`mailhold demo`: the console on a temporary store of sample mail."""

from __future__ import annotations

import argparse
from contextlib import closing

from store.helpers.installed import require
from store.terms.errors import UsageError
from tui.commands.caller import is_terminal
from tui.terminal.ending import ends_cleanly, say_ended
from tui.terminal.progress import Progress


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare --messages and --attack."""
    parser.add_argument(
        "--messages", metavar="N", type=int, default=400, help="number of copies to make (default: 400)"
    )
    parser.add_argument(
        "--attack",
        metavar="N",
        type=int,
        default=390,
        help="about how many copies of an attack wave to add (default: 390; 0 for none)",
    )


def run(args: argparse.Namespace) -> int:
    """Compose the store, open the console on it, and print at the end in which folder the delivered mail is.

    Returns the app's return code. Raises UsageError, NotInstalled, OSError.
    """
    if not 1 <= args.messages <= 1_000_000:
        raise UsageError("--messages must be a number from 1 to 1,000,000.")
    if not 0 <= args.attack <= 100_000:
        raise UsageError("--attack must be a number from 0 to 100,000.")
    require("The demo", "demo", textual="Textual", rich="Rich", polars="Polars", aiosmtpd="aiosmtpd")
    if not is_terminal():
        raise UsageError("The demo opens the console, which needs a terminal.")
    with ends_cleanly():
        return run_demo(args.messages, args.attack)


def run_demo(messages: int, attack: int = 0) -> int:
    """Run the demo with `messages` copies and about `attack` copies of an attack wave; return the app's return code.

    Raises OSError.
    """
    from tui.console import latency

    latency.prepare()
    from tui.console.app import MailholdApp
    from tui.demo.demo import OPERATOR, new_demo

    with new_demo() as demo:
        with Progress("Composing") as progress, Progress("Finding campaigns") as finding:
            vault = demo.store(messages, progress, attack=attack, finding=finding)
        with closing(vault):
            app = MailholdApp(vault, operator=OPERATOR, finds=True)
            app.run()
        if app.ended_by:
            say_ended(app.account)
        print(demo.farewell())
    return app.return_code or 0
