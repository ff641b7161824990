"""Move many random copies into the bin and back, with their events: seconds, and the longest write lock."""

from __future__ import annotations

import random
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

from store.authority.deleting import bring_back, delete_copies
from store.vault.vault import Vault
from tests.benchmarks import store_maker
from tests.benchmarks.figures import Figure, percentile

_MOST = 40_000
_SECONDS = 2.0


@contextmanager
def locks_of(vault: Vault) -> Iterator[list[float]]:
    """Collect for how many ms each write transaction in the block holds the lock, including its commit."""
    held: list[float] = []
    write = vault.write

    @contextmanager
    def timed(**options: bool) -> Iterator[None]:
        nested = vault.db.in_transaction()
        began = time.perf_counter()
        try:
            with write(**options):
                yield
        finally:
            if not nested:
                held.append((time.perf_counter() - began) * 1000)

    vault.write = timed  # type: ignore[method-assign]
    try:
        yield held
    finally:
        del vault.write  # type: ignore[attr-defined]


def there_and_back(vault: Vault, ids: list[int]) -> Iterator[tuple[str, float, list[float]]]:
    """Return the number of copies moved, the seconds it took, and the ms of each lock."""
    for what, work in (("into the bin", delete_copies), ("back", bring_back)):
        with locks_of(vault) as held:
            began = time.perf_counter()
            work(vault, ids, operator="bench")
            yield what, time.perf_counter() - began, held


def bins(size: str) -> Iterator[Figure]:
    """Measure moving up to 40,000 random copies of a store into the bin and back."""
    copy = store_maker.copy_of(store_maker.store(store_maker.SIZES[size]), "bin.store")
    # Sync first: otherwise the first checkpoint waits until the whole new file is on the disk.
    subprocess.run(["sync", "-f", str(copy)], check=True)
    vault = store_maker.open_made(copy)
    ids = vault.ids()
    ids = random.Random(3).sample(ids, min(len(ids), _MOST))
    for what, seconds, held in there_and_back(vault, ids):
        yield Figure(
            *(f"{len(ids):,} copies {what}", size, seconds, seconds, "s", None, None),
            *(f"{_SECONDS:.0f} s for {_MOST:,}", seconds < _SECONDS),
        )
        longest = max(held)
        yield Figure(
            *("  the write lock is held (p95: the longest)", size, percentile(held, 0.5), longest, "ms"),
            *(None, None, "under 50 ms", longest < 50),
        )
    vault.close()
    store_maker.remove_store(copy)
