"""Facts about the chosen copies, gathered before a window asks. The ids are fixed from then on.

This runs in threads, with a progress bar for many copies.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from store.authority.settings import settings_or_former
from store.filters.asked import is_known
from store.space.bin import Promise, promise_for
from store.terms.errors import StoreFormat, TamperedError
from store.terms.progress import Cancelled, Progress
from store.terms.sender import address_first, sender_differs
from tui.console.marks import Chosen
from tui.console.tasks import Task
from tui.console.text.campaign_rows import campaign_of
from tui.terminal.words import copies as copies_words

if TYPE_CHECKING:
    from store.mail.outcome import Delivered
    from store.terms.records import Copy
    from tui.console.acts.addressing import Addressed
    from tui.console.context import ConsoleContext
    from tui.console.dialogs.chosen import Summary

_PAGE = 500
#: Number of copies above which gathering shows a progress bar.
_MANY = 2_000
#: Most copies read to count known senders for the Delete window (30 ms per 1,000).
_READ = 5_000

GONE = "The marked copies have been deleted by someone else. Nothing was done."
NOTHING = "No message copy is selected."


@dataclass
class ChosenFacts:
    """Facts about the chosen copies, gathered before a window asks.

    `promise`: how long the bin keeps them, given `bin_days` days; None without a bin, and if it has `no_room` (then
    `bin_days` is 0), because the disk is full. `odd` copies are odd in their campaign, `fitting` ones fit theirs,
    `known` ones have a known sender (0 if counting would take too long).
    """

    ids: list[int]
    outside: int = 0
    dangerous: int = 0
    released: Counter[Delivered] = field(default_factory=Counter)
    live: int = 0
    odd: int = 0
    fitting: int = 0
    known: int = 0
    bin_days: int = 0
    no_room: bool = False
    promise: Promise | None = None
    addressed: Addressed | None = None
    cancelled: bool = False
    summary: Summary | None = None


def gather(
    context: ConsoleContext,
    chosen: Chosen | Sequence[int],
    title: str,
    add: Callable[[ConsoleContext, ChosenFacts, Progress, Cancelled], None],
    ask: Callable[[ChosenFacts], None],
) -> None:
    """Find the ids and the facts for the window in a thread; `add` adds those of this window. Then call `ask`."""
    if not isinstance(chosen, Chosen):
        chosen = Chosen.of(chosen)
    if not chosen.count:
        context.shell.notice(GONE if chosen.gone else NOTHING, severity="refusal")
        return

    typed = context.shell.typed

    def work(progress: Progress, cancelled: Cancelled) -> ChosenFacts:
        facts = ChosenFacts(chosen.ids())
        facts.outside = chosen.outside(facts.ids)
        facts.summary = summary_of(context, facts.ids, chosen.gone)
        add(context, facts, progress, cancelled)
        facts.cancelled = cancelled()
        return facts

    def done(facts: ChosenFacts) -> None:
        if facts.cancelled:
            context.shell.notice("Cancelled: nothing was done.")
        elif not facts.ids:
            context.shell.notice(NOTHING, severity="refusal")
        else:
            context.shell.drop_typing_since(typed)
            ask(facts)

    if chosen.count > _MANY:
        context.shell.run_task(Task(f"{title} of {copies_words(chosen.count)}", work, done, changes=False))
    else:
        context.shell.background(lambda: work(lambda done, total: None, lambda: False), done, group="look")


def summary_of(context: ConsoleContext, ids: Sequence[int], gone: int, *, binned: bool = False) -> Summary:
    """Describe copies of Backup (or of the bin) for the window that asks.

    `gone` of the chosen copies no longer exist.
    """
    from tui.console.dialogs.chosen import Summary

    if len(ids) == 1:
        for copy in context.vault.get_many(ids, on_error=lambda _copy_id, _error: None, binned=binned):
            record = copy.record
            differs = sender_differs(record.from_, record.envelope_sender)
            return Summary(
                context.tz,
                address_first(record.from_),
                record.subject or "(no subject)",
                copy.stored_at,
                copy.stored_at,
                (record.envelope_sender or "") if differs else "",
                gone,
            )
    placed = (0, 0) if binned else context.catalogue.placed_span(ids)
    return Summary(context.tz, "", "", *placed, gone=gone)


def _pages(
    context: ConsoleContext, ids: Sequence[int], progress: Progress, cancelled: Cancelled
) -> Iterator[list[Copy]]:
    for start in range(0, len(ids), _PAGE):
        if cancelled():
            return
        yield context.vault.get_many(ids[start : start + _PAGE])
        progress(min(start + _PAGE, len(ids)), len(ids))


def add_recipients(context: ConsoleContext, facts: ChosenFacts, progress: Progress, cancelled: Cancelled) -> None:
    """Add what the Deliver window needs."""
    from store.delivery.held import held_of
    from store.mail.local_domains import LocalDomains
    from tui.console.acts.addressing import Gathering

    gathering = Gathering(LocalDomains(context.settings.local_domains), context.tz)
    for page in _pages(context, facts.ids, progress, cancelled):
        facts.dangerous += sum(copy.record.dangerous for copy in page)
        facts.released.update(context.outcomes[copy.id] for copy in page if copy.id in context.outcomes)
        gathering.add(page, held_of(context.vault, [copy.id for copy in page]))
    facts.addressed = gathering.addressed()
    facts.fitting, facts.odd = context.catalogue.standing.counts(facts.ids)


def add_bin(context: ConsoleContext, facts: ChosenFacts, progress: Progress, cancelled: Cancelled) -> None:
    """Add what the Delete window needs."""
    ids = set(facts.ids)
    facts.live = len(context.live & ids)
    facts.odd = len(context.catalogue.standing.odd & ids)
    facts.known = _known_senders(context, facts.ids)
    facts.bin_days, facts.no_room = bin_now(context)
    if facts.bin_days:
        facts.promise = promise_for(context.vault, facts.ids, facts.bin_days, now=context.clock())


def bin_now(context: ConsoleContext) -> tuple[int, bool]:
    """Return how many days the bin keeps what is deleted now (0: without a bin), and whether it has no room."""
    days = settings_or_former(context.vault).bin_days
    no_room = bool(days) and not context.vault.room.has_some()
    return 0 if no_room else days, no_room


def _known_senders(context: ConsoleContext, ids: Sequence[int]) -> int:
    """Count the copies with a known sender. For more than `_READ` copies only if the catalogue already knows."""
    if len(ids) > _READ:
        return context.catalogue.known_senders(ids) or 0
    copies = context.vault.get_many(ids, on_error=lambda _copy_id, _error: None)
    return sum(is_known(copy.record) for copy in copies)


def add_dangerous(context: ConsoleContext, facts: ChosenFacts, progress: Progress, cancelled: Cancelled) -> None:
    """Add what the Save window needs."""
    for page in _pages(context, facts.ids, progress, cancelled):
        facts.dangerous += sum(copy.record.dangerous for copy in page)


def rules_to_choose(context: ConsoleContext) -> list[tuple[int, str]]:
    """List the rules in force and former ones that judged copies loaded so far, ascending by id, with their names."""
    from store.judging.rules.rules import read_rules

    names = dict(context.catalogue.rule_ids())
    with suppress(TamperedError, StoreFormat):
        names.update((rule.id, rule.name) for rule in read_rules(context.vault))
    return sorted(names.items())


def open_campaign_of(context: ConsoleContext, copy_id: int) -> None:
    """Open the campaign that a copy is in (odd or not), or say that it is in none."""
    one = campaign_of(context.catalogue.standing, copy_id)
    if one is None:
        context.shell.notice(f"Copy {copy_id} is in no campaign.")
    else:
        context.shell.open_campaign(one.id, copy_id)
