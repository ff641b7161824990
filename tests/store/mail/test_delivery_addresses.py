"""Addresses: which are valid in an envelope, and which are found in a header or an operator's line."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.mail import addresses
from store.mail.addresses import (
    address_problem,
    addresses_in_header,
    ascii_form,
    check_address,
    parse_addresses,
    unique,
)
from store.terms.errors import AddressError


def in_full(work: Callable[[str], object], text: str) -> object:
    """Return the result without the quick tests for what most addresses and fields look like."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("_EASY", "_EASY_FIELD"):
            patch.setattr(addresses, name, re.compile(r"(?!)"))
        return work(text)


WORD = st.text("aB9.-+_=' @<>\",;\\ü", max_size=12)


@given(
    WORD
    | st.builds("{}@{}".format, WORD, WORD)
    | st.builds("{} <{}@{}>{}".format, WORD, WORD, WORD, st.sampled_from(["", " ", ",", ">"]))
    | st.from_regex(addresses._EASY, fullmatch=True)
    | st.builds("{}@{}.x".format, st.integers(60, 68).map("a".__mul__), st.integers(60, 68).map("b".__mul__))
    | st.builds("a@{}".format, st.integers(120, 130).map("b.".__mul__))
)
def test_the_quick_tests_find_what_the_full_ones_find(text: str) -> None:
    for work in (address_problem, addresses_in_header):
        assert work(text) == in_full(work, text)


GOOD = [
    "a@example.com",
    "first.last+tag@sub.example.co.uk",
    "docomo..dots.@docomo.example",
    '"quoted local"@example.com',
    '"q\\"uote"@example.com',
    "user@localhost",
    "user@[127.0.0.1]",
    "user@[IPv6:::1]",
    "δοκιμή@παράδειγμα.example",
    "o'brien@example.com",
]
BAD = [
    "",
    "<",
    "<x",
    "x>",
    "nobody",
    "@example.com",
    "a@",
    "a b@example.com",
    "a@exa mple.com",
    "a@b@",
    "a@-x.example",
    "a@x-.example",
    "a@x..example",
    "a@example.com\r\nRCPT TO:<evil@example.com>",
    "a\x00@example.com",
    "a@example.com>",
    "a@[127.0.0.999]",
    "a@[IPv6:fe80::1%eth0]",
    '"open@example.com',
    "a\u202e@example.com",
    "a\u00a0b@example.com",
    "x" * 65 + "@example.com",
    "x@" + "y" * 64 + ".example",
    "x@" + "y." * 150 + "example",
    "\udc80@example.com",
]


@pytest.mark.parametrize("address", GOOD)
def test_good_addresses_are_taken_as_they_are(address: str) -> None:
    assert check_address(f"  {address} ") == address
    assert check_address(f"<{address}>") == address


@pytest.mark.parametrize("address", BAD)
def test_bad_addresses_are_refused_with_a_reason(address: str) -> None:
    with pytest.raises(AddressError, match="is not an email address"):
        check_address(address)


@given(st.text(max_size=60))
def test_what_passes_cannot_break_out_of_the_envelope(text: str) -> None:
    if not address_problem(text):
        assert not any(char in text for char in "\r\n\0") and text == text.strip()
        if not text.startswith('"'):
            assert not any(char in text for char in "<> ,;")


def test_an_operators_line_yields_each_address_once_in_order() -> None:
    line = 'b@x.example, Ann <a@x.example>; B@X.example b@X.EXAMPLE\n"Doe, Jane" <jane@x.example>'
    assert parse_addresses(line) == ["b@x.example", "a@x.example", "B@X.example", "jane@x.example"]
    assert parse_addresses("  ,; ") == []


@pytest.mark.parametrize("line", ["a@x.example, nobody", "<a@x.example", "Ann a@x.example"])
def test_one_wrong_word_refuses_the_whole_line(line: str) -> None:
    with pytest.raises(AddressError):
        parse_addresses(line)


def test_header_text_yields_its_addresses() -> None:
    text = 'Ann <ann@x.example>, "Doe, J. <trap@evil.example>" <j@x.example>, (a, b@c.d) bob@x.example, no one'
    assert addresses_in_header(text) == ["ann@x.example", "j@x.example", "bob@x.example"]
    assert addresses_in_header("Team: a@x.example, b@x.example;") == ["a@x.example", "b@x.example"]
    assert addresses_in_header("Team:a@x.example;") == ["a@x.example"]
    assert addresses_in_header("undisclosed-recipients:;") == []
    assert addresses_in_header("a@[IPv6:::1]") == ["a@[IPv6:::1]"]


@given(st.text(alphabet=st.sampled_from(list('ab@.,;<>"()\\ \r\n:é\ud800')), max_size=200))
def test_header_text_never_raises_and_yields_only_valid_addresses(text: str) -> None:
    assert all(not address_problem(address) for address in addresses_in_header(text))


def test_a_long_hostile_header_is_read_in_linear_time() -> None:
    assert addresses_in_header("(" * 500_000 + '"' * 499_000) == []


def test_spellings_of_one_mailbox_count_once() -> None:
    assert unique(["A@x.example", "a@x.example", "A@X.Example"]) == ["A@x.example", "a@x.example"]


def test_ascii_form_never_names_another_domain() -> None:
    assert ascii_form("a@bücher.example") == "a@xn--bcher-kva.example"
    assert ascii_form("ü@example.com") is None
    assert ascii_form("a@straße.example") is None
