"""Rules: the processing rules in order, above the one at the cursor in full.

They can be added, edited, moved and removed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

from textual.binding import BindingType

from store.judging.rules.edits import find_rule, moved, with_enabled, with_rule, without_rule
from store.judging.rules.rules import DEFAULT_ID, DEFAULT_RULE, Rule, change_rules, read_rules
from store.terms.errors import RuleError
from tui.console.keys.keymap import Scope, bindings
from tui.console.screens.list_page import ListPage
from tui.console.text import rule_lines as made
from tui.console.widgets.line_view import Builder
from tui.terminal.safe import safe

Change = Callable[[tuple[Rule, ...]], Sequence[Rule]]


class RulesView(ListPage[Rule]):
    """The rules in order, kept up to date with the store. Each change is asked for in a window, then written."""

    DEFAULT_CSS = """
    RulesView > #detail { height: 60%; }
    """
    BINDINGS: ClassVar[list[BindingType]] = bindings(Scope.RULES)
    scope = Scope.RULES
    title = "Rules"
    has_columns = True

    def follow_store(self) -> None:
        self.read(lambda: read_rules(self.context.vault), self._show, group="rules")

    def _show(self, rules: tuple[Rule, ...], cursor_on: int | None = None) -> None:
        if self.is_attached and (rules != self.items or cursor_on is not None):
            self.show_items(rules, made.summary(rules), cursor_on=cursor_on)

    def key_of(self, item: Rule) -> int:
        return item.id

    def headings(self, width: int) -> str:
        return made.heading(width)

    def list_builder(self) -> Builder:
        rules = self.items
        return lambda width: [made.rule_line(rule, width) for rule in rules]

    def detail_builder(self, item: Rule) -> Builder:
        return lambda width: made.detail_lines(item, width)

    def picked(self) -> None:
        self.action_edit_rule()

    def reason_against(self, action: str) -> str | None:
        """Return why an action is not possible for the rule at the cursor, or None."""
        rule = self.current
        if action == "add-rule":
            return None
        if rule is None:
            return "No rule is selected."
        if rule.id == DEFAULT_ID:
            return {
                "delete-rule": "Default cannot be removed: it judges the messages that no other rule matches.",
                "enable-rule": "Default is always enabled: it judges the messages that no other rule matches.",
                "rule-up": "Default is always last: it judges the messages that no other rule matches.",
                "rule-down": "Default is always last: it judges the messages that no other rule matches.",
            }.get(action)
        place = self.items.index(rule)
        if action == "rule-up" and place == 0:
            return "This rule is the first already."
        if action == "rule-down" and place >= len(self.items) - 2:
            return "This rule is the last before Default already."
        return None

    def action_add_rule(self) -> None:
        """Open the window for a new rule, which becomes the last one before Default."""
        default = next((rule for rule in self.items if rule.id == DEFAULT_ID), DEFAULT_RULE)
        self._ask(Rule(if_down=default.if_down), "Rule {} has been added")

    def action_edit_rule(self) -> None:
        """Open the window for the rule at the cursor."""
        if rule := self.allowed("edit-rule"):
            self._ask(rule, "Rule {} has been changed")

    def _ask(self, rule: Rule, said: str) -> None:
        from tui.console.dialogs.rule import RuleDialog

        dialog = RuleDialog(rule, names=[other.name for other in self.items if other.id != rule.id])
        self.context.shell.ask(dialog, lambda edited: self._write(rule, edited, said) if edited else None)

    def _write(self, before: Rule, edited: Rule, said: str) -> None:
        if edited == before:
            return

        def change(rules: tuple[Rule, ...]) -> Sequence[Rule]:
            if before.id and find_rule(rules, before.id) != before:
                raise RuleError(
                    f"Rule {before.id} was changed by someone else meanwhile. Look at it and edit it again."
                )
            return with_rule(rules, edited)

        self._change(change, edited.id, said)

    def action_delete_rule(self) -> None:
        """Ask, then remove the rule at the cursor."""
        rule = self.allowed("delete-rule")
        if rule is None:
            return
        question = f"Remove rule {rule.id} ({safe(rule.name)})? Copies that it judged keep its number and name."
        said = "Rule {} has been removed"

        def change(rules: tuple[Rule, ...]) -> Sequence[Rule]:
            return without_rule(rules, rule.id)

        self.confirm(question, "Remove", lambda: self._change(change, rule.id, said), danger=True)

    def action_enable_rule(self) -> None:
        """Ask, then enable or disable the rule at the cursor."""
        rule = self.allowed("enable-rule")
        if rule is None:
            return
        verb, outcome = ("Disable", "disabled") if rule.enabled else ("Enable", "enabled")
        question = (
            f"{verb} rule {rule.id} ({safe(rule.name)})? It is {'enabled' if rule.enabled else 'disabled'} now. "
            + (
                "Then the rules after it judge its messages."
                if rule.enabled
                else "Then it judges the messages that it matches."
            )
        )
        said = f"Rule {{}} has been {outcome}"

        def change(rules: tuple[Rule, ...]) -> Sequence[Rule]:
            return with_enabled(rules, rule.id, not rule.enabled)

        self.confirm(question, verb, lambda: self._change(change, rule.id, said))

    def action_move_rule(self, step: int) -> None:
        """Ask, then move the rule at the cursor up or down."""
        rule = self.allowed("rule-up" if step < 0 else "rule-down")
        if rule is None:
            return
        shown, place = self.items, self.items.index(rule) + 1
        other = shown[place - 1 + step]
        beside = f"{'before' if step < 0 else 'after'} rule {other.id} ({safe(other.name)})"
        question = (
            f"Move rule {rule.id} ({safe(rule.name)}) from place {place} to place {place + step}, {beside}? "
            "The first rule that matches a message judges it."
        )

        def change(rules: tuple[Rule, ...]) -> Sequence[Rule]:
            if [one.id for one in rules] != [one.id for one in shown]:
                raise RuleError("The rules were changed by someone else meanwhile. Look at them and move it again.")
            return moved(rules, rule.id, place + step)

        said = f"Rule {{}} is at place {place + step} now"
        self.confirm(question, "Move up" if step < 0 else "Move down", lambda: self._change(change, rule.id, said))

    def _change(self, change: Change, rule_id: int, said: str) -> None:
        """Change the rules in the store. The cursor follows the rule `rule_id` (0: a new one)."""
        known = {rule.id for rule in self.items}

        def done(rules: tuple[Rule, ...]) -> str:
            number = rule_id or next((rule.id for rule in rules if rule.id not in known), 0)
            self._show(rules, number)
            return said.format(number)

        self.do(lambda: change_rules(self.context.vault, change, self.context.operator), done)
