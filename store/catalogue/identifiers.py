"""A text column of the catalogue that is rarely searched and not in the list: identifiers, held compressed.

Uncompressed they would be a fifth of the catalogue's memory. A search decompresses piece by piece, on every processor.
Imports Polars: only the modules that the catalogue loads in the background may import this one.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate
from typing import Self

import polars as pl

from store.catalogue.arrow import Compression, to_ipc
from store.catalogue.grouped_texts import GroupedTexts, grouped, may_group
from store.catalogue.plain_texts import PlainTexts
from store.catalogue.slices import on_every_processor
from store.catalogue.text import Lineage, Texts

#: Entries of a compressed piece. Smaller ones take longer to read; larger ones are shared out worse.
_PIECE = 1 << 17
#: A last piece of at least as many is compressed when copies are no longer loaded.
_LAST = 1 << 15
_COUNT_BYTES = 8
#: Texts up to this many bytes Polars holds in place, 16 bytes each, of which compression would save little.
_SHORT = 12
#: About the size (bytes) of a compressed piece without its texts.
_FRAMING = 1_000


class Piece:
    """Some entries: compressed, or plain if they are few or short."""

    def __init__(self, count: int, ipc: bytes | None, plain: PlainTexts | None = None) -> None:
        """Take the entries as an Arrow IPC file, or plain."""
        self.count = count
        self._ipc = ipc
        self.plain = plain

    @classmethod
    def of(cls, texts: PlainTexts) -> Piece:
        """Make a piece of entries, and compress it if they are enough and long enough."""
        piece = cls(len(texts), None, texts)
        return piece.compressed() if len(texts) >= _PIECE and piece.compressible else piece

    @classmethod
    def of_packed(cls, packed: bytes) -> Piece:
        """Make a piece of the result of `packed`, which is read only if its texts may be short. Raises ValueError."""
        if len(packed) < _COUNT_BYTES:
            raise ValueError("not a piece of identifiers")
        piece = cls(int.from_bytes(packed[:_COUNT_BYTES], "big"), packed[_COUNT_BYTES:])
        if len(packed) <= _FRAMING + _SHORT * piece.count and _are_short((texts := piece.texts()).texts):
            return cls(len(texts), None, texts)
        return piece

    @property
    def compressible(self) -> bool:
        """Whether the entries are plain, but enough and long enough to be compressed when no more are added."""
        return self.plain is not None and self.count >= min(_LAST, _PIECE) and not _are_short(self.plain.texts)

    def compressed(self) -> Piece:
        """Compress a plain piece."""
        assert self.plain is not None
        return Piece(self.count, _ipc(self.plain, "zstd"))

    def packed(self, compression: Compression) -> bytes:
        """Return the entries: their number and an Arrow IPC file, which is compressed if the piece is."""
        if self._ipc is not None:
            return self.count.to_bytes(_COUNT_BYTES, "big") + self._ipc
        assert self.plain is not None
        return self.count.to_bytes(_COUNT_BYTES, "big") + _ipc(self.plain, compression)

    def texts(self) -> PlainTexts:
        """Return the entries. Raises ValueError if the bytes that they were made of are no piece."""
        texts = self.searchable()
        return texts.plain() if isinstance(texts, GroupedTexts) else texts

    def searchable(self) -> PlainTexts | GroupedTexts:
        """Do `texts`, in groups if they are held so.

        Raises ValueError if the bytes that the entries were made of are no piece.
        """
        if self.plain is not None:
            return self.plain
        assert self._ipc is not None
        try:
            # Of bytes, neither this nor Polars makes a copy.
            frame = pl.read_ipc(io.BytesIO(self._ipc))
            if "group" not in frame.columns:
                return PlainTexts.of(frame.get_column("text"), frame.get_column("folded"))
        except (pl.exceptions.PolarsError, OSError) as error:
            raise ValueError("not a piece of identifiers") from error
        return GroupedTexts(frame.get_column("group"), self.count)

    def contain_among(self, needles: Sequence[str], mask: pl.Series) -> pl.Series:
        """Return a mask of the entries that contain any of the needles, given a mask of the only ones that may."""
        texts = self.searchable()
        if isinstance(texts, GroupedTexts):
            return texts.contain_among(needles, mask)
        return texts.contain_among(needles, mask, 0)


def _ipc(entries: PlainTexts, compression: Compression) -> bytes:
    if compression == "zstd" and not len(entries.odd) and may_group(entries.texts):
        return to_ipc(pl.DataFrame({"group": grouped(entries.texts)}), compression)
    texts, folded = entries.parts(pl.arange(len(entries), dtype=pl.UInt32, eager=True))
    return to_ipc(pl.DataFrame({"text": texts, "folded": folded}), compression)


def _are_short(texts: pl.Series) -> bool:
    return bool((texts.str.len_bytes() <= _SHORT).all())


class Identifiers(Texts):
    """Texts in compressed pieces. Those added last are plain until they are enough for a piece."""

    def __init__(self, pieces: Sequence[Piece], lineage: Lineage | None = None) -> None:
        super().__init__(lineage)
        self.pieces = tuple(pieces)
        self._starts = list(accumulate((piece.count for piece in self.pieces), initial=0))

    @classmethod
    def of(cls, texts: pl.Series, folded: pl.Series) -> Self:
        """Make a column of texts and their searched forms; null for those that are searched in place."""
        return cls([Piece.of(PlainTexts.of(texts, folded))])

    def __len__(self) -> int:
        return self._starts[-1]

    def extend(self, other: Self) -> Self:
        pieces = [piece for piece in self.pieces if piece.count]
        for piece in other.pieces:
            last = pieces[-1].plain if pieces and pieces[-1].count < _PIECE else None
            if last is not None and piece.plain is not None:
                pieces[-1] = Piece.of(last.extend(piece.plain))
            elif piece.count:
                pieces.append(piece)
        return type(self)(pieces, self._lineage)

    def gather(self, codes: pl.Series) -> pl.Series:
        return self._gathered(codes, lambda texts, places: texts.gather(places))

    def opened(self) -> Identifiers:
        """Make a column of the same entries, of which those in small pieces are plain."""
        return Identifiers(
            [each if each.count >= _PIECE else Piece(each.count, None, each.texts()) for each in self.pieces]
        )

    @property
    def loose(self) -> bool:
        """Whether `gathered_up` makes searching much faster or frees much memory."""
        if len(self.pieces) > 2 + 2 * len(self) // _PIECE:
            return True
        return bool(self.pieces) and self.pieces[-1].compressible

    def gathered_up(self) -> Identifiers:
        """Make a column of the same entries in larger pieces, the last of which is compressed if it is not small."""
        found = Identifiers(())
        for piece in self.opened().pieces:
            found = found.extend(Identifiers([piece]))
        return Identifiers([piece.compressed() if piece.compressible else piece for piece in found.pieces])

    def picked(self, codes: pl.Series) -> Identifiers:
        """Make a column of the entries with these codes, which ascend, in as many pieces."""
        found = []
        for start, piece in zip(self._starts, self.pieces, strict=False):
            first, last = (int(codes.search_sorted(code)) for code in (start, start + piece.count))
            if last - first == piece.count:
                found.append(piece)
            else:
                found.append(Piece.of(PlainTexts.of(*piece.texts().parts(codes[first:last] - start))))
        return Identifiers(found)

    def find_among(self, needles: Sequence[str], codes: pl.Series) -> pl.Series:
        return self._gathered(codes, lambda texts, places: texts.find_among(needles, places), pl.Boolean)

    def _gathered(
        self,
        codes: pl.Series,
        read: Callable[[PlainTexts | GroupedTexts, pl.Series], pl.Series],
        kind: type[pl.DataType] = pl.String,
    ) -> pl.Series:
        """Return what `read` returns for the entries of the codes, in their order. Only pieces with codes are read."""
        pieces = pl.Series(self._starts[1:], dtype=pl.UInt32).search_sorted(codes, side="right")
        rows = pl.DataFrame({"code": codes, "piece": pieces}).with_row_index("row")

        def one(group: tuple[int, pl.DataFrame]) -> pl.Series:
            number, part = group
            return read(self.pieces[number].searchable(), part.get_column("code") - self._starts[number])

        groups = [(int(part.get_column("piece")[0]), part) for part in rows.partition_by("piece")] if len(rows) else []
        found = pl.concat([pl.Series([], dtype=kind), *on_every_processor(one, groups)], rechunk=True)
        order = pl.concat([rows.get_column("row").head(0), *(part.get_column("row") for _, part in groups)])
        return found[order.arg_sort()]

    def _scan(self, needles: Sequence[str], start: int) -> pl.Series:
        def one(at: tuple[int, Piece]) -> pl.Series:
            begin, piece = at
            return piece.searchable().contain(needles, max(start - begin, 0), piece.count)

        return self._joined(
            on_every_processor(
                one, [at for at in zip(self._starts, self.pieces, strict=False) if at[0] + at[1].count > start]
            )
        )

    def _narrow(self, needles: Sequence[str], mask: pl.Series) -> pl.Series:
        def one(at: tuple[int, Piece]) -> pl.Series:
            begin, piece = at
            part = mask.slice(begin, piece.count)
            return piece.contain_among(needles, part) if part.any() else part

        return self._joined(on_every_processor(one, list(zip(self._starts, self.pieces, strict=False))))

    @staticmethod
    def _joined(masks: Iterable[pl.Series]) -> pl.Series:
        return pl.concat([pl.Series([], dtype=pl.Boolean), *masks], rechunk=True)
