"""The relay's password is not shown, and survives edits around it."""

from __future__ import annotations

import pytest

from tui.console.text.relay_text import masked, unmasked


@pytest.mark.parametrize(
    ("relay", "shown"),
    [
        ("", ""),
        ("smtp://127.0.0.1:25", "smtp://127.0.0.1:25"),
        ("smtp://user:se:cr/et@mx.example:587?starttls=1", "smtp://user:••••@mx.example:587?starttls=1"),
    ],
)
def test_masking(relay, shown):
    assert masked(relay) == shown
    assert unmasked(shown, relay) == relay


def test_an_edit_beside_the_password_keeps_it():
    relay = "smtps://user:secret@mx.example:465"
    assert unmasked("smtps://user:••••@mx.example:466", relay) == "smtps://user:secret@mx.example:466"
    assert unmasked("smtps://user:other@mx.example:465", relay) == "smtps://user:other@mx.example:465"
