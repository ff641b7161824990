"""Frames as Arrow IPC sections, for a pipe or a snapshot, and compaction of text columns.

Imports Polars: only the modules that the catalogue loads in the background may import this one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain, islice

import polars as pl

from store.catalogue.arrow import Compression, of_ipc, to_ipc
from store.catalogue.frame import IDENTIFIERS, SCHEMA, TEXTS, Frame, dictionary, identifiers, senders
from store.catalogue.identifiers import Identifiers, Piece
from store.catalogue.ranking import sorted_places
from store.catalogue.senders import Senders
from store.catalogue.text import Dictionary, Texts
from store.terms.verdicts import Engine, Status

#: The columns and the meaning of the verdict codes. A snapshot made with other ones cannot be used.
MEANING = ["5", *SCHEMA, *(engine.value for engine in Engine), *(status.value for status in Status)]
_RULES = {"id": pl.Int64, "name": pl.String}
#: Begin the names of sections (`store.catalogue.snapshot` knows them too): of rows, and of texts as they are shown,
#: where these differ from their searched forms, which the section before has.
_ROWS, _SHOWN = "rows ", "shown "
_ASCENDING = ("id", "stored_at")
_SECTION = 100_000
_LOOSE = 50_000
#: A column with this many times the texts that are used is rebuilt, in memory and before it is saved: with a lower
#: limit in memory, each start would rebuild what the snapshot holds. The approximate count is off by about 2 %.
_UNUSED = 1.1
_FEW_SECTIONS = 12
_NONE = pl.Series([], dtype=pl.Boolean)


def layout_of(frame: Frame) -> list[str]:
    """Return the names of the sections, in order."""
    return [*_row_parts(frame), "rules", *chain.from_iterable(_names(name, frame.texts[name]) for name in frame.texts)]


def _names(name: str, words: Texts) -> list[str]:
    """Return the names of the sections of a text column."""
    return ([name, f"{_SHOWN}{name}"] if isinstance(words, Dictionary) else [name]) * _count(words)


def _count(words: Texts) -> int:
    """Return the number of sections of a text column."""
    if isinstance(words, Identifiers):
        return len(words.pieces)
    return words.count(_SECTION) if isinstance(words, Senders) else -(-len(words) // _SECTION)


def _row_parts(frame: Frame) -> dict[str, list[str]]:
    """Return the columns of each section of rows: many rows have a section for each column, so that few can be read."""
    return {f"{_ROWS}{name}": [name] for name in SCHEMA} if len(frame) > _SECTION else {_ROWS: list(SCHEMA)}


def sections(frame: Frame, compression: Compression, *, compact: bool) -> Iterator[bytes]:
    """Yield a frame as Arrow IPC: rows, rule names, dictionaries. `compact` leaves out texts that no row uses."""
    rows, used = frame.rows, {}
    for name, words in frame.texts.items():
        used[name] = pl.arange(len(words), dtype=pl.UInt32, eager=True)
        if compact:
            used[name], codes = _renumbered(words, rows.get_column(name))
            rows = rows.with_columns(codes.alias(name))
    for columns in _row_parts(frame).values():
        yield to_ipc(_small(rows.select(columns)), compression)
    rules = set(rows.get_column("rule_id").unique()) if compact else set(frame.rule_names)
    names = {rule: name for rule, name in frame.rule_names.items() if rule in rules}
    yield to_ipc(pl.DataFrame({"id": list(names), "name": list(names.values())}, schema=_RULES), compression)
    for name, words in frame.texts.items():
        if isinstance(words, Identifiers):
            yield from (piece.packed(compression) for piece in words.picked(used[name]).pieces)
            continue
        if isinstance(words, Senders):
            yield from (to_ipc(part, compression) for part in words.sections(used[name], _SECTION))
            continue
        assert isinstance(words, Dictionary)
        for start in range(0, len(words), _SECTION):
            searched, shown = words.columns(used[name].slice(start, _SECTION))
            yield to_ipc(searched, compression)
            yield to_ipc(shown.to_frame(), compression)


def frame_of(layout: Sequence[str], parts: Iterable[bytes], *, left_out: Collection[str] = ()) -> Frame:
    """Rebuild a frame from `layout_of` and `sections`. Raises ValueError if they do not fit together.

    Layout and parts may lack the columns `left_out`, and the texts as they are shown: neither must be used then.
    """
    texts = {name: _no_words(name) for name in TEXTS}
    frames: dict[str, pl.DataFrame] = {}
    columns: dict[str, pl.Series] = {}
    try:
        for name, read in _read(_grouped(zip(layout, parts, strict=True))):
            if isinstance(read, Texts):
                texts[name] = texts[name].extend(read)
            elif name.startswith(_ROWS):
                columns.update((column.name, column) for column in read)
            else:
                frames[name] = read
        count = len(columns["id"])
        columns.update((name, _nothing(name, count)) for name in left_out if name not in columns)
        rules, rows = frames["rules"], pl.DataFrame([columns[name].alias(name) for name in SCHEMA])
        fits = all((rows.get_column(name) < len(words)).all() for name, words in texts.items() if name not in left_out)
        fits = fits and all(words.fits for words in texts.values() if isinstance(words, Senders))
    except (pl.exceptions.PolarsError, OSError, ValueError, KeyError) as error:
        raise ValueError("not Arrow IPC sections of a catalogue") from error
    if rows.schema != pl.Schema(SCHEMA) or rules.schema != pl.Schema(_RULES) or not fits:
        raise ValueError("not the columns of a catalogue")
    return Frame(rows.rechunk(), texts, dict(rules.iter_rows()))


def _small(rows: pl.DataFrame) -> pl.DataFrame:
    """Write ids and times as differences, and numbers in as few bytes as they need: fresh memory is slow to fill."""
    ascending = [pl.col(name).diff().fill_null(pl.col(name)) for name in _ASCENDING if name in rows.columns]
    numbers = rows.with_columns(ascending)
    return pl.DataFrame([column.shrink_dtype() if column.dtype == pl.Int64 else column for column in numbers])


def _whole(column: pl.Series) -> pl.Series:
    """Undo `_small`."""
    column = column.cast(SCHEMA[column.name])
    return column.cum_sum() if column.name in _ASCENDING else column


def _nothing(name: str, count: int) -> pl.Series:
    """Return zeros: memory that nobody writes to or reads takes no time."""
    return pl.Series(name, [0]).cast(SCHEMA[name]).new_from_index(0, count)


def _grouped(named: Iterable[tuple[str, bytes]]) -> Iterator[tuple[str, list[bytes]]]:
    """Put the texts of a section as they are shown to their searched forms."""
    last: tuple[str, list[bytes]] | None = None
    for name, part in named:
        if last is not None and name == f"{_SHOWN}{last[0]}":
            last[1].append(part)
            continue
        if last is not None:
            yield last
        last = name, [part]
    if last is not None:
        yield last


def _read(named: Iterable[tuple[str, list[bytes]]]) -> Iterator[tuple[str, Texts | pl.DataFrame]]:
    """Decode sections; while one is used, threads decode the next ones."""
    source = iter(named)
    first = list(islice(source, _FEW_SECTIONS))
    if len(first) < _FEW_SECTIONS:
        yield from ((name, _decoded(name, parts)) for name, parts in first)
        return
    with ThreadPoolExecutor(2, "sections") as pool:
        ahead: deque[tuple[str, Future[Texts | pl.DataFrame]]] = deque()
        for name, parts in chain(first, source):
            ahead.append((name, pool.submit(_decoded, name, parts)))
            if len(ahead) > 3:
                name, future = ahead.popleft()
                yield name, future.result()
        for name, future in ahead:
            yield name, future.result()


def _decoded(name: str, parts: list[bytes]) -> Texts | pl.DataFrame:
    if name in IDENTIFIERS:
        return Identifiers([Piece.of_packed(part) for part in parts])
    read, *shown = (of_ipc(part) for part in parts)
    if name.startswith(_ROWS):
        return pl.DataFrame(list(map(_whole, read)))
    if name == "from":
        return Senders.of_section(read)
    return Dictionary.of_columns(read, shown[0].get_column("shown") if shown else None) if name in TEXTS else read


def _no_words(name: str) -> Texts:
    if name in IDENTIFIERS:
        return identifiers(())
    return senders(()) if name == "from" else dictionary((), ())


def tight(frame: Frame) -> Frame:
    """Return the frame without columns that are `loose`."""
    for name in frame.texts:
        if loose(frame, name):
            frame = tightened(frame, name)
    return frame


def loose(frame: Frame, name: str) -> bool:
    """Return whether `tightened` would free much: many texts of the column are unused or duplicates."""
    words, codes = frame.texts[name], frame.rows.get_column(name)
    if isinstance(words, Identifiers) and len(words) >= _LOOSE and words.loose:
        return True
    if isinstance(words, Senders):
        return _loose(words, codes) or any(_loose(part, code) for part, code in words.columns())
    return _loose(words, codes)


def _loose(words: Texts, codes: pl.Series) -> bool:
    entries = len(words)
    if entries < _LOOSE:
        return False
    used = codes.n_unique()
    if isinstance(words, Dictionary):
        used = min(used, words.texts.to_frame().select(pl.first().approx_n_unique()).item())
    return entries > _UNUSED * used


def tightened(frame: Frame, name: str) -> Frame:
    """Rebuild one text column without unused and (mostly) without duplicate texts, in freshly allocated memory."""
    words, codes = frame.texts[name], frame.rows.get_column(name)
    if isinstance(words, Identifiers):
        used, codes = _renumbered(words, codes)
        return frame.with_texts(name, words.picked(used).gathered_up(), codes)
    if isinstance(words, Senders):
        return frame.with_texts(name, *_senders_used(words, codes))
    assert isinstance(words, Dictionary)
    return frame.with_texts(name, *_words_used(words, codes))


def _senders_used(words: Senders, codes: pl.Series) -> tuple[Senders, pl.Series]:
    used, codes = _renumbered(words, codes)
    parts, columns = zip(*(_words_used(part, code.gather(used)) for part, code in words.columns()), strict=True)
    most = len(parts[0]) * len(parts[1]) * len(parts[2])
    if most >= 1 << 63:
        return Senders(parts, columns), codes
    # One number an entry: grouping by three columns takes ten times the memory.
    head, local, tail = (column.cast(pl.UInt64) for column in columns)
    entries = (local * len(parts[2]) + tail) * len(parts[0]) + head
    order = entries.arg_sort()
    ordered = entries.gather(order)
    first = (ordered != ordered.shift(1)).fill_null(True)
    places = pl.repeat(0, len(order), dtype=pl.UInt32, eager=True).scatter(order, first.cast(pl.UInt32).cum_sum() - 1)
    kept = order.filter(first)
    return Senders(parts, [column.gather(kept) for column in columns]), places.gather(codes)


def _words_used(words: Dictionary, codes: pl.Series) -> tuple[Dictionary, pl.Series]:
    """Return the texts that these codes use, nearly each once, and the codes renumbered to these."""
    used, codes = _renumbered(words, codes)
    order = sorted_places(words.forms(used))
    used = used.gather(order)
    first = pl.concat([_first_of_equals(words, used, start) for start in range(0, len(used), _SECTION)] or [_NONE])
    places = pl.repeat(0, len(used), dtype=pl.UInt32, eager=True).scatter(order, first.cast(pl.UInt32).cum_sum() - 1)
    used, codes = used.filter(first), places.gather(codes)
    return words.picked(used), codes


def _first_of_equals(words: Dictionary, used: pl.Series, start: int) -> pl.Series:
    """Return a mask for a section of the sorted codes `used`: whether the entry differs from the one before it.

    Works by section (from `start`), because comparing copies the texts.
    """
    before = min(start, 1)
    return words.differ(used.slice(start - before, _SECTION + before)).slice(before)


def _renumbered(words: Texts, codes: pl.Series) -> tuple[pl.Series, pl.Series]:
    """Return the codes that rows use (ascending), and the rows' codes renumbered to these."""
    used = codes.unique().sort()
    if len(used) == len(words):
        return used, codes
    each = pl.arange(len(used), dtype=pl.UInt32, eager=True)
    return used, pl.repeat(0, len(words), dtype=pl.UInt32, eager=True).scatter(used, each).gather(codes)
