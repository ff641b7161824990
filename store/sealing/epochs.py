"""Epochs: runs of copies sealed under one secret, and the ratchet that yields each copy's keys once."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hpke import MLKEM768X25519PrivateKey, MLKEM768X25519PublicKey
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from store.sealing.sealed import hpke_open, hpke_seal
from store.sealing.statements import KEY_SIZE, expand, statement, verify
from store.terms.errors import StoreUnavailable, TamperedError

EPOCH_STEPS = 1000
EPOCH_MS = 3_600_000

_SHA256 = SHA256()


class EpochName(NamedTuple):
    """The identity of an epoch: everything that its keys are bound to."""

    store_id: bytes
    gateway_id: int
    epoch_id: int
    number: int

    def statement(self, role: str, *fields: int | bytes | str) -> bytes:
        return statement(role, self.store_id, self.gateway_id, self.epoch_id, self.number, *fields)


class Opening(NamedTuple):
    """The statement that a gateway signs when an epoch begins.

    `previous`: digest of the epoch before; for the first, zeros.
    """

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
    """The statement that a gateway signs when an epoch ends: the steps served, and the chain head after them."""

    opening: Opening
    served: int
    chain_head: bytes
    closed_at: int

    def data(self) -> bytes:
        return self.opening.name.statement(
            "epoch closing", self.opening.digest(), self.served, self.chain_head, self.closed_at
        )


def commitment_of(name: EpochName, secret: bytes | bytearray) -> bytes:
    """Compute the commitment to the secret: with AES-GCM alone, one ciphertext could open to two secrets."""
    return expand(secret, name.statement("epoch commitment"))


def first_chain(name: EpochName, secret: bytes | bytearray) -> bytearray:
    """Derive the ratchet's chain before step 0."""
    chain = bytearray(KEY_SIZE)
    HKDFExpand(_SHA256, KEY_SIZE, name.statement("epoch chain")).derive_into(secret, chain)
    return chain


def _fresh_secret() -> bytearray:
    """Make 32 random bytes in a buffer that can be wiped, unlike the result of `os.urandom`."""
    secret = bytearray(KEY_SIZE)
    try:
        with Path("/dev/urandom").open("rb", buffering=0) as source:
            count = source.readinto(secret)
    except OSError:
        count = 0
    if count != KEY_SIZE:
        raise StoreUnavailable(
            "The system provides no random bytes (/dev/urandom), so nothing can be encrypted. Mount /dev."
        )
    return secret


def open_epoch(
    name: EpochName, public: MLKEM768X25519PublicKey, signer: Ed25519PrivateKey, previous: bytes, opened_at: int
) -> tuple[Opening, bytes, Ratchet]:
    """Begin an epoch. Return its opening, the gateway's signature of it, and the ratchet with its keys."""
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
    """Verify an opening and decrypt its secret.

    Return the chain before step 0. Raises TamperedError, naming the epoch.
    """
    what = f"epoch {opening.name.epoch_id}"
    verify(signer, signature, opening.data(), what)
    secret = hpke_open(private, opening.name.statement("epoch secret"), opening.sealed_secret, what)
    if commitment_of(opening.name, secret) != opening.commitment:
        raise TamperedError(what, "its secret differs from the one at its opening")
    return first_chain(opening.name, secret)


STEP_INFO = statement("ratchet step")
HEAD_INFO = statement("chain head")
#: Bytes that a step derives: the next chain and two keys.
_STEP_BYTES = 3 * KEY_SIZE
_NOTHING = bytes(_STEP_BYTES)
#: Steps derived at a time. The first takes four times as long as the others, because its code is not in the caches.
_AHEAD = 16


