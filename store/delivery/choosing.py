"""Apply an operator's choice of recipients to copies, for a release and for its preview alike."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from store.authority.settings import Settings
from store.delivery.held import Again, LeftOut, why
from store.delivery.placing import INFECTED
from store.delivery.recipients import ENVELOPE, recipients_of
from store.mail.addresses import address_problem, check_address, mailbox
from store.mail.local_domains import LocalDomains
from store.terms.errors import NoRecipients
from store.terms.records import Copy

if TYPE_CHECKING:
    from store.delivery.outcomes import MailboxOutcome
    from store.vault.vault import Vault

NO_CHOICE = "No recipients selected. Select the original recipients, give additional addresses, or both."
#: Why a copy is not released: no recipient is known, or all were left out.
NO_ONE = "it has no known recipient, or all were left out: give an additional address"
#: Why a copy without an envelope is not released to its original recipients if header addresses were not chosen.
NO_ENVELOPE = "its envelope recipients are not known, and its header addresses were not selected"
#: The same if header addresses were chosen.
NOT_LOCAL = "its envelope recipients are not known, and none of the selected header addresses is in a local domain"
#: Why an address of the header is left out.
IN_HEADER = "is only in the header, and header addresses were not selected"


class Choice(NamedTuple):
    """An operator's choice, with the arguments of `store.delivery.queue.release`.

    `spared` maps copies to leave out to the reason, unless `lookalikes` shall go as well.
    """

    original: bool
    additional: Sequence[str] = ()
    left_out: Collection[str] = ()
    from_header: bool = False
    outsiders: Collection[str] = ()
    again: Collection[str] | bool = ()
    spared: Mapping[int, str] = MappingProxyType({})
    lookalikes: bool = False


class Chosen(NamedTuple):
    """A checked choice. `extra` are addresses, `without` and `outsiders` mailboxes."""

    original: bool
    extra: list[str]
    without: frozenset[str]
    from_header: bool
    outsiders: frozenset[str]
    local: LocalDomains
    spared: Mapping[int, str]

    def meant(self, copy: Copy) -> tuple[list[str], str]:
        """Return the addresses to send a copy to; if there are none, also why."""
        original = recipients_of(copy) if self.original else []
        header = bool(original) and original[0].source != ENVELOPE
        if header:
            original = [each for each in original if self.from_header and self._takes(each.address)]
        kept = [each.address for each in original if not self.without or mailbox(each.address) not in self.without]
        reason = NO_ONE
        if header and not original:
            reason = NOT_LOCAL if self.from_header else NO_ENVELOPE
        return _once([*kept, *self.extra]), reason

    def passed_over(self, copy: Copy) -> list[str]:
        """Return the header addresses of a copy without an envelope, if they were not chosen."""
        if not self.original or self.from_header or not (found := recipients_of(copy)) or found[0].source == ENVELOPE:
            return []
        beside = self.without | frozenset(map(mailbox, self.extra))
        return [each.address for each in found if mailbox(each.address) not in beside]

    def _takes(self, address: str) -> bool:
        return address in self.local or mailbox(address) in self.outsiders


class Plan(NamedTuple):
    """A copy that can be released, and its addresses, each mailbox once."""

    copy: Copy
    addresses: list[str]


def chosen_of(settings: Settings, choice: Choice) -> Chosen:
    """Check the choice against the settings. Raises NoRecipients if nobody was chosen, and AddressError."""
    if not choice.original and not choice.additional:
        raise NoRecipients(NO_CHOICE)
    return Chosen(
        choice.original,
        _once([check_address(address) for address in choice.additional]),
        frozenset(map(mailbox, choice.left_out)),
        choice.from_header,
        frozenset(map(mailbox, choice.outsiders)),
        LocalDomains(settings.local_domains),
        {} if choice.lookalikes else choice.spared,
    )


def _once(addresses: list[str]) -> list[str]:
    """Keep the first spelling of each mailbox, in order."""
    kept: dict[str, str] = {}
    for address in addresses:
        kept.setdefault(mailbox(address), address)
    return list(kept.values())


def plans(
    vault: Vault,
    settings: Settings,
    batch: list[int],
    chosen: Chosen,
    refused: list[tuple[int, str]],
    left_out: list[LeftOut],
) -> Iterator[Plan]:
    """Yield a plan for each copy of a batch that can be released. Adds the others, with the reason, to `refused`.

    Adds header addresses that were not chosen to `left_out`.
    """
    damaged: dict[int, str] = {}
    copies = {
        copy.id: copy
        for copy in vault.get_many(batch, on_error=lambda copy_id, error: damaged.update({copy_id: str(error)}))
    }
    for copy_id in batch:
        copy = copies.get(copy_id)
        if copy is None:
            refused.append((copy_id, damaged.get(copy_id) or str(vault.missing(copy_id))))
            continue
        if copy.record.dangerous and not settings.allow_infected:
            refused.append((copy_id, INFECTED))
            continue
        if copy_id in chosen.spared:
            refused.append((copy_id, chosen.spared[copy_id]))
            continue
        addresses, reason = chosen.meant(copy)
        problem = next((problem for address in addresses if (problem := address_problem(address))), "")
        if problem:
            refused.append((copy_id, f"an address of its envelope cannot be used ({problem}): leave it out"))
        elif not addresses:
            refused.append((copy_id, reason))
        else:
            left_out += [LeftOut(copy_id, each, IN_HEADER) for each in chosen.passed_over(copy)]
            yield Plan(copy, addresses)


def shared_out(plan: Plan, held: Mapping[str, MailboxOutcome], again: Again) -> tuple[list[str], list[LeftOut]]:
    """Split a plan's addresses into those to send to and those left out.

    `held` are the outcomes of mailboxes with a copy.
    """
    if not held:
        return plan.addresses, []
    free = [address for address in plan.addresses if mailbox(address) not in held or address in again]
    kept = frozenset(free)
    return free, [
        LeftOut(plan.copy.id, address, why(held[mailbox(address)])) for address in plan.addresses if address not in kept
    ]
