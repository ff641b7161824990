"""A message, its record and a queue of deliveries for the tests of views."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from store.authority.settings import Settings
from store.delivery import leases
from store.delivery.queue import release
from store.mail.outcome import Outcome, State
from store.message.message import summarise
from store.space.changing_settings import change_settings
from store.terms.records import CopyRecord
from store.terms.verdicts import Engine, Status, Verdict
from store.vault.vault import Vault
from tests.tui.console.view_harness import NOW

DAY = 86_400_000
RAW = (
    b"Received: from mail.example by mx1.corp.example; Tue, 24 Nov 2026 09:40:59 +0200\r\n"
    b'From: "Account Service" <service@\xd0\xb0ccounts.example>\r\n'
    b"To: ap@corp.example, boss@corp.example\r\n"
    b"Subject: Your account is limited, confirm within 24 hours\r\n"
    b"Date: Tue, 24 Nov 2026 09:40:00 +0200\r\n"
    b"Message-ID: <a1@mail.example>\r\n"
    b"MIME-Version: 1.0\r\n"
    b"Content-Type: multipart/mixed; boundary=x\r\n\r\n"
    b"--x\r\nContent-Type: text/html; charset=utf-8\r\n\r\n"
    b"<p>Dear customer,</p><p>we noticed unusual activity on your account and limited it. Please confirm who you are "
    b"within 24 hours, or it will be closed for good.</p>"
    b"<span style='display:none'>minutes attached please review</span>"
    b"<p><a href='http://xn--pypal-4ve.example/login?u=1'>https://www.bank.example/login</a></p>\r\n"
    b'--x\r\nContent-Type: application/pdf; name="Invoice.pdf"\r\n'
    b'Content-Disposition: attachment; filename="Invoice.pdf.exe"\r\n'
    b"Content-Transfer-Encoding: base64\r\n\r\n"
    b"TVqQAAMAAAAEAAAA//8AALgAAAAAAAAAQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\r\n--x--\r\n"
)
HOSTILE = (
    b"From: \x1b]0;owned\x07 <x@evil.example>\r\nTo: ap@corp.example\r\n"
    b"Subject: \x1b[2J[@click=app.quit]x[/] [/foo] \xe2\x80\xaegnp.exe\r\n"
    b"X-\x1b[31m: \x9b31m\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
    b"\x1b]52;c;ZXZpbA==\x07[bold red]markup[/] \xe2\x80\x8bhidden\r\n\x1b[31mred\x1b[0m\r\n"
)


def record_of(raw: bytes = RAW, **changes: Any) -> CopyRecord:
    """Make a record with every field filled."""
    recipients = ("ap@corp.example", "boss@corp.example", "hidden@corp.example")
    found = summarise(raw, envelope_sender="bounce@mail.example", envelope_recipients=recipients)
    verdicts = (
        Verdict(Engine.ANTI_SPAM, Status.PROBABLE_SPAM, "score 7.1"),
        Verdict(Engine.ANTI_PHISHING, Status.PHISHING, "look-alike domain"),
        Verdict(Engine.CONTENT, Status.CLEAN),
    )
    values: dict[str, Any] = {
        "verdicts": verdicts,
        "reason": verdicts[1],
        "rule_id": 3,
        "rule_name": "Inbound default",
        "mta_message_id": "4XyZ12abcDz9k",
        "client_address": "203.0.113.9",
        "blacklisted_by": ("ceo@corp.example",),
        "av_database_date": NOW - DAY,
    }
    return msgspec.structs.replace(found, **(values | changes))


def fill_queue(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Make four deliveries at `NOW`: partly sent, deferred, unknown, and queued. Return their ids in that order."""
    monkeypatch.setattr("store.delivery.queue.decides_ms", lambda _db: NOW - 120_000)
    monkeypatch.setattr("store.authority.configuration.now_ms", lambda: NOW - 180_000)
    monkeypatch.setattr("store.authority.audit.now_ms", lambda: NOW - 120_000)
    change_settings(vault, Settings(relay="smtp://127.0.0.1:10025"), operator="root")
    subjects = ("Invoice 88213", "Your account is limited", "CV attached", "Minutes [/foo] \x1b[31m")
    copies = [vault.put(RAW, record_of(subject=subject), stored_at=NOW - DAY) for subject in subjects]
    ids = release(vault, copies, original=True, operator="root").queued
    ok = Outcome(State.SENT, "250 2.0.0 Ok: queued as 4XyZ12abcDz9k")
    outcomes = [
        [ok, ok, Outcome(State.FAILED, "550 5.1.1 <hidden@corp.example>: Recipient address rejected: User unknown")],
        [ok, Outcome(State.DEFERRED, "451 4.7.1 \x1b]0;x\x07 Greylisted, try again in 300 seconds"), ok],
        [Outcome(State.UNKNOWN, "The connection was lost after the message had been sent")] * 3,
    ]
    gateway = vault.keys.gateway
    assert gateway is not None
    with vault.write():
        for held, each in zip(leases.claim(vault, gateway.gateway_id, "x", 3, NOW, 60_000), outcomes, strict=True):
            leases.settle(vault, held, dict(zip(held.live, each, strict=True)), NOW - 5_000)
    return ids
