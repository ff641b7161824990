"""`mailhold deliver`: place copies in the delivery queue and, with --wait, send them to their recipients."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

from store.database.modes import Use
from store.helpers.runs import ranges
from store.mail.addresses import check_address
from store.terms.errors import UsageError
from store.terms.progress import Cancelled
from tui.commands.asking import confirm_count
from tui.commands.interrupt import Interrupt
from tui.commands.opened import opened
from tui.commands.printing import print_json
from tui.commands.queue import queue_json, send_queue
from tui.commands.reporting import apart, say_cancelled, say_copies, say_failed
from tui.commands.selection import add_selection, check_selection, described, selected_ids
from tui.terminal.progress import Progress
from tui.terminal.safe import safe
from tui.terminal.words import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from store.delivery.queue import ReleaseResult
    from store.vault.vault import Vault

#: Copies read at once.
_PAGE = 500
_USE_HEADER = ": add --from-header to use the header addresses that are in a local domain, or give --also ADDRESS"
_LOOKALIKES = ": add --lookalikes to deliver it anyway"
_SET_LOCAL = ": give --also ADDRESS, or set the local domains with `mailhold settings set local_domains=…`"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare ID…, --query, --all, --yes, the options for the recipients, --wait, --dry-run, --ask-relay and --json."""
    add_selection(parser, yes="do not ask for the number of copies that --query or --all selects")
    parser.add_argument("--original", action="store_true", help="deliver to the original recipients of the message")
    parser.add_argument(
        "--also", metavar="ADDRESS", action="append", default=[], help="deliver to this address too; may be repeated"
    )
    parser.add_argument(
        "--from-header",
        action="store_true",
        help="with --original: if no envelope is known, use the header addresses that are in a local domain",
    )
    parser.add_argument(
        "--again",
        action="store_true",
        help="deliver also to recipients who have the message, may have it, or have a delivery waiting",
    )
    parser.add_argument(
        "--lookalikes",
        action="store_true",
        help="deliver also copies with a lookalike sender (one that resembles a known one)",
    )
    parser.add_argument(
        "--wait",
        action="store_true",
        help="wait until the hold is over, send, and wait for the result of each recipient",
    )
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="show what would be sent, to whom, and whether the relay accepts it; queue nothing",
    )
    parser.add_argument("--ask-relay", action="store_true", help="with --dry-run: ask the relay again first")
    parser.add_argument("--json", action="store_true", help="print what was queued, refused, left out and sent")


def run(args: argparse.Namespace) -> int:
    """Queue the copies and, with --wait, send them.

    Return 1 if a copy was refused or a recipient was left out or not served. With --dry-run print what would be done,
    and queue nothing.

    Raises UsageError.
    """
    check_selection(args)
    if not args.original and not args.also:
        raise UsageError("No recipients given. Add --original, --also ADDRESS, or both.")
    if args.from_header and not args.original:
        raise UsageError("--from-header needs --original.")
    if args.ask_relay and not args.dry_run:
        raise UsageError("--ask-relay needs --dry-run.")
    if args.dry_run and args.wait:
        raise UsageError("--wait and --dry-run cannot be combined: --dry-run sends nothing.")
    from store.delivery.lookalikes import LOOKALIKE
    from store.delivery.queue import NO_ENVELOPE, NOT_LOCAL, release

    additional = [check_address(address) for address in args.also]
    with opened(args, Use.READ if args.dry_run and not args.ask_relay else Use.WRITE) as vault:
        ids, missing = selected_ids(vault, args)
        _warn_of_infected(vault, ids)
        if args.dry_run:
            from store.delivery.choosing import Choice
            from tui.commands.dry_run import dry_run

            choice = Choice(args.original, additional, from_header=args.from_header, again=args.again)
            choice = choice._replace(spared=_spared(vault, ids), lookalikes=args.lookalikes)
            return dry_run(vault, ids, missing, choice, ask=args.ask_relay, as_json=args.json)
        if len(ids) > 1 and not args.ids:
            confirm_count(f"This delivers {described(vault, ids)}.", len(ids), yes=args.yes)
        with Progress("Queueing") as progress, Interrupt() as interrupt:
            result = release(
                vault,
                ids,
                original=args.original,
                additional=additional,
                from_header=args.from_header,
                again=args.again,
                spared={} if args.lookalikes else _spared(vault, ids, interrupt),
                operator=vault.opened_by,
                progress=progress,
                cancelled=interrupt,
            )
        problem, sent = "", []
        with apart("the queue could not be read") as unread:
            problem = _send(vault, result, interrupt) if args.wait and result.queued and not interrupt() else ""
            sent = [delivery for delivery in queue_json(vault) if delivery["id"] in set(result.queued)]
    advice = {NO_ENVELOPE: _USE_HEADER, NOT_LOCAL: _SET_LOCAL}
    reasons = [
        (copy_id, why + (_LOOKALIKES if why.startswith(LOOKALIKE) else advice.get(why, "")))
        for copy_id, why in result.refused
    ]
    refused = [{"copy_id": copy_id, "reason": why} for copy_id, why in reasons]
    refused += [{"copy_id": copy_id, "reason": why} for copy_id, why in missing.copies.items()]
    if args.json:
        left_out = [each._asdict() for each in result.left_out]
        print_json({"queued": len(result.queued), "deliveries": sent, "refused": refused, "left_out": left_out})
    else:
        print(_summary(sent, result, wait=args.wait, unread=bool(unread)))
    failures = len(unread) + say_copies(reasons) + missing.say()
    failures += say_copies((each.copy_id, f"{each.address} was left out: {each.reason}") for each in result.left_out)
    if result.withheld:
        print("mailhold: --again also delivers to recipients who have it already.", file=sys.stderr)
    if args.wait:
        failures += say_failed(
            (
                f"delivery {delivery['id']} to {recipient['address']}",
                f"{recipient['state']} {recipient['reply'] or problem}",
            )
            for delivery in sent
            for recipient in delivery["recipients"]
            if recipient["state"] != "sent"
        )
    left = (
        f"{counted(len(result.not_reached), 'copy was', 'copies were')} not queued"
        if result.not_reached
        else "what was queued stays queued"
    )
    failures += say_cancelled(interrupt, "deliver", f"cancelled; {left}")
    return 1 if failures else 0


