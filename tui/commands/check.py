"""`mailhold check`: verify every copy, signature and chain."""

from __future__ import annotations

import argparse

from tui.commands.common import Interrupt, Progress, open_vault, print_json, say_failed


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare --json."""
    parser.add_argument("--json", action="store_true", help='print {"checked": n, "broken": [{"what", "why"}]}')


def run(args: argparse.Namespace) -> int:
    """Check; returns 1 where anything is broken, naming it."""
    from store.check import check

    vault = open_vault(args)
    try:
        progress = Progress("Checking")
        with Interrupt() as interrupt:
            result = check(vault, progress=progress, cancelled=interrupt)
        progress.finish()
    finally:
        vault.close()
    if args.json:
        print_json({"checked": result.checked, "broken": [{"what": what, "why": why} for what, why in result.broken]})
    else:
        print(
            f"{result.checked:,} copies checked, "
            + (f"{len(result.broken):,} broken" if result.broken else "all whole")
        )
    say_failed(result.broken)
    if interrupt():
        say_failed([("check", "cancelled before the end")])
    return 1 if result.broken or interrupt() else 0
