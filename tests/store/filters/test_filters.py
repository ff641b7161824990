"""The filter line and the filter: parse and print are inverse, errors name the place, half-typed words give none."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from store.filters.line import (
    DEEPEST,
    FIELDS,
    MOST_ALTERNATIVES,
    MOST_GROUPS,
    MessageFilter,
    Period,
    Term,
    fold,
    parse,
    print_filter,
)
from store.filters.model import LAST_MOMENT, MAX_KB, Beside, Group, recipients_text
from store.mail.outcome import Delivered
from store.terms.errors import FilterError
from store.terms.records import Copy, CopyRecord
from store.terms.verdicts import Engine, Status, Verdict
from tests.amounts import amount
from tests.store.filters import filter_model
from tests.store.filters.filter_model import NOW, holds

ZONES: list[tzinfo] = [
    UTC,
    ZoneInfo("Europe/Berlin"),
    ZoneInfo("America/New_York"),
    ZoneInfo("Asia/Kathmandu"),
    ZoneInfo("America/Santiago"),
    ZoneInfo("Pacific/Apia"),
    timezone(timedelta(hours=-9, minutes=-30)),
]
MINUTE = 60_000
texts = st.text(min_size=1, max_size=12)
term_tuples = st.lists(st.builds(Term, texts, st.booleans()), max_size=3).map(tuple)
rules = st.lists(st.integers(0, 2**63 - 1), max_size=3).map(tuple)
moments = st.one_of(
    st.integers(0, 4_102_444_800_000),
    st.integers(0, 4_102_444_800).map(lambda seconds: seconds * 1000),
    st.integers(0, 68_374_080).map(lambda minutes: minutes * MINUTE),
    st.integers(0, 2_849_000).map(lambda quarters: quarters * 15 * MINUTE - 1 if quarters else 0),
    st.integers(0, 221_845_391_999_999),
)


results = st.from_regex(r"([a-z][a-z0-9-]{0,5}=)?(pass|fail|softfail|none)", fullmatch=True)
sums = st.lists(st.from_regex(r"[0-9a-fA-F]{6,64}", fullmatch=True), max_size=3).map(tuple)


@st.composite
def plain_filters(draw: st.DrawFn) -> MessageFilter:
    since, until = draw(st.none() | moments), draw(st.none() | moments)
    if since is not None and until is not None and since > until:
        since, until = until, since
    low, high = draw(st.none() | st.integers(0, 2**40)), draw(st.none() | st.integers(0, 2**40))
    if low is not None and high is not None and low > high:
        low, high = high, low
    scores = sorted(draw(st.lists(st.floats(-2_000_000, 2_000_000), min_size=2, max_size=2)))
    return MessageFilter(
        score_min=draw(st.sampled_from([None, scores[0]])),
        score_max=draw(st.sampled_from([None, scores[1]])),
        campaigns=draw(rules),
        not_campaigns=draw(rules),
        odd=draw(st.none() | st.booleans()),
        known=draw(st.none() | st.booleans()),
        links=draw(term_tuples),
        files=draw(term_tuples),
        clients=draw(term_tuples),
        symbols=draw(term_tuples),
        envelope=draw(term_tuples),
        sha256=draw(sums),
        not_sha256=draw(sums),
        auth=draw(st.frozensets(results, max_size=3)),
        not_auth=draw(st.frozensets(results, max_size=3)),
        from_=draw(term_tuples),
        to=draw(term_tuples),
        subject=draw(term_tuples),
        message_id=draw(term_tuples),
        words=draw(term_tuples),
        rule_ids=draw(rules),
        not_rule_ids=draw(rules),
        period=draw(st.none() | st.sampled_from(Period)),
        since=since,
        until=until,
        engines=draw(st.frozensets(st.sampled_from(Engine))),
        not_engines=draw(st.frozensets(st.sampled_from(Engine))),
        status=draw(st.frozensets(st.sampled_from(Status))),
        not_status=draw(st.frozensets(st.sampled_from(Status))),
        size_min=low,
        size_max=high,
        delivered=draw(st.frozensets(st.sampled_from(Delivered))),
        not_delivered=draw(st.frozensets(st.sampled_from(Delivered))),
    )


words_only = st.builds(MessageFilter, words=term_tuples, subject=term_tuples, files=term_tuples)


def grouped(inner: st.SearchStrategy[MessageFilter]) -> st.SearchStrategy[MessageFilter]:
    """Make filters with nested groups."""
    group = st.builds(Group, st.lists(inner, max_size=3).map(tuple), st.booleans())
    groups = st.lists(group, max_size=3).map(tuple)
    return st.builds(replace, words_only | plain_filters(), groups=groups)


all_filters = st.recursive(words_only | plain_filters(), grouped, max_leaves=5)


def filters() -> st.SearchStrategy[MessageFilter]:
    """Make any filter that a line can express."""
    return all_filters


@given(filters(), st.sampled_from(ZONES))
def test_parse_reads_back_what_print_wrote(flt: MessageFilter, tz: tzinfo) -> None:
    line = print_filter(flt, tz=tz)
    assert parse(line, tz=tz) == flt
    assert parse(line, tz=tz, lenient=True) == flt


def without_limits_that_cross(flt: MessageFilter) -> MessageFilter:
    """Return the filter without limits that contradict each other, which are errors only when typed completely."""
    groups = tuple(Group(tuple(map(without_limits_that_cross, one.branches)), one.negated) for one in flt.groups)
    return replace(flt, groups=groups, until=None, size_min=None, score_min=None)


@given(filters(), st.sampled_from(ZONES), st.data())
def test_typing_a_good_line_is_never_an_error(flt: MessageFilter, tz: tzinfo, data: st.DataObject) -> None:
    line = print_filter(without_limits_that_cross(flt), tz=tz)
    parse(line[: data.draw(st.integers(0, len(line)))], tz=tz, lenient=True)


@given(st.text(max_size=40), st.booleans(), st.sampled_from(ZONES))
def test_any_text_parses_or_says_where_it_does_not(text: str, lenient: bool, tz: tzinfo) -> None:
    try:
        flt = parse(text, tz=tz, lenient=lenient)
    except FilterError as error:
        assert 0 <= error.position < len(text)
    else:
        assert parse(print_filter(flt, tz=tz), tz=tz) == flt


LINE_TEXT = st.lists(
    st.sampled_from(
        [
            *(f"{field}:" for field in FIELDS),
            *[
                "-",
                '"',
                " ",
                "<=",
                ">=",
                "2026-11-2",
                "0T12:0",
                "anti-spam",
                "3",
                ",",
                "(",
                ")",
                " or ",
                "no",
                "abcdef",
            ],
        ]
    )
).map("".join)


@given(LINE_TEXT, st.booleans())
def test_any_mixture_of_the_grammar_parses_or_says_where(text: str, lenient: bool) -> None:
    try:
        parse(text, lenient=lenient)
    except FilterError as error:
        assert 0 <= error.position < len(text)


def test_the_example_of_the_design_means_every_field() -> None:
    flt = parse(
        'from:exa to:corp subject:"cheap pills" id:abc rule:3 period:week since:2026-11-01 until:2026-11-20T12:00 '
        "scan:anti-spam,anti-virus status:spam size:<=512 size:>=2 delivered:no invoice -newsletter"
    )
    assert flt == MessageFilter(
        from_=(Term("exa"),),
        to=(Term("corp"),),
        subject=(Term("cheap pills"),),
        message_id=(Term("abc"),),
        rule_ids=(3,),
        period=Period.WEEK,
        since=int(datetime(2026, 11, 1, tzinfo=UTC).timestamp() * 1000),
        until=int(datetime(2026, 11, 20, 12, 1, tzinfo=UTC).timestamp() * 1000) - 1,
        engines=frozenset({Engine.ANTI_SPAM, Engine.ANTI_VIRUS}),
        status=frozenset({Status.SPAM}),
        size_max=512,
        size_min=2,
        delivered=frozenset({Delivered.NO}),
        words=(Term("invoice"), Term("newsletter", negated=True)),
    )


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("a form:exa", "form:exa"),
        ("a from:", "from:"),
        ('a subject:"open', "subject:"),
        ("size:512", "size:512"),
        ("x size:<512", "size:<512"),
        ("size:<=512parsecs", "size:"),
        ("size:<=99999999999GB", "size:"),
        ("scan:anti-gravity", "scan:"),
        ("a scan:anti-spam,", "scan:"),
        ("status:bad", "status:"),
        ("rule:three", "rule:"),
        ("rule:٣", "rule:"),
        ("rule:9223372036854775808", "rule:"),
        ("rule:3,10000000000000000000", "rule:"),
        ("period:fortnight", "period:"),
        ("a period:custom", "period:"),
        ("since:yesterday", "since:"),
        ("a since:2026-02-30", "since:"),
        ("since:2026-11-01T25:00", "since:"),
        ("since:0001-01-01T00:00+05:00", "since:"),
        ("until:9999-12-31", "until:"),
        ("since:2026-11-02 until:2026-11-01", "until:"),
        ("size:>=9 size:<=8", "size:<=8"),
        ("-period:week", "-period:"),
        ("a -score:>=7", "-score:"),
        ("score:7", "score:"),
        ("score:>=seven", "score:"),
        ("score:<=99999999", "score:"),
        ("score:>=1.234", "score:"),
        ("score:>=7 score:<=6.99", "score:<="),
        ("campaign:0", "campaign:"),
        ("campaign:nobody", "campaign:"),
        ("a odd:maybe", "odd:"),
        ("known:yes -known:yes", "-known:"),
        ("sha256:abcde", "sha256:"),
        ("sha256:abcdeg", "sha256:"),
        ("x sha256:abcdef,", "sha256:"),
        ("client:10.0.0.0/33", "client:"),
        ("client:10.0.0.0/", "client:"),
        ("auth:forged", "auth:"),
        ("auth:dkim=", "auth:"),
        ("a auth:=fail", "auth:"),
        ("a or", "or"),
        ("or a", "or"),
        ("a (or b)", "or"),
        ("a or or b", "or b"),
        ("a or (b or)", "or)"),
        ("(a or b", "("),
        ("x (a (b)", "(a"),
        ("a ()", "()"),
        ("a -( )", "-("),
        ("a or b)", ")"),
        ("(a) or b) c", ") c"),
        ("a sub(b", "sub("),
        ("subject:(a or b)", "subject:"),
        ("-size:<=3", "-size:"),
        ("delivered:maybe", "delivered:"),
        ("a -", "-"),
    ],
)
def test_an_error_says_where_and_is_one_sentence_or_more(line: str, word: str) -> None:
    if line.startswith("since:0001"):
        assert parse(line).since == 0
        return
    with pytest.raises(FilterError) as error:
        parse(line)
    assert error.value.position == line.index(word)
    assert str(error.value).endswith(".")


@pytest.mark.parametrize(
    "word",
    [
        "from:",
        "-",
        "-subject:",
        "size:",
        "size:<",
        "size:<=",
        "scan:",
        "scan:anti-",
        "scan:anti-spam,",
        "status:sp",
        "rule:",
        "rule:3,",
        "period:",
        "period:w",
        "period:custom",
        "since:2",
        "since:2026-11-0",
        "since:2026-11-01T1",
        "since:2026-11-01T10:00+0",
        "delivered:y",
        'from:"',
        "campaign:",
        "campaign:no",
        "campaign:3,",
        "odd:",
        "-known:n",
        "link:",
        "sha256:abcde",
        "client:10.0.0.0/",
        "score:>=",
        "score:>=-",
        "score:>=7.",
        "auth:",
        "auth:dk",
        "auth:dkim=f",
        "auth:pass,",
        "or",
        "(",
        "-(",
        "()",
        "or (",
        "or -(from:",
        "(or",
        "sub(ject",
    ],
)
def test_a_word_still_being_typed_is_left_out_when_lenient(word: str) -> None:
    assert parse(f"invoice {word}", lenient=True) == parse("invoice")
    with pytest.raises(FilterError):
        parse(f"invoice {word}")


def test_a_quotation_still_open_searches_what_is_there_when_lenient() -> None:
    assert parse('subject:"cheap pi', lenient=True) == MessageFilter(subject=(Term("cheap pi"),))


@pytest.mark.parametrize("line", ["form:exa", "size:512x", "scan:gravity", "since:yesterday"])
def test_a_wrong_word_stays_an_error_when_lenient(line: str) -> None:
    with pytest.raises(FilterError):
        parse(line, lenient=True)


def test_a_mistyped_field_is_guessed_and_the_way_to_search_its_text_said() -> None:
    with pytest.raises(FilterError, match=r"Did you mean subject:.*quotation marks"):
        parse("subjct:pills")
    assert parse('"subjct:pills"').words == (Term("subjct:pills"),)


def words(*texts: str, groups: tuple[Group, ...] = ()) -> MessageFilter:
    return MessageFilter(words=tuple(map(Term, texts)), groups=groups)


def either(*branches: MessageFilter, negated: bool = False) -> Group:
    return Group(branches, negated)


@pytest.mark.parametrize(
    ("line", "meant"),
    [
        ("a or b", words(groups=(either(words("a"), words("b")),))),
        ("a b or c d", words(groups=(either(words("a", "b"), words("c", "d")),))),
        ("x (a or b)", words("x", groups=(either(words("a"), words("b")),))),
        ("(a or b) (c or d)", words(groups=(either(words("a"), words("b")), either(words("c"), words("d"))))),
        ("-(a b)", words(groups=(either(words("a", "b"), negated=True),))),
        ("-(a or b) c", words("c", groups=(either(words("a"), words("b"), negated=True),))),
        ("a OR b", parse("a or b")),
        ("a or(b c)", words(groups=(either(words("a"), words("b", "c")),))),
        ("((a))", words("a")),
        ("(a or (b or c)) or d", parse("a or b or c or d")),
        ("(a b) or c", parse("a b or c")),
        ("a or (b", parse("a or b")),
        ('"or" or "(a)"', words(groups=(either(words("or"), words("(a)")),))),
        ("fun(x) subject:f(x)", MessageFilter(words=(Term("fun(x)"),), subject=(Term("f(x)"),))),
        ("-or", MessageFilter(words=(Term("or", True),))),
        ("subject:or", MessageFilter(subject=(Term("or"),))),
        ("(order or ore)", words(groups=(either(words("order"), words("ore")),))),
    ],
)
def test_or_and_parentheses(line: str, meant: MessageFilter) -> None:
    assert parse(line, lenient=line.count("(") > line.count(")")) == meant
    assert parse(print_filter(meant)) == meant


@pytest.mark.parametrize(
    ("flt", "line"),
    [
        (parse("((a or b))"), "a or b"),
        (parse("scan:content (a or b)"), "scan:content (a or b)"),
        (parse("a -( b or ( c d ) )"), "a -(b or c d)"),
        (words("or", "(", "Or"), '"or" "(" "Or"'),
        (parse("a (b)"), "a (b)"),
    ],
)
def test_groups_print_with_no_more_parentheses_than_they_need(flt: MessageFilter, line: str) -> None:
    assert print_filter(flt) == line
    assert parse(line) == flt


def test_what_is_not_a_group_is_none() -> None:
    assert words(groups=(Group(()), Group((MessageFilter(),), True))).is_empty
    assert words(groups=(either(words(groups=(either(words("a"), words("b")),)), words("c")),)) == parse("a or b or c")


@pytest.mark.parametrize(
    "line",
    [
        "(" * 100_000,
        "-(" * 100_000,
        "a or " * 100_000,
        "(a) " * 1_000,
        "a " * 100_000,
        "и" * 100_000,
        'a "' + "и" * 4_001,
        "(" * 30 + "a" + ")" * 30,
        "(a or " * 13 + "a" + ")" * 13,
    ],
)
def test_a_line_too_long_or_too_deep_is_said_to_be(line: str) -> None:
    for lenient in (True, False):
        with pytest.raises(FilterError, match="at most") as error:
            parse(line, lenient=lenient)
        assert 0 <= error.value.position < len(line)


def test_as_much_as_is_allowed_is_taken() -> None:
    deep = "(x a or -" * DEEPEST + '"or"' + ")" * DEEPEST
    assert parse(print_filter(parse(deep))) == parse(deep)
    groups = " ".join(["(a or b)"] * MOST_GROUPS)
    assert len(parse(groups).groups) == MOST_GROUPS
    many = " or ".join(["a b"] * (MOST_ALTERNATIVES + 1))
    assert len(parse(many).groups[0].branches) == MOST_ALTERNATIVES + 1


def test_each_of_the_new_words_means_its_field() -> None:
    flt = parse(
        "campaign:12,none -campaign:3 odd:yes -known:yes link:Evil.example -file:pdf sha256:ABCDEF,012345 "
        "client:192.0.2.0/24 score:>=7 score:<=12.50 symbol:BAYES envelope:<> auth:fail,DKIM=none -auth:pass"
    )
    assert flt == MessageFilter(
        campaigns=(0, 12),
        not_campaigns=(3,),
        odd=True,
        known=False,
        links=(Term("Evil.example"),),
        files=(Term("pdf", True),),
        sha256=("012345", "abcdef"),
        clients=(Term("192.0.2.0/24"),),
        score_min=7.0,
        score_max=12.5,
        symbols=(Term("BAYES"),),
        envelope=(Term("<>"),),
        auth=frozenset({"fail", "dkim=none"}),
        not_auth=frozenset({"pass"}),
    )
    fields = {"campaign", "odd", "known", "link", "file", "sha256", "client", "score", "symbol", "envelope", "auth"}
    assert flt.asks() == fields
    assert print_filter(flt).count("score:<=12.5 ") == 1


def test_what_a_filter_asks_for_is_found_in_its_groups() -> None:
    assert parse("a -(b or odd:yes (c or file:x))").asks() == {"odd", "file"}
    assert parse("a or (b delivered:yes) c").asks_delivered() and not parse("a or b").asks_delivered()
    assert parse("a or b").asks() == frozenset()


def test_repeated_sets_are_joined_and_repeated_limits_tightened() -> None:
    flt = parse("rule:3 rule:5,3 scan:content -scan:blacklist size:<=9MB size:<=2048 since:2026-11-01 since:2026-11-03")
    assert flt.rule_ids == (3, 5)
    assert flt.engines == {Engine.CONTENT}
    assert flt.not_engines == {Engine.BLACK_LIST}
    assert flt.size_max == 2048
    assert flt.since == int(datetime(2026, 11, 3, tzinfo=UTC).timestamp() * 1000)


@given(st.lists(st.sampled_from(Period), min_size=1, max_size=4), st.booleans(), st.integers(0, 366 * 24))
def test_of_several_periods_all_must_match(periods: list[Period], limited: bool, hours: int) -> None:
    one = Copy(7, NOW - hours * 3_600_000, 0, CopyRecord())
    since = "since:1970-01-02"
    words = [f"period:{period.value}" for period in periods]
    if Period.CUSTOM in periods and len(set(periods)) == 1 and not limited:
        with pytest.raises(FilterError):
            parse(" ".join(words))
        return
    flt = parse(" ".join([*words, since] if limited else words))
    each = [parse(f"{word} {since}" if limited or "custom" in word else word).matches(one, now=NOW) for word in words]
    assert flt.matches(one, now=NOW) is all(each)
    assert parse(print_filter(flt)) == flt


@pytest.mark.parametrize("field", FIELDS)
def test_a_field_that_cannot_be_negated_says_how_to_exclude_its_copies(field: str) -> None:
    values = ("day", "2026-11-02", "<=5", "3", "yes", "spam", "anti-spam", "abcdef", "fail", "a")
    for value in values:
        try:
            meant = parse(f"{field}:{value}")
            break
        except FilterError:
            continue
    try:
        flt = parse(f"-{field}:{value}")
    except FilterError as error:
        assert field in ("period", "since", "until", "size", "score")
        flt = parse(str(error).split("Write ")[1].removesuffix(" instead."))
    else:
        assert field not in ("period", "since", "until", "size", "score")
    for hours in (0, 30, 10**5):
        one = Copy(7, NOW - hours * 3_600_000, 0, CopyRecord())
        beside = Beside(looked=True)
        assert flt.matches(one, now=NOW, beside=beside) is not meant.matches(one, now=NOW, beside=beside)


def test_two_values_of_one_choice_field_are_both_required_in_parentheses() -> None:
    flt = parse("(auth:pass) (auth:fail)")
    assert len(flt.groups) == 2 and parse("auth:pass auth:fail") == parse("auth:pass,fail")


@pytest.mark.parametrize(
    ("zone", "night"),
    [
        ("Europe/Berlin", "2026-03-29"),
        ("Europe/Berlin", "2026-10-25"),
        ("America/St_Johns", "2026-03-08"),
        ("America/St_Johns", "2026-11-01"),
        ("America/St_Johns", "2008-11-02"),  # back at 00:01, so that the day before ends twice
        ("America/Havana", "2026-11-01"),  # back at 01:00, so that the day begins twice
        ("Africa/Cairo", "2026-10-29"),
        ("Asia/Kathmandu", "2026-03-29"),
        ("Pacific/Apia", "2021-04-04"),
        ("Pacific/Apia", "2011-12-30"),  # a day that did not exist
    ],
)
def test_a_time_as_a_list_shows_it_finds_the_copy_when_clocks_are_changed(zone: str, night: str) -> None:
    tz = ZoneInfo(zone)
    noon = datetime.fromisoformat(f"{night}T12:00+00:00")
    for minutes in range(-30 * 60, 30 * 60, 7):
        moment = noon + timedelta(minutes=minutes, seconds=31)
        shown = moment.astimezone(tz)
        for text in (f"{shown:%Y-%m-%dT%H:%M}", f"{shown:%Y-%m-%dT%H:%M:%S}", f"{shown:%Y-%m-%d}"):
            flt = parse(f"since:{text} until:{text}", tz=tz)
            assert flt.since is not None and flt.until is not None
            assert flt.since <= moment.timestamp() * 1000 <= flt.until, (text, shown)


def test_dates_are_in_the_readers_zone_and_until_includes_what_it_names() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    flt = parse("since:2026-07-01 until:2026-07-01", tz=berlin)
    assert flt.since is not None and flt.until is not None
    assert datetime.fromtimestamp(flt.since / 1000, UTC) == datetime(2026, 6, 30, 22, tzinfo=UTC)
    assert flt.until - flt.since + 1 == 86_400_000
    assert print_filter(flt, tz=berlin) == "since:2026-07-01 until:2026-07-01"
    assert print_filter(flt, tz=UTC) == "since:2026-06-30T22:00 until:2026-07-01T21:59"


@pytest.fixture
def far_east(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Set this machine's time zone to one far in the east."""
    monkeypatch.setenv("TZ", "Asia/Kathmandu")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("far_east")
