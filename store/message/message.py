"""Turn hostile bytes into the data of a record or a view: header fields, text, attachments, links. Nothing here raises.

`summarise` reads only headers and structure, within limits, and is fast enough for intake. `parse_message` decodes
everything, but a hostile text can make it slow: processes that must not stall call `parse_in_child`. All returned text
is decoded and NOT safe for a terminal.
"""

from __future__ import annotations

from collections.abc import Sequence

from store.mail.header_fields import Header, with_line_feeds
from store.message.dates import parse_date, received_date
from store.message.filetype import attachment_type
from store.message.headers import decode_addresses, decode_field, scan_block
from store.message.links import Link
from store.message.mime import Budget, Part, scan_structure
from store.message.params import with_ending
from store.message.parsed import ParsedAttachment, ParsedMessage
from store.message.parser import parse_message
from store.message.transfer import base64_size, decode_quoted_printable, decode_uuencode
from store.terms.records import ATTACHMENT_LIMIT, Attachment, CopyRecord

__all__ = [
    "Link", "ParsedAttachment", "ParsedMessage", "attachment_type", "parse_in_child", "parse_message", "summarise",
]  # fmt: skip

#: Max characters kept of a subject, of From, of Message-ID, and of each of To, Cc and Bcc.
SUBJECT_LIMIT, FROM_LIMIT, ID_LIMIT, ADDRESSES_LIMIT = 1000, 1000, 500, 60_000
#: Max characters of the names and types of attachments in a record.
NAME_LIMIT, TYPE_LIMIT = 255, 100

_WANTED = frozenset(
    (
        b"from", b"to", b"cc", b"bcc", b"subject", b"message-id", b"date", b"received", b"content-type",
        b"content-disposition", b"content-transfer-encoding",
    )
)  # fmt: skip
_ADDRESSES = frozenset((b"from", b"to", b"cc", b"bcc"))


def summarise(
    raw: bytes,
    *,
    envelope_sender: str | None = None,
    envelope_recipients: Sequence[str] = (),
    header: Header | None = None,
) -> CopyRecord:
    """Make a message's record from headers and structure, without verdicts and rule. Never raises.

    Sizes of attachments are of the decoded bytes; `received_at` is the time of the topmost `Received` field (Unix ms).
    `header` is the message's, if the caller has it.
    """
    raw = with_line_feeds(raw)
    block = scan_block(raw, 0, len(raw), wanted=_WANTED, header=header)
    root = scan_structure(raw, block, len(raw), Budget())
    first: dict[bytes, bytes] = {}
    every: dict[bytes, list[bytes]] = {}
    for name, value in block.fields:
        first.setdefault(name, value)
        if name in _ADDRESSES:
            every.setdefault(name, []).append(value)
    received = first.get(b"received")
    hint = root.charset
    return CopyRecord(
        from_=_addresses(every.get(b"from"), FROM_LIMIT, hint),
        to=_addresses(every.get(b"to"), ADDRESSES_LIMIT, hint),
        cc=_addresses(every.get(b"cc"), ADDRESSES_LIMIT, hint),
        bcc=_addresses(every.get(b"bcc"), ADDRESSES_LIMIT, hint),
        subject=decode_field(first.get(b"subject", b""), SUBJECT_LIMIT, hint),
        message_id=decode_field(first.get(b"message-id", b""), ID_LIMIT),
        envelope_sender=envelope_sender,
        envelope_recipients=tuple(envelope_recipients),
        sent_at=parse_date(first.get(b"date", b"")),
        received_at=received_date(received) if received else 0,
        attachments=_attachments(raw, root),
    )


def parse_in_child(raw: bytes, *, timeout: float = 5.0) -> ParsedMessage:
    """Parse as `parse_message`, in a child process with limits on memory and processor time, killed after `timeout`
    seconds.

    Never raises and never takes much longer. If the child fails, a second one tries with HTML only stripped of tags,
    which `problems` reports; if that fails too, the result holds `error` and the headers. Blocks: call it from a worker
    thread.
    """
    from store.message.in_child import parse_in_child as parse

    return parse(raw, timeout=timeout)


def _addresses(values: list[bytes] | None, limit: int, hint: str) -> str:
    if not values:
        return ""
    if len(values) == 1:
        return decode_addresses(values[0], limit, hint)
    return decode_addresses(b", ".join(value for value in values if value), limit, hint)


def _attachments(raw: bytes, root: Part) -> tuple[Attachment, ...]:
    found: list[Attachment] = []
    for part in root.walk():
        if part.is_attachment:
            if len(found) == ATTACHMENT_LIMIT:
                break
            found.append(
                Attachment(
                    with_ending(attachment_name(part), NAME_LIMIT), part.type[:TYPE_LIMIT], _decoded_size(raw, part)
                )
            )
    return tuple(found)


def attachment_name(part: Part) -> str:
    """Return an attachment's claimed name; for an attached message without one, its subject. "" if it has neither."""
    if part.name or not part.children:
        return part.name
    return decode_field(part.children[0].block.first(b"subject"), NAME_LIMIT)


def _decoded_size(raw: bytes, part: Part) -> int:
    match part.encoding:
        case "base64":
            return base64_size(raw, part.start, part.end)
        case "quoted-printable":
            return len(decode_quoted_printable(raw[part.start : part.end]))
        case "x-uuencode" | "uuencode" | "x-uue" | "uue":
            return len(decode_uuencode(raw[part.start : part.end])[0])
    return part.end - part.start
