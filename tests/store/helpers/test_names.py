from __future__ import annotations

import os
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.helpers.file_names import LIMIT, safe_filename
from tests.store.message.hostile import texts


@pytest.mark.parametrize(
    ("claimed", "safe"),
    [
        ("report.pdf", "report.pdf"),
        ("../../etc/passwd\0", "passwd"),
        ("C:\\Windows\\system32\\cmd.exe", "cmd.exe"),
        ("..", "attachment"),
        ("", "attachment"),
        (" . . ", "attachment"),
        ("-rf", "rf"),
        (".bashrc", "bashrc"),
        ("con.txt", "_con.txt"),
        ("NUL", "_NUL"),
        ("invoice\u202efdp.exe", "invoice_fdp.exe"),
        ("a\x1b[2Jb.txt", "a_[2Jb.txt"),
        ("Häsen und Frösche.txt", "Häsen_und_Frösche.txt"),
        ("契約書.docx", "契約書.docx"),
        ("a" * 400 + ".pdf", "a" * (LIMIT - 4) + ".pdf"),
        ("two\nlines.txt", "two_lines.txt"),
        ("$(reboot).sh", "(reboot).sh"),
    ],
)
def test_claimed_names_become_one_harmless_component(claimed: str, safe: str) -> None:
    assert safe_filename(claimed, "attachment") == safe


@given(st.one_of(texts, st.text(st.characters(), max_size=300)))
def test_every_name_is_one_plain_component(claimed: str) -> None:
    name = safe_filename(claimed, "fallback")
    assert 0 < len(os.fsencode(name)) <= LIMIT + 1
    assert name == Path(name).name
    assert name[0] not in ".-~"
    assert not set(name) & set("/\\\0\n\r:*?\"<>|$`&;!#%{}'")
    assert all(unicodedata.category(character)[0] in "LNM" or character in "-_.+()[]@=,~" for character in name)


@given(texts)
def test_the_safe_name_of_a_safe_name_is_itself(claimed: str) -> None:
    name = safe_filename(claimed, "fallback")
    assert safe_filename(name, "other") in (name, name.lstrip("_") or "other")
