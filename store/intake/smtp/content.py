"""The content behind DATA: found to its end, dots taken off, every other byte as it came.

The end is CR LF dot CR LF and nothing else: a bare LF or CR around a dot is content, because what takes it for the end
lets a sender hide a second message in the first. Lines may have any length. Source: RFC 5321 (4.5.2).
"""

from __future__ import annotations

_END = b"\r\n.\r\n"


class Content:
    """Takes chunks until the end has come. No more than about `max_size` bytes are held, however much comes."""

    def __init__(self, max_size: int) -> None:
        self._max_size = max_size
        # As if a line end stood before it: a first line that begins with a dot is then like any other.
        self._buffer = bytearray(b"\r\n")
        # Each line of one dot is four bytes here and three in the message.
        self._held = max_size + max_size // 3 + 64
        self.too_large = False

    def feed(self, chunk: bytes) -> bytes | None:
        """None while the end has not come; then the bytes behind it, which are the next commands."""
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
