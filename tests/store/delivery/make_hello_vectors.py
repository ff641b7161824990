"""Write the test vectors of `hello`: `python -m tests.store.delivery.make_hello_vectors`.

A case is a row (`gateway_id`, `at`, `sealed`, `signature`), the seed that derives the read key and the authority's key,
and the key of gateway 2. The outcome is `believed`, `wanted` (the row of a wish) or `tampered`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from store.delivery.hello import ROLE, WANTED, Hello
from store.sealing.keys import derive_keys, hybrid_public, hybrid_public_bytes
from store.sealing.sealed import hpke_seal
from store.sealing.signatures import AUTHORITY, Signer, sign
from store.sealing.statements import statement
from tests.store.sealing.make_vectors import FOLDER, OTHER_STORE, STORE_ID

SEED, NOW = bytes(range(32)), 1_795_500_000_000
KEYS = {gateway: Ed25519PrivateKey.from_private_bytes(bytes([gateway]) * 32) for gateway in (2, 3)}
HELLO = Hello("smtp://relay.example:25", "", (("size", "10240000"), ("8bitmime", "")))
PLAIN = msgspec.msgpack.encode(HELLO)


def cases() -> Iterator[dict[str, Any]]:
    """List the cases, the believed one first."""
    keys = derive_keys(SEED, STORE_ID)
    read = hybrid_public(keys.read_public)
    assert keys.authority is not None
    authority = keys.authority

    def sealed(gateway: int = 2, at: int = NOW, store: bytes = STORE_ID, plain: bytes = PLAIN, to: Any = read) -> bytes:
        return hpke_seal(to, statement(ROLE, store, gateway, at), plain)

    def case(
        fault: str,
        box: bytes,
        *,
        role: str = ROLE,
        gateway: int = 2,
        at: int = NOW,
        signed: tuple[int | bytes, ...] | None = None,
        signer: Signer = Signer(2, KEYS[2]),  # noqa: B008 - it is a constant
        store: bytes = STORE_ID,
        outcome: str = "tampered",
    ) -> dict[str, Any]:
        fields = (gateway, at, box) if signed is None else signed
        return {
            "fault": fault,
            "seed": SEED.hex(),
            "store_id": STORE_ID.hex(),
            "gateway_key": KEYS[2].public_key().public_bytes_raw().hex(),
            "gateway_id": gateway,
            "at": at,
            "sealed": box.hex(),
            "signature": sign(store, statement(role, store, *fields), signer).hex(),
            "hello": [HELLO.relay, HELLO.problem, [list(each) for each in HELLO.extensions]],
            "outcome": outcome,
        }

    good, other = sealed(), Signer(3, KEYS[3])
    yield case("", good, outcome="believed")
    yield case("", b"", role=WANTED, gateway=-2, signed=(2, NOW), signer=Signer(AUTHORITY, authority), outcome="wanted")
    yield case("another time", good, at=NOW + 1, signed=(2, NOW, good))
    yield case("sealed at another time", sealed(at=NOW - 1))
    yield case("sealed as another gateway's", sealed(gateway=3))
    yield case("sealed for another store", sealed(store=OTHER_STORE))
    yield case("sealed to another key", sealed(to=hybrid_public(hybrid_public_bytes(bytes(96)))))
    yield case("not an array of three", sealed(plain=msgspec.msgpack.encode(["smtp://relay.example:25", 7, []])))
    yield case("signed by another gateway", good, signer=other)
    yield case("signed by another gateway in this one's name", good, signer=Signer(2, KEYS[3]))
    yield case("signed by the authority", good, signer=Signer(AUTHORITY, authority))
    yield case("signed for another store", good, store=OTHER_STORE)
    yield case("signed as a wish", good, role=WANTED)
    yield case("a wish of the gateway itself", b"", role=WANTED, gateway=-2, signed=(2, NOW))
    wish = {"role": WANTED, "gateway": -2, "signer": Signer(AUTHORITY, authority)}
    yield case("a wish of another time", b"", signed=(2, NOW - 1), **wish)
    yield case("a wish to another gateway", b"", signed=(3, NOW), **wish)
    yield case("a wish with something sealed", good, signed=(2, NOW), **wish)
    for fault, place in (("the encapsulation", 3), ("the answer", -30), ("the tag", -1)):
        changed = bytearray(good)
        changed[place] ^= 1
        yield case(f"a bit of {fault} is another", bytes(changed))


def main() -> None:
    document = {"format": 2, "cases": list(cases())}
    (FOLDER / "hello.json").write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n")
    print(f"hello.json: {len(document['cases'])} cases")


if __name__ == "__main__":
    main()
