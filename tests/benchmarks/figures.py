"""Figures: a measured value, its baseline and whether it met its target; how figures are taken and shown."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple


class Figure(NamedTuple):
    """A line of the table. `median` and `p95` are None if it could not be measured (a program is missing).

    `baseline` has the same unit, `ratio` is median divided by baseline, `met` is None if there is no target.
    """

    name: str
    size: str
    median: float | None
    p95: float | None
    unit: str
    baseline: float | None = None
    ratio: float | None = None
    target: str = ""
    met: bool | None = None


def counted(name: str, size: str, value: float | None, unit: str, target: str = "", met: bool | None = None) -> Figure:
    """Make a line for a value that is exact or measured only once."""
    return Figure(name, size, value, value, unit, target=target, met=met)


def percentile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that at least `share` of the values do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def median(values: Sequence[float]) -> float:
    """Return the middle value."""
    return percentile(values, 0.5)


def seconds(run: Callable[[], object]) -> float:
    """Return the seconds that a call takes."""
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


def alternately(*measures: Callable[[], float], times: int, budget: float = 20.0) -> list[list[float]]:
    """Take the measures in turn, `times` times or until `budget` seconds have passed, at least once."""
    taken: list[list[float]] = [[] for _ in measures]
    until = time.monotonic() + budget
    for _ in range(times):
        for values, measure in zip(taken, measures, strict=True):
            values.append(measure())
        if time.monotonic() > until:
            break
    return taken


def figure(
    name: str,
    size: str,
    values: Iterable[float],
    unit: str,
    *,
    baseline: float | None = None,
    target: str = "",
    met: Callable[[float, float], bool] | None = None,
) -> Figure:
    """Make a figure of several values in `unit`; call `met` with their median and p95."""
    taken = list(values)
    if not taken:
        return Figure(name, size, None, None, unit, baseline, None, target, None)
    middle, high = median(taken), percentile(taken, 0.95)
    if unit.endswith("/s"):
        high = percentile(taken, 0.05)  # the slow end of a rate
    ratio = middle / baseline if baseline else None
    return Figure(name, size, middle, high, unit, baseline, ratio, target, met(middle, high) if met else None)


def absent(name: str, size: str, unit: str) -> Figure:
    """Make the line for a program that is not installed."""
    return Figure(name, size, None, None, unit, target="not installed")


def processes(pid: int) -> list[int]:
    """Return a process and all its descendants."""
    found = [pid]
    for parent in found:
        for task in Path(f"/proc/{parent}/task").glob("*/children"):
            try:
                found += [int(child) for child in task.read_text().split()]
            except OSError:
                continue
    return found


def resident(pid: int) -> float:
    """Return the resident memory (MB) of a process and its descendants, counting shared libraries once."""
    own, shared = 0, 0
    for each in processes(pid):
        try:
            lines = Path(f"/proc/{each}/status").read_text().splitlines()
        except OSError:
            continue
        fields = {
            name: int(rest.split()[0]) for name, _, rest in (line.partition(":") for line in lines) if "Rss" in name
        }
        own += fields.get("RssAnon", 0) + fields.get("RssShmem", 0)
        shared = max(shared, fields.get("RssFile", 0))
    return (own + shared) * 1.024e-3


_TICK = os.sysconf("SC_CLK_TCK")


def processor_time(pid: int) -> float:
    """Return the processor time (s) of a process and its descendants; 0.0 if it does not exist."""
    return sum(sum(_ticks(Path(f"/proc/{each}/stat"))) for each in processes(pid)) / _TICK


def thread_time(pid: int) -> float:
    """Return the processor time (s) of a process's first thread, which runs its event loop; 0.0 without a process."""
    return sum(_ticks(Path(f"/proc/{pid}/task/{pid}/stat"))[:2]) / _TICK


def _ticks(stat: Path) -> list[int]:
    """Return user and system time, including ended children, in clock ticks."""
    try:
        return [int(word) for word in stat.read_text().rpartition(")")[2].split()[11:15]]
    except OSError:
        return [0]


def table(figures: Sequence[Figure]) -> str:
    """Format the figures as lines of text."""
    lines = [f"{'what':<58} {'median':>10} {'p95':>10} {'unit':<7} {'baseline':>10} {'ratio':>7}  {'target':<34}"]
    lines.append("-" * len(lines[0]))
    for one in figures:
        verdict = {True: "met", False: "missed", None: ""}[one.met]
        ratio = "" if one.ratio is None else f"{one.ratio:.2f}"
        line = f"{one.name:<58} {_number(one.median):>10} {_number(one.p95):>10} {one.unit:<7} "
        lines.append(f"{line}{_number(one.baseline):>10} {ratio:>7}  {one.target:<34} {verdict}".rstrip())
    return "\n".join(lines)


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:,.1f}" if abs(value) >= 10 else f"{value:,.3f}"
