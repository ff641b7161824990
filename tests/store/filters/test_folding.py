"""A word of the filter finds what reads like it: invisible characters and other alphabets hide no text."""

from __future__ import annotations

import io
import unicodedata
from email import message_from_bytes
from email.policy import default
from functools import reduce
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.catalogue.frame import Frame
from store.catalogue.query import mask_of
from store.catalogue.sections import frame_of, layout_of, sections, tightened
from store.files.mbox import read_messages
from store.filters.folding import fold, needles, searched
from store.filters.line import MessageFilter, Term, parse
from store.filters.model import Group
from store.terms.errors import FilterError
from store.terms.folding import mixes_scripts
from store.terms.records import Copy, CopyRecord
from tests.waves import mutations
from tests.waves.wave import Size, make

#: Copies made of each subject.
EACH = 8


@pytest.fixture(scope="module")
def subjects(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Return different subjects of a wave, in all its languages, that are written as they read."""
    folder = tmp_path_factory.mktemp("wave")
    make(folder, 11, Size(count=400, campaigns=30, good=30, targeted=2, noise=20))
    raws = read_messages(io.BytesIO(b"".join(path.read_bytes() for path in folder.glob("*.mbox"))))
    found = {str(message_from_bytes(raw, policy=default)["Subject"]) for raw in raws if isinstance(raw, bytes)}
    plain = sorted(text for text in found if len(text) > 4 and not mixes_scripts(fold(text)))
    assert any("а" in text for text in plain) and any(text.isascii() for text in plain)
    return Random(3).sample(plain, 60)


def mutated(rng: Random, text: str) -> str:
    changed = mutations.homoglyphs(rng, text, rng.choice((0, 0.1, 0.3)))
    return mutations.invisible(rng, changed, rng.choice((0, 0.1, 0.3)))


def ids_of(frame: Frame, flt: MessageFilter) -> set[int]:
    mask = mask_of(frame, flt, now=0)
    return set(frame.ids.to_list() if mask is None else frame.ids.filter(mask).to_list())


def test_the_plain_subject_finds_all_copies_that_only_look_like_it(subjects: list[str]) -> None:
    rng = Random(5)
    texts = [mutated(rng, text) for text in subjects for _ in range(EACH)]
    copies = [Copy(number, 0, 0, CopyRecord(subject=text)) for number, text in enumerate(texts, 1)]
    parts = [Frame.of(copies[start : start + 100]) for start in range(0, len(copies), 100)]
    frame = tightened(reduce(Frame.merge, parts), "subject")
    again = frame_of(layout_of(frame), sections(frame, "zstd", compact=True))
    by_letters = 0
    for number, text in enumerate(subjects):
        mine = set(range(number * EACH + 1, (number + 1) * EACH + 1))
        flt = MessageFilter(subject=(Term(text),))
        assert mine <= ids_of(frame, flt) == ids_of(again, flt), text
        assert ids_of(frame, flt) == {copy.id for copy in copies if flt.matches(copy, now=0)}
        but = MessageFilter(subject=(Term(text, negated=True),))
        assert ids_of(frame, but) == {copy.id for copy in copies} - ids_of(frame, flt)
        by_letters += sum(
            unicodedata.normalize("NFC", text.casefold()) in unicodedata.normalize("NFC", one.subject.casefold())
            for one in (copies[place - 1].record for place in mine)
        )
    assert by_letters < 0.6 * len(copies), "the copies are not changed enough to show anything"


def test_a_mutated_subject_finds_the_plain_one_and_the_others(subjects: list[str]) -> None:
    rng = Random(6)
    for text in subjects:
        if text.isascii():
            one, other = mutated(rng, text), mutated(rng, text)
            for where in (text, other, one):
                assert any(needle in searched(where) for needle in needles(one)), (one, where)


#: Letters that compose with none of their neighbours: adding them does not change the composition.
LETTERS = st.text("abcехор Привет жиo0é\u200b\u00adІℌ①力", max_size=8)


@given(LETTERS, LETTERS, LETTERS)
def test_a_part_of_a_text_is_found_in_it_whatever_stands_around_it(before: str, text: str, after: str) -> None:
    assert any(needle in searched(before + text + after) for needle in needles(text))


@given(st.text("abcdefgh ", min_size=1, max_size=10), st.text("жицдлфпшж ", max_size=10))
def test_other_letters_are_not_taken_for_it(latin: str, cyrillic: str) -> None:
    if latin.strip():
        assert not any(needle in searched(cyrillic) for needle in needles(latin.strip()))
    assert searched(cyrillic) == fold(cyrillic)


@pytest.mark.parametrize("text", ["\u200b", "\u00ad\u2060", "\0"])
def test_what_nobody_sees_asks_for_nothing_and_is_no_filter(text: str) -> None:
    assert MessageFilter(words=(Term(text),), files=(Term(text, True),)).is_empty
    assert MessageFilter(groups=(Group((MessageFilter(words=(Term(text),)),)),)).is_empty
    assert parse(f'"{text}" subject:"{text}"', lenient=True).is_empty
    for line in (text, f"subject:{text}"):
        with pytest.raises(FilterError, match=r"text to search for is empty|takes part"):
            parse(line)
