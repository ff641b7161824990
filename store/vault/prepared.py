"""What a copy needs before it can be sealed: digest, compression, encoding, and the size that it will have.

This runs in the caller's thread, outside every lock.
"""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec

from store.database.connection import PAGE_SIZE
from store.helpers.clock import now_ms
from store.sealing.copies import pack_body
from store.sealing.sealed import TAG_SIZE
from store.terms.records import CopyRecord

#: SQLite's rule for rows that spill over (file format, "B-tree cell format"): the largest row that does not, the least
#: that one which does keeps in its place, and what a page holds of the rest.
_LARGEST, _SMALLEST, _OF_THE_REST = PAGE_SIZE - 35, (PAGE_SIZE - 12) * 32 // 255 - 23, PAGE_SIZE - 4
_encoder = msgspec.msgpack.Encoder()


class Prepared(msgspec.Struct, frozen=True, gc=False):
    """A copy ready to be sealed."""

    record: bytes
    body: bytes
    size: int
    stored_at: int
    stored_size: int
    #: Tag of the message while its client has no answer (`store.vault.unanswered`), b"" for none.
    tag: bytes = b""


def stored_size(record: int, body: int) -> int:
    """Compute the bytes that a copy takes in the database file, including page rounding and bookkeeping.

    A row that spills over takes whole overflow pages and a local rest. Each page also has 5 bytes of pointer map.
    """
    total = 32
    for payload in (record + 40, body + 8):
        if payload > _LARGEST:
            pages, rest = divmod(payload - _SMALLEST, _OF_THE_REST)
            payload = _SMALLEST + rest
            if payload > _LARGEST:
                pages, payload = pages + 1, _SMALLEST
            total += pages * (PAGE_SIZE + 5)
        # A page holds whole cells only, so a large cell wastes on average half its size.
        total += payload + (payload // 4 if payload < 2048 else 512)
    return total


def prepare(
    raw: bytes, record: CopyRecord, stored_at: int | None, tag: bytes = b"", digest: bytes | None = None
) -> Prepared:
    """Compress and encode a message, and compute its SHA-256 unless `digest` has it."""
    filled = msgspec.structs.replace(record, size=len(raw), sha256=digest or hashlib.sha256(raw).digest())
    try:
        encoded = _encoder.encode(filled)
    except UnicodeEncodeError:
        encoded = _encoder.encode(_encodable(msgspec.to_builtins(filled, builtin_types=(bytes,))))
    body = pack_body(raw)
    return Prepared(
        encoded,
        body,
        len(raw),
        now_ms() if stored_at is None else stored_at,
        stored_size(len(encoded) + TAG_SIZE, len(body) + TAG_SIZE),
        tag,
    )


def _encodable(value: Any) -> Any:
    """Replace lone surrogates in `value`, which UTF-8 cannot encode, so that any message can be stored."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {key: _encodable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_encodable(item) for item in value]
    return value
