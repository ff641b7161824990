"""Compare a PostgreSQL store's tables in the server's catalogue with the tables that Mailhold creates.

The queries use only `pg_catalog` and the one schema in the connection's search path, which is fixed when the connection
is made (`store.database.connection`).
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from store.database.connection import StoreDatabase, run
from store.database.tables import postgresql

#: One row (kind, relation, name, definition) for each table, column, constraint, index, trigger, rule, policy and
#: inheritance of our tables.
_WHOLE = """
WITH ours AS (
    SELECT oid, relname, relkind, relrowsecurity, relpersistence FROM pg_catalog.pg_class
    WHERE relnamespace = pg_catalog.to_regnamespace(pg_catalog.quote_ident(pg_catalog.current_schema()))
    AND relname = ANY(?)
)
SELECT 'relation', relname::text, '', relkind::text || relpersistence::text || relrowsecurity::text FROM ours
UNION ALL
SELECT 'column', relname, attname, pg_catalog.format_type(atttypid, atttypmod)
    || CASE WHEN attnotnull THEN ' NOT NULL' ELSE '' END || attidentity::text || attgenerated::text
    || COALESCE(' DEFAULT ' || pg_catalog.pg_get_expr(adbin, adrelid), '')
FROM ours JOIN pg_catalog.pg_attribute ON attrelid = ours.oid
LEFT JOIN pg_catalog.pg_attrdef ON adrelid = attrelid AND adnum = attnum
WHERE attnum > 0 AND NOT attisdropped
UNION ALL
SELECT 'constraint', relname, conname, pg_catalog.pg_get_constraintdef(pg_constraint.oid)
FROM ours JOIN pg_catalog.pg_constraint ON conrelid = ours.oid WHERE contype <> 'n'
UNION ALL
SELECT 'index', relname, indexrelid::pg_catalog.regclass::text, CASE WHEN indisunique THEN 'UNIQUE ' ELSE '' END
    || CASE WHEN indisvalid AND indisready AND indislive THEN '' ELSE 'INVALID ' END
    || pg_catalog.regexp_replace(pg_catalog.pg_get_indexdef(indexrelid), '^.* USING ', '')
FROM ours JOIN pg_catalog.pg_index ON indrelid = ours.oid
UNION ALL
SELECT 'trigger', relname, tgname, '' FROM ours JOIN pg_catalog.pg_trigger ON tgrelid = ours.oid
UNION ALL
SELECT 'rule', relname, rulename, '' FROM ours JOIN pg_catalog.pg_rewrite ON ev_class = ours.oid
UNION ALL
SELECT 'policy', relname, polname, '' FROM ours JOIN pg_catalog.pg_policy ON polrelid = ours.oid
UNION ALL
SELECT 'inheritance', relname, inhparent::pg_catalog.regclass::text || ' of ' || inhrelid::pg_catalog.regclass::text, ''
FROM ours JOIN pg_catalog.pg_inherits ON inhrelid = ours.oid OR inhparent = ours.oid
LIMIT 5000
"""

#: How many of our names are plain tables without triggers, rules, row security or inheritance. The flags in pg_class
#: suffice: the server runs no trigger or rule of a table without the flag.
_CHEAP = """
SELECT pg_catalog.count(*) FROM pg_catalog.pg_class AS c
WHERE c.relnamespace = pg_catalog.to_regnamespace(pg_catalog.quote_ident(pg_catalog.current_schema()))
AND c.relname = ANY(?::pg_catalog.name[]) AND c.relkind = 'r' AND NOT c.relrowsecurity AND NOT c.relhassubclass
AND (NOT c.relhastriggers OR NOT EXISTS (SELECT FROM pg_catalog.pg_trigger WHERE tgrelid = c.oid))
AND (NOT c.relhasrules OR NOT EXISTS (SELECT FROM pg_catalog.pg_rewrite WHERE ev_class = c.oid))
"""
#: Names of ours that are not plain tables, or have rules: a SELECT from one could run any function, and never end.
_ODD = """
SELECT c.relname FROM pg_catalog.pg_class AS c
WHERE c.relnamespace = pg_catalog.to_regnamespace(pg_catalog.quote_ident(pg_catalog.current_schema()))
AND c.relname = ANY(?) AND (c.relkind <> 'r' OR EXISTS (SELECT FROM pg_catalog.pg_rewrite WHERE ev_class = c.oid))
ORDER BY c.relname
"""
_TABLE = re.compile(r'CREATE TABLE "(\w+)" \((.*)\)')
_INDEX = re.compile(r'CREATE (UNIQUE )?INDEX "(\w+)" ON "(\w+)" \((.*)\)')
_KEY = re.compile(r"PRIMARY KEY \((.*)\)")

Thing = tuple[str, str, str, str]


def differences(db: StoreDatabase, tables: tuple[str, ...]) -> list[str]:
    """Return a sentence for each difference between the schema and `tables`. Ignores tables that are not Mailhold's."""
    wanted = _things(tables)
    found = {tuple(map(str, row)) for row in run(db, _WHOLE, list(_names(tables))).fetchall()}
    if found == wanted:
        return []
    said = [_of(thing, "there is a") for thing in sorted(found - wanted) if not _named(thing, wanted)]
    for thing in sorted(wanted - found):
        said.append(f"{_of(thing, 'the')} {'is different' if _named(thing, found) else 'is missing'}")
    return said


