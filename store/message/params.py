"""Parse Content-Type and Content-Disposition: value and parameters (RFC 2045, 2231), as found in real mail.

Names may be quoted or not, in encoded-words, percent-encoded with a charset, in numbered pieces, in raw 8-bit, and
repeated with different contents. The first counts; `names` returns all, to report a difference.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from store.message.charset import decode, guess
from store.message.headers import decode_field

_VALUE_LIMIT = 16 * 1024
_COUNT_LIMIT = 200
_PARAMETER = re.compile(r'[;\s]*([^\s=;"]{1,100})\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^;]*))')
_ESCAPE = re.compile(r"\\(.)")
_SECTION = re.compile(r"(.+?)(?:\*(\d{1,4}))?(\*)?\Z")
_PERCENT = re.compile(rb"%([0-9A-Fa-f]{2})")
_TYPE = re.compile(r"[a-z0-9!#$&^_.+-]{1,100}/[a-z0-9!#$&^_.+-]{1,100}\Z")
_WINDOWS_PATH = re.compile(r"[A-Za-z]:\\|\\\\")


class Parameters(NamedTuple):
    """A header's main value in lower case and its parameters (name, decoded value), the RFC 2231 ones first.

    A boundary is kept undecoded (one character per byte).
    """

    value: str
    items: list[tuple[str, str]]

    def get(self, name: str) -> str:
        """Return the first parameter of this name; "" if there is none."""
        for key, value in self.items:
            if key == name:
                return value
        return ""

    def names(self, name: str) -> list[str]:
        """Return each different value of this parameter, in order."""
        return list(dict.fromkeys(value for key, value in self.items if key == name))


EMPTY = Parameters("", [])


def parse_parameters(raw: bytes) -> Parameters:
    """Parse a Content-Type or Content-Disposition value. Cannot raise."""
    if not raw:
        return EMPTY
    text = raw[:_VALUE_LIMIT].decode("latin-1")
    value, _, rest = text.partition(";")
    value = value.strip().lower()
    if not rest:
        return Parameters(value, [])
    plain: list[tuple[str, str]] = []
    extended: list[tuple[str, str]] = []
    pieces: dict[str, dict[int, tuple[str, bool]]] = {}
    for count, match in enumerate(_PARAMETER.finditer(rest)):
        if count == _COUNT_LIMIT:
            break
        key, quoted, bare = match.groups()
        content = _unquote(quoted) if quoted is not None else bare.strip()
        key = key.lower()
        if "*" not in key:
            plain.append((key, _plain(key, content)))
            continue
        section = _SECTION.match(key)
        if section is None:
            continue
        name, number, star = section.groups()
        if number is None:
            extended.append((name, _extended(content.encode("latin-1"))))
        elif int(number) not in pieces.setdefault(name, {}):
            pieces[name][int(number)] = (content, bool(star))
    for name, sections in pieces.items():
        extended.append((name, _joined(sections)))
    return Parameters(value, extended + plain)


def _unquote(text: str) -> str:
    # Backslashes in an unescaped Windows path are literal.
    return text if "\\" not in text or _WINDOWS_PATH.match(text) else _ESCAPE.sub(r"\1", text)


def _plain(key: str, content: str) -> str:
    if key == "boundary":
        return content
    return decode_field(content.encode("latin-1"), _VALUE_LIMIT)


def _extended(content: bytes) -> str:
    charset, quote, rest = content.partition(b"'")
    if quote and b"'" in rest:
        return decode(_unpercent(rest.partition(b"'")[2]), charset.decode("latin-1"))
    return guess(_unpercent(content))


def _unpercent(content: bytes) -> bytes:
    return _PERCENT.sub(lambda match: bytes((int(match[1], 16),)), content)


def _joined(sections: dict[int, tuple[str, bool]]) -> str:
    charset = ""
    out = bytearray()
    for position, number in enumerate(sorted(sections)):
        content, extended = sections[number]
        data = content.encode("latin-1")
        if extended and position == 0 and data.count(b"'") >= 2:
            head, _, rest = data.partition(b"'")
            charset = head.decode("latin-1")
            data = rest.partition(b"'")[2]
        out += _unpercent(data) if extended else data
    text = decode(bytes(out), charset)
    return decode_field(text.encode("utf-8", "replace"), _VALUE_LIMIT) if "=?" in text else text


def with_ending(name: str, limit: int) -> str:
    """Shorten a file name to at most `limit` characters, in its middle: its ending says what opens it."""
    return name if len(name) <= limit else f"{name[: limit // 2]}…{name[limit // 2 + 1 - limit :]}"


def media_type(parameters: Parameters, default: str) -> str:
    """Return a Content-Type's type/subtype: `default` if it is absent, text/plain if it is malformed."""
    value = parameters.value
    if not value:
        return default
    return value if _TYPE.match(value) else "text/plain"
