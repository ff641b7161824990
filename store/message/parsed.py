"""The result of `parse_message`: plain data, so that it can cross a pipe. All text in it is NOT safe."""

from __future__ import annotations

import msgspec

from store.message.links import Link


class ParsedAttachment(msgspec.Struct, frozen=True, array_like=True):
    """An attachment: claimed name and type, the type by content, decoded size in bytes, SHA-256 of the decoded bytes.

    `depth` is the number of attached messages around it; `note` lists oddities in words, "" if there are none.
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
    """A parsed message. If parsing failed, `error` is the reason, and only the headers are set.

    `text` is the text that a mail program would show; of alternatives the HTML (`text_source` "html"), converted to
    text. `hidden_spans` are its character ranges that a reader would not see. `plain_text` is the plain alternative to
    the HTML. `headers` are decoded, in order; `headers_truncated` says that some are left out. `problems` lists
    malformations, oddities and omissions in words.
    """

    headers: list[tuple[str, str]] = []
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
