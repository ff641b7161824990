"""Decoders for our types, created thread-safely.

msgspec analyses a type when it is first decoded; two threads doing that at once crash the process (0.22.0, SIGSEGV).
Here only one thread does it at a time. Get every decoder from here, because two types may contain the same third one.
"""

from __future__ import annotations

import threading
from typing import Any, TypeVar

import msgspec

T = TypeVar("T")

_lock = threading.Lock()
_made: dict[tuple[type, Any], Any] = {}


def msgpack_decoder(kind: type[T]) -> msgspec.msgpack.Decoder[T]:
    """Make a decoder of MessagePack into `kind`. Its `decode` raises `msgspec.DecodeError`."""
    found: msgspec.msgpack.Decoder[T] = _decoder(msgspec.msgpack.Decoder, kind)
    return found


def json_decoder(kind: type[T]) -> msgspec.json.Decoder[T]:
    """Make a decoder of JSON into `kind`. Its `decode` raises `msgspec.DecodeError`."""
    found: msgspec.json.Decoder[T] = _decoder(msgspec.json.Decoder, kind)
    return found


def _decoder(how: Any, kind: Any) -> Any:
    found = _made.get((how, kind))
    if found is None:
        with _lock:
            found = _made.setdefault((how, kind), how(kind))
    return found
