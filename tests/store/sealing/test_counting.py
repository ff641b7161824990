"""Counters of known senders by their vectors: their names, and the data sealed under them."""

from __future__ import annotations

import hmac
import os
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.sealing.counting import Count, open_count, seal_count, tag_of
from store.sealing.granting import generation_keys
from store.sealing.statements import statement
from store.terms.errors import TamperedError
from tests.store.sealing.vectors import vectors


@pytest.mark.parametrize("case", vectors("known"))
def test_known_vectors(case: dict[str, Any]) -> None:
    store_id, tag, sealed = (bytes.fromhex(case[name]) for name in ("store_id", "tag", "sealed"))
    key = generation_keys(bytes.fromhex(case["seed"]), store_id, case["generation"]).counter
    if case["outcome"] == "opens":
        assert tag_of(key, case["kind"], case["address"]) == tag
        whole = hmac.digest(bytes(key), statement("known", case["kind"], case["address"]), "sha256")
        assert whole[:16] == tag
        count = open_count(key, store_id, case["generation"], tag, sealed)
        assert count == (case["day"], case["authenticated"], case["other"])
    else:
        with pytest.raises(TamperedError):
            open_count(key, store_id, case["generation"], tag, sealed)


@given(st.integers(0, 1 << 20), st.floats(0, 1e9), st.floats(0, 1e9), st.integers(1, 1 << 40))
def test_what_is_sealed_is_opened_again(day: int, authenticated: float, other: float, generation: int) -> None:
    key, tag, store_id = os.urandom(32), os.urandom(16), os.urandom(16)
    sealed = seal_count(key, store_id, generation, tag, Count(day, authenticated, other))
    opened = open_count(key, store_id, generation, tag, sealed)
    assert opened.day == day
    assert abs(opened.authenticated - authenticated) <= 0.001 and abs(opened.other - other) <= 0.001