def test_without_a_zone_times_are_in_utc_wherever_this_machine_stands() -> None:
    line = "since:2026-07-01 until:2026-07-02T10:30"
    flt = parse(line)
    assert flt.since == int(datetime(2026, 7, 1, tzinfo=UTC).timestamp() * 1000)
    assert print_filter(flt) == line == print_filter(flt, tz=UTC)


def test_the_repeated_hour_of_autumn_is_told_apart() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    first, second = (int(datetime(2026, 10, 25, hour, 30, tzinfo=UTC).timestamp() * 1000) for hour in (0, 1))
    lines = {print_filter(MessageFilter(since=moment), tz=berlin) for moment in (first, second)}
    assert len(lines) == 2
    assert {parse(line, tz=berlin).since for line in lines} == {first, second}


def test_custom_is_implied_by_limits_and_nothing_without_them() -> None:
    assert MessageFilter(since=5).period is Period.CUSTOM
    assert MessageFilter(period=Period.CUSTOM).is_empty
    assert MessageFilter(subject=(Term(""),)).is_empty
    assert not MessageFilter(delivered=frozenset({Delivered.NO})).is_empty


def test_labels_are_the_specs() -> None:
    labels = ["Hour", "Day", "Week", "2 weeks", "Month", "3 months", "Year", "Custom"]
    assert [period.label for period in Period] == labels


