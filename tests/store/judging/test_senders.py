"""The sender of a message, how it is authenticated, and what the message adds to the counters."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.judging import senders
from store.judging.authentication import authentication_of, read_results
from store.judging.engines.engine import EngineResult
from store.judging.known_senders import added_by, asked_for, known_sender, told_of
from store.judging.senders import Sender, sender_of
from store.mail.header_fields import header_of
from store.mail.incoming import Incoming
from store.mail.local_domains import LocalDomains
from store.sealing.counting import DOMAIN, RECIPIENT, SENDER, Count
from store.terms.findings import Authentication, KnownSender, heaviest, speaks_for

LOCAL = LocalDomains(("corp.example",))
ANNA = Sender("anna@example.net", "example.net")
NONE = Sender("", "")


def message(*fields: str) -> bytes:
    return "\r\n".join((*fields, "", "From: body@no.example")).encode()


@pytest.mark.parametrize(
    ("field", "found"),
    [
        ("From: anna@example.net", ANNA),
        ("From: Anna <Anna@EXAMPLE.net>", ANNA),
        ('from :\r\n "Anna, A." <anna@example.net>', ANNA),
        ("From: =?utf-8?q?A=2C?= <anna@example.net>, bert@other.example", ANNA),
        ("From: =?utf-8?q?bert=40other.example?= <anna@example.net>", ANNA),
        ('From: "bert@other.example" <anna@example.net>', ANNA),
        ("From: anna@ex\u00e4mple.net", Sender("anna@xn--exmple-cua.net", "xn--exmple-cua.net")),
        ("From: nobody", Sender("env@lope.example", "lope.example")),
        ("Subject: From: bert@other.example", Sender("env@lope.example", "lope.example")),
        ("X: y\r\n From: bert@other.example", Sender("env@lope.example", "lope.example")),
        ("From: anna@example.net\r\nFrom: bert@other.example", ANNA),
    ],
)
def test_the_sender_is_who_the_reader_sees(field: str, found: Sender) -> None:
    assert sender_of(message("Received: x", field, "To: y@z"), "env@lope.example") == found


@pytest.mark.parametrize(
    ("field", "automatic"),
    [
        ("Auto-Submitted: auto-replied", True),
        ("auto-submitted: no", False),
        ("Precedence: bulk", True),
        ("Precedence: first-class", False),
        ("X-Precedence: bulk", False),
    ],
)
def test_what_no_person_wrote(field: str, automatic: bool) -> None:
    assert sender_of(message("From: anna@example.net", field)) == ANNA._replace(automatic=automatic)


@given(st.binary(max_size=300), st.text(max_size=40))
def test_no_message_makes_it_raise(raw: bytes, sender: str) -> None:
    for each in (raw, b"From: " + raw, b"From: =?utf-8?q?" + raw + b"?= <a@b.c>\n\n"):
        found = sender_of(each, sender)
        assert bool(found.address) == bool(found.domain)
    read_results(raw.decode("latin-1"))


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (
            "mx.corp.example 1; dkim=pass (2048-bit key) header.d=example.net header.i=@example.net; spf=Fail",
            (("dkim", "pass", "example.net"), ("spf", "fail", "")),
        ),
        ("mx.corp.example; dmarc=pass header.from=Example.NET", (("dmarc", "pass", "example.net"),)),
        ("mx.corp.example;\n spf=pass smtp.mailfrom=<anna@example.net>", (("spf", "pass", "anna@example.net"),)),
        ("mx.corp.example; none", ()),
        ("", ()),
    ],
)
def test_a_field_of_results_is_read(value: str, found: tuple[tuple[str, str, str], ...]) -> None:
    assert read_results(value) == tuple(Authentication(*each, "mx.corp.example") for each in found)


@pytest.mark.parametrize(
    ("method", "result", "identity", "speaks"),
    [
        ("dkim", "pass", "example.net", True),
        ("dkim", "pass", "mail.example.net", True),
        ("spf", "pass", "bounce@news.example.net", True),
        ("dmarc", "pass", "example.net", True),
        ("dkim", "fail", "example.net", False),
        ("dkim", "pass", "example.org", False),
        ("dkim", "pass", "", False),
        ("arc", "pass", "example.net", False),
        ("auth", "pass", "anna@example.net", False),
    ],
)
def test_only_what_is_of_the_same_organisation_speaks_for_a_domain(
    method: str, result: str, identity: str, speaks: bool
) -> None:
    assert speaks_for([Authentication(method, result, identity, "mx")], "example.net") is speaks


def test_engines_symbols_authenticate_where_no_field_does() -> None:
    incoming = Incoming(b"", "bounce@lists.example", [])
    names = ("R_SPF_ALLOW", "R_DKIM_ALLOW", "DMARC_POLICY_ALLOW", "MIME_GOOD")
    rspamd = EngineResult(True, symbols=tuple((name, -0.2) for name in names))
    found = authentication_of(incoming, {"rspamd": rspamd}, "example.net")
    assert found == (
        Authentication("spf", "pass", "lists.example", "rspamd"),
        Authentication("dkim", "pass", "", "rspamd"),
        Authentication("dmarc", "pass", "example.net", "rspamd"),
    )
    assert speaks_for(found, "example.net") and not speaks_for(found[:2], "example.net")
    field = EngineResult(True, authentication=(Authentication("dmarc", "fail", "example.net", "mx"),))
    both = authentication_of(incoming, {"rspamd": rspamd, "header fields": field}, "example.net")
    assert [(each.method, each.result) for each in both] == [("dmarc", "fail"), ("spf", "pass"), ("dkim", "pass")]


def added(raw: bytes, sender: str, recipients: list[str], **more: Any) -> dict[tuple[str, str], bool]:
    incoming = Incoming(raw, sender, recipients, **more)
    return dict(added_by(incoming, told_of(incoming, {}, LOCAL), LOCAL))


def test_a_message_from_outside_counts_its_sender() -> None:
    assert added(message("From: anna@example.net"), "bounce@example.net", ["bob@corp.example"]) == {
        (SENDER, "anna@example.net"): False,
        (DOMAIN, "example.net"): False,
    }


def test_a_message_of_a_person_here_counts_whom_it_goes_to() -> None:
    raw = message("From: bob@corp.example")
    to = ["Anna@example.net", "carl@corp.example", "no address"]
    written = {(RECIPIENT, "anna@example.net")}
    for more, counted in (
        ({}, written),
        ({"sender": "bob@other.example"}, set()),
        ({"sender": "bob@other.example", "auth_user": "bob"}, written),
        ({"sender": "", "auth_user": "bob"}, set()),
        ({"raw": message("From: bob@corp.example", "Auto-Submitted: auto-replied")}, set()),
        ({"raw": message("From: anna@example.net")}, set()),
    ):
        found = added(**{"raw": raw, "sender": "bob@corp.example", "recipients": to, **more})  # type: ignore[arg-type]
        assert {key for key in found if key[0] == RECIPIENT} == counted, more


def test_who_logged_in_speaks_for_domains_here_alone() -> None:
    for raw, authenticated in ((message("From: bob@corp.example"), True), (message("From: anna@example.net"), False)):
        found = added(raw, "bob@corp.example", [], auth_user="bob")
        assert set(found.values()) == {authenticated}


def test_counters_are_told_in_whole_messages() -> None:
    assert [kind for kind, _ in asked_for(ANNA)] == [SENDER, DOMAIN, RECIPIENT]
    counts = [Count(1, 0.01, 3.9999), Count(1, 2.0000000001, 5), Count(1, 0.2, 0.3)]
    assert known_sender(counts) == KnownSender(1, 4, 2, 5, 1)
    assert known_sender([Count(1)] * 3) == KnownSender()


def test_the_heaviest_symbols_are_kept() -> None:
    found = heaviest([(f"S{number}", number / 3) for number in range(100)] + [("NEGATIVE", -99.123), ("NAMED", None)])
    assert found[0] == ("NEGATIVE", -99.12) and found[1] == ("S99", 33.0)
    assert len(found) == 32


@given(
    st.from_regex(r"[ \t]?[A-Za-z0-9._+=&'/-]{1,66}@[A-Za-z0-9.-]{1,20}(\r?\n [a-z@]{1,3})?[ ,;<>]?", fullmatch=True)
)
def test_a_bare_address_is_read_alike_by_the_short_way(value: str) -> None:
    raw = message(f"From:{value}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(senders, "_BARE", re.compile("(?!)"))
        expected = sender_of(raw)
    assert sender_of(raw) == expected


@given(st.lists(st.sampled_from(["From: a@b.example", "x", " y", "Precedence: bulk", "A: " + "a" * 40_000])))
def test_a_header_that_the_caller_has_gives_the_same_sender(lines: list[str]) -> None:
    raw = "\r\n".join(lines).encode()
    assert sender_of(raw, "e@f.example", header_of(raw)) == sender_of(raw, "e@f.example")
