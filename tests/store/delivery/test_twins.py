"""Twins of released copies: a filter on their senders and the authentication results they had."""

from __future__ import annotations

from store.delivery.twins import senders_alone, twin_filter
from store.filters.line import parse
from store.filters.model import Beside
from store.filters.printing import print_filter
from store.mail.outcome import Delivered
from store.terms.findings import Authentication
from store.terms.records import Copy, CopyRecord


def copy(number: int, sender: str, *results: tuple[str, str]) -> Copy:
    found = tuple(Authentication(method, result) for method, result in results)
    return Copy(number, 1, 1, CopyRecord(from_=sender, authentication=found))


PASS, FAIL = ("dkim", "pass"), ("dkim", "fail")


def test_of_one_sender() -> None:
    twins = twin_filter([copy(1, "Zoe <zoe@x.example>", PASS), copy(2, "ZOE@x.example", PASS)])
    assert twins is not None
    outside, campaign, odd = Beside(), Beside(frozenset({3})), Beside(frozenset({3}), odd=True)
    for other, beside, holds in (
        (copy(3, "zoe@x.example", PASS), outside, True),
        (copy(3, "zoe@x.example", PASS), odd, True),
        (copy(3, "zoe@x.example", PASS), campaign, False),
        (copy(3, "zoe@x.example", FAIL), outside, False),
        (copy(3, "zoe@x.example"), outside, False),
        (copy(3, "ann@x.example", PASS), outside, False),
    ):
        assert twins.matches(other, now=0, outcomes={}, beside=beside) is holds
    assert not twins.matches(copy(3, "zoe@x.example", PASS), now=0, outcomes={3: Delivered.YES}, beside=outside)
    assert parse(print_filter(twins)) == twins


def test_of_several_senders_each_has_its_own_result() -> None:
    twins = twin_filter([copy(1, "zoe@x.example", PASS), copy(2, "ann@y.example")])
    assert twins is not None and parse(print_filter(twins)) == twins
    for other, holds in (
        (copy(3, "zoe@x.example", PASS), True),
        (copy(3, "ann@y.example"), True),
        (copy(3, "zoe@x.example"), False),
        (copy(3, "ann@y.example", PASS), False),
    ):
        assert twins.matches(other, now=0, outcomes={}, beside=Beside()) is holds
        assert senders_alone(twins).matches(other, now=0, outcomes={})
    assert not senders_alone(twins).asks()


def test_where_it_failed_or_nobody_is_named_there_are_none() -> None:
    assert twin_filter([copy(1, "zoe@x.example", FAIL), copy(2, "nobody"), copy(3, "")]) is None
    assert twin_filter([]) is None