@pytest.mark.parametrize(
    ("term", "text"),
    [
        ("Straße", "Große STRASSE 5"),
        ("STRASSE", "straße"),
        ("ΟΔΟΣ", "οδος"),
        ("cafe\u0301", "CAFÉ"),
        ("İ", "i̇stanbul"),
        ("ПИСЬМО", "письмо"),
    ],
)
def test_case_does_not_count_in_any_script(term: str, text: str) -> None:
    assert fold(term) in fold(text)


def copy(**fields: object) -> Copy:
    return Copy(7, 1_000_000, 0, CopyRecord(**fields))


@pytest.mark.parametrize(
    ("line", "matched"),
    [
        ("", True),
        ("from:BILLING", True),
        ("-from:billing", False),
        ("to:ap@corp", True),
        ("to:hidden@corp", True),
        ("to:cc@corp", False),
        ("id:4bXyz", True),
        ("id:MID-1", True),
        ("-id:mid-1", False),
        ("invoice", True),
        ("billing hidden@", True),
        ("-nothing invoice", True),
        ("-billing", False),
        ("rule:2,3", True),
        ("-rule:3", False),
        ("scan:anti-spam", True),
        ("scan:anti-virus", False),
        ("-scan:anti-virus", True),
        ("status:spam,phishing", True),
        ("-status:spam", False),
        ("size:<=2", True),
        ("size:<=1", False),
        ("size:>=2", True),
        ("size:>=3", False),
        ("delivered:partly", True),
        ("delivered:yes,partly", True),
        ("delivered:no", False),
        ("-delivered:partly", False),
        ("-delivered:no,yes", True),
        ("period:hour", True),
        ("until:1970-01-01T00:16", True),
        ("until:1970-01-01T00:15", False),
        ("since:1970-01-01T00:17", False),
    ],
)
def test_what_each_field_lets_through(line: str, matched: bool) -> None:
    one = copy(
        from_="Billing <inv@acme.example>",
        to="ap@corp.example",
        cc="cc@corp.example",
        envelope_recipients=("ap@corp.example", "hidden@corp.example"),
        subject="Invoice 88213",
        message_id="<mid-1@acme.example>",
        mta_message_id="4BXYZ1",
        rule_id=3,
        reason=Verdict(Engine.ANTI_SPAM, Status.SPAM),
        size=2048,
    )
    assert parse(line).matches(one, now=1_000_000 + 3_600_000, outcomes={7: Delivered.PARTLY}) is matched


