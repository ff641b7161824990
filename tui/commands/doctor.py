"""`mailhold doctor`: send test messages through the MTA and check that each arrives in the store."""

from __future__ import annotations

import argparse
import shutil
import textwrap
from typing import TYPE_CHECKING, Any

from store.mail.addresses import check_address
from store.terms.errors import UsageError
from tui.commands.interrupt import Interrupt
from tui.commands.opened import opened
from tui.commands.printing import iso, print_json
from tui.commands.reporting import say_copies
from tui.terminal.safe import safe

if TYPE_CHECKING:
    from store.doctor.doctor import Trace
    from store.vault.vault import Vault


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--smtp", metavar="HOST:PORT", default="127.0.0.1:25", help="the MTA (default: 127.0.0.1:25)")
    parser.add_argument("--to", metavar="ADDRESS", help="the recipient (default: the administrator in the settings)")
    parser.add_argument("--from", dest="sender", metavar="ADDRESS", help="the sender (default: the recipient)")
    parser.add_argument("--only", choices=["eicar", "gtube"], help="send only this one of the two messages")
    parser.add_argument(
        "--wait", metavar="SECONDS", type=float, default=30.0, help="how long to wait for a copy (default: 30)"
    )
    parser.add_argument(
        "--keep", action="store_true", help="keep the copies of the test messages (they are deleted otherwise)"
    )
    parser.add_argument("--json", action="store_true", help="print [{probe, ok, message_id, queue_id, copy, steps}]")


def run(args: argparse.Namespace) -> int:
    """Send the test messages and print each step; return 1 if a step failed. Raises UsageError, AddressError."""
    from store.authority.settings import read_settings
    from store.doctor.doctor import examine, parse_endpoint
    from store.doctor.probes import PROBES
    from store.doctor.relay import examine_relay

    server = parse_endpoint(args.smtp)
    if not 0 <= args.wait <= 3600:
        raise UsageError("--wait must be a number of seconds from 0 to 3600.")
    with opened(args) as vault:
        settings = read_settings(vault)
        recipient = check_address(args.to) if args.to else settings.administrator
        if not recipient:
            raise UsageError(
                "No recipient given. Add --to ADDRESS, or set the administrator: `mailhold settings set "
                "administrator=ADDRESS`."
            )
        sender = check_address(args.sender) if args.sender else recipient
        with Interrupt() as interrupt:
            traces = examine(
                vault,
                server,
                sender=sender,
                recipient=recipient,
                probes=[probe for probe in PROBES if args.only in (None, probe.name.lower())],
                wait=args.wait,
                cancelled=interrupt,
            )
            if settings.relay and not interrupt():
                traces.append(
                    examine_relay(
                        vault,
                        settings,
                        traces,
                        sender=sender,
                        recipient=recipient,
                        wait=args.wait,
                        cancelled=interrupt,
                    )
                )
        gateway = _gateway(vault)
        if not args.keep:
            _delete(vault, traces)
    if args.json:
        print_json([_as_json(trace) for trace in traces])
    else:
        for trace in traces:
            _print(trace, gateway)
    return 1 if any(trace.failed for trace in traces) else 0


def _gateway(vault: Vault) -> str:
    """Return a sentence if no gateway is enrolled or running, which explains a failed test; else ""."""
    from store.enrolment.enrolled import gateways, is_alive

    enrolled = [each for each in gateways(vault, on_error=lambda _: None) if not each.revoked]
    if not enrolled:
        return "No gateway is enrolled in this store. Enrol one with `mailhold gateway enroll NAME`."
    if not any(is_alive(vault, each.id) for each in enrolled):
        return "No gateway of this store is running (or those that run have their [delivery] off)."
    return ""


def _delete(vault: Vault, traces: list[Trace]) -> None:
    from store.authority.deleting import delete_copies

    ids = [trace.copy.id for trace in traces if trace.copy is not None]
    if ids:
        result = delete_copies(vault, ids, operator=vault.opened_by, for_good=True)
        say_copies(result.refused)


def _as_json(trace: Trace) -> dict[str, Any]:
    copy = trace.copy
    return {
        "probe": trace.probe.name,
        "ok": trace.tested and trace.failed is None,
        "message_id": trace.message_id,
        "queue_id": trace.queue_id,
        "copy": None if copy is None else {"id": copy.id, "placed": iso(copy.stored_at)},
        "steps": [
            {"step": step.name, "state": step.state.value, "found": step.found, "check": step.check}
            for step in trace.steps
        ],
    }


def _print(trace: Trace, gateway: str) -> None:
    width = max(40, min(shutil.get_terminal_size().columns, 120) - 20)

    print(f"{trace.probe.name:<8}{'FAILED' if trace.failed else 'ok' if trace.tested else 'not tested'}")
    for step in trace.steps:
        print(f"  {step.name:<10}{_STATES[step.state.value]:<8}{safe(step.found)}")
        if step.check:
            lines = textwrap.wrap(safe(step.check), width, break_long_words=False, break_on_hyphens=False)
            print(textwrap.indent("\n".join(lines), " " * 20).replace(" " * 20, f"{'':<12}{'check:':<8}", 1))
    if trace.failed and gateway:
        print(f"  {'':<10}{'note:':<8}{gateway}")


_STATES = {"done": "ok", "failed": "FAILED", "skipped": "-"}
