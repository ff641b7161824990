"""Reads the rows of a `ColumnTable` from the store.

Imports Polars: only the modules that the catalogue loads in the background may import this one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from store.campaigns.indexing import traits_of
from store.campaigns.packing import texts_of
from store.campaigns.traits import Texts
from store.catalogue.column_fields import Source
from store.catalogue.column_table import ColumnTable
from store.terms.errors import TamperedError
from store.terms.records import Copy
from store.vault.vault import Vault

OnError = Callable[[int, TamperedError], None]


def of_records(source: Source, batches: Iterable[Sequence[Copy]]) -> ColumnTable:
    """Make the table of a source that `is_record`, from copies in batches, ids ascending."""
    return ColumnTable.of_envelopes(batches) if source is Source.ENVELOPE else ColumnTable.of_copies(batches)


def read_span(vault: Vault, source: Source, after: int, until: int, on_error: OnError) -> ColumnTable:
    """Read a table of the copies with `after` < id <= `until`. Raises StoreUnavailable.

    A copy that does not verify, or has no traits yet, gets no row.
    """
    if source.is_record:
        return of_records(source, vault.batches(after, until, on_error=on_error))
    batches = traits_of(vault).batches(after, until, on_error=on_error)
    return ColumnTable.of_texts(_texts(batch, on_error) for batch in batches)


def read_ids(vault: Vault, source: Source, ids: Sequence[int], on_error: OnError) -> ColumnTable:
    """Read a table of the copies with these ids (ascending). Otherwise as `read_span`."""
    if source.is_record:
        return of_records(source, [vault.get_many(ids, on_error=on_error)])
    found = traits_of(vault).read(ids, on_error=on_error)
    return ColumnTable.of_texts([_texts(sorted(found.items()), on_error)])


def _texts(rows: Sequence[tuple[int, bytes]], on_error: OnError) -> list[tuple[int, Texts]]:
    return list(_unpacked(rows, on_error))


def _unpacked(rows: Sequence[tuple[int, bytes]], on_error: OnError) -> Iterator[tuple[int, Texts]]:
    for copy_id, data in rows:
        try:
            yield copy_id, texts_of(data, f"the traits of copy {copy_id}")
        except TamperedError as error:
            on_error(copy_id, error)
