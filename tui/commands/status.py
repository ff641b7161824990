"""`mailhold status`: copies and space at a glance."""

from __future__ import annotations

import argparse

from store.database.modes import Use
from store.terms.sizes import format_size
from tui.commands.opened import opened
from tui.commands.printing import iso, local_time, print_json
from tui.commands.reporting import say_failed
from tui.terminal.outcome_words import queue_words


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare --json."""
    parser.add_argument(
        "--json",
        action="store_true",
        help="print {messages, used_bytes, max_bytes, free_bytes, oldest, queue, put_off, failed, unknown}",
    )


def run(args: argparse.Namespace) -> int:
    """Print the status; returns 1 where the settings do not verify, having printed what needs none of them."""
    from store.delivery.releases import Releases
    from store.space.limits import last_known, usage

    with opened(args, Use.READ) as vault:
        full, releases, problem = usage(vault), Releases(vault), last_known(vault)
        releases.read()
    attention = releases.attention
    if args.json:
        print_json(
            {
                "messages": full.messages,
                "used_bytes": full.used_bytes,
                "max_bytes": None if problem else full.max_bytes,
                "free_bytes": None if problem else full.free_bytes,
                "oldest": iso(full.oldest),
                "queue": releases.waiting,
                "put_off": len(attention.put_off),
                "failed": len(attention.failed),
                "unknown": len(attention.unknown),
            }
        )
    else:
        print(f"{full.messages:,} message copies")
        used = format_size(full.used_bytes)
        if problem:
            print(f"{used} used; the settings, which say of how much, cannot be read")
        else:
            share = full.used_bytes * 100 // full.max_bytes if full.max_bytes else 100
            print(f"{used} of {format_size(full.max_bytes)} used ({share} %), {format_size(full.free_bytes)} free")
        print(f"oldest: {local_time(full.oldest) if full.oldest else '-'}")
        print(f"delivery queue: {queue_words(attention, releases.waiting)}")
    return 1 if say_failed([("settings", f"{problem.problem} {problem}")] if problem else []) else 0
