"""Deliveries to a sink that drops everything, compared with bare aiosmtplib over as many connections."""

from __future__ import annotations

import asyncio
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from store.authority.settings import Settings
from store.delivery.queue import deliveries, queue_length, release
from store.delivery.worker import DeliveryWorker
from store.space.changing_settings import change_settings
from store.terms.records import CopyRecord
from store.vault.vault import Vault
from tests.benchmarks import store_maker
from tests.benchmarks.figures import Figure, absent, figure, median

CONNECTIONS = 4
COUNT = 1000
RECORD = CopyRecord(envelope_sender="s@x.example", envelope_recipients=("u@x.example",))
SIZES = {"6 kB": 6_000, "75 kB": 75_000}


def sink_program() -> str | None:
    """Return the path of Postfix's smtp-sink, a C program that accepts and drops messages."""
    return shutil.which("smtp-sink", path="/usr/sbin:/usr/bin:/usr/local/sbin")


@contextmanager
def sink() -> Iterator[int]:
    """Run a sink; yield its port."""
    program = sink_program()
    assert program is not None
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = int(taken.getsockname()[1])
    process = subprocess.Popen([program, "-u", "nobody", f"127.0.0.1:{port}", "100"])
    try:
        time.sleep(0.3)
        yield port
    finally:
        process.kill()
        process.wait()


def queue(location: Path, port: int, count: int) -> Callable[[], int]:
    """Queue `count` copies of a store for delivery to this port; return how many are waiting."""
    vault = store_maker.open_made(location)
    change_settings(vault, Settings(hold=0, hold_many=0, relay=f"smtp://127.0.0.1:{port}", allow_infected=True))
    release(vault, [copy.id for copy in vault.newest(count)], original=True)
    return lambda: queue_length(vault)


async def bare(port: int, raw: Sequence[bytes], connections: int) -> float:
    """Return the seconds that aiosmtplib alone takes."""
    from aiosmtplib import SMTP

    left = list(enumerate(raw))

    async def one() -> None:
        client = SMTP(hostname="127.0.0.1", port=port, local_hostname="bench", start_tls=False)
        await client.connect()
        while left:
            number, message = left.pop()
            await client.sendmail("s@x.example", [f"u{number}@x.example"], message)
        await client.quit()

    began = time.perf_counter()
    await asyncio.gather(*(one() for _ in range(connections)))
    return time.perf_counter() - began


def delivered(vault: Vault) -> float:
    """Run a worker until it is idle. Returns how many of `COUNT` deliveries it made a second."""
    began = time.perf_counter()
    worker = DeliveryWorker(vault, owner="bench", connections=CONNECTIONS)
    asyncio.run(worker.run_until_idle())
    rate = COUNT / (time.perf_counter() - began)
    assert all(found.state == "sent" for found in deliveries(vault, COUNT))
    return rate


def _at_least(limit: float, middle: float, _high: float) -> bool:
    return middle >= limit


def deliver(size: str) -> Iterator[Figure]:
    """Measure the worker until it is idle; releasing has its own line."""
    if sink_program() is None:
        yield absent("deliver 1,000: smtp-sink (Postfix)", size, "msg/s")
        return
    with sink() as port:
        for label, mean in SIZES.items():
            messages = store_maker.bodies(20, mean)
            location = store_maker.FOLDER / "deliver.store"
            vault = store_maker.new_store(location)
            change_settings(vault, Settings(hold=0, hold_many=0, relay=f"smtp://127.0.0.1:{port}"))
            raw = [messages[number % len(messages)] for number in range(COUNT)]
            ids = vault.put_many((each, RECORD, None) for each in raw)
            ours, theirs, released = [], [], []
            for _ in range(3):
                theirs.append(COUNT / asyncio.run(bare(port, raw, CONNECTIONS)))
                began = time.perf_counter()
                release(vault, ids, original=True, again=True)
                released.append(COUNT / (time.perf_counter() - began))
                ours.append(delivered(vault))
            vault.close()
            store_maker.remove_store(location)
            yield figure(
                *(f"deliver 1,000 of {label}, {CONNECTIONS} connections", size, ours, "msg/s"),
                baseline=median(theirs),
                target="90 % of bare aiosmtplib",
                met=partial(_at_least, 0.9 * median(theirs)),
            )
            yield figure(f"  release 1,000 of {label}", size, released, "msg/s")
