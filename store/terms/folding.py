"""Text as a reader takes it in, whatever letters it is written with: folded, so that look-alikes are the same.

What is invisible goes; compatibility forms and accents become the plain letter; case goes; a word that only looks Latin
becomes Latin. Digits are 0: invoices, amounts and dates differ in nothing else. Cannot raise.

`caseless`, `skeleton` and `mixes_scripts` are for searching: accents and digits stay, and nothing depends on the word
that a letter stands in, so that a part of a text is found in it.
"""

from __future__ import annotations

import re
import unicodedata

#: No text that `caseless` made has this one.
NUL = "\0"
_UNSEEN = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\U000e0000-\U000e0fff"
)
_INVISIBLE = re.compile(f"[{_UNSEEN}]+")
_DROPPED = re.compile(f"[{NUL}{_UNSEEN}]+")
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
#: Capitals whose small letters look like other Latin ones, or like none.
_CAPITALS = str.maketrans("ΗΝΥΖΜ", "HNYZM")
#: Small letters, after folding, that look like Latin ones.
_LOOKALIKES = str.maketrans(
    "асԁеһіјӏорԛѕԝхуѵвкмнтгьɡɑıłøđħŧɩʏɪʀɴʟᴀʙᴄᴅᴇɢʜᴊᴋᴍᴏᴘꜱᴛᴜᴠᴡᴢαβγεηικνορστυχωϲϳʋʂɗɓҽүұօսոհյզց",
    "acdehijlopqswxyvbkmhtrbgailodhtiyirnlabcdeghjkmopstuvwzabyenikvopotuxwcjvsdbeyyounhjqg",
)
#: Letters of the scripts that have such: Greek, Cyrillic, Armenian; and those of them that look like no Latin one.
_OTHER_SCRIPTS = "".join(map(chr, (*range(0x370, 0x530), *range(0x561, 0x588))))
_UNLIKE = re.compile(f"[{''.join(letter for letter in _OTHER_SCRIPTS if ord(letter) not in _LOOKALIKES)}]")
#: Those that no alphabet mixes with Latin letters.
_ODD = "".join(chr(letter) for letter in _LOOKALIKES if chr(letter) not in "ıłøđħŧʋɗɓ")
_SUSPECT = re.compile(f"[{_OTHER_SCRIPTS}{_ODD}]")
#: Latin letters that look like a word in Cyrillic.
_ALONE = frozenset("acekoy")
#: What is one letter for a reader: the i without its dot, and Katakana for the Chinese characters that look like them.
_AS_ONE = str.maketrans("ı力口二一", "iカロニー")
#: All that `_seen` changes.
_CHANGED = frozenset(
    (*"ϲϹı力口二一", *(chr(code) for code in (*range(0x3000), *range(0xFE00, 0x10000)) if _DROPPED.match(chr(code))))
) | frozenset(map(chr, (0x3164, *range(0xE0000, 0xE1000))))


def fold(text: str) -> str:
    """`text` without what is invisible, without accents and case, in plain letters; look-alikes are still there."""
    if text.isascii():
        return text.lower()
    text = _INVISIBLE.sub("", text).translate(_BEFORE)
    text = _ACCENTS.sub("", unicodedata.normalize("NFKD", text)).casefold()
    # Case folding makes accents and invisible marks of some letters.
    return _UNSPACED.sub(r" \1 ", _ACCENTS.sub("", unicodedata.normalize("NFKD", text)))


def caseless(text: str) -> str:
    """`text` as it is compared where case does not count: without what is invisible, in composed, compatible forms."""
    if text.isascii():
        return text.replace(NUL, "").lower()
    seen = _seen(text)
    composed = unicodedata.normalize("NFKC", seen)
    folded = unicodedata.normalize("NFKC", composed.casefold())
    # Compatible forms may be what is not seen, or looks like another one.
    return folded if composed == seen else _seen(folded)


def _seen(text: str) -> str:
    """`text` without what is invisible, with one letter for those that look the same in every word."""
    # To translate a text takes five times as long as to find that nothing is to be changed.
    return text if _CHANGED.isdisjoint(text) else _DROPPED.sub("", text).translate(_BEFORE).translate(_AS_ONE)


def skeleton(text: str) -> str:
    """Fold like `caseless`, with Latin letters for all that look like them."""
    return caseless(text) if text.isascii() else caseless(text.translate(_CAPITALS)).translate(_LOOKALIKES)


def mixes_scripts(caseless_text: str) -> bool:
    """Whether letters in text that `caseless` made may stand for those of another script that they look like.

    So where a word has letters of both, where all words of another script look Latin, and where one Latin letter
    stands alone in a text of another script.
    """
    if caseless_text.isascii() or not _SUSPECT.search(caseless_text):
        return False
    if not _UNLIKE.search(caseless_text):
        return True
    return not _ALONE.isdisjoint(caseless_text.split()) or mixes_in_a_word(caseless_text)


def mixes_in_a_word(caseless_text: str) -> bool:
    """Whether a word of text that `caseless` made has letters of two scripts: so has every text that it is part of."""
    if caseless_text.isascii() or not _ASCII_LETTER.search(caseless_text):
        return False
    suspects = [piece for piece in caseless_text.split() if not piece.isascii() and _ASCII_LETTER.search(piece)]
    return any(_mixed(word) for piece in suspects for word in _WORD.findall(piece))


def _mixed(word: str) -> bool:
    return bool(_ASCII_LETTER.search(word) and _SUSPECT.search(word))


def words(folded: str) -> list[str]:
    """Split folded text into words: look-alike letters folded, digits as 0."""
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
    """Replace a word's letters by the Latin ones they look like, if all or some of it is Latin."""
    as_latin = word.translate(_LOOKALIKES)
    return as_latin if as_latin.isascii() or _ASCII_LETTER.search(word) else word


def _numbered(word: str) -> str:
    """Fold a word with digits: digits that stand for letters become letters, others 0; a code becomes `#`."""
    word = _LEET.sub(lambda digit: _LEET_OF[digit[0]], word)
    zeros = _DIGITS.sub("0", word)
    return "#" if len(word) >= _CODE and zeros != "0" and zeros != word else zeros
