"""The states of a delivery and of each of its recipients, and the outcome of an attempt."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple


class State(StrEnum):
    """The state of a recipient. A delivery has the state of the recipient that needs most attention.

    QUEUED: waiting. SENDING: a worker is sending it. DEFERRED: put off by the server (4xx, or no connection), and
    retried. SENT: accepted by the server. FAILED: refused for good, or out of time. UNKNOWN: the connection broke after
    DATA had begun, so the message may or may not have been accepted; only an operator sends it again. CANCELLED: called
    off.
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
        """Whether the delivery goes on without an operator."""
        return self in LIVE


LIVE = frozenset({State.QUEUED, State.SENDING, State.DEFERRED})
#: The states in which an operator may send again.
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
    """The state of all releases of one copy, from its recipients' states (see `delivered`)."""

    NO = "no"
    WAITING = "waiting"
    YES = "yes"
    PARTLY = "partly"
    FAILED = "failed"
    UNKNOWN = "unknown"


#: Which of several states of one mailbox counts: once it has the message, later attempts change nothing.
_STRONGEST = (
    State.SENT,
    State.UNKNOWN,
    State.SENDING,
    State.QUEUED,
    State.DEFERRED,
    State.FAILED,
    State.CANCELLED,
)
#: The states of a mailbox in which another release could bring the message twice.
HOLDING = frozenset({State.SENT, State.UNKNOWN}) | LIVE


def strongest(states: Iterable[State]) -> State:
    """Combine one mailbox's states in several deliveries of a copy. `states` must not be empty."""
    return min(states, key=_STRONGEST.index)


def delivered(states: Iterable[State]) -> Delivered:
    """Combine the states of a copy's mailboxes (one per mailbox).

    UNKNOWN if any is unknown; else WAITING if any is live; else YES if all have the message, PARTLY if some have; else
    FAILED if any failed; else NO (no mailbox, or all cancelled).
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
    """The result for one recipient of one attempt: SENT, DEFERRED, FAILED or UNKNOWN, and the server's reply."""

    state: State
    reply: str


class Attention(NamedTuple):
    """The ids of the deliveries that an operator should look at.

    `failed` and `unknown` ended in that state for a mailbox that no other delivery of the copy has reached, may have
    reached or will reach, and their copy is still in Backup. `put_off` will be retried.
    """

    failed: frozenset[int] = frozenset()
    unknown: frozenset[int] = frozenset()
    put_off: frozenset[int] = frozenset()

    @property
    def ids(self) -> frozenset[int]:
        """All these deliveries."""
        return self.failed | self.unknown | self.put_off


NOTHING_TO_DO = Attention()
