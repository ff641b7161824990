"""A rule in a few words, for lists of rules. The words contain the rule's own text: NOT safe for a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from store.judging.rules.rules import DEFAULT_ACTIONS, SCANNED, IfDown, Rule
from store.terms.sizes import format_size
from store.terms.verdicts import Action, Engine, Status

#: Short names of the engines, for a narrow column.
_SHORT = {
    Engine.ANTI_VIRUS: "virus",
    Engine.ANTI_SPAM: "spam",
    Engine.ANTI_PHISHING: "phishing",
    Engine.CONTENT: "content",
    Engine.BLACK_LIST: "black list",
}


def conditions(rule: Rule) -> str:
    """Write a rule's conditions: `from partner.example, to corp.example +2`, or `every message`."""
    parts = [
        f"{word} {_some(entries)}"
        for word, entries in (("from", rule.senders), ("to", rule.recipients), ("client", rule.networks))
        if entries
    ]
    return "; ".join(parts) or "every message"


def deviations(rule: Rule) -> list[tuple[Engine, Status, Action]]:
    """List the actions in which the rule differs from the default."""
    return [
        (engine, status, rule.action_for(engine, status))
        for engine, chosen in DEFAULT_ACTIONS.items()
        for status, default in chosen.items()
        if rule.action_for(engine, status) is not default
    ]


def effects(rule: Rule) -> str:
    """Write a rule's differences from the default and what it bans: `Spam: Skip; bans 12 names`."""
    said = [
        f"{status.label if status is not Status.BLACKLISTED else f'{_SHORT[engine]} blacklisted'}: {action.label}"
        for engine, status, action in deviations(rule)
    ]
    content = rule.content
    banned = [
        f"{len(entries)} {one if len(entries) == 1 else many}"
        for entries, one, many in (
            (content.banned_names, "name", "names"),
            (content.banned_formats, "format", "formats"),
        )
        if entries
    ]
    if banned:
        said.append(f"bans {' and '.join(banned)}")
    if content.max_size:
        said.append(f"at most {format_size(content.max_size)}")
    waiting = [_SHORT[engine] for engine in SCANNED if rule.down_for(engine) is IfDown.TEMPORARY_FAIL]
    if waiting:
        said.append(f"temporary fail without {', '.join(waiting)}")
    if rule.scanners is not None:
        said.append(f"scanners: {', '.join(rule.scanners)}" if rule.scanners else "no scanners")
    return "; ".join(said) or "defaults"


def _some(entries: Sequence[str]) -> str:
    return entries[0] + (f" +{len(entries) - 1}" if len(entries) > 1 else "")
