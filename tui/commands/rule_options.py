"""The options of `mailhold rules add` and `set`, applied to a rule."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, TypeVar

import msgspec

from store.judging.rules.rules import DEFAULT_ACTIONS, SCANNED, IfDown, Rule
from store.terms.errors import UsageError
from store.terms.sizes import parse_size
from store.terms.verdicts import Action

Word = TypeVar("Word", bound=StrEnum)

_LISTS = {"sender": "senders", "recipient": "recipients", "network": "networks"}
_BANS = {"ban_name": "banned_names", "ban_format": "banned_formats"}


def edited(rule: Rule, options: Mapping[str, Any]) -> Rule:
    """Return `rule` changed by `options`. An option that is None leaves its field.

    Raises UsageError for an unknown word.
    """
    content = {field: _entries(options[name]) for name, field in _BANS.items() if options[name] is not None}
    if options["max_size"] is not None:
        content["max_size"] = parse_size(options["max_size"])  # type: ignore[assignment]  # the one that is no list
    changed: dict[str, Any] = {
        field: _entries(options[name]) for name, field in _LISTS.items() if options[name] is not None
    }
    changed["content"] = msgspec.structs.replace(rule.content, **content)
    changed["actions"] = _actions(rule, options["action"] or ())
    changed["if_down"] = {
        **rule.if_down,
        **dict(_choice(text) for text in options["if_down"] or ()),
    }
    if options["name"] is not None:
        changed["name"] = options["name"]
    if options["every_recipient"] is not None:
        changed["every_recipient"] = options["every_recipient"] == "yes"
    if options["scanner"] is not None:
        changed["scanners"] = None if "all" in options["scanner"] else _entries(options["scanner"])
    return msgspec.structs.replace(rule, **changed)


def _entries(words: Sequence[str]) -> tuple[str, ...]:
    return tuple(word for word in words if word.strip())


def _actions(rule: Rule, texts: Sequence[str]) -> dict[Any, Any]:
    actions = {engine: dict(rule.actions.get(engine, {})) for engine in DEFAULT_ACTIONS}
    for text in texts:
        where, equals, action = text.partition("=")
        engine, dot, status = where.partition(".")
        if not equals or not dot:
            raise UsageError(f"`{text}` is not an action. Use ENGINE.STATUS=ACTION, for example anti-spam.spam=reject.")
        of = _word(list(DEFAULT_ACTIONS), engine, "engine")
        actions[of][_word(list(DEFAULT_ACTIONS[of]), status, f"status of {of}")] = _word(list(Action), action, "action")
    return actions


def _choice(text: str) -> tuple[Any, IfDown]:
    engine, equals, choice = text.partition("=")
    if not equals:
        raise UsageError(f"`{text}` is not ENGINE=CHOICE. Write for example anti-virus=temporary-fail.")
    return _word(list(SCANNED), engine, "engine"), _word(list(IfDown), choice, "choice")


def _word(possible: Sequence[Word], text: str, called: str) -> Word:
    for word in possible:
        if word.value == text.strip().lower().replace("_", "-"):
            return word
    raise UsageError(f"There is no {called} `{text.strip()[:40]}`. Use one of: {', '.join(possible)}.")
