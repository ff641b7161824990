"""Data sealed with a long-lived key is written as FORMAT.md says, and opens only if complete and unchanged."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from hypothesis import given
from hypothesis import strategies as st

from store.sealing.sealed import generation_of, seal_with, unseal_with
from store.sealing.statements import statement
from store.terms.errors import TamperedError

KEY, STORE = bytes(range(32)), b"s" * 16
GENERATIONS = [None, 1, 255, 256, (1 << 63) - 1]


@pytest.mark.parametrize("generation", GENERATIONS)
def test_it_is_what_the_format_describes(generation: int | None) -> None:
    sealed = seal_with(KEY, "a role", STORE, b"plain", generation=generation)
    if generation is None:
        head, context = b"\x01", statement("sealed", "a role", STORE)
    else:
        head = b"\x03" + generation.to_bytes(8, "big")
        context = statement("sealed", "a role", STORE, generation)
    assert sealed.startswith(head)
    salt, ciphertext = sealed[len(head) : len(head) + 32], sealed[len(head) + 32 :]
    once = HKDF(SHA256(), 32, salt, context).derive(KEY)
    assert AESGCM(once).decrypt(bytes(12), ciphertext, context) == b"plain"
    assert generation_of(sealed, "it") == (generation or 0)


@pytest.mark.parametrize("generation", GENERATIONS)
@pytest.mark.parametrize("plain", [b"", b"p"])
def test_the_whole_of_it_opens_and_no_part(generation: int | None, plain: bytes) -> None:
    sealed = seal_with(KEY, "a role", STORE, plain, generation=generation)
    assert unseal_with(KEY, "a role", STORE, sealed) == plain
    for changed in (*(sealed[:length] for length in range(len(sealed))), sealed + b"\0"):
        with pytest.raises(TamperedError) as error:
            unseal_with(KEY, "a role", STORE, changed)
        assert error.value.what == "a role"
    for role, store in (("a Role", STORE), ("a role", b"t" * 16)):
        with pytest.raises(TamperedError) as error:
            unseal_with(KEY, role, store, sealed, what="the thing")
        assert error.value.what == "the thing"


@given(st.integers(0, 255), st.integers(0, (1 << 64) - 1))
def test_generations_count_from_one(first: int, number: int) -> None:
    sealed = bytes([first]) + number.to_bytes(8, "big") + bytes(60)
    if first == 1:
        assert generation_of(sealed, "it") == 0
    elif first == 3 and 1 <= number <= (1 << 63) - 1:
        assert generation_of(sealed, "it") == number
    else:
        with pytest.raises(TamperedError):
            generation_of(sealed, "it")


@pytest.mark.parametrize("number", [0, 1 << 63, (1 << 64) - 1])
def test_a_generation_that_no_number_of_the_database_is_is_refused(number: int) -> None:
    with pytest.raises(TamperedError):
        generation_of(b"\x03" + number.to_bytes(8, "big") + bytes(60), "it")
