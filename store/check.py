"""Verify everything that a writer of the database could have changed: `mailhold check`.

It verifies each copy; epochs, their chains and their ends; every step of every epoch (a copy in Backup, in the bin, or
a tombstone); the bin and its journal (`store.vault.checking_bin`); tombstones, key slots, gateways, configuration,
audit trail, release orders, derived data, and the counters. Two losses cannot be detected from within the database: a
whole database restored to an older state, and missing newest copies of an epoch that was never closed.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from store.authority.acts import ToldDeletions
from store.authority.audit import check_events
from store.authority.comparing import Comparison
from store.authority.configuration import check_configuration
from store.campaigns.checking import problems as derived_problems
from store.database.connection import as_bytes, run, snapshot, sound
from store.database.schema import row_ids
from store.database.verifying import differences
from store.delivery.hello import problems as hello_problems
from store.delivery.orders import unseal_recipient, unseal_reply, verify_order
from store.enrolment.enrolled import gateways
from store.enrolment.revocation import REVOKED
from store.helpers.runs import ranges
from store.opening.opening import store_statement
from store.opening.slots import slot_info
from store.sealing.epochs import EPOCH_STEPS, Chains, Closing
from store.sealing.keys import LOCAL_ID
from store.sealing.statements import verify
from store.space.bin import share_since
from store.terms.errors import CopyMissing, StoreError, TamperedError
from store.terms.progress import Cancelled, Progress
from store.vault.checking_bin import BinCheck
from store.vault.counters import require_right
from store.vault.deleting import OPERATOR_ROLE, ids_of, verified_runs
from store.vault.epochs import FIRST_PREVIOUS, EpochReader, opening_of
from store.vault.gateway_rows import Signers, verified
from store.vault.known import problems as known_problems
from store.vault.strays import stray_bodies

if TYPE_CHECKING:
    from store.authority.audit import Event
    from store.vault.vault import Vault

_ROWS = 500
_ABSENT, _PRESENT, _BURIED = 0, 1, 2
_STEPS = (
    "SELECT id, epoch_id, step FROM message WHERE epoch_id = ANY(?) "
    "UNION ALL SELECT id, epoch_id, step FROM binned WHERE epoch_id = ANY(?)"
)
_IDS = "SELECT id FROM message WHERE id BETWEEN ? AND ? UNION ALL SELECT id FROM binned WHERE id BETWEEN ? AND ?"


@dataclass
class CheckResult:
    """Result of a check: `checked` copies of Backup and `binned` copies in the bin; `broken` are (what, why).

    `open_epochs` are not closed: they are in use, or their process was killed. `cancelled` says that not everything was
    checked, `evidence` what the store was compared with.
    """

    checked: int = 0
    binned: int = 0
    broken: list[tuple[str, str]] = field(default_factory=list)
    open_epochs: list[int] = field(default_factory=list)
    cancelled: bool = False
    evidence: str = ""


def check(vault: Vault, progress: Progress | None = None, cancelled: Cancelled | None = None) -> CheckResult:
    """Verify the whole store without blocking writers. `progress` counts copies. Raises StoreUnavailable."""
    return _Check(vault, progress, cancelled).run()


@dataclass
class _Epoch:
    """Findings on one epoch. Every step below `end` must be accounted for; `end` is final if the epoch is `closed`."""

    closed: bool = False
    end: int = 0
    steps: bytearray = field(default_factory=lambda: bytearray(EPOCH_STEPS))


class _Check:
    def __init__(self, vault: Vault, progress: Progress | None, cancelled: Cancelled | None) -> None:
        self._vault = vault
        self._models = vault.models
        self._signers = Signers(vault)  # Not the open vault's Signers, which has cached rows verified earlier.
        self._reader = EpochReader(vault, self._signers)
        self._progress = progress
        self._cancelled = cancelled
        self._epochs: dict[int, _Epoch] = {}
        self._buried_before = 0
        #: Copies deleted by operators, by tombstone: (time in Unix ms, copy ids).
        self._deleted: list[tuple[int, list[int]]] = []
        self._heads = Comparison(vault)
        self._bin_check = BinCheck(vault)
        self._last_tombstone = 0
        self._result = CheckResult()

    def run(self) -> CheckResult:
        self._foundations()
        with self._reporting("the heads"):
            self._result.broken += self._heads.read()
            self._result.evidence = self._heads.evidence
        # This order matters, because others write meanwhile. Everything stored or buried up to here has an id that the
        # scan of copies below reaches. A copy deleted after the scan has read its row is found in a tombstone.
        self._buried_before = self._vault.newest_tombstone()
        self._read_epochs()
        self._copies(self._vault.id_range()[1])
        self._bin_copies()
        if not self._result.cancelled:
            self._tombstones()
            self._steps()
            self._bin()
            self._counters()
            self._orders()
            self._others()
            self._compare()
        return self._result

    def _broken(self, what: str, why: str) -> None:
        self._result.broken.append((what, why))

    @contextmanager
    def _reporting(self, what: str) -> Iterator[None]:
        """Add errors to the result, and continue."""
        try:
            with sound(what):
                yield
        except TamperedError as error:
            self._broken(what, error.why if error.what == what else f"{error.what}: {error.why}")
        except StoreError as error:
            self._broken(what, str(error))

    def _rows(self, model: Any, what: str) -> Iterator[tuple[str, Any]]:
        """Yield a small table's rows, each read by its own query, so that an unreadable row does not hide others."""
        with self._vault.reading():
            ids = row_ids(model)
        for row_id in ids:
            name = f"{what} {row_id}"
            row = None
            with self._reporting(name), self._vault.reading():
                row = model.get_or_none(model.id == row_id)
            if row is not None:
                yield name, row

    def _foundations(self) -> None:
        keys = self._vault.keys
        with self._reporting("the tables"), self._vault.reading():
            for why in differences(self._vault.db):
                self._broken("the tables", why)
        authority = keys.authority_verifier()
        with self._reporting("the store's row"), self._vault.reading():
            rows = list(self._models.Store.select())
            if len(rows) != 1:
                raise TamperedError("the store's row", "there is none, or more than one")
            if as_bytes(rows[0].read_key) != keys.read_public:
                raise TamperedError("the store's row", "its public keys do not belong to the store's key")
            verify(authority, as_bytes(rows[0].signature), store_statement(rows[0]), "the store's row")
        for name, row in self._rows(self._models.KeySlot, "key slot"):
            with self._reporting(name):
                slot_info(self._vault, row)
        enrolled = set()
        for name, row in self._rows(self._models.Gateway, "gateway"):
            enrolled.add(row.id)
            with self._reporting(name):
                verified(self._vault, row)
        if LOCAL_ID not in enrolled:  # Nothing else reads this row: the seed determines its content.
            self._broken(f"gateway {LOCAL_ID}", "it is not enrolled")
        with self._vault.reading():
            grants = self._vault.grants.rows()
        for row in grants:
            with self._reporting(f"the grant of configuration key {row[0]} to gateway {row[1]}"):
                self._vault.grants.check(row)

    def _read_epochs(self) -> None:
        """Verify each epoch, each gateway's chain of epochs, and the epochs' closings."""
        before: dict[int, tuple[int, bytes | None]] = {}
        for name, row in self._rows(self._models.Epoch, "epoch"):
            with self._reporting(name):
                self._epochs[row.id] = _Epoch()
                number, previous = before.get(row.gateway_id, (0, FIRST_PREVIOUS))
                before[row.gateway_id] = (row.number, None)
                chains = self._reader.read(row)
                before[row.gateway_id] = (row.number, opening_of(self._vault.store_id, row).digest())
                if row.number != number + 1:
                    raise TamperedError(name, f"epoch number {number + 1} of its gateway, before it, is missing")
                if previous is not None and as_bytes(row.previous) != previous:
                    raise TamperedError(name, "the epoch before it was replaced by another")
                self._verify_closing(name, row, chains)

    def _verify_closing(self, name: str, row: Any, chains: Chains) -> None:
        if row.count is None and row.chain_head is None and row.closed_at is None and row.closing_signature is None:
            self._result.open_epochs.append(row.id)
            return
        closing = Closing(opening_of(self._vault.store_id, row), row.count, as_bytes(row.chain_head), row.closed_at)
        signer = self._signers.key(row.gateway_id)
        verify(signer, as_bytes(row.closing_signature), closing.data(), name)
        if not 0 <= row.count <= EPOCH_STEPS or chains.head(row.count) != closing.chain_head:
            raise TamperedError(name, "its chain does not end as its closing row says")
        self._epochs[row.id] = _Epoch(closed=True, end=row.count)

    def _copies(self, until: int) -> None:
        total, after = self._vault.count().messages, 0
        while rows := self._next_rows(after):
            for row in rows:
                if row[0] > until:
                    return
                if self._cancelled is not None and self._cancelled():
                    self._result.cancelled = True
                    return
                with self._reporting(f"copy {row[0]}"):
                    self._copy(row)
                self._result.checked += 1
                if self._progress is not None:
                    self._progress(self._result.checked, max(total, self._result.checked))
            after = rows[-1][0]

    def _bin_copies(self) -> None:
        """Check the copies in the bin. `_steps` covers copies that move between Backup and the bin meanwhile."""
        with self._reporting("the bin"), self._vault.reading():
            self._result.broken += self._bin_check.read()
        ids = self._vault.bin.ids()
        for start in range(0, len(ids), _ROWS):
            if self._cancelled is not None and self._cancelled():
                self._result.cancelled = True
                return
            for row in self._vault.rows_of(ids[start : start + _ROWS], binned=True):
                with self._reporting(f"copy {row[0]}"):
                    self._copy(row)
            self._result.binned += len(ids[start : start + _ROWS])

    def _next_rows(self, after: int) -> list[Any]:
        """Fetch the next rows; [] if they cannot be read, which is reported."""
        with self._reporting("the table of copies"):
            return list(self._vault.rows(after, _ROWS))
        return []

    def _copy(self, row: Any) -> None:
        self._heads.note(row[0], 1)
        self._mark(row[1], row[2], _PRESENT)
        try:
            copy, place, body_key = self._vault.open_row(row, self._reader)
            if copy.record.size != place.size:
                raise TamperedError(f"copy {copy.id}", "its size differs from the one in its record")
            self._vault.open_body(place, body_key, copy.record.sha256)
        except CopyMissing:
            pass  # Deleted since its row was read.

    def _mark(self, epoch_id: int, step: int, state: int, *, judged: bool = True) -> int | None:
        """Set a step's state. Returns its former state, None if there can be no such step.

        A `judged` step of an open epoch requires that all earlier steps are accounted for as well.
        """
        epoch = self._epochs.get(epoch_id)
        if epoch is None and self._models.Epoch.get_or_none(self._models.Epoch.id == epoch_id) is not None:
            epoch = self._epochs[epoch_id] = _Epoch()
        if epoch is None or not isinstance(step, int) or not 0 <= step < EPOCH_STEPS:
            return None
        before, epoch.steps[step] = epoch.steps[step], state
        if judged and not epoch.closed:
            epoch.end = max(epoch.end, step + 1)
        return before

    def _tombstones(self) -> None:
        table, self._last_tombstone = self._models.Tombstone, self._buried_before
        for name, row in self._rows(table, "tombstone"):
            self._tombstone(name, row)
        # One statement, since rotation can replace the newest tombstone by one that includes its runs.
        with self._vault.reading(), self._reporting("tombstones"):
            for row in list(table.select().where(table.id > self._last_tombstone).order_by(table.id)):
                self._tombstone(f"tombstone {row.id}", row)

    def _tombstone(self, name: str, row: Any) -> None:
        self._last_tombstone = max(self._last_tombstone, row.id)
        with self._reporting(name):
            runs = verified_runs(self._vault, row)
            if row.sealed_operator is not None:
                self._vault.unseal(OPERATOR_ROLE, as_bytes(row.sealed_operator))
                self._deleted.append((row.at, ids_of(runs)))
            self._bin_check.note_tombstone(row, runs)
            judged = row.id <= self._buried_before
            self._heads.buried += sum(each.length for each in runs)
            for run_ in runs:
                self._heads.note(run_.copy_id, run_.length)
                for offset in range(run_.length):
                    if self._mark(run_.epoch_id, run_.step + offset, _BURIED, judged=judged) != _PRESENT:
                        continue
                    copy_id = run_.copy_id + offset
                    if self._vault.present([copy_id]) or self._vault.present_in_bin([copy_id]):
                        self._broken(f"copy {copy_id}", "it was deleted, but its row is there again")

    def _steps(self) -> None:
        """Report each step of an epoch that is neither a copy (in Backup or the bin) nor has a tombstone."""
        for epoch_id, count in self._heads.open_steps().items():
            if (epoch := self._epochs.get(epoch_id)) is not None and not epoch.closed:
                epoch.end = max(epoch.end, min(count, EPOCH_STEPS))
        self._look_again()
        for epoch_id, epoch in self._epochs.items():
            if epoch.closed and any(epoch.steps[epoch.end :]):
                self._broken(f"epoch {epoch_id}", f"it was closed after {epoch.end} copies, but has more")
            missing = [step for step in range(epoch.end) if epoch.steps[step] == _ABSENT]
            self._heads.missing_steps += len(missing)
            if missing:
                why = f"copies are missing without a tombstone, at steps {ranges(missing)}"
                self._broken(f"epoch {epoch_id}", why)

    def _look_again(self) -> None:
        """Look up the absent steps again, in both tables and in new tombstones, in one snapshot.

        A copy moved between two earlier reads was in none of them.
        """
        absent = [key for key, epoch in self._epochs.items() if _ABSENT in epoch.steps[: epoch.end]]
        if not absent and not self._heads.unknown():
            return
        db, table = self._vault.db, self._models.Tombstone
        with self._reporting("the table of copies"), self._vault.reading(), snapshot(db):
            for copy_id, epoch_id, step in run(db, _STEPS, absent, absent).fetchall():
                self._heads.note(copy_id, 1)
                if isinstance(step, int) and self._epochs[epoch_id].steps[step : step + 1] == b"\0":
                    self._epochs[epoch_id].steps[step] = _PRESENT
            for first, length in self._heads.unknown():
                for (copy_id,) in run(db, _IDS, *(first, first + length - 1) * 2).fetchall():
                    self._heads.note(copy_id, 1)
            for row in list(table.select().where(table.id > self._last_tombstone).order_by(table.id)):
                self._tombstone(f"tombstone {row.id}", row)

    def _bin(self) -> None:
        def buried(epoch_id: int, step: int) -> bool:
            return epoch_id in self._epochs and self._epochs[epoch_id].steps[step] == _BURIED

        later = partial(self._vault.tombstones_since, self._buried_before)
        with self._reporting("the bin"), self._vault.reading():
            self._result.broken += self._bin_check.early(*share_since(self._vault))
            self._result.broken += self._bin_check.findings(buried, lambda: set(later()[1]))

    def _compare(self) -> None:
        with self._reporting("the heads"), self._vault.reading():
            self._result.broken += self._heads.findings()

    def _counters(self) -> None:
        vault = self._vault
        with self._reporting("the table of counters"), vault.reading(), snapshot(vault.db):
            require_right(vault.db)
        with self._reporting("bodies"), vault.reading():
            for copy_id in stray_bodies(vault.db):
                self._broken(f"body {copy_id}", "its copy does not exist")

    def _orders(self) -> None:
        for name, row in self._rows(self._models.Delivery, "delivery"):
            with self._reporting(name):
                verify_order(self._vault, row)
                if row.sealed_body_key is not None:
                    self._vault.verify_release(row)
        for name, row in self._rows(self._models.DeliveryRecipient, "recipient"):
            with self._reporting(name):
                unseal_recipient(self._vault, row)
                unseal_reply(self._vault, row)

    def _others(self) -> None:
        revoked: set[str] = set()
        acts = ToldDeletions()

        def note(event: Event) -> None:
            acts.note(event)
            if event.action == REVOKED:
                revoked.add(event.detail)

        for what, problems in (
            ("configuration", check_configuration(self._vault)),
            ("events", check_events(self._vault, note)),
            ("the relay's EHLO answers", hello_problems(self._vault)),
            ("known senders", known_problems(self._vault)),
            ("data derived from copies", derived_problems(self._vault)),
        ):
            with self._reporting(what), self._vault.reading():
                for name, why in problems:
                    if why is not None:
                        self._broken(name, why)
        with self._reporting("events"), self._vault.reading():
            for name, why in acts.problems(self._vault, self._deleted, self._bin_check.ever):
                self._broken(name, why)
        with self._reporting("gateways"):
            for each in gateways(self._vault, on_error=lambda error: None):  # Reported above.
                if each.name in revoked and not each.revoked:
                    self._broken(f"gateway {each.id}", "it was revoked, but its enrolment is there again")
