"""Generations of the configuration key by their vectors: derivation, grants, and data sealed with them."""

from __future__ import annotations

from typing import Any

import pytest

from store.sealing.granting import generation_keys, open_grant
from store.sealing.keys import hybrid_private
from store.sealing.sealed import generation_of, unseal_with
from store.terms.errors import TamperedError
from tests.store.sealing.vectors import vectors


@pytest.mark.parametrize("case", vectors("grants"))
def test_grant_vectors(case: dict[str, Any]) -> None:
    store_id, sealed = bytes.fromhex(case["store_id"]), bytes.fromhex(case["sealed"])
    asked = (hybrid_private(bytes.fromhex(case["delivery_seed"])), store_id, case["generation"], case["holder"], sealed)
    if case["outcome"] == "opens":
        keys = open_grant(*asked)
        assert [key.hex() for key in keys] == [case["configuration_key"], case["counter_key"]]
        assert keys == generation_keys(bytes.fromhex(case["seed"]), store_id, case["generation"])
    else:
        with pytest.raises(TamperedError):
            open_grant(*asked)


@pytest.mark.parametrize("case", vectors("generations"))
def test_generation_vectors(case: dict[str, Any]) -> None:
    key, store_id, sealed = (bytes.fromhex(case[name]) for name in ("key", "store_id", "sealed"))
    if case["outcome"] == "opens":
        assert generation_of(sealed, "thing") == int(case["generation"])
        assert unseal_with(key, case["role"], store_id, sealed).hex() == case["plaintext"]
    else:
        with pytest.raises(TamperedError) as caught:
            unseal_with(key, case["role"], store_id, sealed, what="thing")
        assert caught.value.what == "thing"
