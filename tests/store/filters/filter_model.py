"""What a filter must let through, computed in a slow and plain way, and strategies for records and filters.

The model shares only the types with the product: no method of the filter, no folding, no length of a period.
"""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, NamedTuple, TypeVar

from hypothesis import strategies as st
from msgspec.structs import replace

from store.filters.line import MessageFilter, Period, Term
from store.filters.model import Beside, Group
from store.mail.outcome import Delivered
from store.terms.findings import Authentication, Finding, KnownSender
from store.terms.folding import mixes_scripts, skeleton
from store.terms.records import Copy, CopyRecord
from store.terms.verdicts import Engine, Status, Verdict

T = TypeVar("T")
NOW = 1_763_971_200_000
HOUR = 3_600_000

#: Few and related texts, so that filters match: case, scripts, expansions (ß), combining marks, and empty texts.
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
    *["Invоice", "Inv\u200boice", "invoice а", "рост", "ＩＮＶ", "カ力", "анна cop", "\u00ad"],
    *["Invoice [a]", "(.*)", "a\nb", "\x00", "🎉 sale", "Счёт", "счёт №5"],
]
texts = st.one_of(st.sampled_from(TEXTS), st.text(st.characters(exclude_categories=["Cs"]), max_size=6))
#: From fields: mostly with the name before the address, and some of other shapes.
SENDERS = [
    *["Zoe <a@x.example>", "Anna <z@x.example>", '"Doe, J." <j@b.example>', "a@x.example", "b <B@X.EXAMPLE>"],
    *["A <a@x.example>, B <b@y.example>", '"open <o@x.example>', "Name <>", "<>", " Straße <ß@x.example> ", "a <b"],
]
needles = st.one_of(
    st.sampled_from(
        [*TEXTS[1:], "zoe <a@", "example> ", "ss", "ß", "e", ".", "счёт", "\ud800", "i", "inv", "сор", "oice а", "нв"]
    ),
    st.text(min_size=1, max_size=3),
)
verdicts = st.builds(Verdict, st.sampled_from(Engine), st.sampled_from(Status))
findings = st.builds(
    Finding,
    st.sampled_from(["rspamd", "clamd"]),
    st.none() | st.sampled_from([0.0, -1.5, 3.0, 6.994, 6.996, 7.0, 7.1, 100.25]),
    st.none(),
    st.lists(st.tuples(st.sampled_from(["BAYES_SPAM", "FORGED", "ß_RULE"]), st.none()), max_size=2).map(tuple),
)
results = st.builds(
    Authentication, st.sampled_from(["dkim", "SPF"]), st.sampled_from(["pass", "fail", "none", "Softfail"])
)
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
    client_address=st.sampled_from(
        ["", "192.0.2.1", "192.0.2.17", "[192.0.21.7]", "IPv6:2001:DB8::7", "2001:db8:1::7"]
    ),
    client_name=st.sampled_from(["", "unknown", "mx.Straße.example", "mail7.example.org"]),
    findings=st.lists(findings, max_size=2).map(tuple),
    authentication=st.lists(results, max_size=3).map(tuple),
    known=st.none() | st.builds(KnownSender, *[st.integers(0, 1)] * 5),
)
moments = st.one_of(
    st.sampled_from([NOW, NOW - HOUR, NOW - HOUR - 1, NOW - 7 * 24 * HOUR]),
    st.integers(NOW - 400 * 24 * HOUR, NOW + HOUR),
)
terms = st.lists(st.builds(Term, needles, st.booleans()), max_size=2).map(tuple)
_maybe_terms = st.one_of(st.just(()), st.just(()), terms)
_rarely = st.sampled_from([False, False, False, True])


def _seldom(values: st.SearchStrategy[T], nothing: T) -> st.SearchStrategy[T]:
    """Make a mostly empty value: a filter on everything at once matches nothing."""
    return _rarely.flatmap(lambda asked: values if asked else st.just(nothing))


def _terms(*sought: str) -> st.SearchStrategy[tuple[Term, ...]]:
    one = st.builds(Term, st.sampled_from(sought), st.booleans())
    return _seldom(st.lists(one, max_size=2).map(tuple), ())


