"""Check rules and normalise them to the form in which they are stored."""

from __future__ import annotations

import ipaddress
import unicodedata
from collections.abc import Callable, Iterable, Sequence

import msgspec

from store.judging.content import FORMAT_GROUPS, ContentPolicy, is_format
from store.judging.rules.address_patterns import check_patterns
from store.judging.rules.model import DEFAULT_ACTIONS, DEFAULT_ID, SCANNED, IfDown, Rule, actions_for
from store.terms.errors import RuleError
from store.terms.verdicts import Action, Engine, Status, statuses_of

MAX_RULES, MAX_ENTRIES, MAX_NAME = 500, 2000, 60
MAX_ID = 999_999_999


def check_rules(rules: Sequence[Rule]) -> tuple[Rule, ...]:
    """Check and normalise the rules. Raises RuleError, which names the rule, for the first fault."""
    if len(rules) > MAX_RULES:
        raise RuleError(f"There are {len(rules)} rules; a store holds at most {MAX_RULES}.")
    checked = tuple(check_rule(rule) for rule in rules)
    for index, rule in enumerate(checked):
        if rule.id == 0:
            raise RuleError(f"The rule {rule.name!r} has no ID.", "id")
        before = next((other for other in checked[:index] if other.id == rule.id), None)
        if before:
            raise RuleError(f"Two rules have the ID {rule.id}: {before.name!r} and {rule.name!r}.", "id")
        if any(_key(other.name) == _key(rule.name) for other in checked[:index]):
            raise RuleError(f"Two rules are named {rule.name!r}. Rename one of them.", "name")
    if not checked or checked[-1].id != DEFAULT_ID:
        raise RuleError(
            f"The rule {DEFAULT_ID} (Default) must be last: it judges the messages that no other rule matches.", "id"
        )
    return checked


def check_rule(rule: Rule) -> Rule:
    """Check and normalise a rule: strip blanks, drop repetitions. Raises RuleError, which names the rule and the field.

    The rule may still be without a number (id 0).
    """
    name = unicodedata.normalize("NFC", " ".join(rule.name.split()))
    try:
        if not 0 <= rule.id <= MAX_ID:
            raise RuleError(f"a rule's ID must be between 1 and {MAX_ID}", "id")
        _check_name(name)
        if rule.id == DEFAULT_ID and (rule.conditional or not rule.enabled):
            raise RuleError(
                "it judges the messages that no other rule matches, so it is always enabled and has no conditions",
                "enabled",
            )
        return msgspec.structs.replace(
            rule,
            name=name,
            senders=_field("senders", rule.senders, check_patterns),
            recipients=_field("recipients", rule.recipients, check_patterns),
            networks=_field("networks", rule.networks, check_networks),
            actions=_checked_actions(rule.actions),
            content=_checked_content(rule.content),
            if_down=_checked_down(rule.if_down),
            scanners=None if rule.scanners is None else _field("scanners", rule.scanners, _checked_scanners),
        )
    except RuleError as error:
        shown = f"rule {rule.id}" if rule.id else "the new rule"
        why = str(error).rstrip(".")
        raise RuleError(f"{shown[0].upper()}{shown[1:]} ({name[:MAX_NAME]}): {why}.", error.field) from None


def check_networks(networks: Iterable[str]) -> tuple[str, ...]:
    """Normalise networks to CIDR and drop repetitions; a single address becomes a network of one. Raises RuleError."""
    kept: dict[str, None] = {}
    for text in networks:
        try:
            network = ipaddress.ip_network(text.strip(), strict=False)
        except ValueError:
            raise RuleError(f"{text[:60]!r} is not a network: use 192.0.2.0/24 or 2001:db8::/32") from None
        kept[str(network)] = None
    return tuple(kept)


def _check_name(name: str) -> None:
    if not name:
        raise RuleError("it needs a name", "name")
    if len(name) > MAX_NAME:
        raise RuleError(f"its name can have at most {MAX_NAME} characters", "name")
    if any(unicodedata.category(char)[0] == "C" for char in name):
        raise RuleError("its name contains a character that cannot be shown", "name")


def _field(name: str, entries: Iterable[str], check: Callable[[Iterable[str]], tuple[str, ...]]) -> tuple[str, ...]:
    try:
        checked = check(entries)
    except RuleError as error:
        raise RuleError(str(error), name) from None
    if len(checked) > MAX_ENTRIES:
        raise RuleError(f"{name} has {len(checked):,} entries; at most {MAX_ENTRIES:,} are possible", name)
    return checked


def _checked_actions(actions: dict[Engine, dict[Status, Action]]) -> dict[Engine, dict[Status, Action]]:
    """Return the actions for every engine and status, with the default for those that the rule leaves out."""
    for engine, chosen in actions.items():
        for status, action in chosen.items():
            if status not in statuses_of(engine):
                raise RuleError(f"{engine} does not assign the status {status}", f"actions.{engine}")
            possible = actions_for(engine, status)
            if action not in possible:
                raise RuleError(
                    f"{action} is not possible for {status}: use {', '.join(possible)}",
                    f"actions.{engine}.{status}",
                )
    return {engine: {**default, **actions.get(engine, {})} for engine, default in DEFAULT_ACTIONS.items()}


def _checked_content(policy: ContentPolicy) -> ContentPolicy:
    for name in ("banned_names", "banned_formats"):
        for entry in getattr(policy, name):
            if not entry.strip() or len(entry) > 255 or any(unicodedata.category(char)[0] == "C" for char in entry):
                raise RuleError(f"{entry[:60]!r} is not a {name[7:-1]}", f"content.{name}")
    for entry in policy.banned_formats:
        if not is_format(entry.strip()):
            groups = ", ".join(FORMAT_GROUPS)
            raise RuleError(
                f"{entry[:60]!r} is not a format: use a type such as application/zip or image/*, or one of {groups}",
                "content.banned_formats",
            )
    if policy.max_size < 0:
        raise RuleError("the maximum size is negative; 0 means no limit", "content.max_size")
    return msgspec.structs.replace(
        policy,
        banned_names=tuple(dict.fromkeys(entry.strip() for entry in policy.banned_names)),
        banned_formats=tuple(dict.fromkeys(entry.strip().lower() for entry in policy.banned_formats)),
    )


def _checked_down(if_down: dict[Engine, IfDown]) -> dict[Engine, IfDown]:
    for engine in if_down:
        if engine not in SCANNED:
            raise RuleError(f"{engine} needs no scanner, so it is never down", f"if_down.{engine}")
    return {engine: if_down[engine] for engine in SCANNED if engine in if_down}


def _checked_scanners(scanners: Iterable[str]) -> tuple[str, ...]:
    kept: dict[str, None] = {}
    for text in scanners:
        name = text.strip()
        if not name or len(name) > MAX_NAME or not all(char.isalnum() or char in "-_." for char in name):
            raise RuleError(f"{name[:60]!r} is not a name of a scanner: use only letters, digits and - _ .")
        kept[name] = None
    return tuple(kept)


def _key(name: str) -> str:
    return name.casefold()
