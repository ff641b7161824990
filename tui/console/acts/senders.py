"""What the catalogue knows of the senders of copies that are released: who wrote a subject first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from store.catalogue.sort import Sort, SortKey
from store.delivery.lookalikes import SameSubject, base_subject
from store.filters.model import MessageFilter, Term

if TYPE_CHECKING:
    from store.catalogue.catalogue import Catalogue

#: So many copies with a subject are looked at, the first that came: who imitates comes later.
_FIRST = 200


def same_subject(catalogue: Catalogue) -> SameSubject:
    """Find the first copies with a subject, in the catalogue as far as it is loaded; may be called in any thread."""

    def find(subject: str) -> list[tuple[int, str]]:
        selection = catalogue.select(MessageFilter(subject=(Term(subject),)), Sort(SortKey.PLACED, False))
        rows = selection.rows(0, min(selection.count, _FIRST))
        return [(row.id, row.from_) for row in rows if base_subject(row.subject) == subject]

    return find
