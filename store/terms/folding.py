"""Text as a reader takes it in, whatever letters it is written with: folded, so that look-alikes are the same.

What is invisible goes; compatibility forms and accents become the plain letter; case goes; a word that only looks Latin
becomes Latin. Digits are 0: invoices, amounts and dates differ in nothing else. Cannot raise.
"""

from __future__ import annotations

import re
import unicodedata

_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\U000e0000-\U000e0fff]+"
)
_ACCENTS = re.compile("[\u0300-\u036f]+")
#: Characters of scripts that put no space between words: each is a word here.
_UNSPACED = re.compile("([\u0e00-\u0e7f\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\U00020000-\U0003ffff])")
_WORD = re.compile(r"[^\W_]+")
_ASCII_LETTER = re.compile("[a-z]")
_DIGITS = re.compile(r"\d+")
#: A digit that stands for a letter: alone, between letters.
_LEET = re.compile(r"(?<=[a-z])[0135](?=[a-z])")
_LEET_OF = {"0": "o", "1": "l", "3": "e", "5": "s"}
#: A word of letters and digits that is so long is nobody's word.
_CODE = 6

#: What would be taken for a variant of another letter, which does not look like it.
_BEFORE = str.maketrans("ϲϹ", "cC")
#: Small letters, after folding, that look like Latin ones.
_LOOKALIKES = str.maketrans(
    "асԁеһіјӏорԛѕԝхуѵвкмнтгьɡɑıłøđħŧɩʏɪʀɴʟᴀʙᴄᴅᴇɢʜᴊᴋᴍᴏᴘꜱᴛᴜᴠᴡᴢαβγεηικνορστυχωϲϳʋʂɗɓ",
    "acdehijlopqswxyvbkmhtrbgailodhtiyirnlabcdeghjkmopstuvwzabyenikvopotuxwcjvsdb",
)


def fold(text: str) -> str:
    """`text` without what is invisible, without accents and case, in plain letters; look-alikes are still there."""
    if text.isascii():
        return text.lower()
    text = _INVISIBLE.sub("", text).translate(_BEFORE)
    text = _ACCENTS.sub("", unicodedata.normalize("NFKD", text)).casefold()
    # Case folding makes accents and invisible marks of some letters.
    return _UNSPACED.sub(r" \1 ", _ACCENTS.sub("", unicodedata.normalize("NFKD", text)))


def words(folded: str) -> list[str]:
    """The words of text that `fold` made, look-alike letters folded, digits as 0."""
    found = _WORD.findall(folded)
    if not folded.isascii():
        found = [word if word.isascii() else _latin(word) for word in found]
    return [word if word.isalpha() else _numbered(word) for word in found]


def latin(folded: str) -> str:
    """Text that `fold` made, words that look Latin in Latin letters, all else as it is."""
    return folded if folded.isascii() else _WORD.sub(lambda word: _latin(word[0]), folded)


def plain_words(text: str) -> list[str]:
    """`words` of text that is not folded yet."""
    return words(fold(text))


def _latin(word: str) -> str:
    """A word whose letters all look Latin, or of which some are, in Latin letters as far as they look so."""
    as_latin = word.translate(_LOOKALIKES)
    return as_latin if as_latin.isascii() or _ASCII_LETTER.search(word) else word


def _numbered(word: str) -> str:
    """A word with digits in it: those that stand for letters are letters, other ones 0, and a code is `#`."""
    word = _LEET.sub(lambda digit: _LEET_OF[digit[0]], word)
    zeros = _DIGITS.sub("0", word)
    return "#" if len(word) >= _CODE and zeros != "0" and zeros != word else zeros
