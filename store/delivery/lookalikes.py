"""Copies whose sender imitates another: a local or known domain, or one in the thread that the copy answers.

A release leaves them out until an operator decides otherwise, because a targeted attack imitates a good thread.
Messages that answer another are read, and parsed in a limited child process. All domains are hostile text, NOT safe for
a terminal.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple

from store.authority.settings import settings_or_former
from store.campaigns.flags import alike_of, flags_of
from store.campaigns.material import Flags
from store.mail.addresses import domain_key, mailbox
from store.mail.header_fields import header_of
from store.mail.local_domains import LocalDomains
from store.mail.lookalikes import similar
from store.message.message import parse_in_child
from store.terms.errors import CopyMissing, TamperedError
from store.terms.records import Copy
from store.terms.sender import sender_of
from store.vault.vault import Vault

#: Start of the reason for which a release leaves out such a copy.
LOOKALIKE = "its sender only looks like another"
#: Limits: copies whose text is read, bytes of a header, characters of a text, and domains taken from a text.
_READ, _HEADER, _TEXT, _DOMAINS = 200, 1 << 16, 200_000, 200
#: Minimum length of a subject to compare (characters), and maximum number of subjects looked up.
_SUBJECT, _SUBJECTS = 8, 500
_PAGE = 500
_ANSWERS = re.compile(
    r"\s*(?:(?:re|aw|sv|antw|odp|rif|ynt|res|vs|ref|fw|fwd|wg|tr|i|rv|enc)\s*(?:\[\d+\])?\s*[:：]\s*)+", re.IGNORECASE
)
_THREAD = re.compile(rb"^(?:In-Reply-To|References)[ \t]*:((?:[^\n]*\n[ \t])*[^\n]*)", re.IGNORECASE | re.MULTILINE)
_ID = re.compile(rb"@([A-Za-z0-9.-]{3,250})>")
_ADDRESS = re.compile(r"@((?:[\w-]{1,63}\.){1,8}[\w-]{2,63})")

#: Finds the newest copies with a subject (without `Re:`): (id, decoded From) of each.
SameSubject = Callable[[str], Iterable[tuple[int, str]]]


class Why(StrEnum):
    """Where the imitated domain was found."""

    OWN = "an own domain"
    KNOWN = "known here"
    QUOTED = "named in the thread that it answers"
    SUBJECT = "of the same subject"


class Lookalike(NamedTuple):
    """A copy's sender domain, the domain that it imitates, and where that was found.

    `other` is a copy from the imitated domain with the same subject, 0 for none.
    """

    domain: str
    like: str
    why: Why
    other: int = 0

    @property
    def reason(self) -> str:
        """The reason: ``rioso1.example ~ riosol.example, known here, same subject as copy 17204``.

        NOT safe for a terminal.
        """
        said = [f"{self.domain} ~ {self.like}"]
        if self.why is not Why.SUBJECT:
            said.append(self.why.value)
        if self.other:
            said.append(f"same subject as copy {self.other}")
        return ", ".join(said)


class Found(NamedTuple):
    """Copies whose sender imitates another, by id. `unread` copies were not compared with their thread.

    That is, they were above the limit, or could not be parsed.
    """

    copies: Mapping[int, Lookalike]
    unread: int = 0

    @property
    def reasons(self) -> dict[int, str]:
        """The reason by copy: NOT safe for a terminal."""
        return {copy_id: f"{LOOKALIKE}: {one.reason}" for copy_id, one in self.copies.items()}


def lookalikes(
    vault: Vault,
    ids: Sequence[int],
    *,
    same_subject: SameSubject | None = None,
    cancelled: Callable[[], bool] = lambda: False,
) -> Found:
    """Find the copies of Backup whose sender imitates another. Skips copies that do not verify.

    `same_subject` finds copies by their subject; without it subjects are not compared. If `cancelled`, returns what was
    found so far. Raises StoreUnavailable.
    """
    looking = _Looking(vault, same_subject)
    for at in range(0, len(ids), _PAGE):
        if cancelled():
            break
        page = ids[at : at + _PAGE]
        known, flags = alike_of(vault, page), flags_of(vault, page)
        for copy in vault.get_many(page, on_error=lambda _copy_id, _error: None):
            if cancelled():
                break
            if copy.id in known or not flags.get(copy.id, Flags.NONE) & Flags.KNOWN:
                looking.take(copy, known.get(copy.id, ""))
    return Found(looking.found, looking.unread)


class _Looking:
    """Examines one copy after another."""

    def __init__(self, vault: Vault, same_subject: SameSubject | None) -> None:
        self._vault = vault
        self._own = LocalDomains(settings_or_former(vault).local_domains)
        self._same_subject = same_subject
        self._partners: dict[str, list[tuple[int, str]]] = {}
        self._read = 0
        self.found: dict[int, Lookalike] = {}
        self._unread: set[int] = set()

    @property
    def unread(self) -> int:
        """How many copies were not compared with their thread."""
        return len(self._unread - self.found.keys())

    def take(self, copy: Copy, known: str) -> None:
        """Examine a copy. `known` is the local or known domain that its sender's domain resembles, "" for none."""
        domain = _domain(sender_of(copy.record.from_))
        if not domain:
            return
        other, partner = next(
            ((copy_id, name) for copy_id, name in self._of_subject(copy) if similar(domain, name)), (0, "")
        )
        if known:
            why = Why.OWN if f"x@{known}" in self._own else Why.KNOWN
            same = other if partner and domain_key(partner) == known else 0
            self.found[copy.id] = Lookalike(domain, known, why, same)
        elif quoted := next((name for name in self._of_thread(copy) if similar(domain, name)), ""):
            self.found[copy.id] = Lookalike(domain, quoted, Why.QUOTED, other)
        elif partner:
            self.found[copy.id] = Lookalike(domain, partner, Why.SUBJECT, other)

    def _of_subject(self, copy: Copy) -> Iterator[tuple[int, str]]:
        """Yield (id, domain) of older copies with the same subject. Only older ones: the imitation comes later."""
        subject = base_subject(copy.record.subject)
        if self._same_subject is None or len(subject) < _SUBJECT:
            return
        if subject not in self._partners:
            if len(self._partners) >= _SUBJECTS:
                self._unread.add(copy.id)
                return
            self._partners[subject] = [
                (number, _domain(sender_of(from_))) for number, from_ in self._same_subject(subject)
            ]
        yield from ((number, name) for number, name in self._partners[subject] if number < copy.id and name)

    def _of_thread(self, copy: Copy) -> Iterable[str]:
        """Return the domains in a copy's thread: of the Message-IDs that it answers, and of addresses in its text."""
        try:
            raw = self._vault.raw(copy.id)
        except (TamperedError, CopyMissing):
            return ()
        header = header_of(raw[:_HEADER])
        fields = b" ".join(field[1] for field in _THREAD.finditer(header.text, header.start, header.end))
        if not fields and not _ANSWERS.match(copy.record.subject):
            return ()
        if self._read >= _READ:
            self._unread.add(copy.id)
            return ()
        self._read += 1
        parsed = parse_in_child(raw)
        if parsed.error is not None:
            self._unread.add(copy.id)
        text = f"{parsed.text[:_TEXT]}\n{parsed.plain_text[:_TEXT]}"
        named = dict.fromkeys(domain_key(found[1]) for found in _ADDRESS.finditer(text))
        ids = dict.fromkeys(found[1].decode("ascii").lower() for found in _ID.finditer(fields))
        return [*ids, *list(named)[:_DOMAINS]]


def base_subject(subject: str) -> str:
    """Strip `Re:` and the like from a subject, and collapse blanks."""
    return " ".join(_ANSWERS.sub("", subject, count=1).split())


def _domain(address: str) -> str:
    """Return an address's domain as `domain_key` writes it, "" if it has none."""
    return mailbox(address).rpartition("@")[2] if "@" in address else ""
