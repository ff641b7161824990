"""Deleting the marked copies, compared with `rm` on as many Maildir files."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator
from typing import Any

from store.space.limits import usage
from store.vault.vault import Vault
from tests.benchmarks import store_maker
from tests.benchmarks.figures import Figure, figure, percentile

MOST = 100_000
#: Number of files removed for the baseline: making and removing more takes minutes on a slow disk.
_FILES = 10_000


def delete(size: str) -> Iterator[Figure]:
    """Delete up to 100,000 copies in one call: measure rate, write lock time, and disk space afterwards."""
    copies = store_maker.SIZES[size]
    copy = store_maker.copy_of(store_maker.store(copies), "delete.store")
    # Sync first: otherwise the first checkpoint waits until the whole new file is on the disk.
    subprocess.run(["sync", "-f", str(copy)], check=True)
    vault = store_maker.open_made(copy)
    ids = vault.ids()[-MOST:]
    free = usage(vault).free_bytes
    file_size = copy.stat().st_size
    ours, held = deleted(vault, ids)
    freed = usage(vault).free_bytes - free
    count = min(len(ids), 20_000)
    vault.put_many(store_maker.records(count, seed=9))
    grown = copy.stat().st_size / file_size
    vault.close()
    store_maker.remove_store(copy)
    theirs = _removal(min(len(ids), _FILES))
    yield figure(
        *(f"delete {len(ids):,} marked", size, [ours], "/s"),
        baseline=theirs,
        target="20,000/s",
        met=lambda middle, _high: middle >= 20_000,
    )
    longest = max(held)
    yield Figure(
        *("  the write lock is held (p95: the longest)", size, percentile(held, 0.5), longest, "ms"),
        *(None, None, "under 50 ms", longest < 50),
    )
    yield Figure(
        *("  the file after as many puts again, by before", size, grown, grown, "x", None, None),
        *("the space is usable: 1.02", grown <= 1.02 and freed > 0),
    )


def deleted(vault: Vault, ids: list[int]) -> tuple[float, list[float]]:
    """Delete copies in one call. Returns how many a second, and the ms of each batch's transaction."""
    held: list[float] = []
    deleter: Any = vault._deleter
    batch = deleter._batch

    def timed(*arguments: Any) -> Any:
        began = time.perf_counter()
        try:
            return batch(*arguments)
        finally:
            held.append((time.perf_counter() - began) * 1000)

    deleter._batch = timed
    try:
        began = time.perf_counter()
        result = vault.delete(ids)
        return len(result.deleted) / (time.perf_counter() - began), held
    finally:
        deleter._batch = batch


def _removal(count: int) -> float:
    """Return the files per second at which `rm -r` removes a Maildir of `count`."""
    target = store_maker.FOLDER / "delete-maildir"
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir()
    for number, (body, record, at) in enumerate(store_maker.records(count)):
        (target / f"{at // 1000}.M{number}.bench:2,S").write_bytes(store_maker.message(record, at, body))
    subprocess.run(["sync", "-f", str(target)], check=True)
    began = time.perf_counter()
    subprocess.run(["rm", "-r", str(target)], check=True)
    return count / (time.perf_counter() - began)
