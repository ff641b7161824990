"""Changes the settings, and shrinks the store to a smaller maximum.

The caller may have confirmed what a smaller maximum removes; the transaction that writes checks it again.
"""

from __future__ import annotations

from store.authority.settings import Settings, read_settings, rebased, write_settings
from store.database.connection import DiskFull
from store.space.rotation import Removal, RemovesMore, removal_token, shrink, would_remove
from store.terms.errors import StoreUnavailable
from store.terms.progress import Cancelled, Progress
from store.vault.vault import Vault


def change_settings(
    vault: Vault,
    settings: Settings,
    *,
    operator: str = "",
    base: Settings | None = None,
    confirmed: Removal | None = None,
    progress: Progress | None = None,
    cancelled: Cancelled | None = None,
) -> Settings:
    """Write `settings` and the event that lists the changes, in one transaction. Returns the settings in force.

    With `base` (the settings that the caller started from), only the differences to it are applied, so changes that
    others made meanwhile stay. After a smaller maximum the oldest copies are removed at once; `progress` is in bytes.
    If that is `cancelled` or fails, the rest is removed as new copies come in; a full disk raises DiskFull.

    With `confirmed`, the result of `rotation.would_remove` for that maximum, nothing is changed if by now other or more
    copies would go: raises RemovesMore with the new removal. Raises TamperedError if the present settings do not
    verify; they are not overwritten then.
    """
    made_room = False
    bound = None if confirmed is None else _Confirmed(vault, settings.max_size, settings.bin_share, confirmed)
    while True:
        try:
            before, settings = _replace(vault, settings, base, operator, bound)
            break
        except DiskFull:
            # The smaller maximum may be the remedy for the full disk, so make room for writing it.
            if not vault.room.make():
                raise
            made_room = True
    if settings.max_size < before.max_size:
        try:
            shrink(vault, progress=progress, cancelled=cancelled)
        except DiskFull:
            raise  # Somebody who shrinks the store because the disk is full must know that it did not help.
        except StoreUnavailable:
            pass  # The settings are in force; new copies trigger the removal of the rest.
    if made_room:
        vault.room.settle()
    return settings


def _replace(
    vault: Vault, settings: Settings, base: Settings | None, operator: str, confirmed: _Confirmed | None
) -> tuple[Settings, Settings]:
    """Write the changes; returns the settings before and after. Raises RemovesMore."""
    with vault.write():
        before = read_settings(vault)
        if base is not None:
            settings = rebased(settings, base, before)
        if confirmed is not None and settings.max_size < before.max_size:
            confirmed.require()
        write_settings(vault, before, settings, operator=operator)
    return before, settings


class _Confirmed:
    """The removal that the operator confirmed for a smaller maximum.

    The removal is computed before the write transaction, because it reads every row and would block intake. Inside,
    only a change since then is looked for.
    """

    def __init__(self, vault: Vault, maximum: int, bin_share: int, confirmed: Removal) -> None:
        self._vault, self._maximum, self._bin_share, self._confirmed = vault, maximum, bin_share, confirmed
        self._looked_at = removal_token(vault)
        self._removal = would_remove(vault, maximum, bin_share)

    def require(self) -> None:
        """In the writing transaction: raise RemovesMore if copies would go that were not confirmed."""
        if removal_token(self._vault) != self._looked_at:
            self._removal = would_remove(self._vault, self._maximum, self._bin_share)
        found, confirmed = self._removal, self._confirmed
        if (
            found.copies > confirmed.copies
            or found.last_id > confirmed.last_id
            or found.copies + found.binned > confirmed.copies + confirmed.binned
        ):
            raise RemovesMore(self._removal)
