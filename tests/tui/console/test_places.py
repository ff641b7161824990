"""Finding a text in lines: as often and where a plain search of the whole text finds it, however the lines are cut."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tui.console.text import places
from tui.console.text.places import Place, next_place, sought
from tui.terminal.lines import Line, Span

#: Few letters, so that texts repeat; blanks, and a letter that folds to two.
_TEXT = st.text("aAb ß", max_size=40)
_LINES = st.lists(st.lists(_TEXT, min_size=0, max_size=2), max_size=12)


def _lines(texts: list[list[str]]) -> list[Line]:
    return [tuple(Span(text) for text in line) for line in texts]


def _all(texts: list[list[str]], needle: str) -> list[Place]:
    """Find every place by a plain search, letter by letter."""
    letters = [(letter, number) for number, line in enumerate(texts) for letter in sought("".join(line))]
    whole = "".join(letter for letter, _ in letters)
    starts = [at for at in range(len(whole)) if whole.startswith(needle, at)]
    return [Place(letters[at][1], letters[at + len(needle) - 1][1]) for at in starts]


@given(_LINES, st.text("ab ", min_size=1, max_size=5).filter(sought), st.integers(1, 4), st.integers(0, 13))
def test_places_are_those_of_a_plain_search(texts: list[list[str]], text: str, part: int, start: int) -> None:
    lines, needle, expected = _lines(texts), sought(text), _all(texts, sought(text))
    before = places._PART
    places._PART = part
    try:
        after = next((place for place in expected if place.first >= start), None)
        assert next_place(lines, needle, start, 1) == after
        earlier = [place for place in expected if place.first < start]
        assert next_place(lines, needle, start, -1) == (earlier[-1] if earlier else None)
    finally:
        places._PART = before


def test_a_search_ends_when_it_is_no_longer_wanted() -> None:
    asked: list[int] = []

    def wanted() -> bool:
        asked.append(1)
        return len(asked) < 3

    lines = _lines([["nothing"]] * 10 * places._PART + [["found"]])
    assert next_place(lines, "found", 0, 1, wanted=wanted) is None
    assert len(asked) == 3
