"""The attachments of the demo's messages: kinds of files with plausible names. Each file is encoded once and reused."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from random import Random

from tui.demo import files
from tui.demo.mime import Part, attachment_part, base64_lines
from tui.demo.texts.reading import Table, read

_VARIANTS = 3


class Kind(Table, frozen=True):
    """A kind of file: declared MIME type, least and greatest size in bytes, and file names."""

    content_type: str
    sizes: tuple[int, int]
    names: tuple[str, ...]


class _Attachments(Table, frozen=True):
    films: tuple[str, ...]
    kind: dict[str, Kind]


@cache
def attachments() -> _Attachments:
    """Load the kinds of attachments by name, and the names of films."""
    return read("attachments.toml", _Attachments)


#: Per kind, the function that makes a file of about the given size (bytes).
MAKERS: dict[str, Callable[[Random, int], bytes]] = {
    "pdf": files.pdf,
    "word": files.word,
    "macros": partial(files.word, macros=True),
    "sheet": files.sheet,
    "ole": files.ole,
    "png": files.png,
    "jpeg": files.jpeg,
    "gif": files.gif,
    "zip": files.archive,
    "locked-zip": files.encrypted_archive,
    "broken-zip": files.broken_archive,
    "7z": files.seven_zip,
    "rar": files.rar,
    "exe": files.executable,
    "hidden-exe": files.executable,
    "disguised-exe": files.executable,
    "broken-exe": files.broken_executable,
    "iso": files.iso,
    "js": files.script,
    "vbs": files.script,
    "lnk": files.shortcut,
    "rtf": files.rtf,
    "html": files.page,
    "ics": files.calendar,
    "csv": files.table,
    "mp4": files.video,
}


class Files:
    """Encoded files, each made when first needed. `rng` makes all choices; sizes are divided by `shrink`."""

    def __init__(self, rng: Random, shrink: float = 1) -> None:
        self._shrink = shrink
        self._rng = rng
        self._made: dict[tuple[str, int], bytes] = {}
        self._large: dict[int, bytes] = {}

    def part(self, kind: str, rng: Random, charset: str) -> tuple[Part, str]:
        """Make an attachment of a kind; return also its name."""
        entry = attachments().kind[kind]
        name = rng.choice(entry.names).replace("{n}", str(rng.randrange(1_000, 99_999)))
        key = (kind, rng.randrange(_VARIANTS))
        encoded = self._made.get(key)
        if encoded is None:
            size = int(self._rng.randrange(*entry.sizes) / self._shrink) + 1
            encoded = self._made[key] = base64_lines(MAKERS[kind](self._rng, size))
        return attachment_part(name, entry.content_type, encoded, charset), name

    def large(self, megabytes: int, rng: Random) -> tuple[Part, str]:
        """Make a film of `megabytes` MB (a little more once encoded); return also its name."""
        encoded = self._large.get(megabytes)
        if encoded is None:
            encoded = self._large[megabytes] = base64_lines(files.video(self._rng, megabytes * 750_000))
        name = rng.choice(attachments().films).replace("{n}", str(rng.randrange(1, 40)))
        return attachment_part(name, "video/mp4", encoded, "utf-8"), name
