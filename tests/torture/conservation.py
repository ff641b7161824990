"""Conservation: gateways put, operators delete, deliver and check, and rotation runs, all at once, with kills.

Every program is its own process. Again and again one of them is killed at a random moment; the others continue.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from random import Random

from store.delivery.listing import deliveries
from store.enrolment.enrolment import open_with_credentials
from store.mail.outcome import State
from store.vault.vault import Vault
from tests.torture.ledger import Ledger
from tests.torture.processes import Process, mailhold
from tests.torture.relay import Relay
from tests.torture.running import Run, Torture, hold, remembering
from tests.torture.stores import Databases, Store, message, record_of

LAW = (
    "every id in exactly one place, counters that equal what is there, no answered copy lost, nothing deleted that "
    "nobody meant, `check` whole, nothing sent twice"
)
_GATEWAYS = 2
#: Numbers of messages reserved for one putter.
_NUMBERS = 1_000_000
#: Approximate seconds of one round with its end.
_ROUND = 10.0


def put(location: str, credentials: Path, seed: int, first: int) -> None:
    """Put copies, one or many, numbered from `first`, as a gateway does; print the ids once they are stored."""
    dice, number = Random(seed), first
    vault = open_with_credentials(location, credentials)
    while True:
        count = dice.choice((1, 1, 1, 8, 60))
        numbers = range(number, number + count)
        items = [(message(each, dice.choice((200, 3000, 30_000))), record_of(each), None) for each in numbers]
        ids = [vault.put(*items[0][:2])] if count == 1 else vault.put_many(items)
        print("\n".join(f"put {copy_id} {each}" for copy_id, each in zip(ids, numbers, strict=True)), flush=True)
        number += count
        time.sleep(dice.uniform(0, 0.02))


class _Round:
    """A store, and the programs on it."""

    def __init__(self, run: Run, folder: Path, location: str) -> None:
        self.run, self.folder, self.dice = run, folder, run.dice
        self.relay = Relay(folder)
        self.store = Store(folder, location, relay=self.relay.url, max_size=3_000_000, allow_infected=True)
        self.gateways = [self.store.enroll(f"mx{number}") for number in range(_GATEWAYS)]
        self.ledger = Ledger()
        self.live: dict[str, Process] = {}
        self.started = 0
        self.asked: dict[str, set[int]] = {}
        self.heard: dict[str, int] = {}

    def go(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        slots: dict[str, Callable[[str], Process]] = {
            **{f"gateway{number}": self._putter(number) for number in range(_GATEWAYS)},
            "delete": self._delete,
            "deliver": self._deliver,
            "check": self._check,
            "send": lambda name: mailhold(self.folder, name, ["queue", "send"], self.store.environment),
        }
        next_kill = time.monotonic() + self.dice.uniform(0.2, 1)
        while time.monotonic() < until:
            for slot, start in slots.items():
                if slot not in self.live:
                    self.started += 1
                    self.live[slot] = start(f"{slot}-{self.started}")
                elif not self.live[slot].running():
                    self._ended(slot, self.live.pop(slot))
                else:
                    self._hear(self.live[slot])
                    hold("nothing waits for ever", _too_long(slot, self.live[slot]))
            if time.monotonic() > next_kill:
                slot = self.dice.choice(sorted(self.live))
                self.run.counts["kills"] += self.live[slot].kill()
                self._ended(slot, self.live.pop(slot))
                next_kill = time.monotonic() + self.dice.uniform(0.1, 0.8)
            time.sleep(0.01)
        for slot, process in self.live.items():
            if slot.startswith("gateway") or self.dice.random() < 0.3:
                self.run.counts["kills"] += process.kill()
            self._ended(slot, process.wait())

    def _putter(self, number: int) -> Callable[[str], Process]:
        def start(name: str) -> Process:
            seed, first = self.dice.randrange(1 << 30), self.started * _NUMBERS
            location, credentials = self.store.location, self.gateways[number]
            return Process(self.folder, name, lambda: put(location, credentials, seed, first))

        return start

    def _some(self, most: int) -> list[int]:
        known = sorted(self.ledger.placed)[-400:]
        return sorted(self.dice.sample(known, min(len(known), self.dice.randint(1, most))))

    def _delete(self, name: str) -> Process:
        ids = self._some(80)
        self.asked[name] = set(ids)
        self.ledger.doomed.update(ids)
        for_good = ["--for-good"] if self.dice.random() < 0.5 else []
        words = ["delete", "--yes", "--json", *for_good, *map(str, ids or [1])]
        self.ledger.doomed.add(1)
        return mailhold(self.folder, name, words, self.store.environment)

    def _deliver(self, name: str) -> Process:
        words = ["deliver", "--original", "--json", *map(str, self._some(12) or [1])]
        return mailhold(self.folder, name, words, self.store.environment)

    def _check(self, name: str) -> Process:
        return mailhold(self.folder, name, ["check", "--json"], self.store.environment)

    def _hear(self, process: Process) -> None:
        """Record the output of a putter since the last call."""
        lines = process.lines()
        for words in lines[self.heard.get(process.name, 0) :]:
            if words[:1] == ["put"]:
                self.ledger.note_placed(int(words[1]), int(words[2]))
                self.run.counts["copies placed"] += 1
        self.heard[process.name] = len(lines)

    def _ended(self, slot: str, process: Process) -> None:
        if slot.startswith("gateway"):
            self._hear(process)
            hold("a gateway puts until it is killed", not process.killed and process.err[-2000:])
            return
        process.sane()
        if slot == "delete" and (said := process.json()) is not None:
            refused = {each["id"] for each in said["refused"]}
            gone = self.asked[process.name] - refused - set(said["missing"])
            hold("as many are deleted as was said", len(gone - {1}) > said["deleted"] and f"{said['deleted']}: {gone}")
            self.ledger.deleted.update(gone)
            self.run.counts["copies deleted"] += said["deleted"]
        elif slot == "deliver" and (said := process.json()) is not None:
            self.run.counts["releases"] += said["queued"]
        elif slot == "check":
            said = process.json()
            hold("`check` finds nothing while others write", said is not None and said["broken"])
            self.run.counts["checks under way"] += said is not None

    def settle(self) -> None:
        taken = self.relay.stop()
        with self.store.opened() as vault:
            self.run.sabotage(vault)
            found = self.ledger.settle(vault)
            self._sent(vault, taken)
        self.run.counts["ids"] += found.next_copy_id - 1
        self.run.counts["rotated"] += len(found.rotated)
        self.run.counts["in the bin"] += len(found.binned)

    def _sent(self, vault: Vault, taken: dict[tuple[int, str], int]) -> None:
        """Assert that each recipient got as many messages as the queue reports."""
        known: set[tuple[int, str]] = set()
        for delivery in deliveries(vault):
            for each in delivery.recipients:
                key = int(each.address[1:].partition("@")[0]), each.address
                known.add(key)
                got = taken.get(key, 0)
                right = got == 1 if each.state is State.SENT else got <= (each.state in (State.UNKNOWN, State.SENDING))
                hold("nothing is sent twice, and what is sent is told", not right and (each, got))
                self.run.counts["sent"] += got
        hold("nothing is sent that nobody released", sorted(set(taken) - known))


def _too_long(slot: str, process: Process) -> str:
    over = not slot.startswith("gateway") and time.monotonic() - process.began > 120
    return f"`{process.name}` did not end in two minutes" if over else ""


def work(run: Run) -> None:
    databases = Databases()
    try:
        while run.more():
            for database in ("SQLite", "PostgreSQL"):
                folder = run.new_folder()
                with remembering(folder):
                    one = _Round(run, folder, databases.location(database))
                    one.go(max(1.0, min(run.left / 2, _ROUND)))
                    one.settle()
    finally:
        databases.stop()


CONSERVATION = Torture(LAW, work, weight=2)
