"""`mailhold gateway`: run the gateway beside an MTA; enrol, list and revoke gateways; check the configuration."""

from __future__ import annotations

import argparse
import os
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from store.terms.errors import MailholdError, UsageError
from tui.commands.asking import ask, can_ask
from tui.commands.opened import opened, use_of
from tui.commands.printing import local_time
from tui.commands.reporting import say_failed
from tui.terminal.words import counted

if TYPE_CHECKING:
    from store.vault.vault import Vault

_CONFIG = "/etc/mailhold/mailhold.toml"
#: The unit's StateDirectory, which a gateway with the usual configuration has.
_STATE = "/var/lib/mailhold"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb, NAME, --credentials, --yes, --config and the options that only print something."""
    parser.add_argument(
        "verb", nargs="?", choices=["run", "enroll", "revoke", "list"], default="run", help="default: run"
    )
    parser.add_argument(
        "name", nargs="?", metavar="NAME", help="enroll, revoke: the gateway's name, for example mx1.example.org"
    )
    parser.add_argument("--credentials", metavar="F", help="enroll: write the credentials to this new file (mode 0600)")
    parser.add_argument("--yes", action="store_true", help="revoke: do not ask for confirmation")
    parser.add_argument("--config", metavar="F", default=_CONFIG, help=f"mailhold.toml (default: {_CONFIG})")
    only = parser.add_mutually_exclusive_group()
    only.add_argument(
        "--check-config", action="store_true", help="check the configuration, the store and the scanners, and exit"
    )
    only.add_argument("--example-config", action="store_true", help="print an example mailhold.toml with comments")
    only.add_argument("--systemd-unit", action="store_true", help="print a systemd unit")


def run(args: argparse.Namespace) -> int:
    """Run the verb or the print option. Raises UsageError if the arguments do not go together, MailholdError."""
    if args.verb == "enroll":
        return _enroll(args)
    if args.verb == "revoke":
        return _revoke(args)
    if args.name or args.credentials:
        raise UsageError("NAME is only for `mailhold gateway enroll` and `revoke`, --credentials only for `enroll`.")
    if args.verb == "list":
        return _list(args)
    if args.example_config:
        from store.gateway.config import example

        print(example(), end="")
        return 0
    if args.systemd_unit:
        from store.installing.texts import unit

        print(unit(), end="")
        return 0
    path = Path(args.config)
    return check_config(path) if args.check_config else _run(path)


def _enroll(args: argparse.Namespace) -> int:
    if not args.name or not args.credentials:
        raise UsageError(
            "`gateway enroll` needs a name and a file, for example: mailhold gateway enroll mx1 --credentials "
            "mx1.credentials."
        )
    from store.enrolment.enrolment import enroll

    with opened(args) as vault:
        gateway_id = enroll(vault, args.name, Path(args.credentials), operator=vault.opened_by)
    print(
        f"Gateway {args.name} is enrolled (number {gateway_id}). Its credentials are in {args.credentials}: with them "
        "one can place copies in Backup, but read none. Let only the gateway's user read that file."
    )
    return 0


def _revoke(args: argparse.Namespace) -> int:
    if not args.name:
        raise UsageError("`gateway revoke` needs the name of a gateway. `mailhold gateway list` lists them.")
    from store.enrolment.enrolled import gateways, is_alive
    from store.enrolment.presence import is_here
    from store.enrolment.revocation import check_revocable, revoke
    from tui.terminal.safe import safe

    with opened(args) as vault:
        known = next((each.id for each in gateways(vault, on_error=lambda _: None) if each.name == args.name), None)
        check_revocable(vault, args.name)
        running = "It is running. Stop it first: copies that it places before it notices fail `mailhold check`. "
        runs = known is not None and (is_alive(vault, known) or is_here(vault, known))
        question = (
            f"Revoke gateway {safe(args.name)}? It can then place no more copies. This cannot be undone. "
            f"{running if runs else ''}[y/N] "
        )
        if not args.yes and not (can_ask() and ask(question).lower() in ("y", "yes")):
            raise UsageError("Nothing was revoked. Answer y, or add --yes to confirm.")
        done = revoke(vault, args.name, operator=vault.opened_by)
        knew_password = _relay_has_password(vault)
    epochs = counted(done.epochs, "epoch", "epochs")
    print(f"Gateway {args.name} is revoked. Copies that it placed before stay readable ({epochs}).")
    if knew_password:
        print(
            "It knew the relay's password. Change the password at the relay, then set it here: `mailhold settings "
            "set relay=URL`."
        )
    for delivery_id in done.waiting:
        print(
            f"Delivery {delivery_id} was assigned to this gateway, which may still send it. To send it from here: "
            f"`mailhold queue retry {delivery_id}`. To cancel it: `mailhold queue cancel {delivery_id}`."
        )
    return 1 if say_failed(done.refused) else 0


def _relay_has_password(vault: Vault) -> bool:
    """Return True if the relay setting has a password. False also if the settings cannot be read."""
    from store.authority.settings import read_settings
    from store.mail.relay import parse_relay

    try:
        relay = read_settings(vault).relay
        return bool(relay and parse_relay(relay).password)
    except MailholdError:
        return False


def _list(args: argparse.Namespace) -> int:
    from store.enrolment.enrolled import Running, gateways, running
    from store.enrolment.presence import is_here
    from tui.terminal.safe import fit

    failures: list[tuple[object, str]] = []
    with opened(args, use_of(args)) as vault:
        found = gateways(vault, on_error=lambda error: failures.append((error.what, str(error))))
        states = {each.id: running(vault, each.id, each.alive_at) for each in found}
        silent = {number for number, state in states.items() if state is Running.NO and is_here(vault, number)}
    if not found and not failures:
        print("No gateway is enrolled.")
    for each in found:
        state = "revoked" if each.revoked else str(states[each.id])
        if not each.revoked and states[each.id] is Running.NO:
            # With [delivery] off it sends no heartbeats.
            if each.id in silent:
                state = "running; its [delivery] is off, or it cannot write to the store"
            else:
                state += ", or its [delivery] is off"
        print(f"{each.id:>4}  {fit(each.name, 40)}  enrolled {local_time(each.enrolled_at)}  {state}")
    return 1 if say_failed(failures) else 0


def _run(path: Path) -> int:
    from store.gateway import event_loop
    from store.gateway.config import read_config
    from store.gateway.daemon import Gateway
    from store.gateway.log import start

    config = read_config(path)
    start(config.log.format, config.log.level)

    async def main() -> None:
        await Gateway(config, path=path).run()

    event_loop.run(main())
    return 0


def check_config(path: Path, *, usual: Path = Path(_CONFIG)) -> int:
    """Check that the gateway can work with the configuration `path`, and print a line for each of its requirements.

    Run as root, the check runs in a child process as the gateway's user (`store.gateway.proving.user_of`). Returns 1 if
    a check fails. Raises UsageError.
    """
    from store.gateway.config import read_config
    from store.gateway.proving import as_user, user_of

    config = read_config(path)
    if os.geteuid() != 0 or (user := user_of(path, config, usual=usual)).pw_uid == 0:
        return _check(path)
    print(f"Checked as user {user.pw_name}:", flush=True)
    if path == usual:
        os.environ.setdefault("STATE_DIRECTORY", _STATE)

    def check() -> int:
        from tui.commands.cli import answered

        try:
            return answered((), lambda _: _check(path))
        except OSError as error:
            return say_failed([(error.filename or path, error.strerror or str(error))])
        finally:
            sys.stdout.flush()

    return as_user(user, check)


def _check(path: Path) -> int:
    import asyncio

    from store.authority.comparing import lacking
    from store.authority.keeper import OLDER
    from store.authority.memory import Memory
    from store.enrolment.enrolment import open_with_credentials
    from store.gateway.config import read_config, scanners_of
    from store.gateway.metrics import Metrics
    from store.gateway.metrics_server import page_of
    from store.gateway.policy import LivePolicy
    from store.gateway.proving import proofs, scanner_proof
    from store.gateway.seen import seen_path
    from tui.terminal.safe import safe

    config = read_config(path)
    if config.metrics.listen:
        page_of(Metrics())
    print(f"✓ {path}: all keys and values are valid")
    problems = 0
    for proof in proofs(path.absolute(), config):
        print(safe(str(proof)), flush=True)
        problems += bool(proof.why)
    try:
        with closing(open_with_credentials(config.store.location, Path(config.store.credentials))) as vault:
            live = LivePolicy(lambda *_args, **_fields: None)
            live.refresh(vault)
            gateway = vault.keys.gateway
            print(f"✓ store: opened as gateway {gateway.name if gateway else ''}")
            problems += sum(_say_wrong(what, why) for what, why in live.refused.items())
            older = lacking(vault, Memory(seen_path(Path(config.store.credentials)), vault.store_id))
            if older is not None:
                why = (
                    f"it is older than what this gateway saw at {local_time(older.at)}: {older}. The gateway goes on "
                    "judging by what it saw."
                )
                problems += _say_wrong("store", f"{why} It sends nothing. {OLDER}")
            settings = live.policy.settings
            if settings is not None and not settings.relay:
                print(
                    "▲ settings: no relay is set, so released copies are not delivered and the administrator gets no "
                    "mail. Set one with `mailhold settings set relay=URL`."
                )
    except MailholdError as error:
        problems += _say_wrong("store", str(error))

    async def ping() -> dict[str, str]:
        scanners = scanners_of(config.engines)
        try:
            return {scanner.name: await scanner.ping() for scanner in scanners}
        finally:
            for scanner in scanners:
                await scanner.close()

    for name, why in asyncio.run(ping()).items():
        print(safe(str(scanner_proof(name, why))))
        problems += bool(why)
    return 1 if problems else 0


def _say_wrong(what: str, why: str) -> int:
    from tui.terminal.safe import safe

    print(f"✗ {safe(what)}: {safe(why)}")
    return 1
