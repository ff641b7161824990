"""SQL is written in one manner, in the rooms that own its tables, as `store.database.connection` says."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from store.database.orm import SqliteDatabase
from store.database.schema import Models

ROOT = Path(__file__).resolve().parents[3]
STORE = ROOT / "store"
_TABLES = re.compile(r"\b(?:FROM|INTO|UPDATE|JOIN) (?!pg_catalog\.)([a-z_]+)\b")

#: Rooms (or modules) with SQL text on each table. Rooms that only read another room's table are named last.
ROOMS = {
    "audit": {"authority"},
    "acceptance": {"authority"},
    "bin_act": {"vault", "authority/heads"},
    "binned": {"authority/heads", "vault", "check"},
    "certificate": {"vault"},
    "derived": {"vault/derived", "vault/counters"},
    "head": {"authority"},
    "hello": {"delivery", "enrolment", "gateway"},
    "key_grant": {"vault/grants", "enrolment"},
    "known": {"vault"},
    "pending": {"vault"},
    "release": {"delivery", "intake", "enrolment"},
    "body": {"vault", "check"},
    # maximum size and gateway policy, read without the other settings
    "configuration": {"authority", "space", "gateway"},
    # copies with a live delivery are neither deleted nor rotated
    "delivery": {"authority/heads", "delivery", "vault/live_deliveries", "vault/oldest"},
    "delivery_id_seq": {"delivery"},
    "sqlite_sequence": {"delivery"},
    "delivery_recipient": {"delivery"},
    "epoch": {"authority/heads", "vault", "enrolment"},  # revoking signs epochs anew
    "gateway": {"authority/heads", "enrolment", "gateway", "vault/gateway_rows"},
    "key_slot": {"opening"},
    "message": {"authority/heads", "vault", "check"},
    "state": {"vault/counters", "check"},
    "store": {"gateway", "upgrading"},
    "tombstone": {"authority/heads", "vault", "enrolment"},
}

#: Tables with signed or sealed rows: each model object is a complete row of these.
WHOLE = {
    *("Store", "KeySlot", "Gateway", "Epoch", "Tombstone", "Configuration", "Audit", "Delivery", "DeliveryRecipient")
}
#: Allowed calls on a model, allowed calls after `select()`, and allowed uses of a column in conditions and orders.
ROW = {"get_or_none", "get_by_id", "create", "first"}
ASKED = {"select", "get_or_none", "get_by_id", "create"}
QUERY = {"where", "order_by", "limit", "first", "iterator"}
OF_COLUMN = {"in_", "desc"}
#: Functions with a parameter `model`.
TAKES_MODEL = {"row_ids", "_rows"}

#: A function with none of these words uses no models.
MODEL_WORDS = {"models", "_models", "model", "save", "delete_instance", "bulk_create", "bulk_update"}

_MODELS = Models(SqliteDatabase(None)).all
_NAMES = {model.__name__ for model in _MODELS}
_COLUMNS = {name for model in _MODELS for name in model._meta.fields}

Links = list[tuple[str, ast.Call | None]]


@cache
def trees(root: Path = STORE) -> list[tuple[Path, ast.AST]]:
    """Return the modules below a folder, except those of the database's room, with their syntax trees."""
    paths = [path for path in sorted(root.rglob("*.py")) if path.relative_to(STORE.parent).parts[1] != "database"]
    return [(path.relative_to(root), ast.parse(path.read_text())) for path in paths]


def links_of(node: ast.expr) -> tuple[str, Links]:
    """Return the name that a chain of attributes and calls begins with ("" for anything else), and the chain."""
    links: Links = []
    call: ast.Call | None = None
    while isinstance(node, ast.Attribute | ast.Call):
        if isinstance(node, ast.Call):
            node, call = node.func, node
        else:
            links.insert(0, (node.attr, call))
            node, call = node.value, None
    return (node.id if isinstance(node, ast.Name) else ""), links


def behind_model(node: ast.expr, bound: dict[str, Links]) -> tuple[str, Links] | None:
    """Return a model's name ("" if a variable holds it) and the links after it; None if it is not a model."""
    name, links = links_of(node)
    for at, (attribute, _) in enumerate(links):
        before = links[at - 1][0] if at else name
        if before in ("models", "_models") and attribute in _NAMES:
            return attribute, links[at + 1 :]
    return ("", [*bound[name], *links]) if name in bound else None


def bound_names(function: ast.AST) -> dict[str, Links]:
    """Map the variables that hold a model, or a query not run yet, to the links after the model."""
    bound: dict[str, Links] = {}
    if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
        bound = {argument.arg: [] for argument in function.args.args if argument.arg == "model"}

    def bind(target: ast.AST, value: ast.AST) -> None:
        if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
            for each, of_it in zip(target.elts, value.elts, strict=True):
                bind(each, of_it)
        elif isinstance(target, ast.Name) and isinstance(value, ast.expr) and not isinstance(value, ast.Call):
            found = behind_model(value, bound)
            if found is not None and not found[1]:
                bound[target.id] = []
        elif isinstance(target, ast.Name) and isinstance(value, ast.Call):
            found = behind_model(value, bound)
            if found and found[1] and found[1][0][0] not in ROW and found[1][-1][0] not in ROW:
                bound[target.id] = found[1]

    for node in ast.walk(function):
        if isinstance(node, ast.Assign):
            for target in node.targets:
                bind(target, node.value)
        elif isinstance(node, ast.AnnAssign) and node.value is not None:
            bind(node.target, node.value)
        elif isinstance(node, ast.For) and isinstance(node.iter, ast.Tuple):
            for element in node.iter.elts:
                bind(node.target, element)
    return bound


