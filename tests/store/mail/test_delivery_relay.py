"""The relay's URL: which are accepted, which refused, and that no password is ever shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from store.mail.relay import Relay, parse_relay
from store.terms.errors import RelayError


def test_the_forms_of_a_relay() -> None:
    assert parse_relay("smtp://mx.example.org") == Relay("mx.example.org", 25)
    assert parse_relay(" smtp://127.0.0.1:10026/ ") == Relay("127.0.0.1", 10026)
    assert parse_relay("smtps://mx.example.org?ca=/etc/ca.pem") == Relay(
        "mx.example.org", 465, tls=True, ca=Path("/etc/ca.pem")
    )
    assert parse_relay("smtp://u%40x:p%3Aw@mx.example.org:587?starttls=1") == Relay(
        "mx.example.org", 587, starttls=True, user="u@x", password="p:w"
    )
    assert parse_relay("smtp://[::1]:2525").host == "::1"
    assert parse_relay("smtp://u:p@127.0.0.1").user == "u"


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("", "begin with smtp"),
        ("mx.example.org:25", "begin with smtp"),
        ("http://mx.example.org", "begin with smtp"),
        ("smtp://", "host"),
        ("smtp://:25", "host"),
        ("smtp://mx example.org", "blank"),
        ("smtp://mx.example.org:99999", "port"),
        ("smtp://mx.example.org:x", "port"),
        ("smtp://mx.example.org:0", "port"),
        ("smtp://[::zz]", "host or port"),
        ("smtp://mx.example.org/path", "after the host"),
        ("smtp://mx.example.org?tls=1", "options"),
        ("smtp://mx.example.org?starttls=maybe", "options"),
        ("smtps://mx.example.org?starttls=1", "not both"),
        ("smtp://mx.example.org?ca=/x", "no TLS"),
        ("smtp://secretuser:secretword@mx.example.org", "clear text"),
        ("smtp://secretuser@mx.example.org?starttls=1", "both"),
        ("smtp://a..b", "host"),
    ],
)
def test_a_wrong_relay_is_refused_without_repeating_it(url: str, why: str) -> None:
    with pytest.raises(RelayError, match=why) as caught:
        parse_relay(url)
    assert "secret" not in str(caught.value)


def test_a_relay_shows_no_password() -> None:
    relay = parse_relay("smtp://user:hunter2@[::1]:2525?starttls=1&ca=/etc/ca.pem")
    assert str(relay) == "smtp://user@[::1]:2525?starttls=1&ca=/etc/ca.pem"
    assert "hunter2" not in repr(relay)


def test_a_ca_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(RelayError, match="CA file"):
        parse_relay(f"smtps://mx.example.org?ca={tmp_path / 'none.pem'}").tls_context()
    bad = tmp_path / "bad.pem"
    bad.write_text("not a certificate")
    with pytest.raises(RelayError, match="PEM"):
        parse_relay(f"smtps://mx.example.org?ca={bad}").tls_context()
    assert parse_relay("smtp://mx.example.org").tls_context() is None
