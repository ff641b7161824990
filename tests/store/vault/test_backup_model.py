"""Backup against a model: puts, deletions, bin, deliveries, changes of the maximum and restarts in any order.

Two openings of the same store stand for two processes. After every step both agree with the model on the copies, their
content, the content of the bin, the usage, and the ids ever deleted for good: each id is in one of these places, once.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from store.authority.deleting import bring_back, delete_copies, empty_bin
from store.authority.settings import Settings
from store.check import check
from store.helpers.clock import DAY_MS, now_ms
from store.opening.opening import Unlock, create_store, open_store
from store.space.bin import expire
from store.space.changing_settings import change_settings
from store.space.limits import usage
from store.terms.errors import CopyMissing
from store.terms.records import CopyRecord
from store.vault.prepared import prepare
from store.vault.vault import Vault
from tests.amounts import amount
from tests.conftest import BACKENDS
from tests.postgres import Cluster

PASSPHRASE = "model"
START = 1_790_000_000_000
EXAMPLES = {"sqlite": amount(10, 25), "postgresql": amount(4, 8)}

messages = st.builds(
    lambda seed, size: (seed * (size // len(seed) + 1))[:size],
    st.binary(min_size=1, max_size=600),
    st.integers(0, 9000),
)
which = st.integers(0, 1)


class Kept(NamedTuple):
    raw: bytes
    stored_at: int
    stored_size: int
    subject: str


class Backup(RuleBasedStateMachine):
    """The model: copies kept, oldest first, and copies deleted."""

    new_location: Callable[[], str]

    def __init__(self) -> None:
        super().__init__()
        self.location = type(self).new_location()
        vault, _ = create_store(self.location, passphrase=PASSPHRASE)
        self.vaults = [vault, self._open()]
        self.kept: dict[int, Kept] = {}
        self.live: dict[int, list[int]] = {}
        self.deleted: list[int] = []
        #: The ids in the bin, with their acts: acts count up, and 0 is none.
        self.binned: dict[int, tuple[int, Kept]] = {}
        self.share = 10
        self.next_id = 1
        self.maximum = Settings().max_size
        self.clock = START

    def _open(self) -> Vault:
        return open_store(self.location, Unlock.passphrase(PASSPHRASE))

    @property
    def used(self) -> int:
        return sum(kept.stored_size for kept in self.kept.values()) + self.used_by_bin

    @property
    def used_by_bin(self) -> int:
        return sum(kept.stored_size for _, kept in self.binned.values())

    @property
    def bin_bytes(self) -> int:
        return self.maximum * self.share // 100

    def _rotate(self) -> None:
        while self.used > self.maximum and self.used_by_bin > self.bin_bytes:
            first = min(self.binned, key=lambda each: (self.binned[each][0], self.binned[each][1].stored_size, each))
            del self.binned[first]
            self.deleted.append(first)
        newest = max(self.kept, default=0)
        for copy_id in sorted(self.kept):
            if self.used <= self.maximum:
                return
            if copy_id != newest and not self.live.get(copy_id):
                del self.kept[copy_id]
                self.deleted.append(copy_id)

    def _placed(self, raw: bytes, record: CopyRecord) -> None:
        size = prepare(raw, record, self.clock).stored_size
        self.kept[self.next_id] = Kept(raw, self.clock, size, record.subject)
        self.next_id += 1

    def _record(self) -> CopyRecord:
        return CopyRecord(subject=f"message {self.clock}", from_="a@b.example")

    @rule(which=which, raw=messages)
    def put(self, which: int, raw: bytes) -> None:
        self.clock += 1000
        record = self._record()
        copy_id = self.vaults[which].put(raw, record, stored_at=self.clock)
        assert copy_id == self.next_id
        self._placed(raw, record)
        self._rotate()

    @rule(which=which, raws=st.lists(messages, max_size=12))
    def put_many(self, which: int, raws: list[bytes]) -> None:
        items = []
        first = self.next_id
        for raw in raws:
            self.clock += 1000
            items.append((raw, self._record(), self.clock))
            self._placed(raw, items[-1][1])
        assert self.vaults[which].put_many(items) == list(range(first, self.next_id))
        if raws:
            self._rotate()

    @rule(which=which, data=st.data())
    def delete(self, which: int, data: st.DataObject) -> None:
        ids = data.draw(st.lists(st.integers(-1, self.next_id + 1), max_size=12), label="ids")
        result = delete_copies(self.vaults[which], ids, operator="model", for_good=True)
        wanted = sorted(set(ids))
        assert result.missing == [copy_id for copy_id in wanted if copy_id not in self.kept]
        assert [copy_id for copy_id, _ in result.refused] == [
            copy_id for copy_id in wanted if copy_id in self.kept and self.live.get(copy_id)
        ]
        expected = [copy_id for copy_id in wanted if copy_id in self.kept and not self.live.get(copy_id)]
        assert result.deleted == expected
        for copy_id in expected:
            del self.kept[copy_id]
            self.deleted.append(copy_id)

    @rule(which=which, data=st.data())
    def delete_into_bin(self, which: int, data: st.DataObject) -> None:
        ids = data.draw(st.lists(st.integers(-1, self.next_id + 1), max_size=12), label="ids")
        result = delete_copies(self.vaults[which], ids, operator="model")
        expected = [each for each in sorted(set(ids)) if each in self.kept and not self.live.get(each)]
        assert (result.binned, result.deleted) == (expected, [])
        for copy_id in expected:
            self.binned[copy_id] = (result.act, self.kept.pop(copy_id))

    @precondition(lambda self: self.binned)
    @rule(which=which, data=st.data())
    def bring_back(self, which: int, data: st.DataObject) -> None:
        ids = data.draw(st.lists(st.sampled_from(range(1, self.next_id)), max_size=12), label="ids")
        result = bring_back(self.vaults[which], ids, operator="model")
        wanted = sorted(set(ids))
        assert result.restored == [each for each in wanted if each in self.binned]
        assert result.there == [each for each in wanted if each in self.kept]
        assert result.gone == [each for each in wanted if each in self.deleted]
        for copy_id in result.restored:
            self.kept[copy_id] = self.binned.pop(copy_id)[1]

    @precondition(lambda self: self.binned)
    @rule(which=which, data=st.data())
    def empty(self, which: int, data: st.DataObject) -> None:
        ids = data.draw(st.lists(st.sampled_from(sorted(self.binned)), unique=True, max_size=5), label="ids")
        assert empty_bin(self.vaults[which], ids, operator="model").deleted == sorted(ids)
        for copy_id in ids:
            del self.binned[copy_id]
            self.deleted.append(copy_id)

    @precondition(lambda self: self.binned)
    @rule(which=which, days=st.sampled_from([6, 8]))
    def wait(self, which: int, days: int) -> None:
        """Let the time pass until copies in the bin expire, or nearly."""
        gone = sorted(self.binned) if days > 7 else []
        then = now_ms() + days * DAY_MS
        # Otherwise `check` finds them buried before their time.
        with patch("store.vault.deleting.now_ms", lambda: then):
            assert expire(self.vaults[which], now=then) == len(gone)
        for copy_id in gone:
            del self.binned[copy_id]
            self.deleted.append(copy_id)

    @precondition(lambda self: self.kept)
    @rule(which=which, data=st.data())
    def release(self, which: int, data: st.DataObject) -> None:
        copy_id = data.draw(st.sampled_from(sorted(self.kept)), label="copy")
        row = self.vaults[which].models.Delivery.create(
            copy_id=copy_id,
            created_at=self.clock,
            gateway_id=1,
            state="queued",
            next_attempt_at=self.clock,
            order_blob=b"",
            order_signature=b"",
            expires_at=self.clock,
        )
        self.live.setdefault(copy_id, []).append(row.id)

    @precondition(lambda self: any(self.live.values()))
    @rule(which=which, data=st.data())
    def finish(self, which: int, data: st.DataObject) -> None:
        orders = sorted((order, copy_id) for copy_id, ids in self.live.items() for order in ids)
        order, copy_id = data.draw(st.sampled_from(orders), label="delivery")
        table = self.vaults[which].models.Delivery
        table.update(state="cancelled", finished_at=self.clock).where(table.id == order).execute()
        self.live[copy_id].remove(order)

    @rule(which=which, share=st.integers(0, 130), bin_share=st.sampled_from([0, 10, 50]))
    def change_maximum(self, which: int, share: int, bin_share: int) -> None:
        """Set the maximum to a share of the current usage (%)."""
        maximum = max(1, self.used * share // 100)
        change_settings(self.vaults[which], Settings(max_size=maximum, notify_below=0, bin_share=bin_share))
        self.share = bin_share
        shrank, self.maximum = maximum < self.maximum, maximum
        if shrank:
            self._rotate()

    @rule(which=which)
    def restart(self, which: int) -> None:
        self.vaults[which].close()
        self.vaults[which] = self._open()

    @invariant()
    def both_agree_with_the_model(self) -> None:
        oldest = min(self.kept, default=None)
        for vault in self.vaults:
            assert vault.ids() == sorted(self.kept)
            assert vault.bin.ids() == sorted(self.binned)
            assert usage(vault) == (
                len(self.kept),
                self.used,
                self.maximum,
                max(0, self.maximum - self.used + max(0, self.used_by_bin - self.bin_bytes)),
                None if oldest is None else self.kept[oldest].stored_at,
                *(len(self.binned), self.used_by_bin, self.bin_bytes, 0),
            )
        assert sorted([*self.kept, *self.binned, *self.deleted]) == list(range(1, self.next_id))

    @invariant()
    def copies_hold_what_was_put(self) -> None:
        vault = self.vaults[self.clock // 1000 % 2]
        found = {copy.id: copy for copy in vault.scan()}
        assert list(found) == sorted(self.kept)
        for copy_id, kept in self.kept.items():
            copy = found[copy_id]
            assert (copy.stored_at, copy.stored_size) == (kept.stored_at, kept.stored_size)
            assert (copy.record.subject, copy.record.size) == (kept.subject, len(kept.raw))
        for copy_id in (min(self.kept, default=0), max(self.kept, default=0)):
            if copy_id:
                assert vault.raw(copy_id) == self.kept[copy_id].raw
        for copy_id in sorted(self.binned)[:1]:
            assert vault.raw(copy_id, binned=True) == self.binned[copy_id][1].raw
        newest = sorted(self.kept, reverse=True)
        assert [copy.id for copy in vault.newest(3)] == newest[:3]
        if newest:
            assert [copy.id for copy in vault.newest(3, before_id=newest[0])] == newest[1:4]

    @invariant()
    def what_was_deleted_is_buried(self) -> None:
        for vault in self.vaults:
            assert sorted(vault.tombstones_since(0)[1]) == sorted(self.deleted)
        if self.deleted:
            with pytest.raises(CopyMissing):
                self.vaults[0].raw(self.deleted[-1])

    def teardown(self) -> None:
        try:
            result = check(self.vaults[0])
            # `check` does not accept an order made by the model.
            assert [what for what, _why in result.broken if not what.startswith("delivery ")] == []
        finally:
            for vault in self.vaults:
                vault.close()


def run(new_location: Callable[[], str], examples: int) -> None:
    machine: Any = type("Backup", (Backup,), {"new_location": staticmethod(new_location)})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.fixture(params=BACKENDS)
def new_location(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], str]:
    """Return a function that names a place for a new store each time."""
    count = iter(range(10_000))
    if request.param == "sqlite":
        return lambda: str(tmp_path / f"{next(count)}.store")
    cluster: Cluster = request.getfixturevalue("postgres")

    def schema() -> str:
        import psycopg

        name = f"model_{next(count)}_{id(count)}"
        location = cluster.url(name)
        with psycopg.connect(location, autocommit=True) as connection:
            connection.execute(f"CREATE SCHEMA {name}".encode())
        return location

    return schema


def test_any_order_of_events(new_location: Callable[[], str], request: pytest.FixtureRequest) -> None:
    run(new_location, EXAMPLES[request.node.callspec.params["new_location"]])
