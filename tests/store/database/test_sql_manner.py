"""SQL in one manner, in the rooms that its tables belong to: what `store.database.connection` says, held to."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

STORE = Path(__file__).resolve().parents[3] / "store"
_TABLES = re.compile(r"\b(?:FROM|INTO|UPDATE|JOIN) ([a-z_]+)\b")

#: Rooms (or modules) with text of statements on each table. Who only looks, from another room, stands behind it.
ROOMS = {
    "audit": {"authority"},
    "acceptance": {"authority"},
    "bin_act": {"vault"},
    "binned": {"vault", "space", "catalogue", "check", "delivery"},
    "certificate": {"vault"},
    "derived": {"catalogue", "vault"},
    "head": {"authority"},
    "hello": {"delivery", "gateway"},
    "key_grant": {"authority"},
    "known": {"judging", "intake"},
    "pending": {"intake", "gateway"},
    "release": {"delivery", "intake", "enrolment"},
    "body": {"vault", "check"},
    "configuration": {"authority", "space", "gateway"},  # The maximum and the gateway's policy: read without the rest.
    "delivery": {"delivery", "vault/live_deliveries", "space"},  # What one keeps is neither deleted nor rotated.
    "delivery_recipient": {"delivery"},
    "epoch": {"vault", "enrolment"},
    "gateway": {"enrolment", "gateway"},
    "key_slot": {"opening"},
    "message": {"vault", "space", "check", "catalogue", "delivery"},
    "state": {"vault/counters", "check"},
    "store": {"opening", "gateway"},
    "tombstone": {"vault", "enrolment", "catalogue", "delivery"},
}


def trees() -> Iterator[tuple[Path, ast.AST]]:
    for path in sorted(STORE.rglob("*.py")):
        yield path.relative_to(STORE), ast.parse(path.read_text())


def test_there_is_no_other_manner() -> None:
    others = {"execute_sql", "executescript", "executemany", "cursor", "param"}
    found = {
        f"{path}:{node.lineno} {node.attr}"
        for path, tree in trees()
        if path.parts[0] != "database"
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr in others
    }
    assert not found


def test_statements_stand_in_the_rooms_of_their_tables() -> None:
    for path, tree in trees():
        if path.parts[0] == "database":
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                for table in _TABLES.findall(node.value):
                    assert {path.parts[0].removesuffix(".py"), str(path.with_suffix(""))} & ROOMS[table], (
                        f"{path}: {table}"
                    )
