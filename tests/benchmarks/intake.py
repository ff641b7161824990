"""Mail in: one durable commit each, group commit, sealing, rotation, and importing an mbox."""

from __future__ import annotations

import hashlib
import itertools
import json
import queue
import re
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from store.authority.settings import Settings
from store.space.changing_settings import change_settings
from store.terms.records import CopyRecord
from store.vault.vault import Vault
from tests.benchmarks import store_maker
from tests.benchmarks.figures import Figure, absent, figure, median

THREADS = 32
ROUNDS, ROUND = 7, 150
RECORD = CopyRecord(
    from_="Anna Schmidt <anna@example.net>", to="u7@corp.example", subject="confirmación 发票", envelope_sender="a@b.c"
)
_PRAGMAS = ("page_size=4096", "auto_vacuum=INCREMENTAL", "journal_mode=WAL", "synchronous=FULL", "secure_delete=FAST")


def _plain(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None)
    for pragma in (*_PRAGMAS, "cache_size=-16384"):
        connection.execute(f"PRAGMA {pragma}")
    connection.execute("CREATE TABLE message (id INTEGER PRIMARY KEY, sender TEXT, recipient TEXT, subject TEXT)")
    connection.execute("CREATE TABLE body (id INTEGER PRIMARY KEY, raw BLOB)")
    return connection


def _insert(connection: sqlite3.Connection, *raws: bytes) -> None:
    connection.execute("BEGIN IMMEDIATE")
    values = (RECORD.from_, RECORD.to, RECORD.subject)
    for raw in raws:
        row = connection.execute("INSERT INTO message (sender, recipient, subject) VALUES (?, ?, ?)", values).lastrowid
        connection.execute("INSERT INTO body VALUES (?, ?)", (row, raw))
    connection.execute("COMMIT")


