"""The states of a delivery and of each of its recipients, and what an attempt reports."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple


class State(StrEnum):
    """Where a recipient stands; a delivery shows the state of the recipient that most needs attention.

    QUEUED waits; SENDING is in a worker's hands; DEFERRED was put off by the server (4xx, or no connection) and is
    retried; SENT was taken by the server; FAILED was refused for good, or ran out of time; UNKNOWN lost its connection
    after DATA had begun, so that nobody can say, and only an operator sends it again; CANCELLED was called off.
    """

    QUEUED = "queued"
    SENDING = "sending"
    DEFERRED = "deferred"
    SENT = "sent"
    FAILED = "failed"
    UNKNOWN = "unknown"
    CANCELLED = "cancelled"

    @property
    def live(self) -> bool:
        """True while there is still something to be done without an operator."""
        return self in LIVE


LIVE = frozenset({State.QUEUED, State.SENDING, State.DEFERRED})
#: The states from which an operator may send again.
RETRIABLE = frozenset({State.FAILED, State.UNKNOWN, State.CANCELLED})
_ATTENTION = (
    State.SENDING,
    State.QUEUED,
    State.DEFERRED,
    State.UNKNOWN,
    State.FAILED,
    State.CANCELLED,
    State.SENT,
)


def overall(states: Iterable[State]) -> State:
    """The state of a delivery whose recipients have `states`."""
    present = set(states)
    return next((state for state in _ATTENTION if state in present), State.SENT)


class Outcome(NamedTuple):
    """What became of one recipient in one attempt: SENT, DEFERRED, FAILED or UNKNOWN, and the server's reply."""

    state: State
    reply: str
