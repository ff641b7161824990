"""Makes the traits of messages in limited child processes.

A hostile message kills its child; only its headers count then.
"""

from __future__ import annotations

import msgspec

from store.campaigns.child import LENGTH, spelled
from store.campaigns.making import Context, drawn, made_of
from store.campaigns.packing import Packed, to_pack
from store.message.in_child import ChildFailed, Children
from store.message.parser import parse_headers

#: Messages that one child handles before it is replaced. High, because a start takes as long as a hundred messages.
_SERVED = 5000
_TIMEOUT = 5.0

_children = Children("store.campaigns.child", Packed, served_limit=_SERVED)
_spellers = Children("store.campaigns.child", list[tuple[int, str]], main="spell")
_encoder = msgspec.msgpack.Encoder()


def packed_in_child(raw: bytes, context: Context, *, timeout: float = _TIMEOUT) -> bytes:
    """Pack a message's traits; if no child parses it within `timeout` seconds, only those of its headers."""
    try:
        found = _children.ask(_request(raw, context), timeout)
    except ChildFailed:
        found = to_pack(made_of(parse_headers(raw), context))
    return _encoder.encode(found)


def spelled_in_child(raw: bytes, context: Context, *, timeout: float = _TIMEOUT) -> dict[int, str]:
    """Return the texts of a message's keys (folded, NOT safe); if no child parses it, only those of its headers."""
    try:
        return dict(_spellers.ask(_request(raw, context), timeout))
    except ChildFailed:
        return dict(spelled(drawn(parse_headers(raw), context)[1]))


def _request(raw: bytes, context: Context) -> bytes:
    head = _encoder.encode(context)
    return b"".join((LENGTH.pack(len(head)), head, raw))


def close_children() -> None:
    """End the idle children. New ones start on demand."""
    _children.close()
    _spellers.close()
