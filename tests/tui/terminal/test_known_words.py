"""What was known of a copy's sender when it was stored, in words."""

from __future__ import annotations

import pytest

from store.terms.findings import Finding, KnownSender
from store.terms.records import CopyRecord
from tui.terminal.known_words import known_words


@pytest.mark.parametrize(
    ("record", "words"),
    [
        (CopyRecord(), ""),
        (CopyRecord(client_address="192.0.2.7"), ""),
        (CopyRecord(known=KnownSender()), "sender: none let through before, nobody here wrote to it"),
        (
            CopyRecord(known=KnownSender(2000, 0, 2000, 0, 1)),
            "sender: 2,000 let through before (authenticated), 1 message was sent to it from here",
        ),
        (
            CopyRecord(findings=(Finding("clamd", symbols=(("Eicar", None),)), Finding("rspamd", -1.0, None, ()))),
            "clamd: Eicar; rspamd score -1.0",
        ),
        (
            CopyRecord(findings=(Finding("spamd", 7.0, 5.0, tuple((f"S{n}", 1.0) for n in range(6))),)),
            "score 7.0 of 5.0: S0 S1 S2 S3 …",
        ),
        (CopyRecord(client_name="mx.example.net"), "client mx.example.net"),
    ],
)
def test_what_was_known_in_words(record: CopyRecord, words: str) -> None:
    assert known_words(record) == words
