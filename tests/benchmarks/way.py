"""Send messages through a Postfix as fast as it takes them, and count what the process that it asks has kept."""

from __future__ import annotations

import shutil
import smtplib
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from tests.benchmarks.figures import processor_time, thread_time
from tests.integration.lab import BLACK, Lab, send_on
from tests.integration.postfix import DOMAIN, Postfix


class Way(NamedTuple):
    """A Postfix, the process it asks (0: none), and the number of messages that process has kept."""

    server: Postfix
    pid: int = 0
    kept: Callable[[], int] | None = None
    sender: str = BLACK


class Round(NamedTuple):
    """Messages per second, a client's wait for each of its own (ms), and the process's time per message (ms)."""

    rate: float
    waited: list[float]
    processor: float
    loop: float


def source_program() -> str | None:
    """Return the path of Postfix's smtp-source, a C program that sends messages."""
    return shutil.which("smtp-source", path="/usr/sbin:/usr/bin:/usr/local/sbin")


def gateway(lab: Lab, sender: str = BLACK) -> Way:
    """Return the way through a lab's gateway."""
    return Way(lab.postfix, lab.gateway.pid, lambda: lab.vault.count().messages, sender)


def send(way: Way, raw: bytes, file: Path, count: int, sessions: int) -> Round:
    """Send `count` messages, each on a new connection, and those of one more client on a single connection."""
    before = way.kept() if way.kept else 0
    processor, loop = processor_time(way.pid), thread_time(way.pid)
    began = time.perf_counter()
    source = subprocess.Popen(
        [
            *(source_program() or "", "-s", str(sessions), "-m", str(count), "-F", str(file)),
            *("-f", way.sender, "-t", f"bob@{DOMAIN}", f"inet:127.0.0.1:{way.server.port}"),
        ],
    )
    waited: list[float] = []
    with smtplib.SMTP("127.0.0.1", way.server.port, local_hostname="client.test", timeout=60) as client:
        client.ehlo()
        while source.poll() is None:
            sent = time.perf_counter()
            reply = send_on(client, raw, way.sender, (f"bob@{DOMAIN}",))
            if reply.code != 250:
                raise RuntimeError(f"Postfix refused a message: {reply}")
            waited.append((time.perf_counter() - sent) * 1000)
    taken = time.perf_counter() - began
    number = count + len(waited)
    if source.returncode:
        raise RuntimeError(f"smtp-source ended with {source.returncode}")
    if way.kept and (kept := way.kept() - before) != number:
        raise RuntimeError(f"{kept} of {number} messages were kept")
    processor, loop = processor_time(way.pid) - processor, thread_time(way.pid) - loop
    way.server.wait_until_empty()
    return Round(number / taken, waited, 1000 * processor / number, 1000 * loop / number)
