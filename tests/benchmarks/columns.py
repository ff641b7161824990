"""Filters on fields outside the list: how long reading them takes, the memory they use, and the time of each filter."""

from __future__ import annotations

import gc
import json
import os
import random
import resource
import subprocess
import sys
import threading
import time
from array import array
from collections.abc import Iterator
from pathlib import Path

import msgspec

from store.campaigns.grouping import Why
from store.campaigns.indexing import traits_of
from store.campaigns.marks import Mark
from store.campaigns.order import Rank
from store.campaigns.packing import packed
from store.campaigns.standing import Campaign, Standing
from store.campaigns.traits import FileShape, Made, Texts, Traits
from store.catalogue import columns as catalogue_columns
from store.catalogue.catalogue import Catalogue
from store.catalogue.column_fields import Source
from store.filters.line import parse
from store.terms.findings import Authentication, Finding, KnownSender
from store.terms.records import CopyRecord
from tests.benchmarks import store_maker
from tests.benchmarks.figures import Figure, figure, seconds

#: One filter per word, in the order of the data they need.
FILTERS = {
    Source.RECORD: [
        "client:10.0.0.0/8",
        "client:mail7",
        "known:no",
        "score:>=7",
        "symbol:bayes",
        "symbol:rule_17",
        "auth:fail",
        "client:10.0.0.0/8 or score:>=14 -symbol:bayes known:no",
    ],
    Source.ENVELOPE: ["envelope:u77", "envelope:<>"],
    Source.BODY: ["link:d77", "-link:example", "file:.exe", "sha256:00ff00", "link:d7 file:invoice"],
}
_OF_CAMPAIGNS = ["campaign:7", "campaign:none", "odd:yes"]
_NAMES = {
    Source.RECORD: "records (client, score, symbol, auth, known)",
    Source.ENVELOPE: "senders of envelopes",
    Source.BODY: "bodies (link, file, sha256)",
}
_WRITTEN = 5_000


