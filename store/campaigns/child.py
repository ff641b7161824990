"""The child process that parses messages and makes their traits; only the traits go back through the pipe.

A request is ``length of the context (4 bytes, big-endian) | context (msgpack) | message``; the answer is a packed
`Made` (`store.campaigns.packing`). The limits are those of `store.message.child`.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable

import msgspec

from store.campaigns.keys import TEXT_LIMIT, Trait, key_of
from store.campaigns.making import Context, drawn
from store.campaigns.packing import packed
from store.campaigns.traits import Made
from store.helpers.decoding import msgpack_decoder
from store.message.child import serve
from store.message.parser import parse_message

LENGTH = struct.Struct(">I")
_contexts = msgpack_decoder(Context)


def main() -> None:
    """Answer requests with traits until the input ends."""
    serve(lambda request, html_fails: packed(_drawn(request, html_fails)[0]))


def spell() -> None:
    """Answer requests with pairs of a key and its text, until the input ends."""
    encoder = msgspec.msgpack.Encoder()
    serve(lambda request, html_fails: encoder.encode(spelled(_drawn(request, html_fails)[1])))


def spelled(traits: Iterable[Trait]) -> list[tuple[int, str]]:
    """Return pairs of a key and the text that it was hashed from, with lone surrogates replaced."""
    return [(key_of(kind, text), text[:TEXT_LIMIT].encode("utf-8", "replace").decode()) for kind, text in traits]


def _drawn(request: bytes, html_fails: str) -> tuple[Made, list[Trait]]:
    (length,) = LENGTH.unpack_from(request)
    start = LENGTH.size + length
    markups: list[str] = []
    parsed = parse_message(request[start:], html_fails=html_fails, enter=False, markups=markups)
    return drawn(parsed, _contexts.decode(request[LENGTH.size : start]), markups)
