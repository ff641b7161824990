"""A processing rule: its conditions, and its actions on the engines' verdicts."""

from __future__ import annotations

import ipaddress
from enum import StrEnum
from functools import cached_property

import msgspec

from store.judging.content import ContentPolicy
from store.judging.rules.address_patterns import Patterns
from store.mail.incoming import Incoming
from store.terms.verdicts import KEPT, Action, Engine, Status

DEFAULT_ID = 1


class IfDown(StrEnum):
    """What the gateway does with a message that an engine could not scan."""

    GO_ON = "go-on"
    TEMPORARY_FAIL = "temporary-fail"

    @property
    def label(self) -> str:
        return self.value.replace("-", " ").capitalize()


#: Engines that depend on a scanner, and so can be down.
SCANNED = (Engine.ANTI_VIRUS, Engine.ANTI_SPAM, Engine.ANTI_PHISHING)

#: The actions that apply if a rule names none. Holds every status that an engine can assign.
DEFAULT_ACTIONS: dict[Engine, dict[Status, Action]] = {
    Engine.ANTI_VIRUS: {
        Status.INFECTED: Action.DELETE_MESSAGE,
        Status.PROBABLY_INFECTED: Action.DELETE_MESSAGE,
        Status.ENCRYPTED: Action.SKIP,
        Status.CORRUPTED: Action.SKIP,
    },
    Engine.ANTI_SPAM: {
        Status.SPAM: Action.DELETE_MESSAGE,
        Status.PROBABLE_SPAM: Action.SKIP,
        Status.BLACKLISTED: Action.DELETE_MESSAGE,
        Status.MASSMAIL: Action.SKIP,
    },
    Engine.ANTI_PHISHING: {
        Status.PHISHING: Action.DELETE_MESSAGE,
        Status.MALICIOUS_LINK: Action.DELETE_MESSAGE,
    },
    Engine.CONTENT: {
        Status.BANNED_FILE_NAME: Action.DELETE_ATTACHMENT,
        Status.BANNED_FILE_FORMAT: Action.DELETE_ATTACHMENT,
        Status.SIZE_EXCEEDED: Action.REJECT,
    },
    Engine.BLACK_LIST: {Status.BLACKLISTED: Action.DELETE_MESSAGE},
}


def actions_for(engine: Engine, status: Status) -> tuple[Action, ...]:
    """List the actions that a rule may take, the mildest first.

    Only statuses that an attachment can cause allow deleting attachments.
    """
    kept = {action for line in KEPT if line.engine is engine and status in line.statuses for action in line.actions}
    return tuple(action for action in Action if action in kept | {Action.SKIP, Action.REJECT})


class Rule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, dict=True):
    """One rule. It matches a message if all its conditions hold; an empty condition always holds.

    `senders` and `recipients` are patterns (`rules.address_patterns`) for the envelope. One matching recipient is
    enough; with `every_recipient` all must match. `networks` are client networks in CIDR. `scanners` names the scanners
    to ask (None = all). Engines that `if_down` leaves out are filled in from Default, which names all, when rules are
    written. `id` 0 marks a rule without a number yet. Text is NOT safe.
    """

    id: int = 0
    name: str = ""
    enabled: bool = True
    senders: tuple[str, ...] = ()
    recipients: tuple[str, ...] = ()
    every_recipient: bool = False
    networks: tuple[str, ...] = ()
    actions: dict[Engine, dict[Status, Action]] = {}
    content: ContentPolicy = ContentPolicy()
    if_down: dict[Engine, IfDown] = {}
    scanners: tuple[str, ...] | None = None

    def action_for(self, engine: Engine, status: Status) -> Action:
        """Return the rule's action for a message to which `engine` gave `status`; SKIP for Clean and Not scanned."""
        own = self.actions.get(engine, {}).get(status)
        return own or DEFAULT_ACTIONS.get(engine, {}).get(status, Action.SKIP)

    def down_for(self, engine: Engine) -> IfDown:
        """Return what this rule does with a message that `engine` could not scan."""
        return self.if_down.get(engine, IfDown.GO_ON)

    def matches(self, incoming: Incoming) -> bool:
        """Return True if every condition holds, whether or not the rule is enabled. Never raises."""
        if self.senders and not self._senders.matches(incoming.sender):
            return False
        if self.networks and not self._in_networks(incoming.client_address):
            return False
        if not self.recipients:
            return True
        found = (self._recipients.matches(address) for address in incoming.recipients)
        return bool(incoming.recipients) and (all(found) if self.every_recipient else any(found))

    @property
    def conditional(self) -> bool:
        """Whether the rule has any condition."""
        return bool(self.senders or self.recipients or self.networks)

    @cached_property
    def _senders(self) -> Patterns:
        return Patterns(self.senders)

    @cached_property
    def _recipients(self) -> Patterns:
        return Patterns(self.recipients)

    @cached_property
    def _parsed_networks(self) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
        return tuple(ipaddress.ip_network(text, strict=False) for text in self.networks)

    def _in_networks(self, client: str) -> bool:
        try:
            address = ipaddress.ip_address(client.strip("[] ").removeprefix("IPv6:"))
        except ValueError:
            return False
        mapped = getattr(address, "ipv4_mapped", None)
        return any((mapped or address) in network for network in self._parsed_networks)


#: The only rule until rules are written, and the rule for a message that no other rule matches.
DEFAULT_RULE = Rule(id=DEFAULT_ID, name="Default", if_down=dict.fromkeys(SCANNED, IfDown.GO_ON))
#: The only rule of a new store: if an engine could not scan a message, the MTA keeps it and tries again later.
FIRST_RULE = Rule(id=DEFAULT_ID, name="Default", if_down=dict.fromkeys(SCANNED, IfDown.TEMPORARY_FAIL))
