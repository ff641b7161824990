"""What the store knows of copies that keeps them out of acts, and does not follow from their traits: KNOWN and ALIKE.

KNOWN: mail of the address in From was let through before, or somebody here wrote to it, and this copy is his as far as
can be told. An address in From costs nothing, so

- where an authentication result speaks for its domain, or the sender logged in, the copy is his;
- where one speaks against it (DMARC, DKIM or SPF failed, and none passed for it), it is not, whoever he is;
- where results are there and say nothing, it counts as his only if he never was authenticated before;
- where there are no results at all, as with an import, it counts as his: what is missing must not put good mail into
  an act. Not so with an own domain, whose mail has no reason to come unauthenticated.

That the domain is known does not suffice: on waves with 80 % of the good senders known it kept 894 to 5,436 of 12,000
campaign copies out of acts (mailing services, free mail, own domains), and saved no good one that the address did not.

ALIKE: the sender's domain could be taken for an own one, or for a known one of which more is known than of itself
(`store.mail.lookalikes`). Known domains have only counters under keyed hashes, so that they cannot be listed: the names
that a domain could be taken for are looked up. Where an address stands in the name before the address, it does not
count: much plain spam writes the recipient's own there.
"""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from store.authority.settings import settings_or_former
from store.campaigns.material import Flags
from store.mail.addresses import mailbox
from store.mail.local_domains import LocalDomains
from store.mail.lookalikes import Lookalikes, similar, variants
from store.sealing.counting import DOMAIN
from store.terms.findings import Authentication, KnownSender, speaks_for
from store.terms.records import Copy, CopyRecord
from store.terms.sender import addresses
from store.vault.known_senders import KnownSenders, whole
from store.vault.vault import Vault

_FAILS = frozenset(("fail", "softfail", "hardfail", "reject", "policy"))
_SILENT = frozenset(("none", "neutral", "temperror", "permerror", ""))
_METHODS = frozenset(("dmarc", "dkim", "spf"))
#: Messages of a domain that make others look like it: authenticated ones, or all; and those that make it no look-alike.
_AUTHENTICATED, _ANY, _ESTABLISHED = 1, 2, 5
#: Domains that are looked up in an hour (about 3 ms each), what is remembered, and domains that others may look like.
_LOOKED_UP, _REMEMBERED, _SEEN = 20_000, 100_000, 20_000
_LASTS = 3600.0


class _Sender(NamedTuple):
    address: str
    domain: str


def flags_of(vault: Vault, ids: Sequence[int]) -> dict[int, Flags]:
    """KNOWN and ALIKE of those copies of Backup, or of the bin, that have any. A copy that does not verify has none.

    What was looked up is remembered for an hour: a process that asks again takes 70 µs a copy. Raises StoreUnavailable.
    """
    return {copy_id: found.flags for copy_id, found in _flagger(vault).of(ids).items() if found.flags}


def alike_of(vault: Vault, ids: Sequence[int]) -> dict[int, str]:
    """Which own or known domain the sender's looks like, of the copies that are ALIKE: NOT safe for a terminal.

    Raises StoreUnavailable.
    """
    return {copy_id: found.like for copy_id, found in _flagger(vault).of(ids).items() if found.like}


class Flagged(NamedTuple):
    """The flags of a copy, and the domain that its sender's looks like, "" for none."""

    flags: Flags
    like: str = ""