def ours(db: StoreDatabase, tables: tuple[str, ...]) -> bool:
    """Whether all `tables` are plain tables without triggers, rules, row security or inheritance.

    Takes about 0.3 ms.
    """
    names = _names(tables)
    return bool(run(db, _CHEAP, "{" + ",".join(names) + "}").fetchone()[0] == len(names))


def odd(db: StoreDatabase, tables: tuple[str, ...]) -> list[str]:
    """List the names in `tables` that are not plain tables in the database, or have rules."""
    return [str(name) for (name,) in run(db, _ODD, list(_names(tables))).fetchall()]


def _named(thing: Any, things: Any) -> bool:
    return any(thing[:3] == other[:3] for other in things)


def _of(thing: Any, article: str) -> str:
    kind, relation, name, _ = thing
    return f"{article} table {relation}" if kind == "relation" else f"{article} {kind} {name} of table {relation}"


@lru_cache
def _names(tables: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(found[1] for text in tables if (found := _TABLE.match(text)))


@lru_cache
def _things(tables: tuple[str, ...]) -> frozenset[Thing]:
    """Return the rows that `_WHOLE` selects in a database with `tables`."""
    things: set[Thing] = set()
    for text in map(postgresql, tables):
        if found := _INDEX.match(text):
            unique, name, table, columns = found.groups()
            things.add(("index", table, name, f"{unique or ''}btree ({_bare(columns)})"))
        elif found := _TABLE.match(text):
            things |= _table(found[1], found[2])
    return frozenset(things)


def _table(name: str, body: str) -> set[Thing]:
    things = {("relation", name, "", "rpfalse")}
    key = _KEY.search(body)
    columns = _bare(key[1]) if key else ""
    body = body[: key.start()].rstrip(", ") if key else body
    for part in body.split(", "):
        column, kind, *rest = part.split(" ")
        column = column.strip('"')
        if rest[-2:] == ["PRIMARY", "KEY"]:
            columns = column
        default = f" DEFAULT nextval('{name}_{column}_seq'::regclass)" if kind == "BIGSERIAL" else ""
        not_null = " NOT NULL" if rest[:2] == ["NOT", "NULL"] else ""
        things.add(("column", name, column, kind.lower().replace("serial", "int") + not_null + default))
    things.add(("constraint", name, f"{name}_pkey", f"PRIMARY KEY ({columns})"))
    things.add(("index", name, f"{name}_pkey", f"UNIQUE btree ({columns})"))
    return things


def _bare(columns: str) -> str:
    return columns.replace('"', "")
