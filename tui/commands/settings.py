"""`mailhold settings`: show and change the Backup settings."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

import msgspec

from store.mail.local_domains import LOOKED_AT, seen_domains, seen_words, to_set
from store.terms.errors import TamperedError, UsageError
from tui.commands.asking import confirm_count
from tui.commands.free_space import look_at_free_space
from tui.commands.opened import opened, use_of
from tui.commands.printing import local_time, print_json
from tui.commands.resetting import known_lines, reset, reset_arguments
from tui.terminal.progress import Progress
from tui.terminal.safe import safe
from tui.terminal.words import NO_PASSPHRASE, removal_words

if TYPE_CHECKING:
    from store.authority.settings import Settings
    from store.vault.vault import Vault


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb, NAME=VALUE…, --yes, --former and --json."""
    parser.add_argument(
        "verb",
        nargs="?",
        choices=["get", "set", "reset"],
        default="get",
        help="default: get; reset replaces settings that do not verify with the defaults, unless --former is given",
    )
    parser.add_argument(
        "values",
        metavar="NAME=VALUE",
        nargs="*",
        help="max_size, notify_below, allow_infected, if_unavailable, relay, administrator, local_domains, lock_after, "
        "release_loops, release_ignores, hold, hold_many, bin_share, bin_days",
    )
    parser.add_argument(
        "--yes",
        action="store_true",
        help="set: do not ask for the number of copies that a smaller max_size removes; reset: do not ask for "
        "confirmation",
    )
    reset_arguments(parser)
    parser.add_argument("--json", action="store_true", help="print the settings as an object")


def run(args: argparse.Namespace) -> int:
    """Show or change settings. Raises SettingError, UsageError."""
    if args.verb == "set" and not args.values:
        raise UsageError("`settings set` takes NAME=VALUE, for example max_size=2GB.")
    if any("://" in value.partition("=")[0] for value in args.values):
        raise UsageError("A URL needs the name of its setting before it: write relay=smtp://host:port.")
    if args.verb == "get" and any("=" in value for value in args.values):
        # Name the setting only: its value may be a password.
        name = next(value for value in args.values if "=" in value).partition("=")[0]
        raise UsageError(f"To change a setting, write `mailhold settings set {name}=…`.")
    if args.verb == "reset" and args.values:
        raise UsageError("`settings reset` takes no names: it resets all settings, if they do not verify.")
    if args.former and args.verb != "reset":
        raise UsageError("--former is only for `settings reset`.")
    from store.authority.settings import PART, parse_setting, read_settings
    from store.opening.slots import opens_with_passphrase

    with opened(args, use_of(args)) as vault:
        if args.verb == "reset":
            reset(vault, PART, args)
        try:
            before = settings = read_settings(vault)
        except TamperedError:
            if args.verb == "get":
                _say_known(vault)
            raise
        for value in args.values if args.verb == "set" else ():
            name, equals, text = value.partition("=")
            if not equals:
                raise UsageError(f"`{value}` is not NAME=VALUE. Quote values that contain spaces.")
            settings, warning = parse_setting(settings, name.strip(), text.strip())
            if warning:
                print(f"mailhold: {warning}", file=sys.stderr)
        if args.verb == "set":
            settings = _write(vault, settings, before, yes=args.yes)
            if settings.lock_after and not opens_with_passphrase(vault):
                print(f"mailhold: {NO_PASSPHRASE}", file=sys.stderr)
            look_at_free_space(vault)
        asked = args.verb == "set" or args.json or settings.local_domains
        seen = [] if asked else seen_domains(vault.newest(LOOKED_AT))
    fields = settings_json(settings)
    if args.verb == "get" and args.values:
        unknown = [name for name in args.values if name not in fields]
        if unknown:
            raise UsageError(f"There is no setting `{unknown[0]}`. Use one of: {', '.join(fields)}.")
        fields = {name: fields[name] for name in args.values}
    if args.json:
        print_json(fields)
    else:
        _print(fields)
        if seen and "local_domains" in fields:
            print(f"Domains of recipients seen: {seen_words(seen)}. To set them as local domains: {to_set(seen)}")
    return 0


def _say_known(vault: Vault) -> None:
    """Print to standard error what is still known of settings that do not verify."""
    from store.authority.resetting import look
    from store.authority.settings import PART

    if (damaged := look(vault, PART)) is not None:
        for line in known_lines(PART, damaged):
            print(f"mailhold: {line}", file=sys.stderr)


def _write(vault: Vault, settings: Settings, before: Settings, *, yes: bool) -> Settings:
    """Write `settings`. If a smaller maximum removes copies, their number must be typed.

    Raises UsageError if it is not.
    """
    from store.space.changing_settings import change_settings
    from store.space.rotation import Removal, RemovesMore, would_remove

    def ask(removal: Removal) -> Removal:
        confirm_count(
            f"This permanently removes {removal_words(removal, local_time(removal.before))}.",
            removal.copies + removal.binned,
            yes=yes,
        )
        return removal

    smaller = settings.max_size < before.max_size
    confirmed = (
        None if yes else ask(would_remove(vault, settings.max_size, settings.bin_share)) if smaller else Removal()
    )
    while True:
        try:
            with Progress("Removing") as progress:
                return change_settings(
                    vault, settings, base=before, confirmed=confirmed, operator=vault.opened_by, progress=progress
                )
        except RemovesMore as more:
            confirmed = ask(more.removal)


def settings_json(settings: Settings) -> dict[str, Any]:
    """Convert the settings to plain JSON values: sizes in bytes, the relay without its password."""
    from store.mail.relay import parse_relay

    fields: dict[str, Any] = msgspec.to_builtins(settings)
    fields["local_domains"] = list(settings.local_domains)
    fields["release_ignores"] = list(settings.release_ignores)
    fields["relay"] = str(parse_relay(settings.relay)) if settings.relay else ""
    return fields


def _print(fields: dict[str, Any]) -> None:
    from store.authority.settings import format_size, in_words

    for name, value in fields.items():
        if name in ("max_size", "notify_below"):
            text = f"{format_size(value)} ({value:,} bytes)"
        elif isinstance(value, bool):
            text = "yes" if value else "no"
        elif isinstance(value, list):
            text = safe(", ".join(value)) or "-"
        elif (words := in_words(name, value)) is not None:
            text = words
        else:
            text = safe(str(value)) or "-"
        print(f"{name:<16}{text}")
