"""Text columns of the catalogue: searched forms, search in slices, identifiers in compressed pieces."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from store.catalogue import grouped_texts, slices
from store.catalogue import identifiers as catalogue_identifiers
from store.catalogue import text as catalogue_text
from store.catalogue.forms import SIMPLE, forms, identifier_forms, sender_forms
from store.catalogue.frame import dictionary, identifiers, senders
from store.catalogue.grouped_texts import GroupedTexts
from store.catalogue.identifiers import Identifiers, Piece
from store.catalogue.plain_texts import PlainTexts
from store.catalogue.text import Texts
from store.filters.folding import needles, searched
from tests.amounts import amount

_BITS = st.sampled_from(
    [
        *["<", ">", "@", " ", "a", "C", "Я", "о", "п", "Σ", "ς", "Ä", "\u0338", "\u00ad", "имя", "İ", "ß", "\t", "\0"],
        *["\u212a", "É", "é", "\uff46", "x.net>", "王", "<a1@B>", " <u@x.example>", "\u13a0", "α", "k", "K", "-", "\n"],
        *["Η", "η"],  # Alike but for case, and each looks like another Latin letter.
    ]
)
texts = st.lists(_BITS, max_size=6).map("".join)


@pytest.fixture(autouse=True)
def small() -> Iterator[None]:
    """Make slices and pieces of a few entries."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(slices, "_SLICE", 8)
        patch.setattr(catalogue_text, "_FEW", 2)
        patch.setattr(catalogue_text, "_TINY", 2)
        patch.setattr(catalogue_text, "_PREPARED", 2)
        patch.setattr(catalogue_text, "_SAMPLE", 1)
        patch.setattr(catalogue_text, "_LETTERS", 4)
        patch.setattr(catalogue_text, "_TAIL_LIMIT", 1)
        patch.setattr(catalogue_identifiers, "_PIECE", 3)
        patch.setattr(grouped_texts, "GROUP", 2)
        patch.setattr(grouped_texts, "_SAMPLE", 1)
        yield


def _contains(text: str, line: str) -> bool:
    return any(needle in searched(text) for needle in needles(line))


@given(st.lists(texts, max_size=4))
def test_from_fields_are_folded_as_other_texts(some: list[str]) -> None:
    twice = _strings([*some, *some])
    assert sender_forms(twice).to_list() == forms(twice, twice).to_list()


def _made(kind: str, parts: list[list[str]]) -> Texts:
    kinds = {"id": identifiers, "from": senders, "text": lambda part: dictionary(part, part)}
    made: list[Texts] = [kinds[kind](part) for part in parts]
    whole = made[0]
    for part in made[1:]:
        whole = whole.extend(part)
    return whole


@given(
    st.sampled_from(["id", "from", "text"]),
    st.lists(st.lists(texts, max_size=12), min_size=1, max_size=4),
    st.lists(texts.filter(bool), min_size=1, max_size=4),
    st.data(),
)
@settings(max_examples=amount(100, 2000))
def test_every_way_to_search_finds_what_the_forms_contain(
    kind: str, parts: list[list[str]], lines: list[str], data: st.DataObject
) -> None:
    all_texts = [text for part in parts for text in part]
    column, line = _made(kind, parts[:-1] or [[]]), ""
    for text in lines:
        line = line + text if data.draw(st.booleans()) else text
        column.find(*needles(line))  # cached: the next search looks only at what is new, or among what was found
        if data.draw(st.booleans()):
            column.prepare()
    column = column.extend(_made(kind, [parts[-1]])) if len(parts) > 1 else _made(kind, parts)
    assert len(column) == len(all_texts)
    expected = [_contains(text, line) for text in all_texts]
    assert column.find(*needles(line)).to_list() == expected
    some = data.draw(st.lists(st.sampled_from(range(len(all_texts))), max_size=9)) if all_texts else []
    codes = pl.Series(some, dtype=pl.UInt32)
    assert column.gather(codes).to_list() == [all_texts[code] for code in some]
    assert column.find_among(needles(line), codes).to_list() == [expected[code] for code in some]