def test_a_period_counts_back_from_now() -> None:
    assert not parse("period:hour").matches(copy(), now=1_000_000 + 3_600_001)
    assert parse("period:day").matches(copy(), now=1_000_000 + 3_600_001)


@pytest.mark.parametrize(
    ("period", "hours"),
    [("hour", 1), ("day", 24), ("week", 168), ("2weeks", 336), ("month", 720), ("3months", 2160), ("year", 8760)],
)
def test_a_period_is_as_long_as_its_name_to_the_millisecond(period: str, hours: int) -> None:
    flt, length = parse(f"period:{period}"), hours * 3_600_000
    assert flt.matches(copy(), now=1_000_000 + length) and not flt.matches(copy(), now=1_000_001 + length)
    assert flt.earliest(length + 7) == 7 and Period(period).milliseconds == length


def test_cc_counts_as_a_recipient_where_no_envelope_is_known() -> None:
    assert parse("to:cc@corp").matches(copy(to="ap@corp.example", cc="cc@corp.example"), now=0)


some_copies = st.builds(Copy, st.integers(1, 3), filter_model.moments, st.just(0), filter_model.records)


outcomes_of_some = st.dictionaries(st.integers(1, 3), st.sampled_from(Delivered)) | st.none()


@given(some_copies, filter_model.wide_filters, outcomes_of_some, filter_model.besides | st.none())
@settings(max_examples=amount(150, 500))
def test_it_matches_what_the_plain_way_lets_through(
    one: Copy, flt: MessageFilter, outcomes: dict[int, Delivered] | None, beside: Beside | None
) -> None:
    expected = holds(flt, one, now=NOW, outcomes=outcomes, beside=beside)
    assert flt.matches(one, now=NOW, outcomes=outcomes, beside=beside) is expected
    later = NOW + 400 * 24 * 3_600_000
    assert flt.fixed(NOW).matches(one, now=later, outcomes=outcomes, beside=beside) is expected