_auth = st.frozensets(st.sampled_from(["pass", "fail", "none", "softfail", "dkim=fail", "spf=none"]), max_size=2)
_sums = st.lists(st.sampled_from(["ab" * 3, "ab" * 32, "AB0000", "cd" * 5]), max_size=2).map(tuple)
_campaigns = st.lists(st.integers(0, 4), max_size=2).map(tuple)
_scores = st.none() | st.sampled_from([-1.5, 0.0, 6.99, 7.0, 7.001, 100.0])
_of_rows: dict[str, st.SearchStrategy[Any]] = {
    "from_": _maybe_terms,
    "to": _maybe_terms,
    "subject": _maybe_terms,
    "message_id": _maybe_terms,
    "words": _maybe_terms,
    "rule_ids": st.one_of(st.just(()), st.lists(st.integers(0, 4), max_size=2).map(tuple)),
    "not_rule_ids": st.one_of(st.just(()), st.lists(st.integers(0, 4), max_size=2).map(tuple)),
    "period": st.none() | st.sampled_from(Period),
    "since": st.none() | moments,
    "until": st.none() | moments,
    "engines": st.one_of(st.just(frozenset()), st.frozensets(st.sampled_from(Engine), max_size=3)),
    "not_engines": st.one_of(st.just(frozenset()), st.frozensets(st.sampled_from(Engine), max_size=2)),
    "status": st.one_of(st.just(frozenset()), st.frozensets(st.sampled_from(Status), max_size=5)),
    "not_status": st.one_of(st.just(frozenset()), st.frozensets(st.sampled_from(Status), max_size=2)),
    "size_min": st.none() | st.integers(0, 5),
    "size_max": st.none() | st.integers(0, 5),
    "delivered": st.one_of(st.just(frozenset()), st.frozensets(st.sampled_from(Delivered), max_size=3)),
    "not_delivered": st.one_of(st.just(frozenset()), st.frozensets(st.sampled_from(Delivered), max_size=2)),
}
_of_more: dict[str, st.SearchStrategy[Any]] = {
    "campaigns": _seldom(_campaigns, ()),
    "not_campaigns": _seldom(_campaigns, ()),
    "odd": _seldom(st.booleans(), None),
    "known": _seldom(st.booleans(), None),
    "links": _terms("EVIL.example", "evil", "xn--", "."),
    "files": _terms("invoice", "PDF", "straße", ".exe"),
    "sha256": _seldom(_sums, ()),
    "not_sha256": _seldom(_sums, ()),
    "clients": _terms(
        "192.0.2", "192.0.2.1", "192.0.2.0/28", "2001:db8::/32", "2001:DB8::7", "2001:db8:1:", "STRASSE", "ma"
    ),
    "score_min": _seldom(_scores, None),
    "score_max": _seldom(_scores, None),
    "symbols": _terms("bayes", "FORGED", "SS_", "_"),
    "envelope": _terms("<>", "<", "@", "A", "b"),
    "auth": _seldom(_auth, frozenset()),
    "not_auth": _seldom(_auth, frozenset()),
}


def _with_groups(one: st.SearchStrategy[MessageFilter]) -> st.SearchStrategy[MessageFilter]:
    def grouped(inner: st.SearchStrategy[MessageFilter]) -> st.SearchStrategy[MessageFilter]:
        group = st.builds(Group, st.lists(inner, min_size=1, max_size=3).map(tuple), st.booleans())
        groups = st.lists(group, min_size=1, max_size=2).map(tuple)
        return st.builds(lambda flt, all_of: replace(flt, groups=all_of), st.just(MessageFilter()) | one, groups)

    return one | st.recursive(one, grouped, max_leaves=4)


#: Filters on fields of a list line, and on any field.
filters = _with_groups(st.builds(MessageFilter, **_of_rows))
wide_filters = _with_groups(st.builds(MessageFilter, **_of_rows, **_of_more))


class CarriedFile(NamedTuple):
    """A file of a copy, as the filter sees it."""

    name: str
    content_type: str
    sha256: bytes


_carried = st.builds(
    CarriedFile,
    st.sampled_from(["Invoice.PDF", "Straße.exe", ""]),
    st.sampled_from(["application/pdf", "text/plain"]),
    st.sampled_from([bytes.fromhex("ab" * 32), bytes.fromhex("ab0000" + "cd" * 29), bytes.fromhex("cd" * 32)]),
)
besides = st.builds(
    Beside,
    st.sampled_from([frozenset(), frozenset({1}), frozenset({2, 3})]),
    st.booleans(),
    st.lists(st.sampled_from(["evil.example", "xn--pypal-4ve.example", "Good.example"]), max_size=2).map(tuple),
    st.lists(_carried, max_size=2).map(tuple),
) | st.just(Beside(looked=False))


#: Possible ages of a copy (hours).
_HOURS = {
    "hour": 1,
    "day": 24,
    "week": 168,
    "2weeks": 336,
    "month": 720,
    "3months": 2160,
    "year": 8760,
}


#: Invisible characters (Unicode: Default_Ignorable_Code_Point), and NUL.
_UNSEEN = {
    *[0, 0xAD, 0x34F, 0x61C, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x3164, 0xFEFF, 0xFFA0, *range(0x180B, 0x180F)],
    *[*range(0x200B, 0x2010), *range(0x202A, 0x202F), *range(0x2060, 0x2070), *range(0xFE00, 0xFE10)],
    *range(0xE0000, 0xE1000),
}


