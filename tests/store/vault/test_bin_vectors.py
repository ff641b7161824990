"""The bin is read as FORMAT.md says."""

from __future__ import annotations

from typing import Any

import pytest

from store.database.connection import run
from store.terms.errors import TamperedError
from store.vault.checking_bin import BinCheck
from store.vault.deleting import ids_of, verified_runs
from store.vault.vault import Vault
from tests.store.authority.test_trail_vectors import made as made
from tests.store.sealing.vectors import vectors

_COLUMNS = "id, kind, act, at, until, entries, sealed_operator, signature"
_ACT = f"INSERT INTO bin_act ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
_TOMBSTONE = "INSERT INTO tombstone (at, cause, gateway_id, entries, signature) VALUES (?, ?, ?, ?, ?)"
_PLACE = "id, epoch_id, step, stored_size, act"
_BINNED = f"INSERT INTO binned ({_PLACE}, stored_at, size, record) VALUES (?, ?, ?, ?, ?, 0, 0, x'')"


@pytest.mark.parametrize("made", ["bin"], indirect=True)
@pytest.mark.parametrize("case", vectors("bin"))
def test_bins(made: Vault, case: dict[str, Any]) -> None:
    for row in case["journal"]:
        operator = None if row["sealed_operator"] is None else bytes.fromhex(row["sealed_operator"])
        blobs = bytes.fromhex(row["entries"]), operator, bytes.fromhex(row["signature"])
        run(made.db, _ACT, row["id"], row["kind"], row["act"], row["at"], row["until"], *blobs)
    for row in case["tombstones"]:
        blobs = bytes.fromhex(row["entries"]), bytes.fromhex(row["signature"])
        run(made.db, _TOMBSTONE, row["at"], row["cause"], row["gateway_id"], *blobs)
    for each in case["binned"]:
        run(made.db, _BINNED, *each)
    with made.reading():
        assert [copy_id for copy_id, _ in made.bin.oldest(100)] == case["removable"]
    check = BinCheck(made)
    found = {what for what, _ in check.read()}
    buried: set[int] = set()
    for row in made.models.Tombstone.select():
        try:
            runs = verified_runs(made, row)
        except TamperedError as error:
            found.add(error.what)
            continue
        buried.update(ids_of(runs))
        check.note_tombstone(row, runs)
    found |= {what for what, _ in check.early(case["share"], 0)}
    found |= {what for what, _ in check.findings(lambda _epoch, _step: False, lambda: buried)}
    assert sorted(found) == sorted(case["broken"])
    assert bool(found) == (case["outcome"] == "tampered")
