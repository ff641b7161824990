"""Scanners' header fields count on trusted listeners only."""

from __future__ import annotations

from dataclasses import replace

from store.judging.scanner_headers import HeaderVerdicts
from store.judging.trusted_headers import scanner_verdicts
from store.mail.incoming import Incoming
from store.terms.verdicts import Engine, Status, Verdict

RAW = (
    b"X-Quarantine-ID: <a1B2c3D4e5F6>\r\n"
    b"X-Envelope-From: <true@sender.example>\r\n"
    b"X-Envelope-To: <one@gw.test>, <two@gw.test>\r\n"
    b"X-Amavis-Alert: INFECTED, message contains virus: Eicar-Test-Signature\r\n"
    b"Subject: x\r\n\r\nbody\r\n"
)
INCOMING = Incoming(raw=RAW, sender="", recipients=["virus-quarantine@sink.test"], queue_id="")


def test_a_trusted_listener_takes_the_scanners_word() -> None:
    incoming, found = scanner_verdicts(replace(INCOMING, trusted_headers=True))
    assert found.reason == Verdict(Engine.ANTI_VIRUS, Status.INFECTED, "Eicar-Test-Signature")
    assert (incoming.sender, incoming.recipients) == ("true@sender.example", ["one@gw.test", "two@gw.test"])
    assert incoming.queue_id == "a1B2c3D4e5F6"
    known, _ = scanner_verdicts(replace(INCOMING, trusted_headers=True, queue_id="4hSb1x2CXyz"))
    assert known.queue_id == "4hSb1x2CXyz"


def test_another_listener_takes_nobodys_word() -> None:
    assert scanner_verdicts(INCOMING) == (INCOMING, HeaderVerdicts())


def test_where_the_header_says_nothing_the_envelope_stands() -> None:
    plain = replace(INCOMING, raw=b"Subject: x\r\n\r\nX-Envelope-From: <a@b.test>\r\n", trusted_headers=True)
    assert scanner_verdicts(plain) == (plain, HeaderVerdicts())


def test_a_recipient_that_the_sender_wrote_is_none() -> None:
    forged = RAW.replace(
        b"Subject:", b"X-Envelope-To: <victim@gw.test>\r\nX-Envelope-From: <forged@gw.test>\r\nSubject:"
    )
    incoming, _ = scanner_verdicts(replace(INCOMING, raw=forged, trusted_headers=True))
    assert (incoming.sender, incoming.recipients) == ("true@sender.example", ["one@gw.test", "two@gw.test"])
