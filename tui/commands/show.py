"""`mailhold show`: show all fields of a copy, or the raw message."""

from __future__ import annotations

import argparse
import sys
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec

from store.database.modes import Use
from store.delivery.recipients import ENVELOPE, recipients_of
from store.mail.outcome import delivered
from store.terms.errors import UsageError
from store.terms.sender import address_first, sender_differs
from store.terms.verdicts import Engine, Status, Verdict
from tui.commands.ids import parse_ids
from tui.commands.list_ import reason_text, recipient_json
from tui.commands.opened import opened
from tui.commands.printing import iso, print_json
from tui.terminal.cells import local_zone
from tui.terminal.known_words import known_words
from tui.terminal.safe import safe
from tui.terminal.times import full_time
from tui.terminal.words import counted

if TYPE_CHECKING:
    from store.terms.findings import KnownSender
    from store.terms.records import Copy, CopyRecord
    from store.vault.vault import Vault


#: Fields of --json that the text leaves out: `known` or another field shows the same.
_NOT_SHOWN = ("authentication", "findings", "client_name", "rule_id", "reason", "stored_at", "size")
#: Labels of the text that are spelled otherwise than the names in --json: the spec's, and abbreviations.
_LABELS = {
    "id": "ID",
    "scan_results": "Scan Results",
    "backup_reason": "Backup Reason",
    "time_placed_in_backup": "Time placed in Backup",
    "mta_message_id": "MTA-Message-ID",
    "message_id": "Message-ID",
    "anti_virus_databases_release_date": "Anti-Virus databases release date",
    "sha256": "SHA-256",
}
_TIMES = ("time_placed_in_backup", "time_sent", "time_received", "anti_virus_databases_release_date")
_SIZES = ("message_size", "stored_size")


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare ID, --json, --raw and --force."""
    parser.add_argument("id", metavar="ID", help="the ID of the copy")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print all fields")
    form.add_argument("--raw", action="store_true", help="print the raw message, byte for byte")
    parser.add_argument(
        "--force",
        action="store_true",
        help="with --raw: print even to a terminal (control sequences in the message can act on it)",
    )


def run(args: argparse.Namespace) -> int:
    """Show the copy. Raises CopyMissing, TamperedError, UsageError."""
    [(copy_id, last)] = parse_ids([args.id])
    if copy_id != last:
        raise UsageError("`show` takes one ID, not a range.")
    if args.raw and sys.stdout.isatty() and not args.force:
        raise UsageError(
            "The raw message may contain control sequences that act on your terminal. Redirect it to a file or a "
            "pipe, or add --force."
        )
    with opened(args, Use.READ) as vault:
        if args.raw:
            sys.stdout.buffer.write(vault.raw(copy_id))
            return 0
        copy = vault.get(copy_id)
        fields = view_fields(vault, copy)
    if args.json:
        print_json(fields)
    else:
        _print_fields(fields, known_words(copy.record))
    return 0


def view_fields(vault: Vault, copy: Copy) -> dict[str, Any]:
    """Return all fields of the message view by their names in the spec, as plain JSON values; times are ISO 8601."""
    from store.delivery.history import last_release
    from store.delivery.outcomes import mailbox_outcomes

    record = copy.record
    outcomes = mailbox_outcomes(vault, [copy.id]).get(copy.id, [])
    released = last_release(vault, copy.id) if outcomes else None
    return {
        "id": copy.id,
        "subject": record.subject,
        "processing_rule": {"id": record.rule_id, "name": record.rule_name},
        "rule_id": record.rule_id,
        "from": record.from_,
        "to": record.to,
        "cc": record.cc,
        "bcc": blind_recipients(copy),
        "scan_results": _scan_results(record),
        "backup_reason": reason_text(record.reason),
        "reason": reason_text(record.reason),
        "engine": record.reason.engine.value if record.reason else None,
        "status": record.reason.status.value if record.reason else None,
        "action": record.action.value,
        "blacklisted_by_user": list(record.blacklisted_by),
        "whitelisted_by_user": list(record.whitelisted_by),
        "stored_at": iso(copy.stored_at),
        "time_placed_in_backup": iso(copy.stored_at),
        "mta_message_id": record.mta_message_id,
        "message_id": record.message_id,
        "size": record.size,
        "message_size": record.size,
        "time_sent": iso(record.sent_at),
        "time_received": iso(record.received_at),
        "attachments": [
            {"name": part.name, "content_type": part.content_type, "size": part.size} for part in record.attachments
        ],
        "anti_virus_databases_release_date": iso(record.av_database_date),
        "envelope": {"sender": record.envelope_sender, "recipients": list(record.envelope_recipients)},
        "client_address": record.client_address,
        "client_name": record.client_name,
        "known": _known(record.known),
        "authentication": [msgspec.structs.asdict(each) for each in record.authentication],
        "findings": [
            {
                "scanner": each.scanner,
                "score": each.score,
                "required": each.required,
                "symbols": [{"name": name, "weight": weight} for name, weight in each.symbols],
            }
            for each in record.findings
        ],
        "sha256": record.sha256.hex(),
        "stored_size": copy.stored_size,
        "source": record.source,
        "delivered": delivered(each.state for each in outcomes).value,
        "recipients": [recipient_json(each) for each in outcomes],
        "released": {"by": released.operator, "at": iso(released.at)} if released else None,
    }


def _known(known: KnownSender | None) -> dict[str, Any] | None:
    if known is None:
        return None
    return {
        "address": {"authenticated": known.address_authenticated, "other": known.address_other},
        "domain": {"authenticated": known.domain_authenticated, "other": known.domain_other},
        "written_to": known.written_to,
    }


def blind_recipients(copy: Copy) -> str:
    """Join the Bcc field and the envelope recipients that are in neither To nor Cc: MTAs remove Bcc from the header."""
    hidden = [recipient.address for recipient in recipients_of(copy) if recipient.source == ENVELOPE and recipient.bcc]
    return ", ".join(filter(None, [copy.record.bcc, *hidden]))


def _scan_results(record: CopyRecord) -> list[dict[str, str]]:
    """List the verdicts in the spec's order of engines; an engine may have several."""
    found = []
    for engine in (Engine.ANTI_SPAM, Engine.ANTI_VIRUS, Engine.CONTENT, Engine.ANTI_PHISHING, Engine.BLACK_LIST):
        of_engine = [verdict for verdict in record.verdicts if verdict.engine is engine]
        if not of_engine and engine is not Engine.BLACK_LIST:
            of_engine = [Verdict(engine, Status.NOT_SCANNED)]
        found += of_engine
    return [{"engine": each.engine.value, "status": each.status.value, "detail": each.detail} for each in found]


