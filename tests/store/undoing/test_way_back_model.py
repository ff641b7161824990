"""Undo against a model: copies, bin, queue, rotation and undo in any order, with crashes in the middle.

Two consoles of one operator, one of a colleague, a worker and a gateway that rotates share a store; some acts are done
by a process that is killed before one of its statements. Before each act the model predicts the changes. Afterwards
exactly these have happened (after a kill: the first batches), and undo's report equals what happened.

There are 400 examples with `MAILHOLD_THOROUGH=1`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from store.authority import acts
from store.authority.settings import Settings
from store.check import check
from store.database.clock import decides_ms
from store.delivery import leases, outbox, queue
from store.delivery.outbox import send_now
from store.enrolment.enrolment import enroll
from store.helpers.clock import DAY_MS, now_ms
from store.mail.outcome import Outcome, State
from store.opening.opening import create_store
from store.space.bin import expire
from store.space.changing_settings import change_settings
from store.space.limits import usage
from store.terms.errors import DeliveryError
from store.undoing import deleted
from store.undoing.plans import Plan, Told
from store.undoing.undoing import acts_of, carry_out, next_plan
from store.vault import bin as bin_module
from store.vault import deleting
from store.vault.prepared import prepare
from tests.amounts import amount
from tests.conftest import BACKENDS
from tests.postgres import Cluster
from tests.store.undoing.way_back import (
    AT,
    MESSAGE,
    PASSPHRASE,
    RECORD,
    Act,
    Mortal,
    Seen,
    mortal,
    opened,
    perform,
    seen,
)
from tests.store.undoing.way_back_model import MOST, SHARE, Model, Shown, flat

EXAMPLES = {"sqlite": 10, "postgresql": 4}
STEPS = 30
#: Copies per batch of any act.
BATCH = 2
SIZE = prepare(MESSAGE, RECORD, AT).stored_size
ME, HER = "Zoë \x1b[31m\u202e; deliveries 1-9\n'\"", "her"
OPERATORS = (ME, ME, HER)
HOLD = 10

consoles = st.integers(0, 2)
changes = st.one_of(
    st.tuples(st.just("black"), st.sampled_from(["a.example", "b.example"])),
    st.tuples(st.just("administrator"), st.sampled_from(["a@corp.example", "b@corp.example", ""])),
    st.tuples(st.just("filter"), st.sampled_from(["subject:a", "subject:b", None])),
)


class WayBack(RuleBasedStateMachine):
    """The store, its four users, and the model."""

    place: Callable[[], tuple[str, Path]]
    mortal: Mortal

    def __init__(self) -> None:
        super().__init__()
        self.location, folder = type(self).place()
        self.credentials = folder / "mx1"
        vault, _ = create_store(self.location, passphrase=PASSPHRASE)
        share = -(-100 * SHARE // MOST)
        first = Settings(max_size=MOST * SIZE, notify_below=0, bin_share=share, relay="smtp://127.0.0.1:1", hold=HOLD)
        change_settings(vault, first)
        enroll(vault, "mx1", self.credentials)
        self.vaults = [vault, opened(self.location), opened(self.location), opened(self.location, self.credentials)]
        vault.put_many([(MESSAGE, RECORD, AT)] * 8)
        self.model = Model(seen(vault), (ME, HER))
        self.plans: dict[int, Plan | None] = {}
        self.claims: dict[int, leases.Claim] = {}
        self.put_off: set[int] = set()
        #: The ids deleted or released last.
        self.lately: list[int] = []

    def take_in(self, act: Act, expected: Shown, *, whole: bool = True) -> Shown:
        """Read what an act changed, and compare it with the permitted changes."""
        before, was = flat(self.model.now), self.model.now
        self.model.now = seen(self.vaults[0])
        after = flat(self.model.now)
        changed = {key: value for key, value in after.items() if before.get(key) != value}
        assert set(before) <= set(after)
        if whole:
            assert changed == expected
        else:
            assert changed.items() <= expected.items()
        self.model.bin_acts |= dict.fromkeys(set(self.model.now.binned.values()) - set(self.model.bin_acts), act[1])
        if act[1]:
            self.note(act, was, changed, whole=whole)
        return changed

    def note(self, act: Act, was: Seen, changed: Shown, *, whole: bool) -> None:
        """Record which acts can be undone now: a new one, and the completed part of a killed one."""
        operator = act[1]
        found = acts_of(self.vaults[0], operator)
        real = [each.number for each in reversed(found.done)], [each.number for each in reversed(found.taken_back)]
        stacks = self.model.stacks[operator]
        new = set(real[0]) - set(self.model.acts)
        undoing = act[0] in ("undo", "redo")
        can = not undoing and act[0] not in ("bring back", "empty", "call back")
        assert len(new) <= (can or act[0] == "redo") and (not changed or not can or new)
        for number in new:
            kind = {"block": "black", "unblock": "black", "redo": "delete"}.get(act[0], act[0])
            if kind == "delete":
                self.model.acts[number] = kind, sorted(key[1] for key in changed)
            elif kind == "release":
                self.model.acts[number] = kind, sorted(set(self.model.now.queue) - set(was.queue))
            else:
                self.model.acts[number] = kind, (flat(was)[kind], flat(self.model.now)[kind])
        if not undoing:
            assert real == ([*stacks[0], *new], stacks[1])
        elif not whole:
            gone = {*stacks[0], *stacks[1]} - {*real[0], *real[1]}
            assert sorted([*real[0], *real[1], *gone]) == sorted([*stacks[0], *stacks[1], *new])
            assert len(gone) <= (act[0] == "redo" and bool(new))  # a deletion redone, and the kill came after that
        self.model.stacks[operator] = real

    def do(self, which: int, what: str, how: Any, statements: int | None = None) -> Any:
        """Do an act in a console, or in its own process that dies before that statement."""
        act = (what, OPERATORS[which], how)
        expected = self.model.expected(act)
        if statements is not None:
            died = self.mortal.perform(self.location, None, act, statements)
            self.take_in(act, expected, whole=not died)
            return None
        result = perform(self.vaults[which], act)
        self.take_in(act, expected)
        return result

    then = st.sampled_from(["", "", "", "z", "zZ"])
    dies = st.one_of(st.none(), st.none(), st.none(), st.integers(0, 60))

    @rule(count=st.integers(1, 5), dies=dies)
    def arrive(self, count: int, dies: int | None) -> None:
        act, expected = ("put", "", count), self.model.rotated(count)
        if dies is None:
            perform(self.vaults[3], act)
        died = dies is not None and self.mortal.perform(self.location, self.credentials, act, dies)
        self.take_in(act, expected, whole=not died)

    @precondition(lambda self: self.model.now.copies)
    @rule(which=consoles, what=st.sampled_from(["delete", "release"]), data=st.data(), dies=dies, then=then)
    def act_on_copies(self, which: int, what: str, data: st.DataObject, dies: int | None, then: str) -> None:
        ids = st.one_of(st.sampled_from(self.model.now.copies), st.integers(1, len(self.model.where)))
        lists = st.lists(ids, unique=True, min_size=1, max_size=7)
        self.lately = data.draw(st.one_of(st.just(self.lately), lists) if self.lately else lists)
        self.do(which, what, self.lately, dies)
        self.press(which, then)

    @precondition(lambda self: self.model.now.binned)
    @rule(which=consoles, what=st.sampled_from(["bring back", "empty", "wait"]), data=st.data(), dies=dies)
    def act_on_the_bin(self, which: int, what: str, data: st.DataObject, dies: int | None) -> None:
        if what == "wait":
            self.wait(which, data.draw(st.sampled_from([6, 8])))
            return
        ids = st.one_of(st.sampled_from(sorted(self.model.now.binned)), st.integers(1, len(self.model.where)))
        self.do(which, what, data.draw(st.lists(ids, unique=True, min_size=1, max_size=7)), dies)

    def wait(self, which: int, days: int) -> None:
        """Let the time pass until copies in the bin expire, or nearly."""
        gone = sorted(self.model.now.binned) if days > 7 else []
        assert expire(self.vaults[which], now=now_ms() + days * DAY_MS) == len(gone)
        self.take_in(("wait", "", 0), self.model.moved(gone, "gone"))

    @precondition(lambda self: self.model.now.queue)
    @rule(which=consoles, data=st.data(), dies=dies)
    def call_back_or_send_now(self, which: int, data: st.DataObject, dies: int | None) -> None:
        if data.draw(st.booleans()):
            self.send_now(which, data.draw(st.sampled_from(sorted(self.model.now.queue))))
            return
        ids = data.draw(st.lists(st.sampled_from(sorted(self.model.now.queue)), unique=True, min_size=1, max_size=5))
        self.do(which, "call back", sorted(ids), dies)

    def send_now(self, which: int, each: int) -> None:
        if self.model.now.queue[each][1] in ("queued", "deferred"):
            assert send_now(self.vaults[which], each, OPERATORS[which]).sends == 1
            self.put_off.discard(each)
        else:
            with pytest.raises(DeliveryError):
                send_now(self.vaults[which], each, OPERATORS[which])

    @precondition(lambda self: self.model.now.queue)
    @rule(which=consoles, count=st.integers(1, 4), outcome=st.sampled_from(["sent", "deferred", "sending"]))
    def work(self, which: int, count: int, outcome: str) -> None:
        """Send as a worker does once the hold is over."""
        vault = self.vaults[which]
        due = {
            each
            for each, (_, state) in self.model.now.queue.items()
            if state == "queued" or (state == "deferred" and each not in self.put_off)
        }
        later = decides_ms(vault.db) + 1000 * HOLD + 1000
        with vault.write():
            claims = leases.claim(vault, 1, "w", count, later, leases.LEASE)
            for each in claims:
                if outcome == "sending":
                    leases.start_data(vault, each, each.live, {}, later, leases.LEASE)
                    self.claims[each.id] = each
                else:
                    leases.settle(vault, each, dict.fromkeys(each.recipients, Outcome(State(outcome), "x")), later)
        ids = [each.id for each in claims]
        assert set(ids) <= due and len(ids) == min(count, len(due))
        if outcome == "deferred":
            self.put_off |= set(ids)
        self.take_in(
            ("work", "", 0),
            self.model.turned([each for each in ids if self.model.now.queue[each][1] != outcome], outcome),
        )

    @precondition(lambda self: self.claims)
    @rule(which=consoles)
    def finish(self, which: int) -> None:
        """Finish what is being sent."""
        each, claim = self.claims.popitem()
        vault = self.vaults[which]
        with vault.write():
            leases.settle(vault, claim, dict.fromkeys(claim.recipients, Outcome(State.SENT, "x")), now_ms())
        self.take_in(("work", "", 0), self.model.turned([each], "sent"))

    @rule(which=consoles, how=changes, dies=dies, then=then)
    def configure(self, which: int, how: tuple[str, Any], dies: int | None, then: str) -> None:
        what, value = how
        if what == "black":
            what = "unblock" if value in self.model.now.black else "block"
        elif flat(self.model.now)[what] == value:
            return
        self.do(which, what, value, dies)
        self.press(which, then)

    @rule(which=consoles, keys=st.sampled_from(["z", "Z", "zz", "zZ", "zZz", "zzZZ"]))
    def press(self, which: int, keys: str) -> None:
        """Press z and Z, and Enter in each window."""
        for key in keys:
            self.look(which, key == "Z")
            if plan := self.plans[which]:
                assert self.confirm(which).does_not == plan.told.does_not

    @rule(which=consoles, again=st.booleans())
    def look(self, which: int, again: bool) -> None:
        """Press z or Z, and leave the window open."""
        operator = OPERATORS[which]
        plan = self.plans[which] = next_plan(self.vaults[which], operator, again=again)
        assert (plan.act.number if plan else 0) == self.model.next(operator, again)
        if plan is not None:
            self.hold_against(plan.told, self.model.effect(plan.act.number, operator, again))

    @precondition(lambda self: any(self.plans.values()))
    @rule(data=st.data())
    def answer(self, data: st.DataObject) -> None:
        """Press Enter in a window, whatever happened since it opened."""
        self.confirm(data.draw(st.sampled_from([each for each, plan in self.plans.items() if plan])))

    def confirm(self, which: int) -> Told:
        plan, operator = self.plans.pop(which), OPERATORS[which]
        assert plan is not None
        number, again = plan.act.number, plan.again
        old = [*self.model.stacks[operator][0]], [*self.model.stacks[operator][1]]
        expected = self.model.effect(number, operator, again) if number in old[again] else {}
        told = carry_out(self.vaults[which], plan, operator=operator)
        self.take_in(("redo" if again else "undo", operator, None), expected)
        if number not in old[again]:
            assert told == Told((), (f"it was {'redone' if again else 'undone'} already",))
        self.hold_against(told, expected)
        new = [each for each in self.model.stacks[operator][0] if each not in (*old[0], *old[1])]
        if expected:
            old[again].remove(number)
            old[0].extend(new)
            if not new:  # a deletion that was redone is a new deletion
                old[not again].append(number)
        assert self.model.stacks[operator] == old
        return told

    def hold_against(self, told: Told, effect: Shown) -> None:
        """Assert that the announced changes are the actual ones."""
        assert bool(told.does) == bool(effect)
        if effect and isinstance(next(iter(effect)), tuple):
            [does] = told.does
            counted = re.match(r"\d+", does)
            assert int(counted[0] if counted else 1) == len(effect)

    @rule(which=consoles, again=st.booleans(), statements=st.integers(0, 60))
    def die_in_undo(self, which: int, again: bool, statements: int) -> None:
        self.do(which, "redo" if again else "undo", None, statements)

    @rule(which=st.integers(0, 3))
    def restart(self, which: int) -> None:
        self.vaults[which].close()
        self.vaults[which] = opened(self.location, self.credentials if which == 3 else None)

    @invariant()
    def all_see_the_same(self) -> None:
        copies, binned = len(self.model.now.copies), len(self.model.now.binned)
        for vault in self.vaults:
            if vault is not self.vaults[3]:
                assert seen(vault) == self.model.now
            assert vault.ids() == self.model.now.copies and vault.bin.ids() == sorted(self.model.now.binned)
            found = usage(vault)
            assert (found.messages, found.binned) == (copies, binned)
            assert (found.used_bytes, found.binned_bytes) == ((copies + binned) * SIZE, binned * SIZE)

    def teardown(self) -> None:
        try:
            assert check(self.vaults[0]).broken == []
        finally:
            for vault in self.vaults:
                vault.close()


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Use batches of two copies; all acts of an example count as done at the same time."""
    for module, names in (
        (bin_module, ("_LEAST", "_MOST")),
        (deleting, ("_FIRST_BATCH", "_LEAST", "_MOST")),
        (outbox, ("_BATCH",)),
        (queue, ("_BATCH",)),
    ):
        for name in names:
            monkeypatch.setattr(module, name, BATCH)
    defaults = acts.Act.__init__.__kwdefaults__
    assert defaults is not None
    monkeypatch.setitem(defaults, "one_part", BATCH)
    monkeypatch.setattr(deleted, "_SLACK_MS", 1 << 40)


@pytest.fixture
def killed(small_batches: None) -> Iterator[Mortal]:
    with mortal() as found:
        yield found


@pytest.fixture(params=BACKENDS)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], tuple[str, Path]]:
    """Return a function that names a place for a new store each time, and a folder."""
    count = iter(range(10_000))

    def new() -> tuple[str, Path]:
        number = next(count)
        folder = tmp_path / str(number)
        folder.mkdir()
        if request.param == "sqlite":
            return str(folder / "s"), folder
        import psycopg

        cluster: Cluster = request.getfixturevalue("postgres")
        name = f"way_{os.getpid()}_{number}"
        location = cluster.url(name)
        with psycopg.connect(location, autocommit=True) as connection:
            connection.execute(f"CREATE SCHEMA {name}".encode())
        return location, folder

    return new


@pytest.mark.timeout(amount(600, 7200))
def test_any_order_of_acts(
    place: Callable[[], tuple[str, Path]], killed: Mortal, request: pytest.FixtureRequest
) -> None:
    backend = request.node.callspec.params["place"]
    machine: Any = type("WayBack", (WayBack,), {"place": staticmethod(place), "mortal": killed})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=amount(EXAMPLES[backend], 400),
            stateful_step_count=STEPS,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
