"""`mailhold demo`: the console on a throw-away store of sample mail."""

from __future__ import annotations

import argparse

from store.helpers.installed import require
from store.terms.errors import UsageError
from tui.commands.common import is_terminal


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare --messages."""
    parser.add_argument(
        "--messages", metavar="N", type=int, default=400, help="how many copies to compose (default 400)"
    )


def run(args: argparse.Namespace) -> int:
    """Compose the store and open the console on it. Raises UsageError."""
    if not 1 <= args.messages <= 1_000_000:
        raise UsageError("--messages takes a number from 1 to 1,000,000.")
    require("The demo", "demo", textual="Textual", rich="Rich", polars="Polars", aiosmtpd="aiosmtpd")
    if not is_terminal():
        raise UsageError("The demo opens the console, which needs a terminal.")
    from tui.demo.demo import run_demo

    return run_demo(args.messages)
