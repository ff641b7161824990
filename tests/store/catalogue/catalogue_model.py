"""What the catalogue must answer, said the slow and plain way, and strategies for records, filters and sorts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from hypothesis import strategies as st

from store.catalogue.catalogue import Sort, SortKey
from store.filters.line import MessageFilter, Period, Term, fold, recipients_text
from store.mail.outcome import Delivered
from store.terms.records import Copy, CopyRecord
from store.terms.sender import address_first
from store.terms.verdicts import Engine, Status, Verdict

NOW = 1_763_971_200_000
HOUR = 3_600_000

#: Few and related texts, so that filters hit: case, scripts, expansions (ß), combining marks, and nothing at all.
TEXTS = [
    *[
        "",
        "a",
        "A",
        "ab",
        "Straße 5",
        "STRASSE",
        "strasse",
        "İstanbul",
        "ΟΔΟΣ",
        "οδος",
        "café",
        "cafe\u0301",
        "发票 invoice",
    ],
    *["Invoice [a]", "(.*)", "a\nb", "\x00", "🎉 sale", "Счёт", "счёт №5"],
]
texts = st.one_of(st.sampled_from(TEXTS), st.text(st.characters(exclude_categories=["Cs"]), max_size=6))
#: From fields: the name before the address, as most are, and what is not of that shape.
SENDERS = [
    *["Zoe <a@x.example>", "Anna <z@x.example>", '"Doe, J." <j@b.example>', "a@x.example", "b <B@X.EXAMPLE>"],
    *["A <a@x.example>, B <b@y.example>", '"open <o@x.example>', "Name <>", "<>", " Straße <ß@x.example> ", "a <b"],
]
needles = st.one_of(
    st.sampled_from([*TEXTS[1:], "zoe <a@", "example> ", "ss", "ß", "e", ".", "счёт", "\ud800", "i"]),
    st.text(min_size=1, max_size=3),
)
verdicts = st.builds(Verdict, st.sampled_from(Engine), st.sampled_from(Status))
records = st.builds(
    CopyRecord,
    from_=st.one_of(texts, st.sampled_from(SENDERS)),
    envelope_sender=st.sampled_from([None, "", "a@x.example", "bounce@mail.x.example", "root"]),
    to=texts,
    cc=texts,
    bcc=texts,
    subject=texts,
    message_id=texts,
    mta_message_id=texts,
    envelope_recipients=st.lists(texts, max_size=2).map(tuple),
    rule_id=st.integers(0, 3),
    reason=st.none() | verdicts,
    verdicts=st.lists(verdicts, max_size=2).map(tuple),
    size=st.sampled_from([0, 1023, 1024, 1025, 4096, 10**7]),
)
moments = st.one_of(
    st.sampled_from([NOW, NOW - HOUR, NOW - HOUR - 1, NOW - 7 * 24 * HOUR]),
    st.integers(NOW - 400 * 24 * HOUR, NOW + HOUR),
)
terms = st.lists(st.builds(Term, needles, st.booleans()), max_size=2).map(tuple)
_maybe_terms = st.one_of(st.just(()), st.just(()), terms)
filters = st.builds(
    MessageFilter,
    from_=_maybe_terms,
    to=_maybe_terms,
    subject=_maybe_terms,
    message_id=_maybe_terms,
    words=_maybe_terms,
    rule_ids=st.one_of(st.just(()), st.lists(st.integers(0, 4), max_size=2).map(tuple)),
    not_rule_ids=st.one_of(st.just(()), st.lists(st.integers(0, 4), max_size=2).map(tuple)),
    period=st.none() | st.sampled_from(Period),
    since=st.none() | moments,
    until=st.none() | moments,
    engines=st.one_of(st.just(frozenset()), st.frozensets(st.sampled_from(Engine), max_size=3)),
    not_engines=st.one_of(st.just(frozenset()), st.frozensets(st.sampled_from(Engine), max_size=2)),
    status=st.one_of(st.just(frozenset()), st.frozensets(st.sampled_from(Status), max_size=5)),
    not_status=st.one_of(st.just(frozenset()), st.frozensets(st.sampled_from(Status), max_size=2)),
    size_min=st.none() | st.integers(0, 5),
    size_max=st.none() | st.integers(0, 5),
    delivered=st.one_of(st.just(frozenset()), st.frozensets(st.sampled_from(Delivered), max_size=3)),
    not_delivered=st.one_of(st.just(frozenset()), st.frozensets(st.sampled_from(Delivered), max_size=2)),
)
sorts = st.builds(Sort, st.sampled_from(SortKey), st.booleans())


def _key(sort: Sort, copy: Copy) -> object:
    record, reason = copy.record, copy.record.reason
    keys = {
        SortKey.PLACED: (copy.stored_at, copy.id),
        SortKey.ENGINE: (list(Engine).index(reason.engine), list(Status).index(reason.status)) if reason else (99, 99),
        SortKey.FROM: address_first(fold(record.from_)),
        SortKey.TO: fold(recipients_text(record)),
        SortKey.SUBJECT: fold(record.subject),
        SortKey.SIZE: record.size,
        SortKey.RULE: record.rule_id,
    }
    return keys[sort.key]


def expected(
    copies: Iterable[Copy],
    flt: MessageFilter,
    sort: Sort,
    *,
    now: int = NOW,
    outcomes: Mapping[int, Delivered] | None = None,
) -> list[Copy]:
    """The copies that the filter lets through, in order."""
    found = [copy for copy in copies if flt.matches(copy, now=now, outcomes=outcomes)]
    found.sort(key=lambda copy: (copy.stored_at, copy.id), reverse=True)
    return sorted(found, key=lambda copy: _key(sort, copy), reverse=sort.descending)
