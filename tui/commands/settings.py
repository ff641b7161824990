"""`mailhold settings`: the Backup settings."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

from store.errors import UsageError
from tui.commands.common import look_at_free_space, open_vault, operator_name, print_json

if TYPE_CHECKING:
    from store.settings import Settings


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare `get`/`set`, NAME=VALUE… and --json."""
    parser.add_argument("verb", nargs="?", choices=["get", "set"], default="get", help="default: get")
    parser.add_argument(
        "values",
        metavar="NAME=VALUE",
        nargs="*",
        help="max_size, notify_below, allow_infected, if_unavailable, relay, administrator, local_domains, lock_after",
    )
    parser.add_argument("--json", action="store_true", help="print the settings as an object")


def run(args: argparse.Namespace) -> int:
    """Show or change settings. Raises SettingError, UsageError."""
    if args.verb == "set" and not args.values:
        raise UsageError("`settings set` takes NAME=VALUE, as max_size=2GB.")
    if any("://" in value.partition("=")[0] for value in args.values):
        raise UsageError("An address stands without its setting's name: write relay=smtp://host:port.")
    if args.verb == "get" and any("=" in value for value in args.values):
        name = next(value for value in args.values if "=" in value).partition("=")[0]  # the value may be a password
        raise UsageError(f"To change a setting, write `mailhold settings set {name}=…`.")
    from store.delivery.local_domains import seen_domains, seen_words, to_set
    from store.opening import opens_with_passphrase
    from store.settings import parse_setting, read_settings, write_settings
    from tui.locking import NO_PASSPHRASE

    vault = open_vault(args)
    try:
        before = settings = read_settings(vault)
        for value in args.values if args.verb == "set" else ():
            name, equals, text = value.partition("=")
            if not equals:
                raise UsageError(f"`{value}` sets nothing: write NAME=VALUE.")
            settings, warning = parse_setting(settings, name.strip(), text.strip())
            if warning:
                print(f"mailhold: {warning}", file=sys.stderr)
        if args.verb == "set":
            settings = write_settings(vault, settings, base=before, operator=operator_name())
            if settings.lock_after and not opens_with_passphrase(vault):
                print(f"mailhold: {NO_PASSPHRASE}", file=sys.stderr)
            look_at_free_space(vault)
        seen = [] if args.verb == "set" or args.json or settings.local_domains else seen_domains(vault)
    finally:
        vault.close()
    fields = settings_json(settings)
    if args.verb == "get" and args.values:
        unknown = [name for name in args.values if name not in fields]
        if unknown:
            raise UsageError(f"There is no setting `{unknown[0]}`; there are: {', '.join(fields)}.")
        fields = {name: fields[name] for name in args.values}
    if args.json:
        print_json(fields)
    else:
        _print(fields)
        if seen and "local_domains" in fields:
            print(f"Local domains seen: {seen_words(seen)}. Set them: {to_set(seen)}")
    return 0


def settings_json(settings: Settings) -> dict[str, Any]:
    """The settings as plain JSON values: sizes in bytes, a relay's password left out."""
    import msgspec

    from store.delivery.relay import parse_relay

    fields: dict[str, Any] = msgspec.to_builtins(settings)
    fields["local_domains"] = list(settings.local_domains)
    fields["relay"] = str(parse_relay(settings.relay)) if settings.relay else ""
    return fields


def _print(fields: dict[str, Any]) -> None:
    from store.settings import format_size, shown_lock_after
    from tui.safe import safe

    for name, value in fields.items():
        if name in ("max_size", "notify_below"):
            text = f"{format_size(value)} ({value:,} bytes)"
        elif isinstance(value, bool):
            text = "yes" if value else "no"
        elif isinstance(value, list):
            text = safe(", ".join(value)) or "-"
        elif name == "lock_after":
            text = shown_lock_after(value)
        else:
            text = safe(str(value)) or "-"
        print(f"{name:<16}{text}")
