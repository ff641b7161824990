"""Shapes: random parts of a text have the same shape; words chosen by a person do not."""

from __future__ import annotations

import re
import string

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from store.campaigns.shapes import file_shape, host_shape, mark_shape, name_shape, path_shape, program_shape

TOKENS = st.one_of(
    st.integers(0, 10**14).map(str),
    st.uuids().map(str),
    st.text("0123456789abcdef", min_size=12, max_size=40),
    st.text(string.ascii_letters + string.digits, min_size=18, max_size=40).filter(
        lambda text: not re.fullmatch(r"[A-Za-z]{3,15}\d+", text)
    ),
)


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("login", "login"),
        ("Login", "login"),
        ("getUserAccount", "getuseraccount"),
        ("wp-content", "wp-content"),
        ("track2", "track#"),
        ("invoice20261126", "invoice#"),
        ("8f14e45fceea167a", "#"),
        ("dQw4w9WgXcQ", "#"),
        ("xkcdqrtz", "#"),
        ("550e8400-e29b-41d4-a716-446655440000", "#"),
        ("20261126", "#"),
        ("strengthen", "strengthen"),
        ("v2", "v#"),
        ("%41%42", "%%"),
        ("", ""),
    ],
)
def test_name_shape(name: str, shape: str) -> None:
    assert name_shape(name) == shape


@given(st.sampled_from(["/login/", "/wp-content/uploads/", "/c/"]), TOKENS, TOKENS)
def test_random_runs_in_a_path_change_nothing(front: str, one: str, other: str) -> None:
    shapes = {path_shape(f"{front}{token}/index.php?id={token}&lang=en#{token}") for token in (one, other)}
    assert shapes == {f"{front}#/index.php?id&lang"}


WORDS = st.sampled_from(["login", "account", "verify", "secure", "invoice", "tracking", "parcel", "update"])


@given(WORDS, WORDS)
def test_another_word_in_a_path_is_another_shape(one: str, other: str) -> None:
    assume(one != other)
    assert path_shape(f"/{one}/x") != path_shape(f"/{other}/x")


def test_hosts_files_programs_marks() -> None:
    assert host_shape("a7x9k2q.login.example.com", "example.com") == "#.login.example.com"
    assert host_shape("example.com", "example.com") == "example.com"
    assert file_shape("Rechnung_2026-11-26_8842.PDF") == file_shape("rechnung_2025-01-02_17.pdf") == "rechnung_#.pdf"
    assert file_shape("Іnvoіce 3.zip") == file_shape("Invoice 9.zip") != file_shape("Invoice 9.exe")
    assert program_shape("Microsoft Outlook 16.0.5") == program_shape("Microsoft Outlook 15.1") == "microsoft outlook 0"
    assert mark_shape("20261126.aB3-x") == mark_shape("19990101.zz9-q") != mark_shape("20261126-aB3-x")


@given(st.text())
def test_nothing_raises(text: str) -> None:
    for shape in (name_shape, file_shape, path_shape, program_shape, mark_shape):
        assert isinstance(shape(text), str)
