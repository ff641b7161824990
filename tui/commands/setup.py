"""`mailhold setup`: set up a gateway and its operators on this machine. Lists all steps first, then reports each."""

from __future__ import annotations

import argparse
import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from store.terms.errors import MailholdError, UsageError
from tui.commands.asking import confirm
from tui.commands.caller import login_name
from tui.commands.printing import print_recovery_key
from tui.terminal.safe import safe

if TYPE_CHECKING:
    from store.installing.places import Places
    from store.installing.step import Look, Step


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "--root",
        metavar="DIR",
        default="/",
        help="put all files below this folder (default: /); users and groups are made on this machine in any case",
    )
    parser.add_argument(
        "--mta",
        choices=["postfix", "none"],
        default="",
        help="the MTA that connects to the socket (default: postfix, if installed)",
    )
    parser.add_argument("--relay", metavar="URL", default="", help="the relay that delivers released copies")
    parser.add_argument(
        "--administrator", metavar="ADDRESS", default="", help="the address that gets mail when something is wrong"
    )
    parser.add_argument("--name", metavar="NAME", default="", help="the gateway's name (default: the host's)")
    parser.add_argument(
        "--operator",
        metavar="USER",
        action="append",
        default=[],
        help="give this user a key file of their own; may be repeated",
    )
    parser.add_argument("--dry-run", action="store_true", help="show what would be made, and change nothing")
    parser.add_argument("--yes", action="store_true", help="do not ask for confirmation")


def run(args: argparse.Namespace) -> int:
    """Show the steps, ask, and carry them out. Return 1 if a step failed or the gateway's configuration check did.

    Things that exist but differ are named and left alone. Raises UsageError.
    """
    from store.installing.installing import steps
    from store.installing.places import Wanted

    root = Path(args.root).absolute()
    key_file = getattr(args, "key_file", None)
    store = getattr(args, "store", None)
    if store == "" or key_file == "":  # an unset variable of a script
        raise UsageError("--store or --key-file is empty. Give a value, or leave the option out.")
    places, wanted = steps(
        Wanted(
            root=root,
            store=store or "",
            key_file=Path(key_file) if key_file else None,
            mta=args.mta,
            relay=args.relay,
            administrator=args.administrator,
            name=args.name,
            operators=tuple(args.operator),
            by=login_name(),
        )
    )
    missing = _show(wanted)
    if args.dry_run:
        print("Dry run: nothing was changed.")
        return 0
    if not missing:
        print("Nothing is missing. Nothing was changed.")
        return _prove(places)
    if os.geteuid() != 0:
        raise UsageError(
            "Only root can do this. Run it with sudo, or see what it would do with `mailhold setup --dry-run`."
        )
    where = ""
    if root != Path("/"):
        where = f" The files go below {safe(str(root))}; users and groups are made on this machine itself."
    confirm(f"This makes {missing} of the {len(wanted)} things above on this machine.{where}", yes=args.yes)
    failed = sum([not _make(step) for step in wanted])
    if failed:
        print(f"{failed} could not be made. Run the commands marked `By hand` above, then `{_again(places)}` again.")
        return 1
    proved = _prove(places)
    _say_next(places, args.operator)
    return proved


def _again(places: Places) -> str:
    """Return the command that sets up the same machine again."""
    return "mailhold setup" + ("" if places.root == Path("/") else f" --root {shlex.quote(str(places.root))}")


def _show(wanted: list[Step]) -> int:
    """Print the state of each step; return how many are missing."""
    from store.installing.step import State

    missing = 0
    for step in wanted:
        try:
            look = step.look()
        except (OSError, MailholdError) as error:
            print(f"  unknown    {safe(step.what)}: {safe(_why(error))}")
            missing += 1
            continue
        missing += look.state is State.MISSING
        _print_look(step, look)
    return missing


def _print_look(step: Step, look: Look) -> None:
    print(f"  {look.state.value:<10} {safe(step.what)}{f': {safe(look.note)}' if look.note else ''}")


def _make(step: Step) -> bool:
    """Carry out a step if it is still missing, and print the result. False if it failed."""
    from store.installing.step import State

    try:
        if step.look().state is not State.MISSING:
            return True
        shown = step.make()
    except (OSError, MailholdError) as error:
        print(f"✗ {safe(step.what)}: {safe(_why(error))}\n  By hand: {safe(step.by_hand)}", flush=True)
        return False
    print(f"✓ made: {safe(step.what)}", flush=True)
    if shown:
        print_recovery_key(shown)
    return True


def _why(error: Exception) -> str:
    return str(error.strerror or error) if isinstance(error, OSError) else str(error)


def _prove(places: Places) -> int:
    """Check the configuration as the gateway's user and print the result; return 1 if a check fails."""
    if not places.config.exists() or os.geteuid() != 0:
        return 0
    from tui.commands.gateway import check_config

    print("\nChecking the configuration as the gateway's user:", flush=True)
    os.environ.setdefault("STATE_DIRECTORY", str(places.state))
    try:
        return check_config(places.config, usual=places.config)
    except MailholdError as error:
        print(f"✗ {safe(str(error))}")
        return 1


def _say_next(places: Places, operators: list[str]) -> None:
    from store.database.connection import shown_location
    from store.installing.accounts import runs_systemd

    start = (
        "systemctl daemon-reload && systemctl enable --now mailhold-gateway"
        if runs_systemd() and places.root == Path("/")
        else f"STATE_DIRECTORY={places.state} setpriv --reuid=mailhold --regid=mailhold --init-groups "
        f"mailhold gateway --config {places.config}"
    )
    print("\nNext:")
    print(f"  Start the gateway: {start}")
    if places.postfix:
        socket = places.socket.relative_to(places.spool)
        print(f"  Connect Postfix to it, in main.cf: smtpd_milters = unix:{socket}")
    location = shlex.quote(shown_location(places.store))
    print(f"  Open the store: export MAILHOLD_STORE={location} MAILHOLD_KEY_FILE={places.key_file}")
    if operators:
        who = ", ".join(map(safe, operators))
        print(f"  {who}: log in again, and export MAILHOLD_STORE={location} MAILHOLD_KEY_FILE=~/.config/mailhold/key")
    else:
        print(f"  To give a user who is not root a key file: {_again(places)} --operator USER")
