"""Deletes the copies of campaigns, except those that were peeled off or became odd since the check.

    clear(vault, checked(vault, standing, [3, 8], now=…), operator=…, standing=…)

Several operators may work at the same time. Each batch reads their marks inside its own write transaction, so no
copy is deleted that was peeled off before.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from store.authority.deleting import delete_copies
from store.campaigns.marks import Marks, read_marks
from store.campaigns.standing import Standing
from store.clearing.checked import Checked
from store.terms.progress import Cancelled, Progress
from store.vault.deleting import DeleteResult
from store.vault.vault import Vault

PEELED = "an operator peeled it off its campaign meanwhile"
ODD = "it became odd in its campaign meanwhile"


class Guard:
    """Decides for each batch, inside its transaction, which copies stay, and why.

    `standing` returns the current campaigns. Raises TamperedError, StoreFormat, StoreUnavailable.
    """

    def __init__(self, vault: Vault, standing: Callable[[], Standing]) -> None:
        self._vault = vault
        self._standing = standing
        self._marks: Marks | None = None
        self._peeled: frozenset[int] = frozenset()
        self._stood: Standing | None = None
        self._odd: frozenset[int] = frozenset()

    def __call__(self, ids: list[int]) -> Mapping[int, str]:
        """Return the copies of a batch that stay, with the reason."""
        self._look()
        stay = dict.fromkeys(self._odd.intersection(ids), ODD)
        stay |= dict.fromkeys(self._peeled.intersection(ids), PEELED)
        return stay

    def _look(self) -> None:
        marks, _version = read_marks(self._vault)
        if marks != self._marks:
            self._marks, self._peeled = marks, marks.all_taken_out
        standing = self._standing()
        if standing is not self._stood:
            self._stood, self._odd = standing, standing.odd


def clear(
    vault: Vault,
    checked: Checked,
    *,
    operator: str,
    standing: Callable[[], Standing],
    days: int | None = None,
    ids: Sequence[int] | None = None,
    progress: Progress | None = None,
    cancelled: Cancelled | None = None,
) -> DeleteResult:
    """Delete the checked copies, or `ids` of them, as `delete_copies` does; `days` as there.

    `DeleteResult.refused` lists what was left out. Raises TamperedError, StoreFormat, StoreUnavailable, UnlockError.
    """
    guard = Guard(vault, standing)
    return delete_copies(
        vault,
        checked.ids if ids is None else ids,
        operator=operator,
        days=days,
        progress=progress,
        cancelled=cancelled,
        spare=guard,
    )
