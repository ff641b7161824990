"""Write the test vectors of the bin: `python -m tests.store.vault.make_vectors`.

Like `tests.store.sealing.make_vectors`; assembled as FORMAT.md says, not by the code under test. A case is a journal,
the tombstones and the rows of `binned`; `removable` are the copies that a gateway may remove to make room, `broken`
names the errors that a reader must report. The bin's share is `share` bytes, in force for a long time.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import msgspec

from store.sealing.signatures import Signer, sign
from store.sealing.statements import statement
from tests.store.authority.make_vectors import ANNA, AT, AUTHORITY, BERT, GATEWAY, KEYS, _store
from tests.store.sealing.make_vectors import FOLDER, STORE_ID, Case

HOUR = 3_600_000
UNTIL = AT + 168 * HOUR
#: Copies 7 to 9 and 20, as two runs: copy id, epoch id, step, length, bytes.
RUNS = [[7, 1, 3, 3, 900], [20, 2, 0, 1, 400]]
ROWS = [[7, 1, 3, 300], [8, 1, 4, 300], [9, 1, 5, 300], [20, 2, 0, 400]]


def row(
    row_id: int, kind: str, act: int, runs: list[list[int]], *, signer: int = 0, key: int | None = None
) -> dict[str, Any]:
    """Make a row of `bin_act`."""
    entries, until = msgspec.msgpack.encode(runs), UNTIL if kind == "binned" else 0
    data = statement("bin", STORE_ID, kind, act, AT, until, entries, b"")
    made = sign(STORE_ID, data, Signer(signer, KEYS[signer if key is None else key]))
    fields = {"id": row_id, "kind": kind, "act": act, "at": AT, "until": until}
    return {**fields, "entries": entries.hex(), "sealed_operator": None, "signature": made.hex()}


def tombstone(cause: str, at: int, runs: list[list[int]], gateway: int = 0) -> dict[str, Any]:
    """Make a row of `tombstone`, by the authority or a gateway."""
    entries = msgspec.msgpack.encode(runs)
    data = statement("tombstone", STORE_ID, at, cause, gateway, entries, b"")
    key = KEYS[gateway] if gateway else AUTHORITY
    return {
        "at": at,
        "cause": cause,
        "gateway_id": gateway,
        "entries": entries.hex(),
        "signature": key.sign(data).hex(),
    }


def bins() -> Iterator[Case]:
    """Yield the journal of the bin, its content, and the copies buried from it."""

    def case(
        fault: str,
        journal: list[dict[str, Any]],
        binned: dict[int, int],
        *,
        removable: list[int],
        broken: list[str] | None = None,
        tombstones: list[dict[str, Any]] | None = None,
        share: int = 10_000,
    ) -> Case:
        return {
            "fault": fault,
            "journal": journal,
            "tombstones": tombstones or [],
            "binned": [[*each, binned[each[0]]] for each in ROWS if each[0] in binned],
            "share": share,
            "removable": removable,
            "broken": broken or [],
            "outcome": "tampered" if broken else "verifies",
        }

    put, back = row(1, "binned", 1, RUNS), row(2, "restored", 1, [[8, 1, 4, 1, 300]])
    whole = dict.fromkeys((7, 8, 9, 20), 1)
    part = dict.fromkeys((7, 9, 20), 1)
    yield case("", [put], whole, removable=[7, 8, 9, 20])
    yield case("", [row(1, "binned", 1, RUNS, signer=ANNA)], whole, removable=[7, 8, 9, 20])
    yield case("", [put, back], part, removable=[7, 9, 20])
    again = row(3, "binned", 3, [[8, 1, 4, 1, 300]])
    yield case("", [put, back, again], {**part, 8: 3}, removable=[7, 9, 20, 8])
    more = [row(1, "binned", 1, RUNS[:1]), row(2, "binned", 1, RUNS[1:])]
    yield case("", more, whole, removable=[7, 8, 9, 20])
    emptied = tombstone("emptied", AT + HOUR, [[7, 1, 3, 1]])
    yield case("", [put], dict.fromkeys((8, 9, 20), 1), tombstones=[emptied], removable=[8, 9, 20])
    over = tombstone("rotated", UNTIL, [[7, 1, 3, 3]], GATEWAY)
    yield case("", [put], {20: 1}, tombstones=[over], removable=[20])
    early = tombstone("rotated", AT + 4 * HOUR, [[7, 1, 3, 3]], GATEWAY)
    yield case("", [put], {20: 1}, tombstones=[early], removable=[20], share=1299)
    yield case(
        *("buried before its time, and within the share", [put], {20: 1}),
        tombstones=[early],
        removable=[20],
        broken=["tombstone 1"],
        share=1300,
    )
    emptied_by_gateway = tombstone("emptied", AT + HOUR, [[7, 1, 3, 1]], GATEWAY)
    yield case(
        *("a gateway emptied it", [put], dict.fromkeys((8, 9, 20), 1)),
        tombstones=[emptied_by_gateway],
        removable=[8, 9, 20],
        broken=["copy 7", "tombstone 1"],
    )
    yield case("a copy of another act", [put], {**whole, 20: 2}, removable=[7, 8, 9], broken=["copy 20"])
    yield case("a copy that came back", [put, back], whole, removable=[7, 9, 20], broken=["copy 8"])
    yield case("a row that was moved there", [more[0]], whole, removable=[7, 8, 9], broken=["copy 20"])
    yield case("a row that is gone", [put], dict.fromkeys((7, 8, 9), 1), removable=[7, 8, 9], broken=["copy 20"])
    yield case("the journal's first row is missing", [back], {}, removable=[], broken=["the bin"])
    names = [f"copy {each}" for each in (20, 7, 8, 9)]
    for fault, made in (
        ("a gateway signed the act", row(1, "binned", 1, RUNS, signer=GATEWAY)),
        ("another operator's key", row(1, "binned", 1, RUNS, signer=ANNA, key=BERT)),
        ("another time", {**put, "at": AT + 1}),
        ("kept for longer", {**put, "until": UNTIL + 1}),
        ("the other kind", {**put, "kind": "restored"}),
        ("another act", {**put, "act": 0}),
        ("another operator", {**put, "sealed_operator": "00"}),
        ("other copies", {**put, "entries": row(1, "binned", 1, RUNS[:1])["entries"]}),
        ("an act that is not there yet", row(1, "binned", 2, RUNS)),
        ("a signature of 64 bytes", {**put, "signature": put["signature"][18:]}),
        ("no signature", {**put, "signature": ""}),
    ):
        yield case(fault, [made], whole, removable=[], broken=["act 1 of the bin", *names])


def main() -> None:
    cases = list(bins())
    text = json.dumps({"format": 2, "store": _store(), "cases": cases}, indent=1, ensure_ascii=False)
    (FOLDER / "bin.json").write_text(text + "\n")
    print(f"bin.json: {len(cases)} cases")


if __name__ == "__main__":
    main()
