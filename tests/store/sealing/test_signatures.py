"""`sig` by its vectors, and the content of a signature made here."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from store.sealing.certificates import Certificate
from store.sealing.signatures import FIRST_OPERATOR, Right, Signer, sign, signers_of, verify_signature
from store.sealing.statements import statement
from store.terms.errors import TamperedError
from tests.store.sealing.vectors import vectors

STORE = bytes(range(16))
KEYS = {number: Ed25519PrivateKey.from_private_bytes(bytes([number + 1]) * 32) for number in range(3)}


@pytest.mark.parametrize("case", vectors("signatures"))
def test_signature_vectors(case: dict[str, Any]) -> None:
    keys = {int(signer): Ed25519PublicKey.from_public_bytes(bytes.fromhex(key)) for signer, key in case["keys"].items()}
    store_id, signature = bytes.fromhex(case["store_id"]), bytes.fromhex(case["signature"])
    data = statement(case["role"], store_id, *map(_field, case["fields"]))

    def key_of(signer: int) -> Ed25519PublicKey:
        if signer not in keys:
            raise TamperedError("thing", "no such signer")
        return keys[signer]

    if case["outcome"] == "verifies":
        assert list(verify_signature(store_id, data, signature, key_of, "thing")) == case["signers"]
    else:
        with pytest.raises(TamperedError) as caught:
            verify_signature(store_id, data, signature, key_of, "thing")
        assert caught.value.what == "thing"


def _field(shown: Any) -> Any:
    return bytes.fromhex(shown["bytes"]) if isinstance(shown, dict) else shown


@given(st.sets(st.integers(0, 2**63 - 1), min_size=1, max_size=2), st.binary(max_size=40))
def test_what_is_signed_verifies_and_names_its_signers(ids: set[int], data: bytes) -> None:
    signers = [Signer(number, KEYS[at]) for at, number in enumerate(sorted(ids, reverse=True))]
    signature = sign(STORE, data, *signers)
    keys = {signer.id: signer.key.public_key() for signer in signers}
    assert verify_signature(STORE, data, signature, keys.__getitem__, "thing") == tuple(sorted(ids))
    assert len(signature) == 1 + 72 * len(ids)


@given(st.binary(max_size=200))
def test_other_bytes_are_no_signature(blob: bytes) -> None:
    with pytest.raises(TamperedError):
        verify_signature(STORE, b"data", blob, lambda signer: KEYS[0].public_key(), "thing")


def test_who_signs_twice_or_not_at_all_is_a_mistake() -> None:
    one = Signer(FIRST_OPERATOR, KEYS[0])
    for signers in ((), (one, one), (one, Signer(0, KEYS[1]), Signer(1, KEYS[2]))):
        with pytest.raises(ValueError, match="one signer or two"):
            sign(STORE, b"data", *signers)
    assert signers_of(sign(STORE, b"data", one, Signer(0, KEYS[1])), "thing") == (0, FIRST_OPERATOR)


@pytest.mark.parametrize("case", vectors("certificates"))
def test_certificate_vectors(case: dict[str, Any]) -> None:
    fields = {name: case[name] for name in ("signer", "rights", "since", "until")}
    certificate = Certificate(key=bytes.fromhex(case["key"]), **fields)
    authority = Ed25519PublicKey.from_public_bytes(bytes.fromhex(case["authority"]))
    store_id, signature = bytes.fromhex(case["store_id"]), bytes.fromhex(case["signature"])
    asked = (store_id, signature, authority, Right(case["right"]), case["at"])
    if case["outcome"] == "verifies":
        assert certificate.verified(*asked).public_bytes_raw() == certificate.key
    else:
        with pytest.raises(TamperedError):
            certificate.verified(*asked)


def test_rights_are_the_numbers_of_the_format() -> None:
    numbers = {"READ": 1, "DELETE": 2, "RELEASE": 4, "CONFIGURE": 8, "KEYS": 16, "ACCEPT": 32}
    assert {right.name: right.value for right in Right} == numbers
