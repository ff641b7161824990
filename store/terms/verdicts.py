"""Engines, statuses and actions in the spec's words, and the table of kept messages (spec, "About Backup")."""

from __future__ import annotations

from enum import StrEnum
from functools import cache
from typing import NamedTuple

import msgspec


class Engine(StrEnum):
    """A scan engine. The value is its stable name in files and the filter line; `label` is what the screen shows."""

    ANTI_VIRUS = "anti-virus"
    ANTI_SPAM = "anti-spam"
    ANTI_PHISHING = "anti-phishing"
    CONTENT = "content"
    BLACK_LIST = "black-list"

    @property
    def label(self) -> str:
        return _ENGINE_LABELS[self]


class Status(StrEnum):
    """A status label that an engine assigns to a message."""

    CLEAN = "clean"
    NOT_SCANNED = "not-scanned"
    INFECTED = "infected"
    PROBABLY_INFECTED = "probably-infected"
    CORRUPTED = "corrupted"
    ENCRYPTED = "encrypted"
    SPAM = "spam"
    PROBABLE_SPAM = "probable-spam"
    BLACKLISTED = "blacklisted"
    MASSMAIL = "massmail"
    PHISHING = "phishing"
    MALICIOUS_LINK = "malicious-link"
    BANNED_FILE_NAME = "banned-file-name"
    BANNED_FILE_FORMAT = "banned-file-format"
    SIZE_EXCEEDED = "size-exceeded"

    @property
    def label(self) -> str:
        return self.value.replace("-", " ").capitalize() if self not in _STATUS_LABELS else _STATUS_LABELS[self]


class Action(StrEnum):
    """What a rule does with a message."""

    SKIP = "skip"
    DISINFECT = "disinfect"
    DELETE_ATTACHMENT = "delete-attachment"
    DELETE_MESSAGE = "delete-message"
    REJECT = "reject"

    @property
    def label(self) -> str:
        return self.value.replace("-", " ").capitalize()


_ENGINE_LABELS = {
    Engine.ANTI_VIRUS: "Anti-Virus",
    Engine.ANTI_SPAM: "Anti-Spam",
    Engine.ANTI_PHISHING: "Anti-Phishing",
    Engine.CONTENT: "Content filtering",
    Engine.BLACK_LIST: "Custom black list of addresses",
}
_STATUS_LABELS = {
    Status.BANNED_FILE_NAME: "Banned File Name",
    Status.BANNED_FILE_FORMAT: "Banned File Format",
    Status.SIZE_EXCEEDED: "Size Exceeded",
}

#: Statuses of copies that can harm the recipient's computer: a setting controls their delivery, and saving warns.
DANGEROUS = frozenset({Status.INFECTED, Status.PROBABLY_INFECTED})


class Verdict(msgspec.Struct, frozen=True, array_like=True):
    """The result of one engine. `detail` is the engine's own text (signature name, score, symbols)."""

    engine: Engine
    status: Status
    detail: str = ""


class Kept(NamedTuple):
    """One bullet of the spec: messages with these statuses from this engine are copied before any of these actions."""

    engine: Engine
    statuses: frozenset[Status]
    actions: frozenset[Action]


def verdict_label(engine: Engine | None, status: Status) -> str:
    """Return a status's label for display without its engine: "Black list" for Blacklisted by the custom black list."""
    return "Black list" if (engine, status) == (Engine.BLACK_LIST, Status.BLACKLISTED) else status.label


def _kept(engine: Engine, statuses: set[Status], actions: set[Action]) -> Kept:
    return Kept(engine, frozenset(statuses), frozenset(actions))


#: Which messages get a copy in Backup before which action (spec, "About Backup"). The bullet on content filtering names
#: two pairs, so it takes two lines. An address in the custom black list has the status Blacklisted.
# fmt: off
KEPT: tuple[Kept, ...] = (
    _kept(Engine.ANTI_VIRUS,
          {Status.INFECTED, Status.PROBABLY_INFECTED, Status.CORRUPTED, Status.ENCRYPTED},
          {Action.DISINFECT, Action.DELETE_ATTACHMENT, Action.DELETE_MESSAGE}),
    _kept(Engine.ANTI_SPAM,
          {Status.SPAM, Status.PROBABLE_SPAM, Status.BLACKLISTED, Status.MASSMAIL},
          {Action.DELETE_MESSAGE}),
    _kept(Engine.ANTI_PHISHING,
          {Status.PHISHING, Status.MALICIOUS_LINK},
          {Action.DELETE_MESSAGE}),
    _kept(Engine.CONTENT,
          {Status.BANNED_FILE_NAME, Status.BANNED_FILE_FORMAT},
          {Action.DELETE_ATTACHMENT, Action.DELETE_MESSAGE}),
    _kept(Engine.CONTENT,
          {Status.SIZE_EXCEEDED},
          {Action.DELETE_MESSAGE}),
    _kept(Engine.BLACK_LIST,
          {Status.BLACKLISTED},
          {Action.DELETE_MESSAGE}),
)
# fmt: on


@cache
def is_kept(engine: Engine, status: Status, action: Action) -> bool:
    """Return True if a copy goes to Backup before `action` is taken on a message with this verdict."""
    return any(engine == line.engine and status in line.statuses and action in line.actions for line in KEPT)


def statuses_of(engine: Engine) -> frozenset[Status]:
    """List the statuses for which messages of `engine` are kept."""
    return frozenset().union(*(line.statuses for line in KEPT if line.engine == engine))
