"""Values of the filter fields that the catalogue's frame lacks, by copy: one table per source, read on demand.

Imports Polars: only the modules that the catalogue loads in the background may import this one.
"""

from __future__ import annotations

import io
import ipaddress
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache, reduce
from operator import or_
from typing import Any

import polars as pl

from store.campaigns.traits import Texts
from store.catalogue.column_fields import Source
from store.catalogue.frame import occur_in
from store.catalogue.values import Gathered, Values, smallest_of
from store.filters.asked import Client, address_text, auth_words, envelope_texts, is_known, score_of, symbols_of
from store.filters.folding import fold, searched
from store.terms.records import Copy

_Schema = dict[str, type[pl.DataType]]
_TEXT: _Schema = {"text": pl.String}
#: Fields with several values per copy, or values shared by many copies, and the columns of their word tables.
_WORDS: dict[Source, dict[str, _Schema]] = {
    Source.RECORD: {
        "client": {"text": pl.String, "packed": pl.Binary},
        "client_name": _TEXT,
        "symbol": _TEXT,
        "auth": _TEXT,
    },
    Source.ENVELOPE: {"envelope": _TEXT},
    Source.BODY: {"link": _TEXT, "file": _TEXT, "sha256": {"digest": pl.Binary}},
}
_PLAIN: dict[Source, _Schema] = {
    Source.RECORD: {"known": pl.Boolean, "score": pl.Int32},
    Source.ENVELOPE: {},
    Source.BODY: {},
}


class ColumnTable:
    """Immutable rows in ascending order of ids, each id once. Nothing is known of a copy without a row."""

    def __init__(self, source: Source, rows: pl.DataFrame, values: dict[str, Values]) -> None:
        self.source = source
        self.rows = rows
        self.values = values

    @classmethod
    def empty(cls, source: Source) -> ColumnTable:
        """Make a table of no copies."""
        return _table(source, [], {}, {name: Gathered(schema) for name, schema in _WORDS[source].items()})

    @classmethod
    def of_copies(cls, batches: Iterable[Sequence[Copy]]) -> ColumnTable:
        """Make a table from the records of copies, in batches, ids ascending."""
        ids: list[int] = []
        known: list[bool] = []
        scores: list[int | None] = []
        found = {name: Gathered(schema) for name, schema in _WORDS[Source.RECORD].items()}
        client, client_name, symbol, auth = found.values()
        for batch in batches:
            for copy in batch:
                record = copy.record
                ids.append(copy.id)
                known.append(is_known(record))
                scores.append(score_of(record))
                client.add((_client(record.client_address),))
                client_name.add((fold(record.client_name),))
                symbol.add(symbols_of(record))
                auth.add(auth_words(record.authentication))
        return _table(Source.RECORD, ids, {"known": known, "score": scores}, found)

    @classmethod
    def of_envelopes(cls, batches: Iterable[Sequence[Copy]]) -> ColumnTable:
        """Make a table of the senders of envelopes, otherwise as `of_copies`."""
        ids: list[int] = []
        found = {name: Gathered(schema) for name, schema in _WORDS[Source.ENVELOPE].items()}
        for batch in batches:
            ids += [copy.id for copy in batch]
            for copy in batch:
                found["envelope"].add(map(searched, envelope_texts(copy.record)))
        return _table(Source.ENVELOPE, ids, {}, found)

    @classmethod
    def of_texts(cls, batches: Iterable[Sequence[tuple[int, Texts]]]) -> ColumnTable:
        """Make a table from (copy id, texts of the body's traits), in batches, ids ascending."""
        ids: list[int] = []
        found = {name: Gathered(schema) for name, schema in _WORDS[Source.BODY].items()}
        link, file, sha256 = found.values()
        for batch in batches:
            for copy_id, texts in batch:
                ids.append(copy_id)
                link.add(map(searched, texts.links))
                # A search may match a file's name or its type, so both are words of the copy.
                file.add(word for each in texts.files for word in (searched(each.name), searched(each.content_type)))
                sha256.add(each.sha256 for each in texts.files)
        return _table(Source.BODY, ids, {}, found)

    def __len__(self) -> int:
        return self.rows.height

    @property
    def ids(self) -> pl.Series:
        """The copy ids, ascending."""
        return self.rows.get_column("id")

    def merge(self, other: ColumnTable) -> ColumnTable:
        """Add the rows of another table whose ids are not in this one."""
        added = other.rows
        if len(self) and len(other) and other.ids[0] <= self.ids[-1]:
            added = added.filter(~occur_in(other.ids, self.ids))
        if not added.height:
            return self
        values, rows = {}, self.rows
        for name, mine in self.values.items():
            values[name] = mine.extend(other.values[name])
            kind = smallest_of(len(values[name]))
            shift = pl.lit(len(mine), kind)
            rows = rows.with_columns(pl.col(name).cast(kind))
            added = added.with_columns(pl.col(name).cast(kind) + shift)
        joined = pl.concat([rows, added], rechunk=True)
        if len(self) and added.get_column("id")[0] < self.ids[-1]:
            joined = joined.sort("id")
        return ColumnTable(self.source, joined, values)

    def only(self, ids: pl.Series) -> ColumnTable:
        """Keep only the rows with these ids (ascending), and drop words that no row uses.

        If every id has a row, the table shares the `ids` series instead of holding a second copy of it.
        """
        rows, values = self.rows.filter(occur_in(self.ids, ids)), {}
        for name, mine in self.values.items():
            values[name], codes = mine.tightened(rows.get_column(name).cast(pl.UInt32))
            rows = rows.with_columns(codes.cast(smallest_of(len(values[name]))).alias(name))
        if len(ids) == rows.height:
            rows = rows.with_columns(ids.alias("id"))  # share one series
        return ColumnTable(self.source, rows.rechunk(), values)

    def mask(self, field: str, wanted: Sequence[Any]) -> pl.Series:
        """Return a mask by row: copies that have any of the values (described at `store.catalogue.query.Extras`)."""
        if field == "known":
            return self.rows.get_column("known")
        if field == "score":
            return _within(self.rows.get_column("score"), *wanted)
        if field == "client":
            return reduce(or_, (self._client(client) for client in wanted))
        found = {"auth": _equal, "sha256": _digests}.get(field, _containing)
        return self._having(field, lambda words: reduce(or_, (found(words, value) for value in wanted)))

    def _client(self, client: Client) -> pl.Series:
        if client.network is not None:
            network = client.network
            return self._having("client", lambda words: _in_network(words.get_column("packed"), network))
        if client.address:
            address, prefix = client.address, client.prefix
            return self._having("client", lambda words: _at(words.get_column("text"), address, prefix))
        return self._having("client_name", lambda words: _containing(words, client.part))

    def _having(self, name: str, find: Callable[[pl.DataFrame], pl.Series]) -> pl.Series:
        """Return a mask by row: copies that have any of the words that `find` selects."""
        values = self.values[name]
        sets = values.having(find(values.words))
        return sets.cast(pl.UInt8)[self.rows.get_column(name)] != 0

    def estimated_size(self) -> int:
        """Return the approximate size in memory (bytes)."""
        return int(self.rows.estimated_size()) + sum(values.estimated_size() for values in self.values.values())

    def sections(self) -> Iterator[bytes]:
        """Yield the table as Arrow IPC, for a pipe: the rows, then for each field its words, members and ends."""
        for frame in (self.rows, *(part for values in self.values.values() for part in values.parts())):
            buffer = io.BytesIO()
            frame.rechunk().write_ipc(buffer, compat_level=pl.CompatLevel.oldest())
            yield buffer.getvalue()

    @classmethod
    def of_sections(cls, source: Source, parts: Iterable[bytes]) -> ColumnTable:
        """Rebuild the table from `sections`. Raises ValueError if the data does not fit."""
        try:
            rows, *frames = [pl.read_ipc(io.BytesIO(part)) for part in parts]
            names = list(_WORDS[source])
            triples = zip(frames[::3], frames[1::3], frames[2::3], strict=True)
            values = {name: Values.of_parts(*three) for name, three in zip(names, triples, strict=True)}
            if rows.columns != ["id", *_PLAIN[source], *names]:
                raise ValueError("other columns")
        except (pl.exceptions.PolarsError, OSError, ValueError, IndexError) as error:
            raise ValueError("not Arrow IPC sections of columns") from error
        return cls(source, rows, values)


