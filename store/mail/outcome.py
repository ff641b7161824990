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
    """Combine the states of a delivery's recipients into the delivery's state."""
    present = set(states)
    return next((state for state in _ATTENTION if state in present), State.SENT)


class Delivered(StrEnum):
    """What became of the releases of one copy, from the outcomes of its recipients (see `delivered`)."""

    NO = "no"
    WAITING = "waiting"
    YES = "yes"
    PARTLY = "partly"
    FAILED = "failed"
    UNKNOWN = "unknown"


#: Which of two states of one mailbox counts: whoever has the message has it, whatever a later attempt came to.
_STRONGEST = (
    State.SENT,
    State.UNKNOWN,
    State.SENDING,
    State.QUEUED,
    State.DEFERRED,
    State.FAILED,
    State.CANCELLED,
)
#: The states of a mailbox to which a further release could bring the message twice.
HOLDING = frozenset({State.SENT, State.UNKNOWN}) | LIVE


def strongest(states: Iterable[State]) -> State:
    """Return what one mailbox's states in several deliveries of one copy come to. `states` must not be empty."""
    return min(states, key=_STRONGEST.index)


def delivered(states: Iterable[State]) -> Delivered:
    """Return what the states of a copy's mailboxes (one each) come to.

    UNKNOWN where one is unknown, else WAITING where one waits, YES where all have it, PARTLY where some do, FAILED
    where one failed; NO where there is none, or all were cancelled.
    """
    present = set(states)
    if State.UNKNOWN in present:
        return Delivered.UNKNOWN
    if present & LIVE:
        return Delivered.WAITING
    if State.SENT in present:
        return Delivered.YES if present == {State.SENT} else Delivered.PARTLY
    return Delivered.FAILED if State.FAILED in present else Delivered.NO


class Outcome(NamedTuple):
    """What became of one recipient in one attempt: SENT, DEFERRED, FAILED or UNKNOWN, and the server's reply."""

    state: State
    reply: str


class Attention(NamedTuple):
    """The deliveries that an operator should look at, by id.

    `failed` and `unknown` ended so for a mailbox that no other delivery of the copy reached, will reach or may have
    reached, and their copy is still in Backup. `put_off` wait for another try.
    """

    failed: frozenset[int] = frozenset()
    unknown: frozenset[int] = frozenset()
    put_off: frozenset[int] = frozenset()

    @property
    def ids(self) -> frozenset[int]:
        """All of them."""
        return self.failed | self.unknown | self.put_off


NOTHING_TO_DO = Attention()
