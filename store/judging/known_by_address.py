"""Look up the counters of known senders for many addresses at once."""

from __future__ import annotations

from collections.abc import Iterable

from store.helpers.clock import DAY_MS
from store.judging.known_senders import asked_for, known_sender
from store.judging.senders import Sender, recipient_of
from store.terms.errors import TamperedError, UnlockError
from store.terms.findings import KnownSender
from store.vault.known import Known
from store.vault.reader import Reader

#: Addresses looked up in one transaction.
_PART = 200


def known_by_address(vault: Reader, addresses: Iterable[str], *, now: int) -> dict[str, KnownSender]:
    """Look up what is known of senders at `now` (Unix ms), keyed by the address as given. Leaves unknown senders out.

    Takes about 0.1 ms per address. Returns nothing if the keys at hand cannot read the counters. Raises
    StoreUnavailable.
    """
    wanted = [(address, sender) for address in addresses if (sender := _sender(address)) is not None]
    known, found = Known(vault), dict[str, KnownSender]()
    for start in range(0, len(wanted), _PART):
        part = wanted[start : start + _PART]
        keys = [key for _, sender in part for key in asked_for(sender)]
        try:
            counts = known.counts(keys, now // DAY_MS)
        except (TamperedError, UnlockError):
            return found
        for place, (address, _) in enumerate(part):
            answer = known_sender(counts[3 * place : 3 * place + 3])
            if answer != KnownSender():
                found[address] = answer
    return found


def _sender(address: str) -> Sender | None:
    key = recipient_of(address)
    return Sender(key, key.rpartition("@")[2]) if key else None
