"""Copies: their records and bodies, sealed separately under the two keys of their step."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from store.sealing.epochs import Chains, EpochName, Ratchet
from store.sealing.sealed import NONCE
from store.terms.errors import TamperedError

if TYPE_CHECKING:
    from store.helpers.zstd import ZstdCompressor

#: Roles of the two sealed parts of a copy; each has its own key and associated data.
RECORD, BODY = "record", "body"

_PLACE = struct.Struct(">qqqqq")
_RAW, _ZSTD = b"\x00", b"\x01"


@lru_cache(maxsize=512)
def _prefix(name: EpochName, role: str) -> bytes:
    return name.statement(role)


@lru_cache(maxsize=16)
def _prefixes(name: EpochName) -> tuple[bytes, bytes]:
    return name.statement(RECORD), name.statement(BODY)


class Place(NamedTuple):
    """The row to which a sealed part belongs: its columns are authenticated. Times in Unix ms, sizes in bytes."""

    name: EpochName
    step: int
    copy_id: int
    stored_at: int
    size: int
    stored_size: int

    def associated(self, role: str) -> bytes:
        return _prefix(self.name, role) + _PLACE.pack(*self[1:])


def seal_copy(
    keys: Ratchet, name: EpochName, place: tuple[int, int, int, int, int], record: bytes, body: bytes
) -> tuple[bytes, bytes]:
    """Seal a copy's record and body with the keys of the ratchet's last step; `place` are the last fields of `Place`.

    Each key is used once, so the nonce may be constant.
    """
    numbers = _PLACE.pack(*place)
    of_record, of_body = _prefixes(name)
    return (
        AESGCM(keys.record_key).encrypt(NONCE, record, of_record + numbers),
        AESGCM(keys.body_key).encrypt(NONCE, body, of_body + numbers),
    )


def open_part(key: bytes | memoryview, place: Place, role: str, sealed: bytes) -> bytes:
    """Open a record or a body. Raises TamperedError, naming the copy."""
    try:
        return AESGCM(key).decrypt(NONCE, sealed, place.associated(role))
    except InvalidTag:
        raise TamperedError(f"copy {place.copy_id}", f"the seal of its {role} does not verify") from None


def open_records(
    chains: Chains, steps: Sequence[int], places: Sequence[Sequence[int]], records: Sequence[bytes]
) -> list[bytes]:
    """Open many records of one epoch, as `open_part` would. `places` are four columns: the last fields of `Place`.

    Raises InvalidTag if any record does not verify, without saying which.
    """
    prefix = _prefix(chains.name, RECORD)
    return [
        AESGCM(key).decrypt(NONCE, record, prefix + place)
        for key, place, record in zip(chains.record_keys(steps), map(_PLACE.pack, steps, *places), records, strict=True)
    ]


#: Compressors that no thread uses, the last used one last: its memory is in the processor's caches.
_compressors: list[ZstdCompressor] = []
#: How many are kept: more threads than that seldom compress at the same time.
_KEPT = 4


def pack_body(raw: bytes) -> bytes:
    """Pack a body: one byte for the method, then zstd if that is smaller, else the raw bytes."""
    try:
        compressor = _compressors.pop()
    except IndexError:
        from store.helpers.zstd import ZstdCompressor

        compressor = ZstdCompressor(level=1)
    packed = compressor.compress(raw, compressor.FLUSH_FRAME)
    if len(_compressors) < _KEPT:
        _compressors.append(compressor)
    return _ZSTD + packed if len(packed) < len(raw) else _RAW + raw


def unpack_body(plaintext: bytes, size: int, what: str) -> bytes:
    """Unpack what `pack_body` packed, at most `size` bytes. Raises TamperedError, naming `what`."""
    from store.helpers import zstd

    kind, data = plaintext[:1], plaintext[1:]
    if kind == _ZSTD:
        try:
            data = zstd.decompressed(data, size)
        except zstd.ZstdError as error:
            raise TamperedError(what, f"its body does not decompress: {error}") from None
    elif kind != _RAW:
        raise TamperedError(what, "this version of Mailhold does not know how its body is compressed")
    if len(data) != size:
        raise TamperedError(what, "the length of its body differs from its record")
    return data
