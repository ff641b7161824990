"""Verifies the stored traits, campaigns, and weights and limits for joining.

A row that does not verify is ignored and made anew. Rows of another version are treated as missing.
"""

from __future__ import annotations

from collections.abc import Iterator

from store.campaigns.indexing import read_traits, traits_of
from store.campaigns.lease import KIND as LEASE
from store.campaigns.lease import VERSION as LEASE_VERSION
from store.campaigns.packing import TRAITS, unpacked
from store.campaigns.stored import CAMPAIGN, JOINED, JOINING, Stored
from store.helpers.runs import ranges
from store.terms.errors import TamperedError
from store.vault.derived import Loose, kinds, strays
from store.vault.vault import Vault

_KINDS = (TRAITS, CAMPAIGN, JOINING, JOINED, LEASE)
_ROWS = 2000
#: Maximum number of id ranges to list.
_TOLD = 20


def unreadable(vault: Vault) -> list[int]:
    """List the copies, in Backup or in the bin, whose traits do not verify, ascending.

    Decrypts the traits of all copies. Raises UnlockError, StoreUnavailable.
    """
    bad: list[int] = []

    def note(copy_id: int, _error: TamperedError) -> None:
        bad.append(copy_id)

    for batch in traits_of(vault).batches(on_error=note):
        for copy_id, data in batch:
            try:
                unpacked(data, TRAITS)
            except TamperedError:
                bad.append(copy_id)
    ids = vault.bin.ids()
    for start in range(0, len(ids), _ROWS):
        read_traits(vault, ids[start : start + _ROWS], binned=True, on_error=note)
    return sorted(bad)


def problems(vault: Vault) -> Iterator[tuple[str, str]]:
    """Yield (what does not verify, why and what to do). Raises UnlockError, StoreUnavailable."""
    if bad := unreadable(vault):
        yield "traits", f"those of copies {ranges(bad, _TOLD)} do not verify: `mailhold index --verify` renews them"
    found: list[str] = []
    stored = Stored(vault)
    stored.read(problem=found.append)
    try:
        stored.handles(problem=found.append)
    except TamperedError as error:
        found.append(str(error))
    for text in dict.fromkeys(found):
        yield "campaigns", f"{text} `mailhold campaigns` finds them again"
    lease = Loose(vault, LEASE, LEASE_VERSION)
    for row_id, sealed in lease.all().items():
        try:
            lease.open(row_id, sealed)
        except TamperedError:
            yield "the lease of the campaign finder", "it does not verify and is ignored"
    with vault.reading():
        lost, counts = strays(vault.db), kinds(vault.db)
    for kind in _KINDS:
        if ids := [row_id for row_id, of_kind in lost if of_kind == kind]:
            yield f"rows of kind {kind}", f"their copies {ranges(ids, _TOLD)} do not exist"
    for kind, count in counts.items():
        if kind not in _KINDS:
            yield (
                "data derived from copies",
                f"{count:,} rows are of a kind that this version of Mailhold does not know",
            )
