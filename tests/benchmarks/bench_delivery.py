"""Measures delivery: releasing copies, and the worker against bare aiosmtplib into the same sink.

    python -m tests.benchmarks.bench_delivery [--count 1000] [--size 75000] [--connections 4] [--rounds 3]

The sink is Postfix's smtp-sink, a C program that drops what it gets. Both send the same messages over as many
connections, one after the other in each round. Prints one line per figure.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from aiosmtplib import SMTP

from store.delivery.queue import deliveries, release
from store.delivery.worker import DeliveryWorker
from store.opening import create_store
from store.records import CopyRecord
from store.settings import Settings, write_settings


def message(size: int) -> bytes:
    """A message of about `size` bytes in lines of 72."""
    return b"From: a@x.example\r\nSubject: measured\r\n\r\n" + (b"x" * 70 + b"\r\n") * (size // 72)


async def bare(port: int, raw: bytes, count: int, connections: int) -> float:
    """Seconds that aiosmtplib takes by itself."""
    left = list(range(count))

    async def one() -> None:
        client = SMTP(hostname="127.0.0.1", port=port, local_hostname="bench", start_tls=False)
        await client.connect()
        while left:
            await client.sendmail("s@x.example", [f"u{left.pop()}@x.example"], raw)
        await client.quit()

    began = time.perf_counter()
    await asyncio.gather(*(one() for _ in range(connections)))
    return time.perf_counter() - began


def measure(folder: Path, port: int, count: int, size: int, connections: int, rounds: int) -> None:
    """All figures, printed."""
    raw = message(size)
    vault, _recovery = create_store(str(folder / "store"), key_file=folder / "key")
    write_settings(vault, Settings(relay=f"smtp://127.0.0.1:{port}"))
    record = CopyRecord(envelope_sender="s@x.example", envelope_recipients=("u@x.example",))
    ids = vault.put_many((raw, record, None) for _ in range(count))
    shares = []
    for _ in range(rounds):
        alone = asyncio.run(bare(port, raw, count, connections))
        began = time.perf_counter()
        release(vault, ids, original=True)
        released = time.perf_counter() - began
        began = time.perf_counter()
        asyncio.run(DeliveryWorker(vault, owner="bench", connections=connections).run_until_idle())
        sent = time.perf_counter() - began
        assert all(found.state == "sent" for found in deliveries(vault, count))
        shares.append(alone / sent)
        print(
            f"{count} of {size} bytes: released {count / released:,.0f}/s, bare aiosmtplib {count / alone:,.0f}/s, "
            f"worker {count / sent:,.0f}/s = {alone / sent:.0%}"
        )
    print(f"worker against bare aiosmtplib, median of {rounds}: {statistics.median(shares):.0%}")
    vault.close()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--size", type=int, default=75_000)
    parser.add_argument("--connections", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    program = shutil.which("smtp-sink", path="/usr/sbin:/usr/bin:/usr/local/sbin")
    if program is None:
        print("smtp-sink is not installed: it comes with Postfix.", file=sys.stderr)
        return 1
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = int(taken.getsockname()[1])
    sink = subprocess.Popen([program, "-u", "nobody", f"127.0.0.1:{port}", "100"])
    try:
        time.sleep(0.5)
        with tempfile.TemporaryDirectory(prefix="mailhold-bench-") as folder:
            measure(Path(folder), port, arguments.count, arguments.size, arguments.connections, arguments.rounds)
    finally:
        sink.kill()
        sink.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
