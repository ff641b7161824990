"""The notices, letter by letter."""

from __future__ import annotations

from pathlib import Path

import pytest

from store.terms import notices

SPEC = Path(__file__).resolve().parents[4] / "shared" / "spec" / "backup-help.txt"


def test_one_and_many() -> None:
    assert notices.delivered(1) == "Message has been placed in queue for delivery"
    assert notices.delivered(2) == "Messages have been placed in queue for delivery"
    assert notices.deleted(1) == "Marked message has been deleted"
    assert notices.deleted(1_000_000) == "Marked messages have been deleted"
    assert notices.HIDE == "Hide"


def test_nothing_done_says_nothing() -> None:
    assert notices.delivered(0) == ""
    assert notices.deleted(0) == ""


@pytest.mark.skipif(not SPEC.is_file(), reason="the spec's text is not beside this checkout (../shared/spec)")
def test_the_spec_says_the_same() -> None:
    spec = SPEC.read_text(encoding="utf-8")
    for line in (notices.delivered(1), notices.delivered(2), notices.deleted(1), notices.deleted(2)):
        assert f"The {line} message appears in the list of message copies in Backup." in spec
    assert f"click the {notices.HIDE} link" in spec
