"""Putting other settings in force, and making the store as small as they say.

What a smaller maximum removes may be confirmed beforehand. It is then checked in the transaction that writes.
"""

from __future__ import annotations

from collections.abc import Callable

from store.authority.settings import Settings, read_settings, rebased, write_settings
from store.database.connection import DiskFull
from store.space.rotation import Removal, RemovesMore, removal_token, shrink, would_remove
from store.terms.errors import StoreUnavailable
from store.vault.vault import Vault


def change_settings(
    vault: Vault,
    settings: Settings,
    *,
    operator: str = "",
    base: Settings | None = None,
    confirmed: Removal | None = None,
    progress: Callable[[int, int], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> Settings:
    """Put `settings` in force, in one transaction with the event that says what changed; returns what is in force.

    With `base`, the settings that the caller began with, only what differs from them is changed: what somebody else
    changed in the meantime stays. Where the maximum became smaller, the oldest copies go at once, with `progress` in
    bytes; what is `cancelled` then, or fails, goes with the next copies that come; a full disk is told (DiskFull). With
    `confirmed`, what `rotation.would_remove` answered for that maximum, nothing is changed where by now other copies
    would go, or more: raises RemovesMore, which says what would go. Raises TamperedError where the present settings do
    not verify: they are then not written over.
    """
    made_room = False
    bound = None if confirmed is None else _Confirmed(vault, settings.max_size, settings.bin_share, confirmed)
    while True:
        try:
            before, settings = _replace(vault, settings, base, operator, bound)
            break
        except DiskFull:
            # A smaller maximum may be what is to help.
            if not vault.room.make():
                raise
            made_room = True
    if settings.max_size < before.max_size:
        try:
            shrink(vault, progress=progress, cancelled=cancelled)
        except DiskFull:
            raise  # Who makes room on a full disk has to know that there is none.
        except StoreUnavailable:
            pass  # The settings are in force, and what cannot go now goes with the next copies that come.
    if made_room:
        vault.room.settle()
    return settings


def _replace(
    vault: Vault, settings: Settings, base: Settings | None, operator: str, confirmed: _Confirmed | None
) -> tuple[Settings, Settings]:
    """Write what changes; returns the settings before and after. Raises RemovesMore."""
    with vault.write():
        before = read_settings(vault)
        if base is not None:
            settings = rebased(settings, base, before)
        if confirmed is not None and settings.max_size < before.max_size:
            confirmed.require()
        write_settings(vault, before, settings, operator=operator)
    return before, settings


class _Confirmed:
    """What may go for a smaller maximum. What would go is looked up before the transaction, which then only asks for
    changes: looking reads every row, and intake must not wait for that.
    """

    def __init__(self, vault: Vault, maximum: int, bin_share: int, confirmed: Removal) -> None:
        self._vault, self._maximum, self._bin_share, self._confirmed = vault, maximum, bin_share, confirmed
        self._looked_at = removal_token(vault)
        self._removal = would_remove(vault, maximum, bin_share)

    def require(self) -> None:
        """Refuse, in the transaction that writes, what removes copies that nobody confirmed. Raises RemovesMore."""
        if removal_token(self._vault) != self._looked_at:
            self._removal = would_remove(self._vault, self._maximum, self._bin_share)
        found, confirmed = self._removal, self._confirmed
        if (
            found.copies > confirmed.copies
            or found.last_id > confirmed.last_id
            or found.copies + found.binned > confirmed.copies + confirmed.binned
        ):
            raise RemovesMore(self._removal)
