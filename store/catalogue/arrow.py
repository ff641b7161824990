"""Frames as Arrow IPC files, in memory, and the chunks of memory that texts are in.

Imports Polars: only the modules that the catalogue loads in the background may import this one.
"""

from __future__ import annotations

import io
from typing import Literal

import polars as pl

Compression = Literal["uncompressed", "zstd"]
#: Chunks of texts that may stay apart.
_CHUNKS = 12


def to_ipc(frame: pl.DataFrame, compression: Compression = "uncompressed") -> bytes:
    """Write a frame. Texts that no row uses are left out."""
    buffer = io.BytesIO()
    # The oldest layout writes only the used texts; the view layout writes whole buffers, including deleted texts.
    frame.rechunk().write_ipc(buffer, compression=compression, compat_level=pl.CompatLevel.oldest())
    return buffer.getvalue()


def of_ipc(data: bytes) -> pl.DataFrame:
    """Read what `to_ipc` wrote. Raises PolarsError or OSError for other bytes."""
    return pl.read_ipc(io.BytesIO(data))


def written_anew(frame: pl.DataFrame) -> pl.DataFrame:
    """Copy a frame to fresh memory: gathered texts keep the buffers of all the texts they were taken from alive."""
    return of_ipc(to_ipc(frame))


def joined(series: pl.Series, other: pl.Series) -> pl.Series:
    """Concatenate two series with little copying.

    Chunks beyond the first `_CHUNKS` are merged until each is at least twice as long as the next.
    """
    chunks = [chunk for chunk in (*series.get_chunks(), *other.get_chunks()) if len(chunk)]
    if not chunks:
        return series
    while len(chunks) > _CHUNKS and len(chunks[-2]) < 2 * len(chunks[-1]):
        last = chunks.pop()
        chunks[-1] = pl.concat([chunks[-1], last], rechunk=True)
    return pl.concat(chunks, rechunk=False)
