"""Data derived from copies later, by its vectors."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from store.sealing.derived import DerivedKey
from store.sealing.statements import statement
from store.terms.errors import TamperedError
from tests.store.sealing.vectors import vectors


@pytest.mark.parametrize("case", vectors("derived-rows"))
def test_vectors(case: dict[str, Any]) -> None:
    private_key, store_id, record, sealed = (
        bytes.fromhex(case[name]) for name in ("private_key", "store_id", "record", "sealed")
    )
    key = DerivedKey(private_key, store_id, case["kind"], case["version"])
    if case["outcome"] == "opens":
        assert key.open(case["id"], record, sealed).hex() == case["plaintext"]
        return
    with pytest.raises(TamperedError) as caught:
        key.open(case["id"], record, sealed)
    assert caught.value.what == f"the {case['kind']} of copy {case['id']}"


def test_what_is_authenticated_is_one_statement() -> None:
    key = DerivedKey(bytes(32), bytes(16), "traits", 1)
    digest = hashlib.sha256(b"record").digest()
    assert key._associated(-5, b"record") == statement("derived", bytes(16), "traits", 1, -5, digest)


def test_no_two_are_alike() -> None:
    key = DerivedKey(bytes(32), bytes(16), "traits", 1)
    assert len({key.seal(1, b"", b"x") for _ in range(100)}) == 100
