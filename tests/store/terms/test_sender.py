"""The address before the name, and when the envelope has another sender."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.catalogue.frame import senders
from store.terms.sender import address_first, addresses, organisation, sender_differs

CASES = {
    "Billing <inv@acme.example>": "inv@acme.example Billing",
    '"Doe, John" <j@x.example>': "j@x.example Doe, John",
    '"A \\"B\\" C" <j@x.example>': 'j@x.example A "B" C',
    "offers@news.example": "offers@news.example",
    "<a@x.example>": "a@x.example",
    "ceo@corp.example <evil@x.example>": "evil@x.example ceo@corp.example",
    '"CEO <ceo@corp.example>" <evil@x.example>': "evil@x.example CEO <ceo@corp.example>",
    "CEO <ceo@corp.example> <evil@x.example>": "ceo@corp.example, evil@x.example CEO",
    '"never closed <evil@x.example>': 'evil@x.example "never closed',
    "(<ceo@corp.example>) <evil@x.example>": "evil@x.example <ceo@corp.example>",
    "a@x.example, B <b@y.example>": "a@x.example, b@y.example B",
    "Team: A <a@x.example>, B <b@y.example>;": "a@x.example, b@y.example Team: A, B",
    "שלום <a@x.example>": "a@x.example שלום",
    "\u202eoec <a@x.example>": "a@x.example \u202eoec",
    "Billing": "Billing",
    "Name <>": "<> Name",
    "<>": "<>",
    "": "",
}


@pytest.mark.parametrize("text", CASES)
def test_the_address_comes_before_the_name(text: str) -> None:
    assert address_first(text) == CASES[text]


from_fields = st.one_of(
    st.sampled_from(list(CASES)),
    st.text('ab@.<>"\\ ,;:()\n\u0338é', max_size=12),
    st.text(max_size=12),
)


@given(from_fields)
def test_no_text_breaks_it_and_an_address_in_brackets_comes_first(text: str) -> None:
    shown = address_first(text)
    found = addresses(text)
    assert not found or "<" not in text or shown.startswith((found[0], "<>"))
    assert address_first(f"{text.replace('<', '')} <evil@x.example>").startswith("evil@x.example") or any(
        mark in text for mark in '<>",;@\\()'
    )


@given(st.lists(from_fields, min_size=1, max_size=6))
def test_a_column_sorts_by_what_is_shown(texts: list[str]) -> None:
    words = senders(texts)
    assert words.sorted_by(pl.Series(texts, dtype=pl.String)).to_list() == [address_first(text) for text in texts]


@pytest.mark.parametrize(
    ("from_", "envelope", "differs"),
    [
        ("A <a@x.example>", "a@x.example", False),
        ("A <a@X.Example>", "A@x.example", False),
        ("A <a@x.example>", "bounce+17@mail.x.example", False),
        ("A <a@news.x.example>", "bounce@mail.x.example", False),
        ("A <a@x.example>", "a@y.example", True),
        ("A <a@bank.co.uk>", "a@evil.co.uk", True),
        ("A <a@bank.co.uk>", "b@mail.bank.co.uk", False),
        ("A <a@x.example>", "", False),
        ("A <a@x.example>", None, False),
        ("A <a@x.example>", "root", False),
        ("", "a@x.example", False),
        ("Somebody", "a@x.example", True),
        ("ceo@corp.example, B <b@x.example>", "b@x.example", True),
        ("CEO <ceo@corp.example> <b@x.example>", "b@x.example", True),
        ("A <a@bücher.example>", "a@xn--bcher-kva.example", False),
        ("A <a@[192.0.2.1]>", "a@[198.51.2.1]", True),
    ],
)
def test_another_sender_is_one_of_another_organisation(from_: str, envelope: str | None, differs: bool) -> None:
    assert sender_differs(from_, envelope) is differs


@given(from_fields, st.one_of(st.none(), st.text(max_size=8), st.just("b@x.example")))
def test_it_never_raises(from_: str, envelope: str | None) -> None:
    assert sender_differs(from_, envelope) in (True, False)


def test_an_organisation_is_what_stands_below_a_public_suffix() -> None:
    assert organisation("a.b.example.com") == organisation("Example.COM.") == "example.com"
    assert organisation("a.example.co.uk") == "example.co.uk"
    assert organisation("co.uk") == "co.uk"
    assert organisation("a.b.co.com") == "b.co.com"
