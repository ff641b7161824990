"""Undo: find the operator's last act that can be undone, ask in its window, undo it, and report.

Finding and undoing run in threads. `store.undoing` decides what is possible, once for the
window and again when it is done.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from store.terms.errors import MailholdError
from store.terms.progress import Cancelled, Progress
from tui.console import trace
from tui.console.acts.actions import reason_against
from tui.console.tasks import Task, explain
from tui.terminal.safe import safe
from tui.terminal.setting_words import change_words

if TYPE_CHECKING:
    from store.undoing.plans import Plan, Told
    from tui.console.context import ConsoleContext

NOTHING_TO_UNDO = "There is nothing to undo."
NOTHING_TO_REDO = "There is nothing to redo."


def undo(context: ConsoleContext, *, again: bool = False) -> None:
    """Ask, then undo the operator's last act (or redo it, with `again`)."""
    if reason := reason_against(context, "redo" if again else "undo"):
        context.shell.notice(reason, severity="refusal")
        return

    def look() -> Plan | None:
        from store.undoing.undoing import next_plan

        return next_plan(context.vault, context.operator, again=again)

    def found(plan: Plan | None) -> None:
        if plan is None:
            context.shell.notice(NOTHING_TO_REDO if again else NOTHING_TO_UNDO)
        else:
            _ask(context, plan)

    context.shell.background(look, found, group="look")


def _ask(context: ConsoleContext, plan: Plan) -> None:
    from tui.console.dialogs.undo import UndoDialog

    def answered(yes: bool | None) -> None:
        if yes:
            _carry_out(context, plan)

    context.shell.ask(UndoDialog(plan, context.tz), answered)


def _carry_out(context: ConsoleContext, plan: Plan) -> None:
    trace.note("act", name="undo", number=plan.act.number)

    def work(progress: Progress, cancelled: Cancelled) -> tuple[Told, list[int]]:
        from store.undoing.undoing import carry_out

        vault, copies = context.vault, plan.act.event.copies
        told = carry_out(vault, plan, operator=context.operator, progress=progress, cancelled=cancelled)
        gone: list[int] = []
        with suppress(MailholdError):  # It is done: that must be said in any case.
            there = vault.present(list(copies)) if copies else set()
            gone = [copy_id for copy_id in copies if copy_id not in there]
        return told, gone

    def failed(error: Exception) -> None:
        context.deleting -= 1
        context.shell.notice(explain(error), severity="error")

    def done(answer: tuple[Told, list[int]]) -> None:
        context.deleting -= 1
        told, gone = answer
        context.shell.unmark(gone)
        context.shell.store_changed()
        if told == plan.told:
            said = change_words(plan.act.event.action, "; ".join(told.does))
            context.shell.notice(f"{'Redone' if plan.again else 'Undone'}: {safe(said)}")
            return
        from tui.console.dialogs.undo import UndoneDialog

        context.shell.ask(UndoneDialog(told, again=plan.again), lambda _: None)

    context.deleting += 1  # Redoing a deletion deletes: marks of its copies are not lost to others.
    context.shell.run_task(Task("Redoing" if plan.again else "Undoing", work, done, failed))
