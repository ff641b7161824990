"""The clocks of a gateway and of operators jump by minutes, hours and a year, ahead and back, while they work.

In the end every clock is right again, and everything ordered must reach its end.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from store.delivery.listing import Delivery, deliveries
from store.helpers.clock import TOLERANCE_MS, now_ms
from store.mail.outcome import State
from tests.torture.clock import Clock
from tests.torture.ledger import Ledger
from tests.torture.processes import Process
from tests.torture.relay import Relay
from tests.torture.running import Run, Torture, hold, remembering
from tests.torture.stores import Store, message, record_of
from tui.commands import cli

LAW = (
    "nothing sent twice, nothing failed for its time, everything sent once the clocks are right or said to wait for an "
    "operator and sent by him, every id in exactly one place, `check` whole"
)
_MINUTE, _HOUR, _YEAR = 60_000, 3_600_000, 365 * 86_400_000
#: How far clocks go wrong (ms): as far as tolerated, a little further, hours, and a year.
WRONG = (0, TOLERANCE_MS - _MINUTE, TOLERANCE_MS + _MINUTE, 2 * _HOUR, 30 * 24 * _HOUR, _YEAR)
_COPIES, _STEPS = 60, 8
#: Seconds for everything to reach its end once the clocks are right.
_PATIENCE = 60.0


class _Round:
    """A store, its gateway, and the relay."""

    def __init__(self, run: Run, folder: Path) -> None:
        self.run, self.dice, self.folder = run, run.dice, folder
        self.relay = Relay(folder)
        self.store = Store(folder, relay=self.relay.url, max_size=50_000_000)
        credentials = self.store.enroll("mx1")
        self.ledger = Ledger()
        with self.store.opened() as vault:
            ids = vault.put_many([(message(each), record_of(each), None) for each in range(_COPIES)])
        for number, copy_id in enumerate(ids):
            self.ledger.note_placed(copy_id, number)
        self.waiting = list(ids)
        self.clocks = {name: Clock(folder / f"{name}.clock") for name in ("gateway", "operator")}
        config = folder / "mailhold.toml"
        config.write_text(
            f'[store]\nlocation = "{self.store.location}"\ncredentials = "{credentials}"\n'
            f'[milter]\nlisten = ["unix:{folder}/milter.sock"]\n'
        )
        self._words = ["gateway", "--config", str(config)]
        self.started = 0
        self.killed = False
        self.gateway = self.start("gateway", self._words)

    def start(self, clock: str, words: list[str]) -> Process:
        """Start a process of `mailhold` that uses a clock."""
        self.started += 1

        def work() -> int:
            self.clocks[clock].wind()
            return cli.main(words)

        return Process(self.folder, f"{words[0]}{self.started}", work, self.store.environment)

    def jump(self) -> None:
        for clock in self.clocks.values():
            if self.dice.random() < 0.6:
                clock.set(self.dice.choice(WRONG) * self.dice.choice((-1, 1)))
                self.run.counts["jumps"] += 1

    def step(self) -> None:
        """Do one act of an operator, and sometimes stop the gateway."""
        ids = [self.waiting.pop() for _ in range(self.dice.randint(1, 3)) if len(self.waiting) > 10]
        self._order("deliver", "--original", "--json", *map(str, ids))
        self.run.counts["releases"] += len(ids)
        if self.dice.random() < 0.4:
            self._order("queue", "send")
        if self.dice.random() < 0.3:
            gone = self.waiting.pop(0)
            self.ledger.doomed.add(gone)
            self._order("delete", "--yes", str(gone))
            self.ledger.deleted.add(gone)
        if self.dice.random() < 0.25:
            self.killed = self.gateway.kill() or self.killed
            self.gateway = self.start("gateway", self._words)
            self.run.counts["kills"] += 1
        hold("a gateway runs on whatever its clock says", not self.gateway.running() and self.gateway.err[-3000:])

    def _order(self, *words: str) -> None:
        process = self.start("operator", list(words)).wait().sane()
        hold(f"`{words[0]}` works whatever the clock says", words[0] != "queue" and process.code and process.err)

    def end(self) -> None:
        """Set the clocks right, and wait until everything has reached its end.

        The clocks are set five minutes ahead: an order given with a clock ahead by the tolerance waits for this long.
        """
        for clock in self.clocks.values():
            clock.set(TOLERANCE_MS)
        done = self._until(lambda each: not each.live or bool(each.odd_time(now_ms() + TOLERANCE_MS)))
        odd = [each.id for each in done if each.live]
        self.run.counts["orders that waited for an operator"] += len(odd)
        if odd:
            self._order("queue", "retry", "--yes", *map(str, odd))
            done = self._until(lambda each: not each.live)
        taken = self.relay.stop()
        self.gateway.kill()
        self._judge(done, taken)
        with self.store.opened() as vault:
            self.run.sabotage(vault)
            self.ledger.settle(vault)

    def _until(self, right: Callable[[Delivery], bool]) -> list[Delivery]:
        until = time.monotonic() + _PATIENCE
        while True:
            self._order("queue", "send")
            with self.store.opened() as vault:
                found = deliveries(vault)
            waits = [each for each in found if not right(each)]
            if not waits:
                return found
            late = time.monotonic() > until
            hold("nothing waits for ever once the clocks are right", late and [(each.id, each.state) for each in waits])
            time.sleep(0.2)

    def _judge(self, found: list[Delivery], taken: Counter[tuple[int, str]]) -> None:
        states = Counter[State]()
        for delivery in found:
            for each in delivery.recipients:
                got = taken.get((int(each.address[1:].partition("@")[0]), each.address), 0)
                states[each.state] += 1
                # A process killed in the middle of a message forgets it.
                unknown = each.state is State.UNKNOWN and self.killed
                hold("nothing is failed for its time", each.state is not State.SENT and not unknown and each)
                hold(
                    "nothing is sent twice, and nothing is said to be sent that is not",
                    got != 1 and not unknown and (each, got),
                )
                hold("nothing is sent twice", got > 1 and (each, got))
        self.run.counts["sent"] += states[State.SENT]
        self.run.counts["unknown after a kill"] += states[State.UNKNOWN]


def work(run: Run) -> None:
    while run.more():
        folder = run.new_folder()
        with remembering(folder):
            one = _Round(run, folder)
            for _ in range(_STEPS):
                one.jump()
                one.step()
                if run.left <= 0:
                    break
            one.end()


CLOCKS = Torture(LAW, work)
