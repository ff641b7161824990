"""Events in all their forms, and acceptances, are read as FORMAT.md says."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from store.authority.acceptance import acceptances, accepted_generation, forgone
from store.authority.audit import CopyIds, check_events, events
from store.authority.comparing import in_force
from store.authority.heads import Head, Vector
from store.database.connection import connect, run
from store.database.layout import lay_out
from store.database.schema import Models
from store.database.tables import make
from store.sealing.keys import derive_keys, hybrid_public_bytes
from store.space.rotation import Rotation
from store.vault.counters import first_counters
from store.vault.gateway_rows import gateway_statement
from store.vault.vault import Vault
from tests.store.sealing.vectors import FOLDER, vectors

_EVENT = "INSERT INTO audit (at, sealed) VALUES (?, ?)"
_ACCEPTANCE = "INSERT INTO acceptance (generation, data, signature) VALUES (?, ?, ?)"
_CERTIFICATE = "INSERT INTO certificate (signer, key, rights, since, until, signature) VALUES (?, ?, ?, ?, ?, ?)"


@pytest.fixture
def made(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Vault]:
    """Make the store of a file's vectors, without events."""
    store = json.loads((FOLDER / f"{request.param}.json").read_text())["store"]
    keys = derive_keys(bytearray.fromhex(store["seed"]), bytes.fromhex(store["store_id"]))
    location = str(tmp_path / "mail.store")
    lay_out(location)
    db = connect(location)
    models = Models(db)
    with db.atomic():
        make(db)
        first_counters(db)
    vault = Vault(location, db, models, keys, Rotation)
    assert keys.authority is not None
    for each in store["gateways"]:
        former = bytes.fromhex(each["former_key"])
        row = models.Gateway(
            id=each["id"],
            name=f"mx{each['id']}",
            signing_key=bytes.fromhex(each["signing_key"]),
            delivery_key=former or hybrid_public_bytes(bytes(96)),
            enrolled_at=1,
        )
        row.signature = keys.authority.sign(gateway_statement(keys.store_id, row))
        row.save(force_insert=True)
    for each in store["certificates"]:
        key, signature = bytes.fromhex(each["key"]), bytes.fromhex(each["signature"])
        run(db, _CERTIFICATE, each["signer"], key, each["rights"], each["since"], each["until"], signature)
    yield vault
    vault.close()


@pytest.mark.parametrize("made", ["events"], indirect=True)
@pytest.mark.parametrize("case", vectors("events"))
def test_trails(made: Vault, case: dict[str, Any]) -> None:
    for row in case["trail"]:
        run(made.db, _EVENT, row["at"], bytes.fromhex(row["sealed"]))
    found = [place for place, (_, problem) in enumerate(check_events(made), 1) if problem]
    assert found == case["broken"] and bool(found) == (case["outcome"] == "tampered")
    if found:
        return
    read = events(made)[::-1]
    assert [each.copies for each in read] == [CopyIds(list(map(tuple, each["copies"]))) for each in case["events"]]
    for event, expected in zip(read, case["events"], strict=True):
        assert {name: getattr(event, name) for name in expected if name != "copies"} == {
            name: value for name, value in expected.items() if name != "copies"
        }


@pytest.mark.parametrize("made", ["acceptances"], indirect=True)
@pytest.mark.parametrize("case", vectors("acceptances"))
def test_acceptances(made: Vault, case: dict[str, Any]) -> None:
    for row in case["acceptances"]:
        run(made.db, _ACCEPTANCE, row["generation"], bytes.fromhex(row["data"]), bytes.fromhex(row["signature"]))
    assert accepted_generation(made) == case["generation"]
    seen = [Vector(1, 0, each, 0, b"", 0, 0, 0, 1, 1, 0, b"", 1, 0, b"", []) for each in case["heads"]]
    heads = in_force(made, [Head(0, each, b"", b"") for each in seen])
    assert [head.vector.generation for head in heads] == case["in_force"]
    accepted = acceptances(made)
    assert [list(order) for order in case["orders"] if forgone(accepted, *order)] == case["forgone"]
