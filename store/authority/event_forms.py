"""The formats of an event's row: format 1, which is only read, and format 2.

A format 2 event is signed by its writer, and has a number and the digest of the event before. These are in plain text,
so the chain can be followed without keys. See FORMAT.md, "Events".
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
#: First byte of a row: operator's event of format 1, gateway's of format 1, operator's of format 2, gateway's of format
#: 2.
_SEALED, _GATEWAY_1, _OPERATOR, _GATEWAY = 1, 2, 3, 4
_GATEWAY_ROLE = "gateway event"
_SIGNATURE = 64
_NUMBER, _DIGEST, _LENGTH = 8, 32, 2
_HEAD = 1 + _NUMBER + _NUMBER + _DIGEST + _LENGTH
NO_EVENT = bytes(_DIGEST)


class Phase(IntEnum):
    """Which part of its act an event records: all of it, the intent, one part done, or the end."""

    ONE = 0
    INTENT = 1
    BATCH = 2
    END = 3


class Sealed(msgspec.Struct, frozen=True, array_like=True):
    """The sealed content of an event. `previous` is empty in format 2, which has it in plain text.

    `act` is the number of the event for the intent, 0 in that event itself and if the act is a single event. `uid` is
    the login user id of the operator, None if not known. `undoes` is the number of the act that this one undoes,
    negative if it does it again.
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
    """An event's row, decrypted: its number (0 in format 1, which has none), and the digest of the event before it."""

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
    """Hash an event's row for the next event to name.

    A malformed row gives the digest of no data, which no event has.
    """
    return hashlib.sha256(blob if isinstance(blob, bytes | memoryview) else b"").digest()


def number_of(blob: object) -> int:
    """Return the number that an event's row claims, 0 if it has none."""
    return _parts(bytes(blob)).number if isinstance(blob, bytes | memoryview) and blob[:1] in (b"\x03", b"\x04") else 0


def by_gateway(blob: object) -> bool:
    """Return True if the row claims that a gateway wrote the event."""
    return isinstance(blob, bytes | memoryview) and bytes(blob[:1]) in (b"\x02", b"\x04")


def seal_event(vault: Reader, number: int, previous: bytes, event: Sealed) -> bytes:
    """Seal an event into its row: an operator's, or one of a gateway, which cannot read events itself.

    Raises UnlockError if the keys at hand can only read.
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
        raise UnlockError("This key cannot write events. Unlock the store with an operator key.")
    data = _signed(vault, form, signer.id, number, previous, event.at, sealed)
    signature = sign(vault.store_id, data, signer)
    head = bytes([form]) + signer.id.to_bytes(_NUMBER, "big") + number.to_bytes(_NUMBER, "big") + previous
    return head + len(signature).to_bytes(_LENGTH, "big") + signature + sealed


def open_event(vault: Reader, blob: object, at: int, name: str) -> Opened:
    """Verify and decrypt an event's row. `at` is the row's time (Unix ms), `name` the event's name in errors.

    Raises TamperedError, and UnlockError if the keys at hand cannot read events.
    """
    data = as_bytes(blob)
    form = data[0] if data else 0
    if form == _SEALED:
        old = _decoded(vault.unseal(ROLE, data), name)
        return Opened(old, 0, old.previous)
    if form == _GATEWAY_1:
        return _open_gateway_1(vault, data, name)
    if form not in (_OPERATOR, _GATEWAY):
        raise TamperedError(name, "this version of Mailhold does not know its format")
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
    """Return True if the row is of format 2 and its signature is that of an operator or a gateway.

    Needs no key to read.
    """
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
        raise TamperedError(name, "it is an operator's event, but a gateway signed it")
    ids = verify_operator(vault, signed, parts.signature, name, Right.READ, at=at, seconded=False)
    if ids != (parts.signer,):
        raise TamperedError(name, "it was signed by somebody other than it says")


def _verify_gateway(vault: Reader, signed: bytes, parts: _Parts, name: str) -> None:
    if signers_of(parts.signature, name) != (parts.signer,):
        raise TamperedError(name, "it was signed by somebody other than it says")
    try:
        verify_signature(vault.store_id, signed, parts.signature, vault.signers.key, name)
    except TamperedError:
        # Events that a gateway wrote before it was revoked remain valid.
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
        raise UnlockError("This key cannot read events. Unlock the store with an operator key.")
    return key


def _of_gateway(event: Sealed) -> Sealed:
    """Remove from an event what a gateway must not claim: operator, login and configuration versions."""
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
