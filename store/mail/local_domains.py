"""The local domains: their mail arrives here, so a released message may be delivered to a header address in them.

`example.org` means that domain alone, `.example.org` every domain below it but not itself, as in Postfix tables. Case
is ignored, and Unicode and punycode spellings are equal.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from store.mail.addresses import address_problem, domain_key
from store.terms.errors import SettingError
from store.terms.records import Copy

#: Max domains that are proposed, and max domains that are counted.
PROPOSED = 5
_COUNTED = 1_000
#: Newest copies that are searched for domains.
LOOKED_AT = 1_000


def parse_domains(text: str) -> tuple[str, ...]:
    """Parse the domains in `text`, separated by commas, semicolons or blanks; each once. Raises SettingError."""
    found: dict[str, str] = {}
    for word in text.replace(",", " ").replace(";", " ").split():
        domain = word.removeprefix("@").lower()
        if domain.startswith("[") or address_problem(f"a@{domain.removeprefix('.')}"):
            raise SettingError(
                f"{word[:80]!r} is not a domain. Write for example local_domains=example.org,.example.org "
                "(.example.org stands for all subdomains)."
            )
        found.setdefault(domain_key(domain), domain)
    return tuple(found.values())


class LocalDomains:
    """Local domains, for looking up addresses (`address in domains`)."""

    def __init__(self, domains: Iterable[str]) -> None:
        self._domains = frozenset(map(domain_key, domains))

    @property
    def some(self) -> bool:
        """Whether any domain is local."""
        return bool(self._domains)

    def __contains__(self, address: str) -> bool:
        if not self._domains:
            return False
        domain = domain_key(address.rpartition("@")[2])
        if domain in self._domains:
            return True
        while domain:
            _, dot, domain = domain.partition(".")
            if dot and f".{domain}" in self._domains:
                return True
        return False


class DomainCount:
    """Counts the copies for each domain of envelope recipients. Its size is limited, whatever arrives."""

    def __init__(self) -> None:
        self._copies: Counter[str] = Counter()

    def add(self, recipients: Sequence[str]) -> None:
        """Count the domains of one copy's envelope recipients, each once."""
        for domain in {domain_key(address.rpartition("@")[2]) for address in recipients}:
            if domain in self._copies or (len(self._copies) < _COUNTED and _is_name(domain)):
                self._copies[domain] += 1

    def most(self) -> list[tuple[str, int]]:
        """Return the domains with the most copies, and their numbers, in order; at most `PROPOSED`."""
        return sorted(self._copies.items(), key=lambda each: (-each[1], each[0]))[:PROPOSED]


def _is_name(domain: str) -> bool:
    return domain.isascii() and domain[:1] != "[" and not address_problem(f"a@{domain}")


def seen_domains(copies: Iterable[Copy]) -> list[tuple[str, int]]:
    """Count the domains of the envelope recipients of `copies`; return the result of `DomainCount.most`."""
    count = DomainCount()
    for copy in copies:
        count.add(copy.record.envelope_recipients)
    return count.most()


def seen_words(domains: Sequence[tuple[str, int]]) -> str:
    """Format the domains: `corp.example (1,204 copies), b.example (1 copy)`."""
    return ", ".join(f"{name} ({count:,} {'copy' if count == 1 else 'copies'})" for name, count in domains)


def to_set(domains: Sequence[tuple[str, int]]) -> str:
    """Format the command that sets `domains` as the local ones."""
    return f"mailhold settings set local_domains={','.join(name for name, _ in domains)}"
