"""Makes the traits of copies that lack them: newest first, in batches, in two limited child processes.

Finished traits are stored at once, so an interrupted run continues where it stopped. Two runs at the same time do some
work twice, which does no harm.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice

from store.authority.settings import settings_or_former
from store.campaigns.in_child import packed_in_child
from store.campaigns.making import Context
from store.campaigns.packing import TRAITS, VERSION, unpacked
from store.campaigns.traits import Made
from store.message.in_child import CHILDREN
from store.terms.errors import CopyMissing, TamperedError
from store.terms.progress import Cancelled, Progress
from store.vault.derived import Derived
from store.vault.reader import MessageRow, OnError
from store.vault.vault import Vault

#: The most copies and bytes of messages per batch.
_COPIES, _BYTES = 200, 8 * 1024 * 1024

_Batch = list[tuple[int, "Future[bytes]"]]


@dataclass
class IndexResult:
    """The result of `index`.

    `indexed`: copies that got traits; `failed`: copies that could not be read (id, reason); `left`: copies not reached.
    """

    indexed: int = 0
    failed: list[tuple[int, str]] = field(default_factory=list)
    left: int = 0


def traits_of(vault: Vault) -> Derived:
    """Open the store's rows of traits. Raises UnlockError if the key is not an operator's."""
    return Derived(vault, TRAITS, VERSION)


def read_traits(
    vault: Vault, ids: Sequence[int], *, binned: bool = False, on_error: OnError | None = None
) -> dict[int, Made]:
    """Read the traits and texts of these copies of Backup or, if `binned`, of the bin.

    Damaged ones go to `on_error`.
    """
    found: dict[int, Made] = {}
    for copy_id, data in traits_of(vault).read(ids, binned=binned, on_error=on_error).items():
        try:
            found[copy_id] = unpacked(data, f"the traits of copy {copy_id}")
        except TamperedError as error:
            if on_error is not None:
                on_error(copy_id, error)
    return found


def index(
    vault: Vault,
    *,
    after_id: int = 0,
    again: Sequence[int] = (),
    progress: Progress | None = None,
    cancelled: Cancelled | None = None,
) -> IndexResult:
    """Make the traits of all copies above `after_id` that lack them, and of `again`, newest first.

    `again`: copies whose traits did not verify; those not in Backup are ignored. `progress` is called with numbers of
    copies; `cancelled` is called before each message. Raises StoreUnavailable, UnlockError.
    """
    derived, result = traits_of(vault), IndexResult()
    wanted = _lacking(derived, after_id)
    if again:
        wanted = sorted({*wanted, *again}, reverse=True)
    work = _Indexing(vault, derived, result, cancelled or (lambda: False))
    with ThreadPoolExecutor(CHILDREN, "traits") as pool:
        pending: _Batch = []
        for rows in work.batches(wanted):
            # The children work on this batch while the previous one is written.
            taken = work.begin(rows, pool)
            work.write(pending)
            pending = taken
            if work.stopped:
                break
            if progress is not None:
                progress(work.done, len(wanted))
        work.write(pending)
    result.left = len(wanted) - work.done if work.stopped else 0
    if progress is not None and not work.stopped:
        progress(len(wanted), len(wanted))
    return result


def _lacking(derived: Derived, after_id: int) -> list[int]:
    found = derived.lacking(after_id=after_id)
    part = found
    while part:
        part = derived.lacking(part[-1], after_id=after_id)
        found += part
    return found


class _Indexing:
    """The state of one `index` run."""

    def __init__(self, vault: Vault, derived: Derived, result: IndexResult, cancelled: Cancelled) -> None:
        self._vault, self._derived, self._result, self._cancelled = vault, derived, result, cancelled
        self._own = tuple(domain.lower() for domain in settings_or_former(vault).local_domains)
        #: Copies deleted meanwhile.
        self.gone = 0
        #: Whether the run was cancelled.
        self.stopped = False

    @property
    def done(self) -> int:
        """The number of copies finished: indexed, failed or gone."""
        return self._result.indexed + len(self._result.failed) + self.gone

    def batches(self, wanted: list[int]) -> Iterator[list[MessageRow]]:
        """Yield the copies' rows in batches."""
        left = iter(wanted)
        while ids := list(islice(left, _COPIES)):
            # In order of ratchet steps: deriving the key of an earlier step would repeat the work of all steps between.
            rows = sorted(self._vault.rows_of(ids))
            self.gone += len(ids) - len(rows)
            part: list[MessageRow] = []
            size = 0
            for row in rows:
                if part and size + _whole(row[4]) > _BYTES:
                    yield part
                    part, size = [], 0
                part.append(row)
                size += _whole(row[4])
            if part:
                yield part

    def begin(self, rows: list[MessageRow], pool: ThreadPoolExecutor) -> _Batch:
        """Read copies and hand them to the children."""
        taken: _Batch = []
        for row in rows:
            try:
                copy, place, body_key = self._vault.open_row(row)
                raw = self._vault.open_body(place, body_key, copy.record.sha256)
            except CopyMissing:
                self.gone += 1
                continue
            except TamperedError as error:
                self._result.failed.append((row[0], str(error)))
                continue
            context = Context(copy.record.client_address, self._own)
            taken.append((row[0], pool.submit(packed_in_child, raw, context)))
        return taken

    def write(self, batch: _Batch) -> None:
        """Wait for the children and store their results. After cancelling, store only what is ready."""
        made: list[tuple[int, bytes]] = []
        for copy_id, future in batch:
            self.stopped = self.stopped or self._cancelled()
            if not self.stopped or not future.cancel():
                made.append((copy_id, future.result()))
        written = self._derived.write(made)
        self._result.indexed += len(written)
        self.gone += len(made) - len(written)


def _whole(value: object) -> int:
    """Return a size column as a number; 0 if a manipulated row has another type there."""
    return value if isinstance(value, int) else 0
