from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.message.links import defang, examine, host_warning, links_in_text, read_url
from store.message.message import parse_message
from store.terms.hosts import punycode
from tests.store.message.hostile import texts


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("http://example.org/a", "example.org"),
        ("HTTP://EXAMPLE.org:8080?x", "example.org"),
        ("https:\\\\example.org\\a", "example.org"),
        ("https:example.org/a", "example.org"),
        ("https:////example.org", "example.org"),
        ("//example.org/a", "example.org"),
        (" \x01http://exa\nmple\t.org", "example.org"),
        ("http://bank.example@evil.example/", "evil.example"),
        ("http://bank.example:x@evil.example:1/", "evil.example"),
        ("http://bank.example\\@evil.example", "bank.example"),
        ("http://%65vil.example/", "evil.example"),
        ("http://evil。example/", "evil.example"),
        ("http://ｅvil.example/", "evil.example"),
        ("http://bücher.example/", "xn--bcher-kva.example"),
        ("mailto:Ann@Example.org?subject=x", "example.org"),
        ("javascript:alert(1)//example.org", ""),
        ("/path/only", ""),
        ("http://[::1]/", "[::1]"),
        ("", ""),
    ],
)
def test_the_host_is_the_one_that_a_browser_goes_to(url: str, host: str) -> None:
    assert read_url(url).ascii_host == host


@pytest.mark.parametrize(
    ("text", "url", "mismatch"),
    [
        ("www.bank.example", "https://evil.example/www.bank.example", True),
        ("https://bank.example/login", "https://bank.example.evil.example/login", True),
        ("bank.example", "https://www.bank.example/", False),
        ("https://bank.example", "https://login.bank.example/", False),
        ("login.bank.example", "https://bank.example/", True),
        ("ann@example.org", "mailto:ann@example.org", False),
        ("ann@example.org", "mailto:eve@evil.example", True),
        ("Click here", "https://evil.example/", False),
        ("Visit bank.example now", "https://evil.example/", True),
        ("https://bank.example", "javascript:alert(1)", True),
        ("pаypal.example", "https://paypal.example/", True),
        ("e.g. this", "https://example.org/", False),
        ("invoice.pdf", "https://example.org/", False),
        ("http://invoice.pdf/", "https://example.org/", True),
        ("version 2.10", "https://example.org/", False),
    ],
)
def test_text_that_names_another_host_is_a_mismatch(text: str, url: str, mismatch: bool) -> None:
    assert examine(text, url).mismatch is mismatch


@pytest.mark.parametrize(
    ("url", "word"),
    [
        ("http://bank.example@evil.example/", "before @"),
        ("http://3232235777/", "number"),
        ("http://0x7f.1/", "number"),
        ("http://[::1]/", "number"),
        ("javascript:x()", "not a web address"),
        ("data:text/html,x", "not a web address"),
        ("http://example.org:8443/", "port 8443"),
        ("http://%65xample.org/", "percent-encoded and reads example.org"),
        ("http://xn--80ak6aa92e.com/", "only look Latin"),
        ("http://pаypal.com/", "Cyrillic and Latin"),
        ("http://bücher.example/", "bücher"),
    ],
)
def test_what_is_odd_about_a_target_is_said(url: str, word: str) -> None:
    assert word in examine("x", url).reason


def test_a_link_without_an_end_is_cut_and_says_so() -> None:
    link = examine("x", "http://a.example/" + "y" * 10_000)
    assert (len(link.target), link.reason) == (4096, "10,017 characters long: cut")


def test_an_ordinary_link_has_nothing_odd() -> None:
    link = examine("Read more", "https://www.example.org/a/b?c=d@e#f")
    assert (link.mismatch, link.punycode, link.reason) == (False, None, "")


def test_hosts_that_are_not_ascii_show_their_punycode() -> None:
    assert punycode("example.org") is None
    assert punycode("bücher.example") == "xn--bcher-kva.example"
    assert punycode("XN--BCHER-KVA.example") == "xn--bcher-kva.example"
    assert examine("x", "http://bücher.example/").punycode == "xn--bcher-kva.example"
    assert host_warning("例え.example") == ""
    assert host_warning("日本のテスト.example") == ""
    assert host_warning("bücher.example") == ""
    assert host_warning("αpple.example") != ""


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://evil.example/a.php?x=1.2", "hxxp://evil[.]example/a.php?x=1.2"),
        ("HTTPS://Evil.Example", "hxxps://Evil[.]Example"),
        ("ftp://f.example", "fxp://f[.]example"),
        ("www.evil.example/x", "www[.]evil[.]example/x"),
        ("mailto:eve@evil.example", "mailto:eve[@]evil[.]example"),
        ("javascript:alert(1)", "javascript[:]alert(1)"),
        ("http://a@evil.example/?u=http://b.example", "hxxp://a[@]evil[.]example/?u=http[://]b.example"),
        ("ht\ntp://evil.example", "hxxp://evil[.]example"),
    ],
)
def test_defanged_links_are_links_no_more(url: str, shown: str) -> None:
    assert defang(url) == shown


@given(st.one_of(texts, texts.map("http://".__add__), st.text(max_size=40).map("https://a@b.example".__add__)), texts)
def test_any_text_can_be_examined(url: str, text: str) -> None:
    link = examine(text, url)
    assert not re.match(r"(?i)\s*(?:https?|ftp|javascript|data|file)\s*:", link.defanged)
    assert host_warning(read_url(url).host) is not None


def test_urls_in_text_are_found_once_and_limited() -> None:
    text = "see http://a.example/x, (https://b.example) and http://a.example/x. www.c.example!"
    assert [link.target for link in links_in_text(text, 10)] == [
        "http://a.example/x",
        "https://b.example",
        "http://www.c.example",
    ]
    assert len(links_in_text(text, 2)) == 2


def test_links_in_an_invitation_are_links_of_the_message() -> None:
    raw = (
        b"Content-Type: text/calendar; method=REQUEST\n\nBEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\n"
        b"URL:http://one.example/jo\r\n in\r\nDESCRIPTION:see https://two.example/x\\nnow\\, or http://one.example/join\r\n"
        b"END:VEVENT\r\nEND:VCALENDAR\r\n"
    )
    assert [link.target for link in parse_message(raw).links] == ["http://one.example/join", "https://two.example/x"]