def _warn_of_infected(vault: Vault, ids: Sequence[int]) -> None:
    """Say how many of the copies are infected, if the settings allow to deliver such; else they are refused anyway."""
    from store.authority.settings import settings_or_former

    if not settings_or_former(vault).allow_infected:
        return
    dangerous = 0
    with apart("it could not be checked whether they are infected"):
        for start in range(0, len(ids), _PAGE):
            page = vault.get_many(ids[start : start + _PAGE], on_error=lambda _copy_id, _error: None)
            dangerous += sum(copy.record.dangerous for copy in page)
    if dangerous:
        one, many = "copy is", "copies are"
        print(
            f"mailhold: Warning: {counted(dangerous, one, many)} infected or probably infected: a security threat to "
            "the recipients' computers.",
            file=sys.stderr,
        )


def _spared(vault: Vault, ids: Sequence[int], cancelled: Cancelled = lambda: False) -> dict[int, str]:
    """Return the copies with a look-alike sender, by id, with the reason.

    Prints how many copies were not compared with their thread.
    """
    from store.catalogue.subjects import subjects_of
    from store.delivery.lookalikes import lookalikes

    with subjects_of(vault) as same_subject:
        found = lookalikes(vault, ids, same_subject=same_subject, cancelled=cancelled)
    if found.unread:
        what = counted(found.unread, "copy was", "copies were")
        print(
            f"mailhold: {what} not compared with the thread that it quotes; deliver fewer copies at once.",
            file=sys.stderr,
        )
    return found.reasons


def _send(vault: Vault, result: ReleaseResult, interrupt: Interrupt) -> str:
    """Wait until the hold ends, then send; return why nothing was sent, or "".

    Ctrl-C leaves the deliveries in the queue.
    """
    from store.delivery.outbox import wait_out

    if result.held_until:
        print(f"mailhold: {_held(result)}", file=sys.stderr)
        with interrupt:
            over = wait_out(vault, result.queued, cancelled=interrupt)
        if not over:
            return "The wait was interrupted. It stays in the queue."
    return send_queue(vault)


def _held(result: ReleaseResult) -> str:
    """Return a sentence with the hold (s) of a release and the command that cancels it."""
    return (
        f"Held for {result.hold // 1000:,} s; `mailhold queue cancel {ranges(result.queued).replace(',', '')}` cancels "
        f"{'it' if len(result.queued) == 1 else 'them'}."
    )


def _summary(deliveries: list[dict[str, Any]], result: ReleaseResult, *, wait: bool, unread: bool) -> str:
    if unread:
        return f"{len(result.queued):,} placed in queue for delivery."
    recipients = [recipient for delivery in deliveries for recipient in delivery["recipients"]]
    if not wait:
        placed = f"{len(deliveries):,} placed in queue for delivery"
        if not deliveries:
            return f"{placed}."
        held = f"{_held(result)} " if result.held_until else ""
        whom = counted(len(recipients), "recipient", "recipients")
        return f"{placed} to {whom}. {held}{who_sends(result.senders, len(deliveries))}"
    sent = sum(recipient["state"] == "sent" for recipient in recipients)
    whom = counted(len(recipients), "recipient", "recipients")
    return f"Sent to {sent:,} of {whom} of {counted(len(deliveries), 'message', 'messages')}."


def who_sends(senders: Sequence[str], count: int = 1) -> str:
    """Return a sentence that says who sends `count` queued deliveries. `senders` is `ReleaseResult.senders`."""
    it = "it" if count == 1 else "them"
    if "" in senders:
        what, them = ("some of them", "them") if len(senders) > 1 else (it, it)
        return f"No gateway can send {what} now: an open console sends {them}, or `mailhold queue send`."
    names = " and ".join(map(safe, senders))
    return f"The gateways {names} send them." if len(senders) > 1 else f"The gateway {names} sends {it}."
