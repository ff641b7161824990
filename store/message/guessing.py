"""Decode text whose charset is missing or plainly wrong, by a guess that is reported. Cannot raise.

For the child process only: the guessing library takes 15 ms to load and up to 10 ms per text. It gets a sample of the
parts that are not ASCII, and chooses among the charsets used in mail.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from store.message.charset import codec_of, decode, decode_by, replaced_seldom, utf8_of

#: Max bytes in the sample for the guess.
SAMPLE_LIMIT = 8192
#: The codecs to choose from; among equally good ones, the first wins.
_CANDIDATES = (
    "cp1252", "cp1251", "koi8_r", "gb18030", "big5", "cp932", "euc_jp", "cp949", "cp1250", "cp1254", "cp1253", "cp1255",
    "cp1256", "cp1257", "cp874", "iso8859_2", "iso8859_7", "iso8859_5", "iso8859_6", "koi8_u", "cp866",
)  # fmt: skip
#: Prefixes of multi-byte codecs' names: text in another charset rarely decodes with them.
_SEVERAL_BYTES = ("utf", "gb", "big5", "cp932", "shift", "euc", "cp949", "cp950", "johab", "iso2022", "hz")
_SHOWN = {"utf-8": "UTF-8", "cp932": "Shift_JIS", "cp949": "EUC-KR", "cp866": "IBM866", "euc_jp": "EUC-JP"}
_ORDER_MARKS = ((b"\xef\xbb\xbf", "utf_8_sig"), (b"\xff\xfe", "utf_16"), (b"\xfe\xff", "utf_16"))
_ASCII_NAMES = frozenset(("ascii", "us-ascii", "ansi_x3.4-1968"))
#: From a non-ASCII byte to the end of the line, or to an HTML tag.
_STRETCH = re.compile(rb"[\x80-\xff][^\n<>]*")
_LEAD = 200
_CONTROLS = re.compile("[\x80-\x9f]")
_ASCII = bytes(range(0x80))
#: Min non-ASCII bytes for doubting a declared charset by its decoded text, and for a guess.
_LEAST_FOR_DOUBT, _LEAST_FOR_GUESS = 16, 4
#: Max distance from the best match (0 to 1) in mess and in coherence at which a match counts as equally good.
_AS_CLEAN, _AS_FLUENT = 0.005, 0.02
#: Max mess (0 to 1) of a guess that replaces a declared charset.
_CLEAN = 0.1


class Decoded(NamedTuple):
    """A decoded text. If the charset was guessed, also its codec, and a note on why; else ""."""

    text: str
    charset: str = ""
    note: str = ""


def read_text(data: bytes, declared: str) -> Decoded:
    """Decode `data` by its declared charset ("" = none), unless that is unknown or plainly wrong."""
    if data.isascii():
        return Decoded(decode(data, declared))
    # ASCII as the declared charset of non-ASCII data tells nothing.
    codec = codec_of(declared) if declared and declared.strip().lower() not in _ASCII_NAMES else None
    if codec is None:
        for mark, marked in _ORDER_MARKS:
            if data.startswith(mark):
                return Decoded(_decoded(data, marked))
    elif codec.startswith(_SEVERAL_BYTES) and _is_sound(data, codec):
        return Decoded(_decoded(data, codec))
    as_utf8 = utf8_of(data)
    if as_utf8 is not None and (codec in (None, "utf-8") or not _CONTROLS.search(as_utf8)):
        # Other text rarely is valid UTF-8, so without another declaration this needs no note.
        return Decoded(as_utf8, "utf-8", _note(declared, "utf-8") if declared and codec != "utf-8" else "")
    if codec is not None and _is_plausible(data, codec):
        return Decoded(_decoded(data, codec))
    found = guessed_codec(data, 1 if codec is None else _CLEAN)
    if codec is not None and found in ("", codec):
        return Decoded(_decoded(data, codec))
    found = found or "cp1252"
    return Decoded(_decoded(data, found), found, _note(declared, found))


def _note(declared: str, found: str) -> str:
    """Describe the guess, as the predicate of a sentence about the part."""
    if not declared:
        why = "names no charset"
    else:
        why = f"says {declared[:40]}, which is {'wrong' if codec_of(declared) else 'not a charset'}"
    return f"{why}; read as {charset_name(found)} (a guess)"


def charset_name(codec: str) -> str:
    """Return a Python codec's name as mail writes it: ``windows-1251`` for ``cp1251``."""
    if codec in _SHOWN:
        return _SHOWN[codec]
    return codec.replace("iso8859", "iso-8859").replace("_", "-").replace("cp", "windows-")


def _is_sound(data: bytes, codec: str) -> bool:
    try:
        data.decode(codec)
    except (UnicodeError, ValueError, LookupError, OverflowError):
        return False
    return True


def _decoded(data: bytes, codec: str) -> str:
    return decode_by(data, codec) or data.decode("cp1252", "replace")


def _is_plausible(data: bytes, codec: str) -> bool:
    """Return True if the declared charset may be right: few undecodable bytes, and the result looks like text."""
    text = _decoded(data, codec)
    if "\ufffd" in text:
        return replaced_seldom(text)
    name = codec.replace("-", "_")
    if name not in _CANDIDATES or codec.startswith(_SEVERAL_BYTES) or _foreign(data) < _LEAST_FOR_DOUBT:
        return True
    return bool(_matches(data, [name]))


def _foreign(data: bytes) -> int:
    return len(data.translate(None, _ASCII))


def guessed_codec(data: bytes, mess: float = 1) -> str:
    """Guess the codec that fits best; "" if none fits with at most `mess` (0 to 1), or too little is not ASCII."""
    if _foreign(data) < _LEAST_FOR_GUESS:
        return ""
    matches = [match for match in _matches(data, list(_CANDIDATES)) if match[1] <= mess]
    if not matches:
        return ""
    _, best_mess, best_fluency = matches[0]
    near = [
        codec
        for codec, mess, fluency in matches
        if mess <= best_mess + _AS_CLEAN and fluency >= best_fluency - _AS_FLUENT
    ]
    return min(near, key=_CANDIDATES.index)


def _matches(data: bytes, codecs: list[str]) -> list[tuple[str, float, float]]:
    """List the codecs that fit a text, best first, with mess and coherence (0 to 1) as measured by the library."""
    from charset_normalizer import from_bytes

    sample = _sample(data)
    try:
        found = from_bytes(
            sample, 1, len(sample), cp_isolation=codecs, preemptive_behaviour=False, enable_fallback=False
        )
        return [
            (codec, match.chaos, match.coherence)
            for match in found
            for codec in (match.encoding, *match.could_be_from_charset)
            if codec in codecs
        ]
    except Exception:
        # A text on which the library fails is shown all the same.
        return []


def _sample(data: bytes) -> bytes:
    """Collect the non-ASCII parts with some context, one per line, cut between words if possible."""
    pieces: list[bytes] = []
    size = position = 0
    for found in _STRETCH.finditer(data):
        start = max(position, found.start() - _LEAD)
        start = max(start, *(data.rfind(end, start, found.start()) + 1 for end in (b"\n", b"<", b">")))
        pieces.append(data[start : min(found.end(), start + SAMPLE_LIMIT - size)])
        size += len(pieces[-1])
        position = found.end()
        if size >= SAMPLE_LIMIT:
            space = max(pieces[-1].rfind(end) for end in (b" ", b".", b","))
            pieces[-1] = pieces[-1][: space + 1] or pieces[-1]
            break
    return b"\n".join(pieces)
