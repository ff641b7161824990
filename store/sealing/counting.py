"""Counters of messages by address: their names and their sealed form, under the counter key of a generation."""

from __future__ import annotations

import hmac
from typing import NamedTuple

import msgspec

from store.helpers.decoding import msgpack_decoder
from store.sealing.sealed import generation_of, seal_with, unseal_with
from store.sealing.statements import statement
from store.terms.errors import TamperedError

#: Kinds of counters: passed mail by sender address and by sender domain, and outgoing mail by recipient address.
SENDER, DOMAIN, RECIPIENT = "sender", "domain", "recipient"
ROLE = "known"
_TAG = 16
#: The beginning of `statement(ROLE, kind, address)`, precomputed: a thousand names are computed at once.
_BEGINS = {kind: statement(ROLE, kind) + b"s" for kind in (SENDER, DOMAIN, RECIPIENT)}
#: Counts are sealed in thousandths.
_UNIT = 1000
_MOST = 1 << 53


class Count(NamedTuple):
    """A count as of `day` (days since 1970): authenticated messages, and others. Older messages count less."""

    day: int
    authenticated: float = 0.0
    other: float = 0.0


class _Plain(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    tag: bytes
    day: int
    authenticated: int
    other: int


def tag_of(key: bytes | bytearray, kind: str, address: str) -> bytes:
    """Compute the counter's name for an address (16 bytes). Without the counter key it reveals nothing."""
    data = address.encode()
    return hmac.digest(key, _BEGINS[kind] + len(data).to_bytes(4, "big") + data, "sha256")[:_TAG]


def seal_count(key: bytes | bytearray, store_id: bytes, generation: int, tag: bytes, count: Count) -> bytes:
    """Seal a counter with the counter key of a generation."""
    plain = _Plain(tag, count.day, round(count.authenticated * _UNIT), round(count.other * _UNIT))
    return seal_with(key, ROLE, store_id, msgspec.msgpack.encode(plain), generation=generation)


def open_count(key: bytes | bytearray, store_id: bytes, generation: int, tag: bytes, sealed: bytes) -> Count:
    """Open a count sealed by `seal_count` for this generation and tag. Raises TamperedError if it does not verify."""
    what = "a counter of known senders"
    if generation_of(sealed, what) != generation:
        raise TamperedError(what)
    opened = unseal_with(key, ROLE, store_id, sealed, what=what)
    try:
        plain = msgpack_decoder(_Plain).decode(opened)
    except msgspec.DecodeError:
        raise TamperedError(what) from None
    if plain.tag != tag:
        raise TamperedError(what, "it belongs to another counter")
    if not all(0 <= each < _MOST for each in (plain.day, plain.authenticated, plain.other)):
        raise TamperedError(what, "it has an impossible value")
    return Count(plain.day, plain.authenticated / _UNIT, plain.other / _UNIT)