def _table(source: Source, ids: list[int], plain: dict[str, list[Any]], found: dict[str, Gathered]) -> ColumnTable:
    columns = [pl.Series("id", ids, dtype=pl.Int64)]
    columns += [pl.Series(name, plain.get(name, []), dtype=kind) for name, kind in _PLAIN[source].items()]
    values = {name: gathered.values() for name, gathered in found.items()}
    for name, gathered in found.items():
        columns.append(pl.Series(name, gathered.codes, dtype=smallest_of(len(values[name]))))
    return ColumnTable(source, pl.DataFrame(columns), values)


@lru_cache(1 << 14)
def _client(address: str) -> tuple[str, bytes | None]:
    """Return a client's address in normal form, and as bytes (None if it is not an IP address)."""
    text = address_text(address)
    try:
        return text, ipaddress.ip_address(text).packed
    except ValueError:
        return text, None


def _in_network(packed: pl.Series, network: ipaddress.IPv4Network | ipaddress.IPv6Network) -> pl.Series:
    """Return a mask: addresses in the network. Packed addresses of equal length compare as the numbers do."""
    ends = [pl.Series([end.packed], dtype=pl.Binary) for end in (network.network_address, network.broadcast_address)]
    same = packed.bin.size() == network.max_prefixlen // 8
    return (same & (packed >= ends[0]) & (packed <= ends[1])).fill_null(False)


def _at(addresses: pl.Series, address: str, prefix: str) -> pl.Series:
    return (addresses == address) | addresses.str.starts_with(prefix)


def _within(scores: pl.Series, low: int | None, high: int | None) -> pl.Series:
    """Return a mask: scores (hundredths) within the limits; False for a null score."""
    found = scores.is_not_null()
    if low is not None:
        found = found & (scores >= low).fill_null(False)
    return found if high is None else found & (scores <= high).fill_null(False)


def _containing(words: pl.DataFrame, needle: str) -> pl.Series:
    return words.get_column("text").str.contains(needle, literal=True)


def _equal(words: pl.DataFrame, word: str) -> pl.Series:
    return words.get_column("text") == word


def _digests(words: pl.DataFrame, prefix: str) -> pl.Series:
    """Return a mask: digests that begin with these hexadecimal digits."""
    digests = words.get_column("digest")
    found = digests.bin.starts_with(bytes.fromhex(prefix[: len(prefix) // 2 * 2]))
    if len(prefix) % 2 and found.any():
        found = found & digests.bin.encode("hex").str.starts_with(prefix)
    return found
