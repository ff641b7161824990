"""`import`: put messages from files into Backup, byte for byte, in groups that share a commit.

Memory use is constant: one message, or one group of them, is held at a time. Files that cannot be read are reported and
skipped; a message that cannot be parsed is kept all the same.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from store.authority.acts import Act
from store.database.connection import is_url
from store.files.amavis import Unpacked, with_name
from store.files.discovery import Found, find_files, open_regular
from store.files.mbox import read_messages
from store.files.resuming import IMPORT, Mark, detail_of, former_import, mark_of, source_of, told
from store.judging.engines.engine import findings_of
from store.judging.rules.rules import read_rules
from store.judging.scanner_headers import verdicts_from_headers
from store.judging.scanner_words import one_an_engine
from store.judging.senders import sender_of
from store.judging.trusted_headers import HEADERS, result_of
from store.mail.local_domains import DomainCount
from store.message.message import summarise
from store.terms.errors import IntakeError, MailholdError, StoreUnavailable, UsageError
from store.terms.findings import KnownSender
from store.terms.progress import Cancelled, Progress
from store.terms.records import CopyRecord
from store.terms.verdicts import Verdict
from store.vault.known_senders import KnownSenders
from store.vault.writer import GROUP_BYTES, GROUP_COPIES

if TYPE_CHECKING:
    from store.vault.vault import Vault


class ImportResult(msgspec.Struct):
    """The result of an import. `failed` holds (path, reason).

    `passed_over` counts hidden files, a Maildir's indexes and the store's own files. `left_out` counts messages already
    placed by an import that ended early and that this one resumes. `domains` are the domains of the envelopes in the
    messages' headers.
    """

    ids: list[int] = msgspec.field(default_factory=list)
    failed: list[tuple[Path, str]] = msgspec.field(default_factory=list)
    passed_over: int = 0
    left_out: int = 0
    cancelled: bool = False
    domains: DomainCount = msgspec.field(default_factory=DomainCount)

    @property
    def imported(self) -> int:
        """The number of copies placed in Backup."""
        return len(self.ids)


def import_paths(
    vault: Vault,
    paths: Sequence[Path],
    *,
    verdict: Verdict | None = None,
    rule: int = 0,
    force: bool = False,
    operator: str = "",
    progress: Progress | None = None,
    cancelled: Cancelled | None = None,
) -> ImportResult:
    """Place every message under `paths` in Backup. Raises UsageError if there is no rule `rule`.

    With an `operator`, each group is recorded in the trail, in its transaction, and messages placed by an earlier
    import from the same paths that ended early are left out (`ImportResult.left_out`).

    `force` accepts a rule number that does not exist, and files that do not look like a message (otherwise in
    `failed`). `verdict` becomes the reason of all copies; without it, the verdicts come from scanners' header fields
    and quarantine files' names. `progress` is called with bytes of files. On cancelling, or if the store fails, the
    import stops after the present group and lists the rest in `failed`; placed copies stay.
    """
    if rule and not force:
        _require_rule(vault, rule)
    telling = _Telling(vault, operator, source_of(paths)) if operator else None
    total = sum(found.size for found in find_files(paths)) if progress else 0
    own = _Own(vault)
    with ExitStack() as ends:
        work = _Import(vault, verdict, rule, force, progress, cancelled, telling, ends)
        for found in find_files(paths):
            if work.stopped():
                break
            work.take(found._replace(hidden=True) if found.path in own else found, total)
        work.flush()
        work.end()
    return work.result


def _require_rule(vault: Vault, rule: int) -> None:
    if rule not in {each.id for each in read_rules(vault)}:
        raise UsageError(
            f"There is no rule {rule}. `mailhold rules` lists them. Add --force to use this number anyway."
        )


class _Own:
    """The files of a store that is a file: an imported folder may hold them, and they are not messages."""

    def __init__(self, vault: Vault) -> None:
        self._store = None if is_url(vault.location) else Path(vault.location).resolve()

    def __contains__(self, path: Path) -> bool:
        store = self._store
        if store is None:
            return False
        if path.is_symlink():
            return path.resolve() == store
        named = path.name.startswith(store.name) and path.name[len(store.name) :][:1] in ("", "-", ".")
        return named and path.parent.resolve() == store.parent


class _Telling:
    """Records an import in the trail: the intent with the first group, each group, and the end."""

    def __init__(self, vault: Vault, operator: str, source: str) -> None:
        self.former = former_import(vault, source)
        self._act = Act(vault, IMPORT, operator=operator, detail=detail_of(self.former, source), one_part=None)
        self._begun = False

    def group(self, marks: list[Mark], ends: ExitStack) -> Callable[[list[int]], None]:
        """Return the function that records a placed group, to be called in the group's transaction."""
        if not self._begun:
            ends.enter_context(self._act)
            self._begun = True
        waiting = iter(marks)

        def placed(ids: list[int]) -> None:
            self._act.part(ids, told([mark for mark, _ in zip(waiting, ids, strict=False)]))

        return placed

    def stop(self, why: str) -> None:
        """Set the reason why the import ends early."""
        self._act.stopped = why


