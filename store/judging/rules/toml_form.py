"""Rules as TOML, to be read, edited and kept under version control. Printing and parsing a rule gives the same rule.

[[rule]]                        # in order: the first that matches a message decides
id = 4                          # left out: a new rule, which gets the next number
name = "Partners"
enabled = true
senders = ["partner.example"]   # left out or empty: every message
recipients = []
every-recipient = false
networks = ["192.0.2.0/24"]
scanners = ["clamd"]            # left out: all
actions.anti-spam.spam = "skip" # left out: the default action
if-down.anti-virus = "temporary-fail"
content.banned-names = ["*.exe"]
content.banned-formats = ["executable"]
content.max-size = "20 MB"
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Any, TypeVar

from store.helpers.toml_lines import Lines, Path, array, load, string
from store.judging.content import ContentPolicy
from store.judging.rules.checks import check_rule
from store.judging.rules.model import DEFAULT_ACTIONS, SCANNED, IfDown, Rule
from store.terms.errors import RuleError, SettingError
from store.terms.sizes import format_size, parse_size
from store.terms.verdicts import Action, Engine, Status

Word = TypeVar("Word", bound=StrEnum)

_HEAD = """\
# The rules of Mailhold, in order: the first that matches a message judges it.
# Conditions that are left out match every message; actions that are left out keep their defaults.
"""


def print_rules(rules: Iterable[Rule]) -> str:
    """Write the rules as a TOML document."""
    return _HEAD + "".join(f"\n{_rule(rule)}" for rule in rules)


def parse_rules(text: str, source: str = "the rules") -> tuple[Rule, ...]:
    """Parse and check the rules of a TOML document. `source` is the document's name in error messages.

    A rule without a number gets id 0, and Default may be missing: `rules.write_rules` completes both. Raises UsageError
    for malformed TOML, else RuleError; both name the line.
    """
    document = load(text, source)
    lines = Lines(text)
    try:
        tables = _only(document, (), ("rule",)).get("rule", [])
        if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
            raise _Wrong(("rule",), "a rule begins with [[rule]], in double brackets")
        return tuple(_parsed(table, ("rule", index)) for index, table in enumerate(tables))
    except _Wrong as wrong:
        raise RuleError(f"{source}, line {lines.of(wrong.path)}: {wrong.why}.", wrong.field) from None


class _Wrong(Exception):
    def __init__(self, path: Path, why: str, field: str = "") -> None:
        super().__init__(why)
        self.path, self.why, self.field = path, why.rstrip("."), field


def _rule(rule: Rule) -> str:
    lines = ["[[rule]]", f"id = {rule.id}", f"name = {string(rule.name)}", f"enabled = {_bool(rule.enabled)}"]
    for name, entries in (("senders", rule.senders), ("recipients", rule.recipients), ("networks", rule.networks)):
        if entries:
            lines.append(f"{name} = {array(entries)}")
    if rule.every_recipient:
        lines.append("every-recipient = true")
    if rule.scanners is not None:
        lines.append(f"scanners = {array(rule.scanners)}")
    for engine in DEFAULT_ACTIONS:
        for status in DEFAULT_ACTIONS[engine]:
            lines.append(f"actions.{engine}.{status} = {string(rule.action_for(engine, status))}")
    lines += [f"if-down.{engine} = {string(rule.down_for(engine))}" for engine in SCANNED]
    lines.append(f"content.banned-names = {array(rule.content.banned_names)}")
    lines.append(f"content.banned-formats = {array(rule.content.banned_formats)}")
    lines.append(f"content.max-size = {_size(rule.content.max_size)}")
    return "\n".join(lines) + "\n"


def _bool(value: bool) -> str:
    return "true" if value else "false"


def _size(size: int) -> str:
    """Write a size so that it parses back to the same bytes; 0 means no limit."""
    text = format_size(size)
    return string(text if parse_size(text) == size else f"{size} bytes") if size else "0"


_KEYS = (
    *("id", "name", "enabled", "senders", "recipients", "every-recipient", "networks", "scanners"),
    *("actions", "if-down", "content"),
)
_CONTENT_KEYS = ("banned-names", "banned-formats", "max-size")


def _parsed(table: dict[str, Any], path: Path) -> Rule:
    name = table.get("name", "")
    called = f"rule {name[:60]!r}" if isinstance(name, str) and name else f"rule {int(path[-1]) + 1} of the file"
    try:
        rule = _fields(_only(table, path, _KEYS), path)
    except _Wrong as wrong:
        raise _Wrong(wrong.path, f"{called}: {wrong.why}", wrong.field) from None
    try:
        return check_rule(rule)
    except RuleError as error:
        where = tuple(error.field.replace("_", "-").split(".")) if error.field else ()
        why = str(error)
        raise _Wrong((*path, *where), why[:1].lower() + why[1:], error.field) from None


def _fields(table: dict[str, Any], path: Path) -> Rule:
    number = table.get("id", 0)
    if type(number) is not int:
        raise _Wrong((*path, "id"), "its id is not a whole number", "id")
    actions: dict[Engine, dict[Status, Action]] = {}
    for key, chosen in _table(table, "actions", path).items():
        engine = _word(Engine, key, (*path, "actions", key), "engine")
        if not isinstance(chosen, dict):
            raise _Wrong((*path, "actions", key), f"add a status, as in actions.{key}.spam", "actions")
        actions[engine] = {
            _word(Status, status, (*path, "actions", key, status), "status", DEFAULT_ACTIONS[engine]): _word(
                Action, action, (*path, "actions", key, status), "action"
            )
            for status, action in chosen.items()
        }
    if_down = {
        _word(Engine, key, (*path, "if-down", key), "engine", SCANNED): _word(
            IfDown, value, (*path, "if-down", key), "choice"
        )
        for key, value in _table(table, "if-down", path).items()
    }
    content = _only(_table(table, "content", path), (*path, "content"), _CONTENT_KEYS)
    within = (*path, "content")
    return Rule(
        id=number,
        name=_typed(table, "name", path, str, ""),
        enabled=_typed(table, "enabled", path, bool, True),
        senders=_strings(table, "senders", path),
        recipients=_strings(table, "recipients", path),
        every_recipient=_typed(table, "every-recipient", path, bool, False),
        networks=_strings(table, "networks", path),
        actions=actions,
        if_down=if_down,
        content=ContentPolicy(
            banned_names=_strings(content, "banned-names", within),
            banned_formats=_strings(content, "banned-formats", within),
            max_size=_bytes(content.get("max-size", 0), (*within, "max-size")),
        ),
        scanners=_strings(table, "scanners", path) if "scanners" in table else None,
    )


def _only(table: dict[str, Any], path: Path, keys: Sequence[str]) -> dict[str, Any]:
    for key in table:
        if key not in keys:
            raise _Wrong((*path, key), f"{key[:40]!r} is unknown; use {', '.join(keys)}", key)
    return table


def _table(table: dict[str, Any], key: str, path: Path) -> dict[str, Any]:
    return _typed(table, key, path, dict, {})


_KINDS = {str: "a text in quotes", bool: "true or false", dict: "a table"}
Kind = TypeVar("Kind")


def _typed(table: dict[str, Any], key: str, path: Path, kind: type[Kind], default: Kind) -> Kind:
    value = table.get(key, default)
    if not isinstance(value, kind):
        raise _Wrong((*path, key), f"{key} is not {_KINDS[kind]}", key)
    return value


def _strings(table: dict[str, Any], key: str, path: Path) -> tuple[str, ...]:
    value = table.get(key, [])
    if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
        raise _Wrong((*path, key), f'{key} is not a list of texts such as ["one", "two"]', key)
    return tuple(value)


def _word(kind: type[Word], value: Any, path: Path, called: str, among: Iterable[Word] | None = None) -> Word:
    possible = list(kind if among is None else among)
    for word in possible:
        if isinstance(value, str) and value == word.value:
            return word
    raise _Wrong(path, f"the {called} {str(value)[:40]!r} is unknown; use {', '.join(possible)}", str(path[2]))


def _bytes(value: Any, path: Path) -> int:
    try:
        if type(value) is int and value <= 0:
            return value  # 0 = no limit; `check_rule` rejects negative sizes
        return parse_size(value if isinstance(value, str) else str(value))
    except SettingError as error:
        raise _Wrong(path, str(error), "content.max_size") from None
