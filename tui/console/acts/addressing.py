"""The recipients of chosen copies for the Deliver message window: which are listed, which are unticked, and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import tzinfo
from typing import TYPE_CHECKING

from store.delivery.recipients import ENVELOPE, recipients_of
from store.mail.addresses import mailbox
from store.mail.outcome import LIVE, State
from tui.terminal.cells import MONTHS, local

if TYPE_CHECKING:
    from store.delivery.outcomes import MailboxOutcome
    from store.delivery.recipients import Recipient
    from store.mail.local_domains import LocalDomains
    from store.terms.records import Copy

#: Most recipients that the window lists; the rest are counted.
LISTED = 500


@dataclass(frozen=True)
class Addressed:
    """The original recipients of the chosen copies.

    An address "holds" a copy that was, may have been or is being sent to it. `recipients` are the listed ones, one per
    mailbox. `count` adds the unlisted ones that would be sent to. `unticked` maps listed addresses that are not ticked
    to the reason: either they are `outsiders` (header addresses outside the local domains), or they are in `held`.
    `held` maps each mailbox that holds every chosen copy addressed to it to the reason, listed or not. `left_out`
    counts the pairs of a copy and a further recipient that holds it: the store leaves these out.
    """

    recipients: Sequence[Recipient] = ()
    count: int = 0
    unticked: Mapping[str, str] = field(default_factory=dict)
    outsiders: frozenset[str] = frozenset()
    held: Mapping[str, str] = field(default_factory=dict)
    left_out: int = 0


class Gathering:
    """Collects the recipients of copies, page by page."""

    def __init__(self, local_domains: LocalDomains, zone: tzinfo) -> None:
        self._local = local_domains
        self._zone = zone
        self._listed: dict[str, Recipient] = {}
        self._named: Counter[str] = Counter()
        self._holding: dict[str, list[MailboxOutcome]] = {}
        self._inside: set[str] = set()
        self._copies = 0

    def add(self, copies: Iterable[Copy], held: Mapping[int, Mapping[str, MailboxOutcome]]) -> None:
        """Add copies, with the recipients that hold each of them (from `store.delivery.held.held_of`)."""
        for copy in copies:
            self._copies += 1
            for key, outcome in held.get(copy.id, {}).items():
                self._holding.setdefault(key, []).append(outcome)
            for recipient in recipients_of(copy):
                self._take(recipient)

    def _take(self, recipient: Recipient) -> None:
        key = mailbox(recipient.address)
        self._named[key] += 1
        envelope = recipient.source == ENVELOPE
        if envelope or recipient.address in self._local:
            self._inside.add(key)
        before = self._listed.get(key)
        if before is None:
            if len(self._listed) < LISTED:
                self._listed[key] = recipient
        elif envelope and before.source != ENVELOPE:
            self._listed[key] = recipient

    def addressed(self) -> Addressed:
        """Return the collected recipients."""
        held = {
            key: self._why(outcomes)
            for key, outcomes in self._holding.items()
            if len(outcomes) >= (self._named[key] or self._copies)
        }
        unticked: dict[str, str] = {}
        outsiders = set()
        for key, recipient in self._listed.items():
            if key not in self._inside:
                unticked[recipient.address] = f"{recipient.source}, not a local domain"
                outsiders.add(recipient.address)
            if key in held:
                unticked[recipient.address] = held[key]
        left_out = sum(
            len(outcomes) for key, outcomes in self._holding.items() if key in self._named and key not in held
        )
        unlisted = sum(key in self._inside and key not in held for key in self._named.keys() - self._listed)
        return Addressed(
            list(self._listed.values()), len(self._listed) + unlisted, unticked, frozenset(outsiders), held, left_out
        )

    def _why(self, outcomes: Sequence[MailboxOutcome]) -> str:
        """Return in a few words why a mailbox is not ticked."""
        states = {outcome.state for outcome in outcomes}
        if len(outcomes) > 1:
            if states <= {State.SENT}:
                return "has them already"
            return "may have them" if State.UNKNOWN in states else "has them, or waits"
        [outcome] = outcomes
        if outcome.state in LIVE:
            return f"waits in delivery {outcome.delivery_id}"
        when = local(outcome.at, self._zone)
        text = f"{when.day} {MONTHS[when.month - 1]} {when.hour:02}:{when.minute:02}"
        return f"has it since {text}" if outcome.state is State.SENT else f"may have it, {text}"
