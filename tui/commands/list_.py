"""`mailhold list`: message copies that match a filter line."""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from store.catalogue.sort import Sort, SortKey
from store.database.modes import Use
from store.filters.line import parse
from store.filters.named import written
from store.mail.outcome import Delivered, delivered
from store.terms.errors import UsageError
from store.terms.sender import address_first
from store.terms.verdicts import verdict_label
from tui.commands.free_space import warn_of_settings
from tui.commands.opened import opened
from tui.commands.printing import iso, local_time, print_json
from tui.commands.selection import say_damaged, select_rows
from tui.terminal.cells import local_zone
from tui.terminal.outcome_words import SIGNS
from tui.terminal.safe import fit, safe

if TYPE_CHECKING:
    from store.campaigns.standing import Place
    from store.delivery.outcomes import MailboxOutcome
    from store.mail.outcome import Delivered
    from store.terms.records import Row


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare QUERY, --limit, --sort and --json."""
    parser.add_argument(
        "query",
        metavar="QUERY",
        nargs="*",
        help='a filter, for example from:exa period:week "cheap pills"; @NAME uses a saved one; all words must match, '
        "except that values of one choice field are alternatives (rule:1 rule:2 means rule:1,2)",
    )
    parser.add_argument("--limit", metavar="N", type=int, help="print only the first N")
    parser.add_argument(
        "--sort", metavar="KEY", help="sort by placed, engine, from, to, subject, size or rule (-KEY: descending)"
    )
    parser.add_argument("--json", action="store_true", help="print an array of objects")


def run(args: argparse.Namespace) -> int:
    """Print the list; return 1 if a copy does not verify and is left out. Raises UsageError, FilterError."""
    if args.limit is not None and args.limit < 0:
        raise UsageError("--limit must be a number of copies, 0 or more.")
    query = " ".join(_quoted(word) for word in args.query) if len(args.query) > 1 else "".join(args.query)

    parse(
        query, tz=local_zone()
    )  # parse the filter before the store is unlocked, so that its errors need no passphrase
    with opened(args, Use.READ) as vault:
        limit = None if args.limit is None else min(args.limit, 1 << 62)  # databases take no larger number
        damaged: set[int] = set()
        rows, count = select_rows(vault, query, sort=parse_sort(args.sort), limit=limit, damaged=damaged)
        if args.json:
            from store.campaigns.reading import StandingReader
            from store.delivery.outcomes import mailbox_outcomes

            standing = StandingReader(vault).read()
            ids = [row.id for row in rows]
            reasons = {copy.id: copy.record.reason for copy in vault.get_many(ids, on_error=lambda *_: None)}
            mailboxes = mailbox_outcomes(vault, ids)
        else:
            from store.delivery.releases import Releases

            outcomes = Releases(vault).read()
        warn_of_settings(vault)
    if args.json:
        print_json(
            [as_json(row, reasons.get(row.id), mailboxes.get(row.id, []), standing.place(row.id)) for row in rows]
        )
        for problem in standing.problems:
            print(f"mailhold: {safe(problem)}", file=sys.stderr)
    else:
        _print_table(rows, count, outcomes)
    return 1 if say_damaged(damaged) else 0


def parse_sort(text: str | None) -> Sort | None:
    """Parse --sort: `size` is ascending, `-size` descending; None is the default, newest first. Raises UsageError."""
    if text is None:
        return None
    name = text.lstrip("-+").upper()
    if name not in SortKey.__members__:
        raise UsageError(
            f"There is no sort order `{text}`. Use one of: {', '.join(key.lower() for key in SortKey.__members__)}."
        )
    return Sort(SortKey[name], text.startswith("-"))


def as_json(row: Row, reason: Any, outcomes: list[MailboxOutcome], place: Place | None = None) -> dict[str, Any]:
    """Convert a list line to the JSON object in docs/commands.md. `place` is the copy's place in a campaign."""
    return {
        "id": row.id,
        "from": row.from_,
        "to": row.to,
        "subject": row.subject,
        "message_id": row.message_id,
        "mta_message_id": row.mta_message_id,
        "rule_id": row.rule_id,
        "stored_at": iso(row.stored_at),
        "size": row.size,
        "engine": row.engine.value if row.engine else None,
        "status": row.status.value if row.status else None,
        "reason": reason_text(reason),
        "delivered": delivered(each.state for each in outcomes).value,
        "recipients": [recipient_json(each) for each in outcomes],
        "campaign": place.campaign if place else None,
        "fit": place.fit if place and not place.reasons else None,
        "odd": bool(place.reasons) if place else None,
        "odd_reasons": [reason.value for reason in place.reasons] if place else None,
    }


def recipient_json(outcome: MailboxOutcome) -> dict[str, Any]:
    """Convert a recipient of a release, with its outcome, to the JSON object in docs/commands.md."""
    return {"address": outcome.address, "state": outcome.state.value, "at": iso(outcome.at)}


def reason_text(reason: Any) -> str | None:
    """Format a verdict as `Anti-Virus: Infected (Eicar-Signature)`. None stays None."""
    if reason is None:
        return None
    text = f"{reason.engine.label}: {reason.status.label}"
    return f"{text} ({reason.detail})" if reason.detail else text


def _quoted(word: str) -> str:
    # The shell removed the quotes: a word with spaces was one quoted term, subject:"cheap pills" or "cheap pills".
    if " " not in word or '"' in word:
        return word
    if word.startswith("@"):
        return written(word[1:])
    key, colon, value = word.partition(":")
    return f'{key}:"{value}"' if colon and " " not in key else f'"{word}"'


def _print_table(rows: list[Row], count: int, outcomes: Mapping[int, Delivered]) -> None:
    from store.authority.settings import format_size

    width = shutil.get_terminal_size((120, 24)).columns if sys.stdout.isatty() else 160
    text = max(12, (width - 60) // 3)
    for row in rows:
        verdict = verdict_label(row.engine, row.status) if row.status else "-"
        sign = SIGNS[outcomes.get(row.id, Delivered.NO)][0]
        print(
            f"{row.id:>8}  {local_time(row.stored_at)}  {sign} {fit(verdict, 18)}  "
            f"{fit(address_first(row.from_), text)}  {fit(row.to, text)}  "
            f"{fit(row.subject, text)} {format_size(row.size):>9}".rstrip()
        )
    if sys.stdout.isatty():
        print(f"{len(rows):,} shown of {count:,}")
