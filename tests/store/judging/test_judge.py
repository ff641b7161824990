"""The judgement of a message: a table of cases, and properties of all cases."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.judging import judge as judge_module
from store.judging.content import ContentPolicy, ContentResult, content_verdicts
from store.judging.engines.engine import EngineResult
from store.judging.judge import (
    NO_ATTACHMENTS,
    NOT_DISINFECTED,
    Decision,
    decided_before,
    judge,
    look_up,
    record_of,
)
from store.judging.rules.address_lists import AddressLists
from store.judging.rules.rules import DEFAULT_RULE, SCANNED, IfDown, Rule, actions_for
from store.judging.scanner_words import GRAVITY
from store.mail.incoming import Incoming
from store.terms.verdicts import Action, Engine, Status, Verdict, is_kept, statuses_of

PLAIN = b"From: Ann <ann@example.com>\r\nTo: bob@corp.example\r\nSubject: x\r\n\r\nhello\r\n"
WITH_ATTACHMENT = (
    b"From: ann@example.com\r\nSubject: x\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
    b"--b\r\n\r\nhello\r\n--b\r\nContent-Type: application/octet-stream\r\n"
    b'Content-Disposition: attachment; filename="a.exe"\r\n\r\nMZ\r\n--b--\r\n'
)
INFECTED = Verdict(Engine.ANTI_VIRUS, Status.INFECTED, "Eicar")
SPAM = Verdict(Engine.ANTI_SPAM, Status.SPAM, "score 20")
PROBABLE = Verdict(Engine.ANTI_SPAM, Status.PROBABLE_SPAM, "score 7")
PHISHING = Verdict(Engine.ANTI_PHISHING, Status.PHISHING, "PHISHING")
NAME = Verdict(Engine.CONTENT, Status.BANNED_FILE_NAME, "a.exe")
AV_CLEAN, SPAM_CLEAN = Verdict(Engine.ANTI_VIRUS, Status.CLEAN), Verdict(Engine.ANTI_SPAM, Status.CLEAN)
CLAMD, RSPAMD = frozenset({Engine.ANTI_VIRUS, Engine.ANTI_PHISHING}), frozenset(SCANNED) - {Engine.ANTI_VIRUS}


def message(raw: bytes = WITH_ATTACHMENT, *recipients: str, **more: Any) -> Incoming:
    return Incoming(raw, "ann@example.com", list(recipients or ("bob@corp.example",)), **more)


def results(*verdicts: Verdict, clamd: bool = True, rspamd: bool = True) -> dict[str, EngineResult]:
    """Return the answers of clamd and rspamd; "not scanned" for one that is down."""
    found = {}
    for name, engines, up in (("clamd", CLAMD, clamd), ("rspamd", RSPAMD, rspamd)):
        own = tuple(v for v in verdicts if (v.engine is Engine.ANTI_VIRUS) == (name == "clamd"))
        silent = tuple(Verdict(engine, Status.NOT_SCANNED, "refused") for engine in sorted(engines))
        found[name] = EngineResult(up, own if up else silent, "" if up else "connection refused", 7 * up, engines)
    return found


def rule(**actions: dict[Status, Action]) -> Rule:
    return Rule(id=3, name="r", actions={Engine(name.replace("_", "-")): one for name, one in actions.items()})


def decide(
    *verdicts: Verdict,
    by: Rule = DEFAULT_RULE,
    lists: AddressLists = AddressLists(),  # noqa: B008  # frozen
    raw: bytes = WITH_ATTACHMENT,
    banned: tuple[int, ...] = (),
    **more: Any,
) -> Decision:
    content = tuple(v for v in verdicts if v.engine is Engine.CONTENT)
    scanned = [v for v in verdicts if v.engine is not Engine.CONTENT]
    return judge(by, lists, message(raw), results(*scanned, **more), ContentResult(content, banned))


def test_ham_goes_on() -> None:
    decision = decide(AV_CLEAN, SPAM_CLEAN)
    assert decision == Decision(verdicts=(AV_CLEAN, SPAM_CLEAN))


@pytest.mark.parametrize(
    ("verdicts", "by", "reason", "action", "keep"),
    [
        ([INFECTED], DEFAULT_RULE, INFECTED, Action.DELETE_MESSAGE, True),
        ([SPAM], DEFAULT_RULE, SPAM, Action.DELETE_MESSAGE, True),
        ([PROBABLE], DEFAULT_RULE, PROBABLE, Action.SKIP, False),
        ([PHISHING, SPAM], DEFAULT_RULE, PHISHING, Action.DELETE_MESSAGE, True),
        ([SPAM, INFECTED, PHISHING, NAME], DEFAULT_RULE, INFECTED, Action.DELETE_MESSAGE, True),
        ([SPAM], rule(anti_spam={Status.SPAM: Action.REJECT}), SPAM, Action.REJECT, False),
        ([SPAM], rule(anti_spam={Status.SPAM: Action.SKIP}), SPAM, Action.SKIP, False),
        ([INFECTED], rule(anti_virus={Status.INFECTED: Action.REJECT}), INFECTED, Action.REJECT, False),
        ([INFECTED], rule(anti_virus={Status.INFECTED: Action.DELETE_ATTACHMENT}), INFECTED, Action.DELETE_ATTACHMENT,
         True),
        ([NAME], DEFAULT_RULE, NAME, Action.DELETE_ATTACHMENT, True),
        # A verdict that is skipped does not prevent another engine's deletion; a deleted message needs no attachment
        # removed.
        ([INFECTED, SPAM], rule(anti_virus={Status.INFECTED: Action.SKIP}), SPAM, Action.DELETE_MESSAGE, True),
        ([NAME, SPAM], DEFAULT_RULE, SPAM, Action.DELETE_MESSAGE, True),
        ([NAME, PROBABLE], DEFAULT_RULE, NAME, Action.DELETE_ATTACHMENT, True),
        ([PHISHING, SPAM], rule(anti_phishing={Status.PHISHING: Action.REJECT}), PHISHING, Action.REJECT, False),
        ([Verdict(Engine.CONTENT, Status.SIZE_EXCEEDED)], DEFAULT_RULE, Verdict(Engine.CONTENT, Status.SIZE_EXCEEDED),
         Action.REJECT, False),
    ],
)  # fmt: skip
def test_reason_action_and_copy(verdicts: list[Verdict], by: Rule, reason: Verdict, action: Action, keep: bool) -> None:
    decision = decide(*verdicts, by=by, banned=(0,))
    assert (decision.reason, decision.action, decision.keep) == (reason, action, keep)
    assert set(decision.verdicts) == set(verdicts)
    assert decision.temporary_fail == ""


def test_disinfect_deletes_attachments_and_says_so() -> None:
    by = rule(anti_virus={Status.INFECTED: Action.DISINFECT})
    decision = decide(INFECTED, by=by)
    assert decision.action is Action.DELETE_ATTACHMENT
    assert decision.attachments is None
    assert decision.keep
    assert decision.reason == Verdict(Engine.ANTI_VIRUS, Status.INFECTED, f"Eicar; {NOT_DISINFECTED}")
    assert decision.note == NOT_DISINFECTED
    assert decision.verdicts == (INFECTED,)


@pytest.mark.parametrize("action", [Action.DISINFECT, Action.DELETE_ATTACHMENT])
def test_a_virus_that_no_attachment_holds_takes_the_message_with_it(action: Action) -> None:
    decision = decide(INFECTED, by=rule(anti_virus={Status.INFECTED: action}), raw=PLAIN)
    assert (decision.action, decision.keep) == (Action.DELETE_MESSAGE, True)
    assert decision.reason and NO_ATTACHMENTS in decision.reason.detail
    assert NO_ATTACHMENTS in decision.note


def test_content_takes_off_what_it_banned_and_a_virus_all() -> None:
    assert decide(NAME, banned=(0, 2)).attachments == (0, 2)
    by = rule(anti_virus={Status.INFECTED: Action.DELETE_ATTACHMENT})
    assert decide(NAME, INFECTED, banned=(0, 2), by=by).attachments is None
    skipped = rule(anti_virus={Status.INFECTED: Action.SKIP})
    assert decide(NAME, INFECTED, banned=(0, 2), by=skipped).attachments == (0, 2)


def test_where_the_attachments_were_not_to_blame_the_message_goes() -> None:
    decision = decide(INFECTED, by=rule(anti_virus={Status.INFECTED: Action.DELETE_ATTACHMENT}))
    whole = decision.with_whole_message_deleted("it is still infected")
    assert (whole.action, whole.keep) == (Action.DELETE_MESSAGE, True)
    assert whole.reason and whole.reason.detail == "Eicar; it is still infected"
    assert whole.note == "it is still infected"


DOWN = Rule(id=3, name="r", if_down={Engine.ANTI_VIRUS: IfDown.TEMPORARY_FAIL, Engine.ANTI_SPAM: IfDown.GO_ON})


def test_a_message_that_was_not_scanned_goes_on_or_waits_as_the_rule_says() -> None:
    on = decide(SPAM_CLEAN, clamd=False)
    assert (on.action, on.temporary_fail) == (Action.SKIP, "")
    assert on.note == "Anti-Virus did not scan it: clamd: connection refused"
    assert Verdict(Engine.ANTI_VIRUS, Status.NOT_SCANNED, "refused") in on.verdicts
    waits = decide(SPAM_CLEAN, clamd=False, by=DOWN)
    assert (waits.temporary_fail, waits.keep) == ("Anti-Virus: clamd: connection refused", False)
    assert decide(AV_CLEAN, rspamd=False, by=DOWN).temporary_fail == ""


def test_what_goes_anyway_does_not_wait_for_an_engine() -> None:
    gone = decide(SPAM, clamd=False, by=DOWN)
    assert (gone.action, gone.keep, gone.temporary_fail) == (Action.DELETE_MESSAGE, True, "")
    partly = decide(NAME, clamd=False, by=DOWN, banned=(0,))
    assert partly.temporary_fail
    assert not partly.keep


def test_an_engine_is_down_only_where_none_of_its_scanners_answers() -> None:
    by = Rule(id=3, name="r", if_down=dict.fromkeys(SCANNED, IfDown.TEMPORARY_FAIL))
    waits = decide(SPAM_CLEAN, clamd=False, by=by)
    assert "Anti-Virus" in waits.temporary_fail
    assert "Anti-Phishing" not in waits.temporary_fail
    assert decide(clamd=False, rspamd=False, by=by).temporary_fail.count("Anti-Phishing") == 1
    assert judge(by, AddressLists(), message(), {}, ContentResult()).temporary_fail == ""


def test_a_black_listed_sender() -> None:
    decision = decide(SPAM_CLEAN, lists=AddressLists(black=("example.com",)))
    assert decision.reason == Verdict(Engine.BLACK_LIST, Status.BLACKLISTED, "organisation: example.com")
    assert (decision.action, decision.keep) == (Action.DELETE_MESSAGE, True)
    assert decision.blacklisted_by == ()
    own = decide(lists=AddressLists(user_black={"bob@corp.example": ("ann@example.com",)}))
    assert own.action is Action.DELETE_MESSAGE
    assert own.blacklisted_by == ("bob@corp.example",)
    rejected = decide(
        lists=AddressLists(black=("example.com",)), by=rule(black_list={Status.BLACKLISTED: Action.REJECT})
    )
    assert (rejected.action, rejected.keep) == (Action.REJECT, False)


@pytest.mark.parametrize(
    "from_",
    [
        b"From: Boss <boss@bad.example>",
        b"from:\r\n =?utf-8?q?B=C3=B6ss?= <BOSS@Bad.Example>",
        b"From: me@else.example\r\nFrom: boss@bad.example",
        b"From: me@else.example, boss@bad.example",
    ],
)
def test_black_lists_look_at_from(from_: bytes) -> None:
    incoming = Incoming(from_ + b"\r\nSubject: x\r\n\r\nx", "bounce@mailer.example", ["bob@corp.example"])
    decision = judge(DEFAULT_RULE, AddressLists(black=("bad.example",)), incoming, {}, ContentResult())
    assert decision.reason and decision.reason.engine is Engine.BLACK_LIST


def test_a_white_listed_sender_skips_anti_spam_and_nothing_else() -> None:
    lists = AddressLists(user_white={"bob@corp.example": ("example.com",)})
    decision = decide(SPAM, lists=lists)
    assert (decision.action, decision.reason, decision.keep) == (Action.SKIP, None, False)
    assert decision.whitelisted_by == ("bob@corp.example",)
    (verdict,) = decision.verdicts
    assert verdict.status is Status.NOT_SCANNED
    assert verdict.detail == "white list of bob@corp.example: example.com (Spam, score 20)"
    assert "Anti-Spam was skipped" in decision.note
    for condemned in (INFECTED, PHISHING, NAME):
        assert decide(SPAM, condemned, lists=lists, banned=(0,)).reason == condemned
    assert decide(AV_CLEAN, rspamd=False, lists=lists, by=Rule(
        id=3, name="r", if_down={Engine.ANTI_SPAM: IfDown.TEMPORARY_FAIL}
    )).temporary_fail == ""  # fmt: skip


def test_one_users_list_decides_for_no_other() -> None:
    lists = AddressLists(
        user_white={"bob@corp.example": ("example.com",)}, user_black={"eve@corp.example": ("example.com",)}
    )
    both = judge(
        DEFAULT_RULE, lists, message(PLAIN, "bob@corp.example", "eve@corp.example"), results(SPAM), ContentResult()
    )
    assert both.reason == SPAM
    assert (both.blacklisted_by, both.whitelisted_by) == (("eve@corp.example",), ("bob@corp.example",))
    ham = judge(DEFAULT_RULE, lists, message(PLAIN, "bob@corp.example", "eve@corp.example"), results(), ContentResult())
    assert ham.action is Action.SKIP


def test_what_is_larger_than_the_gateway_takes_exceeds_the_size() -> None:
    decision = judge(DEFAULT_RULE, AddressLists(), message(truncated=True), results(), ContentResult())
    assert decision.reason and decision.reason.status is Status.SIZE_EXCEEDED
    assert decision.action is Action.REJECT
    by = rule(content={Status.SIZE_EXCEEDED: Action.SKIP})
    part = judge(by, AddressLists(), message(truncated=True), results(), ContentResult((NAME,), (0,)))
    assert part.action is Action.DELETE_MESSAGE


@given(
    black=st.booleans(),
    truncated=st.booleans(),
    limit=st.sampled_from((0, 10, 10_000)),
    on_list=st.sampled_from(actions_for(Engine.BLACK_LIST, Status.BLACKLISTED)),
    on_size=st.sampled_from(actions_for(Engine.CONTENT, Status.SIZE_EXCEEDED)),
)
def test_what_is_decided_before_engines_are_asked_is_what_clean_answers_would_come_to(
    black: bool, truncated: bool, limit: int, on_list: Action, on_size: Action
) -> None:
    lists = AddressLists(black=("example.com",) if black else ())
    by = by_list_and_size(on_list, on_size, limit)
    incoming = message(PLAIN, truncated=truncated)
    content = content_verdicts(PLAIN, by.content)
    asked = judge(by, lists, incoming, results(AV_CLEAN, SPAM_CLEAN), content)
    before = decided_before(by, look_up(lists, incoming), incoming, SCANNED)
    decides = asked.action in (Action.DELETE_MESSAGE, Action.REJECT)
    assert (before is not None) == decides
    if before is not None:
        assert (before.reason, before.action, before.keep) == (asked.reason, asked.action, asked.keep)
        assert (before.blacklisted_by, before.temporary_fail) == (asked.blacklisted_by, "")
        assert before.asked_nobody and not asked.asked_nobody
        silent = {each.engine for each in before.verdicts if each.status is Status.NOT_SCANNED}
        assert silent == set(SCANNED)


def by_list_and_size(on_list: Action, on_size: Action, limit: int) -> Rule:
    actions = {Engine.BLACK_LIST: {Status.BLACKLISTED: on_list}, Engine.CONTENT: {Status.SIZE_EXCEEDED: on_size}}
    return Rule(id=3, name="r", actions=actions, content=ContentPolicy(max_size=limit))


def test_which_engines_could_not_scan_is_said() -> None:
    assert decide(SPAM_CLEAN, clamd=False).unscanned == (Engine.ANTI_VIRUS,)
    assert decide(clamd=False, rspamd=False).unscanned == tuple(SCANNED)
    assert decide(AV_CLEAN, SPAM_CLEAN).unscanned == ()
    white = AddressLists(white=("example.com",))
    assert Engine.ANTI_SPAM not in decide(clamd=False, rspamd=False, lists=white).unscanned


def test_scan_results_name_all_that_condemns_and_else_one_word_an_engine() -> None:
    both = {
        "a": EngineResult(False, (Verdict(Engine.ANTI_SPAM, Status.NOT_SCANNED),), "down", 0, RSPAMD),
        "b": EngineResult(True, (SPAM_CLEAN,), "", 0, RSPAMD),
        "c": EngineResult(True, (INFECTED, INFECTED, AV_CLEAN), "", 0, CLAMD),
    }
    size = Verdict(Engine.CONTENT, Status.SIZE_EXCEEDED)
    decision = judge(DEFAULT_RULE, AddressLists(), message(), both, ContentResult((size, NAME), (0,)))
    assert decision.verdicts == (INFECTED, NAME, size, SPAM_CLEAN)


def test_the_record_says_it_all() -> None:
    incoming = replace(message(), queue_id="4XyZ", client_address="192.0.2.7", received_at=99)
    answers = results(INFECTED)
    decision = judge(DEFAULT_RULE, AddressLists(), incoming, answers, ContentResult())
    record = record_of(incoming, DEFAULT_RULE, decision, answers)
    assert (record.rule_id, record.rule_name) == (1, "Default")
    assert (record.reason, record.action, record.verdicts) == (INFECTED, Action.DELETE_MESSAGE, (INFECTED,))
    assert (record.envelope_sender, record.envelope_recipients) == ("ann@example.com", ("bob@corp.example",))
    assert (record.mta_message_id, record.client_address, record.received_at) == ("4XyZ", "192.0.2.7", 99)
    assert (record.from_, record.av_database_date, record.source) == ("ann@example.com", 7, "gateway")
    assert [attachment.name for attachment in record.attachments] == ["a.exe"]


VERDICTS = st.sampled_from(
    [Verdict(engine, status) for engine in Engine for status in sorted(statuses_of(engine) | {Status.CLEAN})]
)
RULES = st.fixed_dictionaries(
    {
        engine: st.fixed_dictionaries({s: st.sampled_from(actions_for(engine, s)) for s in sorted(statuses_of(engine))})
        for engine in Engine
    }
).map(lambda actions: Rule(id=2, name="any", actions=actions))  # fmt: skip


@given(st.lists(VERDICTS, max_size=5), RULES, st.booleans())
def test_what_holds_for_every_message(verdicts: list[Verdict], by: Rule, attachment: bool) -> None:
    decision = decide(*verdicts, by=by, raw=WITH_ATTACHMENT if attachment else PLAIN, banned=(0,))
    condemning = [verdict for verdict in verdicts if verdict.status in GRAVITY]
    asked = [by.action_for(verdict.engine, verdict.status) for verdict in condemning]
    assert (decision.reason is None) is (not condemning)
    assert decision.action is not Action.DISINFECT
    assert (decision.action is Action.SKIP) is all(action is Action.SKIP for action in asked)
    assert {verdict for verdict in decision.verdicts if verdict.status in GRAVITY} == set(condemning)
    whole = {Action.DELETE_MESSAGE, Action.REJECT}
    if whole.intersection(asked):
        assert decision.action in whole
        assert decision.action in asked
    if decision.reason:
        assert decision.keep is is_kept(decision.reason.engine, decision.reason.status, decision.action)
        rivals = [v for v in condemning if by.action_for(v.engine, v.status) in whole] or condemning
        if decision.action in whole.intersection(asked):
            assert GRAVITY.index(decision.reason.status) == min(GRAVITY.index(v.status) for v in rivals)


@given(st.binary(max_size=300), st.text(max_size=20), st.lists(st.text(max_size=20), max_size=3))
def test_no_message_makes_it_raise(raw: bytes, sender: str, recipients: list[str]) -> None:
    incoming = Incoming(raw, sender, recipients)
    lists = AddressLists(black=("a.b",), user_white={"x@y.z": ("*a*",)})
    decision = judge(DEFAULT_RULE, lists, incoming, results(INFECTED), ContentResult())
    record_of(incoming, DEFAULT_RULE, decision, results(INFECTED))


NAMES = st.sampled_from([b"From", b"from", b"FROM \t", b"From:", b"Fromage", b"To", b" From", b">From", b"From x", b""])
VALUES = st.sampled_from(
    [b" a@b.c", b"\t<x@y.z>\r", b" =?utf-8?q?n=C3=BC?=\n <p@q.r>", b"\n From: i@j.k\n\t", b"", b" \xff@x.y"]
)


@given(
    st.lists(st.tuples(NAMES, st.sampled_from([b":", b""]), VALUES, st.sampled_from([b"\n", b"\r\n", b"\r", b""]))),
    st.booleans(),
)
def test_from_is_read_from_a_small_header_as_from_a_large_one(lines: list[tuple[bytes, ...]], body: bool) -> None:
    raw = b"".join(map(b"".join, lines)) + (b"\n\nFrom: in@the.body\n" if body else b"")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(judge_module, "_SMALL_HEADER", -1)
        expected = judge_module._from(message(raw))
    assert judge_module._from(message(raw)) == expected


def test_every_real_message_has_the_same_from_either_way(corpus_files: list[Path]) -> None:
    for path in corpus_files[::5]:
        raw = path.read_bytes()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(judge_module, "_SMALL_HEADER", -1)
            expected = judge_module._from(message(raw))
        assert judge_module._from(message(raw)) == expected


def test_every_real_message_is_judged(corpus_files: list[Path]) -> None:
    lists = AddressLists(black=("nobody.invalid",))
    for path in corpus_files[::10]:
        incoming = message(path.read_bytes())
        decision = judge(DEFAULT_RULE, lists, incoming, results(SPAM), ContentResult())
        assert decision.keep
        assert record_of(incoming, DEFAULT_RULE, decision, {}).reason == SPAM
