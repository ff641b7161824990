"""Measures the gateway under load: smtp-source's sessions into Postfix, alone and with milters, side by side.

    python -m tests.benchmarks.gateway_load [--count 1500] [--rounds 3] [--sessions 8] [--sizes 6000 75000]

Five ways, alternating in each round: Postfix alone; with a milter that stores nothing and lets all pass; with one that
stores nothing and discards all; with our gateway, engines off; with our gateway, clamd and rspamd on. The gateway keeps
every message (its sender is black-listed) and discards it, so the milter that discards is what it is held against: what
Postfix has to queue, and then drops, costs it more than what it may forget. Prints
messages a second (median of the rounds), and the 99th percentile of what a client waits for a whole message, measured
by one more session beside the others. Needs Debian's postfix, clamav-daemon and rspamd, and root.
"""

from __future__ import annotations

import argparse
import shutil
import smtplib
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.integration import clamd as virus
from tests.integration import rspamd as spam
from tests.integration.clamd import ClamdServer
from tests.integration.lab import BLACK, ROOT, Lab, send_on, why_not
from tests.integration.postfix import DOMAIN, Postfix
from tests.integration.rspamd import RspamdServer

#: Mail that Postfix takes is dropped behind its queue, whatever it is, so that no mailbox is measured.
DROP = {"virtual_transport": "discard"}
ALONE, PASSES, NULL = "Postfix alone", "milter that lets all pass", "milter that discards all"
OURS, SCANNED = "gateway, engines off", "gateway, engines on"


@contextmanager
def null_milter(answer: str) -> Iterator[str]:
    """The address of a milter that stores nothing, in a process of its own."""
    with tempfile.TemporaryDirectory(prefix="mailhold-null-") as folder:
        Path(folder).chmod(0o755)
        path = Path(folder) / "m"
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.integration.null_milter", str(path), answer],
            cwd=ROOT,
            stdout=subprocess.PIPE,
        )
        assert process.stdout
        process.stdout.readline()
        try:
            yield f"unix:{path}"
        finally:
            process.kill()
            process.wait(30)


def load(port: int, size: int, count: int, sessions: int) -> tuple[float, list[float]]:
    """Send `count` messages; returns messages a second, and what each of one more session's took (ms)."""
    began = time.perf_counter()
    source = subprocess.Popen(
        [
            *("smtp-source", "-s", str(sessions), "-m", str(count), "-l", str(size)),
            *("-f", BLACK, "-t", f"bob@{DOMAIN}", f"inet:127.0.0.1:{port}"),
        ],
    )
    waited: list[float] = []
    raw = b"From: ann@example.org\r\nSubject: measured\r\n\r\n" + (b"x" * 70 + b"\r\n") * (size // 72)
    with smtplib.SMTP("127.0.0.1", port, local_hostname="client.test", timeout=60) as client:
        client.ehlo()
        while source.poll() is None:
            sent = time.perf_counter()
            reply = send_on(client, raw, BLACK, (f"bob@{DOMAIN}",))
            assert reply.code == 250, reply
            waited.append((time.perf_counter() - sent) * 1000)
    assert source.returncode == 0
    return (count + len(waited)) / (time.perf_counter() - began), waited


def p99(values: list[float]) -> float:
    return sorted(values)[int(len(values) * 0.99)] if values else float("nan")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=1500, help="6 kB messages a round; of larger ones fewer")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--sessions", type=int, default=8)
    parser.add_argument("--sizes", type=int, nargs="+", default=[6000, 75_000])
    args = parser.parse_args()
    reason = why_not() or virus.why_not() or spam.why_not()
    if not shutil.which("smtp-source"):
        reason = reason or "smtp-source is missing (apt-get install postfix)"
    if reason:
        print(reason, file=sys.stderr)
        return 2
    with ExitStack() as stack:
        measure(stack, args)
    return 0


def measure(stack: ExitStack, args: argparse.Namespace) -> None:
    """All figures, printed."""

    def closing(thing: Postfix | ClamdServer | RspamdServer | Lab) -> None:
        stack.callback(thing.close if isinstance(thing, Lab) else thing.stop)

    alone = Postfix(settings=DROP)
    closing(alone)
    null = {
        name: Postfix(settings={**DROP, "smtpd_milters": stack.enter_context(null_milter(answer))})
        for name, answer in ((PASSES, "accept"), (NULL, "discard"))
    }
    for server in null.values():
        closing(server)
    clamd, rspamd = ClamdServer(), RspamdServer()
    closing(clamd)
    closing(rspamd)
    ours = Lab()
    closing(ours)
    scanned = Lab(clamd=clamd.unix, rspamd=rspamd.unix)
    closing(scanned)
    ports = {
        ALONE: alone.port,
        PASSES: null[PASSES].port,
        NULL: null[NULL].port,
        OURS: ours.postfix.port,
        SCANNED: scanned.postfix.port,
    }
    labs = {OURS: ours, SCANNED: scanned}
    for size in args.sizes:
        count = args.count if size <= 10_000 else max(100, args.count // 3)
        rates: dict[str, list[float]] = {name: [] for name in ports}
        times: dict[str, list[float]] = {name: [] for name in ports}
        for _ in range(args.rounds):
            for name, port in ports.items():
                # With scanners it takes several times as long: fewer messages tell as much.
                number = count // 3 if name == SCANNED else count
                lab = labs.get(name)
                before = lab.vault.usage().messages if lab else 0
                rate, waited = load(port, size, number, args.sessions)
                rates[name].append(rate)
                times[name] += waited
                if lab:
                    kept = lab.vault.usage().messages - before
                    assert kept == number + len(waited), f"{kept} of {number + len(waited)} messages were kept"
        baseline = statistics.median(rates[NULL])
        print(f"{size} bytes, {args.sessions} sessions, {count} messages, median of {args.rounds}; 100% is the {NULL}:")
        for name, found in rates.items():
            rate = statistics.median(found)
            print(
                f"  {name:28} {rate:7.0f} msg/s = {rate / baseline:5.0%}, p99 {p99(times[name]):.1f} ms",
                flush=True,
            )


if __name__ == "__main__":
    sys.exit(main())
