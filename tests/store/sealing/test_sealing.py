"""Sealing format 1: the test vectors, an independent derivation of the ratchet, and properties."""

from __future__ import annotations

import hashlib
import hmac
import random
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from hypothesis import given, settings
from hypothesis import strategies as st

from store.sealing import copies, epochs
from store.sealing.copies import (
    BODY,
    RECORD,
    Place,
    open_part,
    open_records,
    pack_body,
    seal_copy,
    unpack_body,
)
from store.sealing.epochs import (
    Chains,
    Closing,
    EpochName,
    Opening,
    Ratchet,
    commitment_of,
    first_chain,
    open_epoch,
    read_epoch,
)
from store.sealing.keys import hybrid_private
from store.sealing.sealed import seal_with, unseal_with
from store.sealing.statements import statement, verify
from store.terms.errors import TamperedError
from tests.amounts import amount
from tests.store.sealing.parts import seal_part
from tests.store.sealing.vectors import vectors

NAME = EpochName(bytes(16), 1, 2, 3)
PLACE = Place(NAME, 4, 5, 6, 7, 8)
fields = st.lists(st.integers(-(2**63), 2**63 - 1) | st.binary(max_size=20) | st.text(max_size=20), max_size=5)


def _hex(case: dict[str, Any], *names: str) -> list[bytes]:
    return [bytes.fromhex(case[name]) for name in names]


@pytest.mark.parametrize("case", vectors("statements"))
def test_statement_vectors(case: dict[str, Any]) -> None:
    given_fields = [bytes.fromhex(item["bytes"]) if isinstance(item, dict) else item for item in case["fields"]]
    assert statement(case["role"], *given_fields).hex() == case["statement"]


@given(st.text(max_size=9), fields, st.text(max_size=9), fields)
def test_no_two_statements_are_the_same(role: str, one: list[Any], other_role: str, other: list[Any]) -> None:
    def typed(items: list[Any]) -> list[tuple[str, Any]]:
        return [(type(item).__name__, item) for item in items]

    same = statement(role, *one) == statement(other_role, *other)
    assert same == ((role, typed(one)) == (other_role, typed(other)))


@pytest.mark.parametrize("case", vectors("sealed"))
def test_sealed_vectors(case: dict[str, Any]) -> None:
    key, store_id, blob = _hex(case, "key", "store_id", "sealed")
    if case["outcome"] == "opens":
        assert unseal_with(key, case["role"], store_id, blob).hex() == case["plaintext"]
    else:
        with pytest.raises(TamperedError) as caught:
            unseal_with(key, case["role"], store_id, blob, what="thing")
        assert caught.value.what == "thing"


@given(st.binary(max_size=100))
def test_sealing_takes_a_fresh_key_each_time(plaintext: bytes) -> None:
    blobs = {seal_with(bytes(32), "role", bytes(16), plaintext) for _ in range(4)}
    assert len({blob[1:33] for blob in blobs}) == 4
    assert {unseal_with(bytes(32), "role", bytes(16), blob) for blob in blobs} == {plaintext}


def _epoch(case: dict[str, Any]) -> tuple[Opening, Chains]:
    """Read a vector as an implementation would, including its closing. Raises TamperedError."""
    store_id, previous, commitment, sealed_secret, signature = _hex(
        case, "store_id", "previous", "commitment", "sealed_secret", "signature"
    )
    name = EpochName(store_id, case["gateway_id"], case["epoch_id"], case["number"])
    opening = Opening(name, case["opened_at"], previous, commitment, sealed_secret)
    signer = Ed25519PublicKey.from_public_bytes(bytes.fromhex(case["signer"]))
    chain = read_epoch(opening, signature, signer, hybrid_private(bytes.fromhex(case["read_seed"])))
    chains = Chains(name, chain)
    if end := case.get("closing"):
        closing = Closing(opening, end["count"], bytes.fromhex(end["chain_head"]), end["closed_at"])
        verify(signer, bytes.fromhex(end["signature"]), closing.data(), f"epoch {name.epoch_id}")
        assert chains.head(closing.served) == closing.chain_head
    return opening, chains


@pytest.mark.parametrize("case", vectors("epochs"))
def test_epoch_vectors(case: dict[str, Any]) -> None:
    if case["outcome"] == "tampered":
        with pytest.raises(TamperedError) as caught:
            _epoch(case)
        assert caught.value.what == f"epoch {case['epoch_id']}"
        return
    opening, chains = _epoch(case)
    for step in sorted(case.get("keys", {}), key=lambda step: int(step) % 7):
        assert [key.hex() for key in chains.keys(int(step))] == case["keys"][step]
    for count, head in case.get("heads", {}).items():
        assert chains.head(int(count)).hex() == head
    assert opening.digest().hex() == case.get("digest", opening.digest().hex())


