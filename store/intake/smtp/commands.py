"""Parse the arguments of SMTP commands, and build replies.

An address is the text between the angle brackets, unchanged: it is not parsed, decoded or rewritten, so it is stored
and sent on as received. Sources: RFC 5321 (4.1.1, 4.1.2, 4.2), 1870, 6152, 6531, and Postfix's XFORWARD_README; for DSN
parameters see `store.terms.dsn`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from store.terms.dsn import BadDsn, RecipientDsn, read_parameter

#: Max bytes of an address (RFC 5321 requires 256).
MAX_ADDRESS = 1000
_PATH = re.compile(rb'<((?:"(?:\\[^\r\n]|[^"\\\r\n])*"|[^"<>\r\n])*)>(?: +(.*))?$', re.DOTALL)
_ROUTE = re.compile(rb"@[^:<> ]+:")
_BLANK_OR_CONTROL = re.compile(rb"[\x00-\x20\x7f]")
_QUOTED = re.compile(rb'"(?:\\[\x20-\x7e\x80-\xff]|[\x20!#-\[\]-~\x80-\xff])*"')
_XTEXT = re.compile(rb"\+([0-9A-F]{2})")
_UNKNOWN = frozenset((b"[UNAVAILABLE]", b"[TEMPUNAVAIL]"))
#: The known attributes of XFORWARD, in the order sent.
XFORWARD = ("NAME", "ADDR", "PORT", "PROTO", "HELO", "IDENT", "SOURCE")


class BadArgument(Exception):
    """The argument of a command is refused; `reply` is the reply for the client."""

    def __init__(self, code: int, enhanced: str, text: str) -> None:
        super().__init__(text)
        self.reply = reply(code, enhanced, text)


@dataclass(frozen=True, slots=True)
class Mail:
    """A MAIL command: the sender ("" = the null sender), the declared size in bytes, and other declared options.

    `ret` and `envid` are as in `store.terms.dsn.Dsn`.
    """

    sender: str
    size: int = 0
    eight_bit: bool = False
    utf8: bool = False
    ret: str = ""
    envid: str = ""


def reply(code: int, enhanced: str, text: str) -> bytes:
    """Build a one-line reply. Non-ASCII and control characters become `?`, so that outside text cannot start a second
    line.
    """
    clean = "".join(char if " " <= char <= "~" else "?" for char in text)[:400]
    return f"{code} {f'{enhanced} ' if enhanced else ''}{clean}\r\n".encode("ascii")


def parse_mail(argument: bytes, *, max_size: int) -> Mail:
    """Parse the argument of MAIL. Raises BadArgument, also for a declared size above `max_size`."""
    address, options = _path(argument, b"FROM:", "MAIL FROM:<address>")
    size, eight_bit, utf8 = 0, False, False
    asked: dict[str, str] = {}
    for option in options:
        name, _, value = option.upper().partition(b"=")
        if name in (b"RET", b"ENVID"):
            asked.update(_asked(option, asked))
        elif name == b"SIZE" and value.isdigit() and len(value) <= 20:
            size = int(value)
        elif name == b"BODY" and value in (b"7BIT", b"8BITMIME"):
            eight_bit = value == b"8BITMIME"
        elif option.upper() == b"SMTPUTF8":
            utf8 = True
        else:
            raise BadArgument(555, "5.5.4", "Unknown parameter of MAIL")
    if size > max_size:
        raise BadArgument(552, "5.3.4", f"The message is larger than {max_size} bytes, the limit here")
    return Mail(text(address), size, eight_bit, utf8, **asked)


def parse_recipient(argument: bytes) -> RecipientDsn:
    """Parse the argument of RCPT: the address, and its DSN request. Raises BadArgument."""
    address, options = _path(argument, b"TO:", "RCPT TO:<address>")
    asked: dict[str, str] = {}
    for option in options:
        if option.partition(b"=")[0].upper() not in (b"NOTIFY", b"ORCPT"):
            raise BadArgument(555, "5.5.4", "Unknown parameter of RCPT")
        asked.update(_asked(option, asked))
    if not address:
        raise BadArgument(501, "5.1.3", "The recipient is empty")
    return RecipientDsn(text(address), **asked)


def _asked(option: bytes, before: Mapping[str, str]) -> Mapping[str, str]:
    """Parse a DSN parameter, unless it was given `before`. Raises BadArgument."""
    name, _, value = option.partition(b"=")
    try:
        found = read_parameter(name.upper(), value)
    except BadDsn as error:
        raise BadArgument(501, "5.5.4", str(error)) from None
    if found.keys() & before.keys():
        raise BadArgument(501, "5.5.4", f"{name.decode().upper()} is given twice")
    return found


def parse_xforward(argument: bytes) -> dict[str, str]:
    """Parse XFORWARD's attributes, by name in upper case; "" if the client does not know one. Raises BadArgument."""
    found = {}
    for word in argument.split():
        name, equals, value = word.partition(b"=")
        if not equals:
            raise BadArgument(501, "5.5.4", "Syntax: XFORWARD attribute=value...")
        key = text(name).upper()
        if key not in XFORWARD:
            raise BadArgument(501, "5.5.4", "Unknown attribute of XFORWARD")
        if value.upper() in _UNKNOWN:
            value = b""
        value = _XTEXT.sub(lambda match: bytes([int(match[1], 16)]), value)
        if key == "ADDR" and value[:5].upper() == b"IPV6:":
            value = value[5:]
        found[key] = text(value)
    return found


def xtext(value: str) -> bytes:
    """Encode a value for XFORWARD: RFC 1891's xtext, or `[UNAVAILABLE]` if it is empty."""
    if not value:
        return b"[UNAVAILABLE]"
    return b"".join(
        bytes((byte,)) if 0x21 <= byte <= 0x7E and byte not in b"+=" else b"+%02X" % byte
        for byte in value.encode("utf-8", "surrogateescape")
    )


def text(data: bytes) -> str:
    """Decode bytes of a command to text that encodes back to the same bytes."""
    return data.decode("utf-8", "surrogateescape")


def _path(argument: bytes, keyword: bytes, syntax: str) -> tuple[bytes, list[bytes]]:
    """Split an argument into the address between its brackets, without a source route, and the parameters."""
    match = _PATH.match(argument[len(keyword) :].strip(b" ")) if argument[: len(keyword)].upper() == keyword else None
    if match is None:
        raise BadArgument(501, "5.5.4", f"Syntax: {syntax}")
    address = match[1]
    route = _ROUTE.match(address)
    if route:
        address = address[route.end() :]
    if len(address) > MAX_ADDRESS or _BLANK_OR_CONTROL.search(_QUOTED.sub(b"", address)):
        raise BadArgument(553, "5.1.3", "The address is not valid")
    return address, (match[2] or b"").split()
