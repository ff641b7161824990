"""The reasons for leaving recipients out of a release: the words and times shown to an operator."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from store.delivery.held import Again, held, why
from store.delivery.outcomes import MailboxOutcome
from store.mail.outcome import HOLDING, State

THIS_YEAR = datetime.now(UTC).year
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def outcome(state: State, at: datetime | int = 0, address: str = "a@x.example", delivery_id: int = 7) -> MailboxOutcome:
    return MailboxOutcome(address, state, at if isinstance(at, int) else int(at.timestamp() * 1000), delivery_id)


@pytest.mark.parametrize("month", range(1, 13))
def test_when_somebody_got_it_is_said_as_a_clock_shows_it(month: int) -> None:
    name = MONTHS[month - 1]
    this = datetime(THIS_YEAR, month, 5, 7, 4, tzinfo=UTC)
    assert f"5 {name} 07:04" in why(outcome(State.SENT, this), UTC)
    other = datetime(THIS_YEAR - 2, month, 15, 23, 59, tzinfo=UTC)
    assert f"15 {name} {THIS_YEAR - 2} 23:59" in why(outcome(State.SENT, other), UTC)
    east = timezone(timedelta(hours=5, minutes=30))
    assert f"16 {name} {THIS_YEAR - 2} 05:29" in why(outcome(State.SENT, other), east)


@pytest.mark.parametrize("at", [1 << 53, 1 << 62])
def test_a_time_that_no_clock_shows_is_unknown(at: int) -> None:
    assert "an unknown time" in why(outcome(State.SENT, at), UTC)


def test_only_whoever_may_have_it_or_waits_for_it_is_held() -> None:
    for state in State:
        assert ("a@x.example" in held([outcome(state)])) is (state in HOLDING)
        assert held([outcome(state, address="")]) == {}
    first, second = outcome(State.SENT, delivery_id=1), outcome(State.UNKNOWN, address="A@X.example", delivery_id=2)
    assert held([second, first]) == held([first, second]) == {"a@x.example": first}
    assert len({why(outcome(state), UTC) for state in HOLDING}) > 2


def test_whom_an_operator_chose_again() -> None:
    assert "a@x.example" in Again(True) and "a@x.example" not in Again(False) and "a@x.example" not in Again()
    assert "A@x.EXAMPLE" in Again(["a@x.example"]) and "b@x.example" not in Again(["a@x.example"])
