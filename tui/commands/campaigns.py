"""`mailhold campaigns`: list and show campaigns; take copies out, join, name and own them."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from store.database.modes import Use
from store.helpers.clock import now_ms
from store.helpers.installed import installed
from store.terms.errors import UsageError
from tui.commands.asking import confirm
from tui.commands.ids import parse_ids
from tui.commands.interrupt import Interrupt
from tui.commands.opened import opened
from tui.commands.printing import print_json
from tui.commands.reporting import say_cancelled, say_copies
from tui.commands.selection import MANY_COPIES
from tui.terminal.progress import Progress
from tui.terminal.safe import safe
from tui.terminal.words import copies

if TYPE_CHECKING:
    from collections.abc import Sequence

    from store.campaigns.standing import Campaign, Standing
    from store.catalogue.plain_summaries import Left
    from store.catalogue.summary import Summary
    from store.vault.vault import Vault

_READING = ("list", "show")
#: Per verb: least and most words, and its syntax for error messages.
_WORDS: dict[str, tuple[int, int | None, str]] = {
    "list": (0, 0, "campaigns list"),
    "show": (1, 1, "campaigns show ID"),
    "peel": (2, None, "campaigns peel ID COPY…"),
    "join": (2, 2, "campaigns join ID INTO (0: alone again)"),
    "name": (2, None, 'campaigns name ID TEXT ("": no name)'),
    "own": (1, 2, 'campaigns own ID [NAME] ("": nobody)'),
    "note": (2, None, 'campaigns note ID TEXT ("": no note)'),
    "state": (2, 2, "campaigns state ID new|open|done"),
}
_UNDO = "`mailhold undo` takes this back."
#: Copies that `show` prints by default: those with the lowest fit.
_SHOWN = 20


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb, its words, --no-find, --limit, --yes and --json."""
    parser.add_argument("verb", nargs="?", choices=list(_WORDS), default="list", help="default: list")
    parser.add_argument(
        "words",
        metavar="WORD",
        nargs="*",
        help="show ID; peel ID COPY… (take these copies out, and similar ones that arrive later); join ID INTO; name "
        "ID TEXT; own ID (you, or a NAME); note ID TEXT; state ID new, open or done",
    )
    parser.add_argument("--no-find", action="store_true", help="list, show: do not look at new copies first")
    parser.add_argument(
        "--limit", metavar="N", type=int, help=f"show: print N copies of the campaign (default: {_SHOWN})"
    )
    parser.add_argument(
        "--yes", action="store_true", help="do not ask before changing a campaign that a colleague owns"
    )
    parser.add_argument(
        "--json",
        action="store_true",
        help="list: print an array of {id, copies, odd, first, last, name, owner, state, evidence, …}; show: one such "
        "object with members (copies and their fit) and odd_members (odd copies and the reasons)",
    )


def run(args: argparse.Namespace) -> int:
    """List, show or change campaigns; return 1 if a copy or a campaign cannot be read.

    Raises UsageError.
    """
    least, most, written = _WORDS[args.verb]
    if len(args.words) < least or (most is not None and len(args.words) > most):
        raise UsageError(f"Write `mailhold {written}`.")
    if args.verb not in _READING and args.no_find:
        raise UsageError("--no-find is only for `campaigns list` and `campaigns show`.")
    if args.verb != "show" and args.limit is not None:
        raise UsageError("--limit is only for `campaigns show`.")
    number = _number(args.words[0]) if args.words else 0
    if args.verb not in _READING:
        _check_words(args)
        return _change(args, number)
    use = Use.READ if args.no_find else Use.EITHER
    with opened(args, use) as vault:
        from store.campaigns.reading import StandingReader

        failures = 0 if args.no_find or vault.read_only is not None else _find(vault)
        standing = StandingReader(vault).read()
        if args.verb == "list":
            _list(vault, standing, as_json=args.json)
        else:
            failures += _show(vault, _campaign(standing, number), args)
        for problem in standing.problems:
            print(f"mailhold: {safe(problem)}", file=sys.stderr)
        failures += len(standing.problems)
    return 1 if failures else 0


