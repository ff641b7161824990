"""`@name` in a filter line stands for the filter saved under it; other texts with an @ stay texts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.filters.line import parse
from store.filters.named import expanded, names_in, written
from store.filters.saved import SavedFilter
from store.terms.errors import FilterError
from tests.store.filters.filter_model import filters, texts

SAVED = (
    SavedFilter("a.b", "from:z"),
    SavedFilter("invoices", "from:a or to:b"),
    SavedFilter("last week", "period:week"),
)


@pytest.mark.parametrize(
    ("line", "same"),
    [
        ("@invoices", "from:a or to:b"),
        (" @INVOICES ", "from:a or to:b"),
        ("-@invoices x", "-(from:a or to:b) x"),
        ("@last-week (@invoices or y)", "(period:week) ((from:a or to:b) or y)"),
        ("@last week", "period:week"),
        ("@a.b y", "(from:z) y"),
        ("(@invoices)", "((from:a or to:b))"),
        *((line, line) for line in ("@example.com", "x@invoices", 'subject:"@invoices" "a @invoices b"', "@", "")),
        *((line, line) for line in ('"open @invoices', "from:@invoices", "ab(@invoices)", r'"\" @invoices"')),
    ],
)
def test_what_a_line_stands_for(line: str, same: str) -> None:
    assert expanded(line, SAVED) == same


@pytest.mark.parametrize(
    ("line", "position", "near"),
    [
        ("@invoice", 0, "Similar: @invoices."),
        ("x  -@inv", 3, "Similar: @invoices."),
        ("@last-weak", 0, "Similar: @last-week."),
        ("@elsewhere", 0, "There is no saved filter @elsewhere. To search"),
    ],
)
def test_a_name_that_nobody_saved_is_an_error(line: str, position: int, near: str) -> None:
    with pytest.raises(FilterError) as caught:
        expanded(line, SAVED)
    assert near in str(caught.value) and caught.value.position == position


def test_texts_that_are_told_apart() -> None:
    assert names_in('a @b -@c-d "@e" from:@f (@g)') == ["b", "c-d", "g"]


def test_a_name_as_it_was_saved_comes_before_one_that_is_written_like_it() -> None:
    saved = (SavedFilter("a b", "from:a"), SavedFilter("a-b", "from:b"))
    assert expanded("@a-b x", saved) == "(from:b) x" and expanded("@a b", saved) == "from:a"


@given(st.lists(st.tuples(st.text(min_size=1, max_size=8), filters), max_size=3), texts)
def test_any_text_is_expanded_or_refused(saved: list[tuple[str, object]], line: str) -> None:
    named = [SavedFilter(name, "from:a") for name, _ in saved]
    try:
        out = expanded(line, named)
    except FilterError:
        return
    if "@" not in line:
        assert out == line


@given(st.sampled_from(SAVED), st.sampled_from(SAVED))
def test_names_are_written_as_they_are_read(one: SavedFilter, other: SavedFilter) -> None:
    line = f"{written(one.name)} or {written(other.name)}"
    assert parse(expanded(line, SAVED)) == parse(f"({one.line}) or ({other.line})")
