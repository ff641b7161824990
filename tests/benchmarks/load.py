"""The gateway under load behind a real Postfix, next to Postfix alone and a milter that only discards.

The gateway keeps every message durably (its sender is black-listed) and discards it. The baseline is therefore a milter
that discards: mail that Postfix must queue costs it more than mail it may drop. Engines are not asked about a
black-listed sender; runs that measure engines use an attachment with a banned name instead.
"""

from __future__ import annotations

import shutil
import smtplib
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import NamedTuple

from store.judging.content import ContentPolicy
from store.judging.rules.model import DEFAULT_ID, Rule
from store.terms.verdicts import Action, Engine, Status
from tests.benchmarks import store_maker
from tests.benchmarks.figures import Figure, median, percentile, processor_time, thread_time
from tests.integration import clamd as virus
from tests.integration import rspamd as spam
from tests.integration.lab import BLACK, ROOT, SENDER, Lab, send_on, why_not
from tests.integration.postfix import DOMAIN, Postfix

ROUNDS = 3
#: Bytes per message, and messages per round.
SIZES = {"6 kB": (6_000, 1000), "75 kB": (75_000, 400)}
SESSIONS = (8, 24)
#: Targets: share of the milter's rate, and processor time (ms) per message.
RATE, RATE_SMALL, PROCESSOR = 0.85, 0.75, 1.0
#: For runs with engines: a rule that keeps and discards a message because of its attachment's name, and that name.
NAME = "measured.banned"
BY_NAME = Rule(
    id=DEFAULT_ID,
    name="Default",
    content=ContentPolicy(banned_names=(NAME,)),
    actions={Engine.CONTENT: {Status.BANNED_FILE_NAME: Action.DELETE_MESSAGE}},
)
#: Drop the mail that Postfix accepts behind its queue, so that no mailbox is measured.
DROP = {"virtual_transport": "discard"}


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


def unmeasurable() -> str:
    """Say why a Postfix cannot be measured here, or return ""."""
    return why_not() or ("" if source_program() else "smtp-source (Postfix) is not installed")


def load(size: str) -> Iterator[Figure]:
    """Measure rates, waits and processor time for 6 and 75 kB over 8 and 24 sessions."""
    if reason := unmeasurable():
        yield Figure("gateway behind Postfix", size, None, None, "msg/s", target=reason)
        return
    with ExitStack() as stack:
        ways = _ways(stack)
        scanned = _scanned(stack)
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mailhold-load-")))
        for label, (mean, count) in SIZES.items():
            raw = store_maker.bodies(1, mean)[0]
            file = folder / f"{mean}.eml"
            file.write_bytes(raw.replace(b"\r\n", b"\n"))
            for sessions in SESSIONS:
                took: dict[str, list[Round]] = {name: [] for name in ways}
                for way in ways.values():
                    _round(way, raw, file, 50, sessions)  # start its processes
                for _ in range(ROUNDS):
                    for name, way in ways.items():
                        took[name].append(_round(way, raw, file, count, sessions))
                yield from _lines(f"{label}, {sessions} sessions", size, took, sessions == 8 and mean < 10_000)
                if sessions > 8:
                    continue
                name = f"  with clamd and rspamd, {label}, {sessions} sessions"
                if scanned is None:
                    yield Figure(name, size, None, None, "msg/s", target="clamd or rspamd is not installed")
                    continue
                attached, named = named_attachment(raw), folder / f"{mean}-named.eml"
                named.write_bytes(attached.replace(b"\r\n", b"\n"))
                rates = [_round(scanned, attached, named, count // 5, sessions).rate for _ in range(ROUNDS + 1)][1:]
                base = median([one.rate for one in took["discards"]])
                yield Figure(name, size, median(rates), min(rates), "msg/s", base, median(rates) / base)


def _ways(stack: ExitStack) -> dict[str, Way]:
    alone = Postfix(settings=DROP)
    stack.callback(alone.stop)
    address, pid = stack.enter_context(discard_milter())
    discards = Postfix(settings={**DROP, "smtpd_milters": address})
    stack.callback(discards.stop)
    return {
        "alone": Way(alone),
        "discards": Way(discards, pid),
        "gateway": _gateway(stack.enter_context(closing(Lab()))),
    }


def named_attachment(raw: bytes) -> bytes:
    """Make the message with its body as an attachment of that name."""
    return b"Content-Disposition: attachment; filename=" + NAME.encode() + b"\r\n" + raw


def _gateway(lab: Lab, sender: str = BLACK) -> Way:
    return Way(lab.postfix, lab.gateway.pid, lambda: lab.vault.count().messages, sender)


def _scanned(stack: ExitStack) -> Way | None:
    """Run a gateway that asks both scanners about each message; yield None if one is missing."""
    if virus.why_not() or spam.why_not():
        return None
    clamd, rspamd = virus.ClamdServer(), spam.RspamdServer()
    stack.callback(clamd.stop)
    stack.callback(rspamd.stop)
    lab = Lab(clamd=clamd.unix, rspamd=rspamd.unix, rules=(BY_NAME,))
    return _gateway(stack.enter_context(closing(lab)), SENDER)


@contextmanager
def discard_milter() -> Iterator[tuple[str, int]]:
    """Run a milter that discards all messages; yield its address and process id."""
    with tempfile.TemporaryDirectory(prefix="mailhold-discards-") as folder:
        Path(folder).chmod(0o755)
        path = Path(folder) / "m"
        line = [sys.executable, "-m", "tests.benchmarks.discard_milter", str(path)]
        process = subprocess.Popen(line, cwd=ROOT, stdout=subprocess.PIPE)
        assert process.stdout
        process.stdout.readline()
        try:
            yield f"unix:{path}", process.pid
        finally:
            process.kill()
            process.wait(30)


def _round(way: Way, raw: bytes, file: Path, count: int, sessions: int) -> Round:
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


def _lines(label: str, size: str, took: dict[str, list[Round]], small: bool) -> Iterator[Figure]:
    ours, discards = took["gateway"], took["discards"]
    rates = [one.rate for one in ours]
    base = median([one.rate for one in discards])
    ratio = median([one.rate / other.rate for one, other in zip(ours, discards, strict=True)])
    aim = RATE_SMALL if small else RATE
    yield Figure(
        *(f"gateway, {label} (ratio: discarding milter)", size, median(rates), min(rates), "msg/s", base),
        *(ratio, f"{aim:.0%} of the milter", ratio >= aim),
    )
    alone = [one.rate for one in took["alone"]]
    yield Figure(f"  Postfix alone, {label}", size, median(alone), min(alone), "msg/s", base, median(alone) / base)
    waits = [wait for one in ours for wait in one.waited]
    theirs = percentile([wait for one in discards for wait in one.waited], 0.99)
    high = percentile(waits, 0.99)
    yield Figure(f"  a client waits (p95, ratio: p99), {label}", size, median(waits), high, "ms", theirs, high / theirs)
    processor = [one.processor for one in ours]
    middle, base = median(processor), median([one.processor for one in discards])
    yield Figure(
        *(f"  processor a message, {label}", size, middle, max(processor), "ms", base, middle / base if base else None),
        *((f"{PROCESSOR} ms", middle <= PROCESSOR) if small else ()),
    )
    loop = [one.loop for one in ours]
    yield Figure(f"    of it the event loop, {label}", size, median(loop), max(loop), "ms")