def store(size: int) -> Path:
    """Return a store with gateway data in its records and traits of each copy; make it if it is missing."""
    location = store_maker.FOLDER / f"facts-{size}.store"
    if not location.exists():
        vault = store_maker.new_store(location)
        rnd = random.Random(7)
        clients = [
            (f"{rnd.choice((10, 192))}.{a % 250}.{rnd.randrange(250)}.{a % 97}", a) for a in range(size // 16 + 9)
        ]
        symbols = [f"RULE_{number}" for number in range(400)] + ["BAYES_SPAM", "FORGED_SENDER"]
        vault.put_many(
            (body, _told(record, rnd, clients, symbols), at) for body, record, at in store_maker.records(size)
        )
        ids, digests = vault.ids(), [rnd.randbytes(32) for _ in range(size // 10 + 1)]
        for start in range(0, size, _WRITTEN):
            traits_of(vault).write((copy_id, _made(rnd, digests, size)) for copy_id in ids[start : start + _WRITTEN])
        vault.close()
    return location


def _told(record: CopyRecord, rnd: random.Random, clients: list[tuple[str, int]], symbols: list[str]) -> CopyRecord:
    address, number = rnd.choice(clients)
    found = tuple((name, round(rnd.random() * 4, 2)) for name in rnd.sample(symbols, rnd.randrange(8, 22)))
    return msgspec.structs.replace(
        record,
        client_address=address,
        client_name=f"mail{number % 900}.example{number}.net",
        findings=(Finding("rspamd", round(rnd.random() * 20, 2), 15.0, found),),
        authentication=tuple(
            Authentication(method, rnd.choice(("pass", "fail", "none")), "example.net") for method in ("spf", "dkim")
        ),
        known=KnownSender(*(rnd.randrange(2) for _ in range(5))) if rnd.random() < 0.2 else KnownSender(),
    )


def _made(rnd: random.Random, digests: list[bytes], size: int) -> bytes:
    keys = [array("Q", rnd.randbytes(8 * count)) for count in (40, 6, 5)]
    links = tuple({f"d{rnd.randrange(size // 30 + 5)}.example" for _ in range(rnd.randrange(4))})
    files: tuple[FileShape, ...] = ()
    if rnd.random() < 0.3:
        name = f"invoice {rnd.randrange(10**4)}.{rnd.choice(('pdf', 'exe', 'zip'))}"
        files = (FileShape(name, "application/pdf", 5000, rnd.choice(digests)),)
    return packed(Made(Traits(keys[0], keys[1], keys[2], False, False, "a@example.net"), Texts(links, files)))


def columns(size: str) -> Iterator[Figure]:
    """Measure, in its own process, reading each source, its memory, what is left after dropping it, and each filter."""
    store(store_maker.SIZES[size])
    done = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.columns", size], stdout=subprocess.PIPE, text=True, check=True
    )
    yield from (Figure(*row) for row in json.loads(done.stdout))


def _children_time() -> float:
    """Return the processor time of ended children (s)."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _resident() -> float:
    """Return the resident memory of this process (MB)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024


def _measure(size: str) -> list[Figure]:
    copies = store_maker.SIZES[size]
    vault = store_maker.open_made(store(copies))
    catalogue = Catalogue(vault)
    catalogue.start()
    catalogue.wait_complete()
    time.sleep(3 + copies / 100_000)  # prepared in the background
    catalogue.standing = _standing(copies)
    figures = [_filter(catalogue, line, size) for line in _OF_CAMPAIGNS]
    before = _resident()
    for source, lines in FILTERS.items():
        flt = parse(lines[0])
        waits: list[float] = []
        stop = threading.Event()

        def keystrokes(waits: list[float] = waits, stop: threading.Event = stop) -> None:
            plain = parse("subject:invoice")
            while not stop.wait(0.05):
                waits.append(1000 * seconds(lambda: catalogue.select(plain).rows(0, 50, identifiers=False)))

        typing = threading.Thread(target=keystrokes)
        typing.start()
        children = _children_time()
        took = seconds(lambda flt=flt: catalogue.wait_for(flt))  # type: ignore[misc]  # a loop's variable
        children = _children_time() - children
        stop.set()
        typing.join()
        kept = catalogue.select(flt)
        table = catalogue._columns._readers[source].table
        name = _NAMES[source]
        figures.append(figure(f"read {name}", size, [took], "s"))
        figures.append(figure("  processor time of the children", size, [children], "s"))
        figures.append(figure("  subject:invoice meanwhile", size, waits, "ms"))
        figures.append(figure("  in memory", size, [table.estimated_size() / 2**20], "MB"))
        gc.collect()
        time.sleep(1)
        figures.append(figure("  resident memory more than before", size, [_resident() - before], "MB"))
        before = _resident()
        del table, kept
        figures += [_filter(catalogue, line, size) for line in lines]
    began = _resident()
    catalogue_columns.IDLE_SECONDS = 0.0
    catalogue._columns.look()
    thread = catalogue._columns._thread
    if thread is not None:
        thread.join(60)
    gc.collect()
    time.sleep(1)
    figures.append(figure("resident memory less when both are dropped", size, [began - _resident()], "MB"))
    catalogue.close()
    vault.close()
    return figures


def _standing(copies: int) -> Standing:
    """Return a hundred campaigns that hold nine tenths of the copies."""
    each = copies * 9 // 1000
    why = Why(0, 1, 1, 0)
    return Standing(
        [
            Campaign(
                *(number, Rank.PLAIN, array("Q", range(1 + number * each, 1 + (number + 1) * each)), bytes(each), ()),
                *(why, (), "", {}, Mark(number)),
            )
            for number in range(1, 100)
        ],
        number=1,
    )


def _filter(catalogue: Catalogue, line: str, size: str) -> Figure:
    flt = parse(line)
    kept = catalogue.select(flt)  # keep them referenced, as a list does
    times = [1000 * seconds(lambda: catalogue.select(flt).rows(0, 50, identifiers=False)) for _ in range(9)]
    del kept
    return figure(f"filter {line}", size, times, "ms", target="150 ms", met=lambda _middle, high: high <= 150)


if __name__ == "__main__":
    out = os.dup(1)
    os.dup2(2, 1)
    rows = _measure(sys.argv[1])
    with os.fdopen(out, "w") as answer:
        json.dump(rows, answer)