def _made_by_hand() -> Callable[[bytes], bytes]:
    """Return what seals a body by hand: SHA-256, zstd and AES-256-GCM."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    from store.helpers.zstd import ZstdCompressor

    seal, compressor, nonce = AESGCM(AESGCM.generate_key(256)).encrypt, ZstdCompressor(level=1), bytes(12)

    def made(raw: bytes) -> bytes:
        digest = hashlib.sha256(raw).digest()
        return seal(nonce, compressor.compress(raw, ZstdCompressor.FLUSH_FRAME), digest)

    return made


def _pipelined(connection: sqlite3.Connection, made: Callable[[bytes], bytes], raws: list[bytes]) -> None:
    """Seal in one thread while another commits `THREADS` copies at a time."""
    ready: queue.SimpleQueue[list[bytes]] = queue.SimpleQueue()
    groups = [raws[start : start + THREADS] for start in range(0, len(raws), THREADS)]

    def seal_all() -> None:
        for group in groups:
            ready.put(list(map(made, group)))

    sealing = threading.Thread(target=seal_all)
    sealing.start()
    for _ in groups:
        _insert(connection, *ready.get())
    sealing.join()


def _floor(size: str, plain: Callable[[], float], ours: Callable[[], float]) -> Iterator[Figure]:
    """Measure what a put must do at least, without Mailhold's own code, against plain SQLite and `vault.put` beside it.

    Made bytes: two plain INSERTs of the body as it is sealed, with a commit. No database: SHA-256, zstd and AES-256-GCM
    by hand. By hand: both; also with one commit for 32, sealed in the same thread or in another.
    """
    made = _made_by_hand()
    raws = [body for body, _ in zip(itertools.cycle(store_maker.bodies()), range(ROUND), strict=False)]
    sealed = list(map(made, raws))
    path = store_maker.FOLDER / "floor.sqlite"
    for file in store_maker.FOLDER.glob("floor.sqlite*"):
        file.unlink()
    connection = _plain(path)
    insert, starts = partial(_insert, connection), range(0, ROUND, THREADS)
    ways: dict[str, Callable[[], object]] = {
        "made": lambda: deque(map(insert, sealed), 0),
        "none": lambda: deque(map(made, raws), 0),
        "hand": lambda: deque(map(insert, map(made, raws)), 0),
        "grouped": lambda: deque((insert(*map(made, raws[start : start + THREADS])) for start in starts), 0),
        "pipelined": lambda: _pipelined(connection, made, raws),
    }
    taken: dict[str, list[float]] = {"plain": [], "ours": [], **{name: [] for name in ways}}
    for _ in range(ROUNDS):
        taken["plain"].append(plain())
        for name, way in ways.items():
            began = time.perf_counter()
            way()
            taken[name].append(ROUND / (time.perf_counter() - began))
        taken["ours"].append(ours())
    connection.close()
    store_maker.remove_store(path)
    base, hand = median(taken["plain"]), median(taken["hand"])
    yield figure("  plain SQLite, the sealed bytes already made", size, taken["made"], "msg/s", baseline=base)
    yield figure("  SHA-256, zstd and AES-GCM, no database", size, taken["none"], "msg/s", baseline=base)
    yield figure("  floor: all of it by hand", size, taken["hand"], "msg/s", baseline=base)
    yield figure("  ours (ratio: by the floor)", size, taken["ours"], "msg/s", baseline=hand)
    yield figure("  by hand, 32 a commit (ratio: one a commit)", size, taken["grouped"], "msg/s", baseline=hand)
    yield figure("  by hand, 32 a commit, sealed in a thread", size, taken["pipelined"], "msg/s", baseline=hand)


def put(size: str) -> Iterator[Figure]:
    """Measure puts of 75 kB on average: one at a time against plain SQLite, 32 at a time, and into a full store."""
    messages = itertools.cycle(store_maker.bodies())
    plain_path = store_maker.FOLDER / "put.sqlite"
    for file in store_maker.FOLDER.glob("put.sqlite*"):
        file.unlink()
    plain = _plain(plain_path)
    location = store_maker.FOLDER / "put.store"
    vault = store_maker.new_store(location)
    full_location = store_maker.FOLDER / "full.store"
    full = store_maker.new_store(full_location)
    full.put_many((next(messages), RECORD, None) for _ in range(1500))
    change_settings(full, Settings(max_size=full.count().used_bytes))
    base, ours, grouped, rotating = [], [], [], []

    def rate(count: int, began: float) -> float:
        return count / (time.perf_counter() - began)

    sizes = []
    for _number in range(ROUNDS):
        batch = [next(messages) for _ in range(ROUND)]
        began = time.perf_counter()
        for raw in batch:
            _insert(plain, raw)
        base.append(rate(ROUND, began))
        began = time.perf_counter()
        for raw in batch:
            vault.put(raw, RECORD)
        ours.append(rate(ROUND, began))
        began = time.perf_counter()
        together(vault, batch * 3)
        grouped.append(rate(3 * ROUND, began))
        began = time.perf_counter()
        for raw in batch:
            full.put(raw, RECORD)
        rotating.append(rate(ROUND, began))
        sizes.append(full_location.stat().st_size)

    def timed(work: Callable[[bytes], object]) -> Callable[[], float]:
        def again() -> float:
            batch = [next(messages) for _ in range(ROUND)]
            began = time.perf_counter()
            for raw in batch:
                work(raw)
            return rate(ROUND, began)

        return again

    floor = list(_floor(size, timed(lambda raw: _insert(plain, raw)), timed(lambda raw: vault.put(raw, RECORD))))
    plain.close()
    vault.close()
    full.close()
    for each in (location, full_location, plain_path):
        store_maker.remove_store(each)
    yield figure(
        *("put of 75 kB, one durable commit each", size, ours, "msg/s"),
        baseline=median(base),
        target="70 % of plain SQLite",
        met=lambda middle, _high: middle >= 0.7 * median(base),
    )
    yield from floor
    yield figure(
        *(f"put of 75 kB, {THREADS} at a time", size, grouped, "msg/s"),
        baseline=median(ours),
        target="3 times one at a time",
        met=lambda middle, _high: middle >= 3 * median(ours),
    )
    yield figure(
        *("put of 75 kB into a full store (rotation)", size, rotating, "msg/s"),
        baseline=median(ours),
        target="85 % of put without",
        met=lambda middle, _high: middle >= 0.85 * median(ours),
    )
    growth = sizes[-1] / sizes[0]
    yield Figure(
        "  its file's size at the end by that at the beginning",
        size,
        growth,
        growth,
        "x",
        None,
        None,
        "flat: 1.05",
        growth <= 1.05,
    )


def together(vault: Vault, batch: list[bytes]) -> None:
    """Put a batch from `THREADS` threads."""
    left = iter(batch)
    lock = threading.Lock()

    def work() -> None:
        while True:
            with lock:
                raw = next(left, None)
            if raw is None:
                return
            vault.put(raw, RECORD)

    threads = [threading.Thread(target=work) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def seal(size: str) -> Iterator[Figure]:
    """Measure digest, compression and sealing of a body against zstd alone plus AES-256-GCM by `openssl speed`."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    from store.helpers.zstd import ZstdCompressor
    from store.sealing.copies import pack_body, seal_copy
    from store.sealing.epochs import EpochName, Ratchet

    messages = store_maker.bodies()
    total = sum(map(len, messages))
    program = shutil.which("openssl")
    gcm = _openssl(program) if program else None
    ours, base = [], []
    name, ratchet = EpochName(bytes(16), 1, 1, 1), Ratchet(AESGCM.generate_key(256))
    ratchet.advance()
    for _ in range(9):
        began = time.perf_counter()
        compressor = ZstdCompressor(level=1)
        packed = [compressor.compress(raw, ZstdCompressor.FLUSH_FRAME) for raw in messages]
        alone = time.perf_counter() - began
        if gcm:
            alone += sum(map(len, packed)) / gcm
        base.append(total / alone / 1e6)
        began = time.perf_counter()
        for raw in messages:
            seal_copy(ratchet, name, (0, 1, 0, 0, 0), b"", pack_body(raw))
        ours.append(total / (time.perf_counter() - began) / 1e6)
    yield figure(
        *("seal and compress bodies of 75 kB", size, ours, "MB/s"),
        baseline=median(base),
        target="90 % of zstd + openssl speed" if gcm else "90 % of zstd (openssl not installed)",
        met=lambda middle, _high: middle >= 0.9 * median(base),
    )


