"""Look-alike domains: domains that readers confuse are found, others are not."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from store.mail.addresses import domain_key
from store.mail.lookalikes import Lookalikes, similar, variants

_LABEL = st.text("abcdeilmnorsuvw150-", min_size=1, max_size=12)
_NEAR = st.tuples(_LABEL, st.sampled_from(["com", "example", "co.uk", "com.example"])).map(".".join)
_HOSTILE = st.one_of(
    st.text(max_size=40),
    st.text("abc.-\u202e\u0430\u05d0\u3002xn", max_size=300),
    st.text("a.", max_size=20).map(lambda text: text * 200),
    st.sampled_from(["", ".", "..", "[192.0.2.1]", "xn--", "xn--80ak6aa92e.com", "\ud800.com", "a" * 70 + ".com"]),
)
_ALIKE = [
    ("rioso1.example", "riosol.example"),
    ("r1oso1.example", "riosol.example"),
    ("fempay.example", "fernpay.example"),
    ("vvhitebird.example", "whitebird.example"),
    ("p\u0430yp\u0430l.com", "paypal.com"),
    ("xn--80ak6aa92e.com", "apple.com"),  # All letters are Cyrillic.
    ("parcelw\u00ecng.example", "parcelwing.example"),
    ("muller.example", "m\u00fcller.example"),
    ("cloud-attic.example", "cloudattic.example"),
    ("cloudatticc.example", "cloudattic.example"),
    ("cloudatic.example", "cloudattic.example"),
    ("cluodattic.example", "cloudattic.example"),
    ("cloudattik.example", "cloudattic.example"),
    ("cloudattic.net", "cloudattic.com"),
    ("cloudattic-mail.net", "cloudattic.com"),
    ("my-cloudattic.com", "cloudattic.com"),
    ("officedock.signin.example", "officedock.com"),
    ("officedock.com.signin.example", "officedock.com"),
    ("officedock-com.example", "officedock.com"),
    ("officedockcom.net", "officedock.com"),
    ("riosol.com.examp1e", "riosol.com.example"),
    ("mail.rioso1.example", "riosol.example"),
]
_NOT_ALIKE = [
    ("riosol.example", "riosol.example"),
    ("RIOSOL.example.", "riosol.example"),
    ("mail.riosol.example", "riosol.example"),
    ("a.riosol.example", "b.riosol.example"),
    ("m\u00fcller.example", "xn--mller-kva.example"),
    ("house.example", "mouse.example"),  # Readers notice a different first letter.
    ("node1.example", "node2.example"),
    ("abc.com", "abd.com"),
    ("dhl.com", "dhl.net"),
    ("lid.com", "iid.com"),
    ("cords.com", "words-online.com"),
    ("riosol.co.uk", "other.co.uk"),
    ("", ""),
    ("", "riosol.example"),
    ("localhost", "1ocalhost"),
    ("[192.0.2.1]", "[192.0.2.7]"),
    ("a" * 300 + ".com", "a" * 301 + ".com"),
]


@pytest.mark.parametrize(("one", "other"), _ALIKE)
def test_it_looks_like_the_other(one: str, other: str) -> None:
    assert similar(one, other) and similar(other, one)
    assert Lookalikes(["x.example", other]).of(one)


@pytest.mark.parametrize(("one", "other"), _NOT_ALIKE)
def test_it_does_not(one: str, other: str) -> None:
    assert not similar(one, other) and not similar(other, one)
    assert Lookalikes([other]).of(one) == ""


@pytest.mark.parametrize(("one", "other"), _ALIKE)
def test_the_real_one_is_among_the_variants(one: str, other: str) -> None:
    if one != "mail.rioso1.example":
        assert domain_key(other) in variants(one) or other == "riosol.com.example"


def test_what_a_reader_takes_it_for() -> None:
    assert similar("Rioso1.Example", "riosol.example")
    assert similar("p\u0430yp\u0430l.com", "paypal.com") and similar("xn--pypl-53dc.com", "paypal.com")
    assert not similar("", ".")


def test_a_known_one_looks_like_none() -> None:
    known = Lookalikes(["riosol.example", "rioso1.example"])
    assert known.of("rioso1.example") == known.of("mx.rioso1.example") == ""
    assert known.of("ri0sol.example") == "riosol.example", "the first of those given"


def test_another_one_is_not_alike_for_what_all_domains_have() -> None:
    assert Lookalikes(["com", "example", "co.uk", "mail.example"]).of("riosol.mail.com") == ""


@given(_NEAR, _NEAR)
@example("eern.com", "eenr.com")
def test_many_domains_and_two_say_the_same(one: str, other: str) -> None:
    found = Lookalikes([other]).of(one)
    assert bool(found) == similar(one, other) == similar(other, one)
    if found:
        assert similar(one, found)


@given(_NEAR, st.data())
def test_one_edit_away_is_a_variant(domain: str, data: st.DataObject) -> None:
    label, dot, ending = domain.partition(".")
    at = data.draw(st.integers(1, len(label)))
    letter = data.draw(st.sampled_from("abcdeilmnorsuvw150"))
    known = label[:at] + letter + label[at + data.draw(st.integers(0, 1)) :] + dot + ending
    if similar(domain, known):
        assert known in variants(domain)


@given(_HOSTILE, _HOSTILE)
@example("xn--\ud800.com", "xn--a.com")
def test_nothing_raises_and_all_of_it_is_bounded(one: str, other: str) -> None:
    assert similar(one, other) in (True, False)
    assert not similar(one, one)
    assert isinstance(Lookalikes([one, other]).of(one), str)
    made = variants(one)
    assert len(made) <= 3000 and len(set(made)) == len(made)
    assert all(len(each) <= 1000 for each in made)
