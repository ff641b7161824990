"""Writes the test vectors of what format 2 adds: `python -m tests.store.sealing.make_vectors_2 NAME…`.

Without a NAME it writes all. As `make_vectors`, which holds those of the grammar that both formats share; `verifies` is
an outcome beside `opens`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from store.sealing.signatures import FIRST_OPERATOR, Signer, sign
from store.sealing.statements import statement
from tests.store.sealing.make_vectors import FOLDER, OTHER_STORE, STORE_ID, TAMPERED, Case, flips

VERIFIES = "verifies"
_KEYS = {
    signer: Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32)
    for number, signer in enumerate((0, 2, FIRST_OPERATOR + 1, FIRST_OPERATOR + 5))
}


def signatures() -> Iterator[Case]:
    """Who signed what. `keys` are the public keys of those who may sign this."""
    role, fields = "bin", [7, b"entries", "binned"]
    data = statement(role, STORE_ID, *fields)

    def case(fault: str, signature: bytes, outcome: str = TAMPERED, **other: object) -> Case:
        signers = other.pop("signers", [])
        known = other.pop("keys", sorted(_KEYS))
        assert isinstance(known, list)
        return {
            "fault": fault,
            "store_id": STORE_ID.hex(),
            "role": role,
            "fields": [{"bytes": field.hex()} if isinstance(field, bytes) else field for field in fields],
            "keys": {str(each): _KEYS[each].public_key().public_bytes_raw().hex() for each in known},
            "signature": signature.hex(),
            "outcome": outcome,
            "signers": signers,
            **other,
        }

    def made(*signers: int, **keys: Ed25519PrivateKey) -> bytes:
        return sign(STORE_ID, data, *(Signer(each, keys.get(f"of{each}", _KEYS[each])) for each in signers))

    for signer in _KEYS:
        yield case("", made(signer), VERIFIES, signers=[signer])
    anna, bert = FIRST_OPERATOR + 1, FIRST_OPERATOR + 5
    yield case("", made(bert, anna), VERIFIES, signers=[anna, bert])
    yield case("", made(0, bert), VERIFIES, signers=[0, bert])
    yield case("an unknown signer", made(anna), keys=[0, 2, bert])
    yield case("one of two is unknown", made(anna, bert), keys=[0, 2, bert])
    yield case("a revoked gateway, whose key is another one", made(2, of2=_KEYS[0]))
    yield case("two signers, the larger id first", made(0, bert)[:1] + made(bert)[1:] + made(0)[1:])
    yield case("the same signer twice", made(anna) + made(anna)[1:])
    yield case("three signers", made(0, anna) + made(bert)[1:])
    yield case("no signer", b"\2")
    yield case("another form", b"\1" + made(0)[1:])
    yield case("a signature without a signer", _KEYS[0].sign(data))
    yield case("the statement itself is signed", b"\2" + bytes(8) + _KEYS[0].sign(data))
    yield case("another signer's signature", made(0)[:9] + made(anna)[9:])
    yield case("another signer's name", made(0)[:1] + made(anna)[1:9] + made(0)[9:])
    yield case("another store", made(0), store_id=OTHER_STORE.hex())
    yield case("another role", made(0), role="binned")
    yield case("another field", made(0), fields=[8, {"bytes": b"entries".hex()}, "binned"])
    yield case("a field too few", made(0), fields=[7, {"bytes": b"entries".hex()}])
    for one in (made(0), made(anna, bert)):
        for fault, changed in flips(one, ("the signer's id", 8), ("the signature", 20), ("its end", -1)):
            yield case(fault, changed)


MAKERS = {make.__name__.replace("_", "-"): make for make in (signatures,)}


def main(names: list[str]) -> None:
    for name in names or MAKERS:
        cases = list(MAKERS[name]())
        text = json.dumps({"format": 2, "cases": cases}, indent=1, ensure_ascii=False)
        (FOLDER / f"{name}.json").write_text(text + "\n")
        print(f"{name}.json: {len(cases)} cases")


if __name__ == "__main__":
    main(sys.argv[1:])
