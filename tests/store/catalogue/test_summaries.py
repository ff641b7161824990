"""Summaries of campaigns, and of senders outside all campaigns, equal a plain count over the records."""

from __future__ import annotations

import re
import unicodedata
from array import array
from collections import Counter
from collections.abc import Collection

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from store.campaigns.grouping import OddCopy, Why
from store.campaigns.marks import Mark
from store.campaigns.oddness import Reason
from store.campaigns.order import Rank
from store.campaigns.standing import Campaign, Standing
from store.catalogue import summing
from store.catalogue.addresses import recipient_numbers, sender_numbers
from store.catalogue.catalogue import Catalogue
from store.catalogue.frame import Frame
from store.catalogue.plain_summaries import Left, counted_campaigns
from store.catalogue.plain_summaries import counted as counted_plainly
from store.catalogue.summaries import Sender, Summary, senders, summaries, summary
from store.catalogue.summing import FrameSenders, summed, summed_campaigns
from store.terms.records import Copy, CopyRecord
from store.terms.sender import sender_of
from store.terms.verdicts import Engine, Status
from store.vault.vault import Vault
from tests.amounts import amount
from tests.store.filters.filter_model import HOUR, NOW, moments, records, same, searched_as_to

FROM = ["a@x.example", "A <A@X.example>", "b <b@x.example>", '"Doe, J." <j@b.example>', "A <a@x.example>, c@y.example"]
TO = [
    "u@corp.example",
    '"U@home" <u@corp.example>, v@corp.example',
    "U <u@corp.example>",
    "undisclosed-recipients:;",
    "",
]


def campaign(number: int, copies: Collection[int], odd: Collection[int] = (), rank: Rank = Rank.PLAIN) -> Campaign:
    fits = bytes([100] * len(copies))
    odd_copies = tuple(OddCopy(copy, (Reason.FIT,)) for copy in sorted(odd))
    return Campaign(
        *(number, rank, array("Q", sorted(copies)), fits, odd_copies),
        *(Why(0, 0, 0, 0), (), "", {}, Mark(number)),
    )


@st.composite
def stores(draw: st.DrawFn) -> list[Copy]:
    ids = sorted(draw(st.sets(st.integers(1, 60), max_size=20)))
    strategy = st.tuples(moments, records, st.sampled_from([*FROM, None]), st.sampled_from([*TO, None]))
    found = []
    for copy_id in ids:
        at, record, from_, to = draw(strategy)
        fields = {name: getattr(record, name) for name in record.__struct_fields__}
        fields |= {"from_": record.from_ if from_ is None else from_, "to": record.to if to is None else to}
        found.append(Copy(copy_id, at, 0, CopyRecord(**fields)))
    return found


@st.composite
def standings(draw: st.DrawFn) -> Standing:
    """Make campaigns with some missing copies and with ids that no copy can have."""
    owner = draw(st.lists(st.integers(0, 4), min_size=66, max_size=66))
    odd = draw(st.lists(st.integers(0, 3).map(lambda n: n == 0), min_size=66, max_size=66))
    ranks = draw(st.lists(st.sampled_from(Rank), min_size=5, max_size=5))
    return Standing(
        campaign(
            10 + n,
            [*(i for i in range(66) if owner[i] == n and not odd[i]), *([2**63 + 5] if n == 1 else [])],
            [i for i in range(66) if owner[i] == n and odd[i]],
            ranks[n],
        )
        for n in range(1, 5)
    )


def who(record: CopyRecord) -> str:
    return sender_of(same(record.from_))


def to_whom(record: CopyRecord) -> set[str]:
    """Extract the addresses from the text, character by character."""
    found, word = set(), ""
    for char in re.sub('"[^"\n]*"', " ", same(searched_as_to(record))) + " ":
        if char.isspace() or unicodedata.category(char) == "Cc" or char in '"(),;:<>\\':
            name, at, domain = word.partition("@")
            while at:
                if name and domain.partition("@")[0]:
                    found.add(f"{name}@{domain.partition('@')[0]}")
                    name, at, domain = domain.partition("@")[2].partition("@")
                else:
                    name, at, domain = domain.partition("@")
            word = ""
        else:
            word += char
    return found


def counted(some: Collection[Copy]) -> Summary:
    """Summarise copies by a plain count."""
    verdicts = Counter(
        (c.record.reason.engine, c.record.reason.status) if c.record.reason else (None, None) for c in some
    )
    engines, statuses = [*Engine, None], [*Status, None]
    told = sorted(verdicts.items(), key=lambda one: (-one[1], engines.index(one[0][0]), statuses.index(one[0][1])))
    return Summary(
        copies=len(some),
        recipients=len(set().union(*(to_whom(copy.record) for copy in some))),
        senders=len({who(copy.record) for copy in some}),
        verdicts=tuple((engine, status, n) for (engine, status), n in told),
        first=min((copy.stored_at for copy in some), default=0),
        last=max((copy.stored_at for copy in some), default=0),
        last_hour=sum(copy.stored_at >= NOW - HOUR for copy in some),
    )


