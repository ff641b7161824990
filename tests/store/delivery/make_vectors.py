"""Write the test vectors of markers: `python -m tests.store.delivery.make_vectors`.

A case is an incoming message (`raw`, its envelope, the setting `release_ignores`, the time) and the content of the
store: rows of `release`, the signatures of orders in force, and the keys of gateways that are not revoked. The outcome
is `passes` or `judged` (treated like any other message).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from store.delivery.marker import LIFE, digest_of, field_of, tag_of
from store.delivery.release_rows import ROLE, Release, fields_of
from store.mail.addresses import same
from store.sealing.signatures import Signer, sign
from store.sealing.statements import statement
from tests.store.sealing.make_vectors import FOLDER, OTHER_STORE, STORE_ID

NOW = 1_795_500_000_000
TOKEN, OTHER_TOKEN = bytes(range(100, 116)), bytes(range(16))
KEYS = {gateway: Ed25519PrivateKey.from_private_bytes(bytes([gateway]) * 32) for gateway in (1, 2, 3)}
ORDERS = {17: b"o" * 64, 18: b"p" * 64}
SENDER, TO = "bounces@x.example", ("ann@corp.example", "bob@corp.example")
RECEIVED = b"Received: from mx1 (mx1 [192.0.2.1])\r\n\tby relay; Mon, 01 Jan 2026 00:00:00 +0000\r\n"
MESSAGE = (
    b"Resent-From: <mailhold@corp.example>\r\nFrom: a@x.example\r\nSubject: two\r\n\tlines\r\nMIME-Version: 1.0\r\n"
    b'Content-Type: multipart/mixed; boundary="one two"\r\n\r\n--one two\r\n\r\n.text\r\n\r\n--one two--\r\n'
)
RAW = RECEIVED + field_of(TOKEN) + MESSAGE


def rows(
    to: tuple[str, ...] = TO,
    *,
    token: bytes = TOKEN,
    sender: str = SENDER,
    message: bytes = MESSAGE,
    ignored: frozenset[bytes] = frozenset(),
    delivery: int = 17,
    gateway: int = 2,
    key: int = 0,
    order: int = 0,
    store: bytes = STORE_ID,
    expires: int = NOW + LIFE,
) -> list[Release]:
    """Make the rows that a gateway writes when it sends `message`."""
    made = []
    for address in to:
        digest = digest_of(token, same(sender), message, 0, ignored)
        row = Release(tag_of(token, same(address)), delivery, gateway, digest, expires, b"")
        data = statement(ROLE, store, *fields_of(row, ORDERS[order or delivery]))
        made.append(row._replace(signature=sign(store, data, Signer(gateway, KEYS[key or gateway]))))
    return made


def cases() -> Iterator[dict[str, Any]]:
    """List the cases, those that pass first."""

    def case(
        fault: str, raw: bytes = RAW, *, outcome: str = "judged", held: list[Release] | None = None, **other: Any
    ) -> dict[str, Any]:
        stored = rows() if held is None else held
        return {
            "fault": fault,
            "store_id": STORE_ID.hex(),
            "raw": raw.hex(),
            "sender": other.get("sender", SENDER),
            "recipients": list(other.get("to", TO)),
            "ignored": other.get("ignored", []),
            "now": other.get("now", NOW),
            "gateways": {
                str(each): KEYS[each].public_key().public_bytes_raw().hex() for each in other.get("gateways", KEYS)
            },
            "orders": {str(each): ORDERS[each].hex() for each in other.get("orders", ORDERS)},
            "rows": [
                {name: value.hex() if isinstance(value, bytes) else value for name, value in row._asdict().items()}
                for row in stored
            ],
            "outcome": outcome,
        }

    yield case("", outcome="passes")
    yield case("", field_of(TOKEN) + MESSAGE, outcome="passes")
    yield case("", RECEIVED * 60 + field_of(TOKEN) + MESSAGE, outcome="passes")
    yield case("", to=TO[1:], outcome="passes")
    yield case("", to=("ann@CORP.example",), outcome="passes")
    yield case("", now=NOW + LIFE, outcome="passes")
    yield case("", field_of(TOKEN) + MESSAGE, held=rows(sender=""), sender="", outcome="passes")
    for sent, back in (
        ("root", "root@mx1.corp.example"),
        ('"ann"@corp.example', "ann@corp.example"),
        ("a..b@corp.example", '"a..b"@corp.example'),
        ("ann@corp.example.", "ann@corp.example"),
        ("ann@bücher.example", "ann@xn--bcher-kva.example"),
    ):
        yield case("", held=rows((sent,)), to=(back,), outcome="passes")
        yield case("", held=rows(sender=sent), sender=back, outcome="passes")
    bare = b"From: a@x.example\r\n\r\n"
    yield case("", field_of(TOKEN) + bare, held=rows(message=bare), outcome="passes")
    relayed = MESSAGE.replace(b"From: a@", b"X-Relay: note\r\n folded\r\nFrom: a@")
    names = frozenset((b"x-relay",))
    yield case("", field_of(TOKEN) + relayed, held=rows(ignored=names), ignored=["x-relay"], outcome="passes")

    yield case("a field that is not ignored was added below", field_of(TOKEN) + relayed)
    spaced = relayed.replace(b"X-Relay:", b"X-Relay :")
    yield case("an ignored field has a blank before its colon", field_of(TOKEN) + spaced, ignored=["x-relay"])
    blank = relayed.replace(b" folded", b" ")
    yield case("an ignored field has a blank continuation", field_of(TOKEN) + blank, ignored=["x-relay"])
    for fault, old, new in (
        ("another From", b"a@x.example", b"b@x.example"),
        ("another subject", b"Subject: two", b"Subject: tow"),
        ("the subject is folded anew", b"two\r\n\tlines", b"two lines"),
        ("another boundary", b'one two"', b'onetwo"'),
        ("a space of the boundary is a CR", b"--one two\r\n\r\n.", b"--one\rtwo\r\n\r\n."),
        ("the body has another byte", b".text", b".test"),
        ("the body has a line less", b"\r\n\r\n--one two--", b"\r\n--one two--"),
        ("its last line end is missing", b"--one two--\r\n", b"--one two--"),
        ("a line more at its end", b"--one two--\r\n", b"--one two--\r\n\r\n"),
        ("a line ends in LF", b".text\r\n", b".text\n"),
        ("a field is gone", b"MIME-Version: 1.0\r\n", b""),
        ("the marker stands twice", b"Resent-From", field_of(TOKEN) + b"Resent-From"),
        ("Received stands below the marker", b"Resent-From", RECEIVED + b"Resent-From"),
    ):
        assert MESSAGE.count(old) == 1, old
        yield case(fault, field_of(TOKEN) + MESSAGE.replace(old, new))
    yield case("the marker stands twice, apart", field_of(OTHER_TOKEN) + RAW)
    yield case("there is none", RECEIVED + MESSAGE)
    for fault, old, new in (
        ("a blank before its colon", b"Delivery:", b"Delivery :"),
        ("its name is in small letters", b"X-Mailhold", b"x-mailhold"),
        ("two blanks", b"Delivery: 2", b"Delivery:  2"),
        ("it is folded", b"; t=", b";\r\n t="),
        ("another version", b" 2;", b" 3;"),
        ("padding", b"\r\n", b"==\r\n"),
        ("bits beyond the token are set", field_of(TOKEN)[-3:], b"x\r\n"),
        ("its line ends in LF", b"\r\n", b"\n"),
    ):
        assert old in field_of(TOKEN)
        yield case(fault, field_of(TOKEN).replace(old, new) + MESSAGE)
    for fault, above in (
        ("a subject above it", b"Subject: x\r\n"),
        ("a mailbox line above it", b"From a@x.example Mon Jan  1 00:00:00 2026\r\n"),
        ("an empty line above it", b"\r\n"),
        ("61 Received above it", RECEIVED * 61),
        ("a blank continuation above it", b"Received: x\r\n \r\n"),
        ("a CR on its own above it", b"Received: x\ry\r\n"),
        ("a LF on its own above it", b"Received: x\n"),
        ("a NUL above it", b"Received: x\0\r\n"),
        ("a blank before a colon above it", b"Received : x\r\n"),
    ):
        yield case(fault, above + field_of(TOKEN) + MESSAGE)
    yield case("another token", RECEIVED + field_of(OTHER_TOKEN) + MESSAGE)
    yield case("another sender", sender="other@x.example")
    yield case("the null sender", sender="")
    yield case("another recipient", to=("eve@corp.example",))
    yield case("a recipient more", to=(*TO, "eve@corp.example"))
    yield case("the local part in another case", to=("Ann@corp.example",))
    yield case("a bare name for an address", to=("ann",))
    yield case("no recipient", to=())
    yield case("it came back before", held=[])
    yield case("one of its recipients had it before", held=rows(TO[1:]))
    yield case("it has expired", now=NOW + LIFE + 1)
    yield case("its gateway was revoked", gateways=[1, 3])
    yield case("its delivery was cancelled, or is gone", orders=[18])
    yield case("another order", held=rows(order=18))
    yield case("another gateway's key", held=rows(key=3))
    yield case("another gateway's name", held=[row._replace(gateway_id=3) for row in rows()])
    yield case("another delivery", held=[row._replace(delivery_id=18) for row in rows()])
    yield case("another store", held=rows(store=OTHER_STORE))
    yield case("a later expiry", held=[row._replace(expires_at=row.expires_at + 1) for row in rows()])
    yield case("another digest", held=[row._replace(digest=bytes(32)) for row in rows()])
    other = rows(message=MESSAGE.replace(b": two", b": TWO"))
    forged = [row._replace(digest=of.digest) for row, of in zip(rows(), other, strict=True)]
    yield case("the digest of another message", field_of(TOKEN) + MESSAGE.replace(b": two", b": TWO"), held=forged)
    swapped = [row._replace(signature=of.signature) for row, of in zip(rows(), reversed(rows()), strict=True)]
    yield case("the signature of another recipient's row", held=swapped)
    flipped = [row._replace(signature=row.signature[:-1] + bytes([row.signature[-1] ^ 1])) for row in rows()]
    yield case("a bit of the signature is flipped", held=flipped)
    yield case("no signature", held=[row._replace(signature=b"") for row in rows()])


def main() -> None:
    made = list(cases())
    (FOLDER / "markers.json").write_text(json.dumps({"format": 2, "cases": made}, indent=1, ensure_ascii=False) + "\n")
    print(f"markers.json: {len(made)} cases")


if __name__ == "__main__":
    main()
