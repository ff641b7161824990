"""A message as DATA carries it: line ends become CRLF, the last line gets one, and dots are stuffed."""

from __future__ import annotations

import re

_SMUGGLING = (
    "The message contains CR, dot, CR, which some servers take for the end of the message. Save it to a file instead."
)
# A CR that no LF follows, or a line that begins with a dot. `re` finds the next CR several times faster than `bytes`
# finds more than one byte.
_TO_CHANGE = re.compile(rb"\r(?!\n(?:[^.]|\Z))")


def wire_form(message: bytes) -> bytes:
    """Convert `message` to its form in DATA, with the final dot.

    Raises ValueError for CR, dot, CR, which some servers take for the end of the message, and the following lines for
    commands.
    """
    if (
        message.endswith(b"\r\n")
        and not message.startswith(b".")
        and _TO_CHANGE.search(message) is None
        and message.count(b"\n") == message.count(b"\r")
    ):
        return message + b".\r\n"
    if message.count(b"\n") != message.count(b"\r\n"):
        message = message.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    if not message.endswith(b"\r\n"):
        message += b"\r\n"
    if b"\r.\r" in message:
        raise ValueError(_SMUGGLING)
    if message.startswith(b"."):
        message = b"." + message
    return message.replace(b"\r\n.", b"\r\n..") + b".\r\n"
