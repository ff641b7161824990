"""What known senders cost a gateway: counting passed mail, writing the counts, looking up the sender of a copy."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from store.authority.settings import Settings
from store.gateway.knowing import Knowing
from store.gateway.policy import LivePolicy, Policy
from store.judging.engines.engine import EngineResult
from store.mail.incoming import Incoming
from tests.benchmarks import store_maker
from tests.benchmarks.figures import Figure, figure

#: Rounds, messages per round, and messages per sender.
ROUNDS, ROUND, FROM_EACH = 7, 1000, 3
SIZE = 6000
_SYMBOLS = (*((f"SYMBOL_{number}", number / 10) for number in range(20)), ("DMARC_POLICY_ALLOW", -0.5))
_RECEIVED = (
    "Received: from mail.example.net (mail.example.net [192.0.2.7])\r\n"
    "\tby mx.corp.example (Postfix) with ESMTPS id 4XyZ\r\n\tfor <bob@corp.example>; Thu, 26 Nov 2026 08:00:00\r\n"
)


def _message(number: int, from_each: int) -> Incoming:
    sender = f"anna{number // from_each}@s{number // from_each}.example"
    header = f"{_RECEIVED * 3}From: Anna Example <{sender}>\r\nTo: bob@corp.example\r\nSubject: {number}\r\n\r\n"
    body = "A line of a message, as long as lines are, more or less.\r\n" * 200
    return Incoming((header + body)[:SIZE].encode(), sender, ["bob@corp.example"], client_address="192.0.2.7")


def knowing(size: str) -> Iterator[Figure]:
    """Measure processor time (µs) per 6 kB message, in a store that has counters of its senders.

    Worst case: each message has another sender, and the store knows all of them.
    """
    for name, values in _taken(FROM_EACH).items():
        goal = name in ("let through", "asked for a copy")
        target, met = ("under 100", _under_100) if goal else ("", None)
        yield figure(f"known senders, 6 kB, {name}", size, values, "us", target=target, met=met)
    for name, values in _taken(1).items():
        yield figure(f"  at worst, {name}", size, values, "us")


def _taken(from_each: int) -> dict[str, list[float]]:
    vault = store_maker.new_store(store_maker.FOLDER / "known.store")
    live = LivePolicy(lambda *_args, **_fields: None)
    live.policy = Policy(Settings(local_domains=("corp.example",)))
    side = Knowing(lambda: vault, live)
    results = {"rspamd": EngineResult(True, score=3.0, symbols=_SYMBOLS)}
    messages = [_message(number, from_each) for number in range(ROUND)]

    def count() -> None:
        for each in messages:
            side.let_through(each, results)

    def ask() -> None:
        for each in messages:
            side.of(side.told(each, results))

    count()
    side.flush()
    taken: dict[str, list[float]] = {"counted": [], "written": [], "let through": [], "asked for a copy": []}
    for _ in range(ROUNDS):
        counted, written = _micros(count), _micros(side.flush)
        for name, value in zip(taken, (counted, written, counted + written, _micros(ask)), strict=True):
            taken[name].append(value)
    vault.close()
    return taken


def _under_100(middle: float, _high: float) -> bool:
    return middle < 100


def _micros(work: Callable[[], object]) -> float:
    """Return the processor time (µs) of this process per message of a round."""
    began = time.process_time()
    work()
    return (time.process_time() - began) / ROUND * 1e6