@given(st.integers(0, LAST_MOMENT), st.integers(0, 4096), st.integers(-1, 1), st.data())
def test_a_limit_lets_through_what_it_names_and_nothing_beyond(
    placed: int, kilobytes: int, beside: int, data: st.DataObject
) -> None:
    one = Copy(7, placed, 0, CopyRecord(size=max(0, kilobytes * 1024 + beside)))
    limits: dict[str, Any] = data.draw(
        st.sampled_from(
            [
                {"since": max(0, placed - 1)},
                {"since": placed},
                {"since": placed + 1},
                {"until": max(0, placed - 1)},
                {"until": placed},
                {"until": placed + 1},
                {"size_min": kilobytes},
                {"size_max": kilobytes},
                {"size_min": kilobytes, "size_max": kilobytes, "since": placed, "until": placed},
            ]
        ),
        label="limits",
    )
    flt = MessageFilter(**limits)
    assert flt.matches(one, now=placed) is holds(flt, one, now=placed)


def test_limits_are_inclusive_on_both_sides() -> None:
    one = Copy(7, 1_000_000, 0, CopyRecord(size=2048))
    assert MessageFilter(since=1_000_000, until=1_000_000, size_min=2, size_max=2).matches(one, now=0)
    for beyond in ({"since": 1_000_001}, {"until": 999_999}, {"size_min": 3}, {"size_max": 1}):
        assert not MessageFilter(**beyond).matches(one, now=0)
    assert not MessageFilter(size_max=2).matches(one._replace(record=CopyRecord(size=2049)), now=0)
    assert not MessageFilter(size_min=2).matches(one._replace(record=CopyRecord(size=2047)), now=0)