def _print_fields(fields: dict[str, Any], words: str) -> None:
    sender, envelope = fields["from"], fields["envelope"]["sender"]
    other = [f"≠ Envelope sender: {envelope}"] if sender_differs(sender, envelope) else []
    rule, released = fields["processing_rule"], fields["released"]
    shown = {
        **{name: _local(fields[name]) for name in _TIMES},
        **{name: _bytes(fields[name]) for name in _SIZES},
        "processing_rule": rule if rule["id"] or rule["name"] else None,
        "from": [address_first(sender), *other],
        "scan_results": [_in_words(**result) for result in fields["scan_results"]],
        "attachments": [{**each, "size": _bytes(each["size"])} for each in fields["attachments"]],
        "envelope": _envelope(**fields["envelope"]),
        "known": words,
        "recipients": [{**each, "at": _local(each["at"])} for each in fields["recipients"]],
        "released": {**released, "at": _local(released["at"])} if released else None,
    }
    for name, value in {**fields, **shown}.items():
        if name in _NOT_SHOWN:
            continue
        label = _LABELS.get(name) or name.replace("_", " ").capitalize()
        lines = [_line(item) for item in value] if isinstance(value, list) else [_line(value)]
        for number, line in enumerate(lines or [""]):
            print(f"{label if number == 0 else '':<36}{safe(line)}".rstrip())


def _local(time: str | None) -> str:
    """Format a time of --json in the local time zone, as the message view does; "" for none."""
    return "" if time is None else full_time(round(datetime.fromisoformat(time).timestamp() * 1000), local_zone())


def _bytes(size: int) -> str:
    return counted(size, "byte", "bytes")


def _in_words(engine: str, status: str, detail: str) -> dict[str, str]:
    """Replace the names of engine and status by their labels."""
    return {"engine": Engine(engine).label, "status": Status(status).label, "detail": detail}


def _envelope(sender: str | None, recipients: list[str]) -> str:
    """Join the envelope's addresses; the null sender is <>, an unknown one is left out."""
    return "  ".join(filter(None, ["<>" if sender == "" else sender, ", ".join(recipients)]))


def _line(value: Any) -> str:
    if isinstance(value, dict):
        return "  ".join(f"{item}" for item in value.values() if item not in (None, "", []))
    return "" if value is None else str(value)