def _copy(case: dict[str, Any]) -> bytes:
    name = EpochName(bytes.fromhex(case["store_id"]), case["gateway_id"], case["epoch_id"], case["number"])
    place = Place(name, *(case[field] for field in ("step", "copy_id", "stored_at", "size", "stored_size")))
    key, blob = _hex(case, "key", "sealed")
    plaintext = open_part(key, place, case["role"], blob)
    return unpack_body(plaintext, place.size, f"copy {place.copy_id}") if case["role"] == BODY else plaintext


@pytest.mark.parametrize("case", vectors("copies"))
def test_copy_vectors(case: dict[str, Any]) -> None:
    if case["outcome"] == "opens":
        assert _copy(case).hex() == case.get("raw", case.get("plaintext"))
    else:
        with pytest.raises(TamperedError) as caught:
            _copy(case)
        assert caught.value.what == f"copy {case['copy_id']}"


def _hkdf_expand(key: bytes, info: bytes, length: int) -> bytes:
    """Expand as in RFC 5869, section 2.3, written independently."""
    block, out = b"", b""
    for counter in range(1, 256):
        block = hmac.digest(key, block + info + bytes([counter]), hashlib.sha256)
        out += block
        if len(out) >= length:
            break
    return out[:length]


def test_the_ratchet_as_the_format_says_it() -> None:
    """From the secret to the keys of a step with only HMAC and the statements of FORMAT.md."""
    secret = bytes(range(32))
    header = b"mailhold\x01"

    def text(words: str) -> bytes:
        return b"s" + len(words).to_bytes(4, "big") + words.encode()

    numbers = b"".join(b"i" + number.to_bytes(8, "big") for number in (1, 2, 3))
    name = b"b" + (16).to_bytes(4, "big") + bytes(16) + numbers
    assert commitment_of(NAME, secret) == _hkdf_expand(secret, header + text("epoch commitment") + name, 32)
    chain = _hkdf_expand(secret, header + text("epoch chain") + name, 32)
    ratchet, chains = Ratchet(first_chain(NAME, secret)), Chains(NAME, first_chain(NAME, secret))
    for step in range(40):
        served = _hkdf_expand(chain, header + text("ratchet step"), 96)
        chain, record_key, body_key = served[:32], served[32:64], served[64:]
        assert ratchet.advance() == step
        assert (bytes(ratchet.record_key), bytes(ratchet.body_key)) == (record_key, body_key)
        assert chains.keys(step) == (record_key, body_key)
        assert ratchet.head() == chains.head(step + 1) == _hkdf_expand(chain, header + text("chain head"), 32)


@settings(max_examples=amount(12, 30))
@given(st.lists(st.tuples(st.integers(0, 70), st.binary(max_size=9)), min_size=1, max_size=20))
def test_records_opened_together_are_what_each_is_by_itself(some: list[tuple[int, bytes]]) -> None:
    places = [Place(NAME, step, number, number + 1, number + 2, number + 3) for number, (step, _) in enumerate(some)]
    chains = Chains(NAME, bytes(32))
    sealed = [
        seal_part(chains.keys(place.step)[0], place, RECORD, text)
        for place, (_, text) in zip(places, some, strict=True)
    ]
    steps = [step for step, _ in some]
    opened = open_records(
        Chains(NAME, bytes(32)), steps, list(zip(*(place[2:] for place in places), strict=True)), sealed
    )
    assert opened == [text for _, text in some]
    with pytest.raises(InvalidTag):
        open_records(
            chains,
            steps,
            list(zip(*(place[2:] for place in places), strict=True)),
            [*sealed[:-1], sealed[-1][:-1] + b"?!"],
        )


@settings(max_examples=amount(12, 30))
@given(st.lists(st.integers(0, 999), min_size=1, max_size=20))
def test_steps_in_any_order(steps: list[int]) -> None:
    chains = Chains(NAME, bytes(32))
    ratchet, expected = Ratchet(bytes(32)), {}
    for step in range(max(steps) + 1):
        ratchet.advance()
        expected[step] = (bytes(ratchet.record_key), bytes(ratchet.body_key))
    for step in steps:
        assert chains.keys(step) == expected[step]


def test_an_epochs_secret_and_first_chain_are_wiped(monkeypatch: pytest.MonkeyPatch) -> None:
    from store.sealing.keys import hybrid_public, hybrid_public_bytes

    seen: list[bytearray] = []

    def spying(name: EpochName, secret: bytearray) -> bytearray:
        chain = first_chain(name, secret)
        assert any(secret) and any(chain)
        seen.extend([secret, chain])
        return chain

    monkeypatch.setattr(epochs, "first_chain", spying)
    seed, signer = bytes(range(96)), Ed25519PrivateKey.generate()
    opening, signature, ratchet = open_epoch(NAME, hybrid_public(hybrid_public_bytes(seed)), signer, bytes(32), 1)
    assert seen == [bytearray(32), bytearray(32)]
    chains = Chains(NAME, read_epoch(opening, signature, signer.public_key(), hybrid_private(seed)))
    ratchet.advance()
    assert chains.keys(0) == (bytes(ratchet.record_key), bytes(ratchet.body_key))


