"""Measure the vault (put, rotate, delete, scan, check) against a plain SQLite insert of the same bytes.

    python -m tests.benchmarks.bench_store [--copies 1000] [--postgresql]

Messages are base64 of random bytes, 5 to 145 KB, which compress like attachments. Prints one line per figure. The plain
insert shows the speed of the disk and the processor: run it on a quiet machine.
"""

from __future__ import annotations

import argparse
import base64
import random
import sqlite3
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from store.authority.settings import Settings
from store.check import check
from store.database.connection import is_url
from store.opening.opening import create_store
from store.space.changing_settings import change_settings
from store.vault.vault import Vault
from tests.store.conftest import RECORD

THREADS = 32


def say(what: str, count: int, began: float, more: str = "") -> None:
    """Print a rate."""
    print(f"{what:<34}{count / (time.perf_counter() - began):>12,.0f} /s   {more}", flush=True)


def plain(path: Path, bodies: list[bytes], count: int) -> None:
    """Insert the same bytes into a bare table, one commit each."""
    connection = sqlite3.connect(path, isolation_level=None)
    for pragma in ("auto_vacuum=INCREMENTAL", "journal_mode=WAL", "synchronous=FULL", "secure_delete=FAST"):
        connection.execute(f"PRAGMA {pragma}")
    connection.execute("CREATE TABLE body (id INTEGER PRIMARY KEY, sealed BLOB)")
    began = time.perf_counter()
    for index in range(count):
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("INSERT INTO body (sealed) VALUES (?)", (bodies[index % len(bodies)],))
        connection.execute("COMMIT")
    say("plain SQLite insert", count, began)
    connection.close()


@contextmanager
def longest_batch(vault: Vault) -> Iterator[list[float]]:
    """Return the seconds for which each batch of deletions held the write lock."""
    held: list[float] = []
    deleter, batch = vault._deleter, vault._deleter._batch

    def timed(ids: list[int], operator: str, cause: str) -> object:
        began = time.perf_counter()
        try:
            return batch(ids, operator, cause)
        finally:
            held.append(time.perf_counter() - began)

    deleter._batch = timed
    yield held
    deleter._batch = batch


def measure(location: str, bodies: list[bytes], count: int) -> None:
    """Measure one store."""
    vault, _recovery = create_store(location, passphrase="benchmark")
    began = time.perf_counter()
    for index in range(count):
        vault.put(bodies[index % len(bodies)], RECORD)
    say("put, one at a time", count, began)

    def work() -> None:
        for index in range(count // THREADS):
            vault.put(bodies[index % len(bodies)], RECORD)

    threads = [threading.Thread(target=work) for _ in range(THREADS)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    say(f"put, {THREADS} at a time", count // THREADS * THREADS, began)
    began = time.perf_counter()
    vault.put_many((bodies[index % len(bodies)], RECORD, None) for index in range(count))
    say("put_many", count, began)
    if not is_url(location):
        vault.db.execute_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        size, used = Path(location).stat().st_size, vault.count().used_bytes
        print(f"{'file size by counted size':<34}{size / used:>12.3f}")
    began = time.perf_counter()
    say("check", check(vault).checked, began)
    change_settings(vault, Settings(max_size=vault.count().used_bytes))
    began = time.perf_counter()
    for index in range(count // 4):
        vault.put(bodies[index % len(bodies)], RECORD)
    say("put into a full store", count // 4, began)
    with longest_batch(vault) as held:
        ids, began = vault.ids(), time.perf_counter()
        vault.delete(ids)
        say("delete", len(ids), began, f"longest lock {max(held) * 1000:.0f} ms")
    began = time.perf_counter()
    vault.put_many((b"x" * 400, RECORD, None) for _ in range(20 * count))
    say("put_many, 400 bytes", 20 * count, began)
    began = time.perf_counter()
    say("scan", sum(1 for _ in vault.scan()), began)
    began = time.perf_counter()
    vault.newest(200)
    say("newest, 200 copies", 200, began)
    with longest_batch(vault) as held:
        ids, began = vault.ids(), time.perf_counter()
        vault.delete(ids)
        say("delete, 400 bytes", len(ids), began, f"longest lock {max(held) * 1000:.0f} ms")
    vault.close()


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the vault.")
    parser.add_argument("--copies", type=int, default=1000)
    parser.add_argument("--postgresql", action="store_true", help="on a throw-away cluster, which does not sync")
    args = parser.parse_args()
    source = random.Random(1)
    bodies = [base64.encodebytes(source.randbytes(source.randrange(4000, 107_000))) for _ in range(50)]
    print(f"{'mean message':<34}{sum(map(len, bodies)) / len(bodies):>12,.0f} bytes")
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        plain(Path(folder) / "plain", bodies, args.copies)
        if not args.postgresql:
            measure(f"{folder}/mail.store", bodies, args.copies)
            return
    import psycopg

    from tests.postgres import Cluster

    cluster = Cluster()
    try:
        with psycopg.connect(cluster.url("bench"), autocommit=True) as connection:
            connection.execute("CREATE SCHEMA bench")
        measure(cluster.url("bench"), bodies, args.copies)
    finally:
        cluster.stop()


if __name__ == "__main__":
    main()
