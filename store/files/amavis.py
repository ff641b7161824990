"""Read quarantine files of amavis: `virus-*`, `banned-*` and `spam-*.gz`, one message per file.

amavis puts its header fields at the top (X-Envelope-From, X-Envelope-To, X-Quarantine-ID, X-Amavis-Alert,
X-Spam-Status); `scanner_headers` reads them. If a site has turned the alert off, the file's name still tells which
engine condemned the message. The bytes of a copy are those of the file, decompressed if amavis compressed it.
"""

from __future__ import annotations

import gzip
import io
import re
import zlib

import msgspec

from store.judging.scanner_headers import HeaderVerdicts
from store.judging.scanner_words import gravest
from store.terms.errors import IntakeError
from store.terms.verdicts import Engine, Status, Verdict

_NAME = re.compile(r"^(virus|banned|spam)-[A-Za-z0-9_+-]{6,}(?:\.gz)?$")
_VERDICTS = {
    "virus": Verdict(Engine.ANTI_VIRUS, Status.INFECTED),
    "banned": Verdict(Engine.CONTENT, Status.BANNED_FILE_NAME),
    "spam": Verdict(Engine.ANTI_SPAM, Status.SPAM),
}
_GZIP_MAGIC = b"\x1f\x8b\x08"


def with_name(found: HeaderVerdicts, file_name: str) -> HeaderVerdicts:
    """Add the verdict that a quarantine file's name implies, if the header condemns nothing."""
    match = _NAME.match(file_name)
    if not match or found.reason is not None:
        return found
    verdict = _VERDICTS[match[1]]
    others = tuple(other for other in found.verdicts if other.engine is not verdict.engine)
    verdicts = (verdict, *others)
    return msgspec.structs.replace(found, verdicts=verdicts, reason=gravest(verdicts))


class Unpacked:
    """Reads a file; decompresses it if its name ends in `.gz` and it begins like gzip data."""

    def __init__(self, stream: io.BufferedReader, file_name: str) -> None:
        packed = file_name.lower().endswith(".gz") and stream.peek(3)[:3] == _GZIP_MAGIC
        self.packed = packed
        self._stream = gzip.GzipFile(fileobj=stream, mode="rb") if packed else stream

    def read(self, size: int, /) -> bytes:
        """Read at most `size` bytes. Raises IntakeError if the compressed data is damaged or truncated."""
        try:
            return self._stream.read(size)
        except (EOFError, zlib.error, gzip.BadGzipFile):
            raise IntakeError("Its compressed data is damaged or cut short: check the file with `gzip -t`.") from None
