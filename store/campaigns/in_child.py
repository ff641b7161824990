"""Traits of messages, made in limited child processes: a hostile message costs a child, and still has its headers'."""

from __future__ import annotations

import msgspec

from store.campaigns.child import LENGTH, spelled
from store.campaigns.making import Context, drawn, made_of
from store.campaigns.packing import Packed, to_pack
from store.message.in_child import ChildFailed, Children
from store.message.parser import parse_headers

#: Messages that one child takes apart: there are many, and each start takes as long as a hundred.
_SERVED = 5000
_TIMEOUT = 5.0

_children = Children("store.campaigns.child", Packed, served_limit=_SERVED)
_spellers = Children("store.campaigns.child", list[tuple[int, str]], main="spell")
_encoder = msgspec.msgpack.Encoder()


def packed_in_child(raw: bytes, context: Context, *, timeout: float = _TIMEOUT) -> bytes:
    """Pack a message's traits; if no child can parse it in `timeout` seconds, those of its headers."""
    try:
        found = _children.ask(_request(raw, context), timeout)
    except ChildFailed:
        found = to_pack(made_of(parse_headers(raw), context))
    return _encoder.encode(found)


def spelled_in_child(raw: bytes, context: Context, *, timeout: float = _TIMEOUT) -> dict[int, str]:
    """Return the texts of a message's keys: folded, NOT safe. If no child can read it, those of its headers."""
    try:
        return dict(_spellers.ask(_request(raw, context), timeout))
    except ChildFailed:
        return dict(spelled(drawn(parse_headers(raw), context)[1]))


def _request(raw: bytes, context: Context) -> bytes:
    head = _encoder.encode(context)
    return b"".join((LENGTH.pack(len(head)), head, raw))


def close_children() -> None:
    """End the children that wait for work. They are started again when they are needed."""
    _children.close()
    _spellers.close()
