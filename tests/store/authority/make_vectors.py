"""Write the test vectors of the audit trail and of acceptances: `python -m tests.store.authority.make_vectors NAME…`.

Like `tests.store.sealing.make_vectors`. The events are assembled here as FORMAT.md says, not by the code under test. A
case is a complete trail, the rows in order; `broken` lists the positions, from 1, at which a reader must report an
error.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from store.sealing.certificates import Certificate
from store.sealing.keys import derive_keys, hybrid_public
from store.sealing.sealed import hpke_seal, seal_with
from store.sealing.signatures import FIRST_OPERATOR, Right, Signer, sign
from store.sealing.statements import statement
from tests.store.sealing.make_vectors import FOLDER, OTHER_STORE, SEED, STORE_ID, Case, flips

AT = 1_700_000_000_000
ANNA, BERT, GATEWAY, REVOKED = FIRST_OPERATOR + 1, FIRST_OPERATOR + 5, 2, 3
STORE = derive_keys(bytearray(SEED), STORE_ID)
_PRIVATE, _AUTHORITY = STORE.private_key, STORE.authority
assert _PRIVATE is not None and _AUTHORITY is not None
PRIVATE, AUTHORITY = bytes(_PRIVATE), _AUTHORITY
KEYS = {
    0: AUTHORITY,
    **{
        signer: Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32)
        for number, signer in enumerate((ANNA, BERT, GATEWAY, REVOKED), 1)
    },
}


class Row(NamedTuple):
    """A row of `audit`."""

    at: int
    sealed: bytes


class Told(NamedTuple):
    """The content of an event."""

    action: str
    operator: str = "ada"
    runs: tuple[tuple[int, int], ...] = ((7, 3), (12, 1))
    detail: str = "to /srv"
    uid: int | None = 1000
    act: int = 0
    phase: int = 0


def _digest(former: Row | None, first: bytes) -> bytes:
    return first if former is None else hashlib.sha256(former.sealed).digest()


def _inner(told: Told, at: int, previous: bytes, *more: object) -> bytes:
    versions = {"settings": 3}
    return msgspec.msgpack.encode([at, told.operator, told.action, told.runs, told.detail, previous, versions, *more])


def form_1(former: Row | None, told: Told, at: int = AT, store_id: bytes = STORE_ID) -> Row:
    """Make an operator's event of format 1, which had no uid yet."""
    return Row(at, seal_with(PRIVATE, "audit", store_id, _inner(told, at, _digest(former, b""))))


def form_2(former: Row | None, told: Told, at: int = AT, signer: int = GATEWAY, key: int | None = None) -> Row:
    """Make a gateway's event of format 1. `key` signs it, by default the signer's own."""
    header = b"\2" + signer.to_bytes(8, "big")
    info = statement("gateway event", STORE_ID, header)
    hpke = hpke_seal(hybrid_public(STORE.read_public), info, _inner(told, at, _digest(former, b"")))
    made = KEYS[signer if key is None else key].sign(statement("gateway event", STORE_ID, header, hpke))
    return Row(at, header + made + hpke)


def form_3_4(
    form: int,
    former: Row | None,
    told: Told,
    number: int,
    *,
    at: int = AT,
    signers: tuple[int, ...] = (0,),
    claimed: int | None = None,
    store_id: bytes = STORE_ID,
    key: int | None = None,
) -> Row:
    """Make an event of format 2. `claimed` is the stated signer, `key` the key used, if they differ from the signer."""
    signer = signers[0] if claimed is None else claimed
    previous = _digest(former, bytes(32))
    plain = _inner(told, at, b"", told.uid, told.act, told.phase)
    bound = (form, signer, number, previous, at)
    if form == 3:
        inner = seal_with(PRIVATE, "audit", store_id, plain)
    else:
        inner = hpke_seal(hybrid_public(STORE.read_public), statement("gateway event", store_id, *bound), plain)
    data = statement("event", store_id, *bound, hashlib.sha256(inner).digest())
    made = sign(store_id, data, *(Signer(each, KEYS[each if key is None else key]) for each in signers))
    head = bytes([form]) + signer.to_bytes(8, "big") + number.to_bytes(8, "big") + previous
    return Row(at, head + len(made).to_bytes(2, "big") + made + inner)


def trail(*told: tuple[int, Told]) -> list[Row]:
    """Chain events of these forms."""
    rows: list[Row] = []
    for number, (form, each) in enumerate(told, 1):
        former = rows[-1] if rows else None
        if form <= 2:
            rows.append((form_1 if form == 1 else form_2)(former, each, AT + number))
        else:
            signers = (0,) if form == 3 else (GATEWAY,)
            rows.append(form_3_4(form, former, each, number, at=AT + number, signers=signers))
    return rows


