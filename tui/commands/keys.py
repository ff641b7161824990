"""`mailhold keys`: list, add and remove the passphrases and keys that unlock the store."""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from store.terms.errors import UsageError
from tui.commands.asking import confirm
from tui.commands.caller import as_text, login_name
from tui.commands.ids import parse_ids
from tui.commands.opened import opened, use_of
from tui.commands.passphrases import ask_new_passphrase
from tui.commands.printing import iso, local_time, print_json, print_recovery_key
from tui.commands.reporting import say_failed
from tui.terminal.safe import safe

if TYPE_CHECKING:
    from collections.abc import Sequence

    from store.opening.slots import SlotInfo
    from store.vault.vault import Vault

RECOVERY = "recovery"
#: Kinds of slots whose name in a sentence is another.
_KINDS = {"key-file": "key file", RECOVERY: "recovery key"}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb, SLOT, the options of `add`, --yes and --json."""
    parser.add_argument("verb", nargs="?", choices=["list", "add", "remove"], default="list", help="default: list")
    parser.add_argument("slot", metavar="SLOT", nargs="?", help="remove: the slot's number")
    parser.add_argument(
        "--new-key-file",
        metavar="F",
        type=Path,
        help="add: add a key file instead of a passphrase (created if it does not exist)",
    )
    parser.add_argument("--new-recovery", action="store_true", help="add: add a recovery key, which is shown once")
    parser.add_argument("--name", metavar="NAME", help="add: the operator's name (default: your login name)")
    parser.add_argument(
        "--for",
        metavar="USER",
        dest="user",
        help="add: make a key file for this system user (default: ~USER/.config/mailhold/key)",
    )
    parser.add_argument("--yes", action="store_true", help="remove: do not ask for confirmation")
    parser.add_argument("--json", action="store_true", help="print an array of {id, kind, name, created_at}")


def run(args: argparse.Namespace) -> int:
    """List or change the key slots; return 1 if a slot does not verify.

    Raises LastSlot, KeyFileError, NotMade, UsageError if the arguments do not fit or the removal is not confirmed.
    """
    if (args.verb == "remove") != (args.slot is not None):
        raise UsageError("`keys remove` needs the number of a slot. `mailhold keys` lists them.")
    if args.user is not None and (args.verb != "add" or args.new_recovery):
        raise UsageError("--for USER is only for `keys add` with a key file.")
    if args.yes and args.verb != "remove":
        raise UsageError("--yes is only for `keys remove`.")
    from store.opening import slots

    with opened(args, use_of(args)) as vault:
        if args.verb == "remove":
            _remove(vault, args)
        elif args.verb == "add":
            name = as_text(args.name) if args.name else login_name()
            if args.user is not None:
                _give(vault, args)
            elif args.new_recovery:
                print_recovery_key([slots.add_recovery(vault, name)[1]])
            elif args.new_key_file:
                slots.add_key_file(vault, args.new_key_file, name)
            else:
                slots.add_passphrase(vault, ask_new_passphrase(), name)
        damaged: list[tuple[object, str]] = []
        listed = slots.list_slots(vault, on_error=lambda error: damaged.append((error.what, str(error))))
    if args.json:
        print_json([{"id": s.id, "kind": s.kind, "name": s.label, "created_at": iso(s.created_at)} for s in listed])
    else:
        for s in listed:
            print(f"{s.id:>4}  {s.kind:<12}{safe(s.label):<24}{local_time(s.created_at)}".rstrip())
    return 1 if say_failed((what, f"{why} `mailhold keys remove` removes it.") for what, why in damaged) else 0


def _remove(vault: Vault, args: argparse.Namespace) -> None:
    """Say what is special about the slot, ask, and remove it. Raises LastSlot, UsageError."""
    from store.opening import slots

    [(slot_id, last)] = parse_ids([args.slot])
    if slot_id != last:
        raise UsageError("`keys remove` removes one slot at a time.")
    if slot_id >= 1 << 63:
        raise UsageError(f"There is no key slot {slot_id}. `mailhold keys` lists them.")
    slots.check_removable(vault, slot_id)
    listed = slots.list_slots(vault, on_error=lambda _: None)
    confirm(removal_question(listed, slot_id, vault.opened_slot), yes=args.yes)
    slots.remove_slot(vault, slot_id)


def removal_question(listed: Sequence[SlotInfo], slot_id: int, opened_slot: int) -> str:
    """Describe the removal of a slot: `listed` are the slots that verify, `opened_slot` opened the store."""
    slot = next((each for each in listed if each.id == slot_id), None)
    others = [each.kind for each in listed if each.id != slot_id]
    if slot is None:
        said = [f"This removes key slot {slot_id}, which is damaged or was tampered with."]
    else:
        what = _KINDS.get(slot.kind, slot.kind)
        of = f" of {safe(slot.label)}" if slot.label else ""
        said = [f"This removes key slot {slot_id}, a {what}{of}: it no longer opens the store."]
        if slot.kind not in others:
            said.append(f"It is the last {what}.")
    if slot_id == opened_slot:
        said.append("This command opened the store with it.")
    if slot is not None and not set(others) - {RECOVERY}:
        said.append("Only the recovery key then opens the store.")
    elif slot is not None and slot.kind == RECOVERY and RECOVERY not in others:
        said.append("If the other keys are lost, nobody can then open the store.")
    if slot is not None:
        said.append("Consoles that are open with it stay open.")
    return " ".join([*said, "This cannot be undone."])


def _give(vault: Vault, args: argparse.Namespace) -> None:
    """Make a key file for another user, and print how that user opens the store.

    Raises UsageError, NotMade, UnlockError.
    """
    from store.database.connection import is_url, shown_location
    from store.installing.operators import closed_to, give_key, key_file_of

    path = (args.new_key_file or key_file_of(args.user)).absolute()
    give_key(vault, args.user, path, as_text(args.name) if args.name else "")
    place = vault.location if is_url(vault.location) else str(Path(vault.location).absolute())
    said = sys.stderr if args.json else sys.stdout
    named = f"MAILHOLD_STORE={shlex.quote(shown_location(place))} MAILHOLD_KEY_FILE={shlex.quote(str(path))}"
    print(safe(f"{args.user} can now open the store with: export {named}"), file=said)
    if not is_url(place) and (why := closed_to(args.user, Path(place))):
        print(safe(why), file=said)