def test_limits_out_of_range_are_moved_to_its_end() -> None:
    flt = MessageFilter(since=-5, until=LAST_MOMENT + 5, size_min=-1, size_max=MAX_KB + 1)
    assert (flt.since, flt.until, flt.size_min, flt.size_max) == (0, LAST_MOMENT, 0, MAX_KB)


@pytest.mark.parametrize(
    ("text", "kilobytes"),
    [
        ("7", 7),
        *[(f"7{unit}", 7) for unit in ("k", "KB", "KiB")],
        *[(f"7{unit}", 7 * 1024) for unit in ("m", "MB", "MiB")],
        *[(f"7{unit}", 7 * 1024 * 1024) for unit in ("g", "GB", "GiB")],
        ("1099511627776", 2**40),
    ],
)
def test_a_size_is_in_kilobytes_or_names_its_unit(text: str, kilobytes: int) -> None:
    assert parse(f"size:<={text}") == MessageFilter(size_max=kilobytes)
    assert parse(f"size:>={text}") == MessageFilter(size_min=kilobytes)


@pytest.mark.parametrize(
    "word", ["size:<=x", "size:<=MB", "size:>=" + "9" * 5000, "size:<=1099511627777", "size:<=2TB", "size:512"]
)
@pytest.mark.parametrize("lenient", [False, True])
def test_no_typing_on_makes_a_size_of_these(word: str, lenient: bool) -> None:
    with pytest.raises(FilterError) as error:
        parse(f"invoice {word}", lenient=lenient)
    assert error.value.position == len("invoice ")