class Ratchet:
    """Yields each step's record key and body key once, forwards only. Not thread-safe.

    Everything is in one buffer: the chain before the steps derived, then for each the chain after it and its two keys.
    What comes before the newest step is cleared, so the buffer never reveals more than the newest chain and the newest
    step's keys do. `wipe` clears all of it.
    """

    __slots__ = ("_base", "_buffer", "_chains", "_derived", "_keys", "_used", "body_key", "record_key", "step")

    def __init__(self, chain: bytes | bytearray | memoryview, step: int = 0) -> None:
        self._buffer = bytearray(KEY_SIZE + _AHEAD * _STEP_BYTES)
        view = memoryview(self._buffer)
        self._derived = [view[at : at + _STEP_BYTES] for at in range(KEY_SIZE, len(view), _STEP_BYTES)]
        self._chains = [view[:KEY_SIZE], *(each[:KEY_SIZE] for each in self._derived)]
        self._keys = [(each[KEY_SIZE : 2 * KEY_SIZE], each[2 * KEY_SIZE :]) for each in self._derived]
        #: How many of the steps in the buffer were served. The chain is the one after the last of them.
        self._used = _AHEAD
        self._chains[_AHEAD][:] = chain
        #: The chain at the last `settle`.
        self._base = bytearray(chain)
        self.record_key, self.body_key = self._keys[-1]
        #: The step that the next `advance` returns.
        self.step = step

    def advance(self) -> int:
        """Advance one step; its keys are then in `record_key` and `body_key`. Returns the step."""
        used, step = self._used, self.step
        if used == _AHEAD:
            self._derive()
            used = 0
        else:
            self._derived[used - 1][:] = _NOTHING
        self.record_key, self.body_key = self._keys[used]
        self._used = used + 1
        self.step = step + 1
        return step

    def _derive(self) -> None:
        chains = self._chains
        chains[0][:] = chains[_AHEAD]
        for chain, derived in zip(chains, self._derived, strict=False):
            HKDFExpand(_SHA256, _STEP_BYTES, STEP_INFO).derive_into(chain, derived)
        chains[0][:] = bytes(KEY_SIZE)

    def head(self) -> bytes:
        """Compute the chain head for a closing: a digest that does not reveal the chain."""
        return expand(self._chains[self._used], HEAD_INFO)

    def settle(self) -> None:
        """Note that the steps served so far are durable."""
        self._base[:] = self._chains[self._used]

    def settled_head(self) -> bytes:
        """Compute the chain head as of the last `settle`."""
        return expand(self._base, HEAD_INFO)

    def wipe(self) -> None:
        """Overwrite every key held here."""
        self._buffer[:] = bytes(len(self._buffer))
        self._base[:] = bytes(KEY_SIZE)
        self._used, self.step = _AHEAD, -1


class Chains:
    """The step keys of one epoch for reading: any step, fast in ascending order.

    Keeps the chain before every 32nd step.
    """

    _STRIDE = 32
    __slots__ = ("_chain", "_lock", "_marks", "_next", "name")

    def __init__(self, name: EpochName, chain: bytes | bytearray) -> None:
        self.name = name
        self._marks = [bytes(chain)]
        self._chain, self._next = bytes(chain), 0
        self._lock = threading.Lock()

    def keys(self, step: int) -> tuple[bytes, bytes]:
        """Return the record key and the body key of `step`."""
        with self._lock:
            served = self._serve(step, 3 * KEY_SIZE)
        return served[KEY_SIZE : 2 * KEY_SIZE], served[2 * KEY_SIZE :]

    def record_keys(self, steps: Iterable[int]) -> list[bytes]:
        """Return the record keys only of `steps`: reading a million records needs no others."""
        with self._lock:
            return [self._serve(step, 2 * KEY_SIZE)[KEY_SIZE:] for step in steps]

    def _serve(self, step: int, length: int) -> bytes:
        if step != self._next or not step % self._STRIDE:
            self._seek(step)
        served = HKDFExpand(_SHA256, length, STEP_INFO).derive(self._chain)
        self._chain, self._next = served[:KEY_SIZE], step + 1
        return served

    def head(self, served: int) -> bytes:
        """Compute the chain head after `served` steps."""
        with self._lock:
            self._seek(served)
            return expand(self._chain, HEAD_INFO)

    def _seek(self, step: int) -> None:
        """Move to the chain before `step`."""
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