class _Import:
    """One run of `import_paths`: the group not yet committed, and the result so far."""

    def __init__(
        self,
        vault: Vault,
        verdict: Verdict | None,
        rule: int,
        force: bool,
        progress: Progress | None,
        cancelled: Cancelled | None,
        telling: _Telling | None,
        ends: ExitStack,
    ) -> None:
        self.result = ImportResult()
        self._vault = vault
        self._senders = KnownSenders(vault)
        self._verdict = verdict
        self._rule = rule
        self._force = force
        self._progress = progress
        self._cancelled = cancelled
        self._group: list[tuple[bytes, CopyRecord, int | None]] = []
        self._group_paths: list[Path] = []
        self._group_marks: list[Mark] = []
        self._telling = telling
        self._ends = ends
        self._group_bytes = 0
        self._read = 0
        self._broken = False

    def stopped(self) -> bool:
        """Return True if nothing more shall be read."""
        if not self._broken and self._cancelled is not None and self._cancelled():
            self.result.cancelled = True
        return self._broken or self.result.cancelled

    def take(self, found: Found, total: int) -> None:
        """Read one file and queue its messages."""
        if found.hidden:
            self.result.passed_over += 1
            self._read += found.size
            return
        if found.problem:
            self.result.failed.append((found.path, found.problem))
            return
        try:
            with io.FileIO(open_regular(found.path), closefd=True) as file:
                stream = Unpacked(io.BufferedReader(file), found.path.name)
                messages = read_messages(stream, single=found.single, only_messages=not self._force)
                for place, message in enumerate(messages):
                    if isinstance(message, IntakeError):
                        self.result.failed.append((found.path, str(message)))
                    else:
                        self._queue(message, found.path, place)
                    if self.stopped():
                        break
                    self._tell(min(file.tell(), found.size), total)
        except IntakeError as error:
            self.result.failed.append((found.path, str(error)))
        except OSError as error:
            why = f"It cannot be read completely ({error.strerror or error}): check the disk."
            self.result.failed.append((found.path, why))
        self._read += found.size
        self._tell(0, total)

    def flush(self) -> None:
        """Commit the waiting group."""
        group, paths, marks = self._group, self._group_paths, self._group_marks
        self._group, self._group_paths, self._group_marks, self._group_bytes = [], [], [], 0
        if not group or self._broken:
            self._not_done(paths, "It was not placed in Backup: the import stopped before.")
            return
        try:
            self.result.ids += self._vault.put_many(group, self._placed(marks))
        except StoreUnavailable as error:
            self._broken = True
            self._not_done(paths, str(error))
        except MailholdError:
            self._one_by_one(group, paths, marks)

    def end(self) -> None:
        """Record the reason if the import ended early."""
        if self._telling is not None and (self._broken or self.result.cancelled):
            self._telling.stop("the store failed" if self._broken else "cancelled")

    def _placed(self, marks: list[Mark]) -> Callable[[list[int]], None] | None:
        return None if self._telling is None else self._telling.group(marks, self._ends)

    def _one_by_one(
        self, group: list[tuple[bytes, CopyRecord, int | None]], paths: list[Path], marks: list[Mark]
    ) -> None:
        """Place each message of a group alone, after the group failed because of one of them."""
        each_mark: list[list[Mark]] = [[mark] for mark in marks] or [[] for _ in group]
        for one, path, mark in zip(group, paths, each_mark, strict=True):
            try:
                self.result.ids += self._vault.put_many([one], self._placed(mark))
            except MailholdError as error:
                self._broken = self._broken or isinstance(error, StoreUnavailable)
                self.result.failed.append((path, str(error)))

    def _queue(self, raw: bytes, path: Path, place: int) -> None:
        if self._telling is not None:
            mark = mark_of(path, place, raw)
            if mark in self._telling.former.placed:
                self.result.left_out += 1
                return
            self._group_marks.append(mark)
        self._group.append((raw, self._record(raw, path), None))
        self._group_paths.append(path)
        self._group_bytes += len(raw)
        if len(self._group) >= GROUP_COPIES or self._group_bytes >= GROUP_BYTES:
            self.flush()

    def _record(self, raw: bytes, path: Path) -> CopyRecord:
        found = with_name(verdicts_from_headers(raw), path.name)
        self.result.domains.add(found.envelope_recipients)
        verdicts, reason = found.verdicts, found.reason
        if self._verdict is not None:
            others = (other for other in verdicts if other.engine is not self._verdict.engine)
            verdicts, reason = one_an_engine([self._verdict, *others]), self._verdict
        record = summarise(raw, envelope_sender=found.envelope_sender, envelope_recipients=found.envelope_recipients)
        return msgspec.structs.replace(
            record,
            envelope_sender=found.envelope_sender,
            envelope_recipients=found.envelope_recipients,
            mta_message_id=found.mta_message_id,
            rule_id=self._rule,
            verdicts=verdicts,
            reason=reason,
            findings=findings_of({HEADERS: result_of(found)}),
            authentication=found.authentication,
            known=self._known(raw, found.envelope_sender or ""),
            av_database_date=found.av_database_date,
            source=f"import {os.fsencode(path).decode('utf-8', 'replace')}",
        )

    def _known(self, raw: bytes, envelope_sender: str) -> KnownSender | None:
        """Look up the sender in the counters; None if there are none."""
        sender = sender_of(raw, envelope_sender) if self._senders.some else None
        return self._senders.of(sender.address) if sender is not None and sender.address else None

    def _not_done(self, paths: list[Path], why: str) -> None:
        self.result.failed += [(path, why) for path in paths]

    def _tell(self, within: int, total: int) -> None:
        if self._progress is not None:
            self._progress(min(self._read + within, total), total)
