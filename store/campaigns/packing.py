"""Packs traits and texts to bytes: msgpack, compact, equal for equal input."""

from __future__ import annotations

import sys
from array import array
from typing import Any

import msgspec

from store.campaigns.traits import FileShape, Made, Texts, Traits
from store.helpers.decoding import msgpack_decoder
from store.terms.errors import TamperedError

#: Version of the rows of kind `traits`: of their content and their packing. Rows of an earlier version are made anew.
TRAITS, VERSION = "traits", 3
_REPLY, _LISTED, _QUOTES, _CLAIMS = 1, 2, 4, 8


class Packed(msgspec.Struct, frozen=True, array_like=True):
    """The packed form: the keys of each strand (8 bytes each, big-endian), flags, sender, texts.

    Flags: reply 1, listed 2, quotes 4, claims 8.
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
    """Convert to the structure that `packed` encodes. Lone surrogates cannot be encoded, so they are replaced."""
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
    """Convert back from `to_pack`. Raises ValueError if the keys are not of 8 bytes each."""
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
    """Unpack `packed` data. Raises TamperedError, naming `what`."""
    try:
        return of_pack(_decoder.decode(data))
    except (msgspec.MsgspecError, ValueError):
        raise TamperedError(what, "it is in a form that this version of Mailhold does not know") from None


def texts_of(data: bytes, what: str) -> Texts:
    """Unpack only the texts of `packed` data. Raises TamperedError, naming `what`."""
    try:
        found = _decoder.decode(data)
    except msgspec.MsgspecError:
        raise TamperedError(what, "it is in a form that this version of Mailhold does not know") from None
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
