"""Releasing through the worker into a real Postfix, next to `smtp-source` sending as many messages to the same port."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator

from store.authority.settings import Settings
from store.delivery.queue import deliveries, release
from store.delivery.worker import DeliveryWorker
from store.gateway.event_loop import run
from store.space.changing_settings import change_settings
from store.terms.records import CopyRecord
from tests.benchmarks import store_maker
from tests.benchmarks.figures import Figure, median
from tests.benchmarks.load import DROP, unmeasurable
from tests.benchmarks.releasing_by_hand import ByHand
from tests.benchmarks.way import source_program
from tests.integration.postfix import DOMAIN, Postfix

CONNECTIONS = 4
COUNT = 1000
ROUNDS = 3
SIZES = {"6 kB": 6_000, "75 kB": 75_000}
#: Targets: share of smtp-source's rate, and processor time (ms) of a 6 kB message.
RATE, PROCESSOR = 0.7, 1.6
SENDER, RECIPIENT = f"s@{DOMAIN}", f"u@{DOMAIN}"


def postfix(size: str) -> Iterator[Figure]:
    """Measure the worker until it is idle, sending to a port without a milter that drops all mail behind its queue."""
    if reason := unmeasurable():
        yield Figure("release to Postfix", size, None, None, "msg/s", target=reason)
        return
    server = Postfix(settings=DROP)
    try:
        for label, mean in SIZES.items():
            yield from _lines(server, size, label, mean)
    finally:
        server.stop()


def _lines(server: Postfix, size: str, label: str, mean: int) -> Iterator[Figure]:
    location = store_maker.FOLDER / "release.store"
    vault = store_maker.new_store(location)
    change_settings(vault, Settings(hold=0, hold_many=0, relay=f"smtp://127.0.0.1:{server.port}"))
    record = CopyRecord(envelope_sender=SENDER, envelope_recipients=(RECIPIENT,))
    messages = store_maker.bodies(20, mean)
    ids = vault.put_many((messages[number % len(messages)], record, None) for number in range(COUNT))
    path = store_maker.FOLDER / "release-floor.sqlite"
    for file in store_maker.FOLDER.glob(f"{path.name}*"):
        file.unlink()
    by_hand = ByHand(path, SENDER, RECIPIENT)
    numbers = by_hand.fill(messages, COUNT)
    ours, processor, anew, kept, floor, least = [], [], [], [], [], []
    for number in range(ROUNDS + 1):
        anew.append(_source(server, mean))
        kept.append(_source(server, mean, "-d"))
        # The first round starts Postfix's processes and reads modules from disk: send only a few messages.
        chosen = ids if number else ids[:50]
        began, used = time.perf_counter(), time.process_time()
        by_hand.send(server.port, numbers[: len(chosen)], CONNECTIONS)
        least.append(1000 * (time.process_time() - used) / len(chosen))
        floor.append(len(chosen) / (time.perf_counter() - began))
        server.wait_until_empty()
        release(vault, chosen, original=True, again=True)
        began, used = time.perf_counter(), time.process_time()
        run(DeliveryWorker(vault, owner="bench", connections=CONNECTIONS).run_until_idle())
        processor.append(1000 * (time.process_time() - used) / len(chosen))
        ours.append(len(chosen) / (time.perf_counter() - began))
        if not all(found.state == "sent" for found in deliveries(vault, len(chosen))):
            raise RuntimeError("not every message was sent")
        server.wait_until_empty()
    vault.close()
    for each in (location, path):
        store_maker.remove_store(each)
    for values in (ours, processor, anew, kept, floor, least):
        del values[0]
    ratio = median([one / other for one, other in zip(ours, anew, strict=True)])
    name = f"release {COUNT:,} of {label} (ratio: smtp-source without -d)"
    yield Figure(
        *(name, size, median(ours), min(ours), "msg/s", median(anew), ratio, f"{RATE:.0%} of smtp-source"),
        ratio >= RATE,
    )
    ratio = median([one / other for one, other in zip(floor, anew, strict=True)])
    name = f"  floor: by hand, {label} (ratio: smtp-source without -d)"
    yield Figure(name, size, median(floor), min(floor), "msg/s", median(anew), ratio)
    ratio = median([one / other for one, other in zip(ours, floor, strict=True)])
    yield Figure(f"  ours, {label} (ratio: by the floor)", size, median(ours), min(ours), "msg/s", median(floor), ratio)
    ratio = median([one / other for one, other in zip(ours, kept, strict=True)])
    name = f"  smtp-source -d, {label} (ratio: release by it)"
    yield Figure(name, size, median(kept), min(kept), "msg/s", None, ratio)
    yield Figure(f"  processor a message, floor, {label}", size, median(least), max(least), "ms")
    small = mean < 10_000
    yield Figure(
        *(f"  processor a message, release of {label}", size, median(processor), max(processor), "ms", None, None),
        *((f"{PROCESSOR} ms", median(processor) <= PROCESSOR) if small else ()),
    )


def _source(server: Postfix, mean: int, *options: str) -> float:
    """Return smtp-source's messages per second, each on a new connection; with `-d`, on its open connections."""
    line = [
        *(source_program() or "", "-s", str(CONNECTIONS), "-m", str(COUNT), "-l", str(mean), *options),
        *("-f", SENDER, "-t", RECIPIENT, f"inet:127.0.0.1:{server.port}"),
    ]
    began = time.perf_counter()
    subprocess.run(line, check=True)
    taken = time.perf_counter() - began
    server.wait_until_empty()
    return COUNT / taken