def is_whole(links: Links) -> bool:
    """Return True if the links read or write whole rows, or name a column."""
    if not links:
        return True
    (asked, call), more = links[0], links[1:]
    if asked in _COLUMNS:
        return call is None and all(each in OF_COLUMN for each, _ in more)
    if asked not in ASKED or call is None:
        return False
    if asked != "select":
        return True
    return not call.args and not call.keywords and all(each in QUERY for each, _ in more)


def other_queries(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """List a module's uses of models other than reading or writing whole signed rows: lines and text."""
    everything = list(ast.walk(tree))
    if not _speaks_of_models(everything):
        return
    for scope in everything:
        if not isinstance(scope, ast.FunctionDef | ast.AsyncFunctionDef | ast.Module):
            continue
        nodes = list(ast.walk(scope))
        if not _speaks_of_models(nodes):
            continue
        bound = {} if isinstance(scope, ast.Module) else bound_names(scope)
        parts = {part for node in nodes for part in ast.iter_child_nodes(node) if _goes_on(node, part)}
        for node in nodes:
            if isinstance(node, ast.Attribute | ast.Call | ast.Name) and node not in parts:
                found = behind_model(node, bound)
                if found and not (is_whole(found[1]) and found[0] in {*WHOLE, ""}):
                    yield node.lineno, ast.unparse(node)
            if isinstance(node, ast.Call):
                name, links = links_of(node.func)
                callee = links[-1][0] if links else name
                if callee == "save" and {each.arg for each in node.keywords} - {"force_insert"}:
                    yield node.lineno, ast.unparse(node)
                for given in (*node.args, *(keyword.value for keyword in node.keywords)):
                    found = behind_model(given, bound)
                    if found and not found[1] and not isinstance(given, ast.Call) and callee not in TAKES_MODEL:
                        yield node.lineno, ast.unparse(node)
            if isinstance(node, ast.Attribute) and node.attr in {"delete_instance", "bulk_create", "bulk_update"}:
                yield node.lineno, ast.unparse(node)


def _speaks_of_models(nodes: list[ast.AST]) -> bool:
    return any(
        node.attr in MODEL_WORDS if isinstance(node, ast.Attribute) else node.arg in MODEL_WORDS
        for node in nodes
        if isinstance(node, ast.Attribute | ast.arg)
    )


def _goes_on(node: ast.AST, part: ast.AST) -> bool:
    """Return True if `part` is the beginning of the chain that `node` ends."""
    return (isinstance(node, ast.Attribute) and part is node.value) or (
        isinstance(node, ast.Call) and part is node.func
    )


def test_there_is_no_other_manner() -> None:
    others = {"execute_sql", "executescript", "executemany", "cursor", "param"}
    found = {
        f"{path}:{node.lineno} {node.attr}"
        for path, tree in trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr in others
    }
    assert not found


def test_models_are_for_whole_signed_rows() -> None:
    found = {
        f"{path}:{line} {text}" for path, tree in (*trees(), *trees(ROOT / "tui")) for line, text in other_queries(tree)
    }
    assert not found


def test_of_peewee_others_know_the_database_alone() -> None:
    for path, tree in (*trees(), *trees(ROOT / "tui")):
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module == "store.database.orm":
                assert {each.name for each in node.names} <= {"Database", "SqliteDatabase"}, path
            assert not (isinstance(node, ast.ImportFrom) and node.module == "peewee"), path
            assert not (isinstance(node, ast.Import) and any(each.name == "peewee" for each in node.names)), path


@pytest.mark.parametrize(
    "text",
    [
        "models.Epoch.select(models.Epoch.id)",
        "vault.models.Delivery.update(state=1).where(vault.models.Delivery.id == 1).execute()",
        "vault.models.KeySlot.delete().execute()",
        "vault.models.Delivery.select().count()",
        "bool(self._models.Epoch.select().where(True).exists())",
        "vault.models.Audit.insert(at=1, sealed=b'').execute()",
        "vault.models.DeliveryRecipient.insert_many([]).execute()",
        "vault.models.Tombstone.select().tuples()",
        "vault.models.Message.get_or_none()",
        "vault.models.State.create(id=1)",
        "row.save(only=['state'])",
        "row.delete_instance()",
        "other(vault.models.Epoch)",
        "table = vault.models.Epoch; other(1, which=table)",
        "table = vault.models.Epoch; table.select(fn.MAX(table.id)).scalar()",
        "one, table = 1, vault.models.Epoch; table.delete()",
        "table: Any = vault.models.Epoch; found = table.select().where(table.id == 1); found.exists()",
        "for sql, table in (('', vault.models.Epoch),): table.select(table.id)",
    ],
)
def test_what_is_no_whole_signed_row_is_found(text: str) -> None:
    assert list(other_queries(ast.parse(f"def function(vault, models, self):\n    {text}")))


@pytest.mark.parametrize(
    "text",
    [
        "table = vault.models.Epoch; rows = list(table.select().where(table.id.in_([1])).order_by(table.id.desc()))",
        "row = vault.models.Epoch.get_or_none(vault.models.Epoch.id == 1); row.count, row.count(1)",
        "row = vault.models.Gateway(id=1); row.save(force_insert=True); row.save()",
        "vault.models.Delivery.create(copy_id=1).id",
        "query = table.select(); query.count(); path.exists(); found.update(1); vault.delete([1]); vault.count()",
    ],
)
def test_whole_signed_rows_pass(text: str) -> None:
    assert not list(other_queries(ast.parse(f"def function(vault):\n    {text}")))


def test_statements_stand_in_the_rooms_of_their_tables() -> None:
    for path, tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                for table in _TABLES.findall(node.value):
                    assert {path.parts[0].removesuffix(".py"), str(path.with_suffix(""))} & ROOMS[table], (
                        f"{path}: {table}"
                    )
