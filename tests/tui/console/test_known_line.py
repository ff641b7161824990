"""The line of the message view that says what was known of the sender when the copy was stored."""

from __future__ import annotations

from datetime import UTC

import pytest

from store.terms.findings import Finding, KnownSender
from store.terms.records import Copy, CopyRecord
from tui.console.text.message_lines import copy_lines

LABEL = "Known on arrival"


def text(record: CopyRecord, width: int) -> str:
    lines = copy_lines(Copy(1, 0, 0, record), UTC, width)
    return " ".join(" ".join(span.text for span in line) for line in lines)


@pytest.mark.parametrize("width", [57, 79, 120])
def test_it_tells_what_was_known_and_makes_symbols_safe(width: int) -> None:
    finding = Finding("rspamd", 14.2, 15.0, (("BAD\x1b[31m", 9.0),))
    known = " ".join(text(CopyRecord(findings=(finding,), known=KnownSender(0, 4)), width).split())
    assert LABEL in known and "4 let through before," in known and "\x1b" not in known


def test_without_it_there_is_no_such_line() -> None:
    assert LABEL not in text(CopyRecord(client_address="192.0.2.7"), 120)
