"""The checks of the Deliver message window for 1,000 copies: time to its recipients, and until all are read."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator

from store.authority.settings import Settings
from store.delivery.choosing import Choice
from store.delivery.greeting import ask_here
from store.delivery.preflight import Content, content_of, dressing_of, look, tally
from store.delivery.queue import release
from store.helpers.clock import now_ms
from store.space.changing_settings import change_settings
from store.terms.records import CopyRecord
from tests.benchmarks import store_maker
from tests.benchmarks.figures import Figure, figure
from tui.terminal.preflight_words import sentences

COPIES, RELEASED, ROUNDS = 1_000, 200, 15
#: Targets (ms).
TARGET = 300


def preflight(size: str) -> Iterator[Figure]:
    """Check 1,000 copies of 75 kB to three recipients each, a fifth of them already in the queue."""
    vault = store_maker.new_store(store_maker.FOLDER / "preflight.store")
    settings = Settings(relay="smtp://127.0.0.1:9")
    change_settings(vault, settings)
    messages = itertools.cycle(store_maker.bodies(20))
    ids = vault.put_many((next(messages), _record(number), None) for number in range(COPIES))
    release(vault, ids[:RELEASED], original=True)
    ask_here(vault)
    choice, dressing = Choice(True, from_header=True), dressing_of(settings, "host.example")
    said, read = [], []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        found = look(vault, ids, choice)
        contents: dict[int, Content] = {}
        sentences(found, tally(found, contents), contents, now=now_ms())
        said.append(1000 * (time.perf_counter() - began))
    for _ in range(3):
        began = time.perf_counter()
        for copy_id in found.going:
            contents[copy_id] = content_of(vault, copy_id, dressing, now_ms())
        sentences(found, tally(found, contents), contents, now=now_ms())
        read.append(1000 * (time.perf_counter() - began))
    if len(found.going) != COPIES - RELEASED:
        raise RuntimeError("What was released is not left out.")
    vault.close()
    yield figure(
        *(f"say what delivering {COPIES:,} would do", size, said, "ms"),
        target=f"under {TARGET} ms",
        met=lambda _middle, high: high < TARGET,
    )
    yield figure("  their messages of 75 kB read, which fills in", size, read, "ms")


def _record(number: int) -> CopyRecord:
    to = tuple(f"u{number}.{part}@x.example" for part in range(3))
    return CopyRecord(envelope_sender="s@x.example", envelope_recipients=to, subject=f"measured {number}")
