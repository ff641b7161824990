"""A message on its way in, however it came, and what becomes of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from store.terms.dsn import Dsn


@dataclass(slots=True)
class Incoming:
    """One received message with its envelope. Text is as the client sent it: NOT safe for a terminal.

    `raw` is the message byte for byte, lines ended as the client ended them; `truncated` says that it was larger than
    the listener takes, and `raw` is only its beginning. `received_at` is Unix ms.
    """

    raw: bytes
    sender: str
    recipients: list[str]
    queue_id: str = ""
    client_address: str = ""
    client_name: str = ""
    helo: str = ""
    auth_user: str = ""
    received_at: int = 0
    truncated: bool = False
    trusted_headers: bool = False
    #: What the sender asked to be told about it.
    dsn: Dsn | None = None
    #: To be called once with whether the client has an answer after which it does not bring the message again.
    settle: Callable[[bool], None] | None = field(default=None, compare=False, repr=False)

    def settled(self, *, answered: bool) -> None:
        """Say whether the client has its answer, and will not bring the message again."""
        if self.settle is not None:
            self.settle(answered)
            self.settle = None


@dataclass(frozen=True, slots=True)
class Accept:
    """The message goes on, perhaps changed.

    `body` replaces all behind the header; `delete_headers` are (name, which of that name, from 1), `add_headers`
    (name, value). `put_back` is awaited with the recipients whom the message could not be sent on to for now, and whose
    client will bring it again: it must pass then as well.
    """

    body: bytes | None = None
    add_headers: tuple[tuple[str, str], ...] = ()
    delete_headers: tuple[tuple[str, int], ...] = ()
    put_back: Callable[[Sequence[str]], Awaitable[None]] | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Discard:
    """The client is told that all is well, and nobody gets the message."""


@dataclass(frozen=True, slots=True)
class Refuse:
    """The client is told `code` (4xx: try again, 5xx: never), an enhanced status code, and why."""

    code: int
    enhanced: str
    text: str


Outcome = Accept | Discard | Refuse


def is_temporary(outcome: Outcome) -> bool:
    """Whether the client is told to bring the message again."""
    return isinstance(outcome, Refuse) and 400 <= outcome.code < 500