def same(text: str) -> str:
    """Return the form in which equal texts are equal: without case and invisible characters, in compatible forms."""
    for _ in range(2):
        seen = "".join(letter for letter in text if ord(letter) not in _UNSEEN).replace("ϲ", "c").replace("Ϲ", "c")
        text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", seen).casefold())
    for character, other in zip("ı力口二一", "iカロニー", strict=True):
        text = text.replace(character, other)
    return text


def found_in(text: str, wanted: str) -> bool:
    """Return True if a text contains a word: as it is, or both in Latin letters."""
    folded, word = same(text), same(wanted)
    latin = skeleton(text) if mixes_scripts(folded) else folded
    return any(each in where for where in (folded, latin) for each in (word, skeleton(wanted)))


def searched_as_to(record: CopyRecord) -> str:
    """Return the To header, then each recipient that it does not name on its own line."""
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
            found = [text for text in texts if found_in(text, term.text)]
            if len(found) > 0 and term.negated:
                return False
            if len(found) == 0 and not term.negated:
                return False
    return True


def _has_text(terms: tuple[Term, ...], texts: list[str]) -> bool:
    return all(any(found_in(text, term.text) for text in texts) is not term.negated for term in terms)


def _from_client(text: str, record: CopyRecord) -> bool:
    address = ipaddress.ip_address(bare) if (bare := record.client_address.strip("[]").removeprefix("IPv6:")) else None
    if "/" in text:
        return address is not None and address in ipaddress.ip_network(text)
    if text[0].isdigit():
        whole = "" if address is None else str(address)
        parts, wanted = re.split("[.:]", whole), re.split("[.:]", text.lower().removesuffix(":"))
        return parts[: len(wanted)] == wanted
    return same(text) in same(record.client_name)


def beside_holds(flt: MessageFilter, record: CopyRecord, beside: Beside, unknown: bool = False) -> bool:
    """Return True if words on fields outside the list line let the copy through."""
    campaigns = set(beside.campaigns) if beside.campaigns else {0}
    if (flt.campaigns and not campaigns & set(flt.campaigns)) or campaigns & set(flt.not_campaigns):
        return False
    if flt.odd not in (None, beside.odd):
        return False
    sender = record.known
    known = sender is not None and sender.address_authenticated + sender.address_other + sender.written_to > 0
    if flt.known not in (None, known):
        return False
    scores = [finding.score for finding in record.findings if finding.score is not None]
    if (flt.score_min, flt.score_max) != (None, None):
        if not scores:
            return False
        score = Decimal(str(max(scores))).quantize(Decimal("0.01"))
        if flt.score_min is not None and score < Decimal(str(flt.score_min)):
            return False
        if flt.score_max is not None and score > Decimal(str(flt.score_max)):
            return False
    said = [(one.method.lower(), one.result.lower()) for one in record.authentication]
    words = {f"{method}={result}" for method, result in said} | {result for _, result in said if result != "none"}
    if all(result == "none" for _, result in said):
        words.add("none")
    if (flt.auth and not words & flt.auth) or words & flt.not_auth:
        return False
    symbols = [name for finding in record.findings for name, _ in finding.symbols]
    if not _has_text(flt.symbols, symbols):
        return False
    envelope = [] if record.envelope_sender is None else ["<" + record.envelope_sender + ">"]
    if not _has_text(flt.envelope, envelope):
        return False
    if not all(_from_client(term.text, record) is not term.negated for term in flt.clients):
        return False
    if not beside.looked and (flt.sha256 or flt.not_sha256 or flt.links or flt.files):
        return unknown
    sums = [file.sha256.hex() for file in beside.files]
    for wanted, should in ((flt.sha256, True), (flt.not_sha256, False)):
        if wanted and any(one.startswith(start) for one in sums for start in wanted) is not should:
            return False
    files = [text for file in beside.files for text in (file.name, file.content_type)]
    return _has_text(flt.links, list(beside.links)) and _has_text(flt.files, files)


def holds(
    flt: MessageFilter,
    copy: Copy,
    *,
    now: int,
    outcomes: Mapping[int, Delivered] | None = None,
    beside: Beside | None = None,
    unknown: bool = False,
) -> bool:
    """Return True if the filter must let the copy through. Each limit is inclusive.

    If a copy was not searched for links or files, a word on these, or its negation, is `unknown`: the value that must
    not let the copy through is used.
    """
    record = copy.record
    for group in flt.groups:
        other = not unknown if group.negated else unknown
        found = [holds(one, copy, now=now, outcomes=outcomes, beside=beside, unknown=other) for one in group.branches]
        if (True in found) is group.negated:
            return False
    if not beside_holds(flt, record, beside or Beside(looked=False), unknown):
        return False
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
