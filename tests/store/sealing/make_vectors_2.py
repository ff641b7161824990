"""Write the test vectors of the additions in format 2: `python -m tests.store.sealing.make_vectors_2 NAME…`.

Without a NAME it writes all. Like `make_vectors`, which has those of the grammar common to both formats; here the
outcome can also be `verifies`.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from store.authority.heads import Vector
from store.database.tables import TABLES
from store.sealing.certificates import Certificate
from store.sealing.counting import DOMAIN, RECIPIENT, SENDER, Count, seal_count, tag_of
from store.sealing.granting import generation_keys, seal_grant
from store.sealing.keys import hybrid_public, hybrid_public_bytes
from store.sealing.sealed import hpke_seal, seal_with
from store.sealing.signatures import FIRST_OPERATOR, Right, Signer, sign
from store.sealing.statements import statement
from tests.store.sealing.make_vectors import FOLDER, OPENS, OTHER_STORE, SEED, STORE_ID, TAMPERED, Case, flips

VERIFIES = "verifies"
_KEYS = {
    signer: Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32)
    for number, signer in enumerate((0, 2, FIRST_OPERATOR + 1, FIRST_OPERATOR + 5))
}


def signatures() -> Iterator[Case]:
    """Yield signatures with their signers. `keys` are the public keys permitted to sign this."""
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


def certificates() -> Iterator[Case]:
    """Yield certificates for operators. `right` and `at` are the right and the time asked about."""
    anna = FIRST_OPERATOR + 1
    authority, other = _KEYS[0], _KEYS[2]
    key = _KEYS[anna].public_key().public_bytes_raw()
    whole = Certificate(anna, key, Right.DELETE | Right.RELEASE, 1000, 2000)

    def case(
        fault: str,
        certificate: Certificate = whole,
        outcome: str = TAMPERED,
        *,
        right: Right = Right.DELETE,
        at: int = 1500,
        signature: bytes | None = None,
    ) -> Case:
        made = sign(STORE_ID, certificate.data(STORE_ID), Signer(0, authority))
        return {
            "fault": fault,
            "store_id": STORE_ID.hex(),
            "authority": authority.public_key().public_bytes_raw().hex(),
            **certificate._asdict(),
            "key": certificate.key.hex(),
            "signature": (made if signature is None else signature).hex(),
            "right": int(right),
            "at": at,
            "outcome": outcome,
        }

    for right in (Right.DELETE, Right.RELEASE, Right.DELETE | Right.RELEASE):
        yield case("", outcome=VERIFIES, right=right)
    for at in (1000, 2000):
        yield case("", outcome=VERIFIES, at=at)
    yield case("", whole._replace(rights=63), VERIFIES, right=Right.KEYS)
    for right in (Right.READ, Right.CONFIGURE, Right.KEYS, Right.ACCEPT, Right.DELETE | Right.KEYS):
        yield case("without the right", right=right)
    yield case("before it held", at=999)
    yield case("after it held", at=2001)
    made = sign(STORE_ID, whole.data(STORE_ID), Signer(0, authority))
    for field, value in (("signer", anna + 1), ("rights", 63), ("since", 0), ("until", 9999)):
        yield case(f"another {field}", whole._replace(**{field: value}), signature=made)
    yield case("another key", whole._replace(key=other.public_key().public_bytes_raw()), signature=made)
    yield case("of a gateway", whole._replace(signer=2))
    yield case("another store", signature=sign(OTHER_STORE, whole.data(OTHER_STORE), Signer(0, authority)))
    yield case("an operator signed it", signature=sign(STORE_ID, whole.data(STORE_ID), Signer(anna, _KEYS[anna])))
    yield case("a gateway signed it", signature=sign(STORE_ID, whole.data(STORE_ID), Signer(2, other)))
    yield case(
        "another key signed it as the authority", signature=sign(STORE_ID, whole.data(STORE_ID), Signer(0, other))
    )
    yield case("the authority's bare signature", signature=authority.sign(whole.data(STORE_ID)))


def grants() -> Iterator[Case]:
    """Yield generations of the configuration key, and their grants to a gateway."""
    delivery = bytes(range(96))
    public, other = hybrid_public(hybrid_public_bytes(delivery)), hybrid_public(hybrid_public_bytes(bytes(96)))

    def case(fault: str, sealed: bytes, outcome: str = TAMPERED, **changed: int | str) -> Case:
        keys = generation_keys(SEED, STORE_ID, 3)
        return {
            "fault": fault,
            "seed": SEED.hex(),
            "store_id": STORE_ID.hex(),
            "generation": 3,
            "holder": 2,
            "delivery_seed": delivery.hex(),
            "sealed": sealed.hex(),
            "configuration_key": keys.configuration.hex(),
            "counter_key": keys.counter.hex(),
            "outcome": outcome,
            **changed,
        }

    def made(generation: int = 3, holder: int = 2, store_id: bytes = STORE_ID) -> bytes:
        return seal_grant(generation_keys(SEED, STORE_ID, 3), store_id, generation, holder, public)

    yield case("", made(), OPENS)
    yield case("of generation 2, in the place of 3", made(generation=2))
    yield case("of generation 3, in the place of 4", made(), generation=4)
    yield case("another holder's", made(holder=3))
    yield case("another store's", made(store_id=OTHER_STORE))
    yield case("another delivery key", seal_grant(generation_keys(SEED, STORE_ID, 3), STORE_ID, 3, 2, other))
    info = statement("configuration key", STORE_ID, 3, 2)
    yield case(
        "one key instead of two", hpke_seal(public, info, bytes(generation_keys(SEED, STORE_ID, 3).configuration))
    )
    for fault, changed in flips(made(), ("the encapsulation", 3), ("the keys", -40), ("the tag", -1)):
        yield case(fault, changed)


def generations() -> Iterator[Case]:
    """Yield data sealed with a generation of the configuration key."""
    role, plaintext = "configuration settings", b"plaintext"

    def case(fault: str, sealed: bytes, outcome: str = TAMPERED, **changed: str) -> Case:
        key = generation_keys(SEED, STORE_ID, 3).configuration
        shown = {"role": role, "store_id": STORE_ID.hex(), "key": key.hex()} | changed
        return {"fault": fault, **shown, "sealed": sealed.hex(), "plaintext": plaintext.hex(), "outcome": outcome}

    def made(generation: int, key: bytes | bytearray, number: int | None = None) -> bytes:
        sealed = seal_with(key, role, STORE_ID, plaintext, generation=generation)
        return sealed if number is None else sealed[:1] + number.to_bytes(8, "big") + sealed[9:]

    third = generation_keys(SEED, STORE_ID, 3).configuration
    yield case("", made(3, third), OPENS, generation="3")
    yield case("", made(1, third), OPENS, generation="1")
    yield case("generation 2, which calls itself 3", made(2, third, 3))
    yield case("generation 3, which calls itself 2", made(3, third, 2))
    yield case("generation 0", made(3, third, 0))
    yield case("a generation beyond all", made(3, third, 1 << 63))
    yield case(
        "sealed without a generation, which it is given",
        b"\3" + bytes(7) + b"\3" + seal_with(third, role, STORE_ID, b"x")[1:],
    )
    yield case("sealed with a generation, which is taken off", b"\1" + made(3, third)[9:])
    yield case("the key of another generation", made(3, generation_keys(SEED, STORE_ID, 2).configuration))
    yield case("another role", made(3, third), role="configuration rules")
    yield case("another store", made(3, third), store_id=OTHER_STORE.hex())
    for fault, changed in flips(made(3, third), ("the number", 8), ("the salt", 12), ("the text", 45), ("the tag", -1)):
        yield case(fault, changed)


def known() -> Iterator[Case]:
    """Yield counters of known senders: their names, and the data sealed under them."""
    kind, address, count = SENDER, "anna@example.net", Count(20_783, 3.5, 12.25)
    keys = {number: bytes(generation_keys(SEED, STORE_ID, number).counter) for number in (2, 3)}
    tag = tag_of(keys[3], kind, address)

    def case(fault: str, sealed: bytes, outcome: str = TAMPERED, **changed: int | str) -> Case:
        return {
            "fault": fault,
            "seed": SEED.hex(),
            "store_id": STORE_ID.hex(),
            "generation": 3,
            "kind": kind,
            "address": address,
            "tag": tag.hex(),
            "sealed": sealed.hex(),
            "day": count.day,
            "authenticated": count.authenticated,
            "other": count.other,
            "outcome": outcome,
            **changed,
        }

    def made(its_tag: bytes = tag, generation: int = 3, key: bytes = keys[3], store_id: bytes = STORE_ID) -> bytes:
        return seal_count(key, store_id, generation, its_tag, count)

    def plain(value: object) -> bytes:
        return seal_with(keys[3], "known", STORE_ID, msgspec.msgpack.encode(value), generation=3)

    yield case("", made(), OPENS)
    for other_kind, other in ((DOMAIN, "example.net"), (RECIPIENT, address), (SENDER, "ä@example.net")):
        its = tag_of(keys[3], other_kind, other)
        yield case("", made(its), OPENS, kind=other_kind, address=other, tag=its.hex())
        yield case("swapped with another counter's", made(its))
    yield case("another tag", made(), tag=bytes(16).hex())
    yield case("the key of another generation", made(key=keys[2]))
    yield case("of generation 2, in the place of 3", made(generation=2, key=keys[2]))
    yield case("another store's", made(store_id=OTHER_STORE))
    yield case("sealed without a generation", seal_with(keys[3], "known", STORE_ID, b"", generation=None))
    yield case("below nothing", plain([tag, 20_783, -1, 0]))
    yield case("beyond all", plain([tag, 20_783, 1 << 53, 0]))
    yield case("a day that is a text", plain([tag, "1", 1, 0]))
    yield case("a field too few", plain([tag, 1, 1]))
    yield case("no array", plain({"tag": tag}))
    for fault, changed in flips(made(), ("the number", 8), ("the salt", 12), ("the text", 45), ("its end", -1)):
        yield case(fault, changed)


def schemas() -> Iterator[Case]:
    """Yield SQLite's schema of a store, and statements that make it a foreign one."""
    yield {"fault": "", "tables": list(TABLES), "then": [], "outcome": "the same"}
    for fault, statements in (
        ("", ["ANALYZE"]),
        ("", ["INSERT INTO audit (at, sealed) VALUES (1, x'00')"]),
        ("", ["VACUUM"]),
        ("a trigger", ["CREATE TRIGGER t AFTER INSERT ON audit BEGIN DELETE FROM audit; END"]),
        ("a view beside the tables", ["CREATE VIEW v AS SELECT 1"]),
        ("a view in a table's place", ["DROP TABLE hello", "CREATE VIEW hello AS SELECT 1 AS gateway_id"]),
        ("a column more", ["ALTER TABLE audit ADD COLUMN more INTEGER"]),
        ("a column with another name", ["ALTER TABLE audit RENAME COLUMN at TO time"]),
        ("an index more", ["CREATE INDEX i ON audit (at)"]),
        ("an index less", ["DROP INDEX delivery_copy_id"]),
        ("a table more", ["CREATE TABLE t (a)"]),
        ("a table less", ["DROP TABLE pending"]),
        ("a table of format 1", ["CREATE TABLE used_marker (id INTEGER PRIMARY KEY)"]),
        ("a table that is not strict", ["DROP TABLE head", TABLES_HEAD.removesuffix(" STRICT")]),
        ("a space more in a table's text", ["DROP TABLE head", TABLES_HEAD.replace(", ", ",  ", 1)]),
    ):
        yield {"fault": fault, "then": statements, "outcome": "another" if fault else "the same"}


