"""The gateways' signing keys: verified once, then checked by reading one column."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from store.enrolment.enrolment import enroll
from store.terms.errors import TamperedError
from store.vault.vault import Vault


def test_a_key_that_is_known_costs_one_column_and_is_another_once_its_row_is(
    vault: Vault, tmp_path: Path, sql: Any
) -> None:
    enroll(vault, "mx1", tmp_path / "mx1")
    key = vault.signers.key(2)
    said: list[str] = []
    vault.db.connection().set_trace_callback(said.append)
    assert vault.signers.key(2) == key
    vault.db.connection().set_trace_callback(None)
    assert said == ["SELECT signature FROM gateway WHERE id = 2"]
    sql(vault, "UPDATE gateway SET signature = ? WHERE id = 2", bytes(64))
    with pytest.raises(TamperedError, match="Gateway 2"):
        vault.signers.key(2)
    sql(vault, "DELETE FROM gateway WHERE id = 2")
    with pytest.raises(TamperedError, match="not enrolled"):
        vault.signers.key(2)
