"""What takes note of each transaction of a vault, so that others can tell later what the store had held by then."""

from __future__ import annotations


class Witness:
    """One that takes note of nothing: that of a vault which only reads. Its methods are called by the vault alone."""

    #: Why nothing may be sent, "" where nothing stands in the way.
    problem = ""
    #: Whether what is seen is kept outside of the store.
    remembers = False
    #: That of the newest acceptance that is known to verify (Unix ms), 0 without one.
    generation = 0
    #: True while a transaction writes anew what was damaged: what it begins with is not held against what was seen,
    #: what it ends with is.
    repairing = False

    def count_buried(self, copies: int) -> None:
        """So many copies are being buried in the transaction that is open."""

    def count_delivery(self) -> None:
        """Note that the open transaction makes a delivery."""

    def sign_for(self, gateway_id: int) -> None:
        """Note that the open transaction enrols or revokes a gateway."""

    def begun(self, *, quiet: bool) -> None:
        """Note that a transaction began, with no other writer in one. Raises StoreUnavailable to stop it."""

    def before_commit(self, *, quiet: bool) -> None:
        """Write the head before a commit; a `quiet` one is one of many. Raises StoreUnavailable to stop it."""

    def committed(self) -> None:
        """Note that what `before_commit` saw is durable."""

    def released(self) -> None:
        """Do slow work after the commit, now that its lock is released."""

    def failed(self) -> None:
        """Note that the transaction rolled back, or that its fate is unknown."""

    def wants_last_word(self) -> bool:
        """Whether there is something left to write when the vault closes."""
        return False

    def say_last_word(self) -> None:
        """Write it, in the last transaction."""

    def beat(self) -> None:
        """Write what is due. A daemon calls this each second. Raises StoreUnavailable."""

    def close(self) -> None:
        """Finish when the vault closes."""

    def require_current(self) -> None:
        """Raise StoreUnavailable where the store holds less than was seen of it: nothing may be sent then."""
