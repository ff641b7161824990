"""Deliver, Delete and Save on chosen copies: gather facts, ask in a window, act, report.

Facts are gathered and acts are carried out in threads. The windows only ask; `store` decides what is allowed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from store.authority.deleting import delete_copies
from store.terms import notices
from store.terms.progress import Cancelled, Progress
from tui.console import trace
from tui.console.acts import chosen_facts
from tui.console.acts.chosen_facts import ChosenFacts
from tui.console.marks import Chosen
from tui.console.tasks import Task, explain
from tui.terminal.bin_words import day, promise_words
from tui.terminal.words import copies as copies_words

if TYPE_CHECKING:
    from store.delivery.queue import LeftOut, ReleaseResult
    from store.files.saving import SaveResult
    from store.vault.deleting import DeleteResult
    from tui.console.acts.checking import Checking
    from tui.console.context import ConsoleContext
    from tui.console.dialogs.deliver import DeliverChoice

NO_RELAY = "No relay is set, so nothing can be delivered. Set one in Settings."


#: Actions of the key map that change the store or write an event.
_CHANGING = frozenset(
    name
    for scope in (
        ("deliver", "delete", "save", "view-deliver", "view-delete", "view-save"),
        ("view-restore", "bin-restore", "bin-delete", "bin-empty"),
        ("binned-restore", "binned-delete", "binned-deliver", "binned-save"),
        ("retry", "cancel-delivery"),
        ("add-rule", "delete-rule", "enable-rule", "rule-up", "rule-down"),
        ("add-address", "remove-address"),
        tuple(f"campaigns-{name}" for name in ("delete", "peel-odd", "join", "own", "state", "name", "note")),
        tuple(f"campaign-{name}" for name in ("delete", "peel", "peel-odd", "join", "own", "state", "name", "note")),
        ("campaign-deliver", "compare-peel"),
        ("save-filter", "tree-delete"),
        ("undo", "redo"),
    )
    for name in scope
)


def reason_against(context: ConsoleContext, action: str) -> str | None:
    """Return why the store or the settings rule out an action of the key map now, or None."""
    if context.vault.read_only is not None and action in _CHANGING:
        said = context.vault.read_only.says("This store")
        if action in ("save", "view-save"):
            from store.files.saving import SAVED_BY_SHOW

            return f"{said} {SAVED_BY_SHOW}"
        return said
    if action in ("deliver", "view-deliver", "binned-deliver", "campaign-deliver") and not context.settings.relay:
        return NO_RELAY
    return None


def _refused(context: ConsoleContext, action: str) -> bool:
    """Return True if an action is not possible now, after showing a notice with the reason."""
    reason = reason_against(context, action)
    if reason is not None:
        context.shell.notice(reason, severity="refusal")
    return reason is not None


def deliver(context: ConsoleContext, chosen: Chosen | Sequence[int]) -> None:
    """Ask for the recipients, then place the copies in the delivery queue."""
    if _refused(context, "deliver"):
        return
    chosen_facts.gather(
        context, chosen, "Reading recipients", chosen_facts.add_recipients, lambda facts: _ask_deliver(context, facts)
    )


def _ask_deliver(context: ConsoleContext, facts: ChosenFacts) -> None:
    from tui.console.acts.checking import Checking
    from tui.console.dialogs.deliver import DeliverDialog

    check = Checking(context, facts.ids)

    def answered(choice: DeliverChoice | None) -> None:
        if choice is not None:
            _do_deliver(context, facts.ids, choice, check)

    addressed = facts.addressed
    assert addressed is not None
    dialog = DeliverDialog(
        addressed.recipients,
        copies=len(facts.ids),
        address_count=addressed.count,
        unticked=addressed.unticked,
        outsiders=addressed.outsiders,
        held=addressed.held,
        left_out=addressed.left_out,
        local_domains=bool(context.settings.local_domains),
        dangerous=facts.dangerous,
        infected_allowed=context.settings.allow_infected,
        released=facts.released,
        outside=facts.outside,
        fitting=facts.fitting,
        odd=facts.odd,
        summary=facts.summary,
        check=check,
    )
    context.shell.ask(dialog, answered)


def _do_deliver(context: ConsoleContext, ids: list[int], choice: DeliverChoice, check: Checking) -> None:
    trace.note("act", name="deliver", copies=len(ids))

    from tui.console.acts.senders import Twins, twins, waiting_words

    def work(progress: Progress, cancelled: Cancelled) -> tuple[ReleaseResult, int, Twins | None, bool]:
        from store.delivery.outbox import held_for
        from store.delivery.queue import release
        from tui.console.dialogs.deliver import choice_of

        spared = {} if choice.lookalikes else check.spared()
        result = release(
            context.vault,
            ids,
            **choice_of(choice)._replace(spared=spared)._asdict(),
            operator=context.operator,
            progress=progress,
            cancelled=cancelled,
        )
        failed = {*result.withheld, *result.not_reached, *(copy_id for copy_id, _ in result.refused)}
        waiting = twins(context, [copy_id for copy_id in ids if copy_id not in failed]) if result.queued else None
        return result, held_for(context.vault, result.held_until), waiting, cancelled()

    def done(answer: tuple[ReleaseResult, int, Twins | None, bool]) -> None:
        result, held, waiting, stopped = answer
        context.twins = waiting.filter if waiting is not None else None
        report(
            context,
            "Deliver message",
            ids,
            len(result.queued),
            [*result.refused, *((copy_id, _why_withheld(result, copy_id)) for copy_id in result.withheld)],
            stopped,
            lambda count: f"{notices.delivered(count)}{waiting_words(waiting)}",
            "placed in queue",
            _left_out(result),
        )
        if result.queued:
            context.shell.follow_deliveries(result.queued, held)
        refused = {*result.withheld, *(copy_id for copy_id, _ in result.refused)}
        if not stopped:
            context.shell.unmark([copy_id for copy_id in ids if copy_id not in refused])
        context.shell.store_changed()

    context.shell.run_task(Task(f"Placing {copies_words(len(ids))} in queue for delivery", work, done))


def _why_withheld(result: ReleaseResult, copy_id: int) -> str:
    """Return why a copy was released to nobody: with addresses if it is the only such copy, else in general words."""
    if len(result.withheld) > 1:
        return "all its recipients have it already, may have it, or are waiting for it"
    return "; ".join(f"{each.address} {each.reason}" for each in result.left_out if each.copy_id == copy_id)


def _left_out(result: ReleaseResult) -> list[tuple[int, str]]:
    """Return the copies that went to fewer recipients than chosen, each with the reason."""
    withheld = set(result.withheld)
    found = [each for each in result.left_out if each.copy_id not in withheld]
    if len({each.copy_id for each in found}) > 1:
        return [
            (copy_id, "some recipients have it already, may have it, or are waiting for it")
            for copy_id in _copies_of(found)
        ]
    return [(each.copy_id, f"{each.address} {each.reason}") for each in found]


def _copies_of(left_out: Sequence[LeftOut]) -> list[int]:
    return list(dict.fromkeys(each.copy_id for each in left_out))


def delete(context: ConsoleContext, chosen: Chosen | Sequence[int], *, then: Callable[[], None] | None = None) -> None:
    """Ask, then delete the copies. `then` runs if any copy was deleted."""
    if _refused(context, "delete"):
        return
    chosen_facts.gather(
        context, chosen, "Reading", chosen_facts.add_bin, lambda facts: _ask_delete(context, facts, then)
    )


def _ask_delete(context: ConsoleContext, facts: ChosenFacts, then: Callable[[], None] | None) -> None:
    from tui.console.dialogs.delete import DeleteDialog

    def answered(yes: bool | None) -> None:
        if yes:
            _do_delete(context, facts.ids, then, facts.bin_days)

    kept = "" if facts.promise is None else promise_words(facts.promise, context.tz, context.clock())
    dialog = DeleteDialog(
        len(facts.ids),
        outside=facts.outside,
        live=facts.live,
        odd=facts.odd,
        known=facts.known,
        summary=facts.summary,
        kept=kept,
        no_room=facts.no_room,
    )
    context.shell.ask(dialog, answered)


def _do_delete(context: ConsoleContext, ids: list[int], then: Callable[[], None] | None, days: int) -> None:
    """Delete as the window announced: into the bin for `days` days, or for good if `days` is 0."""
    trace.note("act", name="delete", copies=len(ids))

    def delete(ids: Sequence[int], days: int, progress: Progress, cancelled: Cancelled) -> DeleteResult:
        return delete_copies(
            context.vault, ids, operator=context.operator, days=days, progress=progress, cancelled=cancelled
        )

    run_deletion(context, ids, days, delete, then)


def run_deletion(
    context: ConsoleContext,
    ids: list[int],
    days: int,
    delete: Callable[[Sequence[int], int, Progress, Cancelled], DeleteResult],
    then: Callable[[], None] | None,
    deleted: Callable[[int], str] = notices.deleted,
) -> None:
    """Run the deletion of the copies `ids`, into the bin for `days` days (0: for good), and report it.

    Then offer to delete for good what the bin had no room for. `then` runs if any copy was deleted. `deleted` formats
    the report for a number of copies, without a full stop.
    """

    def work(progress: Progress, cancelled: Cancelled) -> tuple[DeleteResult, bool]:
        return delete(ids, days, progress, cancelled), cancelled()

    def offer(no_room: list[int]) -> None:
        from tui.console.dialogs.delete import DeleteDialog

        def answered(yes: bool | None) -> None:
            if yes:
                run_deletion(context, no_room, 0, delete, then, deleted)

        context.shell.ask(DeleteDialog(len(no_room), no_room=True), answered)

    def failed(error: Exception) -> None:
        context.deleting -= 1
        context.shell.notice(explain(error), severity="error")

    def done(answer: tuple[DeleteResult, bool]) -> None:
        context.deleting -= 1
        result, stopped = answer
        gone = "it was already deleted or rotated out"
        no_room = set(result.no_room)
        failed = [each for each in result.refused if each[0] not in no_room]
        failed += [(copy_id, gone) for copy_id in result.missing]
        if no_room:
            offer(result.no_room)

        def said(count: int) -> str:
            return " ".join([f"{deleted(count)}.", *_what_else(context, result)]).removesuffix(".")

        back = "; z brings the deleted ones back" if result.binned else ""
        report(context, "Delete message(s)", ids, len(result.gone), failed, stopped, said, "deleted", after=back)
        context.shell.unmark([*result.gone, *result.missing])
        context.shell.store_changed()
        if then is not None and result.gone:
            then()

    context.deleting += 1
    context.shell.run_task(Task(f"Deleting {copies_words(len(ids))}", work, done, failed))


def _what_else(context: ConsoleContext, result: DeleteResult) -> Iterator[str]:
    """Yield sentences for the report: what can be brought back until when, and why bytes were not erased."""
    if result.binned:
        what = "it" if len(result.binned) == 1 else "them"
        yield f"z brings {what} back until {day(result.until, context.tz, context.clock())}."
    if result.left:
        yield result.left


def save(context: ConsoleContext, chosen: Chosen | Sequence[int]) -> None:
    """Ask for a folder, then save each copy to a file of its own in it."""
    if _refused(context, "save"):
        return
    chosen_facts.gather(context, chosen, "Reading", chosen_facts.add_dangerous, lambda facts: _ask_save(context, facts))


def _ask_save(context: ConsoleContext, facts: ChosenFacts) -> None:
    from tui.console.dialogs.save import SaveDialog

    def answered(folder: Path | None) -> None:
        if folder is not None:
            context.save_folder = folder
            _do_save(context, facts.ids, folder)

    dialog = SaveDialog(
        len(facts.ids),
        folder=context.save_folder,
        dangerous=facts.dangerous,
        outside=facts.outside,
        summary=facts.summary,
    )
    context.shell.ask(dialog, answered)


def _do_save(context: ConsoleContext, ids: list[int], folder: Path) -> None:
    trace.note("act", name="save", copies=len(ids))

    def work(progress: Progress, cancelled: Cancelled) -> tuple[SaveResult, bool]:
        from store.files.saving import save_copies

        result = save_copies(
            context.vault, ids, folder, operator=context.operator, progress=progress, cancelled=cancelled
        )
        return result, cancelled()

    def done(answer: tuple[SaveResult, bool]) -> None:
        result, stopped = answer

        def said(count: int) -> str:
            if count == 1:
                return f"Message has been saved to {result.saved[0][1]}"
            return f"{count:,} messages have been saved to {folder}"

        report(context, "Save message", ids, len(result.saved), result.failed, stopped, said, "saved")
        context.shell.store_changed()

    context.shell.run_task(Task(f"Saving {copies_words(len(ids))}", work, done))


def report(
    context: ConsoleContext,
    title: str,
    ids: Sequence[int],
    done: int,
    failed: Iterable[tuple[int, str]],
    stopped: bool,
    said: Callable[[int], str],
    verb: str,
    beside: Sequence[tuple[int, str]] = (),
    after: str = "",
) -> None:
    """Show a notice of what was done, and a window with what was not done and why.

    `after` is added to the notice that an act was cancelled half-way.
    """
    failures = list(failed)
    left = len(ids) - done - len(failures)
    if stopped and left > 0:
        context.shell.notice(
            f"Cancelled: {done:,} of {len(ids):,} were {verb}, {left:,} were left as before{after if done else ''}",
            severity="warning",
        )
    elif done:
        context.shell.notice(said(done))
    if failures or beside:
        from tui.console.dialogs.report import ReportDialog

        context.shell.ask(ReportDialog(title, done, verb, failures, beside), lambda _: None)
