"""What a filter must let through, said the slow and plain way, and strategies for records and filters.

The oracle shares nothing with the product but the types: no method of the filter, no folding, no length of a period.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping

from hypothesis import strategies as st

from store.filters.line import MessageFilter, Period, Term
from store.mail.outcome import Delivered
from store.terms.records import Copy, CopyRecord
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


#: Hours that a copy may be old.
_HOURS = {
    "hour": 1,
    "day": 24,
    "week": 168,
    "2weeks": 336,
    "month": 720,
    "3months": 2160,
    "year": 8760,
}


def same(text: str) -> str:
    """Two texts are equal where this is: without regard to case, and composed."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())


def searched_as_to(record: CopyRecord) -> str:
    """The To header, then each recipient that it does not name on a line of its own."""
    text = record.to
    for other in list(record.envelope_recipients) if record.envelope_recipients else [record.cc, record.bcc]:
        if other != "" and record.to.find(other) == -1:
            text += "\n" + other
    return text


def _texts(flt: MessageFilter, record: CopyRecord) -> bool:
    sender, to, subject = record.from_, searched_as_to(record), record.subject
    asked: list[tuple[tuple[Term, ...], list[str]]] = [
        (flt.from_, [sender]),
        (flt.to, [to]),
        (flt.subject, [subject]),
        (flt.message_id, [record.message_id, record.mta_message_id]),
        (flt.words, [sender, to, subject]),
    ]
    for terms, texts in asked:
        for term in terms:
            found = [text for text in texts if same(text).find(same(term.text)) >= 0]
            if len(found) > 0 and term.negated:
                return False
            if len(found) == 0 and not term.negated:
                return False
    return True


def holds(flt: MessageFilter, copy: Copy, *, now: int, outcomes: Mapping[int, Delivered] | None = None) -> bool:
    """Whether the filter must let the copy through. Each limit names the last value that it still lets through."""
    record = copy.record
    outcome = outcomes[copy.id] if outcomes is not None and copy.id in outcomes else Delivered.NO
    engine, status = (None, None) if record.reason is None else (record.reason.engine, record.reason.status)
    if flt.period is not None and flt.period.value in _HOURS and now - copy.stored_at > _HOURS[flt.period.value] * HOUR:
        return False
    if flt.since is not None and copy.stored_at < flt.since:
        return False
    if flt.until is not None and copy.stored_at > flt.until:
        return False
    if flt.size_min is not None and record.size < flt.size_min * 1024:
        return False
    if flt.size_max is not None and record.size > flt.size_max * 1024:
        return False
    for value, wanted, unwanted in (
        (engine, flt.engines, flt.not_engines),
        (status, flt.status, flt.not_status),
        (record.rule_id, flt.rule_ids, flt.not_rule_ids),
        (outcome, flt.delivered, flt.not_delivered),
    ):
        if len(wanted) > 0 and value not in wanted:
            return False
        if value in unwanted:
            return False
    return _texts(flt, record)
