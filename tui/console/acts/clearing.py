"""Deletion of campaigns: check, ask in a window, delete the copies whose checks still hold, report.

Checks and deletion run in threads; `store.clearing` decides.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from store.clearing.checked import Checked, Loosest, checked
from store.space.bin import Promise, promise_for
from store.terms.progress import Cancelled, Progress
from tui.console import trace
from tui.console.acts import actions
from tui.console.acts.chosen_facts import bin_now
from tui.console.dialogs.delete_campaigns import DeleteCampaignsDialog
from tui.console.tasks import Task
from tui.terminal.bin_words import promise_words
from tui.terminal.clearing_words import gone_words, stay_words
from tui.terminal.words import copies as copies_words
from tui.terminal.words import message_copies

if TYPE_CHECKING:
    from store.campaigns.standing import Standing
    from store.vault.deleting import DeleteResult
    from tui.console.context import ConsoleContext

#: Number of copies above which checking shows a progress bar.
_MANY = 2_000
NOTHING = "No campaign is selected."


@dataclass
class _Checks:
    """The results of the checks. `promise`, `no_room`: as in `chosen_facts.ChosenFacts`."""

    checked: Checked
    bin_days: int
    no_room: bool
    promise: Promise | None
    cancelled: bool


def clear(
    context: ConsoleContext,
    chosen: Collection[int],
    *,
    scope: Collection[int] | None = None,
    show: Callable[[int], None] | None = None,
    then: Callable[[], None] | None = None,
) -> None:
    """Check what deleting the `chosen` campaigns (by id) would do, ask, then delete.

    `scope`: the copies that the choice is about, by default those of the campaigns. `show` is called with the copy that
    fits worst if the user wants to see it instead of deleting. `then` runs if any copy was deleted.
    """
    if reason := actions.reason_against(context, "delete"):
        context.shell.notice(reason, severity="refusal")
        return
    standing, typed = context.catalogue.standing, context.shell.typed
    size = _size(standing, chosen)
    if not size:
        context.shell.notice(NOTHING, severity="refusal")
        return

    def work(progress: Progress, cancelled: Cancelled) -> _Checks:
        vault, now = context.vault, context.clock()
        found = checked(vault, standing, chosen, now=now, scope=scope, progress=progress, cancelled=cancelled)
        days, no_room = bin_now(context)
        promise = promise_for(vault, found.ids, days, now=now) if days and found.ids else None
        return _Checks(found, days, no_room, promise, cancelled())

    def done(checks: _Checks) -> None:
        if checks.cancelled:
            context.shell.notice("Cancelled: nothing was done.")
        elif not checks.checked.total:
            context.shell.notice(_nothing(checks.checked), severity="refusal")
        else:
            context.shell.drop_typing_since(typed)
            _ask(context, checks, show, then)

    if size > _MANY:
        context.shell.run_task(Task(f"Checking {copies_words(size)}", work, done, changes=False))
    else:
        context.shell.background(lambda: work(lambda _done, _of: None, lambda: False), done, group="look")


def _size(standing: Standing, chosen: Collection[int]) -> int:
    found = {one.id: one for each in chosen if (one := standing.campaign(each)) is not None}
    return sum(len(one.copies) + len(one.odd) for one in found.values())


def _nothing(found: Checked) -> str:
    said = " ".join(filter(None, (stay_words(found.stay), gone_words(found.gone))))
    return f"Nothing to delete: {said[:1].lower()}{said[1:]}"


def _ask(
    context: ConsoleContext,
    checks: _Checks,
    show: Callable[[int], None] | None,
    then: Callable[[], None] | None,
) -> None:
    kept = "" if checks.promise is None else promise_words(checks.promise, context.tz, context.clock())

    def answered(answer: bool | Loosest | None) -> None:
        if isinstance(answer, Loosest):
            if show is not None:
                show(answer.copy)
        elif answer:
            _do(context, checks, then)

    dialog = DeleteCampaignsDialog(
        checks.checked, context.tz, kept=kept, no_room=checks.no_room, operator=context.operator
    )
    context.shell.ask(dialog, answered)


def _do(context: ConsoleContext, checks: _Checks, then: Callable[[], None] | None) -> None:
    """Delete as the window announced, except copies that were peeled off or became odd meanwhile."""
    ids = checks.checked.ids
    trace.note("act", name="clear", copies=len(ids))

    def delete(ids: Sequence[int], days: int, progress: Progress, cancelled: Cancelled) -> DeleteResult:
        from store.clearing.clearing import clear as clear_campaigns

        return clear_campaigns(
            context.vault,
            checks.checked,
            operator=context.operator,
            standing=lambda: context.catalogue.standing,
            days=days,
            ids=ids,
            progress=progress,
            cancelled=cancelled,
        )

    actions.run_deletion(context, ids, checks.bin_days, delete, then, _deleted)


def _deleted(count: int) -> str:
    return f"{message_copies(count)} {'has' if count == 1 else 'have'} been deleted"
