"""Undoing an operator's marks of campaigns: every kind, among the marks of colleagues."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.campaigns import marks
from store.campaigns.marks import Mark, Marks, Peeled, State, read_marks
from store.check import check
from store.undoing.marks import changes_of, merged_marks
from store.undoing.undoing import next_plan
from store.vault.vault import Vault
from tests.store.undoing.test_configured import COLLEAGUE, ME, z

ACTS: dict[str, Callable[[Vault], object]] = {
    "campaign 3: name Parcels -> -": lambda vault: marks.name(vault, 3, "Parcels", operator=ME),
    "campaign 3: owner ada -> -": lambda vault: marks.own(vault, 3, "ada", operator=ME),
    "campaign 3: note ask them -> -": lambda vault: marks.note(vault, 3, "ask them", operator=ME),
    "campaign 3: state done -> new": lambda vault: marks.set_state(vault, 3, State.DONE, operator=ME),
    "2 message copies back in campaign 3": lambda vault: marks.peel(vault, 3, [7, 8], 9, operator=ME),
    "campaign 3: joined to campaign 4 -> -": lambda vault: marks.join(vault, 3, 4, operator=ME),
}


@pytest.mark.parametrize("told", ACTS)
def test_every_act_is_taken_back_and_done_again(told: str, any_vault: Vault) -> None:
    marks.name(any_vault, 1, "Invoices", operator=COLLEAGUE)
    before, _ = read_marks(any_vault)
    ACTS[told](any_vault)
    after, _ = read_marks(any_vault)
    does, does_not = z(any_vault)
    assert told in does and not does_not
    assert read_marks(any_vault)[0] == before
    z(any_vault, again=True)
    assert read_marks(any_vault)[0] == after
    z(any_vault)
    assert read_marks(any_vault)[0] == before and next_plan(any_vault, ME) is None
    assert check(any_vault).broken == []


def test_the_owner_takes_the_new_state_back_with_it(vault: Vault) -> None:
    marks.own(vault, 3, "ada", operator=ME)
    assert z(vault)[0] == ("campaign 3: owner ada -> -", "campaign 3: state open -> new")


def test_what_a_colleague_said_since_stays(any_vault: Vault) -> None:
    marks.name(any_vault, 3, "Parcels", operator=ME)
    marks.own(any_vault, 3, "grace", operator=COLLEAGUE)
    z(any_vault)
    assert read_marks(any_vault)[0].marks == (Mark(3, owner="grace", state=State.OPEN),)
    marks.note(any_vault, 3, "mine", operator=ME)
    marks.note(any_vault, 3, "theirs", operator=COLLEAGUE)
    assert next_plan(any_vault, ME) is None
    assert read_marks(any_vault)[0].of(3).note == "theirs"


def test_two_who_peel_off_the_same_take_back_their_own(any_vault: Vault) -> None:
    marks.peel(any_vault, 3, [7, 8], 9, operator=ME)
    marks.peel(any_vault, 3, [7, 8], 9, operator=COLLEAGUE)
    marks.peel(any_vault, 3, [8, 12], 9, operator=COLLEAGUE)
    assert z(any_vault) == (("2 message copies back in campaign 3",), ())
    assert read_marks(any_vault)[0].taken_out(3) == {7, 8, 12}
    z(any_vault, operator=COLLEAGUE)
    assert read_marks(any_vault)[0].taken_out(3) == {7, 8}
    z(any_vault, operator=COLLEAGUE)
    assert read_marks(any_vault)[0] == Marks()


CAMPAIGNS = st.integers(1, 3)
MARKS = st.builds(
    Mark, CAMPAIGNS, st.sampled_from(["", "a", "b"]), st.sampled_from(["", "ada"]), into=st.sampled_from([0, 4])
).filter(lambda one: one != Mark(one.campaign))
PEELED = st.builds(Peeled, CAMPAIGNS, st.tuples(st.integers(1, 4)), st.just(9))
SAID = st.builds(
    lambda said, peeled: Marks(
        tuple(sorted(said, key=lambda one: one.campaign)),
        tuple(sorted(peeled, key=lambda one: (one.campaign, one.copies))),
    ),
    st.lists(MARKS, unique_by=lambda one: one.campaign),
    st.lists(PEELED, max_size=4),
)


@given(SAID, SAID)
def test_without_another_change_all_is_as_before(before: Marks, after: Marks) -> None:
    value, changes, stays = merged_marks(before, after, after)
    assert value == before and not stays
    assert bool(changes) == (before != after) and changes == changes_of(after, before)


@given(SAID, SAID, SAID)
def test_what_the_act_did_not_touch_is_as_it_is_now(before: Marks, after: Marks, present: Marks) -> None:
    value, changes, _ = merged_marks(before, after, present)
    assert merged_marks(before, before, present)[0] == present
    assert (value != present) == bool(changes)
    for number in range(1, 4):
        if before.of(number) == after.of(number):
            assert value.of(number) == present.of(number)
