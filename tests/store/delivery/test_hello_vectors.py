"""The rows of `hello` by their vectors: an accepted row, a wish that makes a gateway ask, and one fault each."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from store.delivery.hello import ROLE, WANTED, open_hello
from store.sealing.keys import derive_keys
from store.sealing.signatures import AUTHORITY, verify_signature
from store.sealing.statements import statement
from store.terms.errors import TamperedError
from tests.store.sealing.vectors import vectors


@pytest.mark.parametrize("case", vectors("hello"))
def test_hello_vectors(case: dict[str, Any]) -> None:
    try:
        outcome = _read(case)
    except TamperedError:
        outcome = "tampered"
    assert outcome == case["outcome"]


def _read(case: dict[str, Any]) -> str:
    """Read a row into this file's words for the outcomes, independent of `store.delivery.hello`."""
    store_id, sealed, signature = (bytes.fromhex(case[name]) for name in ("store_id", "sealed", "signature"))
    keys, gateway_id, at = derive_keys(bytes.fromhex(case["seed"]), store_id), case["gateway_id"], case["at"]

    def key_of(signer: int) -> Ed25519PublicKey:
        if gateway_id < 0 and signer == AUTHORITY:
            return keys.authority_verifier()
        if signer != gateway_id:
            raise TamperedError("a row of hello", "another signed it")
        return Ed25519PublicKey.from_public_bytes(bytes.fromhex(case["gateway_key"]))

    if gateway_id < 0:
        if sealed:
            raise TamperedError("a row of hello", "a wish holds nothing")
        data = statement(WANTED, store_id, -gateway_id, at)
        verify_signature(store_id, data, signature, key_of, "a row of hello")
        return "wanted"
    data = statement(ROLE, store_id, gateway_id, at, sealed)
    verify_signature(store_id, data, signature, key_of, "a row of hello")
    assert keys.read_private is not None
    hello = open_hello(keys.read_private, store_id, gateway_id, at, sealed, "a row of hello")
    assert [hello.relay, hello.problem, [list(each) for each in hello.extensions]] == case["hello"]
    return "believed"
