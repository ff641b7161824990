"""The milter wire format, version 6: parse the MTA's packets, and build the filter's replies.

Functions over bytes, without input or output. A packet is a length (32 bits, big-endian, of everything after it), a
command letter and data. Source: Sendmail's libmilter (`mfdef.h`) and Postfix's MILTER_README.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from enum import IntEnum, IntFlag
from typing import NamedTuple

from store.terms.errors import MailholdError

#: Commands of the MTA.
NEGOTIATE, CONNECT, HELO, MAIL, RECIPIENT, DATA = b"O", b"C", b"H", b"M", b"R", b"T"
HEADER, END_OF_HEADER, BODY, END_OF_MESSAGE = b"L", b"N", b"B", b"E"
ABORT, QUIT, NEW_CONNECTION, MACROS, UNKNOWN = b"A", b"Q", b"K", b"D", b"U"

#: Replies of the filter that carry no data.
CONTINUE, DISCARD, TEMPFAIL, PROGRESS = (struct.pack(">I", 1) + letter for letter in (b"c", b"d", b"t", b"p"))

VERSION = 6
#: Max bytes of a chunk of a new body.
CHUNK = 65535
#: Max length of a header field or a part of a body, in bytes: Postfix sends headers whole, up to `header_size_limit`.
LARGEST_PACKET = 16 << 20
#: Max length of any other command (an address, the client's name, a list of macros), in bytes.
LARGEST_COMMAND = 64 << 10

#: Max length of the commands that carry content.
_LARGEST = dict.fromkeys((HEADER, BODY, END_OF_MESSAGE), LARGEST_PACKET)
_LENGTH = struct.Struct(">I")
#: A packet's length and command.
_HEAD = struct.Struct(">Ic")
_NEGOTIATION = struct.Struct(">III")


class Actions(IntFlag):
    """What a filter may do to a message, or (`CHOOSE_MACROS`) while it negotiates."""

    ADD_HEADERS = 0x01
    CHANGE_BODY = 0x02
    CHANGE_HEADERS = 0x10
    CHOOSE_MACROS = 0x100


class Stage(IntEnum):
    """The stages for which a filter can choose the macros that it is told."""

    CONNECT = 0
    HELO = 1
    MAIL = 2
    RECIPIENT = 3
    DATA = 4
    END_OF_MESSAGE = 5
    END_OF_HEADER = 6


class Protocol(IntFlag):
    """Commands that an MTA may leave out, and replies that it need not wait for."""

    NO_HELO = 0x02
    NO_REPLY_HEADER = 0x80
    NO_UNKNOWN = 0x100
    NO_DATA = 0x200
    NO_END_OF_HEADER = 0x40
    SKIP = 0x400
    NO_REPLY_CONNECT = 0x1000
    NO_REPLY_HELO = 0x2000
    NO_REPLY_MAIL = 0x4000
    NO_REPLY_RECIPIENT = 0x8000
    NO_REPLY_END_OF_HEADER = 0x40000
    NO_REPLY_BODY = 0x80000
    LEADING_SPACE = 0x100000


class WireError(MailholdError):
    """The received bytes are not the milter protocol."""


class Negotiation(NamedTuple):
    """An MTA's offer."""

    version: int
    actions: Actions
    protocol: Protocol


