"""Folding: texts that look the same to a reader fold to the same text, others do not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.terms.folding import NUL, caseless, fold, mixes_scripts, plain_words, skeleton

#: A Latin letter and look-alike letters of other scripts.
LOOKALIKES = {
    "a": "аɑαａ𝐚á", "c": "сϲｃ", "e": "еεｅéẹ", "i": "іιıｉí", "o": "оοøｏö", "p": "рρｐ", "s": "ѕｓś", "x": "хχｘ",
    "y": "уγｙ", "h": "һнｈ", "k": "кκｋ", "t": "тτｔ", "m": "мｍ", "n": "ηｎñ",
}  # fmt: skip
INVISIBLE = ["\u200b", "\u200d", "\u2060", "\ufeff", "\u00ad", "\u034f", "\ufe0f", "\u202e"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Ihre Rechnung Nr. 4711 über 1.299,00 €", "ihre rechnung nr 0 uber 0 0 0"),
        ("Inv0ice pa1d", "invoice pald"),
        ("Paуpаl", "paypal"),
        ("СОС ѕсоре", "coc scope"),
        ("Привет, дела", "привет дела"),
        ("как", "kak"),  # looks Latin, and folds to the same in every letter
        ("Order 7f3a9c21bd", "order #"),
        ("ＦＵＬＬ width", "full width"),
        ("Straße STRASSE", "strasse strasse"),
        ("您的包裹", "您 的 包 裹"),
        ("", ""),
    ],
)
def test_words(text: str, words: str) -> None:
    assert " ".join(plain_words(text)) == words


@given(st.data(), st.text("aceiopsxyhktmn bdfglruvwz", max_size=60))
def test_look_alike_letters_case_and_invisible_ones_change_no_word(data: st.DataObject, text: str) -> None:
    changed = []
    for letter in text:
        how = data.draw(st.integers(0, 3))
        if how == 1 and letter in LOOKALIKES:
            letter = data.draw(st.sampled_from(LOOKALIKES[letter]))
        elif how == 2:
            letter = letter.upper()
        elif how == 3 and letter != " ":
            letter += data.draw(st.sampled_from(INVISIBLE))
        changed.append(letter)
    assert plain_words("".join(changed)) == plain_words(text)


@given(st.lists(st.text("бдёжзйлфцчшщэюя", min_size=3, max_size=9), max_size=8))
def test_a_script_of_its_own_stays(words: list[str]) -> None:
    for word, found in zip(words, plain_words(" ".join(words)), strict=True):
        assert not any(letter.isascii() for letter in found), word


@given(st.text())
def test_folding_is_done_after_once(text: str) -> None:
    once = fold(text)
    assert fold(once).split() == once.split()
    assert all(word for word in plain_words(text))


@given(st.text())
def test_text_to_search_is_done_after_once_and_holds_nothing_that_is_not_seen(text: str) -> None:
    once = caseless(text)
    assert caseless(once) == once
    assert NUL not in once and not set(once) & set(INVISIBLE)
    assert skeleton(once).isascii() or not once.isascii()
    assert not (text.isascii() and mixes_scripts(once))


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("Straße CAFE\u0301", "strasse caf\u00e9"),
        ("In\u00advo\u200bi\u2060ce\ufe0f \u202e88", "invoice 88"),
        ("ＦＵＬＬ ﬁt ½", "full fit 1\u20442"),
        ("a\0b", "ab"),
        ("ı力", "iカ"),
        ("Pаypаl", "pаypаl"),  # only `skeleton` maps letters to another alphabet
    ],
)
def test_text_to_search(text: str, folded: str) -> None:
    assert caseless(text) == folded


@pytest.mark.parametrize(
    ("text", "mixed"),
    [
        ("Invоice", True),
        ("invoice а", True),  # The word is all Cyrillic but looks Latin.
        ("рост 5", True),
        ("счeт", True),  # A Latin letter in a Cyrillic word.
        ("c уважением", True),  # And a letter alone.
        ("ɪnvoice", True),
        ("Ηas", True),
        ("счёт от microsoft", False),
        ("иван петров <ivan@firma.example>", False),
        ("płatność za łódź", False),
        ("ελλάδα ok", False),
        ("您的包裹 invoice", False),
        ("müller", False),
        ("рост дела", False),
    ],
)
def test_which_texts_mix_scripts(text: str, mixed: bool) -> None:
    assert mixes_scripts(caseless(text)) is mixed


def test_capitals_look_like_capitals() -> None:
    assert skeleton("ΗΝΥ ΡΑΥΡΑΙ") == "hny paypai"
    assert skeleton("Invоice ΝOW") == "invoice now"