def test_the_last_rule_is_the_last_number_of_the_database() -> None:
    assert parse("rule:9223372036854775807,0") == MessageFilter(rule_ids=(0, 2**63 - 1))


def test_the_last_moment_is_the_end_of_the_year_8999() -> None:
    end = datetime(9000, 1, 1, tzinfo=UTC) - timedelta(milliseconds=1)
    assert datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=LAST_MOMENT) == end
    assert parse("until:8999-12-31").until == LAST_MOMENT
    assert parse("until:8999-12-31T23:59", tz=timezone(timedelta(hours=-1))).until == LAST_MOMENT


@pytest.mark.parametrize(
    ("text", "word", "value"),
    [
        ("plain", "plain", "plain"),
        ("-x", '"-x"', "-x"),
        ("a-x", "a-x", "a-x"),
        ("from:x", '"from:x"', "from:x"),
        ("3:x", "3:x", "3:x"),
        ("two words", '"two words"', '"two words"'),
        ("tab\there", r'"tab\there"', r'"tab\there"'),
        ("line\n\rend", r'"line\n\rend"', r'"line\n\rend"'),
        ('a"b', r'"a\"b"', r'"a\"b"'),
        ("or", '"or"', "or"),
        ("oR", '"oR"', "oR"),
        ("orb", "orb", "orb"),
        ("f(x)", '"f(x)"', '"f(x)"'),
        ("sha256:x", '"sha256:x"', "sha256:x"),
        ("mx1:x", "mx1:x", "mx1:x"),
        ("a\\b", r'"a\\b"', r'"a\\b"'),
    ],
)
def test_a_text_is_quoted_only_where_it_would_mean_something_else(text: str, word: str, value: str) -> None:
    """`word`: a word that searches all fields; `value`: the value after a field name."""
    assert print_filter(MessageFilter(words=(Term(text), Term(text, True)))) == f"{word} -{word}"
    assert print_filter(MessageFilter(subject=(Term(text),))) == f"subject:{value}"
    assert parse(f"{word} -{word} subject:{value}") == MessageFilter(
        words=(Term(text), Term(text, True)), subject=(Term(text),)
    )


