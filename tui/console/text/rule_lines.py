"""The lines of the Rules section."""

from __future__ import annotations

from collections.abc import Sequence

from store.judging.rules.rules import DEFAULT_ACTIONS, DEFAULT_ID, SCANNED, IfDown, Rule
from store.terms.sizes import format_size
from store.terms.verdicts import Engine
from tui.terminal.lines import EMPTY, Line, Span, field
from tui.terminal.rule_words import conditions, effects
from tui.terminal.safe import fit, safe
from tui.terminal.words import counted

_LABELS = 19
#: Cells of a status, with the gap behind it, and of an action; and between two pairs of them.
_STATUS, _ACTION, _APART = 20, 17, 3


def summary(rules: Sequence[Rule]) -> str:
    """Write `4 rules · 1 disabled · the first that matches decides`."""
    off = sum(not rule.enabled for rule in rules)
    parts = [counted(len(rules), "rule", "rules")] + ([f"{off:,} disabled"] if off else [])
    return " · ".join([*parts, "the first that matches decides"])


def heading(width: int) -> str:
    """Write the column headings."""
    name, whom, rest = _columns(width)
    return f"  {'Rule':>5}  {fit('Name', name)}  {fit('For', whom)}  {fit('Does', rest)}".rstrip()


def rule_line(rule: Rule, width: int) -> Line:
    """Write a rule on one line: a sign if it is disabled, number, name, conditions, effects."""
    name, whom, rest = _columns(width)
    kind = "text" if rule.enabled else "muted"
    return (
        Span(f"{' ' if rule.enabled else '–'} {rule.id:>5}  ", "text" if rule.enabled else "muted"),
        Span(f"{fit(rule.name, name)}  ", kind),
        Span(f"{fit(conditions(rule), whom)}  ", kind if rule.conditional else "muted"),
        Span(fit(effects(rule), rest), kind if rule.enabled and effects(rule) != "defaults" else "muted"),
    )


def _columns(width: int) -> tuple[int, int, int]:
    """Return the widths (cells) of name, conditions and effects. Sign and number take seven, gaps two each."""
    room = max(30, width - 7 - 6)
    name = max(10, min(24, room // 4))
    whom = max(10, min(44, (room - name) // 2))
    return name, whom, max(6, room - name - whom)


def detail_lines(rule: Rule, width: int) -> list[Line]:
    """Write a rule in full."""
    labels = _LABELS if width >= 50 else 14
    state = "" if rule.enabled else "  disabled"
    lines: list[Line] = [(Span(f"Rule {rule.id}  {safe(rule.name)}", "strong"), Span(state, "risk"))]
    if rule.id == DEFAULT_ID:
        lines += field("For", [("every message that no other rule matches", "text")], width, labels)
    elif not rule.conditional:
        lines += field("For", [("every message", "text")], width, labels)
    for label, entries in (("Senders", rule.senders), ("Recipients", rule.recipients), ("Networks", rule.networks)):
        if entries:
            every = "  (every recipient)" if label == "Recipients" and rule.every_recipient else ""
            lines += field(label, [(", ".join(entries) + every, "text")], width, labels)
    lines.append(EMPTY)
    for engine in Engine:
        lines += _engine(rule, engine, width, labels)
    content = rule.content
    for label, entries in (("Banned file names", content.banned_names), ("Banned formats", content.banned_formats)):
        lines += field(label, [(", ".join(entries) or "none", "text" if entries else "muted")], width, labels)
    size = (format_size(content.max_size), "text") if content.max_size else ("no limit", "muted")
    lines += field("Largest message", [size], width, labels)
    if rule.scanners is not None:
        lines += field("Scanners", [(", ".join(rule.scanners) or "none", "risk")], width, labels)
    return lines


def _engine(rule: Rule, engine: Engine, width: int, labels: int) -> list[Line]:
    """Write the rule's action for each status of an engine, and for the case that the engine is down, as a grid."""
    label = "Black list" if engine is Engine.BLACK_LIST else engine.label
    said = [(status.label, rule.action_for(engine, status).label) for status in DEFAULT_ACTIONS[engine]]
    if engine in SCANNED and rule.down_for(engine) is IfDown.TEMPORARY_FAIL:
        said.append(("Not scanned", "Temporary fail"))
    abreast = (width - labels - 2 + _APART) // (_STATUS + _ACTION + _APART)
    if not abreast:
        return field(label, [(f"{status}: {action}", "text") for status, action in said], width, labels, indent=2)
    lines: list[Line] = []
    for at in range(0, len(said), abreast):
        spans = [Span(f"{'' if at else label:<{labels + 2}}", "label")]
        for status, action in said[at : at + abreast]:
            spans += [Span(f"{status:<{_STATUS}}", "muted"), Span(f"{action:<{_ACTION + _APART}}")]
        spans[-1] = Span(spans[-1].text.rstrip())
        lines.append(tuple(spans))
    return lines
