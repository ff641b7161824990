"""The forms that an event takes in its row: those of format 1, which are only read, and those of format 2.

An event of format 2 is signed by who wrote it, has a number, and names the digest of the event before it, all of that
where whoever reads the database without its keys can follow it. See FORMAT.md, "Events".
"""

from __future__ import annotations

import hashlib
from enum import IntEnum
from typing import NamedTuple

import msgspec
from cryptography.hazmat.primitives.hpke import MLKEM768X25519PrivateKey

from store.database.connection import as_bytes, sound
from store.helpers.decoding import msgpack_decoder
from store.sealing.keys import hybrid_public
from store.sealing.sealed import hpke_open, hpke_seal
from store.sealing.signatures import AUTHORITY, FIRST_OPERATOR, Right, Signer, sign, signers_of, verify_signature
from store.sealing.statements import statement, verify
from store.terms.errors import TamperedError, UnlockError
from store.vault.gateway_rows import former_key
from store.vault.operators import verify_operator
from store.vault.reader import Reader

ROLE = "audit"
#: The first byte of a row: an operator's or a gateway's event of format 1, then those of format 2.
_SEALED, _GATEWAY_1, _OPERATOR, _GATEWAY = 1, 2, 3, 4
_GATEWAY_ROLE = "gateway event"
_SIGNATURE = 64
_NUMBER, _DIGEST, _LENGTH = 8, 32, 2
_HEAD = 1 + _NUMBER + _NUMBER + _DIGEST + _LENGTH
NO_EVENT = bytes(_DIGEST)


class Phase(IntEnum):
    """What an event is of its act: all of it, or what is meant, a part that is done, and the end."""

    ONE = 0
    INTENT = 1
    BATCH = 2
    END = 3


class Sealed(msgspec.Struct, frozen=True, array_like=True):
    """What is sealed of an event. `previous` is "" in format 2, where it stands in plain text.

    `act` is the number of the event that says what is meant, 0 where the event is all there is; `uid` is the login
    user id of who acted, None where it is not known. `undoes` is the number of the act that this one took back, below 0
    where it did it again.
    """

    at: int
    operator: str
    action: str
    runs: list[tuple[int, int]]
    detail: str
    previous: bytes
    versions: dict[str, int]
    uid: int | None = None
    act: int = 0
    phase: int = 0
    undoes: int = 0


class Opened(NamedTuple):
    """An event's row, opened: its number (0 in format 1, which has none), and the digest of the event before it."""

    sealed: Sealed
    number: int
    previous: bytes


class _Parts(NamedTuple):
    form: int
    signer: int
    number: int
    previous: bytes
    signature: bytes
    sealed: bytes


def digest_of(blob: object) -> bytes:
    """Hash an event's row, to bind the next event to it; for a malformed row, return what no event has."""
    return hashlib.sha256(blob if isinstance(blob, bytes | memoryview) else b"").digest()


def number_of(blob: object) -> int:
    """Return the number that an event's row claims, 0 if it has none."""
    return _parts(bytes(blob)).number if isinstance(blob, bytes | memoryview) and blob[:1] in (b"\x03", b"\x04") else 0


def by_gateway(blob: object) -> bool:
    """Whether a gateway wrote an event, as its row says."""
    return isinstance(blob, bytes | memoryview) and bytes(blob[:1]) in (b"\x02", b"\x04")


def seal_event(vault: Reader, number: int, previous: bytes, event: Sealed) -> bytes:
    """Seal an event as its row holds it: an operator's, or that of a gateway, which cannot read events itself.

    Raises UnlockError where the keys at hand can only read.
    """
    keys, plain = vault.keys, msgspec.msgpack.encode(event)
    if keys.authority is not None:
        form, signer = _OPERATOR, Signer(AUTHORITY, keys.authority)
        sealed = vault.seal(ROLE, plain)
    elif keys.gateway is not None:
        form, signer = _GATEWAY, Signer(keys.gateway.gateway_id, keys.gateway.signing)
        info = _info(vault, form, signer.id, number, previous, event.at)
        sealed = hpke_seal(hybrid_public(keys.read_public), info, plain)
    else:
        raise UnlockError("The keys at hand cannot write events: unlock the store as an operator.")
    data = _signed(vault, form, signer.id, number, previous, event.at, sealed)
    signature = sign(vault.store_id, data, signer)
    head = bytes([form]) + signer.id.to_bytes(_NUMBER, "big") + number.to_bytes(_NUMBER, "big") + previous
    return head + len(signature).to_bytes(_LENGTH, "big") + signature + sealed


