"""Which acts take the signatures of two operators: the signed setting `seconded`, and since when.

It is verified, and nobody can set it yet: whoever opens a store holds the authority's key, which may sign everything
alone, and no command issues certificates to operators who would have to sign together.
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
    "Two signatures cannot be asked for yet: whoever opens this store signs with the same key, so that nobody could "
    "give the second one. The setting seconded stays off."
)


class Seconded(msgspec.Struct, frozen=True, array_like=True):
    """The setting: rights (sums of `Right`), each with the time (Unix ms) since which its acts take two operators."""

    kinds: list[tuple[int, int]]


def heed(vault: Reader) -> None:
    """Have what operators sign in this store verified as the setting says."""
    vault.takes_two = partial(_takes_two, vault)


def _takes_two(vault: Reader, right: Right, at: int) -> bool:
    """Whether an act that takes `right`, signed at the time `at`, takes two. Raises TamperedError, StoreFormat."""
    stored = configuration.read(vault, SECONDED, Seconded)
    return stored is not None and any(kind & right and at >= since for kind, since in stored.value.kinds)