def _openssl(program: str) -> float:
    """Return the bytes per second of AES-256-GCM in blocks of 64 kB."""
    line = [program, "speed", "-elapsed", "-seconds", "1", "-bytes", "65536", "-evp", "aes-256-gcm"]
    done = subprocess.run(line, capture_output=True, text=True, check=True)
    found = re.search(r"AES-256-GCM\s+([\d.]+)k", done.stdout, re.IGNORECASE)
    assert found, done.stdout
    return float(found[1]) * 1000


def importing(size: str) -> Iterator[Figure]:
    """Measure importing 15 kB messages from an mbox in its own process: rate, and extra memory for the larger mbox."""
    counts = (1_000, 4_000)
    rates: list[float] = []
    peaks: list[float] = []
    for count in counts:
        rate, peak = _import(store_maker.mbox(count))
        rates.append(rate)
        peaks.append(peak)
    rates += [_import(store_maker.mbox(counts[1]))[0] for _ in range(2)]
    yield figure(
        *("import an mbox of 15 kB messages", size, rates[1:], "msg/s"),
        baseline=(notmuch := _notmuch_rate(counts[1])),
        target="1,000 msg/s",
        met=lambda middle, _high: middle >= 1000,
    )
    more = peaks[1] - peaks[0]
    yield Figure(
        "  memory of 4,000 more than of 1,000", size, more, more, "MB", peaks[0], None, "flat: 20 MB", more <= 20
    )
    if notmuch is None:
        yield absent("  notmuch new on the same", size, "msg/s")
    else:
        yield Figure("  notmuch new on the same", size, notmuch, notmuch, "msg/s")


def _import(mbox: Path) -> tuple[float, float]:
    """Return messages per second and peak memory (MB)."""
    location = store_maker.FOLDER / "import.store"
    store_maker.new_store(location).close()
    line = [sys.executable, "-m", "tests.benchmarks.intake", str(location), str(mbox)]
    done = subprocess.run(line, capture_output=True, text=True, check=True)
    store_maker.remove_store(location)
    rate, peak = json.loads(done.stdout)
    return rate, peak


def _notmuch_rate(count: int) -> float | None:
    if shutil.which("notmuch") is None:
        return None
    import os

    folder = store_maker.FOLDER / "import-maildir"
    shutil.rmtree(folder, ignore_errors=True)
    for name in ("cur", "new", "tmp"):
        (folder / "Maildir" / name).mkdir(parents=True)
    source = store_maker.mbox(count).read_bytes().split(b"From a@x.example Thu Oct  9 08:53:20 2025\n")[1:]
    for number, raw in enumerate(source):
        (folder / "Maildir" / "cur" / f"{number}.bench:2,S").write_bytes(raw)
    settings = folder / "config"
    settings.write_text(f"[database]\npath={(folder / 'Maildir').absolute()}\n[new]\ntags=\n")
    environment = {**os.environ, "NOTMUCH_CONFIG": str(settings.absolute())}
    began = time.perf_counter()
    try:
        subprocess.run(["notmuch", "new", "--quiet"], env=environment, capture_output=True, timeout=120)
        return count / (time.perf_counter() - began)
    except subprocess.TimeoutExpired:
        return None
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _imported(location: Path, mbox: Path) -> tuple[float, float]:
    from store.files.mailbox import import_paths

    vault = store_maker.open_made(location)
    began = time.perf_counter()
    result = import_paths(vault, [mbox])
    taken = time.perf_counter() - began
    vault.close()
    # getrusage's peak starts at the peak of the process that started this one.
    status = Path("/proc/self/status").read_text().splitlines()
    peak = next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
    return result.imported / taken, peak * 1.024e-3


if __name__ == "__main__":
    print(json.dumps(_imported(Path(sys.argv[1]), Path(sys.argv[2]))))
