"""`mailhold status`: show the number of copies, the space used, the queue and problems."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from store.database.modes import Use
from store.helpers.clock import now_ms
from store.terms.errors import TamperedError, UnlockError
from store.terms.sizes import format_size
from tui.commands.opened import opened
from tui.commands.printing import iso, local_time, print_json
from tui.commands.reporting import say_failed
from tui.terminal.outcome_words import queue_words
from tui.terminal.safe import safe
from tui.terminal.words import copies, counted

if TYPE_CHECKING:
    from store.gateway.troubles import Trouble
    from store.space.limits import Usage
    from store.vault.vault import Vault


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare --json."""
    parser.add_argument(
        "--json",
        action="store_true",
        help="print {messages, used_bytes, max_bytes, free_bytes, oldest, binned, binned_bytes, derived_bytes, "
        "known_bytes, queue, put_off, "
        "failed, unknown, odd_times, wrong_clocks, troubles, unkept, read_only (why, or null)}",
    )


def run(args: argparse.Namespace) -> int:
    """Print the status; return 1 if the settings do not verify, after the lines that need no settings."""
    from store.delivery.listing import odd_times
    from store.delivery.releases import Releases
    from store.enrolment.enrolled import Running, gateways, running
    from store.space.limits import last_known, usage
    from store.vault.known import known_bytes

    with opened(args, Use.READ) as vault:
        full, releases, problem = usage(vault), Releases(vault), last_known(vault)
        releases.read()
        odd = odd_times(vault, now_ms())
        clocks = [
            each.name
            for each in gateways(vault, on_error=lambda _: None)
            if not each.revoked and running(vault, each.id, each.alive_at) is Running.UNKNOWN
        ]
        troubles, known, unkept = _troubles(vault), known_bytes(vault), vault.witness.unkept
        read_only = vault.read_only.why if vault.read_only else None
    attention = releases.attention
    if args.json:
        print_json(
            {
                "messages": full.messages,
                "used_bytes": full.used_bytes,
                "max_bytes": None if problem else full.max_bytes,
                "free_bytes": None if problem else full.free_bytes,
                "oldest": iso(full.oldest),
                "binned": full.binned,
                "binned_bytes": full.binned_bytes,
                "derived_bytes": full.derived_bytes,
                "known_bytes": known,
                "queue": releases.waiting,
                "put_off": len(attention.put_off),
                "failed": len(attention.failed),
                "unknown": len(attention.unknown),
                "odd_times": odd,
                "wrong_clocks": clocks,
                "troubles": [{**each._asdict(), "at": iso(each.at)} for each in troubles or ()],
                "unkept": unkept,
                "read_only": read_only,
            }
        )
    else:
        print(counted(full.messages, "message copy", "message copies"))
        used = format_size(full.used_bytes)
        if problem:
            print(f"{used} used; the maximum is not known, because the settings cannot be read")
        else:
            share = full.used_bytes * 100 // full.max_bytes if full.max_bytes else 100
            print(f"{used} of {format_size(full.max_bytes)} used ({share} %), {format_size(full.free_bytes)} free")
        print(f"oldest: {local_time(full.oldest) if full.oldest else '-'}")
        if full.binned:
            print(f"bin: {_bin_words(full)}")
        if full.derived_bytes:
            print(f"traits and campaigns: {format_size(full.derived_bytes)} of the used space")
        if known:
            print(f"counters of known senders: {format_size(known)} (not counted as used)")
        print(f"delivery queue: {queue_words(attention, releases.waiting)}")
        if odd:
            what = counted(odd, "delivery waits", "deliveries wait")
            print(f"{what} with an impossible time: `mailhold queue` shows which")
        for name in clocks:
            print(f"gateway {safe(name)}: {Running.UNKNOWN}")
        _print_troubles(troubles)
        if unkept:
            print(
                f"what was seen of this store cannot be remembered here ({safe(unkept)}): if an older state of it is "
                "put back, this user is not warned"
            )
    return 1 if say_failed([("settings", f"{problem.problem} {problem}")] if problem else []) else 0


def _bin_words(full: Usage) -> str:
    """Format the bin's contents: ``1,204 copies, 80 MB of the 732 MB that it keeps``."""
    said = f"{copies(full.binned)}, {format_size(full.binned_bytes)}"
    return f"{said} of its {format_size(full.bin_bytes)} share" if full.max_bytes else said


def _troubles(vault: Vault) -> list[Trouble] | None:
    """Read the problems that gateways reported; None if they cannot be read."""
    from store.gateway.troubles import troubles

    try:
        return troubles(vault)
    except (TamperedError, UnlockError):
        return None


def _print_troubles(troubles: list[Trouble] | None) -> None:
    if troubles is None:
        print("gateways: their reports cannot be read; `mailhold check` says why")
    for each in troubles or ():
        print(f"gateway {safe(each.gateway)}: {safe(each.what)} since {local_time(each.at)}: {safe(each.detail)}")
