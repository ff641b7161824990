"""Heads and the record of sent orders are written and compared as FORMAT.md says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from store.authority.heads import Present, Vector
from store.authority.older import older_than
from store.delivery.spent import Spent
from store.sealing.signatures import verify_signature
from store.sealing.statements import statement
from store.terms.errors import TamperedError
from tests.store.sealing.vectors import vectors


def outcome_of(case: dict[str, Any]) -> str:
    store_id, blob = bytes.fromhex(case["store_id"]), bytes.fromhex(case["vector"])

    def key_of(signer: int) -> Ed25519PublicKey:
        if str(signer) not in case["keys"]:
            raise TamperedError("a head")
        return Ed25519PublicKey.from_public_bytes(bytes.fromhex(case["keys"][str(signer)]))

    try:
        data = statement("head", store_id, case["writer"], blob)
        verify_signature(store_id, data, bytes.fromhex(case["signature"]), key_of, "a head")
    except TamperedError:
        return "tampered"
    store = dict(case["store"])
    digest = bytes.fromhex(store.pop("event_digest"))
    now = Present(**store, event_digest=digest, newest_copy=0, newest_configuration=0, acceptance=0)
    vector = msgspec.msgpack.decode(blob, type=Vector)
    assert msgspec.msgpack.encode(vector) == blob
    older = older_than(vector, now)
    return "reached" if older is None else "forked" if older.forked else "older"


@pytest.mark.parametrize("case", vectors("heads"))
def test_heads(case: dict[str, Any]) -> None:
    assert outcome_of(case) == case["outcome"]


@pytest.mark.parametrize("case", vectors("spent"))
def test_spent(case: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "spent").write_bytes(bytes.fromhex(case["record"]))
    found = Spent(tmp_path / "spent").of(bytes.fromhex(case["nonce"]), [case["address"]])
    assert ("spent" if found else "not spent") == case["outcome"]
