"""A gateway's metrics, and their interface for Prometheus.

Counting needs no library. prometheus-client (extra `gateway`) is imported only if metrics are served, by
`store.gateway.metrics_server`.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from itertools import accumulate
from typing import Any

from store.terms.verdicts import Engine

#: Upper bounds of the time histograms' buckets, in seconds.
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)

#: name -> (help text, label names).
COUNTERS: dict[str, tuple[str, tuple[str, ...]]] = {
    "messages": ("Messages by outcome", ("outcome",)),
    "verdicts": ("Verdicts other than clean, by engine and status", ("engine", "status")),
    "kept": ("Copies placed in Backup", ()),
    "not_kept": ("Copies that could not be placed in Backup, by reason", ("why",)),
    "not_scanned": ("Messages without a verdict from a scanner", ("scanner",)),
    "unscanned": (
        "Messages that an engine could not scan, by outcome",
        ("engine", "outcome"),
    ),
    "without_copy": (
        "Messages that needed a copy and got none, by outcome",
        ("outcome",),
    ),
    "markers": ("Delivery markers by result of the check", ("result",)),
}
_SCANNING = (Engine.ANTI_VIRUS.value, Engine.ANTI_SPAM.value, Engine.ANTI_PHISHING.value)
_OUTCOMES = ("accepted", "attachment-deleted", "deleted", "rejected", "temporary-fail")
#: Counters that are exported before their first event, as 0: Prometheus' increase() does not see the first event of a
#: series that begins with it, so an alert on a lost copy would miss the first.
FROM_ZERO: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("kept", ()),
    *(("without_copy", (outcome,)) for outcome in _OUTCOMES),
    *(("unscanned", (engine, outcome)) for engine in _SCANNING for outcome in _OUTCOMES),
)


class Metrics:
    """Counters, two histograms of seconds, and gauges, whose functions are called on each request. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[tuple[str, tuple[str, ...]]] = Counter()
        self._times = {name: [0] * (len(BUCKETS) + 1) for name in ("judge", "put")}
        self._sums = {"judge": 0.0, "put": 0.0}
        self.gauges: dict[str, tuple[str, Callable[[], float]]] = {}
        #: name -> (help text, label name, function that returns the value of each label)
        self.labelled: dict[str, tuple[str, str, Callable[[], Mapping[str, float]]]] = {}

    def count(self, name: str, *labels: str) -> None:
        """Add one to a counter in `COUNTERS`."""
        with self._lock:
            self._counts[name, labels] += 1

    def time(self, name: str, seconds: float) -> None:
        """Record a duration in seconds: "judge" (from the end of a message to its answer) or "put" (placing
        its copy).
        """
        with self._lock:
            self._times[name][bisect_left(BUCKETS, seconds)] += 1
            self._sums[name] += seconds

    def value(self, name: str, *labels: str) -> int:
        """Return a counter's value."""
        return self._counts[name, labels]

    def values(self, name: str) -> dict[tuple[str, ...], int]:
        """Return a counter's values, by labels."""
        with self._lock:
            return {labels: count for (other, labels), count in self._counts.items() if other == name}

    def collect(self) -> Iterator[Any]:
        """Yield all metrics, for prometheus-client's registry."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

        with self._lock:
            counts = dict.fromkeys(FROM_ZERO, 0) | self._counts
            times = {name: (list(bins), self._sums[name]) for name, bins in self._times.items()}
        for name, (text, labels) in COUNTERS.items():
            family = CounterMetricFamily(f"mailhold_{name}", text, labels=labels)
            for (other, values), count in counts.items():
                if other == name:
                    family.add_metric(values, count)
            yield family
        for name, (bins, total) in times.items():
            text = "Seconds to judge a message" if name == "judge" else "Seconds until a copy was durably stored"
            bounds = [*map(str, BUCKETS), "+Inf"]
            histogram = HistogramMetricFamily(f"mailhold_{name}_seconds", text)
            histogram.add_metric([], list(zip(bounds, accumulate(bins), strict=True)), total)
            yield histogram
        for name, (text, ask) in self.gauges.items():
            yield GaugeMetricFamily(f"mailhold_{name}", text, value=ask())
        for name, (text, label, ask_all) in self.labelled.items():
            labelled = GaugeMetricFamily(f"mailhold_{name}", text, labels=(label,))
            for value, number in ask_all().items():
                labelled.add_metric((value,), number)
            yield labelled
