"""The outcome of a copy per mailbox over several deliveries (`store.mail.outcome`, `store.delivery.outcomes`)."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from store.mail.outcome import LIVE, Delivered, State, delivered, strongest


@given(st.lists(st.sampled_from(State)))
def test_a_copy_is_delivered_only_where_all_have_it(states: list[State]) -> None:
    outcome = delivered(states)
    assert (outcome is Delivered.YES) == (bool(states) and set(states) == {State.SENT})
    assert (outcome is Delivered.UNKNOWN) == (State.UNKNOWN in states)
    if State.UNKNOWN not in states:
        assert (outcome is Delivered.WAITING) == bool(LIVE & set(states))


@given(st.lists(st.sampled_from(State), min_size=1))
def test_whoever_has_the_message_has_it(states: list[State]) -> None:
    one = strongest(states)
    assert one in states
    if State.SENT in states:
        assert one is State.SENT
    elif State.UNKNOWN in states:
        assert one is State.UNKNOWN