_FROM = st.tuples(
    st.sampled_from(["", "A <", "Anna <b@c <", "Яa <", "Ä ", "<", "@ <"]),
    st.sampled_from(["", "a", "b@", "a1@", "Ab@a@", "@"]),
    st.sampled_from(["", "x>", "a1>", "x.net> b", ">", "aяb>"]),
).map("".join)


@given(st.lists(st.lists(_FROM, min_size=1, max_size=4), min_size=1, max_size=3), st.data())
def test_every_piece_of_a_from_field_is_found_across_its_parts(parts: list[list[str]], data: st.DataObject) -> None:
    column = _made("from", parts)
    all_texts = [text for part in parts for text in part]
    every = pl.arange(len(all_texts), dtype=pl.UInt32, eager=True)
    assert column.gather(every).to_list() == all_texts
    if data.draw(st.booleans()):
        column.prepare()
    text = searched(data.draw(st.sampled_from(all_texts))).split("\0")[0] or "a"
    start = data.draw(st.integers(0, len(text) - 1))
    for stop in range(start + 1, len(text) + 1):
        wanted = needles(text[start:stop])
        expected = [any(needle in searched(text) for needle in wanted) for text in all_texts]
        assert column.find(*wanted).to_list() == column.find_among(wanted, every).to_list() == expected


@given(st.lists(st.lists(texts, max_size=7), min_size=1, max_size=4), st.data())
def test_identifiers_stay_the_same_packed_and_picked(parts: list[list[str]], data: st.DataObject) -> None:
    column = _made("id", parts)
    assert isinstance(column, Identifiers)
    all_texts = [text for part in parts for text in part]
    every = pl.arange(len(all_texts), dtype=pl.UInt32, eager=True)
    again = Identifiers([Piece.of_packed(piece.packed("zstd")) for piece in column.pieces])
    assert again.gather(every).to_list() == column.gathered_up().gather(every).to_list() == all_texts
    assert not again.gathered_up().loose
    through_a_pipe = Identifiers([Piece.of_packed(piece.packed("uncompressed")) for piece in column.pieces])
    assert through_a_pipe.gather(every).to_list() == through_a_pipe.opened().gather(every).to_list() == all_texts
    keep = [code for code in range(len(all_texts)) if data.draw(st.booleans())]
    left = column.picked(pl.Series(keep, dtype=pl.UInt32))
    assert left.gather(pl.arange(len(keep), dtype=pl.UInt32, eager=True)).to_list() == [all_texts[at] for at in keep]
    assert len(left.pieces) == len(column.pieces)
    gone = {text for text in all_texts if len(text) > 2} - {all_texts[at] for at in keep}
    kept = "\n".join(all_texts[at] for at in keep)
    for text in gone:
        assert text in kept or not any(
            text in other for piece in left.pieces for other in piece.texts().texts.to_list()
        )


def test_only_long_identifiers_are_held_compressed() -> None:
    short, long = identifiers(["4CCDDE6AD7"] * 3), identifiers(["<909611f2d8a855c6@x.example>"] * 3)
    for column in (short, long):
        again = Identifiers([Piece.of_packed(piece.packed("zstd")) for piece in column.pieces])
        for piece in (*column.pieces, *again.pieces):
            assert (piece.plain is None) is (column is long)
    assert len(short.extend(short).pieces) == 2  # searched in parallel


def test_the_last_of_long_identifiers_are_compressed_if_they_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogue_identifiers, "_PIECE", 8)
    monkeypatch.setattr(catalogue_identifiers, "_LAST", 3)
    for text, count, loose in (
        ("<909611f2d8a855c6@x.example>", 3, True),
        ("4CCDDE6AD7", 3, False),
        ("<long> id" * 3, 2, False),
    ):
        column = identifiers([text] * 8).extend(identifiers([text] * count))
        assert isinstance(column, Identifiers) and column.loose is loose
        tight = column.gathered_up()
        assert not tight.loose and (tight.pieces[-1].plain is None) is loose
        assert tight.gather(pl.Series(range(8 + count), dtype=pl.UInt32)).to_list() == [text] * (8 + count)


_ID = st.text("ab1@.\n\u212a", max_size=14)


