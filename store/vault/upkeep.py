"""What is to happen after copies were put and deleted. Who opens the vault hands it in: the vault counts bytes, and how
many are allowed is nothing that it knows.
"""

from __future__ import annotations

from typing import Protocol


class Upkeep(Protocol):
    """Looks after the space of one vault."""

    def after_put(self, used: int) -> int:
        """Make room where a put has led to `used` bytes. Returns the bytes that are still too many.

        Called in the put's transaction, where it may do no more than fits there, and again after it while bytes are
        too many. Raises StoreUnavailable.
        """
        ...

    def after_delete(self) -> None:
        """Take note that copies were deleted by somebody. Never raises for what is wrong in the store."""
        ...


class NoUpkeep:
    """For a vault that only reads."""

    def after_put(self, used: int) -> int:
        """Leave everything as it is."""
        return 0

    def after_delete(self) -> None:
        """Leave everything as it is."""
