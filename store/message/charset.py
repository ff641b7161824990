"""Decode bytes in any declared charset, or a wrong one, to text. Cannot raise or be led to a harmful codec.

Only Python's own text encodings are used, so a hostile charset name causes no import and no cache entry. Codecs that
are escapes or take quadratic time (`idna`, `punycode`, `unicode_escape`) are refused. As in browsers and mail programs,
iso-8859-1 is decoded as windows-1252, gb2312 as gb18030, and so on.
"""

from __future__ import annotations

import codecs
import re
from encodings.aliases import aliases
from functools import lru_cache

_NAME = re.compile(r"[a-z0-9_]{1,40}\Z")
_NOT_TEXT = frozenset(
    (
        "idna", "punycode", "unicode_escape", "raw_unicode_escape", "undefined", "mbcs", "oem", "rot_13", "bz2_codec",
        "base64_codec", "hex_codec", "quopri_codec", "uu_codec", "zlib_codec", "tactis",
    )
)  # fmt: skip
_READ_AS = {
    "ascii": "cp1252", "us_ascii": "cp1252", "ansi_x3_4_1968": "cp1252", "iso_8859_1": "cp1252", "latin_1": "cp1252",
    "latin1": "cp1252", "gb2312": "gb18030", "gbk": "gb18030", "x_gbk": "gb18030", "euc_cn": "gb18030",
    "ks_c_5601_1987": "cp949", "euc_kr": "cp949", "ks_c_5601": "cp949", "shift_jis": "cp932", "x_sjis": "cp932",
    "windows_31j": "cp932", "big5": "big5hkscs", "x_x_big5": "big5hkscs", "iso_8859_8_i": "iso8859_8",
    "iso_8859_8_e": "iso8859_8", "iso_8859_9": "cp1254", "windows_874": "cp874", "tis_620": "cp874",
    "iso_8859_11": "cp874", "x_mac_cyrillic": "mac_cyrillic", "macintosh": "mac_roman", "x_mac_roman": "mac_roman",
    "utf8mb4": "utf_8", "unicode_1_1_utf_8": "utf_8", "x_unicode_2_0_utf_7": "utf_7", "unicode_1_1_utf_7": "utf_7",
    "iso_2022_jp": "iso2022_jp_ext", "csiso2022jp": "iso2022_jp_ext", "utf_8_sig": "utf_8_sig",
}  # fmt: skip
_GUESSED = frozenset(("cp1252",))
_UTF8_CUT = 4
_DAMAGED = 4  # min sound characters per replaced one: then it is damaged UTF-8 rather than another charset


@lru_cache(256)
def codec_of(charset: str) -> str | None:
    """Return the Python codec of a declared charset; None if the name is unknown or the codec is refused."""
    name = re.sub(r"[^a-z0-9]+", "_", charset[:60].strip().strip("\"'").lower()).strip("_")
    if not _NAME.match(name):
        return None
    name = _READ_AS.get(name, name)
    name = _READ_AS.get(aliases.get(name, name), aliases.get(name, name))
    if name in _NOT_TEXT:
        return None
    if name not in _CODECS:
        name = re.sub(r"^(?:x_|cs)?(?:windows|cp)_?(\d+)$", r"cp\1", name)
        name = re.sub(r"^iso_?8859_?(\d+)$", r"iso8859_\1", name)
        if name not in _CODECS:
            return None
    try:
        return codecs.lookup(name).name
    except LookupError:
        return None


_CODECS = frozenset(aliases.values()) - _NOT_TEXT | {
    "utf_8_sig", "koi8_t", "koi8_u", "koi8_r", "cp1006", "cp720", "cp737", "cp856", "cp874", "cp875", "mac_arabic",
    "mac_croatian", "mac_farsi", "mac_romanian", "cp65001",
}  # fmt: skip


def decode(data: bytes, charset: str = "") -> str:
    """Decode `data` by its declared charset; guess the charset if that is missing, unknown or plainly wrong."""
    codec = codec_of(charset) if charset else None
    if codec is None or codec in _GUESSED:
        return guess(data)
    return decode_by(data, codec) or guess(data)


def decode_by(data: bytes, codec: str) -> str:
    """Decode `data` with a codec from `codec_of`; undecodable bytes become U+FFFD. "" on failure.

    Never a lone surrogate.
    """
    try:
        text = data.decode(codec, "replace")
    except (UnicodeError, ValueError, LookupError, OverflowError):
        return ""
    if codec == "utf-7":
        # Only this codec yields lone surrogates, which no encoding accepts.
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def guess(data: bytes, hint: str = "", *, cut: bool = False) -> str:
    """Decode text of unknown charset.

    Tries UTF-8 (also slightly damaged, or `cut` off by us), ISO-2022-JP if its escapes occur, the charset `hint` (that
    of the message's body, say), and windows-1252.
    """
    text = utf8_of(data, cut=cut)
    if text is None:
        return decode_by(data, raw_codec(hint)) or data.decode("cp1252", "replace")
    if "\x1b$" in text:
        try:
            return data.decode("iso2022_jp_ext")
        except UnicodeDecodeError:
            return text
    return text


def raw_codec(hint: str) -> str:
    """Choose the codec for bytes that are not UTF-8: the one that `hint` names, or windows-1252."""
    codec = codec_of(hint) if hint else None
    return codec if codec and not codec.startswith("utf") else "cp1252"


def utf8_of(data: bytes, *, cut: bool = False) -> str | None:
    """Decode `data` as UTF-8, tolerating a little damage and our own `cut`; None if it is something else."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        if cut and error.start >= len(data) - _UTF8_CUT and error.reason == "unexpected end of data":
            return data[: error.start].decode("utf-8", "replace")
    text = data.decode("utf-8", "replace")
    return text if replaced_seldom(text) else None


def replaced_seldom(text: str) -> bool:
    """Return True if a text decoded with replacements is slightly damaged rather than in another charset."""
    foreign = len(text) - len(text.encode("ascii", "ignore"))
    return foreign > _DAMAGED * text.count("\ufffd")
