"""The tables as text: format 1's tables are unchanged, and both databases create what the text says."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from store.database.connection import run
from store.database.orm import SqliteDatabase
from store.database.tables import ADDED, FORMAT, GONE, TABLES, postgresql
from store.vault.vault import Vault

FORMAT_1 = Path(__file__).resolve().parents[2] / "data" / "stores" / "format_1"


def _of_gone(text: str) -> bool:
    return any(f'"{table}"' in text for table in GONE)


def test_what_format_1_made_stands_letter_by_letter() -> None:
    schema = json.loads((FORMAT_1 / "content.json").read_text())["schema"]
    kept = [text for text in schema if not _of_gone(text) and "sqlite_sequence" not in text]
    assert set(kept) == set(TABLES) - set(ADDED)
    made = [text.removesuffix(";") for text in (FORMAT_1 / "postgresql.sql").read_text().splitlines()]
    assert {text for text in made if not _of_gone(text)} == {postgresql(text) for text in set(TABLES) - set(ADDED)}


def test_a_new_store_has_the_tables_of_the_release(any_vault: Vault) -> None:
    [(number,)] = run(any_vault.db, "SELECT format FROM store").fetchall()
    assert number == FORMAT == 2
    if isinstance(any_vault.db, SqliteDatabase):
        made = run(any_vault.db, "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
        assert {text for (text,) in made} - {"CREATE TABLE sqlite_sequence(name,seq)"} == set(TABLES)
        assert run(any_vault.db, "PRAGMA user_version").fetchone() == (2,)
        return
    for text in TABLES:
        if found := re.match(r'CREATE TABLE "(\w+)" ', text):
            assert run(any_vault.db, f'SELECT COUNT(*) FROM "{found[1]}"').fetchone()


def test_models_have_the_columns_of_their_tables(vault: Vault) -> None:
    for model in vault.models.all:
        columns = [name for _, name, *_ in run(vault.db, f"PRAGMA table_info({model._meta.table_name})").fetchall()]
        assert columns == [field.column_name for field in model._meta.sorted_fields]


@pytest.mark.parametrize("text", TABLES)
def test_no_type_of_sqlite_is_left_for_postgresql(text: str) -> None:
    assert not re.search(r"INTEGER|BLOB|AUTOINCREMENT|STRICT|ROWID", postgresql(text))
