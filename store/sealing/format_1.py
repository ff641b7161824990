"""Sealing format 1: statements, epochs, the ratchet, sealed records and bodies, as pure functions over bytes.

`FORMAT.md` beside this file is the specification; the vectors in `tests/data/vectors/` hold it in place. Nothing here
knows a database. Every failure to open or verify is a `TamperedError` that names the thing and says nothing more.
"""

from __future__ import annotations

import hashlib
import os
import struct
import threading
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hpke import (
    AEAD,
    KDF,
    KEM,
    MLKEM768X25519PrivateKey,
    MLKEM768X25519PublicKey,
    Suite,
)
from cryptography.hazmat.primitives.kdf.hkdf import HKDF, HKDFExpand

from store.terms.errors import StoreUnavailable, TamperedError

FORMAT = 1
EPOCH_STEPS = 1000
EPOCH_MS = 3_600_000
KEY_SIZE = 32
SALT_SIZE = 32
TAG_SIZE = 16
#: Roles of the two sealed parts of a copy; their keys and their associated data differ.
RECORD, BODY = "record", "body"

_SUITE = Suite(KEM.MLKEM768_X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
_NONCE = bytes(12)
_SHA256 = SHA256()
_PLACE = struct.Struct(">qqqqq")
_RAW, _ZSTD = b"\x00", b"\x01"


def statement(role: str, *fields: int | bytes | str) -> bytes:
    """One unambiguous byte string of `role` and `fields`: what signatures cover, and what keys are bound to.

    No two different calls give the same bytes: each field carries its type and length. Integers are signed 64-bit.
    """
    parts = [b"mailhold", bytes([FORMAT])]
    for field in (role, *fields):
        if isinstance(field, int):
            parts.append(b"i" + field.to_bytes(8, "big", signed=True))
        else:
            data = field.encode() if isinstance(field, str) else bytes(field)
            parts.append((b"s" if isinstance(field, str) else b"b") + len(data).to_bytes(4, "big") + data)
    return b"".join(parts)


def expand(key: bytes | bytearray | memoryview, info: bytes, length: int = KEY_SIZE) -> bytes:
    """HKDF-Expand (SHA-256) of a uniformly random `key`."""
    return HKDFExpand(_SHA256, length, info).derive(key)


# --- Sealing with a long-lived key: a fresh salt makes a fresh key each time -----------------------------------------


def seal_with(key: bytes | bytearray, role: str, store_id: bytes, plaintext: bytes) -> bytes:
    """Seal under a key derived from `key` and a fresh 32-byte salt. Returns version, salt, ciphertext and tag."""
    context = statement("sealed", role, store_id)
    salt = os.urandom(SALT_SIZE)
    once = HKDF(_SHA256, KEY_SIZE, salt, context).derive(key)
    return bytes([FORMAT]) + salt + AESGCM(once).encrypt(_NONCE, plaintext, context)


def unseal_with(key: bytes | bytearray, role: str, store_id: bytes, sealed: bytes, *, what: str | None = None) -> bytes:
    """Open what `seal_with` made for the same key, role and store. `TamperedError` names `what` or the role."""
    context = statement("sealed", role, store_id)
    salt = sealed[1 : 1 + SALT_SIZE]
    if sealed[:1] != bytes([FORMAT]) or len(sealed) < 1 + SALT_SIZE + TAG_SIZE:
        raise TamperedError(what or role)
    once = HKDF(_SHA256, KEY_SIZE, salt, context).derive(key)
    try:
        return AESGCM(once).decrypt(_NONCE, sealed[1 + SALT_SIZE :], context)
    except InvalidTag:
        raise TamperedError(what or role) from None


def hpke_seal(public: MLKEM768X25519PublicKey, info: bytes, plaintext: bytes | bytearray) -> bytes:
    """Seal to a public key (HPKE base mode, MLKEM768-X25519, HKDF-SHA256, AES-256-GCM)."""
    return _SUITE.encrypt(plaintext, public, info=info)


def hpke_open(private: MLKEM768X25519PrivateKey, info: bytes, sealed: bytes, what: str) -> bytes:
    """Open what `hpke_seal` made under the same `info`. Raises TamperedError, naming `what`, for anything else."""
    try:
        return _SUITE.decrypt(sealed, private, info=info)
    except (InvalidTag, ValueError):
        raise TamperedError(what) from None


def verify(key: Ed25519PublicKey, signature: bytes, data: bytes, what: str) -> None:
    """Check an Ed25519 signature or raise `TamperedError` naming `what`."""
    try:
        key.verify(signature, data)
    except (InvalidSignature, ValueError):
        raise TamperedError(what, "its signature does not verify") from None


# --- Epochs ----------------------------------------------------------------------------------------------------------


class EpochName(NamedTuple):
    """Which epoch of which store: everything that an epoch's keys are bound to."""

    store_id: bytes
    gateway_id: int
    epoch_id: int
    number: int

    def statement(self, role: str, *fields: int | bytes | str) -> bytes:
        return statement(role, self.store_id, self.gateway_id, self.epoch_id, self.number, *fields)


class Opening(NamedTuple):
    """What a gateway signs when an epoch begins. `previous`: digest of the epoch before; first 32 zero bytes."""

    name: EpochName
    opened_at: int
    previous: bytes
    commitment: bytes
    sealed_secret: bytes

    def data(self) -> bytes:
        return self.name.statement("epoch opening", self.opened_at, self.previous, self.commitment, self.sealed_secret)

    def digest(self) -> bytes:
        return hashlib.sha256(self.data()).digest()


class Closing(NamedTuple):
    """What a gateway signs when an epoch ends: how many steps it served, and the ratchet after the last of them."""

    opening: Opening
    served: int
    chain_head: bytes
    closed_at: int

    def data(self) -> bytes:
        return self.opening.name.statement(
            "epoch closing", self.opening.digest(), self.served, self.chain_head, self.closed_at
        )


def commitment_of(name: EpochName, secret: bytes | bytearray) -> bytes:
    """What ties the sealed secret to one value: AES-GCM alone would let one ciphertext open to two."""
    return expand(secret, name.statement("epoch commitment"))


def first_chain(name: EpochName, secret: bytes | bytearray) -> bytearray:
    """The ratchet's chain before step 0."""
    chain = bytearray(KEY_SIZE)
    HKDFExpand(_SHA256, KEY_SIZE, name.statement("epoch chain")).derive_into(secret, chain)
    return chain


def _fresh_secret() -> bytearray:
    """32 random bytes that can be wiped: what `os.urandom` returns cannot."""
    secret = bytearray(KEY_SIZE)
    try:
        with Path("/dev/urandom").open("rb", buffering=0) as source:
            count = source.readinto(secret)
    except OSError:
        count = 0
    if count != KEY_SIZE:
        raise StoreUnavailable("The system gives no random bytes (/dev/urandom), so nothing can be sealed: mount /dev.")
    return secret


def open_epoch(
    name: EpochName, public: MLKEM768X25519PublicKey, signer: Ed25519PrivateKey, previous: bytes, opened_at: int
) -> tuple[Opening, bytes, Ratchet]:
    """Begin an epoch: its opening, the gateway's signature of it, and the ratchet that serves its keys."""
    secret = _fresh_secret()
    sealed = hpke_seal(public, name.statement("epoch secret"), secret)
    opening = Opening(name, opened_at, previous, commitment_of(name, secret), sealed)
    chain = first_chain(name, secret)
    ratchet = Ratchet(chain)
    secret[:] = chain[:] = bytes(KEY_SIZE)
    return opening, signer.sign(opening.data()), ratchet


def read_epoch(
    opening: Opening, signature: bytes, signer: Ed25519PublicKey, private: MLKEM768X25519PrivateKey
) -> bytearray:
    """Verify an opening and open its secret: the chain before step 0. `TamperedError` names the epoch."""
    what = f"epoch {opening.name.epoch_id}"
    verify(signer, signature, opening.data(), what)
    secret = hpke_open(private, opening.name.statement("epoch secret"), opening.sealed_secret, what)
    if commitment_of(opening.name, secret) != opening.commitment:
        raise TamperedError(what, "its secret is not the one it was opened with")
    return first_chain(opening.name, secret)


STEP_INFO = statement("ratchet step")
HEAD_INFO = statement("chain head")


class Ratchet:
    """Serves each step's record key and body key once, forwards only. Not thread-safe.

    The keys are views of one buffer that the next step overwrites; `wipe` ends it.
    """

    __slots__ = ("_buffer", "_view", "body_key", "record_key", "step")

    def __init__(self, chain: bytes | bytearray | memoryview, step: int = 0) -> None:
        self._buffer = bytearray(3 * KEY_SIZE)
        self._view = memoryview(self._buffer)
        self._view[:KEY_SIZE] = chain
        self.record_key = self._view[KEY_SIZE : 2 * KEY_SIZE]
        self.body_key = self._view[2 * KEY_SIZE :]
        #: The step that the next call of `advance` serves.
        self.step = step

    def advance(self) -> int:
        """Move to the next step, whose keys are then in `record_key` and `body_key`. Returns the step."""
        fresh = bytearray(3 * KEY_SIZE)
        HKDFExpand(_SHA256, 3 * KEY_SIZE, STEP_INFO).derive_into(self._view[:KEY_SIZE], fresh)
        self._buffer[:] = fresh
        fresh[:] = bytes(3 * KEY_SIZE)
        self.step += 1
        return self.step - 1

    def head(self) -> bytes:
        """What stands for the chain in a closing, and gives nothing of it away."""
        return expand(self._view[:KEY_SIZE], HEAD_INFO)

    def wipe(self) -> None:
        """Overwrite every key held here."""
        self._buffer[:] = bytes(3 * KEY_SIZE)
        self.step = -1


# --- Copies ----------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=512)
def _prefix(name: EpochName, role: str) -> bytes:
    return name.statement(role)


class Place(NamedTuple):
    """Where a sealed part belongs: the columns of its row, all authenticated. Times in ms, sizes in bytes."""

    name: EpochName
    step: int
    copy_id: int
    stored_at: int
    size: int
    stored_size: int

    def associated(self, role: str) -> bytes:
        return _prefix(self.name, role) + _PLACE.pack(*self[1:])


def seal_part(key: bytes | memoryview, place: Place, role: str, plaintext: bytes) -> bytes:
    """Seal a record or a body under a key that serves once, hence the constant nonce."""
    return AESGCM(key).encrypt(_NONCE, plaintext, place.associated(role))


def open_part(key: bytes | memoryview, place: Place, role: str, sealed: bytes) -> bytes:
    """Open a record or a body. `TamperedError` names the copy."""
    try:
        return AESGCM(key).decrypt(_NONCE, sealed, place.associated(role))
    except InvalidTag:
        raise TamperedError(f"copy {place.copy_id}", f"the seal of its {role} does not verify") from None


def open_records(
    chains: Chains, steps: Sequence[int], places: Iterable[tuple[int, int, int, int]], records: Iterable[bytes]
) -> list[bytes]:
    """Open many records of one epoch; `places` are a `Place`'s last four fields. What `open_part` answers for each.

    Raises InvalidTag where one does not verify, and does not say which.
    """
    prefix, pack = _prefix(chains.name, RECORD), _PLACE.pack
    return [
        AESGCM(key).decrypt(_NONCE, record, prefix + pack(step, *place))
        for key, step, place, record in zip(chains.record_keys(steps), steps, places, records, strict=True)
    ]


_zstd = threading.local()


def pack_body(raw: bytes) -> bytes:
    """The plaintext of a body: one byte that says how, then zstd where that is smaller, else the raw bytes."""
    compressor = getattr(_zstd, "compressor", None)
    if compressor is None:
        from store.helpers.zstd import ZstdCompressor

        compressor = _zstd.compressor = ZstdCompressor(level=1)
    packed = compressor.compress(raw, compressor.FLUSH_FRAME)
    return _ZSTD + packed if len(packed) < len(raw) else _RAW + raw


def unpack_body(plaintext: bytes, size: int, what: str) -> bytes:
    """The inverse of `pack_body`; never makes more than `size` bytes. Raises TamperedError, naming `what`."""
    from store.helpers import zstd

    kind, data = plaintext[:1], plaintext[1:]
    if kind == _ZSTD:
        try:
            if zstd.get_frame_info(data).decompressed_size != size:
                raise TamperedError(what, "its body is not as long as its record says")
            data = zstd.ZstdDecompressor().decompress(data, max_length=size)
        except zstd.ZstdError:
            raise TamperedError(what, "its body does not decompress") from None
    elif kind != _RAW:
        raise TamperedError(what, "its body is packed in a way that this release does not know")
    if len(data) != size:
        raise TamperedError(what, "its body is not as long as its record says")
    return data


class Chains:
    """The step keys of one epoch for a reader: any step, quick in order. Keeps the chain before every 32nd step."""

    _STRIDE = 32
    __slots__ = ("_chain", "_lock", "_marks", "_next", "name")

    def __init__(self, name: EpochName, chain: bytes | bytearray) -> None:
        self.name = name
        self._marks = [bytes(chain)]
        self._chain, self._next = bytes(chain), 0
        self._lock = threading.Lock()

    def keys(self, step: int) -> tuple[bytes, bytes]:
        """Record key and body key of `step`."""
        with self._lock:
            served = self._serve(step, 3 * KEY_SIZE)
        return served[KEY_SIZE : 2 * KEY_SIZE], served[2 * KEY_SIZE :]

    def record_keys(self, steps: Iterable[int]) -> list[bytes]:
        """Record keys of `steps`: all that reading a million records needs."""
        with self._lock:
            return [self._serve(step, 2 * KEY_SIZE)[KEY_SIZE:] for step in steps]

    def _serve(self, step: int, length: int) -> bytes:
        if step != self._next or not step % self._STRIDE:
            self._seek(step)
        served = HKDFExpand(_SHA256, length, STEP_INFO).derive(self._chain)
        self._chain, self._next = served[:KEY_SIZE], step + 1
        return served

    def head(self, served: int) -> bytes:
        """The chain head after `served` steps."""
        with self._lock:
            self._seek(served)
            return expand(self._chain, HEAD_INFO)

    def _seek(self, step: int) -> None:
        """Stand before `step`."""
        mark = min(step // self._STRIDE, len(self._marks) - 1)
        if not mark * self._STRIDE <= self._next <= step:
            self._chain, self._next = self._marks[mark], mark * self._STRIDE
        while True:
            if self._next == len(self._marks) * self._STRIDE:
                self._marks.append(self._chain)
            if self._next == step:
                return
            self._chain = HKDFExpand(_SHA256, 3 * KEY_SIZE, STEP_INFO).derive(self._chain)[:KEY_SIZE]
            self._next += 1
