"""`mailhold deliver --dry-run`: print what the release would do and send, without queueing anything."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Any

from store.authority.settings import read_settings
from store.delivery.greeting import ask_anew
from store.delivery.preflight import Content, Preflight, Tally, content_of, dressing_of, hear, look, tally
from store.helpers.clock import now_ms
from store.mail.client import local_host_name
from tui.commands.interrupt import Interrupt
from tui.commands.printing import print_json
from tui.commands.reporting import say_cancelled, say_copies
from tui.terminal.preflight_words import lines, sentences
from tui.terminal.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from store.delivery.choosing import Choice
    from store.vault.vault import Vault
    from tui.commands.selection import Missing

#: Seconds to wait until a gateway has asked its relay.
ASK_WAIT = 15.0


def dry_run(vault: Vault, ids: Sequence[int], missing: Missing, choice: Choice, *, ask: bool, as_json: bool) -> int:
    """Print what delivering `ids` would do; with `ask` ask the relay again first.

    Returns 1 if a copy or a recipient would be left out or would fail. Raises NoRelay, StoreUnavailable.
    """
    found = look(vault, ids, choice)
    if ask:
        if ask_anew(vault, found.gateway_id, ASK_WAIT) is None:
            print(f"mailhold: the gateway did not ask its relay within {ASK_WAIT:g} seconds.", file=sys.stderr)
        hear(vault, found)
    contents: dict[int, Content] = {}
    dressing = dressing_of(read_settings(vault), asyncio.run(local_host_name()))
    with Progress("Reading") as progress, Interrupt() as interrupt:
        for copy_id in found.going:
            if interrupt():
                break
            contents[copy_id] = content_of(vault, copy_id, dressing, now_ms(), hashes=len(found.going) == 1)
            progress(len(contents), len(found.going))
    summed = tally(found, contents)
    said = sentences(found, summed, contents, now=now_ms(), undo="`mailhold undo`")
    if as_json:
        print_json(_json(found, summed, contents, missing))
    else:
        print(lines(said))
    failures = say_copies(found.refused) + missing.say()
    failures += say_copies((each.copy_id, f"{each.address} is left out: {each.reason}") for each in found.left_out)
    failures += say_copies(summed.problems)
    failures += say_cancelled(interrupt, "deliver", f"cancelled; {len(found.going) - len(contents):,} were not read")
    return 1 if failures or any(each.problem for each in said) else 0


def _json(found: Preflight, summed: Tally, contents: Mapping[int, Content], missing: Missing) -> dict[str, Any]:
    refused = [{"copy_id": copy_id, "reason": why} for copy_id, why in found.refused]
    refused += [{"copy_id": copy_id, "reason": why} for copy_id, why in missing.copies.items()]
    return {
        "copies": [{"copy_id": copy_id, "to": going.addresses} for copy_id, going in found.going.items()],
        "addresses": found.addresses,
        "refused": refused,
        "left_out": [each._asdict() for each in found.left_out],
        "gateway": found.gateway,
        "relay": _relay(found),
        "largest": summed.largest,
        "too_large": summed.too_large,
        "eight_bit": summed.eight_bit,
        "smtputf8": {"copies": summed.utf8_copies, "addresses": summed.utf8_addresses},
        "taken_off": dict(summed.taken_off),
        "put_on": dict(summed.put_on),
        "without_marker": summed.unmarked,
        "would_fail": [{"copy_id": copy_id, "reason": why} for copy_id, why in summed.problems],
        "dkim": [
            {"domain": signed.domain, "body_hash_holds": signed.holds, "partial": signed.partial}
            for content in contents.values()
            for signed in content.signed or ()
        ],
    }


def _relay(found: Preflight) -> dict[str, Any]:
    heard, offers = found.heard, found.offers
    return {
        "address": found.relay,
        "heard_at": heard.at if heard is not None else None,
        "problem": heard.hello.problem if heard is not None else found.unheard,
        "size": offers.limit if offers is not None else None,
        "8bitmime": offers.eight_bit if offers is not None else None,
        "smtputf8": offers.utf8 if offers is not None else None,
    }
