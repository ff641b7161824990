"""`mailhold gateway`: run the gateway beside an MTA, enrol one, look at its configuration."""

from __future__ import annotations

import argparse
import shutil
import sys
from importlib import resources
from pathlib import Path

from store.errors import MailholdError, UsageError
from tui.commands.common import open_vault, operator_name

_CONFIG = "/etc/mailhold/mailhold.toml"
_INSTALLED = "/usr/local/bin/mailhold"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare `enroll NAME`, --credentials, --config and what is only printed."""
    parser.add_argument("verb", nargs="?", choices=["run", "enroll"], default="run", help="default: run")
    parser.add_argument("name", nargs="?", metavar="NAME", help="enroll: the gateway's name, as mx1.example.org")
    parser.add_argument("--credentials", metavar="F", help="enroll: the new file that is written, mode 0600")
    parser.add_argument("--config", metavar="F", default=_CONFIG, help=f"mailhold.toml (default: {_CONFIG})")
    only = parser.add_mutually_exclusive_group()
    only.add_argument("--check-config", action="store_true", help="look at the configuration, the store and scanners")
    only.add_argument("--example-config", action="store_true", help="print a commented mailhold.toml")
    only.add_argument("--systemd-unit", action="store_true", help="print a hardened unit for systemd")


def run(args: argparse.Namespace) -> int:
    """Do what is asked. Raises MailholdError."""
    if args.verb == "enroll":
        return _enroll(args)
    if args.name or args.credentials:
        raise UsageError("NAME and --credentials go with `mailhold gateway enroll`.")
    if args.example_config:
        from store.gateway.config import example

        print(example(), end="")
        return 0
    if args.systemd_unit:
        print(systemd_unit(), end="")
        return 0
    path = Path(args.config)
    return _check(path) if args.check_config else _run(path)


def systemd_unit() -> str:
    """The unit, with the program's own path in it."""
    unit = resources.files("store.gateway").joinpath("mailhold-gateway.service").read_text("utf-8")
    return unit.replace("@MAILHOLD@", shutil.which("mailhold") or _INSTALLED)


def _enroll(args: argparse.Namespace) -> int:
    if not args.name or not args.credentials:
        raise UsageError("`mailhold gateway enroll` takes a name and a file: enroll mx1 --credentials mx1.credentials.")
    from store.enrolment import enroll

    vault = open_vault(args)
    try:
        gateway_id = enroll(vault, args.name, Path(args.credentials), operator=operator_name())
    finally:
        vault.close()
    print(
        f"Gateway {args.name} is enrolled (number {gateway_id}). {args.credentials} is all that it needs: whoever has "
        "it can place copies in Backup and read none. Give it to the gateway's user alone."
    )
    return 0


def _run(path: Path) -> int:
    import asyncio

    from store.gateway.config import read_config
    from store.gateway.daemon import Gateway
    from store.gateway.log import start

    config = read_config(path)
    start(config.log.format, config.log.level)

    async def main() -> None:
        await Gateway(config, path=path).run()

    asyncio.run(main())
    return 0


def _check(path: Path) -> int:
    import asyncio

    from store.enrolment import open_with_credentials
    from store.gateway.config import read_config, scanners_of
    from store.gateway.policy import LivePolicy

    config = read_config(path)
    print(f"{path}: every key and value is valid")
    problems = 0
    try:
        vault = open_with_credentials(config.store.location, Path(config.store.credentials))
        try:
            live = LivePolicy(lambda *_args, **_fields: None)
            live.refresh(vault)
            gateway = vault.keys.gateway
            print(f"store: opened as gateway {gateway.name if gateway else ''}")
            for name, why in live.refused.items():
                problems += _problem(name, why)
            settings = live.policy.settings
            if settings is not None and not settings.relay:
                print("settings: no relay is set, so released copies are not delivered and nobody is notified")
        finally:
            vault.close()
    except MailholdError as error:
        problems += _problem("store", str(error))

    async def ping() -> dict[str, str]:
        scanners = scanners_of(config.engines)
        try:
            return {scanner.name: await scanner.ping() for scanner in scanners}
        finally:
            for scanner in scanners:
                await scanner.close()

    for name, why in asyncio.run(ping()).items():
        if why:
            problems += _problem(name, why)
        else:
            print(f"{name}: it answers")
    return 1 if problems else 0


def _problem(what: str, why: str) -> int:
    from tui.safe import safe

    print(f"mailhold: {safe(what)}: {safe(why)}", file=sys.stderr)
    return 1