@pytest.fixture(params=[20_000, 0], ids=["searched", "looked up in a table"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(summing, "_MANY", request.param)


@pytest.mark.usefixtures("way")
@settings(max_examples=amount(100, 400))
@given(stores(), standings(), st.integers(0, 20))
def test_campaigns_come_to_what_a_plain_count_says(some: list[Copy], standing: Standing, cut: int) -> None:
    frame = Frame.of(some[:cut])
    summed_campaigns(frame, standing, NOW)  # The counts of the first part are computed, then extended.
    frame = frame.merge(Frame.of(some[cut:]))
    by_id = {copy.id: copy for copy in some}
    for one in standing.campaigns:
        fine = [by_id[copy] for copy in one.copies if copy in by_id]
        wanted = counted(fine)._replace(odd=sum(each.copy in by_id for each in one.odd))
        assert summed_campaigns(frame, standing, NOW)[one.id] == wanted
        assert summed(frame, {7: (list(one.copies), ())}, NOW)[7] == counted(fine) == counted_plainly(fine, NOW)
    plainly, left = counted_campaigns(some, standing, NOW)
    found = FrameSenders(frame, standing)
    assert (plainly, left) == (summed_campaigns(frame, standing, NOW), Left(found.copies, found.count))


@pytest.mark.usefixtures("way")
@settings(max_examples=amount(100, 400))
@given(stores(), standings())
def test_senders_are_those_of_what_no_act_takes(some: list[Copy], standing: Standing) -> None:
    taken = {copy for one in standing.campaigns if one.rank.offered for copy in one.copies}
    odd = {each.copy for one in standing.campaigns if one.rank.offered for each in one.odd}
    left: dict[str, list[Copy]] = {}
    for copy in some:
        if copy.id not in taken:
            left.setdefault(who(copy.record), []).append(copy)
    wanted = []
    for address, copies in left.items():
        newest = max(copies, key=lambda copy: (copy.stored_at, copy.id))
        told = counted(copies)
        wanted.append(
            Sender(
                *(address, len(copies), sum(copy.id in odd for copy in copies), told.recipients, told.verdicts),
                *(newest.id, newest.stored_at, newest.record.subject),
            )
        )
    wanted.sort(key=lambda one: (one.copies, one.last, one.newest), reverse=True)
    found = FrameSenders(Frame.of(some), standing)
    assert found.rows(0, 100) == wanted
    assert (found.rows(1, 3), found.rows(-1, 0)) == (wanted[1:3], [])
    assert (found.count, found.copies, found.odd) == (
        *(len(wanted), sum(map(len, left.values()))),
        sum(copy.id in odd for copies in left.values() for copy in copies),
    )
    assert [found.ids(at) for at in range(found.count)] == [[c.id for c in left[one.address]] for one in wanted]
    with pytest.raises(IndexError):
        found.ids(found.count)


@given(st.lists(st.one_of(st.sampled_from(FROM), st.text(st.sampled_from('a@x.<>"(),; \\\t\x1f\x85b'), max_size=12))))
@example(["Name <>", "<>", " a@b ", "a b@c", "x@y\t", "a@b\x1c", "≮b@x>"])
def test_senders_have_one_number_exactly_where_they_are_one(fields: list[str]) -> None:
    frame = Frame.of([Copy(n, 0, 0, CopyRecord(from_=text)) for n, text in enumerate(fields, 1)])
    numbers = sender_numbers(frame.texts["from"]).gather(frame.rows.get_column("from")).to_list()
    alike = {(who(CopyRecord(from_=text)), number) for text, number in zip(fields, numbers, strict=True)}
    assert len(alike) == len({sender for sender, _ in alike}) == len({number for _, number in alike})


def test_what_was_extended_leaves_what_it_was_as_it_was() -> None:
    first = Frame.of([Copy(1, 0, 0, CopyRecord(to="a@x.example, b@x.example"))])
    more = first.merge(Frame.of([Copy(2, 0, 0, CopyRecord(to="c@x.example, d@x.example"))]))
    assert recipient_numbers(more.texts["to"]).others.height == 4
    assert recipient_numbers(first.texts["to"]).others.height == 2
    assert len(recipient_numbers(first.texts["to"]).first) == 1


def test_a_catalogue_answers_before_and_after_it_is_loaded(vault: Vault) -> None:
    record = CopyRecord(from_="A <a@x.example>", to="u@corp.example", subject="Hello")
    copies = [vault.put(b"body", record, stored_at=NOW - n * HOUR) for n in range(3)]
    standing = Standing([campaign(4, copies[:2], copies[2:])])
    catalogue = Catalogue(vault, now=lambda: NOW)
    assert (summary(catalogue, copies), summaries(catalogue, standing)) == (Summary(), {4: Summary()})
    assert (senders(catalogue, standing).count, senders(catalogue, standing).rows(0, 9)) == (0, [])
    catalogue.start()
    assert catalogue.wait_complete(30)
    none = ((None, None, 3),)
    assert summary(catalogue, copies) == Summary(3, 1, 1, none, NOW - 2 * HOUR, NOW, 2)
    found = summaries(catalogue, standing)[4]
    assert (found.copies, found.odd, found.last_hour) == (2, 1, 2)
    left = senders(catalogue, standing).rows(0, 9)
    assert left == [Sender("a@x.example", 1, 1, 1, ((None, None, 1),), copies[2], NOW - 2 * HOUR, "Hello")]
    catalogue.close()
