"""`mailhold status`: copies and space at a glance."""

from __future__ import annotations

import argparse

from store.database.modes import Use
from store.terms.errors import MailholdError, StoreFormat, TamperedError
from store.terms.sizes import format_size
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
    """Print the status. Raises TamperedError, StoreFormat for the settings, having printed what needs none of them."""
    from store.delivery.releases import Releases
    from store.space.limits import maximum

    problem: MailholdError | None = None
    with opened(args, Use.READ) as vault:
        count, releases, most = vault.count(), Releases(vault), 0
        releases.read()
        try:
            most = maximum(vault)
        except (TamperedError, StoreFormat) as error:
            problem = error
    free = max(0, most - count.used_bytes)
    attention = releases.attention
    if args.json:
        print_json(
            {
                "messages": count.messages,
                "used_bytes": count.used_bytes,
                "max_bytes": None if problem else most,
                "free_bytes": None if problem else free,
                "oldest": iso(count.oldest),
                "queue": releases.waiting,
                "put_off": len(attention.put_off),
                "failed": len(attention.failed),
                "unknown": len(attention.unknown),
            }
        )
    else:
        print(f"{count.messages:,} message copies")
        used = format_size(count.used_bytes)
        if problem:
            print(f"{used} used; the settings, which say of how much, cannot be read")
        else:
            share = count.used_bytes * 100 // most if most else 100
            print(f"{used} of {format_size(most)} used ({share} %), {format_size(free)} free")
        print(f"oldest: {local_time(count.oldest) if count.oldest else '-'}")
        print(f"delivery queue: {queue_words(attention, releases.waiting)}")
    if problem:
        raise problem
    return 0
