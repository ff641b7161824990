"""The window that edits a rule."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

import msgspec
from textual.containers import Horizontal
from textual.widget import Widget
from textual.widgets import Input, Static

from store.judging.content import ContentPolicy
from store.judging.rules.rules import DEFAULT_ACTIONS, DEFAULT_ID, SCANNED, IfDown, Rule, actions_for, check_rule
from store.terms.errors import RuleError, SettingError
from store.terms.sizes import MIB, megabytes, parse_size
from store.terms.verdicts import Action, Engine, Status
from tui.console.dialogs.base import Dialog
from tui.console.widgets.controls import CheckBox, Choice, Field
from tui.console.widgets.cycle import Cycle
from tui.terminal.safe import safe

#: Text fields: id (an attribute of the rule or of its content filtering), label, and example entries.
_CONDITIONS = {
    "senders": ("Senders", "all; or example.com, *.example.com"),
    "recipients": ("Recipients", "all; or bob@corp.example"),
    "networks": ("Networks", "all; or 192.0.2.0/24, 2001:db8::/32"),
}
_CONTENT = {
    "banned_names": ("Banned names", "none; or *.exe, *.scr"),
    "banned_formats": ("Banned formats", "none; or executable, text/html"),
}
_SHORT_STATUS = {
    Status.BANNED_FILE_NAME: "Banned name",
    Status.BANNED_FILE_FORMAT: "Banned format",
    Status.SIZE_EXCEEDED: "Size exceeded",
}
_DOWN = tuple(IfDown)
#: Width (cells) of the longest action; all choices are padded to it so that they line up.
_WIDEST = max(len(action.label) for action in Action)


class RuleDialog(Dialog[Rule]):
    """Edits a rule; returns the changed one, checked, or None. The caller writes it.

    `names`: names of the other rules. The rule Default has no conditions to edit; a new rule has the number 0.
    """

    DEFAULT_CSS = """
    RuleDialog {
        .name { width: 18; height: auto; padding: 0 1 0 0; }
        .status { width: 18; height: 1; }
        &.-narrow .name { width: 14; }
        #max_size { width: 14; }
    }
    """
    first_focus = "#name"

    def __init__(self, rule: Rule, *, names: Collection[str] = ()) -> None:
        super().__init__()
        self.rule = rule
        self.others = frozenset(name.casefold() for name in names)

    def opened(self) -> None:
        self.query_one("#dialog").border_title = f"Rule {self.rule.id}" if self.rule.id else "New rule"

    def body(self) -> Iterable[Widget]:
        rule = self.rule
        yield self._row("Name", Field(rule.name, id="name"))
        if rule.id == DEFAULT_ID:
            yield Static("For every message that no other rule matches.", markup=False, classes="note")
        else:
            yield self._row("", CheckBox("Enabled", rule.enabled, id="enabled"))
            for name, (label, example) in _CONDITIONS.items():
                yield self._row(label, Field(", ".join(getattr(rule, name)), placeholder=example, id=name))
                if name == "recipients":
                    which = ("One match is enough", "All must match")
                    yield self._row("", Choice(which, int(rule.every_recipient), id="every_recipient"))
        for engine, chosen in DEFAULT_ACTIONS.items():
            yield from self._actions(engine, list(chosen))
        for name, (label, example) in _CONTENT.items():
            text = ", ".join(getattr(rule.content, name))
            field = Field(text, placeholder=example, id=name)
            yield self._row(label, field, classes="gap" if name == "banned_names" else "")
        size = megabytes(rule.content.max_size) if rule.content.max_size else ""
        field = Field(size, placeholder="no limit", id="max_size")
        yield self._row("Largest message", field, Static(" MB", classes="label", markup=False))
        scanners = "" if rule.scanners is None else ", ".join(rule.scanners) or "none"
        yield self._row("Scanners", Field(scanners, placeholder="all; or clamd, rspamd; or none", id="scanners"))

    @staticmethod
    def _row(label: str, *controls: Widget, classes: str = "") -> Horizontal:
        return Horizontal(Static(label, classes="name", markup=False), *controls, classes=f"row {classes}".strip())

    def _actions(self, engine: Engine, statuses: list[Status]) -> Iterable[Widget]:
        """Yield a row for each status of the engine with its action, and one for the case
        that the engine could not scan.
        """
        label = "Black list" if engine is Engine.BLACK_LIST else engine.label
        for status in statuses:
            possible = actions_for(engine, status)
            cycle = Cycle(
                [action.label.ljust(_WIDEST) for action in possible],
                possible.index(self.rule.action_for(engine, status)),
                id=_cycle_id(engine, status),
            )
            name = Static(_SHORT_STATUS.get(status, status.label), classes="status", markup=False)
            first = status is statuses[0]
            yield self._row(label if first else "", name, cycle, classes="gap" if first else "")
        if engine in SCANNED:
            cycle = Cycle(
                [one.label.ljust(_WIDEST) for one in _DOWN],
                _DOWN.index(self.rule.down_for(engine)),
                id=f"down-{engine}",
            )
            yield self._row("", Static("Not scanned", classes="status", markup=False), cycle)

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        self.complain("")

    def _text(self, name: str) -> str:
        return self.query_one(f"#{name}", Field).value.strip()

    def _entries(self, name: str) -> tuple[str, ...]:
        """Return a field's entries.

        If its text is unchanged, return them as they were: an entry may contain a comma.
        """
        holder = self.rule.content if name in _CONTENT else self.rule
        before: tuple[str, ...] = getattr(holder, name) or ()
        text = self._text(name)
        if text == ", ".join(before).strip():
            return before
        return tuple(entry.strip() for entry in text.split(",") if entry.strip())

    def _scanners(self) -> tuple[str, ...] | None:
        text = self._text("scanners")
        if text.lower() in ("", "all"):
            return None
        return () if text.lower() == "none" else tuple(entry.strip() for entry in text.split(",") if entry.strip())

    def _max_size(self) -> int:
        text = self._text("max_size")
        return parse_size(text, unit=MIB) if text else 0

    def accept(self) -> None:
        try:
            changed: dict[str, Any] = {
                "name": self._text("name"),
                "actions": self._chosen_actions(),
                "if_down": {engine: _DOWN[self.query_one(f"#down-{engine}", Cycle).index] for engine in SCANNED},
                "content": ContentPolicy(
                    banned_names=self._entries("banned_names"),
                    banned_formats=self._entries("banned_formats"),
                    max_size=self._max_size(),
                ),
                "scanners": self._scanners(),
            }
        except SettingError as error:
            self.complain(str(error), "#max_size")
            return
        if self.rule.id != DEFAULT_ID:
            changed |= {name: self._entries(name) for name in _CONDITIONS}
            changed["enabled"] = self.query_one("#enabled", CheckBox).value
            changed["every_recipient"] = self.query_one("#every_recipient", Choice).index == 1
        try:
            rule = check_rule(msgspec.structs.replace(self.rule, **changed))
            if rule.name.casefold() in self.others:
                raise RuleError(f"Another rule already has the name {rule.name!r}.", "name")
        except RuleError as error:
            field = error.field.rpartition(".")[2]
            known = field in ("name", "scanners", "max_size", *_CONDITIONS, *_CONTENT)
            self.complain(safe(str(error)), f"#{field}" if known else "")
            return
        self.dismiss(rule)

    def _chosen_actions(self) -> dict[Engine, dict[Status, Action]]:
        return {
            engine: {
                status: actions_for(engine, status)[self.query_one(f"#{_cycle_id(engine, status)}", Cycle).index]
                for status in chosen
            }
            for engine, chosen in DEFAULT_ACTIONS.items()
        }


def _cycle_id(engine: Engine, status: Status) -> str:
    return f"{engine}-{status}"
