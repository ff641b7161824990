"""Search files for words and keys in any encoding: plain, hex, base64, UTF-16, zstd."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from store.helpers.zstd import ZstdDecompressor, ZstdError

#: Shorter words occur in megabytes of random bytes by chance; words of 8 bytes once in 10^13 positions.
WORD = 8

_PRINTABLE = re.compile(rb"[\x20-\x7e]{8,}")
_WORD = re.compile(rb"[A-Za-z0-9]{8,}")
_UTF16 = re.compile(rb"(?:[\x20-\x7e]\x00){8,}|(?:\x00[\x20-\x7e]){8,}")
_HEX = re.compile(rb"(?:[0-9a-fA-F]{2}){8,}")
_BASE64 = re.compile(rb"[A-Za-z0-9+/_-]{11,}")
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_LIMIT = 64 << 20


def words_of(texts: Iterable[bytes]) -> set[bytes]:
    """Return the words of `texts` that are long enough to search for."""
    return {word for text in texts for word in _WORD.findall(text)}


def written_below(*folders: Path) -> list[Path]:
    """Yield every file below `folders`."""
    return sorted(path for folder in folders for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


def views(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield `data` itself and everything that can be decoded from it, each with the name of its encoding."""
    yield "plain", data
    for run in _UTF16.findall(data):
        yield "UTF-16", run.replace(b"\x00", b"")
    for run in _HEX.findall(data):
        yield "hex", bytes.fromhex(run.decode())
        yield "hex", bytes.fromhex(b"".join([b"0", run[:-1]]).decode())
    for run in _BASE64.findall(data):
        for offset in range(4):
            piece = run[offset:]
            piece = piece[:-1] if len(piece) % 4 == 1 else piece
            yield "base64", base64.b64decode(piece + b"=" * (-len(piece) % 4), altchars=b"-_")
    start = data.find(_ZSTD_MAGIC)
    while start >= 0:
        try:
            yield "zstd", ZstdDecompressor().decompress(data[start : start + _LIMIT])
        except ZstdError:
            pass
        start = data.find(_ZSTD_MAGIC, start + 1)


def words_in(data: bytes, words: set[bytes]) -> dict[bytes, str]:
    """Return which of `words` are in `data`, and in which encoding."""
    by_start: dict[bytes, list[bytes]] = {}
    for word in words:
        by_start.setdefault(word[:WORD], []).append(word)
    found: dict[bytes, str] = {}
    for form, view in views(data):
        for run in _PRINTABLE.findall(view):
            for position in range(len(run) - WORD + 1):
                for word in by_start.get(run[position : position + WORD], ()):
                    if run.startswith(word, position):
                        found.setdefault(word, form)
    return found


def keys_in(data: bytes, keys: dict[str, bytes]) -> dict[str, str]:
    """Return which of the named `keys` are in `data`, and in which encoding."""
    return {name: form for form, view in views(data) for name, key in keys.items() if key in view}
