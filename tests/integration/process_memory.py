"""Search what a process holds in memory or has written for keys: any 8-byte word of a key counts.

A key is searched as its four words of 8 bytes, at every offset. A freed, half overwritten buffer is therefore still
found, and a random word of 8 bytes occurs in a gigabyte by chance once in 10^10 times.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path

_MAP = re.compile(r"([0-9a-f]+)-([0-9a-f]+) (r\S{3}) \S+ \S+ \S+\s*(.*)")
_WORD = 8
_CHUNK = 64 << 20
_PAGE = 4096
#: Up to this many words, separate searches are faster than a lookup at each offset.
_FEW = 200


def children_of(pid: int) -> list[int]:
    """Return the processes below `pid`, itself first."""
    found = [pid]
    for parent in found:
        for path in Path(f"/proc/{parent}/task").glob("*/children"):
            found += [int(child) for child in path.read_text().split()]
    return found


def memory_of(pid: int) -> Iterator[bytes]:
    """Read every readable range of the process's memory that is in use and not a plain copy of a file."""
    with Path(f"/proc/{pid}/maps").open() as maps, Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        for line in maps:
            match = _MAP.match(line)
            if not match or match[4] in ("[vvar]", "[vsyscall]", "[vvar_vclock]"):
                continue
            begin, end = int(match[1], 16), int(match[2], 16)
            if "w" not in match[3] and match[4].startswith("/"):
                continue
            for start in range(begin, end, _CHUNK):
                try:
                    memory.seek(start)
                    yield memory.read(min(_CHUNK + 64, end - start))
                except (OSError, OverflowError):
                    continue


def keys_in(pieces: Iterable[bytes], keys: Mapping[str, bytes]) -> tuple[set[str], int]:
    """Return the names of `keys` with any 8-byte word in `pieces`, and how many bytes were searched."""
    words = {key[at : at + _WORD]: name for name, key in keys.items() for at in range(0, len(key), _WORD)}
    search = _few_in if len(words) <= _FEW else _many_in
    found, size = set[bytes](), 0
    for piece in pieces:
        size += len(piece)
        for span in spans(piece):
            found |= search(span, words.keys())
    return {words[word] for word in found}, size


def spans(piece: bytes) -> Iterator[bytes]:
    """Yield `piece` without its pages of zeros, but keep the margin that a word can reach into."""
    begin = None
    for at in range(0, len(piece) + _PAGE, _PAGE):
        blank = not piece[at : at + _PAGE].strip(b"\0")
        if blank and begin is not None:
            yield piece[max(0, begin - _WORD) : at + _WORD]
            begin = None
        elif not blank and begin is None:
            begin = at


def _few_in(piece: bytes, words: Collection[bytes]) -> set[bytes]:
    """Return the words found, searching each separately."""
    return {word for word in words if word in piece}


def _many_in(piece: bytes, words: Collection[bytes]) -> set[bytes]:
    """Return the words found, looking up each offset among all words."""
    numbers = {int.from_bytes(word, sys.byteorder): word for word in words}
    wanted, found, view = frozenset(numbers), set[int](), memoryview(piece)
    for offset in range(_WORD):
        end = offset + (len(piece) - offset) // _WORD * _WORD
        found |= wanted.intersection(view[offset:end].cast("Q"))
    return {numbers[number] for number in found}
