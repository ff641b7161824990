"""Apply the changes of an `Accept` to a message's bytes; all other bytes stay as they are."""

from __future__ import annotations

import re

from store.mail.header_fields import header_of
from store.mail.incoming import Accept

_LINE_END = re.compile(r"\r\n|\r|\n")


def changed(raw: bytes, accept: Accept) -> bytes:
    """Delete header fields of `raw` (lines end in CRLF), add fields at the end of its header, and replace its body.

    In a message with CR line ends only, they become LF: beside the CRLF of added fields, a lone CR would not end a
    line.
    """
    if accept.body is None and not accept.add_headers and not accept.delete_headers:
        return raw
    header = header_of(raw)
    text, end = header.text, header.end
    unwanted = {(name.lower().encode("utf-8", "replace"), which) for name, which in accept.delete_headers}
    seen: dict[bytes, int] = {}
    kept = [text[: header.start]]
    for field in header.fields():
        seen[field.name] = seen.get(field.name, 0) + 1
        if (field.name, seen[field.name]) not in unwanted:
            kept.append(text[field.start : field.end])
    if kept[-1] and not kept[-1].endswith(b"\n"):
        kept.append(b"\r\n")
    for name, value in accept.add_headers:
        folded = _LINE_END.sub("\r\n", value)
        kept.append(f"{name}: {folded}\r\n".encode("utf-8", "surrogateescape"))
    rest = text[end:] if accept.body is None else b"\r\n" + accept.body
    if rest and accept.body is None and not rest.startswith((b"\r\n", b"\n")):
        # A line that is not a field ends the header. Without an empty line before it, added fields would be part of the
        # body.
        rest = b"\r\n" + rest
    return b"".join([*kept, rest])
