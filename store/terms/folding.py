"""Folds text so that it compares as a reader sees it: look-alike letters become the same.

Invisible characters are dropped; compatibility forms and accented letters become plain letters; case is removed; words
that only look Latin become Latin. Digits become 0, because invoices, amounts and dates differ only in them. Cannot
raise.

`caseless`, `skeleton` and `mixes_scripts` are for searching: accents and digits stay, and each letter is folded
independently of its word, so that a part of a text is found in it.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache

#: Never in a result of `caseless`.
NUL = "\0"
_UNSEEN = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\U000e0000-\U000e0fff"
)
_INVISIBLE = re.compile(f"[{_UNSEEN}]+")
_DROPPED = re.compile(f"[{NUL}{_UNSEEN}]+")
_ACCENTS = re.compile("[\u0300-\u036f]+")
_WORD = re.compile(r"[^\W_]+")
_ASCII_LETTER = re.compile("[a-z]")
_DIGITS = re.compile(r"\d+")
#: A single digit between letters stands for a letter.
_LEET = re.compile(r"(?<=[a-z])[0135](?=[a-z])")
_LEET_OF = {"0": "o", "1": "l", "3": "e", "5": "s"}
#: A word with letters and digits of at least this length is a code.
_CODE = 6

#: Replaced first: compatibility forms would turn these into letters that they do not look like.
_BEFORE = str.maketrans("ϲϹ", "cC")
#: Capitals whose lower-case form looks like another Latin letter, or like none.
_CAPITALS = str.maketrans("ΗΝΥΖΜ", "HNYZM")
#: Lower-case letters that, after folding, look like Latin ones.
_LOOKALIKES = str.maketrans(
    "асԁеһіјӏорԛѕԝхуѵвкмнтгьɡɑıłøđħŧɩʏɪʀɴʟᴀʙᴄᴅᴇɢʜᴊᴋᴍᴏᴘꜱᴛᴜᴠᴡᴢαβγεηικνορστυχωϲϳʋʂɗɓҽүұօսոհյզց",
    "acdehijlopqswxyvbkmhtrbgailodhtiyirnlabcdeghjkmopstuvwzabyenikvopotuxwcjvsdbeyyounhjqg",
)
#: The scripts with look-alikes (Greek, Cyrillic, Armenian), and their letters that look like no Latin one.
_OTHER_SCRIPTS = "".join(map(chr, (*range(0x370, 0x530), *range(0x561, 0x588))))
UNLIKE = re.compile(f"[{''.join(letter for letter in _OTHER_SCRIPTS if ord(letter) not in _LOOKALIKES)}]")
#: Letters that no alphabet uses together with Latin ones.
_ODD = "".join(chr(letter) for letter in _LOOKALIKES if chr(letter) not in "ıłøđħŧʋɗɓ")
SUSPECT = re.compile(f"[{_OTHER_SCRIPTS}{_ODD}]")
#: Latin letters that look like a Cyrillic word when alone.
ALONE = frozenset("acekoy")
#: Characters that look the same to a reader: dotless i, and Katakana and the Chinese characters like them.
_AS_ONE = str.maketrans("ı力口二一", "iカロニー")


def fold(text: str) -> str:
    """Drop invisible characters, accents and case. Look-alike letters are not changed."""
    if text.isascii():
        return text.lower()
    text = _INVISIBLE.sub("", text).translate(_BEFORE)
    text = _ACCENTS.sub("", unicodedata.normalize("NFKD", text)).casefold()
    # Case folding turns some letters into several, with accents or invisible marks: drop these.
    return _unspaced().sub(r" \1 ", _ACCENTS.sub("", unicodedata.normalize("NFKD", text)))


def caseless(text: str) -> str:
    """Fold case, drop invisible characters, and compose compatibility forms, for comparing without case."""
    if text.isascii():
        return text.replace(NUL, "").lower()
    seen = _seen(text)
    composed = unicodedata.normalize("NFKC", seen)
    folded = unicodedata.normalize("NFKC", composed.casefold())
    # Compatibility forms may contain invisible characters or look-alikes.
    return folded if composed == seen else _seen(folded)


def _seen(text: str) -> str:
    """Drop invisible characters, and unify characters that look the same in every word."""
    # Translating takes five times as long as checking that nothing has to be changed.
    return text if _changed().isdisjoint(text) else _DROPPED.sub("", text).translate(_BEFORE).translate(_AS_ONE)


@cache
def _changed() -> frozenset[str]:
    """Return all characters that `_seen` changes. Made when first needed: a command that starts needs none of it."""
    ranges = re.findall("(.)(?:-(.))?", _UNSEEN)
    unseen = (chr(code) for first, last in ranges for code in range(ord(first), ord(last or first) + 1))
    return frozenset((NUL, *unseen, *map(chr, (*_BEFORE, *_AS_ONE))))


@cache
def _unspaced() -> re.Pattern[str]:
    """Return the pattern of a character of scripts without spaces between words. Each counts as a word."""
    return re.compile("([\u0e00-\u0e7f\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\U00020000-\U0003ffff])")


def skeleton(text: str) -> str:
    """Fold like `caseless`, and replace all letters that look Latin by Latin ones."""
    return caseless(text) if text.isascii() else caseless(text.translate(_CAPITALS)).translate(_LOOKALIKES)


def mixes_scripts(caseless_text: str) -> bool:
    """Return True if letters of this `caseless` text may stand for look-alikes of another script.

    That is so if a word has letters of both, if all words of another script look Latin, or if a single Latin letter
    stands alone in a text of another script.
    """
    if caseless_text.isascii() or not SUSPECT.search(caseless_text):
        return False
    if not UNLIKE.search(caseless_text):
        return True
    return not ALONE.isdisjoint(caseless_text.split()) or mixes_in_a_word(caseless_text)


def mixes_in_a_word(caseless_text: str) -> bool:
    """Return True if a word of this `caseless` text mixes two scripts; then every text that contains it does so too."""
    if caseless_text.isascii() or not _ASCII_LETTER.search(caseless_text):
        return False
    suspects = [piece for piece in caseless_text.split() if not piece.isascii() and _ASCII_LETTER.search(piece)]
    return any(_mixed(word) for piece in suspects for word in _WORD.findall(piece))


def _mixed(word: str) -> bool:
    return bool(_ASCII_LETTER.search(word) and SUSPECT.search(word))


def words(folded: str) -> list[str]:
    """Split folded text into words: look-alike letters folded, digits as 0."""
    found = _WORD.findall(folded)
    if not folded.isascii():
        found = [word if word.isascii() else _latin(word) for word in found]
    return [word if word.isalpha() else _numbered(word) for word in found]


def latin(folded: str) -> str:
    """Replace the words of folded text that look Latin by Latin letters."""
    return folded if folded.isascii() else _WORD.sub(lambda word: _latin(word[0]), folded)


def plain_words(text: str) -> list[str]:
    """Return `words` of text that is not folded yet."""
    return words(fold(text))


def _latin(word: str) -> str:
    """Replace a word's letters by the Latin ones that they look like, if it is partly Latin or all of it looks so."""
    as_latin = word.translate(_LOOKALIKES)
    return as_latin if as_latin.isascii() or _ASCII_LETTER.search(word) else word


def _numbered(word: str) -> str:
    """Fold a word with digits: digits that stand for letters become letters, others 0. A code becomes `#`."""
    word = _LEET.sub(lambda digit: _LEET_OF[digit[0]], word)
    zeros = _DIGITS.sub("0", word)
    return "#" if len(word) >= _CODE and zeros != "0" and zeros != word else zeros
