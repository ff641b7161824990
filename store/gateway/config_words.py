"""Errors in `mailhold.toml` in an administrator's words: the key, what it must be, and an example or the choices."""

from __future__ import annotations

import enum
import re
import types
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec

from store.helpers.toml_lines import Path

_ASSIGNED = re.compile(r"#? ?([a-z_]+) = (.*)")
_HEADER = re.compile(r"#? ?\[\[?([a-z.]+)\]\]?")
_MISSING = re.compile(r"Object missing required field `(.*)`")
_UNKNOWN = re.compile(r"Object contains unknown field `(.*)`")
#: Examples where the value in the file's example is empty.
_MORE = {"sink.next_hop": '"smtp://127.0.0.1:10026"', "sink.group": '"postfix"', "engines.spamd.user": '"amavis"'}
#: What a value of a type must be.
_WORDS: dict[Any, str] = {
    str: "a text in quotes",
    bool: "true or false, without quotes",
    int: "a whole number, without quotes",
    float: "a number, without quotes",
}


def wrong_value(why: str, where: Path, config: type[msgspec.Struct], example: str) -> tuple[Path, str]:
    """Explain msgspec's error `why` at `where`. Returns the path of the wrong or missing key, and a sentence."""
    kind = _type_at(config, where)
    if found := _UNKNOWN.fullmatch(why):
        path = (*where, found[1])
        return path, f"unknown key `{dotted(path)}`: {_choices(kind, where)}"
    if found := _MISSING.fullmatch(why):
        path = (*where, found[1])
        what = f"add {_as_example(path, example)}" if _is_key(path, example) else f"add the table [{dotted(path)}]"
        return where, f"`{dotted(path)}` is missing: {what}"
    return where, f"`{dotted(where)}` must be {_expected(kind, where, example)}"


def dotted(path: Path) -> str:
    """Write a path with dots; an entry of a list is counted from 1."""
    said = ""
    for part in path:
        if isinstance(part, int):
            said += f" {part + 1}" if said else str(part + 1)
        elif part:
            said += f".{part}" if said else part
    return said


def _type_at(kind: Any, path: Path) -> Any:
    """Return the declared type of a value; None if it is not declared."""
    for part in path:
        kind = _without_none(kind)
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
            kind = get_type_hints(kind).get(str(part))
        elif get_origin(kind) is tuple:
            kind = get_args(kind)[0]
        elif get_origin(kind) is dict:
            kind = get_args(kind)[1]
        else:
            return None
    return _without_none(kind)


def _without_none(kind: Any) -> Any:
    if get_origin(kind) in (Union, types.UnionType):
        return next(each for each in get_args(kind) if each is not type(None))
    return kind


def _choices(kind: Any, where: Path) -> str:
    names = [field.name for field in msgspec.structs.fields(kind)]
    place = f"`{dotted(where)}` can have" if where else "the tables are"
    return f"{place} {', '.join(names)}"


def _expected(kind: Any, where: Path, example: str) -> str:
    if get_origin(kind) is Literal:
        return f"one of {', '.join(map(repr_toml, get_args(kind)))}"
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return f"a status, {_as_example(where[:-1], example)}"
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return f"a table: write [{dotted(where)}] on a line of its own, and its keys below"
    if get_origin(kind) is tuple and isinstance(get_args(kind)[0], type):
        if issubclass(get_args(kind)[0], msgspec.Struct):
            return f"a list of tables: write [[{dotted(where)}]] with double brackets on a line of its own"
        return f"a list of texts in brackets, {_as_example(where, example)}"
    if get_origin(kind) is dict:
        return f"a table in braces, {_as_example(where, example)}"
    return f"{_WORDS.get(kind, 'another value')}, {_as_example(where, example)}"


def repr_toml(text: str) -> str:
    """Write a text in quotes."""
    return f'"{text}"'


def _as_example(path: Path, example: str) -> str:
    names = [part for part in path if isinstance(part, str) and part]
    name = ".".join(names)
    value = _MORE.get(name) or _examples(example).get(name, "…")
    return f"for example {names[-1]} = {value}"


def _is_key(path: Path, example: str) -> bool:
    return ".".join(part for part in path if isinstance(part, str)) in _examples(example)


def _examples(example: str) -> dict[str, str]:
    """Return the value of each key, also of those that are commented out, as the example writes it."""
    found: dict[str, str] = {}
    table = ""
    for line in example.splitlines():
        if header := _HEADER.fullmatch(line):
            table = header[1]
        elif assigned := _ASSIGNED.fullmatch(line):
            found.setdefault(f"{table}.{assigned[1]}", assigned[2])
    return found