def open_event(vault: Reader, blob: object, at: int, name: str) -> Opened:
    """Verify and open an event's row of the time `at`.

    Raises TamperedError naming it, UnlockError where the keys at hand cannot read events.
    """
    data = as_bytes(blob)
    form = data[0] if data else 0
    if form == _SEALED:
        old = _decoded(vault.unseal(ROLE, data), name)
        return Opened(old, 0, old.previous)
    if form == _GATEWAY_1:
        return _open_gateway_1(vault, data, name)
    if form not in (_OPERATOR, _GATEWAY):
        raise TamperedError(name, "it has no form that this release knows")
    parts = _parts(data)
    signed = _signed(vault, form, parts.signer, parts.number, parts.previous, at, parts.sealed)
    if form == _OPERATOR:
        _verify_operator(vault, signed, parts, at, name)
        event = _decoded(vault.unseal(ROLE, parts.sealed), name)
    else:
        _verify_gateway(vault, signed, parts, name)
        info = _info(vault, form, parts.signer, parts.number, parts.previous, at)
        event = _of_gateway(_decoded(hpke_open(_read_key(vault), info, parts.sealed, name), name))
    return Opened(event, parts.number, parts.previous)


def is_genuine(vault: Reader, blob: object, at: object) -> bool:
    """Whether somebody who may write events wrote this row of format 2, whoever can read it."""
    data = blob if isinstance(blob, bytes) else bytes(blob) if isinstance(blob, memoryview) else b""
    if not data or data[0] not in (_OPERATOR, _GATEWAY) or not isinstance(at, int):
        return False
    parts, name = _parts(data), "an event"
    signed = _signed(vault, parts.form, parts.signer, parts.number, parts.previous, at, parts.sealed)
    try:
        with sound(name):
            if parts.form == _OPERATOR:
                _verify_operator(vault, signed, parts, at, name)
            else:
                _verify_gateway(vault, signed, parts, name)
    except TamperedError:
        return False
    return True


def _verify_operator(vault: Reader, signed: bytes, parts: _Parts, at: int, name: str) -> None:
    if parts.signer != AUTHORITY and parts.signer < FIRST_OPERATOR:
        raise TamperedError(name, "its form is an operator's, and a gateway signed it")
    ids = verify_operator(vault, signed, parts.signature, name, Right.READ, at=at, seconded=False)
    if ids != (parts.signer,):
        raise TamperedError(name, "somebody else signed it than it says")


def _verify_gateway(vault: Reader, signed: bytes, parts: _Parts, name: str) -> None:
    if signers_of(parts.signature, name) != (parts.signer,):
        raise TamperedError(name, "somebody else signed it than it says")
    try:
        verify_signature(vault.store_id, signed, parts.signature, vault.signers.key, name)
    except TamperedError:
        # What a gateway wrote before it was revoked still stands.
        verify_signature(vault.store_id, signed, parts.signature, lambda signer: former_key(vault, signer), name)


def _open_gateway_1(vault: Reader, blob: bytes, name: str) -> Opened:
    header, signature, sealed = blob[:9], blob[9 : 9 + _SIGNATURE], blob[9 + _SIGNATURE :]
    gateway_id = int.from_bytes(header[1:], "big")
    data = statement(_GATEWAY_ROLE, vault.store_id, header, sealed)
    try:
        verify(vault.signers.key(gateway_id), signature, data, name)
    except TamperedError:
        verify(former_key(vault, gateway_id), signature, data, name)
    info = statement(_GATEWAY_ROLE, vault.store_id, header)
    event = _decoded(hpke_open(_read_key(vault), info, sealed, name), name)
    return Opened(_of_gateway(event), 0, event.previous)


def _read_key(vault: Reader) -> MLKEM768X25519PrivateKey:
    key = vault.keys.read_private
    if key is None:
        raise UnlockError("The keys at hand cannot read events: unlock the store as an operator.")
    return key


def _of_gateway(event: Sealed) -> Sealed:
    """Reduce an event to what a gateway may say: it cannot pose as an operator."""
    return msgspec.structs.replace(event, operator="", versions={}, uid=None)


def _decoded(plain: bytes, name: str) -> Sealed:
    try:
        return msgpack_decoder(Sealed).decode(plain)
    except msgspec.DecodeError:
        raise TamperedError(name) from None


def _parts(blob: bytes) -> _Parts:
    length = int.from_bytes(blob[_HEAD - _LENGTH : _HEAD], "big")
    return _Parts(
        blob[0],
        int.from_bytes(blob[1 : 1 + _NUMBER], "big"),
        int.from_bytes(blob[1 + _NUMBER : 1 + 2 * _NUMBER], "big"),
        blob[1 + 2 * _NUMBER : _HEAD - _LENGTH],
        blob[_HEAD : _HEAD + length],
        blob[_HEAD + length :],
    )


def _signed(vault: Reader, form: int, signer: int, number: int, previous: bytes, at: int, sealed: bytes) -> bytes:
    digest = hashlib.sha256(sealed).digest()
    return statement("event", vault.store_id, form, signer, number, previous, at, digest)


def _info(vault: Reader, form: int, signer: int, number: int, previous: bytes, at: int) -> bytes:
    return statement(_GATEWAY_ROLE, vault.store_id, form, signer, number, previous, at)
