"""`mailhold queue`: show the delivery queue; send, retry or cancel deliveries."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from store.helpers.clock import now_ms
from store.terms.errors import MailholdError, StoreUnavailable, UsageError
from tui.commands.asking import ask, can_ask
from tui.commands.ids import parse_ids
from tui.commands.opened import opened, use_of
from tui.commands.printing import iso, local_time, print_json
from tui.commands.reporting import say_failed
from tui.terminal.safe import safe
from tui.terminal.times import clock_and_left
from tui.terminal.words import addresses, counted

if TYPE_CHECKING:
    from collections.abc import Callable

    from store.delivery.queue import RetryPlan
    from store.vault.vault import Vault


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb, ID…, --open, --again, --yes and --json."""
    parser.add_argument(
        "verb", nargs="?", choices=["list", "send", "retry", "cancel"], default="list", help="default: list"
    )
    parser.add_argument(
        "ids",
        metavar="ID",
        nargs="*",
        help="IDs of deliveries, for retry, cancel and send (send ID: send now, even if it is held)",
    )
    parser.add_argument(
        "--open",
        action="store_true",
        help="list: only deliveries that wait, and those that `status` counts as failed or unknown",
    )
    parser.add_argument(
        "--again",
        action="store_true",
        help="retry: send also to recipients who have the message by another delivery of the copy",
    )
    parser.add_argument("--yes", action="store_true", help="retry: do not ask for confirmation")
    parser.add_argument(
        "--json",
        action="store_true",
        help="print an array of {id, copy_id, state, live, damage, odd_time, created_at, attempts, next_attempt_at, "
        "held_until, waits_for, recipients}",
    )


def run(args: argparse.Namespace) -> int:
    """Show or change the queue; return 1 if something could not be changed or sent, or a waiting delivery is damaged.

    Raises UsageError.
    """
    if args.verb in ("retry", "cancel") and not args.ids:
        raise UsageError(f"`queue {args.verb}` needs the IDs of deliveries. `mailhold queue` lists them.")
    if args.verb == "list" and args.ids:
        raise UsageError("`queue list` takes no IDs.")
    if args.verb != "retry" and (args.again or args.yes):
        raise UsageError("--again and --yes are only for `queue retry`.")
    if args.verb != "list" and args.open:
        raise UsageError("--open is only for `queue list`.")
    ranges = parse_ids(args.ids)
    failures: list[tuple[object, str]] = []
    with opened(args, use_of(args)) as vault:
        chosen: set[int] | None = None
        if ranges:
            chosen, failures = _change(vault, args, ranges)
        elif args.open or args.verb == "send":
            chosen = _open_ones(vault, waiting_only=args.verb == "send")
        if args.verb == "send" and (chosen or not ranges):
            problem = send_queue(vault)
            failures += [("queue send", problem)] if problem else []
        found = queue_json(vault)
    if chosen is not None:
        found = [delivery for delivery in found if delivery["id"] in chosen]
    if args.json:
        print_json(found)
    else:
        nothing = "The delivery queue is empty." if args.verb == "list" else "No delivery is waiting."
        _print(found, "" if ranges else "No delivery waits, failed or is unknown." if args.open else nothing)
    failures += [
        (
            f"delivery {delivery['id']}",
            f"It is damaged or was tampered with ({delivery['damage']}), so it is not sent. `mailhold check` shows "
            f"what does not verify. To remove it from the queue: `mailhold queue cancel {delivery['id']}`.",
        )
        for delivery in found
        if delivery["damage"] and delivery["live"]
    ]
    return 1 if say_failed(failures) else 0


def _open_ones(vault: Vault, *, waiting_only: bool) -> set[int]:
    """Return the ids of deliveries that are not finished, and of failed and unknown ones unless `waiting_only`."""
    from store.delivery.queue import deliveries
    from store.delivery.releases import Releases

    found = {each.id for each in deliveries(vault) if each.live}
    if waiting_only:
        return found
    releases = Releases(vault)
    releases.read()
    return found | releases.attention.failed | releases.attention.unknown


def _change(
    vault: Vault, args: argparse.Namespace, ranges: list[tuple[int, int]]
) -> tuple[set[int], list[tuple[object, str]]]:
    """Send, retry or cancel the deliveries in `ranges`; return the ids of those affected, and each failure with its
    reason.

    A range stands for the existing deliveries in it; one without any is a failure. Raises UsageError if sending again
    is not confirmed.
    """
    from store.delivery.outbox import send_now
    from store.delivery.queue import cancel, deliveries, retry, retry_plan

    existing = sorted(delivery.id for delivery in deliveries(vault)) if any(a != b for a, b in ranges) else []
    chosen: dict[int, None] = {}
    failures: list[tuple[object, str]] = []
    for low, high in ranges:
        within = [low] if low == high else [n for n in existing if low <= n <= high]
        chosen.update(dict.fromkeys(within))
        if not within:
            failures.append((f"deliveries {low}-{high}", "There are none with these IDs. `mailhold queue` lists all."))

    def each(work: Callable[[int], None]) -> None:
        for delivery_id in chosen:
            try:
                work(delivery_id)
            except StoreUnavailable:
                raise
            except MailholdError as error:
                failures.append((f"delivery {delivery_id}", str(error)))

    operator = vault.opened_by
    if args.verb == "cancel":
        each(lambda delivery_id: cancel(vault, delivery_id, operator))
        return set(chosen), failures
    if args.verb == "send":
        sent: set[int] = set()

        def at_once(delivery_id: int) -> None:
            failures.extend(_told(send_now(vault, delivery_id, operator)))
            sent.add(delivery_id)

        each(at_once)
        return sent, failures
    plans: dict[int, RetryPlan] = {}
    each(lambda delivery_id: plans.update({delivery_id: retry_plan(vault, delivery_id, again=args.again)}))
    if plans and not args.yes:
        _confirm(list(plans.values()))
    chosen = dict.fromkeys(plans)
    each(lambda each_id: failures.extend(_told(retry(vault, each_id, operator, again=args.again, plan=plans[each_id]))))
    return set(chosen), failures


