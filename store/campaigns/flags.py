"""What the store knows of copies that keeps them out of acts, and does not follow from their traits."""

from __future__ import annotations

from collections.abc import Sequence

from store.campaigns.material import Flags
from store.terms.records import CopyRecord
from store.vault.vault import Vault


def flags_of(vault: Vault, ids: Sequence[int]) -> dict[int, Flags]:
    """KNOWN and ALIKE of those copies of Backup that have any. A copy that does not verify has none.

    Raises StoreUnavailable.
    """
    found: dict[int, Flags] = {}
    for copy in vault.get_many(ids, on_error=lambda _copy_id, _error: None):
        flags = _known(copy.record)
        if flags:
            found[copy.id] = flags
    return found


def _known(record: CopyRecord) -> Flags:
    """KNOWN where its sender is: an address in From costs nothing, so it must be authenticated, or have never been so.

    What was written to from here, or let through before.
    """
    known = record.known
    if known is None or not (known.written_to or known.address):
        return Flags.NONE
    passed = any(each.result == "pass" and each.method in ("dkim", "spf", "dmarc") for each in record.authentication)
    if not passed and known.address_authenticated:
        return Flags.NONE
    return Flags.KNOWN
