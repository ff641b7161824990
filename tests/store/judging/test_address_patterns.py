"""Patterns of addresses: which match, how exactly, and that no pattern or address is slow or raises."""

from __future__ import annotations

import fnmatch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.judging.rules.address_patterns import Exactness, Patterns, canonical, check_pattern, check_patterns
from store.terms.errors import RuleError


@pytest.mark.parametrize(
    ("pattern", "address", "exactness"),
    [
        ("ann@example.com", "Ann@EXAMPLE.com", Exactness.ADDRESS),
        ("ann@example.com", "ann@example.com.", Exactness.ADDRESS),
        ("ann@example.com", "joann@example.com", Exactness.NONE),
        ("ann@example.com", "ann@sub.example.com", Exactness.NONE),
        ("example.com", "ann@example.com", Exactness.DOMAIN),
        ("@example.com", "ann@example.com", Exactness.DOMAIN),
        ("example.com", "ann@sub.example.com", Exactness.NONE),
        ("example.com", "example.com@evil.example", Exactness.NONE),
        ("example.com", "ann@notexample.com", Exactness.NONE),
        ("*.example.com", "ann@sub.example.com", Exactness.GLOB),
        ("*.example.com", "ann@example.com", Exactness.NONE),
        ("*.example.com", "a.example.com@evil.example", Exactness.NONE),
        ("*@example.com", "ann@example.com", Exactness.GLOB),
        ("news*@example.?om", "newsletter@example.com", Exactness.GLOB),
        ("news*@example.com", "newsletter@example.community", Exactness.NONE),
        ("a*b*b@x.org", "ab@x.org", Exactness.NONE),
        ("a*b*b@x.org", "abb@x.org", Exactness.GLOB),
        ("*", "ann@example.com", Exactness.GLOB),
        ("*", "", Exactness.GLOB),
        ("<>", "", Exactness.ADDRESS),
        ("<>", "ann@example.com", Exactness.NONE),
        ("*@*", "", Exactness.NONE),
        ("example.com", "", Exactness.NONE),
        ("*.com", "", Exactness.NONE),
        ("a.b@example.com", "axb@example.com", Exactness.NONE),
        ("münchen.example", "a@xn--mnchen-3ya.example", Exactness.DOMAIN),
        ("xn--mnchen-3ya.example", "a@MÜNCHEN.example", Exactness.DOMAIN),
        ("*chen.example", "a@xn--mnchen-3ya.example", Exactness.GLOB),
        ("example.com", "a@xn--example-.com", Exactness.NONE),
        ("strasse.example", "a@straße.example", Exactness.NONE),
        ("root", "root", Exactness.NONE),
        ("[192.0.2.1]", "a@[192.0.2.1]", Exactness.DOMAIN),
    ],
)
def test_what_matches(pattern: str, address: str, exactness: Exactness) -> None:
    found, text = Patterns([check_pattern(pattern)]).find(address)
    assert found is exactness
    assert text == ("" if exactness is Exactness.NONE else check_pattern(pattern))


def test_the_most_exact_of_many_is_named() -> None:
    patterns = Patterns(["*@example.com", "example.com", "ann@example.com"])
    assert patterns.find("ann@example.com") == (Exactness.ADDRESS, "ann@example.com")
    assert patterns.find("bob@example.com") == (Exactness.DOMAIN, "example.com")
    assert Patterns(["*@example.com"]).find("bob@example.com") == (Exactness.GLOB, "*@example.com")
    assert patterns
    assert not Patterns([])


@pytest.mark.parametrize(
    "text",
    ["", "  ", "a b@x.org", "a@b@c", "ann@", "<ann@x.org>", "a,b", 'a"b@x', "a\x1b@x.org", "a\u202eb@x.org", "x" * 321],
)
def test_what_is_no_pattern(text: str) -> None:
    with pytest.raises(RuleError, match="not a pattern of addresses"):
        check_pattern(text)


def test_each_is_kept_once_in_order() -> None:
    assert check_patterns([" b.org", "a@x.org", "@B.org", "A@X.org"]) == ("b.org", "a@x.org")


@given(st.text(alphabet="ab.@*?", max_size=12), st.text(alphabet="ab.@", max_size=20))
def test_wildcards_mean_what_shells_mean_by_them(pattern: str, address: str) -> None:
    try:
        kept = check_pattern(pattern)
    except RuleError:
        return
    local, _, domain = canonical(address).rpartition("@")
    glob = canonical(kept)
    if "@" in glob:
        expected = fnmatch.fnmatchcase(f"{local}@{domain}" if "@" in canonical(address) else domain, glob)
    elif glob == "*":
        expected = True
    else:
        expected = bool(domain) and "@" in canonical(address) and fnmatch.fnmatchcase(domain, glob)
    assert Patterns([kept]).matches(address) is expected


@given(st.text(), st.text())
def test_nothing_raises_but_rule_error(pattern: str, address: str) -> None:
    try:
        kept = check_pattern(pattern)
    except RuleError as error:
        assert str(error)
        return
    assert check_pattern(kept) == kept
    Patterns([kept]).find(address)


def test_a_hostile_address_takes_no_time_to_speak_of() -> None:
    glob = "*a" * 100 + "*b@x.org"
    assert not Patterns([glob]).matches("a" * 20_000 + "c@x.org")
