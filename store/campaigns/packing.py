"""What is made of a copy as bytes: msgpack, small, the same for the same."""

from __future__ import annotations

import sys
from array import array
from typing import Any

import msgspec

from store.campaigns.traits import FileShape, Made, Texts, Traits
from store.helpers.decoding import msgpack_decoder
from store.terms.errors import TamperedError

#: Of the rows of kind `traits`: what is made and how it is packed. A row of an earlier version is made anew.
TRAITS, VERSION = "traits", 3
_REPLY, _LISTED, _QUOTES, _CLAIMS = 1, 2, 4, 8


class Packed(msgspec.Struct, frozen=True, array_like=True):
    """The form: keys of each strand, 8 bytes each, big-endian; flags; sender; texts.

    The flags are reply 1, listed 2, quotes 4, claims 8.
    """

    content: bytes
    payload: bytes
    origin: bytes
    flags: int
    sender: str
    links: tuple[str, ...]
    files: tuple[tuple[str, str, int, bytes], ...]
    kit: str
    list_id: str


_encoder = msgspec.msgpack.Encoder()
_decoder = msgpack_decoder(Packed)


def packed(made: Made) -> bytes:
    """Pack to bytes."""
    return _encoder.encode(to_pack(made))


def to_pack(made: Made) -> Packed:
    """Convert to what `packed` encodes; lone surrogates, which no encoding has, are replaced."""
    traits, texts = made
    return Packed(
        _bytes(traits.content),
        _bytes(traits.payload),
        _bytes(traits.origin),
        traits.reply * _REPLY | traits.listed * _LISTED | traits.quotes * _QUOTES | traits.claims * _CLAIMS,
        _encodable(traits.sender),
        tuple(map(_encodable, texts.links)),
        tuple((_encodable(each.name), each.content_type, each.size, each.sha256) for each in texts.files),
        _encodable(texts.kit),
        _encodable(texts.list_id),
    )


def of_pack(found: Packed) -> Made:
    """Convert back from `to_pack`. Raises ValueError for keys that are not of 8 bytes each."""
    traits = Traits(
        _keys(found.content),
        _keys(found.payload),
        _keys(found.origin),
        bool(found.flags & _REPLY),
        bool(found.flags & _LISTED),
        found.sender,
        bool(found.flags & _QUOTES),
        bool(found.flags & _CLAIMS),
    )
    return Made(traits, Texts(found.links, tuple(FileShape(*each) for each in found.files), found.kit, found.list_id))


def unpacked(data: bytes, what: str) -> Made:
    """Unpack what `packed` packed. Raises TamperedError, naming `what`."""
    try:
        return of_pack(_decoder.decode(data))
    except (msgspec.MsgspecError, ValueError):
        raise TamperedError(what, "it is in a form that this release does not know") from None


def texts_of(data: bytes, what: str) -> Texts:
    """Unpack the texts alone of what `packed` packed. Raises TamperedError, naming `what`."""
    try:
        found = _decoder.decode(data)
    except msgspec.MsgspecError:
        raise TamperedError(what, "it is in a form that this release does not know") from None
    return Texts(found.links, tuple(FileShape(*each) for each in found.files), found.kit, found.list_id)


def _bytes(keys: Any) -> bytes:
    if sys.byteorder == "little":
        keys = keys[:]
        keys.byteswap()
    return bytes(keys.tobytes())


def _keys(data: bytes) -> Any:
    keys = array("Q")
    keys.frombytes(data)
    if sys.byteorder == "little":
        keys.byteswap()
    return keys


def _encodable(text: str) -> str:
    return text if text.isascii() else text.encode("utf-8", "replace").decode()
