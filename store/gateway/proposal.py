"""Log the local domains that a gateway has seen, while the setting is empty. Changes no setting."""

from __future__ import annotations

from collections.abc import Callable

from store.gateway.policy import LivePolicy
from store.mail.local_domains import DomainCount, seen_words, to_set

#: Seconds between checks.
PROPOSAL_SECONDS = 60.0


class Proposal:
    """Logs the domains of most copies, if no local domain is set; again only if other domains come up."""

    def __init__(self, seen: DomainCount, live: LivePolicy, say: Callable[..., None]) -> None:
        self._seen = seen
        self._live = live
        self._say = say
        self._said: frozenset[str] = frozenset()

    def tell(self) -> None:
        """Log one line, if there is something new to propose."""
        settings, domains = self._live.policy.settings, self._seen.most()
        names = frozenset(name for name, _ in domains)
        if settings is None or settings.local_domains or names <= self._said:
            return
        self._said = names
        self._say("no local domain is set", seen=seen_words(domains), set_them=to_set(domains))
