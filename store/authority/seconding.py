"""Which acts need the signatures of two operators, and since when: the signed setting `seconded`.

It is verified, but cannot be set yet: all operators who open a store hold the same authority key, which alone may sign
everything, and no command issues operators' own certificates, which two signatures would need.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import msgspec

from store.authority import configuration
from store.authority.configuration_rows import SECONDED
from store.sealing.signatures import Right

if TYPE_CHECKING:
    from store.vault.reader import Reader

#: Why it cannot be set.
NOT_YET = (
    "The setting seconded cannot be turned on: all operators of this store sign with the same key, so nobody could "
    "give the second signature."
)


class Seconded(msgspec.Struct, frozen=True, array_like=True):
    """The setting: pairs of rights (sums of `Right`) and the time (Unix ms) from which such acts need two operators."""

    kinds: list[tuple[int, int]]


def heed(vault: Reader) -> None:
    """Have operators' signatures in this store verified by this setting."""
    vault.takes_two = partial(_takes_two, vault)


def _takes_two(vault: Reader, right: Right, at: int) -> bool:
    """Return True if an act that needs `right`, signed at `at` (Unix ms), takes two.

    Raises TamperedError, StoreFormat.
    """
    stored = configuration.read(vault, SECONDED, Seconded)
    return stored is not None and any(kind & right and at >= since for kind, since in stored.value.kinds)
