"""`mailhold queue`: the delivery queue, and what an operator can do to it."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from store.errors import UsageError
from tui.commands.common import iso, open_vault, operator_name, parse_ids, print_json

if TYPE_CHECKING:
    from store.vault import Vault


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb, ID… and --json."""
    parser.add_argument(
        "verb", nargs="?", choices=["list", "send", "retry", "cancel"], default="list", help="default: list"
    )
    parser.add_argument("ids", metavar="ID", nargs="*", help="deliveries, for retry and cancel")
    parser.add_argument("--json", action="store_true", help="print an array of {id, copy_id, state, recipients}")


def run(args: argparse.Namespace) -> int:
    """Show or change the queue. Raises DeliveryError, UsageError."""
    if args.verb in ("retry", "cancel") and not args.ids:
        raise UsageError(f"`queue {args.verb}` takes the ids of deliveries; `mailhold queue` lists them.")
    if args.verb in ("list", "send") and args.ids:
        raise UsageError(f"`queue {args.verb}` takes no ids.")
    wanted = [n for low, high in parse_ids(args.ids) for n in range(low, high + 1)]
    from store.delivery.queue import cancel, retry

    vault = open_vault(args)
    try:
        for delivery_id in wanted:
            (retry if args.verb == "retry" else cancel)(vault, delivery_id, operator=operator_name())
        if args.verb == "send":
            import asyncio

            from store.delivery.worker import DeliveryWorker

            asyncio.run(DeliveryWorker(vault, owner="command").run_until_idle())
        found = queue_json(vault)
    finally:
        vault.close()
    if wanted:
        found = [delivery for delivery in found if delivery["id"] in set(wanted)]
    if args.json:
        print_json(found)
    else:
        _print(found)
    return 0


def queue_json(vault: Vault) -> list[dict[str, Any]]:
    """Every delivery as the JSON object that the README documents."""
    from store.delivery.queue import deliveries

    return [
        {
            "id": delivery.id,
            "copy_id": delivery.copy_id,
            "state": str(delivery.state),
            "created_at": iso(delivery.created_at),
            "attempts": delivery.attempts,
            "next_attempt_at": iso(delivery.next_attempt_at),
            "recipients": [
                {"address": recipient.address, "state": str(recipient.state), "reply": recipient.reply}
                for recipient in delivery.recipients
            ],
        }
        for delivery in deliveries(vault)
    ]


def _print(found: list[dict[str, Any]]) -> None:
    from tui.safe import safe

    if not found:
        print("The delivery queue is empty.")
    for delivery in found:
        print(f"{delivery['id']:>6}  copy {delivery['copy_id']}  {delivery['state']}  {delivery['attempts']} attempts")
        for recipient in delivery["recipients"]:
            print(
                f"        {safe(recipient['address'])}  {recipient['state']}  {safe(recipient['reply'] or '')}".rstrip()
            )