@given(st.lists(_ID, max_size=9), st.lists(_ID.filter(bool), min_size=1, max_size=2), st.data())
def test_identifiers_in_groups_are_searched_as_each_alone(
    some: list[str], wanted: list[str], data: st.DataObject
) -> None:
    folded = identifier_forms(_strings(some))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(catalogue_identifiers, "_FRAMING", -10_000)
        piece = Piece.of_packed(Piece(len(some), None, PlainTexts.of(_strings(some), folded)).packed("zstd"))
    column = Identifiers([piece])
    in_groups = all(text.isascii() and "\n" not in text for text in some)
    assert not some or isinstance(piece.searchable(), GroupedTexts) is in_groups
    wanted = [searched(text) for text in wanted]
    expected = [any(needle in searched(text) for needle in wanted) for text in some]
    assert column.find(*wanted).to_list() == expected
    mask = _mask([data.draw(st.booleans()) for _ in some])
    assert (column._narrow(wanted, mask) & mask).to_list() == (_mask(expected) & mask).to_list()
    codes = data.draw(st.lists(st.sampled_from(range(len(some))), max_size=9)) if some else []
    assert column.gather(pl.Series(codes, dtype=pl.UInt32)).to_list() == [some[code] for code in codes]
    found = column.find_among(wanted, pl.Series(codes, dtype=pl.UInt32))
    assert found.to_list() == [expected[code] for code in codes]


def test_nothing_is_found_across_two_identifiers_of_a_group() -> None:
    column = identifiers(["<1@a.example.org>", "<2@a.example.org>", "<3@a.example.org>"])
    assert isinstance(column, Identifiers) and column.pieces[0].plain is None
    for needle in ("\n", "org>\n<2", "\n<3"):
        assert column.find(needle).to_list() == [False] * 3
    assert column.find("\n", "<2").to_list() == [False, True, False]


def test_bytes_that_are_no_piece_are_refused() -> None:
    for wrong in (b"", b"x" * 7):
        with pytest.raises(ValueError, match="identifiers"):
            Piece.of_packed(wrong)
    with pytest.raises(ValueError, match="identifiers"):
        Piece.of_packed(b"\0" * 7 + b"\1no frame").texts()
    packed = identifiers(["<909611f2d8a855c6@x.example>"] * 3).pieces[0].packed("zstd")
    with pytest.raises(ValueError, match="identifiers"):
        Piece.of_packed(b"\0" * 7 + b"\7" + packed[8:]).texts()


def test_case_is_ignored_only_where_folding_ignores_it() -> None:
    column = dictionary(["Kilo", "\u212a", "\u13a0", "É"], ["Kilo", "\u212a", "\u13a0", "É"])
    for line in ("k", "É", "\u13a0", "\uab70"):
        expected = [_contains(text, line) for text in column.texts.to_list()]
        assert column.find(*needles(line)).to_list() == expected


def _by_python(some: list[str]) -> list[str | None]:
    return [None if searched(text) == text else searched(text) for text in some]


def _mask(some: list[bool]) -> pl.Series:
    return pl.Series(some, dtype=pl.Boolean)


def _strings(some: list[str]) -> pl.Series:
    return pl.Series(some, dtype=pl.String)


@pytest.mark.parametrize("around", ["{}", "a{}б {}x", "я{} y {}Σ"])
def test_every_character_is_folded_as_python_does(around: str) -> None:
    some = [around.format(chr(code), chr(code)) for code in range(0x110000) if not 0xD800 <= code < 0xE000]
    assert forms(_strings(some), _strings(some)).to_list() == _by_python(some)


def test_simple_characters_do_not_depend_on_their_neighbours() -> None:
    simple = [chr(code) for first, last in SIMPLE for code in range(first, last + 1) if code < 0x3100]
    some = [f"{one}{other}" for one in simple for other in simple[::7]]
    assert forms(_strings(some), _strings(some)).to_list() == _by_python(some)


@given(st.lists(texts | st.text(), max_size=12), st.lists(texts | st.text(), max_size=12))
def test_columns_are_folded_as_each_text_is(some: list[str], others: list[str]) -> None:
    some, others = some[: len(others)], others[: len(some)]
    assert forms(_strings(some), _strings(others)).to_list() == [
        None if searched(other) == text else searched(other) for text, other in zip(some, others, strict=True)
    ]
    plain = [None if text.isascii() and "\0" not in text else searched(text) for text in some]
    assert identifier_forms(_strings(some)).to_list() == plain
