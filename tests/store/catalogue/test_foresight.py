"""What is foreseen of a search word: which letters, what their search then costs, and when it ends early."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.catalogue import foresight, query, slices
from store.catalogue import lookup as catalogue_lookup
from store.catalogue import text as catalogue_text
from store.catalogue.catalogue import NEWEST, Catalogue
from store.catalogue.foresight import Foresight, Words
from store.catalogue.frame import Frame
from store.catalogue.query import mask_of
from store.filters.line import MessageFilter, parse
from store.terms.records import Copy, CopyRecord
from store.vault.vault import Vault
from tests.store.filters.filter_model import NOW

_SUBJECTS = ["casino", "Casino now", "case", "come", "icy", "the cable", "Zoë"]


def _frame(subjects: Sequence[str]) -> Frame:
    return Frame.of([Copy(number, NOW, 0, CopyRecord(subject=text)) for number, text in enumerate(subjects, 1)])


class _Asked:
    """Counts searches of texts and look-ups of rows."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.searched: list[str] = []
        self.looked_up = 0
        contains, fits = catalogue_text.contains_any, catalogue_lookup.fits_any

        def search(texts: pl.Series, needles: Sequence[str]) -> pl.Series:
            self.searched += needles
            return contains(texts, needles)

        def look_up(ways: Sequence[catalogue_lookup.Way], count: int) -> pl.Series:
            self.looked_up += 1
            return fits(ways, count)

        monkeypatch.setattr(catalogue_text, "contains_any", search)
        monkeypatch.setattr(catalogue_lookup, "fits_any", look_up)


@pytest.fixture(autouse=True)
def many(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take few copies for many, and search them in slices."""
    monkeypatch.setattr(foresight, "_MANY", 1)
    monkeypatch.setattr(slices, "_SLICE", 8)


@given(st.lists(st.text("abc é", max_size=8), min_size=1, max_size=30), st.text("abcé", max_size=3))
def test_the_likeliest_letters_are_those_that_most_words_go_on_with(subjects: list[str], begun: str) -> None:
    words = [word for text in subjects for word in text.split(" ") if word.startswith(begun) and word != begun]
    counts = {letter: sum(word[len(begun)] == letter for word in words) for letter in "abcé"}
    likely = [letter for letter, count in counts.items() if count and count * 12 >= len(words)]
    likely.sort(key=lambda letter: (-counts[letter], letter))
    assert Words(_frame(subjects)).letters_after(begun) == likely


def test_no_more_letters_than_some_are_foreseen() -> None:
    assert Words(_frame([f"a{letter}" for letter in "hgfedcb"])).letters_after("a") == ["b", "c", "d", "e", "f"]


@pytest.fixture
def catalogue(vault: Vault) -> Catalogue:
    for text in _SUBJECTS:
        vault.put(b"Subject: x\r\n\r\n", CopyRecord(subject=text))
    made = Catalogue(vault)
    made.start()
    assert made.wait_complete(30)
    return made


def test_the_next_letter_is_not_searched_again(catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch) -> None:
    asked, seer = _Asked(monkeypatch), Foresight(catalogue)
    seer.foresee("ca", catalogue.select(parse("ca")).count, parse)
    assert {"cas", "cab"} <= {*asked.searched}
    asked.searched.clear()
    asked.looked_up = 0
    assert catalogue.select(parse("cas")).count == 3
    assert catalogue.select(parse("cab")).count == 1
    assert not asked.searched and not asked.looked_up
    catalogue.close()


@pytest.mark.parametrize("text", ["from:", "", "casino ", "since:2025-1", '"ca', "score:x"])
def test_what_begins_no_word_or_cannot_be_read_is_left_alone(catalogue: Catalogue, text: str) -> None:
    Foresight(catalogue).foresee(text, len(_SUBJECTS), parse)
    assert catalogue.select(parse("cas")).count == 3
    catalogue.close()


@pytest.mark.parametrize(("least", "found"), [(100, 7), (1, 0)])
def test_few_copies_are_not_foreseen(
    catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch, least: int, found: int
) -> None:
    monkeypatch.setattr(foresight, "_MANY", least)
    asked = _Asked(monkeypatch)
    Foresight(catalogue).foresee("ca", found, parse)
    assert not asked.searched
    catalogue.close()


@pytest.mark.parametrize("ends", ["a query", "the end"])
def test_a_query_or_the_end_ends_it(catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch, ends: str) -> None:
    asked = _Asked(monkeypatch)

    def read(text: str) -> MessageFilter:
        if ends == "a query":
            catalogue.select(MessageFilter(), NEWEST)
        else:
            catalogue.close()
        return parse(text)

    Foresight(catalogue).foresee("ca", len(_SUBJECTS), read)
    assert not asked.searched
    catalogue.close()


def test_work_at_leisure_stops_between_two_slices() -> None:
    done: list[int] = []

    def work(start: int, stop: int) -> pl.Series:
        done.append(start)
        return pl.Series([True] * (stop - start))

    with pytest.raises(slices.GaveWay), slices.at_leisure(lambda: len(done) < 2):
        slices.by_slices(work, 0, 40)
    assert done == [0, 8]
    assert len(slices.by_slices(work, 0, 40)) == 40


def test_a_search_that_gave_way_leaves_nothing_behind() -> None:
    frame = _frame(_SUBJECTS * 4)
    for steps in range(40):
        left = iter(range(steps))
        query.foresee(frame, parse("ca"), now=NOW, wanted=lambda left=left: next(left, None) is not None)  # type: ignore[misc]  # a default
    mask = mask_of(frame, parse("ca"), now=NOW)
    assert mask is not None and mask.to_list() == [text.lower().find("ca") >= 0 for text in _SUBJECTS * 4]