class Flagger:
    """Finds the flags of a store's copies. What the counters said is remembered for an hour. Thread-safe, and blocking.

    Keys that cannot read the counters find what the copies' records tell.
    """

    def __init__(self, vault: Vault) -> None:
        self._vault = vault
        self._lock = threading.Lock()
        self._known: KnownSenders | None = None
        self._begun: float | None = None
        self._left = 0
        self._own: tuple[str, ...] = ()
        self._local = LocalDomains(())
        self._seen = Lookalikes(())
        self._added = 0
        self._alike: dict[str, str] = {}
        self._likes: dict[str, str] = {}

    def of(self, ids: Sequence[int]) -> dict[int, Flagged]:
        """Compute the flags of those copies, the newest first. A damaged copy has none.

        Raises StoreUnavailable.
        """
        with self._lock:
            self._renew()
            return self._of(ids)

    def _of(self, ids: Sequence[int]) -> dict[int, Flagged]:
        newest = sorted(ids, reverse=True)
        copies = self._vault.get_many(newest, on_error=lambda _copy_id, _error: None)
        if len(copies) < len(newest):
            copies += self._vault.get_many(newest, binned=True, on_error=lambda _copy_id, _error: None)
        senders = [(copy, _sender(copy.record)) for copy in copies]
        told = [(copy, sender, self._told(copy, sender)) for copy, sender in senders if sender.domain]
        for _, sender, known in told:
            if known.domain_authenticated >= _ESTABLISHED and self._added < _SEEN:
                self._seen.add(sender.domain)
                self._added += 1
        self._alike.clear()
        return {copy.id: self._flagged(copy, sender, known) for copy, sender, known in told}

    def _renew(self) -> None:
        """Read the settings, and forget what was looked up an hour ago."""
        own = settings_or_former(self._vault).local_domains
        now = time.monotonic()
        if self._begun is not None and now - self._begun < _LASTS and own == self._own:
            return
        self._known = KnownSenders(self._vault)
        self._begun, self._left, self._own = now, _LOOKED_UP, own
        self._local = LocalDomains(own)
        self._seen, self._added = Lookalikes(domain.removeprefix(".") for domain in own), 0
        self._likes.clear()

    def _flagged(self, copy: Copy, sender: _Sender, known: KnownSender) -> Flagged:
        flags = Flags.NONE
        own = sender.address in self._local if self._local.some else None
        if is_known(copy.record.authentication, known, sender.domain, own=own):
            flags |= Flags.KNOWN
        like = "" if own else self._like(sender.domain, known)
        return Flagged(flags | Flags.ALIKE if like else flags, like)

    def _told(self, copy: Copy, sender: _Sender) -> KnownSender:
        """Return what was known of the sender at intake; if an import knew nothing, what is known now."""
        known = copy.record.known
        if known is not None and (known != KnownSender() or not copy.record.source.startswith("import")):
            return known
        return self._known.of(sender.address) if self._known else KnownSender()

    def _like(self, domain: str, known: KnownSender) -> str:
        """Return the own or known domain that this one can be taken for; "" if there is none."""
        if known.domain_authenticated >= _ESTABLISHED:
            return ""
        if domain not in self._alike:
            self._alike[domain] = self._seen.of(domain)
        return self._alike[domain] or self._counted_like(domain, known)

    def _counted_like(self, domain: str, known: KnownSender) -> str:
        if domain not in self._likes:
            if self._known is None or not self._known.some or not self._left:
                return ""
            self._left -= 1
            if len(self._likes) >= _REMEMBERED:
                self._likes.clear()
            self._likes[domain] = next(_counted_likes(self._known, domain, known), "")
        return self._likes[domain]


def _counted_likes(counted: KnownSenders, domain: str, known: KnownSender) -> Iterator[str]:
    """List the known domains that this one can be taken for, of which more is known than of itself."""
    names = (name for name in variants(domain) if name.isascii())
    for name in counted.likely(DOMAIN, names):
        count = counted.count(DOMAIN, name)
        authenticated, total = whole(count.authenticated), whole(count.authenticated + count.other)
        enough = authenticated >= _AUTHENTICATED or total >= _ANY
        if enough and total > 2 * known.domain and similar(domain, name):
            yield name


def is_known(found: Sequence[Authentication], known: KnownSender, domain: str, *, own: bool | None = False) -> bool:
    """Whether a copy with these results is of a sender who is known.

    `own`: whether his `domain` is an own one, None where there are none: who logged in speaks for own ones alone.
    """
    if not (known.address or known.written_to):
        return False
    login = any(each.method == "auth" and each.result == "pass" for each in found)
    if speaks_for(found, domain) or (login and own is not False):
        return True
    results = [each.result for each in found if each.method in _METHODS]
    if own or any(result in _FAILS for result in results):
        return False
    return not results or not known.address_authenticated


def _sender(record: CopyRecord) -> _Sender:
    address = mailbox(next(iter(addresses(record.from_)), record.envelope_sender or ""))
    name, _, domain = address.rpartition("@")
    return _Sender(address, domain) if name and domain else _Sender("", "")


_flaggers: weakref.WeakKeyDictionary[Vault, Flagger] = weakref.WeakKeyDictionary()


def _flagger(vault: Vault) -> Flagger:
    flagger = _flaggers.get(vault)
    if flagger is None:
        flagger = _flaggers[vault] = Flagger(vault)
    return flagger
