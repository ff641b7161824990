"""Interface for freeing space after puts and deletions.

The vault counts bytes but does not know how many are allowed, so whoever opens it passes an implementation.
"""

from __future__ import annotations

from typing import Protocol


class Upkeep(Protocol):
    """Manages the space of one vault."""

    def after_put(self, used: int) -> int:
        """Make room after a put that led to `used` bytes. Returns the bytes still above the limit.

        Called in the put's transaction, where it does only as much as fits there, and again after it if bytes are left.
        Raises StoreUnavailable.
        """
        ...

    def after_delete(self) -> None:
        """Note that copies were deleted by anybody. Never raises because of damage to the store."""
        ...


class NoUpkeep:
    """For a vault that only reads."""

    def after_put(self, used: int) -> int:
        """Do nothing."""
        return 0

    def after_delete(self) -> None:
        """Do nothing."""
