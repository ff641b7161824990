"""The child process in which traits are made of messages: parsed and hashed there, so that little crosses the pipe.

A request is ``length of the context (4 bytes, big-endian) | context (msgpack) | message``, the answer is a packed
`Made` (`store.campaigns.packing`). Its limits are those of `store.message.child`.
"""

from __future__ import annotations

import struct

from store.campaigns.making import Context, made_of
from store.campaigns.packing import packed
from store.helpers.decoding import msgpack_decoder
from store.message.child import serve
from store.message.parser import parse_message

LENGTH = struct.Struct(">I")
_contexts = msgpack_decoder(Context)


def main() -> None:
    """Answer with traits until the input ends."""
    serve(traits)


def traits(request: bytes, html_fails: str) -> bytes:
    """The packed traits of the message in a request."""
    (length,) = LENGTH.unpack_from(request)
    start = LENGTH.size + length
    markups: list[str] = []
    parsed = parse_message(request[start:], html_fails=html_fails, enter=False, markups=markups)
    return packed(made_of(parsed, _contexts.decode(request[LENGTH.size : start]), markups))