def heads() -> Iterator[Case]:
    """Yield a head, and the state of the store compared with it: newest event, tombstone, and so on."""
    seen = Vector(
        9, 1_700_000_000_000, 0, 7, bytes([7]) * 32, 3, 5, 0, 41, 4, 3, bytes(32), 1, 2, bytes([2]) * 32, [(6, 8)]
    )
    blob = msgspec.msgpack.encode(seen)
    there = {"event": 7, "event_digest": seen.event_digest.hex(), "tombstone": 3, "bin_act": 0, "next_copy": 41}
    there["next_delivery"] = 4

    def case(fault: str, outcome: str, vector: bytes = blob, signer: int = 2, **other: int | str) -> Case:
        signature = sign(STORE_ID, statement("head", STORE_ID, 2, blob), Signer(signer, _KEYS[signer]))
        return {
            "fault": fault,
            "store_id": STORE_ID.hex(),
            "writer": 2,
            "vector": vector.hex(),
            "signature": signature.hex(),
            "keys": {str(each): _KEYS[each].public_key().public_bytes_raw().hex() for each in (0, 2)},
            "store": there | other,
            "outcome": outcome,
        }

    yield case("", "reached")
    yield case("", "reached", signer=0)
    yield case("", "reached", event=8, event_digest=bytes(32).hex(), tombstone=4, next_copy=60, next_delivery=5)
    for name in ("event", "tombstone", "next_copy", "next_delivery"):
        yield case(f"a lower {name}", "older", **{name: int(there[name]) - 1})
    yield case("another event", "forked", event_digest=(bytes([8]) * 32).hex())
    yield case("another signer", TAMPERED, signer=FIRST_OPERATOR + 1)
    yield case("a vector that was changed", TAMPERED, msgspec.msgpack.encode(msgspec.structs.replace(seen, event=6)))


