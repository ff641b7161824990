"""Verdicts and envelope from scanners' header fields."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.judging.scanner_headers import HEADER_LIMIT, verdicts_from_headers
from store.judging.scanner_words import GRAVITY, gravest, one_an_engine, verdict_of_signature
from store.terms.verdicts import Engine, Status, Verdict

CLEAN_AV = (Engine.ANTI_VIRUS, Status.CLEAN)
SPAM, PROBABLE = (Engine.ANTI_SPAM, Status.SPAM), (Engine.ANTI_SPAM, Status.PROBABLE_SPAM)
CLEAN, BULK = (Engine.ANTI_SPAM, Status.CLEAN), (Engine.ANTI_SPAM, Status.MASSMAIL)
LISTED = (Engine.ANTI_SPAM, Status.BLACKLISTED)
INFECTED = (Engine.ANTI_VIRUS, Status.INFECTED)


def found(header: str) -> list[tuple[Engine, Status]]:
    return [(verdict.engine, verdict.status) for verdict in verdicts_from_headers(header.encode()).verdicts]


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("Subject: X-Spam-Flag: YES\n", []),
        ("X-Spam-Flag: YES\n", [SPAM]),
        ("X-Spam-Flag: NO\n", [CLEAN]),
        ("x-spam-flag:yes\n", [SPAM]),
        ("X-Spam-Status: Yes, score=12.3 required=5.0 tests=BAYES_99,HTML_MESSAGE autolearn=no\n", [SPAM]),
        ("X-Spam-Status: Yes,\n score=8.1\n tag=2\n tag2=6\n kill=6.9\n tests=[A=1.2]\n", [SPAM]),
        ("X-Spam-Status: Yes,\n score=6.5\n tag=2\n tag2=6\n kill=6.9\n tests=[A=1.2]\n", [PROBABLE]),
        ("X-Spam-Status: Yes,\n score=64\n tag=2\n tag2=6\n kill=6\n BLACKLISTED\n tests=[]\n", [LISTED]),
        ("X-Spam-Status: Yes,\n score=9\n tag=2\n tag2=6\n kill=6\n WHITELISTED\n tests=[]\n", [CLEAN]),
        ("X-Spam-Status: Yes, score=105 required=5 tests=USER_IN_BLOCKLIST,BAYES_50 autolearn=no\n", [LISTED]),
        ("X-Spam-Status: No, score=-2.6 required=3.0 tests=BAYES_00\n\tautolearn=ham\n", [CLEAN]),
        ("X-Spam-Status: No, score=x tag=2 tag2=5 kill=6.9 tests=[]\n", [(Engine.ANTI_SPAM, Status.NOT_SCANNED)]),
        ("X-Spam-Status: unknown words\n", []),
        ("X-Spam-Level: ****\n", [CLEAN]),
        ("X-Spam-Level: *****\n", [PROBABLE]),
        ("X-Spam-Level: " + "*" * 15 + "\n", [SPAM]),
        ("X-Spam-Level: ****************\nX-Spam-Status: No, score=1 required=50\n", [CLEAN]),
        ("X-Spamd-Result: default: True [15.10 / 15.00];\n\tGTUBE(0.00)[];\n\tR_SPF_NA(0.00)[]\n", [SPAM]),
        ("X-Spamd-Result: default: False [7.20 / 15.00];\n\tX(1.00)[]\nX-Spam: Yes\n", [PROBABLE]),
        ("X-Spamd-Result: default: False [7.20 / 15.00];\n\tX(1.00)[]\nX-Rspamd-Action: add header\n", [PROBABLE]),
        ("X-Spamd-Result: default: False [1.20 / 15.00];\n\tPRECEDENCE_BULK(0.00)[]\n", [CLEAN]),
        ("X-Spamd-Result: default: True [16.20 / 15.00];\n\tPRECEDENCE_BULK(0.00)[]\n", [BULK]),
        ("X-Spamd-Result: default: True [16.2 / 15.0];\n\tBLACKLIST_FROM(10.00)[a@example.com]\n", [LISTED]),
        (
            "X-Spamd-Result: default: False [8.00 / 15.00];\n\tPHISHING(4.00)[a.example->b.example]\nX-Spam: Yes\n",
            [(Engine.ANTI_PHISHING, Status.PHISHING), PROBABLE],
        ),
        (
            "X-Spamd-Result: default: True [18.00 / 15.00];\n\tMALICIOUS_LINK(8.00)[x.example]\n",
            [(Engine.ANTI_PHISHING, Status.MALICIOUS_LINK), SPAM],
        ),
        # The option in brackets is the sender's text, not a symbol.
        ("X-Spamd-Result: default: False [0.00 / 15.00];\n\tSUBJ(0.00)[PHISHING(, MALICIOUS_LINK]\n", [CLEAN]),
        ("X-Rspamd-Action: reject\n", [SPAM]),
        ("X-Rspamd-Action: no action\n", [CLEAN]),
        ("X-Virus: Eicar-Test-Signature\n", [INFECTED]),
        ("X-Virus: no\n", []),
        ("X-Virus: Heuristics.Encrypted.Zip\n", [(Engine.ANTI_VIRUS, Status.ENCRYPTED)]),
        ("X-Virus-Status: Clean\n", [CLEAN_AV]),
        ("X-Virus-Status: Infected (Win.Test.EICAR_HDB-1)\n", [INFECTED]),
        ("X-Virus-Status: Infected with PUA.Win.Tool.X-1\n", [(Engine.ANTI_VIRUS, Status.PROBABLY_INFECTED)]),
        ("X-Virus-Status: Infected\n", [INFECTED]),
        ("X-Virus-Status: Not Scanned\n", [(Engine.ANTI_VIRUS, Status.NOT_SCANNED)]),
        ("X-Virus-Status: Scanned by someone\n", []),
        ("X-Amavis-Alert: INFECTED, message contains virus: A.B-1, C.D-2\n", [INFECTED]),
        (
            "X-Amavis-Alert: BANNED, message contains .exe,.exe-ms,invoice.pdf.exe\n",
            [(Engine.CONTENT, Status.BANNED_FILE_NAME)],
        ),
        (
            "X-Amavis-Alert: BANNED, message contains application/octet-stream,.exe,.exe-ms\n",
            [(Engine.CONTENT, Status.BANNED_FILE_FORMAT)],
        ),
        ('X-Amavis-Alert: BAD HEADER SECTION, Duplicate header field: "References"\n', []),
        # Scanners write at the top: the topmost field is theirs.
        ("X-Spam-Flag: YES\nX-Spam-Flag: NO\n", [SPAM]),
    ],
)
def test_each_field_gives_its_verdict(header: str, expected: list[tuple[Engine, Status]]) -> None:
    assert found(header) == expected
    assert found(header.replace("\n", "\r\n")) == expected
    assert found("From someone Mon Nov 23 10:00:00 2026\nReceived: x\n" + header + "Subject: y\n") == expected


def test_detail_keeps_the_scanners_words() -> None:
    result = verdicts_from_headers(b"X-Virus: Win.Trojan.Agent-1\nX-Spam-Status: Yes, score=12.3 required=5\n")
    assert [verdict.detail for verdict in result.verdicts] == ["Win.Trojan.Agent-1", "score 12.3"]
    assert result.reason == Verdict(Engine.ANTI_VIRUS, Status.INFECTED, "Win.Trojan.Agent-1")


def test_one_verdict_an_engine_and_the_gravest_is_the_reason() -> None:
    header = (
        b"X-Amavis-Alert: INFECTED, message contains virus: Heuristics.Encrypted.Zip, Win.Worm.X-1\n"
        b"X-Amavis-Alert: BANNED, message contains .zip,a.zip\nX-Spam-Flag: YES\n"
    )
    result = verdicts_from_headers(header)
    assert [(v.engine, v.status) for v in result.verdicts] == [
        INFECTED,
        (Engine.CONTENT, Status.BANNED_FILE_NAME),
        SPAM,
    ]
    assert result.reason is not None and result.reason.status is Status.INFECTED


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("Eicar-Test-Signature", Status.INFECTED),
        ("Win.Trojan.Emotet-7577-0", Status.INFECTED),
        ("Heuristics.Encrypted.PDF", Status.ENCRYPTED),
        ("Heuristics.Broken.Executable", Status.CORRUPTED),
        ("Heuristics.Phishing.Email.SpoofedDomain", Status.PHISHING),
        ("Heuristics.OLE2.ContainsMacros", Status.PROBABLY_INFECTED),
        ("PUA.Win.Packer.Upx-1", Status.PROBABLY_INFECTED),
    ],
)
def test_signature_names(name: str, status: Status) -> None:
    verdict = verdict_of_signature(name)
    assert verdict.status is status and verdict.detail == name
    assert verdict.engine is (Engine.ANTI_PHISHING if status is Status.PHISHING else Engine.ANTI_VIRUS)


def test_gravity_ranks_every_status_that_condemns() -> None:
    assert set(GRAVITY) == set(Status) - {Status.CLEAN, Status.NOT_SCANNED}
    assert gravest([Verdict(Engine.ANTI_VIRUS, Status.CLEAN)]) is None
    clean, bad = Verdict(Engine.ANTI_VIRUS, Status.CLEAN), Verdict(Engine.ANTI_VIRUS, Status.INFECTED)
    assert one_an_engine([clean, bad, clean]) == (bad,)


def test_envelope() -> None:
    header = (
        b"Return-Path: <>\nDelivered-To: spam-quarantine\nX-Envelope-From: <a@example.com>\n"
        b"X-Envelope-To: <b@example.org>,\n <c@example.org>\nX-Quarantine-ID: <yBqk2v3o-ZxQ>\n"
    )
    result = verdicts_from_headers(header)
    assert result.envelope_sender == "a@example.com"
    assert result.envelope_recipients == ("b@example.org", "c@example.org")
    assert result.mta_message_id == "yBqk2v3o-ZxQ"


def test_only_those_that_were_blocked_are_recipients() -> None:
    header = b"X-Envelope-To: <b@example.org>, <c@example.org>\nX-Envelope-To-Blocked: <c@example.org>\n"
    assert verdicts_from_headers(header).envelope_recipients == ("c@example.org",)


@pytest.mark.parametrize(
    ("header", "sender"),
    [
        (b"X-Envelope-From: <>\n", ""),
        (b"X-Envelope-From: a@example.com\n", "a@example.com"),
        (b"Return-Path: <a@example.com>\n", "a@example.com"),
        (b"X-Envelope-From: two words\n", None),
        (b"Subject: x\n", None),
    ],
)
def test_sender(header: bytes, sender: str | None) -> None:
    assert verdicts_from_headers(header).envelope_sender == sender


def test_queue_id_is_the_mtas_not_the_scanners() -> None:
    header = (
        b"X-Quarantine-ID: <gE2exo-xEcIF>\n"
        b"Received: from mx.example.org by localhost (amavisd-new, port 10024) with ESMTP id gE2exo-xEcIF;\n"
        b"Received: from a.example ([192.0.2.7])\n\tby mx.example.org (Postfix) with ESMTPS id 4cGk2v3xQzz9sWF\n"
    )
    assert verdicts_from_headers(header).mta_message_id == "4cGk2v3xQzz9sWF"
    assert verdicts_from_headers(b"X-Rspamd-Queue-Id: ABCDEF\n" + header).mta_message_id == "ABCDEF"


def test_database_date() -> None:
    header = b"X-Virus-Scanned: scanner 1.4.1/27819/Mon Nov 23 09:41:10 2026 on mx1.example.org\n"
    assert verdicts_from_headers(header).av_database_date == 1795426870000
    assert verdicts_from_headers(header.replace(b"Nov 23", b"Foo 99")).av_database_date == 0


@pytest.mark.parametrize(
    "before",
    [
        b"Subject: x\r\n\r\n",
        # The view has always shown this as body, and a verdict was once read from it.
        b"\n",
        b"\r\n",
        b"Subject: x\nno field\n",
        b"Subject: x\nna\0me: y\n",
        b"Subject: x\nna me: y\n",
        b"n\xe4me: y\n",
        b" nothing to go on with\n",
        b"Subject: x\r\r",
        b"A: " + b"a" * HEADER_LIMIT + b"\n",
    ],
)
def test_a_field_in_the_body_is_not_read(before: bytes) -> None:
    assert verdicts_from_headers(before + b"X-Spam-Flag: YES\r\n").verdicts == ()
    assert verdicts_from_headers(before + b"X-Spam-Flag: YES\r").verdicts == ()


_NAMES = """X-Spam-Status X-Spam-Flag X-Spam-Level X-Spamd-Result X-Rspamd-Action X-Virus X-Virus-Status X-Virus-Scanned
X-Amavis-Alert X-Quarantine-ID X-Envelope-From X-Envelope-To X-Envelope-To-Blocked Return-Path Received"""
_WORDS = "Yes No INFECTED, BANNED, True [1 / 2]; score= kill= tests=[ ( ) < > /1/ id yes,"
_names = st.sampled_from(_NAMES.split())
_words = st.sampled_from(_WORDS.split())


@given(st.lists(st.tuples(_names, st.lists(_words | st.text(string.printable), max_size=6)), max_size=8))
def test_no_header_raises(fields: list[tuple[str, list[str]]]) -> None:
    header = "".join(f"{name}: {' '.join(words)}\n" for name, words in fields).encode()
    result = verdicts_from_headers(header)
    assert len({verdict.engine for verdict in result.verdicts}) == len(result.verdicts)


@given(st.binary(max_size=400))
def test_no_bytes_raise(data: bytes) -> None:
    verdicts_from_headers(data)
    verdicts_from_headers(b"X-Spam-Status:" + data + b"\nX-Envelope-To:" + data)


def test_scores_symbols_and_results_are_read() -> None:
    found = verdicts_from_headers(
        b"Authentication-Results: mx.corp.example; spf=pass smtp.mailfrom=example.net\n"
        b"X-Spamd-Result: default: True [15.10 / 15.00];\n\tGTUBE(0.00)[];\n\tR_SPF_NA(-1.50)[no, X(9.00)]\n"
        b"Authentication-Results: mx.corp.example; dkim=pass header.d=example.net\n\n"
    )
    assert (found.score, found.required) == (15.1, 15.0)
    assert found.symbols == (("R_SPF_NA", -1.5), ("GTUBE", 0.0))
    assert [(each.method, each.identity) for each in found.authentication] == [("spf", "example.net")]
    found = verdicts_from_headers(b"X-Spam-Status: Yes, score=12.3 required=5.0 tests=[BAYES_99=3.5,HTML_MESSAGE]\n\n")
    assert (found.score, found.required) == (12.3, 5.0)
    assert found.symbols == (("BAYES_99", 3.5), ("HTML_MESSAGE", None))
    assert verdicts_from_headers(b"X-Spam-Status: No, score=x tests=[]\n\n").score is None