def test_the_hints_name_every_value_that_a_field_takes() -> None:
    for field, values in (("scan", Engine), ("status", Status), ("delivered", Delivered)):
        assert FIELDS[field].partition(" (")[0].split(", ") == [value.value for value in values]
    assert FIELDS["period"].split(", ") == [period.value for period in Period if period is not Period.CUSTOM]


def test_a_lone_backslash_at_the_end_is_itself() -> None:
    assert parse('subject:"a\\', lenient=True) == MessageFilter(subject=(Term("a\\"),))
    assert parse(r'"\n\r\t\"\\\x"').words == (Term('\n\r\t"\\x'),)


@pytest.mark.parametrize(
    ("line", "same"),
    [
        ("engine:content", "scan:content"),
        ("message-id:x", "id:x"),
        ("Message_ID:x", "id:x"),
        ("placed:week", "period:week"),
        ("sender:x", "from:x"),
        ("recipient:x", "to:x"),
        ("scan:content-filtering", "scan:content"),
        ("SCAN:BlackList", "scan:black-list"),
        ("-status:SPAM", "-status:spam"),
    ],
)
def test_other_names_of_fields_and_engines_mean_the_same(line: str, same: str) -> None:
    assert parse(line) == parse(same) != MessageFilter()


def test_the_to_field_searches_each_recipient_once() -> None:
    known = CopyRecord(to="Ann <a@x.example>", cc="c@x.example", envelope_recipients=("a@x.example", "h@x.example"))
    assert recipients_text(known) == "Ann <a@x.example>\nh@x.example"
    unknown = CopyRecord(to="a@x.example", cc="c@x.example", bcc="a@x.example")
    assert recipients_text(unknown) == "a@x.example\nc@x.example"
    assert recipients_text(CopyRecord(to="a@x.example")) == "a@x.example"
