"""Flags that keep a copy out of acts and that its traits cannot tell: KNOWN and ALIKE.

KNOWN: mail from the address in From was let through before, or somebody here wrote to it, and this copy is probably
really from that address. Anybody can write any address in From, so the first of these rules that applies decides:

1. An authentication result confirms the address's domain, or the sender logged in (counts for own domains, or for all
   domains if no own ones are set): KNOWN.
2. The domain is an own one, whose mail should always be authenticated: not KNOWN.
3. DMARC, DKIM or SPF failed: not KNOWN.
4. There are no results (for example after an import): KNOWN, as missing data must not put good mail into an act.
5. The results are inconclusive: KNOWN only if no mail from the address was authenticated before.

It is not enough that the domain is known. On waves where 80 % of the good senders were known, that kept 894 to 5,436 of
12,000 campaign copies out of acts (mailing services, free mail, own domains), and protected no further good copy.

ALIKE: the sender's domain looks like an own domain, or like a better-known one (`store.mail.lookalikes`). Known domains
cannot be listed (only counters under keyed hashes are stored), so the domains that it could be mistaken for are spelled
out and looked up one by one. An address in the display name is ignored: much plain spam puts the recipient's own
address there.
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
_METHODS = frozenset(("dmarc", "dkim", "spf"))
#: Number of messages that make a domain one to imitate (authenticated ones, or all), and number that makes a domain too
#: established to be a look-alike.
_AUTHENTICATED, _ANY, _ESTABLISHED = 1, 2, 5
#: Domains looked up per hour (about 3 ms each), results kept, and domains kept as possible originals.
_LOOKED_UP, _REMEMBERED, _SEEN = 20_000, 100_000, 20_000
_LASTS = 3600.0


class _Sender(NamedTuple):
    address: str
    domain: str


def flags_of(vault: Vault, ids: Sequence[int]) -> dict[int, Flags]:
    """Return KNOWN and ALIKE of those copies (of Backup or of the bin) that have either. Damaged copies have none.

    Look-ups are cached for an hour; with a warm cache a copy takes 70 µs. Raises StoreUnavailable.
    """
    return {copy_id: found.flags for copy_id, found in _flagger(vault).of(ids).items() if found.flags}


def alike_of(vault: Vault, ids: Sequence[int]) -> dict[int, str]:
    """Return, for each ALIKE copy, the own or known domain that the sender's looks like. NOT safe for a terminal.

    Raises StoreUnavailable.
    """
    return {copy_id: found.like for copy_id, found in _flagger(vault).of(ids).items() if found.like}


class Flagged(NamedTuple):
    """The flags of a copy, and the domain that the sender's looks like ("" if none)."""

    flags: Flags
    like: str = ""


class Flagger:
    """Determines the flags of a store's copies. Look-ups are cached for an hour. Thread-safe; blocks.

    With a key that cannot read the counters, only the copies' records are used.
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
        """Determine the flags of these copies, newest first. Damaged copies are left out.

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
        """Read the settings again, and drop the look-ups after an hour."""
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
        """Return what was known of the sender at intake; after an import without that, what is known now."""
        known = copy.record.known
        if known is not None and (known != KnownSender() or not copy.record.source.startswith("import")):
            return known
        return self._known.of(sender.address) if self._known else KnownSender()

    def _like(self, domain: str, known: KnownSender) -> str:
        """Return the own or known domain that `domain` looks like; "" if there is none."""
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
    """Yield the known domains that `domain` looks like and that are better known than itself."""
    names = (name for name in variants(domain) if name.isascii())
    for name in counted.likely(DOMAIN, names):
        count = counted.count(DOMAIN, name)
        authenticated, total = whole(count.authenticated), whole(count.authenticated + count.other)
        enough = authenticated >= _AUTHENTICATED or total >= _ANY
        if enough and total > 2 * known.domain and similar(domain, name):
            yield name


def is_known(found: Sequence[Authentication], known: KnownSender, domain: str, *, own: bool | None = False) -> bool:
    """Return True if a copy with these authentication results is from a known sender.

    `own`: whether `domain` is an own domain; None if no own domains are set. A login confirms only own domains, or any
    domain if none are set.
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
