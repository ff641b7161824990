"""`mailhold import`: place messages from files in Backup, or count the senders of good mail as known."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from store.mail.local_domains import seen_words, to_set
from store.terms.errors import UsageError
from store.terms.verdicts import Engine, Status, Verdict
from tui.commands.free_space import look_at_free_space, warn_of_settings
from tui.commands.interrupt import Interrupt
from tui.commands.opened import opened
from tui.commands.printing import print_json
from tui.commands.reporting import apart, say_cancelled, say_copies, say_failed
from tui.terminal.progress import Progress
from tui.terminal.words import counted

if TYPE_CHECKING:
    from store.files.mailbox import ImportResult


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare PATH…, --known, --verdict, --rule, --force, --no-index and --json."""
    parser.add_argument(
        "paths", metavar="PATH", nargs="*", type=Path, help="a message (.eml), mbox, Maildir, folder or quarantine file"
    )
    parser.add_argument(
        "--known",
        metavar="FILE",
        action="append",
        type=Path,
        default=[],
        help="do not import; count the senders in FILE as known (a Maildir or mbox of good mail, or a text file with "
        "an address and a count on each line)",
    )
    parser.add_argument(
        "--verdict",
        metavar="ENGINE=STATUS",
        help="the verdict for all messages, for example anti-virus=infected (default: from scanner headers)",
    )
    parser.add_argument(
        "--rule", metavar="N", type=int, default=0, help="the ID of the processing rule for all messages"
    )
    parser.add_argument(
        "--force",
        action="store_true",
        help="import files that do not look like messages too, and accept a rule that does not exist",
    )
    parser.add_argument(
        "--no-index", action="store_true", help="do not index for campaigns now; run `mailhold index` later"
    )
    parser.add_argument(
        "--json",
        action="store_true",
        help='print {"imported": n, "left_out": n, "failed": [{"path", "error"}], "domains": {domain: copies}}; with '
        '--known {"messages": n, "lines": n, "counters": n, "failed": […]}',
    )


def run(args: argparse.Namespace) -> int:
    """Import the paths; return 1 if one failed. Raises UsageError if there is no path, or no such rule."""
    if args.known:
        return _known(args)
    if not args.paths:
        raise UsageError("Give the paths of messages to import, or --known FILE.")
    verdict = parse_verdict(args.verdict) if args.verdict else None
    if not 0 <= args.rule < 1 << 31:
        raise UsageError("--rule must be a rule's ID: a number from 0 to 2,147,483,647.")
    from store.authority.settings import settings_or_former
    from store.campaigns.indexing import index
    from store.files.mailbox import import_paths

    unread: list[tuple[int, str]] = []
    later = Interrupt()
    local: tuple[str, ...] = ()
    with opened(args) as vault:
        newest = vault.id_range()[1]
        with Progress("Importing") as progress, Interrupt() as interrupt:
            result = import_paths(
                vault,
                args.paths,
                verdict=verdict,
                rule=args.rule,
                force=args.force,
                operator=vault.opened_by,
                progress=progress,
                cancelled=interrupt,
            )
        if result.imported:
            look_at_free_space(vault)
        with apart("the settings could not be read"):
            warn_of_settings(vault)
            local = settings_or_former(vault).local_domains
        # Print the result now, before indexing takes time: a user who sees none may import everything again.
        _tell(args, result, local)
        if result.imported and not args.no_index and not interrupt():
            with apart("the imported copies could not be indexed"), Progress("Indexing") as progress, later:
                unread = index(vault, after_id=newest, progress=progress, cancelled=later).failed
    failures = say_failed(result.failed) + say_copies(unread)
    failures += say_cancelled(later, "index", "cancelled; `mailhold index` indexes the rest")
    failures += say_cancelled(
        interrupt,
        "import",
        "cancelled; imported copies stay in Backup, and a second run skips them",
    )
    return 1 if failures else 0


def _tell(args: argparse.Namespace, result: ImportResult, local: tuple[str, ...]) -> None:
    domains = result.domains.most()
    if args.json:
        failed = [{"path": str(path), "error": error} for path, error in result.failed]
        found = {"imported": result.imported, "left_out": result.left_out, "failed": failed, "domains": dict(domains)}
        print_json(found)
    else:
        print(f"{result.imported:,} placed in Backup" + (f", {len(result.failed):,} failed" if result.failed else ""))
        if result.left_out:
            print(f"{result.left_out:,} skipped: an earlier, interrupted import placed them")
        if domains and not local:
            print(f"Domains of recipients seen: {seen_words(domains)}. To set them as local domains: {to_set(domains)}")
    sys.stdout.flush()


def _known(args: argparse.Namespace) -> int:
    if args.paths or args.verdict or args.rule or args.force:
        raise UsageError("--known imports nothing, so it cannot be combined with PATH, --verdict, --rule or --force.")
    from store.files.known_mail import import_known

    with opened(args) as vault, Progress("Reading") as progress, Interrupt() as interrupt:
        result = import_known(vault, args.known, operator=vault.opened_by, progress=progress, cancelled=interrupt)
    if args.json:
        failed = [{"path": str(path), "error": error} for path, error in result.failed]
        found = {"messages": result.messages, "lines": result.lines, "counters": result.counters, "failed": failed}
        print_json(found)
    else:
        messages, lines = counted(result.messages, "message", "messages"), counted(result.lines, "line", "lines")
        print(f"{result.counters:,} addresses and domains counted as known, from {messages} and {lines}")
    failures = say_failed(result.failed)
    failures += say_failed([("import", "cancelled; nothing was counted")] if result.cancelled else [])
    return 1 if failures else 0


def parse_verdict(text: str) -> Verdict:
    """Parse `anti-virus=infected` (or the labels on the screen) as a Verdict.

    Raises UsageError, which lists the known names.
    """
    engine_text, equals, status_text = text.partition("=")
    if not equals:
        raise UsageError(f"`{text}` is not a verdict. Use ENGINE=STATUS, for example anti-virus=infected.")
    engines = {_plain(name): engine for engine in Engine for name in (engine.value, engine.label)}
    statuses = {_plain(name): status for status in Status for name in (status.value, status.label)}
    engine, status = engines.get(_plain(engine_text)), statuses.get(_plain(status_text))
    if engine is None:
        raise UsageError(f"There is no engine `{engine_text}`. Use one of: {', '.join(Engine)}.")
    if status is None:
        raise UsageError(f"There is no status `{status_text}`. Use one of: {', '.join(Status)}.")
    return Verdict(engine, status, "given at import")


def _plain(name: str) -> str:
    return "".join(character for character in name.casefold() if character.isalnum())