def _number(text: str) -> int:
    """Parse one campaign id. Raises UsageError."""
    [(number, last)] = parse_ids([text])
    if number != last:
        raise UsageError("Give the ID of one campaign, not a range. `mailhold campaigns` lists them.")
    return number


def _check_words(args: argparse.Namespace) -> None:
    """Check the words of a verb that changes a campaign, before the store is unlocked. Raises UsageError."""
    from store.campaigns.marks import State

    if args.verb == "peel":
        parse_ids(args.words[1:])
    elif args.verb == "join" and args.words[1] != "0":
        _number(args.words[1])
    elif args.verb == "state" and args.words[1] not in list(State):
        raise UsageError(f"`{safe(args.words[1])}` is not a state of a campaign. Use one of: {', '.join(State)}.")


def _find(vault: Vault) -> int:
    """Index new copies and find campaigns among them; return the number of failures."""
    from store.campaigns.finding import find
    from store.campaigns.reading import StandingReader

    damaged = bool(StandingReader(vault).read().problems)
    with Progress("Indexing") as progress, Interrupt() as interrupt:
        result = find(vault, progress=progress, cancelled=interrupt, again=damaged)
    failures = say_copies(result.failed)
    return failures + say_cancelled(interrupt, "campaigns", "cancelled; campaigns are shown as they were before")


def _campaign(standing: Standing, number: int) -> Campaign:
    """Find the campaign with this id. Raises UsageError if there is none."""
    found = standing.campaign(number)
    if found is None:
        raise UsageError(f"There is no campaign {number}. `mailhold campaigns` lists them.")
    return found


def _list(vault: Vault, standing: Standing, *, as_json: bool) -> None:
    from tui.commands.campaign_output import as_json as campaign_json
    from tui.commands.campaign_output import table

    sums, left = _summaries(vault, standing)
    # A campaign whose copies are all in the bin still exists, but is not listed.
    there = [one for one in standing.campaigns if sums[one.id].copies or sums[one.id].odd]
    if as_json:
        print_json([campaign_json(one, sums[one.id]) for one in there])
        return
    for line in table(there, sums):
        print(line)
    if not there:
        print("There are no campaigns.")
    print(f"Not in a campaign: {copies(left.copies)} from {left.senders:,} sender{'s' * (left.senders != 1)}")
    if standing.waiting:
        print(
            f"mailhold: {copies(standing.waiting)} not looked at yet; run without --no-find to include them.",
            file=sys.stderr,
        )


def _summaries(vault: Vault, standing: Standing) -> tuple[dict[int, Summary], Left]:
    from store.catalogue.plain_summaries import Left, counted_campaigns

    if vault.count().messages <= MANY_COPIES or not installed("polars"):
        return counted_campaigns(vault.scan(on_error=lambda *_: None), standing, now_ms())
    from store.catalogue.catalogue import Catalogue
    from store.catalogue.summaries import senders, summaries

    catalogue = Catalogue(vault)
    try:
        catalogue.start()
        catalogue.wait_complete()
        left = senders(catalogue, standing)
        return summaries(catalogue, standing), Left(left.copies, left.count)
    finally:
        catalogue.close()


def _show(vault: Vault, campaign: Campaign, args: argparse.Namespace) -> int:
    """Print a campaign; return the number of its copies that do not verify."""
    from store.catalogue.plain_summaries import counted
    from tui.commands.campaign_output import as_json, lines, members

    damaged: dict[int, str] = {}

    def note(copy_id: int, error: Exception) -> None:
        damaged[copy_id] = str(error)

    odd_ids = [each.copy for each in campaign.odd]
    odd = {copy.id: copy for copy in vault.get_many(odd_ids, on_error=note)}
    fine = {copy.id: copy for copy in vault.get_many(list(campaign.copies), on_error=note)}
    summary = counted(fine.values(), now_ms())._replace(odd=len(odd))
    if args.json:
        print_json({**as_json(campaign, summary), **members(campaign, fine, odd)})
    else:
        for line in lines(campaign, summary, fine, odd, _SHOWN if args.limit is None else max(0, args.limit)):
            print(line)
    return say_copies(sorted(damaged.items()))


