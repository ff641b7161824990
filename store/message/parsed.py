"""What `parse_message` makes of a message: plain data, so that it crosses a pipe. All text in it is NOT safe."""

from __future__ import annotations

import msgspec

from store.message.links import Link


class ParsedAttachment(msgspec.Struct, frozen=True, array_like=True):
    """An attachment: claimed name and type, the type by content, decoded size in bytes, SHA-256 of the decoded bytes.

    `depth` counts the messages that it is nested in; `note` says in words what is odd about it, "" if nothing is.
    """

    name: str
    declared_type: str
    detected_type: str
    size: int
    sha256: bytes
    disposition: str = ""
    depth: int = 0
    note: str = ""


class ParsedMessage(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A message taken apart. Never absent: where parsing failed, `error` says why and headers are there all the same.

    `text` is what a reader would be shown: of alternatives the HTML (`text_source` "html"), as text, in which
    `hidden_spans` are the character ranges that a reader would not see; `plain_text` is the plain alternative to it.
    `headers` are decoded, in order; `raw_headers` the bytes of the block (cut where `headers_truncated`).
    `problems` say in words what was malformed, odd or left out.
    """

    headers: list[tuple[str, str]] = []
    raw_headers: bytes = b""
    text: str = ""
    text_source: str = "none"
    hidden_spans: list[tuple[int, int]] = []
    plain_text: str = ""
    attachments: list[ParsedAttachment] = []
    links: list[Link] = []
    problems: list[str] = []
    error: str | None = None
    headers_truncated: bool = False
    text_truncated: bool = False
    attachments_truncated: bool = False
