"""`mailhold status`: copies and space at a glance."""

from __future__ import annotations

import argparse

from tui.commands.opened import opened
from tui.commands.printing import iso, local_time, print_json
from tui.terminal.outcome_words import queue_words


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare --json."""
    parser.add_argument(
        "--json",
        action="store_true",
        help="print {messages, used_bytes, max_bytes, free_bytes, oldest, queue, put_off, failed, unknown}",
    )


def run(args: argparse.Namespace) -> int:
    """Print the status."""
    from store.authority.settings import format_size
    from store.delivery.releases import Releases
    from store.space.limits import usage as usage_of

    with opened(args) as vault:
        usage, releases = usage_of(vault), Releases(vault)
        releases.read()
    attention = releases.attention
    if args.json:
        print_json(
            {
                "messages": usage.messages,
                "used_bytes": usage.used_bytes,
                "max_bytes": usage.max_bytes,
                "free_bytes": usage.free_bytes,
                "oldest": iso(usage.oldest),
                "queue": releases.waiting,
                "put_off": len(attention.put_off),
                "failed": len(attention.failed),
                "unknown": len(attention.unknown),
            }
        )
        return 0
    share = usage.used_bytes * 100 // usage.max_bytes if usage.max_bytes else 100
    print(f"{usage.messages:,} message copies")
    used, most, free = map(format_size, (usage.used_bytes, usage.max_bytes, usage.free_bytes))
    print(f"{used} of {most} used ({share} %), {free} free")
    print(f"oldest: {local_time(usage.oldest) if usage.oldest else '-'}")
    print(f"delivery queue: {queue_words(attention, releases.waiting)}")
    return 0
