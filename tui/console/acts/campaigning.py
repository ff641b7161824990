"""Changes to campaigns: name, owner, state and note; peeling copies off; joining campaigns.

Each asks in a window first. The changes are signed configuration: every console sees them, and `z` undoes them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING

from store.campaigns import marks
from store.campaigns.marks import MAX_NAME, MAX_NOTE, State
from tui.console import trace
from tui.console.acts.actions import reason_against
from tui.console.dialogs.campaign import CampaignTextDialog
from tui.console.dialogs.confirm import ConfirmDialog
from tui.console.text.campaign_copies import order_of
from tui.console.text.campaign_rows import CampaignRow, name_of
from tui.terminal.safe import safe
from tui.terminal.words import copies, counted

if TYPE_CHECKING:
    from store.campaigns.standing import Campaign
    from tui.console.context import ConsoleContext

#: An act on one campaign.
Act = Callable[["ConsoleContext", "Campaign"], None]
TITLE = "Campaigns"
_SHOWN = 60
#: The next state when the user changes the state.
_NEXT = {State.NEW: State.OPEN, State.OPEN: State.DONE, State.DONE: State.OPEN}
_STATE_WORDS = {State.NEW: "new", State.OPEN: "open (somebody works on it)", State.DONE: "done"}


def called(campaign: Campaign) -> str:
    """Name a campaign within a sentence, safe to show."""
    return f'campaign {campaign.id} ("{safe(name_of(campaign), max_len=_SHOWN)}")'


def typical_copy(campaign: Campaign, but: Collection[int] = ()) -> int | None:
    """Return the copy that stands for a campaign: the middle one of those that fit best, none of `but`.

    If none fits, an odd copy; None if there is none either.
    """
    left = [(fit, copy) for copy, fit in zip(campaign.copies, campaign.fits, strict=True) if copy not in but]
    if not left:
        return next((each.copy for each in campaign.odd if each.copy not in but), None)
    most = max(left)[0]
    best = [copy for fit, copy in left if fit == most]
    return best[len(best) // 2]


def colleague_warning(context: ConsoleContext, campaign: Campaign) -> str:
    """Return a warning that a colleague works on a campaign, or "". Safe to show."""
    owner = campaign.mark.owner
    return f"{safe(owner, max_len=40)} works on it." if owner and owner != context.operator else ""


def peel_off(context: ConsoleContext, campaign: Campaign, ids: Sequence[int], *, odd: bool = False) -> None:
    """Ask, then take copies out of a campaign. `odd`: the copies are its odd ones."""
    typed = context.shell.typed

    def found(stays: int | None) -> None:
        if stays is None:
            context.shell.notice("One copy must stay in the campaign: peel off fewer.", severity="refusal")
            return
        context.shell.drop_typing_since(typed)
        _ask_to_peel(context, campaign, ids, stays, odd=odd)

    context.shell.background(lambda: typical_copy(campaign, set(ids)), found, group="look")


def _ask_to_peel(context: ConsoleContext, campaign: Campaign, ids: Sequence[int], stays: int, *, odd: bool) -> None:
    one = len(ids) == 1
    what = f"the {counted(len(ids), 'odd copy', 'odd copies')}" if odd else "this copy" if one else copies(len(ids))
    they = "It stays" if one else "They stay"
    question = (
        f"Peel {what} off {called(campaign)}? {they} in Backup; similar copies that arrive later will be odd too."
    )
    vault, operator, number = context.vault, context.operator, campaign.id
    _ask(
        context,
        campaign,
        question,
        "Peel off",
        lambda: marks.peel(vault, number, ids, stays, operator=operator),
        f"{copies(len(ids))} peeled off campaign {number}; z undoes this",
    )


def join(context: ConsoleContext, campaigns: Sequence[Campaign], into: Campaign) -> None:
    """Ask, then join campaigns to another one, in one act."""
    vault, operator = context.vault, context.operator
    one = len(campaigns) == 1
    what = called(campaigns[0]) if one else counted(len(campaigns), "campaign", "campaigns")

    numbers = [each.id for each in campaigns]
    said = f"Campaign {campaigns[0].id} was" if one else f"{len(campaigns):,} campaigns were"
    warned = next((each for each in (*campaigns, into) if colleague_warning(context, each)), into)
    question = f"Join {what} to {called(into)}? They are then handled as one campaign."
    _ask(
        context,
        warned,
        question,
        "Join",
        lambda: marks.join_all(vault, numbers, into.id, operator=operator),
        f"{said} joined to campaign {into.id}; z undoes this",
    )


def part(context: ConsoleContext, campaign: Campaign) -> None:
    """Ask, then separate the campaign that was joined to this one last."""
    number = campaign.parts[-1]
    vault, operator = context.vault, context.operator
    _ask(
        context,
        campaign,
        f"Separate campaign {number} from {called(campaign)}, so that it stands alone again?",
        "Separate",
        lambda: marks.join(vault, number, 0, operator=operator),
        f"Campaign {number} stands alone again; z undoes this",
    )


def join_or_part(context: ConsoleContext, row: CampaignRow) -> None:
    """Join a campaign to its elder; if it has none, separate the campaign that was joined to it last."""
    elder = context.catalogue.standing.campaign(row.elder) if row.elder else None
    if elder is not None and elder.id != row.campaign.id:
        join(context, [row.campaign], elder)
    elif row.campaign.parts:
        part(context, row.campaign)


def delete(context: ConsoleContext, campaigns: Sequence[Campaign]) -> None:
    """Delete the copies that fit the campaigns, after checks and a question.

    Their odd copies must have been shown before.
    """
    if (reason := reason_against(context, "delete")) is not None:
        context.shell.notice(reason, severity="refusal")
        return
    alone = next((one for one in campaigns if not one.rank.sure), None)
    if alone is not None and len(campaigns) > 1:
        said = f"Campaign {alone.id} is in stolen threads: look at it and delete it on its own."
        context.shell.notice(said, severity="refusal")
        return
    seen, frame = frozenset(context.seen_odd), context.catalogue.frame

    def look() -> tuple[Campaign, list[int]] | None:
        for one in campaigns:
            unseen = [each.copy for each in one.odd if each.copy not in seen]
            there = set() if frame is None or not unseen else set(frame.ids.gather(frame.rows_of(unseen)).to_list())
            if there:
                return one, [copy for copy in order_of(one).ids if copy in there]
        return None

    def found(unseen: tuple[Campaign, list[int]] | None) -> None:
        if unseen is None:
            _clear(context, campaigns)
            return
        one, odd = unseen
        context.shell.open_campaign(one.id, odd[0])
        have = "odd copy has" if len(odd) == 1 else "odd copies have"
        context.shell.notice(
            f"{len(odd):,} {have} not been viewed yet. Check how {'it differs' if len(odd) == 1 else 'they differ'}, "
            "then press d here.",
            severity="refusal",
        )

    context.shell.background(look, found, group="look")


def _clear(context: ConsoleContext, campaigns: Sequence[Campaign]) -> None:
    from tui.console.acts.clearing import clear

    def show(copy: int) -> None:
        one = next((one for one in campaigns if copy in one.copies), None)
        if one is not None:
            context.shell.open_compare(one.id, copy)

    clear(context, [one.id for one in campaigns], show=show)


def own(context: ConsoleContext, campaign: Campaign) -> None:
    """Ask, then make the operator the owner of a campaign, or remove the owner if that is the operator."""
    vault, operator, number = context.vault, context.operator, campaign.id
    mine = campaign.mark.owner == operator
    if not operator:
        context.shell.notice("This console has no operator name, so it cannot take campaigns.", severity="warning")
        return
    verb = "Give back" if mine else "Take"
    said = f"Nobody works on campaign {number} now" if mine else f"Campaign {number} is yours now"
    _ask(
        context,
        campaign,
        f"{verb} {called(campaign)}? {'Then nobody works on it.' if mine else 'Others will see that you work on it.'}",
        verb,
        lambda: marks.own(vault, number, "" if mine else operator, operator=operator),
        f"{said}; z undoes this",
    )


def next_state(context: ConsoleContext, campaign: Campaign) -> None:
    """Ask, then set the state of a campaign: new to open, open to done, done to open."""
    vault, operator, number = context.vault, context.operator, campaign.id
    state = _NEXT[campaign.mark.state]
    _ask(
        context,
        campaign,
        f"Set {called(campaign)} to {_STATE_WORDS[state]}? It is {campaign.mark.state.value} now.",
        f"Set to {state.value}",
        lambda: marks.set_state(vault, number, state, operator=operator),
        f"Campaign {number} is {state.value} now; z undoes this",
    )


def rename(context: ConsoleContext, campaign: Campaign) -> None:
    """Ask for a name in a window, then name a campaign."""
    vault, operator, number = context.vault, context.operator, campaign.id
    dialog = CampaignTextDialog(
        "Name of the campaign",
        called(campaign).capitalize(),
        campaign.mark.name,
        limit=MAX_NAME,
        placeholder="empty removes the name",
        warning=colleague_warning(context, campaign),
    )

    def answered(text: str | None) -> None:
        if text is not None and text != campaign.mark.name:
            said = f"Campaign {number} is called {safe(text)} now" if text else f"Campaign {number} has no name now"
            _do(context, lambda: marks.name(vault, number, text, operator=operator), f"{said}; z undoes this")

    context.shell.ask(dialog, answered)


def write_note(context: ConsoleContext, campaign: Campaign) -> None:
    """Ask for a note in a window, then set it on a campaign."""
    vault, operator, number = context.vault, context.operator, campaign.id
    dialog = CampaignTextDialog(
        "Note on the campaign",
        called(campaign).capitalize(),
        campaign.mark.note,
        limit=MAX_NOTE,
        placeholder="empty removes the note",
        warning=colleague_warning(context, campaign),
    )

    def answered(text: str | None) -> None:
        if text is not None and text != campaign.mark.note:
            said = "The note was removed" if not text else f"Note on campaign {number} saved"
            _do(context, lambda: marks.note(vault, number, text, operator=operator), f"{said}; z undoes this")

    context.shell.ask(dialog, answered)


def _ask(
    context: ConsoleContext, campaign: Campaign, question: str, verb: str, work: Callable[[], object], said: str
) -> None:
    dialog = ConfirmDialog(TITLE, question, verb, warning=colleague_warning(context, campaign), ready=True)
    context.shell.ask(dialog, lambda yes: _do(context, work, said) if yes else None)


def _do(context: ConsoleContext, work: Callable[[], object], said: str) -> None:
    """Run a change in a thread, then show a notice."""

    def done(_: object) -> None:
        context.shell.notice(said)
        context.shell.store_changed()

    trace.note("act", name="campaigns")
    context.shell.background(work, done, group="campaigns: act")
