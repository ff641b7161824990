"""Rules: the processing rules in order, above the one at the cursor in full; added, edited, moved and removed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.widget import Widget
from textual.widgets import Rule as Line_
from textual.widgets import Static

from store.judging.rules.edits import find_rule, moved, with_enabled, with_rule, without_rule
from store.judging.rules.rules import DEFAULT_ID, Rule, change_rules, read_rules
from store.terms.errors import RuleError
from tui.console import trace
from tui.console.context import ConsoleContext
from tui.console.dialogs.confirm import ConfirmDialog
from tui.console.keys.keymap import Scope, bindings
from tui.console.text import rule_lines as made
from tui.console.widgets.key_footer import KeysChanged
from tui.console.widgets.line_view import LineView
from tui.console.widgets.pick_list import PickList
from tui.terminal.lines import Line
from tui.terminal.safe import safe

Change = Callable[[tuple[Rule, ...]], Sequence[Rule]]


class RulesView(Widget):
    """The rules, first to last. Live: it follows the store; every change is asked for in a window, then written."""

    DEFAULT_CSS = """
    RulesView {
        width: 1fr; height: 1fr; layout: vertical;
        & > #rules-head, & > #rules-columns { height: 1; }
        & > #rules-columns { color: $text-muted; }
        & > Rule.-horizontal { height: 1; margin: 0; color: $border-blurred; }
        & > #rules-detail { height: 60%; min-height: 5; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = bindings(Scope.RULES)
    scope = Scope.RULES
    title = "Rules"

    def __init__(self, context: ConsoleContext) -> None:
        super().__init__()
        self.context = context
        self._ready = False
        self.rules: tuple[Rule, ...] = ()

    def compose(self) -> ComposeResult:
        yield Static("", id="rules-head", markup=False)
        yield Line_(line_style="solid")
        yield Static("", id="rules-columns", markup=False)
        yield PickList(id="rules-list")
        yield Line_(line_style="solid")
        yield LineView(id="rules-detail")

    def on_mount(self) -> None:
        self._ready = True
        self.list = self.query_one(PickList)
        self.detail = self.query_one("#rules-detail", LineView)
        self.refresh_data()

    def refresh_data(self) -> None:
        """Take up what changed in the rules; the cursor stays on its rule."""
        if self._ready:
            self.context.background(lambda: read_rules(self.context.vault), self._show, group="rules")

    def _show(self, rules: tuple[Rule, ...], cursor_on: int = 0) -> None:
        if not self.is_attached:
            return
        here = cursor_on or (self.current.id if self.current else 0)
        if rules == self.rules and not cursor_on:
            return
        self.rules = rules
        self.query_one("#rules-head", Static).update(made.summary(rules))
        self.list.build(self._builder(rules))
        place = next((at for at, rule in enumerate(rules) if rule.id == here), None)
        if place is not None:
            self.list.cursor = place
        self._draw_detail()

    @staticmethod
    def _builder(rules: Sequence[Rule]) -> Callable[[int], Sequence[Line]]:
        return lambda width: [made.rule_line(rule, width) for rule in rules]

    def _draw_detail(self) -> None:
        rule = self.current
        self.detail.build(None if rule is None else lambda width: made.detail_lines(rule, width))
        self.post_message(KeysChanged())

    def on_line_view_wanted(self, event: LineView.Wanted) -> None:
        event.stop()
        if event.view is self.list:
            self.query_one("#rules-columns", Static).update(made.heading(event.width))
        event.view.show(event.builder(event.width))
        if event.view is self.list:  # A new rule may lie below what was shown.
            self.list.to_cursor()

    def on_pick_list_moved(self, event: PickList.Moved) -> None:
        event.stop()
        self._draw_detail()
        self.detail.to_top()

    def on_pick_list_picked(self, event: PickList.Picked) -> None:
        event.stop()
        self.action_edit_rule()

    @property
    def current(self) -> Rule | None:
        """The rule at the cursor."""
        return self.rules[self.list.cursor] if self._ready and self.list.cursor < len(self.rules) else None

    # -- actions

    def reason_against(self, action: str) -> str | None:
        """Why an action is not possible for the rule at the cursor, or None."""
        rule = self.current
        if action == "add-rule":
            return None
        if rule is None:
            return "There is no rule."
        if rule.id == DEFAULT_ID:
            return {
                "delete-rule": "Default cannot be removed: it judges what no other rule does.",
                "enable-rule": "Default is always enabled: it judges what no other rule does.",
                "rule-up": "Default comes last, because it judges what no other rule does.",
                "rule-down": "Default comes last, because it judges what no other rule does.",
            }.get(action)
        place = self.rules.index(rule)
        if action == "rule-up" and place == 0:
            return "It is the first rule already."
        if action == "rule-down" and place >= len(self.rules) - 2:
            return "It is the last rule before Default already."
        return None

    def action_add_rule(self) -> None:
        """Open the window for a new rule, which comes last before Default."""
        self._ask(Rule(), "Rule {} has been added")

    def action_edit_rule(self) -> None:
        """Open the window for the rule at the cursor."""
        if rule := self._allowed("edit-rule"):
            self._ask(rule, "Rule {} has been changed")

    def _ask(self, rule: Rule, said: str) -> None:
        from tui.console.dialogs.rule import RuleDialog

        dialog = RuleDialog(rule, names=[other.name for other in self.rules if other.id != rule.id])
        self.context.shell.ask(dialog, lambda edited: self._write(rule, edited, said) if edited else None)

    def _write(self, before: Rule, edited: Rule, said: str) -> None:
        if edited == before:
            return

        def change(rules: tuple[Rule, ...]) -> Sequence[Rule]:
            if before.id and find_rule(rules, before.id) != before:
                raise RuleError(
                    f"Rule {before.id} was changed by somebody else in the meantime: look at it and edit it again."
                )
            return with_rule(rules, edited)

        self._change(change, edited.id, said)

    def action_delete_rule(self) -> None:
        """Remove the rule at the cursor, once that is confirmed."""
        rule = self._allowed("delete-rule")
        if rule is None:
            return
        question = f"Remove rule {rule.id} ({safe(rule.name)})? Copies that it judged keep its number and name."
        said = "Rule {} has been removed"
        self._confirm(question, "Remove", lambda rules: without_rule(rules, rule.id), rule.id, said, danger=True)

    def action_enable_rule(self) -> None:
        """Enable the rule at the cursor, or disable it, once that is confirmed."""
        rule = self._allowed("enable-rule")
        if rule is None:
            return
        verb, outcome = ("Disable", "disabled") if rule.enabled else ("Enable", "enabled")
        question = (
            f"{verb} rule {rule.id} ({safe(rule.name)})? It is {'enabled' if rule.enabled else 'disabled'} now. "
            + (
                "The rules after it judge what it judged."
                if rule.enabled
                else "It judges what it matches from then on."
            )
        )
        said = f"Rule {{}} has been {outcome}"
        self._confirm(question, verb, lambda rules: with_enabled(rules, rule.id, not rule.enabled), rule.id, said)

    def action_move_rule(self, step: int) -> None:
        """Move the rule at the cursor up or down in the order, once that is confirmed."""
        rule = self._allowed("rule-up" if step < 0 else "rule-down")
        if rule is None:
            return
        shown, place = self.rules, self.rules.index(rule) + 1
        other = shown[place - 1 + step]
        beside = f"{'before' if step < 0 else 'after'} rule {other.id} ({safe(other.name)})"
        question = (
            f"Move rule {rule.id} ({safe(rule.name)}) from place {place} to place {place + step}, {beside}? "
            "The first rule that matches a message judges it."
        )

        def change(rules: tuple[Rule, ...]) -> Sequence[Rule]:
            if [one.id for one in rules] != [one.id for one in shown]:
                raise RuleError(
                    "The rules were changed by somebody else in the meantime: look at them and move it again."
                )
            return moved(rules, rule.id, place + step)

        verb = "Move up" if step < 0 else "Move down"
        self._confirm(question, verb, change, rule.id, f"Rule {{}} is at place {place + step} now")

    def action_detail(self, direction: int) -> None:
        """Scroll the rule in full, which the cursor's keys do not reach."""
        self.detail.action_half_page(direction)

    def action_to_list(self) -> None:
        self.context.shell.go("backup")

    def _allowed(self, action: str) -> Rule | None:
        if reason := self.reason_against(action):
            self.context.notice(reason, severity="warning")
            return None
        return self.current

    def _confirm(
        self, question: str, verb: str, change: Change, rule_id: int, said: str, *, danger: bool = False
    ) -> None:
        """Ask, then change the rules in the store."""

        def answered(yes: bool | None) -> None:
            if yes:
                self._change(change, rule_id, said)

        self.context.shell.ask(ConfirmDialog("Rules", question, verb, danger=danger), answered)

    def _change(self, change: Change, rule_id: int, said: str) -> None:
        """Change the rules in the store; the cursor follows the rule (a new one where `rule_id` is 0)."""
        known = {rule.id for rule in self.rules}
        trace.note("act", name="rules")

        def done(rules: tuple[Rule, ...]) -> None:
            number = rule_id or next((rule.id for rule in rules if rule.id not in known), 0)
            self.context.notice(said.format(number))
            self._show(rules, number)
            self.context.shell.store_changed()

        self.context.background(
            lambda: change_rules(self.context.vault, change, self.context.operator), done, group="rules-change"
        )