def spent() -> Iterator[Case]:
    """Yield the record of a recipient to whom an order's message was about to be sent."""
    for fault, address, expiry in (
        ("", "a@x.example", 1_700_000_000_000),
        ("", "ä@x.example", 1),
        ("struck out", "a", 0),
    ):
        record = hashlib.sha256(statement("spent", bytes(range(16)), address)).digest()[:16] + expiry.to_bytes(8, "big")
        case = {"nonce": bytes(range(16)).hex(), "address": address, "record": record.hex()}
        yield {"fault": fault, **case, "outcome": "not spent" if fault else "spent"}
    other = hashlib.sha256(statement("spent", bytes(16), "a@x.example")).digest()[:16] + bytes([0, 0, 1, 0, 0, 0, 0, 0])
    case = {"nonce": bytes(range(16)).hex(), "address": "a@x.example", "record": other.hex()}
    yield {"fault": "another order", **case, "outcome": "not spent"}


TABLES_HEAD = next(text for text in TABLES if text.startswith('CREATE TABLE "head"'))
MAKERS = {
    make.__name__.replace("_", "-"): make
    for make in (signatures, certificates, grants, generations, known, schemas, heads, spent)
}


def main(names: list[str]) -> None:
    for name in names or MAKERS:
        cases = list(MAKERS[name]())
        text = json.dumps({"format": 2, "cases": cases}, indent=1, ensure_ascii=False)
        (FOLDER / f"{name}.json").write_text(text + "\n")
        print(f"{name}.json: {len(cases)} cases")


if __name__ == "__main__":
    main(sys.argv[1:])
