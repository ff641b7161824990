"""Generations of the configuration key and of the counter key, and the grants that give both to a gateway."""

from __future__ import annotations

from typing import NamedTuple

from cryptography.hazmat.primitives.hpke import MLKEM768X25519PrivateKey, MLKEM768X25519PublicKey

from store.sealing.sealed import hpke_open, hpke_seal
from store.sealing.statements import KEY_SIZE, expand, statement
from store.terms.errors import TamperedError


class GenerationKeys(NamedTuple):
    """The keys of one generation: for sealing the configuration, and for counters by address."""

    configuration: bytearray
    counter: bytearray


def generation_keys(seed: bytes | bytearray, store_id: bytes, generation: int) -> GenerationKeys:
    """Derive a generation's keys from the store's seed. Generations count from 1."""
    return GenerationKeys(
        *(
            bytearray(expand(seed, statement("store key", purpose, store_id, generation)))
            for purpose in ("configuration", "counter")
        )
    )


def seal_grant(
    keys: GenerationKeys, store_id: bytes, generation: int, holder: int, public: MLKEM768X25519PublicKey
) -> bytes:
    """Seal a generation's keys to the delivery key of the gateway `holder`."""
    return hpke_seal(public, _info(store_id, generation, holder), bytes(keys.configuration) + bytes(keys.counter))


def open_grant(
    private: MLKEM768X25519PrivateKey, store_id: bytes, generation: int, holder: int, sealed: bytes
) -> GenerationKeys:
    """Open a grant made by `seal_grant` for this generation and holder. Raises TamperedError if it does not verify."""
    what = f"configuration key {generation}"
    opened = hpke_open(private, _info(store_id, generation, holder), sealed, what)
    if len(opened) != 2 * KEY_SIZE:
        raise TamperedError(what, "its length is not that of two keys")
    return GenerationKeys(bytearray(opened[:KEY_SIZE]), bytearray(opened[KEY_SIZE:]))


def _info(store_id: bytes, generation: int, holder: int) -> bytes:
    return statement("configuration key", store_id, generation, holder)
