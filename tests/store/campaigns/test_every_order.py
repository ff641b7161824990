"""Acts, arrivals, deletions and findings in every order: following all steps gives the same as reading at the end."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from store.campaigns import marks
from store.campaigns.finding import find
from store.campaigns.reading import StandingReader
from store.campaigns.standing import Standing
from store.campaigns.stored import Stored
from store.undoing.undoing import carry_out, next_plan
from store.vault.vault import Vault
from tests.amounts import amount
from tests.store.campaigns.mail import letter, put, put_wave

OPERATORS = ("ada", "grace")
STEPS = 14


class Drawn:
    """A store changed by random steps."""

    def __init__(self, vault: Vault, seed: int) -> None:
        self.vault, self.rng = vault, random.Random(seed)
        self.followed = StandingReader(vault)
        self.number = 1000
        self.given: dict[int, set[int]] = {}

    def standing(self) -> Standing:
        return self.followed.read()

    def any_copies(self, most: int) -> tuple[int, list[int]]:
        campaigns = [one for one in self.standing().campaigns if len(one.copies) > 2]
        if not campaigns:
            return 0, []
        one = self.rng.choice(campaigns)
        return one.id, self.rng.sample(list(one.copies), min(most, len(one.copies) - 1))

    def arrive(self) -> None:
        campaign, count = self.rng.randrange(4), self.rng.randrange(1, 14)
        put(self.vault, [letter(campaign, self.number + number) for number in range(count)])
        self.number += count

    def peel(self) -> None:
        campaign, copies = self.any_copies(3)
        if len(copies) > 1:
            marks.peel(self.vault, campaign, copies[1:], copies[0], operator=self.rng.choice(OPERATORS))

    def join(self) -> None:
        ids = [one.id for one in self.standing().campaigns]
        if len(ids) > 1:
            one, other = self.rng.sample(ids, 2)
            marks.join(self.vault, one, other, operator=self.rng.choice(OPERATORS))

    def undo(self) -> None:
        operator = self.rng.choice(OPERATORS)
        plan = next_plan(self.vault, operator)
        if plan is not None:
            carry_out(self.vault, plan, operator=operator)

    def delete(self) -> None:
        _, copies = self.any_copies(6)
        if self.rng.random() < 0.5:
            self.vault.delete(copies)
        else:
            self.vault.bin.put(copies, until=1 << 50)

    def restore(self) -> None:
        binned = self.vault.bin.ids()
        self.vault.bin.restore(self.rng.sample(binned, len(binned) // 2))

    def find(self) -> None:
        find(self.vault, again=self.rng.random() < 0.3)

    def step(self) -> None:
        acts: list[Callable[[], None]] = [self.arrive, self.peel, self.join, self.undo, self.delete, self.restore]
        self.rng.choice([*acts, self.arrive, self.find, self.find])()

    def check(self) -> None:
        """Check what must hold at every moment."""
        followed, late = self.standing(), StandingReader(self.vault).read()
        assert not followed.problems and followed.number == late.number and followed.waiting == late.waiting
        assert followed.campaigns == late.campaigns and followed.placed == late.placed
        said, _ = marks.read_marks(self.vault)
        copies = [copy for one in followed.campaigns for copy in (*one.copies, *(each.copy for each in one.odd))]
        assert len(set(copies)) == len(copies)
        for one in followed.campaigns:
            for number in (one.id, *one.parts):
                assert not said.taken_out(number) & set(one.copies)
        # A campaign number is never reused: most of its former copies still have it, unless they are gone.
        state = Stored(self.vault).state()
        assert all(number < state.following for number in state.order)
        for number in state.order:
            assert number in self.given or number >= max([0, *self.given]), (number, self.given.keys())
        self.given.update({number: set() for number in state.order})


@pytest.mark.parametrize("seed", range(amount(3, 12)))
def test_in_every_order(vault: Vault, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    if seed % 2:
        monkeypatch.setattr("store.campaigns.finding._SOON_MS", -1)  # Finding is slow: copies join instead.
    put_wave(vault, (14, 12, 10), 6)
    find(vault)
    drawn = Drawn(vault, seed)
    drawn.check()
    for _ in range(STEPS):
        drawn.step()
        drawn.check()
    find(vault)
    drawn.check()
    assert not drawn.standing().waiting


def test_on_the_server_too(any_vault: Vault) -> None:
    test_body = Drawn(any_vault, 99)
    put_wave(any_vault, (14, 12, 10), 6)
    find(any_vault)
    for _ in range(STEPS):
        test_body.step()
        test_body.check()
