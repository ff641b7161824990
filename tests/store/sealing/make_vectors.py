"""Write the test vectors of sealing format 1: `python -m tests.store.sealing.make_vectors`.

Each vector is one case: its inputs, and the outcome that every implementation must have: `opens` (and the plaintext),
`wrong key`, or `tampered`. Bytes are hexadecimal. HPKE and salts are random, so each run makes other ciphertexts; the
committed files are the reference, and are made anew only for a new version of the format.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from store.sealing import keys
from store.sealing.copies import BODY, RECORD, Place, pack_body
from store.sealing.derived import DerivedKey
from store.sealing.epochs import Chains, Closing, EpochName, Opening, open_epoch, read_epoch
from store.sealing.keys import Argon2Cost, Slot
from store.sealing.sealed import seal_with
from store.sealing.statements import GRAMMAR, statement
from tests.store.sealing.parts import seal_part

FOLDER = Path(__file__).resolve().parents[2] / "data" / "vectors"
SEED = bytes(range(32))
STORE_ID = bytes(range(100, 116))
OTHER_STORE = bytes(16)
OPENS, WRONG_KEY, TAMPERED = "opens", "wrong key", "tampered"
Case = dict[str, Any]


def flips(data: bytes, *regions: tuple[str, int]) -> Iterator[tuple[str, bytes]]:
    """Yield `data` with one bit flipped in each named region, cut short, extended, and empty."""
    for name, at in regions:
        place = at % len(data)
        yield f"a bit of {name} is flipped", data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
    yield "the last byte is missing", data[:-1]
    yield "there is a byte too many", data + b"\0"
    yield "it is empty", b""


def statements() -> Iterator[Case]:
    """Yield the bytes of a role and its fields."""
    for role, fields in (
        ("", []),
        ("a", []),
        ("a", [""]),
        ("a", [b""]),
        ("a", [0]),
        ("a", [-1, 1, 2**63 - 1, -(2**63)]),
        ("a", ["ä", b"\xc3\xa4"]),
        ("a", ["b", "c"]),
        ("a", ["bc"]),
        ("epoch secret", [STORE_ID, 1, 2, 3]),
    ):
        shown = [{"bytes": field.hex()} if isinstance(field, bytes) else field for field in fields]
        yield {"role": role, "fields": shown, "statement": statement(role, *fields).hex()}


def derived() -> Iterator[Case]:
    """Yield the keys derived from a seed."""
    for seed, store_id in ((SEED, STORE_ID), (SEED, OTHER_STORE), (bytes(32), STORE_ID)):
        made = keys.derive_keys(seed, store_id)
        assert made.gateway and made.read_seed and made.configuration_key and made.private_key and made.authority
        yield {
            "seed": seed.hex(),
            "store_id": store_id.hex(),
            "read_seed": made.read_seed.hex(),
            "read_public_sha256": hashlib.sha256(made.read_public).hexdigest(),
            "authority_public": made.authority_public.hex(),
            "configuration_key": made.configuration_key.hex(),
            "private_key": made.private_key.hex(),
            "local_signing_public": made.gateway.signing_public.hex(),
            "local_delivery_public_sha256": hashlib.sha256(made.gateway.delivery_public).hexdigest(),
        }


def slots() -> Iterator[Case]:
    """Yield valid and invalid key slots."""

    def case(fault: str, slot: Slot, secret: bytes, outcome: str, store_id: bytes = STORE_ID) -> Case:
        return {
            "fault": fault,
            "store_id": store_id.hex(),
            "kind": slot.kind,
            "salt": slot.salt.hex(),
            "cost": list(slot.cost),
            "commitment": slot.commitment.hex(),
            "sealed_seed": slot.sealed_seed.hex(),
            "secret": secret.hex(),
            "outcome": outcome,
            "seed": SEED.hex() if outcome == OPENS else None,
        }

    keys.ARGON2_COST = Argon2Cost(64, 1, 1)
    for kind, secret in (
        (keys.PASSPHRASE, keys.passphrase_secret("Paßwort")),
        (keys.KEY_FILE, bytes(range(32))),
        (keys.RECOVERY, bytes(range(25))),
    ):
        slot = keys.wrap_seed(kind, secret, SEED, STORE_ID)
        yield case("", slot, secret, OPENS)
        yield case("another secret", slot, secret[:-1] + b"x", WRONG_KEY)
        yield case("another store", slot, secret, WRONG_KEY, OTHER_STORE)
        for name, salt in flips(slot.salt, ("the salt", 0)):
            outcome = WRONG_KEY if len(salt) == len(slot.salt) else TAMPERED
            yield case(f"salt: {name}", slot._replace(salt=salt), secret, outcome)
        for name, commitment in flips(slot.commitment, ("the commitment", 5)):
            yield case(f"commitment: {name}", slot._replace(commitment=commitment), secret, WRONG_KEY)
        for name, sealed in flips(slot.sealed_seed, ("the seed", 3), ("the tag", -1)):
            yield case(f"sealed seed: {name}", slot._replace(sealed_seed=sealed), secret, TAMPERED)
        if kind == keys.PASSPHRASE:
            yield case("one more iteration", slot._replace(cost=Argon2Cost(64, 2, 1)), secret, WRONG_KEY)
            for cost in (
                (1 << 40, 1, 1),
                (64, 1 << 30, 1),
                (64, 1, 1 << 20),
                (7, 1, 1),
                (64, 0, 1),
                (64, 1, 0),
                (-1, 1, 1),
            ):
                yield case("a cost out of proportion", slot._replace(cost=Argon2Cost(*cost)), secret, TAMPERED)
        else:
            yield case("a cost where there is none", slot._replace(cost=Argon2Cost(64, 1, 1)), secret, TAMPERED)


def recovery_keys() -> Iterator[Case]:
    """Yield recovery keys as people type them."""
    text, secret = "", b""
    while not set("OIB") <= set(text):
        text, secret = keys.new_recovery_key()
    wrong = "A" if text[0] != "A" else "C"
    for fault, typed, outcome in (
        ("", text, OPENS),
        ("", text.lower(), OPENS),
        ("", text.replace("-", " "), OPENS),
        ("", " \n" + text.replace("-", "") + "\t", OPENS),
        ("", text.replace("O", "0").replace("I", "1").replace("B", "8"), OPENS),
        ("one letter is wrong", wrong + text[1:], WRONG_KEY),
        ("a check digit is wrong", text[:-1] + ("A" if text[-1] != "A" else "C"), WRONG_KEY),
        ("a group is missing", text[5:], WRONG_KEY),
        ("a group too many", text + "-AAAA", WRONG_KEY),
        ("two letters change places", _swapped(text), WRONG_KEY),
        ("it is empty", "", WRONG_KEY),
        ("letters that are none of its alphabet", "é" * 44, WRONG_KEY),
    ):
        yield {"fault": fault, "typed": typed, "outcome": outcome, "secret": secret.hex() if outcome == OPENS else None}


def _swapped(text: str) -> str:
    at = next(i for i in range(3) if text[i] != text[i + 1])
    return text[:at] + text[at + 1] + text[at] + text[at + 2 :]


def sealed() -> Iterator[Case]:
    """Yield data sealed under a long-lived key."""
    key, plain = bytes(range(1, 33)), b"what is sealed"
    blob = seal_with(key, "settings", STORE_ID, plain)

    def case(fault: str, blob: bytes, outcome: str, **changed: Any) -> Case:
        given: Case = {
            "key": key.hex(),
            "role": "settings",
            "store_id": STORE_ID.hex(),
            "sealed": blob.hex(),
            **changed,
        }
        return {"fault": fault, **given, "outcome": outcome, "plaintext": plain.hex() if outcome == OPENS else None}

    yield case("", blob, OPENS)
    yield case("another role", blob, TAMPERED, role="setting")
    yield case("another store", blob, TAMPERED, store_id=OTHER_STORE.hex())
    yield case("another key", blob, TAMPERED, key=bytes(32).hex())
    regions = (("the version", 0), ("the salt", 1), ("the salt's end", 32), ("the ciphertext", 33), ("the tag", -1))
    for fault, changed in flips(blob, *regions):
        yield case(fault, changed, TAMPERED)
    yield case("it is cut to its salt", blob[:33], TAMPERED)


def epochs() -> Iterator[Case]:
    """Yield openings and closings of epochs, and the ratchet that an opening starts."""
    signer = Ed25519PrivateKey.from_private_bytes(bytes(range(2, 34)))
    made = keys.derive_keys(SEED, STORE_ID)
    assert made.read_seed is not None
    name = EpochName(STORE_ID, 1, 5, 3)
    previous = hashlib.sha256(b"the epoch before").digest()
    opening, signature, _ratchet = open_epoch(
        name, keys.hybrid_public(made.read_public), signer, previous, 1795504800000
    )
    assert made.read_private is not None
    chain = read_epoch(opening, signature, signer.public_key(), made.read_private)
    chains = Chains(name, chain)
    closing = Closing(opening, 417, chains.head(417), 1795508400000)
    closing_signature = signer.sign(closing.data())

    def case(
        fault: str, opening: Opening, signature: bytes, outcome: str, signer: Ed25519PrivateKey = signer, **changed: Any
    ) -> Case:
        return {
            "fault": fault,
            "store_id": opening.name.store_id.hex(),
            "gateway_id": opening.name.gateway_id,
            "epoch_id": opening.name.epoch_id,
            "number": opening.name.number,
            "opened_at": opening.opened_at,
            "previous": opening.previous.hex(),
            "commitment": opening.commitment.hex(),
            "sealed_secret": opening.sealed_secret.hex(),
            "signature": signature.hex(),
            "signer": signer.public_key().public_bytes_raw().hex(),
            "read_seed": made.read_seed.hex() if made.read_seed else "",
            "outcome": outcome,
            **changed,
        }

    yield case(
        "",
        opening,
        signature,
        OPENS,
        digest=opening.digest().hex(),
        chain=chain.hex(),
        keys={str(step): [key.hex() for key in chains.keys(step)] for step in (0, 1, 31, 32, 33, 500, 999)},
        heads={str(count): chains.head(count).hex() for count in (0, 1, 32, 417, 1000)},
    )
    for field, value in (
        ("store_id", OTHER_STORE),
        ("gateway_id", 2),
        ("epoch_id", 6),
        ("number", 4),
    ):
        other = opening._replace(name=name._replace(**{field: value}))
        yield case(f"another {field}", other, signature, TAMPERED)
        yield case(f"another {field}, signed again", other, signer.sign(other.data()), TAMPERED)
    yield case("another time", opening._replace(opened_at=1), signature, TAMPERED)
    yield case("another epoch before", opening._replace(previous=bytes(32)), signature, TAMPERED)
    another = Ed25519PrivateKey.from_private_bytes(bytes(32))
    yield case("another gateway signed", opening, another.sign(opening.data()), TAMPERED)
    yield case("another read key", opening, signature, TAMPERED, read_seed=bytes(range(96)).hex())
    for fault, changed in flips(signature, ("the signature", 0), ("the signature's end", -1)):
        yield case(f"signature: {fault}", opening, changed, TAMPERED)
    for fault, changed in flips(opening.commitment, ("the commitment", 0)):
        other = opening._replace(commitment=changed)
        yield case(f"commitment: {fault}", other, signature, TAMPERED)
        yield case(f"commitment: {fault}, signed again", other, signer.sign(other.data()), TAMPERED)
    regions = (("ML-KEM's part", 10), ("X25519's part", 1088 + 5), ("the secret", 1088 + 32 + 3), ("the tag", -1))
    for fault, changed in flips(opening.sealed_secret, *regions):
        other = opening._replace(sealed_secret=changed)
        yield case(f"sealed secret: {fault}", other, signature, TAMPERED)
        yield case(f"sealed secret: {fault}, signed again", other, signer.sign(other.data()), TAMPERED)

    end: Case = {"count": 417, "chain_head": closing.chain_head.hex(), "closed_at": closing.closed_at}
    for fault, changed_end, end_signature, outcome in (
        ("", {}, closing_signature, OPENS),
        ("another count", {"count": 416}, closing_signature, TAMPERED),
        ("another head", {"chain_head": bytes(32).hex()}, closing_signature, TAMPERED),
        ("another time", {"closed_at": 5}, closing_signature, TAMPERED),
        ("the opening's signature", {}, signature, TAMPERED),
    ):
        yield case(
            f"closing: {fault}" if fault else "",
            opening,
            signature,
            outcome,
            closing={**end, **changed_end, "signature": end_signature.hex()},
        )


def copies() -> Iterator[Case]:
    """Yield records and bodies of copies."""
    key = bytes(range(3, 35))
    raw = b"From: a@example.org\r\n\r\n" + b"spam " * 100
    place = Place(EpochName(STORE_ID, 1, 5, 3), 7, 42, 1795504800000, len(raw), 900)

    def case(fault: str, blob: bytes, outcome: str, place: Place = place, role: str = BODY, **changed: Any) -> Case:
        return {
            "fault": fault,
            "key": key.hex(),
            "role": role,
            "store_id": place.name.store_id.hex(),
            **{field: getattr(place.name, field) for field in ("gateway_id", "epoch_id", "number")},
            **{field: getattr(place, field) for field in ("step", "copy_id", "stored_at", "size", "stored_size")},
            "sealed": blob.hex(),
            "outcome": outcome,
            **changed,
        }

    body = seal_part(key, place, BODY, pack_body(raw))
    record = seal_part(key, place, RECORD, b"\x81\xa7subject\xa2hi")
    yield case("", body, OPENS, raw=raw.hex())
    yield case("", seal_part(key, place, BODY, b"\0" + raw), OPENS, raw=raw.hex())
    yield case("", record, OPENS, role=RECORD, plaintext=b"\x81\xa7subject\xa2hi".hex())
    yield case("a record for a body", record, TAMPERED)
    yield case("a body for a record", body, TAMPERED, role=RECORD)
    for field, value in (("store_id", OTHER_STORE), ("gateway_id", 2), ("epoch_id", 6), ("number", 4)):
        yield case(f"another {field}", body, TAMPERED, place._replace(name=place.name._replace(**{field: value})))
    for field in ("step", "copy_id", "stored_at", "size", "stored_size"):
        yield case(f"another {field}", body, TAMPERED, place._replace(**{field: getattr(place, field) + 1}))
        yield case(f"another {field}", record, TAMPERED, place._replace(**{field: -1}), role=RECORD)
    for fault, changed in flips(body, ("its beginning", 0), ("its middle", 20), ("the tag", -1)):
        yield case(fault, changed, TAMPERED)

    def block(content: bytes) -> bytes:
        """Return the only block, uncompressed, of a zstd frame."""
        return (len(content) << 3 | 1).to_bytes(3, "little") + content

    length = len(raw).to_bytes(8, "little")
    yield case(
        "",
        seal_part(key, place, BODY, b"\1\x28\xb5\x2f\xfd\xc0\x48" + length + block(raw)),
        OPENS,
        raw=raw.hex(),
    )
    for fault, packed in (
        ("a packing that there is not", b"\2" + raw),
        ("nothing in it", b""),
        ("zstd that is none", b"\1" + raw),
        ("zstd that is cut short", pack_body(raw)[:-3]),
        ("more than its size", pack_body(raw + b"x")),
        ("less than its size", pack_body(raw[:-1])),
        ("raw and more than its size", b"\0" + raw + b"x"),
        ("a bomb", pack_body(bytes(50_000_000))),
        ("zstd that does not say its size", b"\1\x28\xb5\x2f\xfd\0\x48" + block(raw)),
        ("zstd that says its size and holds more", b"\1\x28\xb5\x2f\xfd\xc0\x48" + length + block(raw + b"x")),
        ("zstd with a window of 16 MiB", b"\1\x28\xb5\x2f\xfd\xc0\x70" + length + block(raw)),
        ("zstd with another frame behind it", pack_body(raw) + pack_body(raw)[1:]),
        ("zstd with a byte behind it", pack_body(raw) + b"\0"),
    ):
        yield case(fault, seal_part(key, place, BODY, packed), TAMPERED)


def derived_rows() -> Iterator[Case]:
    """Yield rows derived from copies later."""
    private_key = keys.derive_keys(SEED, STORE_ID).private_key
    assert private_key
    right: Case = {"store_id": STORE_ID.hex(), "kind": "traits", "version": 1, "id": 42, "record": b"sealed".hex()}
    sealed = DerivedKey(private_key, STORE_ID, "traits", 1).seal(42, b"sealed", b"made later")

    def case(fault: str, blob: bytes, outcome: str, **changed: Any) -> Case:
        return {
            "fault": fault,
            "private_key": private_key.hex(),
            **right,
            "sealed": blob.hex(),
            "outcome": outcome,
        } | changed

    yield case("", sealed, OPENS, plaintext=b"made later".hex())
    yield case(
        "",
        DerivedKey(private_key, STORE_ID, "groups", 7).seal(0, b"", b""),
        OPENS,
        plaintext="",
        kind="groups",
        version=7,
        id=0,
        record="",
    )
    yield case("of another copy", sealed, TAMPERED, id=43)
    yield case("of another record", sealed, TAMPERED, record=b"other".hex())
    yield case("of no record", sealed, TAMPERED, record="")
    yield case("another kind", sealed, TAMPERED, kind="groups")
    yield case("another version", sealed, TAMPERED, version=2)
    yield case("another store", sealed, TAMPERED, store_id=OTHER_STORE.hex())
    yield case("another key", sealed, TAMPERED, private_key=bytes(32).hex())
    for fault, changed in flips(sealed, ("the form", 0), ("the nonce", 3), ("the beginning", 13), ("the tag", -1)):
        yield case(fault, changed, TAMPERED)
    yield case("sealed in another form", seal_with(private_key, "traits", STORE_ID, b"made later"), TAMPERED)


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    for make in (statements, derived, slots, recovery_keys, sealed, epochs, copies, derived_rows):
        cases = list(make())
        path = FOLDER / f"{make.__name__.replace('_', '-')}.json"
        path.write_text(json.dumps({"format": GRAMMAR, "cases": cases}, indent=1, ensure_ascii=False) + "\n")
        print(f"{path.name}: {len(cases)} cases")


if __name__ == "__main__":
    main()
