"""The copies that a command works on, given as ID…, `--query` or `--all`; and the rows that a filter line selects."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from store.catalogue.column_fields import CAMPAIGN_FIELDS
from store.catalogue.sort import NEWEST, Sort
from store.filters.line import parse
from store.filters.named import expanded, names_in
from store.helpers.clock import now_ms
from store.helpers.installed import installed
from store.terms.errors import TamperedError, UsageError
from store.terms.records import row_of
from store.terms.sender import address_first
from tui.commands.ids import in_range, parse_ids
from tui.commands.printing import local_time
from tui.commands.reporting import say_copies, say_failed
from tui.terminal.cells import local_zone
from tui.terminal.progress import Progress
from tui.terminal.safe import fit
from tui.terminal.words import counted, no_traits

if TYPE_CHECKING:
    from store.campaigns.standing import Standing
    from store.filters.model import Beside, MessageFilter
    from store.terms.records import Copy, Row
    from store.vault.vault import Vault

#: Number of copies above which a query without Polars takes a second or more.
MANY_COPIES = 50_000


class _Once(argparse.Action):
    """An argparse action that stores a value and rejects a repeated option: the first value would be lost."""

    def __call__(
        self, parser: argparse.ArgumentParser, args: argparse.Namespace, value: Any, option: Any = None
    ) -> None:
        if getattr(args, self.dest) is not None:
            raise argparse.ArgumentError(self, "it is given twice; give one filter")
        setattr(args, self.dest, value)


def add_selection(parser: argparse.ArgumentParser, *, yes: str) -> None:
    """Declare ID…, --query, --all and --yes. `yes` is the help text of --yes."""
    parser.add_argument("ids", metavar="ID", nargs="*", help="IDs of copies, or ranges such as 17-25")
    parser.add_argument(
        "--query",
        metavar="Q",
        action=_Once,
        help="select copies by a filter or a saved one (@NAME), instead of by ID",
    )
    parser.add_argument("--all", action="store_true", help="select all copies in Backup")
    parser.add_argument("--yes", action="store_true", help=yes)


def check_selection(args: argparse.Namespace) -> None:
    """Reject a selection that is empty or ambiguous, before the store is unlocked. Raises UsageError.

    An empty filter line is rejected: it would match every copy, and is most often an unset variable of a script.
    """
    if bool(args.ids) + (args.query is not None) + args.all > 1:
        raise UsageError("IDs, --query and --all cannot be combined. Give one of them.")
    if args.query is not None:
        _require_words(args.query)
    elif args.ids:
        parse_ids(args.ids)
    elif not args.all:
        raise UsageError("No copies selected. Give the IDs of copies, --query with a filter, or --all.")


def _require_words(query: str) -> None:
    """Reject a filter line without terms, or whose only terms are blanks and quotation marks. Raises UsageError."""
    if query.strip(' \t\r\n"'):
        wanted = parse(query, tz=local_zone())
        texts = {name: getattr(wanted, name) for name in ("from_", "to", "subject", "message_id", "words")}
        written = {name: tuple(term for term in terms if term.text.strip()) for name, terms in texts.items()}
        if not msgspec.structs.replace(wanted, **written).is_empty:
            return
    raise UsageError(
        "The filter of --query is empty, which would select every copy (perhaps a variable is not set). Give a "
        "filter, or --all for all copies."
    )


class Missing(NamedTuple):
    """What a selection names and Backup does not have: single ids, and ranges of which it has no copy, with reasons."""

    copies: dict[int, str]
    ranges: dict[str, str]

    def say(self) -> int:
        """Print each with the reason; return their number."""
        ranges = say_failed((f"copies {each}", why) for each, why in self.ranges.items())
        return say_copies(self.copies.items()) + ranges


def selected_ids(vault: Vault, args: argparse.Namespace) -> tuple[list[int], Missing]:
    """Return the selected ids, and what of the selection is missing.

    A range stands for the existing copies in it. Raises UsageError like `check_selection`.
    """
    check_selection(args)
    missing = Missing({}, {})
    if args.query is not None:
        _require_words(written_out(vault, args.query))
        damaged: set[int] = set()
        rows, _ = select_rows(vault, args.query, damaged=damaged)
        say_damaged(damaged)
        return [row.id for row in rows], missing
    if args.all:
        return vault.ids(), missing
    existing = vault.ids()
    chosen: dict[int, None] = {}
    for low, high in parse_ids(args.ids):
        found = in_range(existing, low, high)
        chosen.update(dict.fromkeys(found))
        if not found and low == high:
            missing.copies[low] = str(vault.missing(low))
        elif not found:
            missing.ranges[f"{low}-{high}"] = _why_none(vault, low, high)
    return list(chosen), missing


def _why_none(vault: Vault, low: int, high: int) -> str:
    """Return why Backup has no copy in a range of ids, and how to restore those that are in the bin."""
    binned = in_range(vault.bin.ids(), low, high)
    if not binned:
        return "Backup has no copy with such an ID: they were deleted, removed by rotation, or never existed."
    what = counted(len(binned), "of them is in the bin", "of them are in the bin")
    them = "it" if len(binned) == 1 else "them"
    ids = f"{binned[0]}-{binned[-1]}" if len(binned) > 1 else f"{binned[0]}"
    return f"Backup has none of them; {what}. To restore {them}: `mailhold bin restore {ids}`."


def select_rows(
    vault: Vault,
    query: str,
    *,
    damaged: set[int] | None = None,
    sort: Sort | None = None,
    limit: int | None = None,
) -> tuple[list[Row], int]:
    """Return the rows that match the filter line `query`, and the number of all matches.

    Ids of copies that do not verify are added to `damaged`: whether they match is unknown. The catalogue is loaded only
    if the database alone cannot answer: a plain newest-first list needs no index.
    """
    flt = parse(written_out(vault, query), tz=local_zone())
    damaged = set() if damaged is None else damaged
    if flt.is_empty and sort is None and limit is not None:
        newest = vault.newest(limit, on_error=lambda copy_id, _error: damaged.add(copy_id))
        return [row_of(copy) for copy in newest], vault.count().messages
    if not installed("polars"):
        return _walked(vault, flt, sort, limit, damaged)
    from store.catalogue.catalogue import Catalogue
    from store.catalogue.once import select_once

    if limit is not None and (answer := select_once(vault, flt, sort or NEWEST, limit)) is not None:
        return answer
    catalogue = Catalogue(vault)
    catalogue.standing = _standing(vault, flt)
    try:
        catalogue.start()
        catalogue.wait_complete()
        with Progress("Reading") as progress:
            catalogue.wait_for(flt, progress)
        selection = catalogue.select(flt, sort or NEWEST)
        damaged.update(catalogue.damaged)
        _say_unread(selection.unread)
        stop = selection.count if limit is None else min(limit, selection.count)
        return selection.rows(0, stop), selection.count
    finally:
        catalogue.close()


def written_out(vault: Vault, query: str) -> str:
    """Replace saved filters (@name) in a filter line by their text. Raises FilterError for an unknown name."""
    if not names_in(query):
        return query
    from store.filters.saved import read_saved_filters

    return expanded(query, read_saved_filters(vault))


def _standing(vault: Vault, flt: MessageFilter) -> Standing:
    """Read the campaigns if the filter refers to them; else return an empty standing."""
    from store.campaigns.standing import Standing

    if flt.asks().isdisjoint(CAMPAIGN_FIELDS):
        return Standing()
    from store.campaigns.reading import StandingReader

    return StandingReader(vault).read()


def _say_unread(count: int) -> None:
    """Print the number of copies for which it is unknown whether they match."""
    if count:
        print(f"mailhold: {no_traits(count)}", file=sys.stderr)


def say_damaged(damaged: Iterable[int]) -> int:
    """Print each copy that does not verify; return their number."""
    why = "it is damaged or was tampered with, and cannot be listed; `mailhold check` says why"
    return say_copies((copy_id, why) for copy_id in sorted(damaged))


def _walked(
    vault: Vault, flt: MessageFilter, sort: Sort | None, limit: int | None, damaged: set[int]
) -> tuple[list[Row], int]:
    """Select like `select_rows`, but without Polars. Warns on standard error if that may be slow."""
    from store.catalogue.beside import besides
    from store.catalogue.walk import first_of
    from store.delivery.releases import Releases

    total = vault.count().messages
    if total > MANY_COPIES:
        print(
            f"mailhold: Polars is not installed, so {total:,} copies are searched one by one, which is slow. To speed "
            "it up: `pip install 'mailhold[console]'`.",
            file=sys.stderr,
        )
    outcomes, standing = Releases(vault).read() if flt.asks_delivered() else None, _standing(vault, flt)
    beside: dict[int, Beside] = {}
    done = unread = 0
    with Progress("Searching") as progress:

        def copies() -> Iterator[Copy]:
            nonlocal done, unread
            for batch in vault.batches(0, vault.id_range()[1], on_error=lambda copy_id, _error: damaged.add(copy_id)):
                beside.clear()
                beside.update(besides(vault, standing, flt, [copy.id for copy in batch]))
                yield from batch
                done += len(batch)
                unread += sum(not one.looked for one in beside.values())
                progress(done, max(done, total))

        found = first_of(copies(), flt, sort or NEWEST, limit, now=now_ms(), outcomes=outcomes, beside=beside)
    _say_unread(unread)
    return found


def described(vault: Vault, ids: Sequence[int]) -> str:
    """Describe copies for a question: one by its sender and subject, several by their number and times of placement."""
    failed: list[TamperedError] = []
    ends = vault.get_many(sorted({min(ids), max(ids)}), on_error=lambda _id, error: failed.append(error))
    if len(ids) == 1:
        said = [
            f'"{fit(copy.record.subject, 60).rstrip()}" from {fit(address_first(copy.record.from_), 60).rstrip()}'
            for copy in ends
        ]
        return " ".join([f"copy {ids[0]}", *said])
    times = [local_time(copy.stored_at) for copy in ends]
    if len(times) < 2:
        return f"{len(ids):,} copies"
    first, last = times
    return f"{len(ids):,} copies, placed {f'between {first} and {last}' if first != last else f'at {first}'}"
