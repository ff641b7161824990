"""Acts on copies in the bin: bring them back, or delete them for good.

Facts are gathered and acts are carried out in threads. The windows only ask; `store` decides what is allowed. The
copies are fixed when the window opens.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, Any, Literal

from store.authority.deleting import bring_back as bring_back_copies
from store.authority.deleting import empty_bin
from store.terms.progress import Cancelled, Progress
from tui.console import trace
from tui.console.acts import actions
from tui.console.acts.chosen_facts import NOTHING, summary_of
from tui.console.dialogs.confirm import ConfirmDialog
from tui.console.marks import Chosen
from tui.console.tasks import Task, explain
from tui.terminal.words import copies as copies_words
from tui.terminal.words import counted, message_copies

if TYPE_CHECKING:
    from store.vault.bin import RestoreResult
    from store.vault.deleting import DeleteResult
    from tui.console.context import ConsoleContext
    from tui.console.dialogs.chosen import Summary

TITLE = "Bin"
NOT_THERE = "The chosen copies are no longer in the bin. Nothing was done."
GONE = "The marked copies are no longer in the bin. Nothing was done."
_AGAIN: dict[str, Callable[[ConsoleContext, Sequence[int]], None]] = {
    "deliver": actions.deliver,
    "save": actions.save,
}

Taken = Callable[[Collection[int]], None]


def bring_back(context: ConsoleContext, chosen: Chosen, *, which: str = "", taken: Taken | None = None) -> None:
    """Ask, then bring the copies back. `which` follows their number in the question: ``that ada deleted``.

    `taken` is called with the ids that are no longer in the bin.
    """

    def ask(ids: list[int], summary: Summary, warning: str) -> None:
        it = "It returns" if len(ids) == 1 else "They return"
        dialog = ConfirmDialog(
            TITLE,
            f"Bring back {_these(ids)}{which and ' ' + which}? {it} to Backup unchanged.",
            "Bring back",
            summary=summary,
            warning=warning,
            ready=True,
        )
        context.shell.ask(dialog, lambda yes: _restore(context, ids, taken, None) if yes else None)

    _look(context, chosen, ask)


def bring_back_first(
    context: ConsoleContext, chosen: Chosen, verb: Literal["deliver", "save"], *, taken: Taken | None = None
) -> None:
    """Ask whether to bring the copies back, then deliver or save them: both work on copies in Backup only."""

    def ask(ids: list[int], summary: Summary, warning: str) -> None:
        one = len(ids) == 1
        dialog = ConfirmDialog(
            TITLE,
            f"{'This message copy is' if one else f'These {message_copies(len(ids))} are'} in the bin. "
            f"Bring {'it' if one else 'them'} back, to {verb} {'it' if one else 'them'}?",
            "Bring back",
            summary=summary,
            warning=warning,
            ready=True,
        )
        context.shell.ask(dialog, lambda yes: _restore(context, ids, taken, verb) if yes else None)

    _look(context, chosen, ask)


def delete_for_good(
    context: ConsoleContext,
    chosen: Chosen,
    *,
    which: str = "",
    taken: Taken | None = None,
    then: Callable[[], None] | None = None,
) -> None:
    """Ask for the number of copies, then delete them from the bin for good. `then` runs if any was deleted."""

    def ask(ids: list[int], summary: Summary, warning: str) -> None:
        dialog = ConfirmDialog(
            TITLE,
            f"Delete {_these(ids)}{which and ' ' + which} from the bin for good? This cannot be undone.",
            "Delete",
            danger=True,
            typed=len(ids),
            typed_verb="delete for good",
            summary=summary,
            warning=warning,
        )
        context.shell.ask(dialog, lambda yes: _empty(context, ids, taken, then) if yes else None)

    _look(context, chosen, ask)


def _these(ids: Sequence[int]) -> str:
    return "this message copy" if len(ids) == 1 else message_copies(len(ids))


def _look(context: ConsoleContext, chosen: Chosen, ask: Callable[[list[int], Summary, str], None]) -> None:
    """Find the chosen copies that are still in the bin, in a thread; then call `ask`."""
    if not chosen.count:
        context.shell.notice(GONE if chosen.gone else NOTHING, severity="refusal")
        return
    typed = context.shell.typed

    def work() -> tuple[list[int], Summary]:
        ids = chosen.ids()
        there = context.vault.present_in_bin(ids)
        ids = [copy_id for copy_id in ids if copy_id in there]
        return ids, summary_of(context, ids, 0, binned=True)

    def done(found: tuple[list[int], Summary]) -> None:
        if not found[0]:
            context.shell.notice(NOT_THERE, severity="refusal")
            return
        context.shell.drop_typing_since(typed)
        gone = chosen.gone + chosen.count - len(found[0])
        warning = counted(gone, "chosen copy is", "chosen copies are")
        ask(*found, f"{warning} no longer in the bin." if gone > 0 else "")

    context.shell.background(work, done, group="look")


def _restore(context: ConsoleContext, ids: list[int], taken: Taken | None, verb: str | None) -> None:
    trace.note("act", name="bring back", copies=len(ids))

    def work(progress: Progress, cancelled: Cancelled) -> tuple[RestoreResult, bool]:
        result = bring_back_copies(
            context.vault, ids, operator=context.operator, progress=progress, cancelled=cancelled
        )
        return result, cancelled()

    def done(answer: tuple[RestoreResult, bool]) -> None:
        context.deleting -= 1
        result, stopped = answer
        failed = [
            *result.refused,
            *((copy_id, "it is in Backup already") for copy_id in result.there),
            *((copy_id, "it is gone for good") for copy_id in result.gone),
        ]

        def said(count: int) -> str:
            return f"{'Message copy has' if count == 1 else f'{count:,} message copies have'} been brought back"

        actions.report(context, TITLE, ids, len(result.restored), failed, stopped, said, "brought back")
        _taken(context, [*result.restored, *result.there, *result.gone], taken)
        if verb is not None and not stopped and (back := [*result.restored, *result.there]):
            _AGAIN[verb](context, sorted(back, reverse=True))

    _run(context, Task(f"Bringing back {copies_words(len(ids))}", work, done, lambda error: _failed(context, error)))


def _empty(context: ConsoleContext, ids: list[int], taken: Taken | None, then: Callable[[], None] | None) -> None:
    trace.note("act", name="empty", copies=len(ids))

    def work(progress: Progress, cancelled: Cancelled) -> tuple[DeleteResult, bool]:
        result = empty_bin(context.vault, ids, operator=context.operator, progress=progress, cancelled=cancelled)
        return result, cancelled()

    def done(answer: tuple[DeleteResult, bool]) -> None:
        context.deleting -= 1
        result, stopped = answer
        failed = [*result.refused, *((copy_id, "it is no longer in the bin") for copy_id in result.missing)]

        def said(count: int) -> str:
            what = "Message copy has" if count == 1 else f"{count:,} message copies have"
            return f"{what} been deleted from the bin for good{result.left and '. ' + result.left}"

        actions.report(context, TITLE, ids, len(result.deleted), failed, stopped, said, "deleted for good")
        _taken(context, [*result.deleted, *result.missing], taken)
        if then is not None and result.deleted:
            then()

    _run(
        context, Task(f"Deleting {copies_words(len(ids))} for good", work, done, lambda error: _failed(context, error))
    )


def _run(context: ConsoleContext, task: Task[Any]) -> None:
    context.deleting += 1
    context.shell.run_task(task)


def _failed(context: ConsoleContext, error: Exception) -> None:
    context.deleting -= 1
    context.shell.notice(explain(error), severity="error")


def _taken(context: ConsoleContext, ids: Sequence[int], taken: Taken | None) -> None:
    if taken is not None:
        taken(ids)
    context.shell.store_changed()
