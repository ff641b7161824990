"""Sizes: the spec's figures, and that displayed sizes can be entered again."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from store.terms.errors import SettingError
from store.terms.sizes import GIB, KIB, MAX_SIZE, MIB, TIB, format_size, megabytes, parse_size

SIZES = st.one_of(st.integers(0, 5000), st.integers(0, 20 * GIB), st.integers(0, MAX_SIZE))


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("7.32 GB", 7500 * MIB),
        ("7.32GB", 7500 * MIB),
        ("7500 MiB", 7500 * MIB),
        ("7,500 MB", 7500 * MIB),
        ("100MB", 100 * MIB),
        ("100m", 100 * MIB),
        (" 1.5 gb ", 1536 * MIB),
        ("0.5 KB", 512),
        ("0.1 GB", 100 * MIB),
        ("2 TiB", 2 * TIB),
        ("104857600 bytes", 100 * MIB),
        ("104857600B", 100 * MIB),
        ("104857600", None),
        ("200", None),
        ("1", None),
        ("1 byte", 1),
        ("512 bytes", 512),
        ("0", 0),
        ("7.5", None),
        ("00", 0),
        ("7,32 GB", 7500 * MIB),
        ("7,5GB", 7680 * MIB),
        ("0,5 KB", 512),
        ("7,5", None),
        ("7,3200 GB", None),
        ("1,2,3 GB", None),
        ("1.234,5 GB", None),
        ("-1", None),
        ("1e9", None),
        ("", None),
        ("GB", None),
        ("1 GBit", None),
        ("1.5.5 GB", None),
        ("٣ GB", None),
        ("9" * 19 + " TB", None),
        ("1" * 5000, None),
    ],
)
def test_parse(text: str, size: int | None) -> None:
    if size is None:
        with pytest.raises(SettingError):
            parse_size(text)
    else:
        assert parse_size(text) == size


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (7500 * MIB, "7.32 GB"),
        (100 * MIB, "100 MB"),
        (0, "0 bytes"),
        (1, "1 byte"),
        (1023, "1023 bytes"),
        (KIB, "1 KB"),
        (12 * KIB + 512, "12.5 KB"),
        (GIB - 1, "1 GB"),
        (5 * TIB, "5 TB"),
        (-MIB, "-1 MB"),
    ],
)
def test_format(size: int, text: str) -> None:
    assert format_size(size) == text


@given(SIZES)
@example(7500 * MIB)
@example(MIB - 1)
def test_what_is_shown_can_be_given_back(size: int) -> None:
    shown = format_size(size)
    parsed = parse_size(shown)
    assert format_size(parsed) == shown
    assert abs(parsed - size) <= size / 100


@pytest.mark.parametrize(
    ("text", "size"), [("200", 200 * MIB), ("7.5", 7680 * 1024), ("7,500", 7500 * MIB), ("0", 0), ("200 bytes", 200)]
)
def test_a_field_that_says_its_unit_takes_a_number_alone(text: str, size: int) -> None:
    assert parse_size(text, unit=MIB) == size


def test_a_number_alone_is_refused_with_what_to_write() -> None:
    """200 in Backup maximum size once meant 200 bytes, and deleted 398 of 400 copies."""
    with pytest.raises(SettingError, match=r"200 has no unit.*Write 200MB, 200GB or 200bytes\."):
        parse_size("200")


@given(SIZES)
@example(7500 * MIB)
@example(7500 * MIB + 1)
@example(MIB // 4)
def test_a_size_in_a_field_comes_back_to_the_byte(size: int) -> None:
    assert parse_size(megabytes(size), unit=MIB) == size


def test_whole_megabytes_stand_in_a_field_without_a_unit() -> None:
    assert [megabytes(size) for size in (7500 * MIB, 12 * MIB + MIB // 4, 0, 512 * KIB)] == [
        "7500",
        "12.25",
        "0",
        "0.5",
    ]
    assert megabytes(12 * KIB + 512) == "12.5 KB"
    assert megabytes(7500 * MIB + 1) == "7864320001 bytes"


@given(st.text(max_size=30))
def test_any_text_is_a_size_or_a_clear_error(text: str) -> None:
    try:
        assert 0 <= parse_size(text) <= MAX_SIZE
    except SettingError as error:
        assert "Write" in str(error)