def _change(args: argparse.Namespace, number: int) -> int:
    """Change a campaign (peel, join, name, own, note, state), and print what was done."""
    from store.campaigns.reading import StandingReader
    from tui.commands.campaign_output import as_json

    with opened(args) as vault:
        operator = vault.opened_by
        reader = StandingReader(vault)
        standing = reader.read()
        campaign = _campaign(standing, number)
        text = " ".join(args.words[1:])
        if args.verb == "own" and len(args.words) == 1:
            if not operator:
                raise UsageError(f"This key has no name. Give one: `mailhold campaigns own {number} NAME`.")
            text = operator
        into = _campaign(standing, _number(text)) if args.verb == "join" and text != "0" else None
        _ask_of_colleagues([campaign, *([into] if into else [])], operator, yes=args.yes)
        if args.verb == "join":
            said = _join(vault, campaign, into, number, operator)
        else:
            said = _mark(vault, args, campaign, text, operator)
        if args.json:
            after = reader.read().campaign(campaign.id)
            print_json(as_json(after, None) if after else None)
        else:
            print(f"{said} {_UNDO}")
    return 0


def _join(vault: Vault, campaign: Campaign, into: Campaign | None, typed: int, operator: str) -> str:
    """Join a campaign to another, or part it from one. `typed`: the id as typed. Return what was done."""
    from store.campaigns import marks

    if into is not None:
        marks.join(vault, campaign.id, into.id, operator=operator)
        return f"Campaign {campaign.id} is joined to campaign {into.id}."
    # The typed id may name a part of a joined campaign, and only that part is taken out.
    marks.join(vault, typed, 0, operator=operator)
    return f"Campaign {typed} is no longer joined to another."


def _mark(vault: Vault, args: argparse.Namespace, campaign: Campaign, text: str, operator: str) -> str:
    """Peel, name, own, note or set the state. Return what was done."""
    from store.campaigns import marks

    number = campaign.id
    match args.verb:
        case "peel":
            out = _copies_out(campaign, args.words[1:])
            done = marks.peel(vault, number, out, _stays(campaign, out), operator=operator)
            return (
                f"{copies(len(done.copies))} taken out of campaign {number}. Similar copies that arrive later stay "
                "out too."
            )
        case "name":
            name = marks.name(vault, number, text, operator=operator).name
            return f"Campaign {number} is named {safe(name)}." if name else f"Campaign {number} has no name."
        case "own":
            owner = marks.own(vault, number, text, operator=operator).owner
            return f"Campaign {number} belongs to {safe(owner) or 'nobody'}."
        case "note":
            note = marks.note(vault, number, text, operator=operator).note
            return f'Note on campaign {number}: "{safe(note)}".' if note else f"Campaign {number} has no note."
        case _:
            state = marks.set_state(vault, number, marks.State(text), operator=operator).state
            return f"Campaign {number} is {state}."


def _ask_of_colleagues(campaigns: Sequence[Campaign], operator: str, *, yes: bool) -> None:
    """Ask for confirmation if one of the campaigns belongs to another operator.

    Raises UsageError if the answer is not yes.
    """
    for one in campaigns:
        if one.mark.owner and one.mark.owner != operator:
            confirm(f"Campaign {one.id} belongs to {one.mark.owner}, not to you.", yes=yes)


def _copies_out(campaign: Campaign, words: Sequence[str]) -> list[int]:
    """Return the ids of this campaign's copies that `words` (ids and ranges) name.

    Raises UsageError for an id that is not in it.
    """
    inside = {*campaign.copies, *(each.copy for each in campaign.odd)}
    chosen: dict[int, None] = {}
    for low, high in parse_ids(words):
        if low == high and low not in inside:
            raise UsageError(f"Copy {low} is not in campaign {campaign.id}. Nothing was changed.")
        chosen.update(dict.fromkeys([low] if low == high else [n for n in sorted(inside) if low <= n <= high]))
    return list(chosen)


def _stays(campaign: Campaign, out: Sequence[int]) -> int:
    """Return the id of the best-fitting copy that stays in the campaign. Raises UsageError if none stays."""
    gone = set(out)
    staying = [(fit, copy) for copy, fit in zip(campaign.copies, campaign.fits, strict=True) if copy not in gone]
    if not staying:
        raise UsageError(f"This would take all copies out of campaign {campaign.id}. Leave at least one that fits.")
    return max(staying)[1]
