"""Safe file names, made from names that a message claims.

The result is one path component: no separator, no control, bidi or invisible character, no leading dot or dash, no
reserved name, at most `LIMIT` bytes of UTF-8. It depends only on the input.
"""

from __future__ import annotations

import re
import unicodedata

#: The longest name in bytes of UTF-8. Leaves room below the usual 255 for a prefix or a counter.
LIMIT = 150
_EXTENSION_LIMIT = 16
_INPUT_LIMIT = 4096

_PUNCTUATION = frozenset("-_.+()[]@=,~")
_CATEGORIES = frozenset(("Lu", "Ll", "Lt", "Lm", "Lo", "Nd", "Nl", "No"))
_MARKS = frozenset(("Mn", "Mc"))
_MARKS_IN_A_ROW = 3
_INVISIBLE_LETTERS = frozenset("\u115f\u1160\u3164\uffa0")
_REPEATS = re.compile(r"_{2,}")
_RESERVED = re.compile(r"(?i)(?:con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³]|conin\$|conout\$)(?:\.|$)")


def safe_filename(name: str, fallback: str) -> str:
    """Return a safe path component for a claimed file name; `fallback` (trusted) if nothing of the name remains.

    Of a path, with slashes in either direction, only the last component counts. Characters other than letters, digits
    and plain punctuation become one underscore; the extension survives the length limit. Never raises.
    """
    last = name[-_INPUT_LIMIT:].replace("\\", "/").rstrip("/ \0").rsplit("/", 1)[-1]
    cleaned = _REPEATS.sub("_", "".join(_characters(last))).strip("_. ").lstrip("-~")
    if not any(character.isalnum() for character in cleaned):
        return fallback
    cleaned = _shorten(unicodedata.normalize("NFC", cleaned))
    return f"_{cleaned}" if _RESERVED.match(cleaned) else cleaned


def _characters(text: str) -> list[str]:
    kept: list[str] = []
    marks = 0
    for character in text:
        if character in _PUNCTUATION:
            kept.append(character)
            marks = 0
            continue
        category = unicodedata.category(character)
        if category in _CATEGORIES and character not in _INVISIBLE_LETTERS:
            kept.append(character)
            marks = 0
        elif category in _MARKS and kept and kept[-1] != "_" and marks < _MARKS_IN_A_ROW:
            kept.append(character)
            marks += 1
        else:
            kept.append("_")
            marks = 0
    return kept


def _shorten(name: str) -> str:
    if len(name.encode()) <= LIMIT:
        return name
    stem, dot, extension = name.rpartition(".")
    if not dot or not stem or len(extension.encode()) > _EXTENSION_LIMIT:
        stem, dot, extension = name, "", ""
    room = LIMIT - len((dot + extension).encode())
    return stem.encode()[:room].decode(errors="ignore").rstrip("_. ") + dot + extension
