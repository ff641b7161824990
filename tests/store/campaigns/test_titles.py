"""Titles of campaigns, made from folded text."""

from __future__ import annotations

import pytest

from store.campaigns.keys import Kind
from store.campaigns.titles import readable, with_signs


@pytest.mark.parametrize(
    ("folded", "title"),
    [
        ("会 議 の 議 事 録 # について", "会議の議事録 # について"),
        ("ใ บ แ จ้ ง ห นี้ invoice #", "ใบแจ้งหนี้ invoice #"),
        ("ワ ン ピ ー ス 発 送", "ワンピース発送"),
        ("계정 확인 안내", "계정 확인 안내"),
        ("a b c d", "a b c d"),
        ("счёт № # от", "счёт № # от"),
    ],
)
def test_letters_of_scripts_without_blanks_are_closed_up(folded: str, title: str) -> None:
    assert readable(folded, None) == title


@pytest.mark.parametrize(
    ("kind", "text"), [(Kind.SUBJECT, "invoice #"), (Kind.WORDS, "invoice #"), (Kind.HOST, "invoice 0")]
)
def test_a_number_that_folding_made_zero_is_a_sign(kind: Kind, text: str) -> None:
    assert readable("invoice 0", kind) == text


@pytest.mark.parametrize(
    ("subject", "title"),
    [
        ("Re: केवल आज:  सभी पर 80% छूट", "केवल आज: सभी पर #% छूट"),
        ("ใบแจ้งหนี้ 2231 INVOICE", "ใบแจ้งหนี้ # invoice"),
        ("Votre réservation 12 est à payer", ""),
        ("Your mailbox is 91 % full", ""),
        ("계정 확인 안내", ""),
        ("🎁️ Gift", ""),
    ],
)
def test_a_subject_whose_letters_have_signs_is_the_title_as_it_was_written(subject: str, title: str) -> None:
    assert with_signs(subject) == title
