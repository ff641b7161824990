"""`mailhold upgrade`: upgrade a store from an older version to this version's format."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from store.terms.errors import StoreUnavailable, UsageError
from tui.commands.asking import ask, can_ask
from tui.commands.opened import opened
from tui.commands.printing import local_time
from tui.terminal.safe import safe

if TYPE_CHECKING:
    from store.upgrading.upgrading import RunningGateway


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare --yes."""
    parser.add_argument("--yes", action="store_true", help="do not ask for confirmation")


def run(args: argparse.Namespace) -> int:
    """Upgrade the store. Return 0 also if it already has this format.

    Raises UsageError if it is not confirmed, StoreUnavailable if gateways are running.
    """
    from store.database.tables import FORMAT
    from store.upgrading.upgrading import GatewaysRun, format_of, running_gateways, upgrade

    with opened(args, former=True) as vault:
        present = format_of(vault)
        if present == FORMAT:
            print(f"The store already has format {FORMAT}. There is nothing to upgrade.")
            return 0
        try:
            if running := running_gateways(vault):
                raise GatewaysRun(running)
            question = (
                f"Upgrade the store from format {present} to format {FORMAT}? Older releases cannot open it "
                "afterwards, and this cannot be undone. Make a backup and close all consoles first. [y/N] "
            )
            if not args.yes and not (can_ask() and ask(question).lower() in ("y", "yes")):
                raise UsageError("Nothing was upgraded. Answer y, or add --yes to confirm.")
            upgrade(vault, operator=vault.opened_by)
        except GatewaysRun as error:
            raise StoreUnavailable(_running(error.running)) from None
    print(f"The store now has format {FORMAT}. Start its gateways with this version; their credentials stay valid.")
    return 0


def _running(running: list[RunningGateway]) -> str:
    names = ", ".join(
        safe(each.name) + (f" (last heard from at {local_time(each.heard_at)})" if each.heard_at else "")
        for each in running
    )
    return f"Nothing was upgraded, because gateways are running: {names}. Stop them, and try again after a minute."