def _told(done: RetryPlan) -> list[tuple[object, str]]:
    """Return a failure line for each recipient that was left out."""
    return [
        (f"delivery {done.delivery_id}", f"{each.address} was left out: {each.reason}; add --again to send there too.")
        for each in done.left_out
    ]


def _confirm(plans: list[RetryPlan]) -> None:
    """Show the recipients, the state of each and which of them may get the message twice; ask for yes.

    Raises UsageError for any other answer.
    """
    lines = []
    for plan in plans:
        when = "will be sent now, to" if plan.live else "will be sent again, to"
        lines.append(f"Delivery {plan.delivery_id} of copy {plan.copy_id} {when} {addresses(plan.sends)}:")
        for each in plan.recipients:
            if each.sends or each.left_out:
                known = f"left out, {each.left_out}" if each.left_out else f"{each.state}, {local_time(each.at)}"
                twice = ". The message MAY ARRIVE TWICE" if each.sends and each.twice else ""
                reply = f": {safe(each.reply).rstrip('.')}" if each.reply and each.sends else ""
                lines.append(f"  {safe(each.address)}  {safe(known)}{reply}{twice}")
    what = "\n".join(lines)
    if not can_ask():
        raise UsageError(f"{what}\nNothing was sent: there is no terminal to ask on. Add --yes to confirm.")
    if ask(f"{what}\nType yes to send: ").lower() != "yes":
        raise UsageError("Nothing was sent: you did not type yes.")


def send_queue(vault: Vault) -> str:
    """Send what is due and wait for the relay's answers. Returns why deliveries are still waiting, or ""."""
    import asyncio

    from store.delivery.queue import queue_length
    from store.delivery.waiting import wait_for_gateways
    from store.delivery.worker import DeliveryWorker

    worker = DeliveryWorker(vault, owner="command")
    asyncio.run(worker.run_until_idle())
    problem = wait_for_gateways(vault)
    return worker.problem or problem if queue_length(vault) else ""


def queue_json(vault: Vault) -> list[dict[str, Any]]:
    """Return every delivery as a JSON object. `damage`: what is wrong with its rows, or None; `live`: not finished yet.

    `held_until`: time of the first attempt, None if it is not held. `odd_time`: which of its times is impossible, and
    the consequence, or None. `waits_for`: who has to do what, if no running gateway is to send it, or None.
    """
    from store.delivery.queue import deliveries
    from store.enrolment.enrolled import Running, gateways, running
    from store.sealing.keys import LOCAL_ID

    now = now_ms()
    known = gateways(vault, on_error=lambda _: None)
    states = {each.id: running(vault, each.id, each.alive_at) for each in known}
    idle = {
        each.id: f"the gateway {each.name} is {states[each.id]}: start it, or `mailhold queue retry ID`"
        for each in known
        if states[each.id] is not Running.YES
    }
    idle[LOCAL_ID] = "an open console sends it, or `mailhold queue send`"
    return [
        {
            "id": delivery.id,
            "copy_id": delivery.copy_id,
            "state": "damaged" if delivery.damage else str(delivery.state),
            "live": delivery.live,
            "damage": delivery.damage or None,
            "odd_time": delivery.odd_time(now) or None,
            "created_at": iso(delivery.created_at),
            "attempts": delivery.attempts,
            "next_attempt_at": iso(delivery.next_attempt_at),
            "held_until": iso(until) if (until := delivery.held_until(now)) else None,
            "waits_for": idle.get(delivery.gateway_id) if delivery.live and not delivery.damage else None,
            "recipients": [
                {
                    "address": recipient.address,
                    "state": str(recipient.state),
                    "reply": recipient.reply,
                    "damage": recipient.damage or None,
                }
                for recipient in delivery.recipients
            ],
        }
        for delivery in deliveries(vault)
    ]


def _print(found: list[dict[str, Any]], nothing: str) -> None:
    if not found and nothing:
        print(nothing)
    for delivery in found:
        tried = counted(delivery["attempts"], "attempt", "attempts")
        print(f"{delivery['id']:>6}  copy {delivery['copy_id']}  {delivery['state']}  {tried}")
        if delivery["held_until"]:
            print(f"        waits until {_ahead(delivery['held_until'])}")
        elif delivery["state"] == "deferred" and delivery["next_attempt_at"] and not delivery["odd_time"]:
            print(f"        next try at {_ahead(delivery['next_attempt_at'])}")
        if delivery["damage"]:
            print(f"        damaged or tampered with: {delivery['damage']}")
        if delivery["odd_time"]:
            print(f"        time problem: {delivery['odd_time']}")
        if delivery["waits_for"]:
            print(f"        {safe(delivery['waits_for'])}")
        for recipient in delivery["recipients"]:
            address = safe(recipient["address"]) or "(does not verify)"
            print(f"        {address}  {recipient['state']}  {safe(recipient['reply'] or '')}".rstrip())


def _ahead(moment: str) -> str:
    """Write a time of the JSON in local time, and how long it is until then."""
    when = datetime.fromisoformat(moment).astimezone()
    return clock_and_left(round(when.timestamp() * 1000), now_ms(), when.tzinfo or UTC)