def _shown(told: Told, form: int, number: int) -> dict[str, Any]:
    gateway = form in (2, 4)
    return {
        "number": number if form > 2 else 0,
        "operator": "" if gateway else told.operator,
        "uid": None if gateway or form <= 2 else told.uid,
        "action": told.action,
        "copies": told.runs,
        "detail": told.detail,
        "act": told.act if form > 2 else 0,
        "phase": told.phase if form > 2 else 0,
    }


def _certificate(signer: int, rights: int, since: int = AT - 1000, until: int = AT + 1000) -> dict[str, Any]:
    certificate = Certificate(signer, KEYS[signer].public_key().public_bytes_raw(), rights, since, until)
    signature = sign(STORE_ID, certificate.data(STORE_ID), Signer(0, AUTHORITY))
    return {**certificate._asdict(), "key": certificate.key.hex(), "signature": signature.hex()}


def _store() -> dict[str, Any]:
    """Make the store of all cases: its gateways, one of them revoked, and its operators."""
    public = {signer: key.public_key().public_bytes_raw().hex() for signer, key in KEYS.items()}
    fresh = Ed25519PrivateKey.from_private_bytes(bytes([99]) * 32).public_key().public_bytes_raw().hex()
    return {
        "seed": SEED.hex(),
        "store_id": STORE_ID.hex(),
        "gateways": [
            {"id": GATEWAY, "signing_key": public[GATEWAY], "former_key": ""},
            {"id": REVOKED, "signing_key": fresh, "former_key": public[REVOKED]},
        ],
        "certificates": [_certificate(ANNA, Right.READ | Right.DELETE), _certificate(BERT, Right.DELETE)],
    }


def events() -> Iterator[Case]:
    """List the trails, in each of their forms."""

    def case(fault: str, rows: list[Row], *broken: int, told: list[dict[str, Any]] | None = None) -> Case:
        shown = [{"at": row.at, "sealed": row.sealed.hex()} for row in rows]
        outcome = "tampered" if broken else "verifies"
        return {"fault": fault, "trail": shown, "outcome": outcome, "broken": broken, "events": told or []}

    told = Told("delete")
    for form in (1, 2, 3, 4):
        yield case("", trail((form, told)), told=[_shown(told, form, 1)])
    everything = [(form, told._replace(action=f"{at} of form {form}")) for at, form in enumerate((1, 2, 1, 3, 4, 3, 4))]
    shown = [_shown(each, form, number) for number, (form, each) in enumerate(everything, 1)]
    yield case("", trail(*everything), told=shown)
    many = [Told("delete", phase=1), Told("delete", act=1, phase=2), Told("delete", runs=(), act=1, phase=3)]
    yield case("", trail(*((3, each) for each in many)), told=[_shown(each, 3, at) for at, each in enumerate(many, 1)])
    nobody = Told("delete", "", (), "", None)
    yield case("", trail((3, nobody)), told=[_shown(nobody, 3, 1)])
    yield case("", [form_3_4(3, None, told, 1, signers=(ANNA,))], told=[_shown(told, 3, 1)])
    yield case("", [form_2(None, told, signer=REVOKED)], told=[_shown(told, 2, 1)])
    yield case("", [form_3_4(4, None, told, 1, signers=(REVOKED,))], told=[_shown(told, 4, 1)])

    whole = trail(*everything)
    for place in range(1, len(whole)):
        # Events of format 1 are counted: without one of them, the first numbered event does not have the expected
        # number.
        broken = sorted({place, 3}) if place <= 3 else [place]
        yield case(f"event {place} of {len(whole)} is missing", whole[: place - 1] + whole[place:], *broken)
    yield case("two events changed places", [whole[0], *whole[2:0:-1], *whole[3:]], 2, 3, 4)
    yield case("an event stands twice", [*whole[:4], whole[3], *whole[4:]], 5)
    first, *_, last = trail((3, told), (3, told))
    yield case("a number is left out", [first, form_3_4(3, first, told, 3)], 2)
    yield case("a number stands twice", [first, form_3_4(3, first, told, 1)], 2)
    yield case("another event before it", [form_1(None, told), last], 2)
    yield case("the first one begins with 2", [form_3_4(3, None, told, 2)], 1)
    for form in (1, 2, 3, 4):
        [row] = trail((form, told))
        yield case(f"another time, form {form}", [row._replace(at=row.at + 1)], 1)
        regions = {
            1: (("the salt", 3), ("the text", 40), ("the tag", -1)),
            2: (("the gateway's id", 8), ("the signature", 12), ("the encapsulation", 80), ("the tag", -1)),
        }.get(
            form,
            (
                ("the signer's id", 8),
                ("the number", 16),
                ("the digest of the event before", 20),
                ("the length of the signature", 50),
                ("the signature's signer", 59),
                ("the signature", 62),
                ("the text", 140),
                ("the tag", -1),
            ),
        )
        for fault, sealed in flips(row.sealed, *regions):
            yield case(f"{fault}, form {form}", [Row(row.at, sealed)], 1)
    for form in (0, 5):
        yield case(f"form {form}", [Row(AT, bytes([form]) + first.sealed[1:])], 1)
    yield case("another store's, form 1", [form_1(None, told, store_id=OTHER_STORE)], 1)
    yield case("another store's, form 3", [form_3_4(3, None, told, 1, store_id=OTHER_STORE)], 1)
    yield case("another store's, form 4", [form_3_4(4, None, told, 1, store_id=OTHER_STORE, signers=(GATEWAY,))], 1)
    yield case("another gateway's key, form 2", [form_2(None, told, key=REVOKED)], 1)
    yield case("another gateway's key, form 4", [form_3_4(4, None, told, 1, signers=(GATEWAY,), key=REVOKED)], 1)
    yield case("a gateway signed an operator's event", [form_3_4(3, None, told, 1, signers=(GATEWAY,))], 1)
    yield case("it says another signer", [form_3_4(3, None, told, 1, signers=(ANNA,), claimed=0)], 1)
    yield case("two operators signed it", [form_3_4(3, None, told, 1, signers=(0, ANNA))], 1)
    yield case("an operator without the right to read", [form_3_4(3, None, told, 1, signers=(BERT,))], 1)
    late = form_3_4(3, None, told, 1, signers=(ANNA,), at=AT + 1001)
    yield case("an operator whose certificate held no more", [late], 1)
    yield case("an operator's event in a gateway's form", [form_3_4(4, None, told, 1, signers=(ANNA,))], 1)
    yield case("the form is another one", [Row(AT, b"\4" + form_3_4(3, None, told, 1).sealed[1:])], 1)


