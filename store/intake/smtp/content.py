"""The content after DATA: find its end, and undo dot-stuffing; all other bytes stay as they are.

Only CR LF dot CR LF ends the content. A bare LF or CR next to a dot is content: a server that takes it for the end lets
senders smuggle a second message inside the first. Lines may have any length. Source: RFC 5321 (4.5.2).
"""

from __future__ import annotations

_END = b"\r\n.\r\n"


class Content:
    """Collects chunks until the end. Keeps at most about `max_size` bytes, however many arrive."""

    def __init__(self, max_size: int) -> None:
        self._max_size = max_size
        # Starts with a line end, so that a first line that begins with a dot needs no special case.
        self._buffer = bytearray(b"\r\n")
        # A line of a single dot takes four bytes on the wire and three in the message.
        self._held = max_size + max_size // 3 + 64
        self.too_large = False

    def feed(self, chunk: bytes) -> bytes | None:
        """Add a chunk. Return None until the end has come, then the bytes after it, which are the next commands."""
        start = max(0, len(self._buffer) - len(_END) + 1)
        self._buffer += chunk
        end = self._buffer.find(_END, start)
        if end >= 0:
            rest = bytes(self._buffer[end + len(_END) :])
            del self._buffer[end + 2 :]
            return rest
        if len(self._buffer) > self._held:
            self.too_large = True
            del self._buffer[: -len(_END)]
        return None

    def message(self) -> bytes:
        """Return the message, once it is complete; its beginning is lost if `too_large` is true."""
        content = bytes(self._buffer).replace(b"\r\n.", b"\r\n")[2:]
        self.too_large = self.too_large or len(content) > self._max_size
        return content
