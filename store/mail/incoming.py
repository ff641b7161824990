"""An incoming message, from whatever listener, and the possible outcomes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from store.mail.header_fields import Header, header_of
from store.terms.dsn import Dsn


@dataclass(slots=True)
class Incoming:
    """One received message with its envelope. Text is as the client sent it: NOT safe for a terminal.

    `raw` is the message byte for byte, with the client's line ends. `truncated`: the message is larger than the
    listener accepts, and `raw` is only its beginning. `received_at` is Unix ms.
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
    #: The notifications that the sender asked for.
    dsn: Dsn | None = None
    #: Called once; True if the client has a final answer and will not send the message again.
    settle: Callable[[bool], None] | None = field(default=None, compare=False, repr=False)

    _header: Header | None = field(default=None, init=False, compare=False, repr=False)

    @property
    def header(self) -> Header:
        """The header of `raw`, found once."""
        if self._header is None:
            self._header = header_of(self.raw)
        return self._header

    def settled(self, *, answered: bool) -> None:
        """Record whether the client has a final answer and will not send the message again."""
        if self.settle is not None:
            self.settle(answered)
            self.settle = None


@dataclass(frozen=True, slots=True)
class Accept:
    """The message goes on to its recipients, perhaps changed.

    `body` replaces everything after the header. `delete_headers` are pairs (name, which occurrence of it, from 1),
    `add_headers` pairs (name, value). `put_back` is awaited with the recipients for whom sending on failed for now:
    their client will send the message again, and it must pass again.
    """

    body: bytes | None = None
    add_headers: tuple[tuple[str, str], ...] = ()
    delete_headers: tuple[tuple[str, int], ...] = ()
    put_back: Callable[[Sequence[str]], Awaitable[None]] | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Discard:
    """The client is told that the message was accepted, but nobody gets it."""


@dataclass(frozen=True, slots=True)
class Refuse:
    """The client is told `code` (4xx: try again, 5xx: never), an enhanced status code, and the reason."""

    code: int
    enhanced: str
    text: str


Outcome = Accept | Discard | Refuse


def is_temporary(outcome: Outcome) -> bool:
    """Return True if the client is told to send the message again."""
    return isinstance(outcome, Refuse) and 400 <= outcome.code < 500