def acceptances() -> Iterator[Case]:
    """List accepted heads by generation, and accepted orders by delivery and order time.

    `generation` is that of the newest verified acceptance, 0 without one; `in_force` are the generations of heads still
    binding, `forgone` the orders that are not sent.
    """
    heads = [0, 3000, 4000]
    orders = [[1, 2999], [1, 3000], [2, 2999], [2, 3000], [2, 4000], [1, 4000]]

    def row(generation: int, *kept: int, signers: tuple[int, ...] = (0,), key: int | None = None) -> dict[str, Any]:
        data = msgspec.msgpack.encode([bytes(range(32)), generation - 1, [[7, 2]], list(kept)])
        signed = statement("acceptance", STORE_ID, generation, data)
        made = sign(STORE_ID, signed, *(Signer(each, KEYS[each if key is None else key]) for each in signers))
        return {"generation": generation, "data": data.hex(), "signature": made.hex()}

    def case(fault: str, rows: list[dict[str, Any]], generation: int, forgone: list[list[int]]) -> Case:
        return {
            "fault": fault,
            "acceptances": rows,
            "heads": heads,
            "orders": orders,
            "generation": generation,
            "in_force": [each for each in heads if each >= generation],
            "forgone": forgone,
        }

    yield case("", [], 0, [])
    yield case("", [row(3000)], 3000, [[1, 2999], [2, 2999]])
    yield case("", [row(3000, 2)], 3000, [[1, 2999]])
    yield case("older than all heads but the first", [row(2000)], 2000, [])
    yield case("as old as the newest head", [row(4000, 2)], 4000, [[1, 2999], [1, 3000]])
    both = [[1, 2999], [1, 3000], [2, 2999], [2, 3000]]
    yield case("twice, kept by the former alone", [row(3000, 1, 2), row(4000)], 4000, both)
    yield case("twice, kept by the newer alone", [row(3000), row(4000, 1, 2)], 4000, [[1, 2999], [2, 2999]])
    yield case("twice, kept by both", [row(3000, 1, 2), row(4000, 1, 2)], 4000, [])
    good = row(3000, 2)
    for fault, made in (
        ("a gateway signed it", row(4000, signers=(GATEWAY,))),
        ("an operator without the right to accept signed it", row(4000, signers=(ANNA,))),
        ("another key signed it", row(4000, key=ANNA)),
        ("another generation", good | {"generation": 4000}),
        ("other deliveries are kept", row(3500) | {"data": row(3500, 1, 2)["data"]}),
        ("a signature of 64 bytes", row(4000) | {"signature": row(4000)["signature"][18:]}),
        ("no signature", row(4000) | {"signature": ""}),
    ):
        yield case(fault, [good, made], 3000, [[1, 2999]])


MAKERS = {make.__name__: make for make in (events, acceptances)}


def main(names: list[str]) -> None:
    for name in names or MAKERS:
        cases = list(MAKERS[name]())
        text = json.dumps({"format": 2, "store": _store(), "cases": cases}, indent=1, ensure_ascii=False)
        (FOLDER / f"{name}.json").write_text(text + "\n")
        print(f"{name}.json: {len(cases)} cases")


if __name__ == "__main__":
    main(sys.argv[1:])