class Packets:
    """Splits a stream of bytes into packets, one per call; the rest stays buffered.

    Packets of macros without a macro are skipped: Postfix sends one before each header field.
    """

    def __init__(self) -> None:
        #: The bytes being split, and how far they are.
        self._data, self._start = b"", 0
        #: What was received after them, and its size.
        self._later: list[bytes] = []
        self._later_size = 0

    def __len__(self) -> int:
        """Return the number of buffered bytes."""
        return len(self._data) - self._start + self._later_size

    def add(self, data: bytes) -> None:
        """Add received bytes."""
        if self._later or self._start < len(self._data):
            self._later.append(data)
            self._later_size += len(data)
        else:
            self._data, self._start = data, 0

    def next(self) -> tuple[bytes, bytes] | None:
        """Return the next packet as (command, data); None until it is complete. Raises WireError."""
        data, start = self._data, self._start
        size = len(data)
        end = content = start + _HEAD.size
        while content <= size:
            length, command = _HEAD.unpack_from(data, start)
            if not 1 <= length <= LARGEST_COMMAND and not 1 <= length <= _LARGEST.get(command, 0):
                raise WireError(f"A milter packet of {length} bytes was announced; this is not a milter client.")
            end = content - 1 + length
            if end > size:
                break
            self._start = start = end
            if length > 2 or command != MACROS:
                return command, data[content:end]
            end = content = start + _HEAD.size
        if not self._later or len(self) < end - start:
            return None
        # Joined only once the packet is complete: a large one comes in hundreds of pieces.
        self._data, self._start = b"".join((data[start:], *self._later)), 0
        self._later.clear()
        self._later_size = 0
        return self.next()


def packet(letter: bytes, data: bytes = b"") -> bytes:
    """Build a packet."""
    return _LENGTH.pack(1 + len(data)) + letter + data


def strings(data: bytes) -> list[bytes]:
    """Split NUL-terminated strings: `b"a\\0b\\0"` -> `[b"a", b"b"]`."""
    return data.removesuffix(b"\0").split(b"\0") if data else []


def read_negotiation(data: bytes) -> Negotiation:
    """Parse an MTA's offer. Raises WireError."""
    if len(data) < _NEGOTIATION.size:
        raise WireError("The milter client's greeting is too short.")
    version, actions, protocol = _NEGOTIATION.unpack_from(data)
    return Negotiation(version, Actions(actions), Protocol(protocol))


def negotiate(offer: Negotiation, actions: Actions, protocol: Protocol, macros: Mapping[Stage, str]) -> bytes:
    """Build the answer: the wanted part of the offer, and, if the MTA lets filters choose, the `macros` of each
    stage, separated by spaces.
    """
    agreed = actions & offer.actions
    wanted = (min(offer.version, VERSION), int(agreed), int(protocol & offer.protocol))
    chosen = macros.items() if Actions.CHOOSE_MACROS in agreed else ()
    lists = [_LENGTH.pack(stage) + names.encode("ascii") + b"\0" for stage, names in chosen]
    return packet(NEGOTIATE, b"".join((_NEGOTIATION.pack(*wanted), *lists)))


def read_macros(data: bytes, wanted: Mapping[bytes, str]) -> dict[str, str]:
    """Parse a macro packet: the values of the `wanted` macros (by name without braces), by the texts of `wanted`."""
    words = strings(data[1:])
    found = {}
    for name, value in zip(words[::2], words[1::2], strict=False):
        known = wanted.get(name.removeprefix(b"{").removesuffix(b"}"))
        if known is not None:
            found[known] = value.decode("utf-8", "surrogateescape")
    return found


def reply(code: int, enhanced: str, text: str) -> bytes:
    """Build the filter's own SMTP reply, such as `554 5.7.1 text`: one line of printable ASCII."""
    line = "".join(c if " " <= c <= "~" else "?" for c in text).replace("%", "%%")[:400]
    return packet(b"y", f"{code} {enhanced} {line}".encode("ascii") + b"\0")


def add_header(name: str, value: str) -> bytes:
    """Add a header field at the end. `value` has no leading space; its folded lines are separated by LF."""
    return packet(b"h", name.encode("ascii") + b"\0 " + value.encode("utf-8", "surrogateescape") + b"\0")


def delete_header(name: str, index: int) -> bytes:
    """Delete occurrence `index` (from 1) of the header field `name`."""
    return packet(b"m", _LENGTH.pack(index) + name.encode("ascii") + b"\0\0")


def replace_body(body: bytes) -> Iterator[bytes]:
    """Yield the packets that replace the message's body by `body`."""
    for start in range(0, max(len(body), 1), CHUNK):
        yield packet(b"b", body[start : start + CHUNK])
