"""The gateway under load behind a real Postfix, next to Postfix alone and a milter that only discards.

The gateway keeps every message durably (its sender is black-listed) and discards it. The baseline is therefore a milter
that discards: mail that Postfix must queue costs it more than mail it may drop. The floor is that milter plus the least
that keeping each message takes, by hand. Engines are not asked about a black-listed sender; `scanning` has the runs
with engines.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from tests.benchmarks import scanning, store_maker
from tests.benchmarks.figures import Figure, median, percentile
from tests.benchmarks.way import Round, Way, gateway, send, source_program
from tests.integration.lab import ROOT, Lab, why_not
from tests.integration.postfix import Postfix

ROUNDS = 3
#: Bytes per message, and messages per round.
SIZES = {"6 kB": (6_000, 1000), "75 kB": (75_000, 400)}
SESSIONS = (8, 24)
#: Targets: share of the milter's rate, and processor time (ms) per message.
RATE, RATE_SMALL, PROCESSOR = 0.85, 0.75, 1.0
#: Drop the mail that Postfix accepts behind its queue, so that no mailbox is measured.
DROP = {"virtual_transport": "discard"}


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
        scanned = None if scanning.why_not() else scanning.sides(stack)
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mailhold-load-")))
        for label, (mean, count) in SIZES.items():
            raw = store_maker.bodies(1, mean)[0]
            file = folder / f"{mean}.eml"
            file.write_bytes(raw.replace(b"\r\n", b"\n"))
            for sessions in SESSIONS:
                took: dict[str, list[Round]] = {name: [] for name in ways}
                for way in ways.values():
                    send(way, raw, file, 50, sessions)  # start its processes
                for _ in range(ROUNDS):
                    for name, way in ways.items():
                        took[name].append(send(way, raw, file, count, sessions))
                yield from _lines(f"{label}, {sessions} sessions", size, took, sessions == 8 and mean < 10_000)
                if sessions > 8:
                    continue
                both = f"{label}, {sessions} sessions"
                if scanned is None:
                    yield scanning.missing(both, size)
                else:
                    yield from scanning.lines(both, size, scanning.measure(scanned, raw, file, count // 2, ROUNDS))


def _ways(stack: ExitStack) -> dict[str, Way]:
    alone = Postfix(settings=DROP)
    stack.callback(alone.stop)
    address, pid = stack.enter_context(milter("discard_milter"))
    discards = Postfix(settings={**DROP, "smtpd_milters": address})
    stack.callback(discards.stop)
    keeper, keeping = stack.enter_context(milter("keeping_milter", "messages.sqlite"))
    keeps = Postfix(settings={**DROP, "smtpd_milters": keeper})
    stack.callback(keeps.stop)
    return {
        "alone": Way(alone),
        "discards": Way(discards, pid),
        "floor": Way(keeps, keeping),
        "gateway": gateway(stack.enter_context(closing(Lab()))),
    }


@contextmanager
def milter(module: str, *files: str) -> Iterator[tuple[str, int]]:
    """Run a milter of this folder, which is told its socket and `files` beside it; yield its address and process id."""
    with tempfile.TemporaryDirectory(prefix="mailhold-milter-") as folder:
        Path(folder).chmod(0o755)
        path = Path(folder) / "m"
        line = [sys.executable, "-m", f"tests.benchmarks.{module}", str(path), *(f"{folder}/{name}" for name in files)]
        process = subprocess.Popen(line, cwd=ROOT, stdout=subprocess.PIPE)
        assert process.stdout
        process.stdout.readline()
        try:
            yield f"unix:{path}", process.pid
        finally:
            process.kill()
            process.wait(30)


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
    floor = took["floor"]
    kept, low = [one.rate for one in floor], min(one.rate for one in floor)
    ratio = median([one.rate / other.rate for one, other in zip(floor, discards, strict=True)])
    name = f"  floor: kept by hand, {label} (ratio: discarding milter)"
    yield Figure(name, size, median(kept), low, "msg/s", base, ratio)
    ratio = median([one.rate / other.rate for one, other in zip(ours, floor, strict=True)])
    name = f"  ours, {label} (ratio: by the floor)"
    yield Figure(name, size, median(rates), min(rates), "msg/s", median(kept), ratio)
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
    least = [one.processor for one in floor]
    yield Figure(f"  processor a message, floor, {label}", size, median(least), max(least), "ms")