def test_a_served_key_does_not_stay() -> None:
    ratchet = Ratchet(bytes(32))
    ratchet.advance()
    first = bytes(ratchet.record_key)
    ratchet.advance()
    assert bytes(ratchet.record_key) != first
    ratchet.wipe()
    assert not any(ratchet._buffer)


@given(st.lists(st.booleans(), min_size=1, max_size=80))
def test_a_ratchet_holds_nothing_from_before_its_last_step_but_the_chain_that_was_settled(settles: list[bool]) -> None:
    """It derives the keys of many steps at a time, and keeps a chain for the head of what is durable."""
    chain = settled_chain = bytes(range(32))
    ratchet, chains = Ratchet(chain), Chains(NAME, chain)
    before, keys = list[bytes](), list[bytes]()
    settled = 0
    for step, now in enumerate(settles):
        before += [chain, *keys]
        assert ratchet.advance() == step
        keys = list(chains.keys(step))
        assert [bytes(ratchet.record_key), bytes(ratchet.body_key)] == keys
        chain = _hkdf_expand(chain, statement("ratchet step"), 96)[:32]
        if now:
            ratchet.settle()
            settled, settled_chain = step + 1, chain
        assert ratchet.head() == chains.head(step + 1)
        assert ratchet.settled_head() == chains.head(settled)
        assert chain in ratchet._buffer and not any(gone in ratchet._buffer for gone in before)
        assert ratchet._base == settled_chain
    ratchet.wipe()
    assert not any(ratchet._buffer) and not any(ratchet._base)


@given(st.integers(0, 40), st.binary(max_size=300), st.binary(max_size=3000), st.tuples(*[st.integers(0, 1 << 40)] * 4))
def test_a_copy_is_sealed_as_its_two_parts_are(step: int, record: bytes, body: bytes, rest: tuple[int, ...]) -> None:
    ratchet = Ratchet(bytes(range(32)))
    for _ in range(step + 1):
        ratchet.advance()
    place = Place(NAME, step, *rest)
    sealed = seal_copy(ratchet, NAME, (step, *rest), record, body)  # type: ignore[arg-type]
    assert sealed == (
        seal_part(ratchet.record_key, place, RECORD, record),
        seal_part(ratchet.body_key, place, BODY, body),
    )


def test_many_threads_compress_at_once_and_few_compressors_are_kept() -> None:
    rnd = random.Random(5)
    raws = [bytes(rnd.choices(b"abcdefgh", k=rnd.randrange(60_000))) for _ in range(200)]
    with ThreadPoolExecutor(16) as pool:
        packed = list(pool.map(pack_body, raws))
    assert [unpack_body(each, len(raw), "copy 1") for each, raw in zip(packed, raws, strict=True)] == raws
    assert packed == list(map(pack_body, raws))
    assert 1 <= len(copies._compressors) <= copies._KEPT


@given(st.binary(max_size=5000))
def test_bodies_come_back(raw: bytes) -> None:
    assert unpack_body(pack_body(raw), len(raw), "copy 1") == raw


def test_a_body_is_never_larger_than_its_message_by_more_than_a_byte() -> None:
    import random

    raw = random.Random(1).randbytes(10_000)
    assert len(pack_body(raw)) == len(raw) + 1
    assert len(pack_body(bytes(10_000))) < 100


@given(st.binary(max_size=200), st.integers(0), st.booleans())
def test_every_flipped_bit_of_a_sealed_part(plaintext: bytes, at: int, cut: bool) -> None:
    blob = seal_part(bytes(32), PLACE, BODY, plaintext)
    place = at % (8 * len(blob))
    flipped = bytearray(blob)
    flipped[place // 8] ^= 1 << place % 8
    with pytest.raises(TamperedError):
        open_part(bytes(32), PLACE, BODY, bytes(flipped[: place // 8] if cut else flipped))


def test_a_signature_of_another_role_or_key() -> None:
    key, other = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    data = statement("one", b"data")
    verify(key.public_key(), key.sign(data), data, "thing")
    for signature, signed in (
        (other.sign(data), data),
        (key.sign(data), statement("two", b"data")),
        (b"", data),
        (bytes(64), data),
        (bytes(65), data),
    ):
        with pytest.raises(TamperedError, match="Thing"):
            verify(key.public_key(), signature, signed, "thing")
