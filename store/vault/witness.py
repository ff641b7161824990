"""Interface that observes each transaction of a vault, so that a later loss of rows can be detected."""

from __future__ import annotations


class Witness:
    """A witness that does nothing, for vaults that only read. Only the vault calls its methods."""

    #: Why nothing may be sent, "" if sending is allowed.
    problem = ""
    #: Whether it keeps what it saw outside of the store.
    remembers = False
    #: Why that cannot be written, "" if it can.
    unkept = ""
    #: Generation (Unix ms) of the newest verified acceptance, 0 without one.
    generation = 0
    #: True while a transaction rewrites damaged rows: only the rows at its end are compared with what was seen before.
    repairing = False

    def count_buried(self, copies: int) -> None:
        """Note that the open transaction buries so many copies."""

    def count_delivery(self) -> None:
        """Note that the open transaction makes a delivery."""

    def sign_for(self, gateway_id: int) -> None:
        """Note that the open transaction enrols or revokes a gateway."""

    def begun(self, *, quiet: bool) -> None:
        """Note that a transaction began, holding the write lock. Raises StoreUnavailable to stop it."""

    def before_commit(self, *, quiet: bool) -> None:
        """Write the head before a commit; `quiet` as in `Session.write`. Raises StoreUnavailable to stop the commit."""

    def committed(self) -> None:
        """Note that what `before_commit` saw is durable."""

    def released(self) -> None:
        """Do slow work after the commit, with the lock released."""

    def failed(self) -> None:
        """Note that the transaction rolled back, or that its fate is unknown."""

    def wants_last_word(self) -> bool:
        """Whether anything is left to write when the vault closes."""
        return False

    def say_last_word(self) -> None:
        """Write what is left, in the vault's last transaction."""

    def beat(self) -> None:
        """Write what is due. A daemon calls this each second. Raises StoreUnavailable."""

    def close(self) -> None:
        """Finish when the vault closes."""

    def require_current(self) -> None:
        """Raise StoreUnavailable if the store holds less than was seen before: nothing may be sent then."""
