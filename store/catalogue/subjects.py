"""Finds the oldest copies with a subject (imitations arrive later), in the catalogue or, without one, in the store."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from store.catalogue.catalogue import Catalogue
from store.catalogue.sort import Sort, SortKey
from store.delivery.lookalikes import SameSubject, base_subject
from store.filters.model import MessageFilter, Term
from store.helpers.installed import installed

if TYPE_CHECKING:
    from store.vault.vault import Vault

#: At most this many of the oldest copies are looked at per subject.
_FIRST = 200


def same_subject(catalogue: Catalogue) -> SameSubject:
    """Return a thread-safe function that finds the oldest loaded copies with a subject."""

    def find(subject: str) -> list[tuple[int, str]]:
        selection = catalogue.select(MessageFilter(subject=(Term(subject),)), Sort(SortKey.PLACED, False))
        rows = selection.rows(0, min(selection.count, _FIRST), identifiers=False)
        return [(row.id, row.from_) for row in rows if base_subject(row.subject) == subject]

    return find


@contextmanager
def subjects_of(vault: Vault) -> Iterator[SameSubject]:
    """Yield such a function for a command; it loads the catalogue at the first call.

    Without Polars it reads all copies instead.
    """
    catalogue = Catalogue(vault)
    by_subject: dict[str, list[tuple[int, str]]] = {}
    started = False

    def find(subject: str) -> list[tuple[int, str]]:
        nonlocal started
        if not installed("polars"):
            if not started:
                _read(vault, by_subject)
            started = True
            return by_subject.get(subject, [])
        if not started:
            catalogue.start()
            catalogue.wait_complete()
        started = True
        return list(same_subject(catalogue)(subject))

    try:
        yield find
    finally:
        catalogue.close()


def _read(vault: Vault, found: dict[str, list[tuple[int, str]]]) -> None:
    for copy in vault.scan(on_error=lambda _copy_id, _error: None):
        same = found.setdefault(base_subject(copy.record.subject), [])
        if len(same) < _FIRST:
            same.append((copy.id, copy.record.from_))
