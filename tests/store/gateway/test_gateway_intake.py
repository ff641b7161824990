"""A message through the gateway without an MTA: what is kept, what is done, and what happens if it cannot be kept."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from store.authority.settings import Settings, Unavailable
from store.check import check
from store.delivery.marker import Marked, field_of
from store.delivery.release_rows import Release
from store.enrolment.enrolment import enroll, open_with_credentials
from store.gateway import handling
from store.gateway.handling import LARGE, NOT_SCANNED, TOO_MANY_FIELDS, Intake
from store.gateway.metrics import Metrics
from store.gateway.policy import ENROLMENT, LivePolicy, Policy
from store.intake.released import Fields, Passed, own_fields
from store.intake.unavailable import REJECTED, TEMPORARY, Outage
from store.judging.content import ContentPolicy
from store.judging.engines.engine import EngineResult
from store.judging.rules.address_lists import AddressLists
from store.judging.rules.model import IfDown
from store.judging.rules.rules import DEFAULT_RULE, Rule
from store.mail.header_fields import Header
from store.mail.incoming import Accept, Discard, Incoming, Outcome, Refuse
from store.terms.errors import StoreUnavailable
from store.terms.verdicts import Action, Engine, Status, Verdict
from store.vault.vault import Vault

HAM = b"Subject: ham\r\n\r\nhello\r\n"
TO = ["bob@corp.example", "hidden@corp.example"]


class FakeScanner:
    """A scanner that answers as the test says."""

    def __init__(self) -> None:
        self.name = "clamd"
        self.engines = frozenset((Engine.ANTI_VIRUS,))
        self.asked = 0
        self.status = Status.CLEAN
        self.scanned = True

    async def scan(self, incoming: Incoming) -> EngineResult:
        self.asked += 1
        status = self.status if self.scanned else Status.NOT_SCANNED
        verdict = Verdict(Engine.ANTI_VIRUS, status, "Eicar")
        return EngineResult(self.scanned, (verdict,), "" if self.scanned else "it is down", 5, self.engines)

    async def ping(self) -> str:
        return ""

    async def close(self) -> None:
        return None


class Lab:
    """An intake on a gateway's vault."""

    def __init__(self, vault: Vault) -> None:
        self.opened: Vault | None = vault
        self.scanner = FakeScanner()
        self.live = LivePolicy(lambda *_args, **_fields: None)
        self.metrics = Metrics()
        self.pool, self.thinkers = ThreadPoolExecutor(16), ThreadPoolExecutor(2)
        self.said: list[tuple[str, dict[str, Any]]] = []
        self.outage = Outage(lambda event, **fields: self.said.append((event, fields)))
        self.intake = Intake(
            lambda: self.opened, self.live, (self.scanner,), self.pool, self.metrics, self.outage, self.thinkers
        )
        self.force()

    def force(self, *rules: Rule, settings: Settings | None = None, lists: AddressLists | None = None) -> None:
        self.live.policy = Policy(
            settings or Settings(), (*rules, DEFAULT_RULE), lists or AddressLists(black=("spam.example",))
        )

    async def filter(self, raw: bytes = HAM, sender: str = "ann@example.org", **more: Any) -> Outcome:
        return await self.intake.filter(Incoming(raw, sender, list(TO), queue_id="4x", received_at=7, **more))


@pytest.fixture
def lab(vault: Vault, tmp_path: Path) -> Iterator[Lab]:
    enroll(vault, "mx1", tmp_path / "credentials")
    opened = open_with_credentials(vault.location, tmp_path / "credentials")
    made = Lab(opened)
    yield made
    made.pool.shutdown()
    made.thinkers.shutdown()
    opened.close()


async def test_clean_mail_goes_on_unchanged_and_unkept(lab: Lab, vault: Vault) -> None:
    assert await lab.filter() == Accept()
    assert vault.ids() == [] and lab.scanner.asked == 1
    assert lab.metrics.value("messages", "accepted") == 1


async def test_our_own_fields_of_others_are_taken_off(lab: Lab) -> None:
    raw = b"X-Mailhold-Verdict: anti-virus=clean\r\nX-Mailhold-Delivery: v=1\r\n" + HAM
    assert await lab.filter(raw) == Accept(delete_headers=(("x-mailhold-verdict", 1), ("x-mailhold-delivery", 1)))
    assert lab.metrics.value("markers", "refused") == 1


async def test_a_released_message_passes_unjudged_and_may_be_put_back(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []
    row = Release(b"t", 1, 2, b"d", 3, b"s")

    def passing(_vault: Vault, marker: Marked, _incoming: Incoming, *, ignored: frozenset[bytes]) -> Passed:
        asked.append((marker.token, ignored))
        return Passed((row,), "")

    monkeypatch.setattr(handling, "passes", passing)
    monkeypatch.setattr(handling, "put_back", lambda _vault, _marker, rows, to: asked.append((rows, to)))
    lab.force(settings=Settings(release_ignores=("X-Relay",)))
    outcome = await lab.filter(field_of(bytes(16)) + HAM, sender="offers@spam.example")
    assert outcome == Accept(delete_headers=(("x-mailhold-delivery", 1),)) and lab.scanner.asked == 0
    assert isinstance(outcome, Accept) and outcome.put_back is not None
    await outcome.put_back(TO[:1])
    assert asked == [(bytes(16), {b"x-relay"}), ((row,), TO[:1])]
    assert lab.metrics.value("markers", "genuine") == lab.metrics.value("messages", "released") == 1
    await lab.filter(field_of(bytes(16)) + HAM, truncated=True)
    assert len(asked) == 2
    lab.opened = None
    await outcome.put_back(TO)  # It is logged, and the message will be judged.
    assert len(asked) == 2


async def test_a_marker_waits_for_the_store_and_what_is_none_does_not(lab: Lab) -> None:
    lab.opened = None
    assert await lab.filter(field_of(bytes(16)) + HAM) == TEMPORARY
    assert await lab.filter(b"X-Mailhold-Delivery: v=1\r\n" + HAM) != TEMPORARY
    assert (lab.metrics.value("markers", "not-checked"), lab.metrics.value("markers", "refused")) == (1, 1)


async def test_very_many_fields_of_ours_are_refused_before_anything_is_asked(lab: Lab, vault: Vault) -> None:
    assert await lab.filter(b"X-Mailhold-A: 1\r\n" * 1001 + HAM) == TOO_MANY_FIELDS
    assert (lab.scanner.asked, vault.ids()) == (0, [])
    assert lab.metrics.value("messages", "rejected") == 1


async def test_large_messages_are_read_beside_the_event_loop(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[threading.Thread] = []

    def noting(raw: bytes, header: Header | None = None) -> Fields:
        threads.append(threading.current_thread())
        return own_fields(raw, header)

    monkeypatch.setattr(handling, "own_fields", noting)
    await lab.filter()
    await lab.filter(HAM + b"x" * handling.LARGE)
    assert [thread is threading.main_thread() for thread in threads] == [True, False]


async def test_infected_mail_is_kept_with_all_that_is_known(lab: Lab, vault: Vault) -> None:
    lab.scanner.status = Status.INFECTED
    assert await lab.filter() == Discard()
    [copy] = vault.newest(5)
    record = copy.record
    assert vault.raw(copy.id) == HAM
    assert record.reason == Verdict(Engine.ANTI_VIRUS, Status.INFECTED, "Eicar")
    assert (record.rule_id, record.action, record.mta_message_id) == (1, Action.DELETE_MESSAGE, "4x")
    assert (record.envelope_recipients, record.received_at, record.av_database_date) == (tuple(TO), 7, 5)
    assert lab.metrics.value("kept") == 1 and lab.metrics.value("verdicts", "anti-virus", "infected") == 1


async def test_what_has_no_attachment_to_delete_is_deleted_whole(lab: Lab, vault: Vault) -> None:
    lab.scanner.status = Status.INFECTED
    lab.force(Rule(id=2, actions={Engine.ANTI_VIRUS: {Status.INFECTED: Action.DISINFECT}}))
    assert await lab.filter() == Discard()
    assert vault.newest(1)[0].record.action is Action.DELETE_MESSAGE


async def test_a_scanner_that_is_down(lab: Lab, vault: Vault) -> None:
    lab.scanner.scanned = False
    outcome = await lab.filter()
    assert outcome == Accept(add_headers=(("X-Mailhold-Verdict", "anti-virus=not-scanned"),))
    lab.force(Rule(id=2, if_down={Engine.ANTI_VIRUS: IfDown.TEMPORARY_FAIL}))
    assert await lab.filter() == NOT_SCANNED
    assert vault.ids() == [] and lab.metrics.value("not_scanned", "clamd") == 2
    lab.force(Rule(id=2, scanners=()))
    assert await lab.filter() == Accept()


async def test_what_passes_unscanned_and_what_waits_is_counted_by_engine(lab: Lab) -> None:
    lab.scanner.scanned = False
    await lab.filter()
    lab.force(Rule(id=2, if_down={Engine.ANTI_VIRUS: IfDown.TEMPORARY_FAIL}))
    await lab.filter()
    await lab.filter()
    lab.scanner.scanned = True
    await lab.filter()
    assert lab.metrics.values("unscanned") == {("anti-virus", "accepted"): 1, ("anti-virus", "temporary-fail"): 2}


@pytest.mark.parametrize("option", list(Unavailable))
async def test_what_is_dealt_with_without_its_copy_is_counted(lab: Lab, option: Unavailable) -> None:
    lab.force(settings=Settings(if_unavailable=option))
    lab.opened = None
    for _ in range(30):
        await lab.filter(sender="a@spam.example")
    await lab.filter()  # This message needs no copy.
    name = {
        Unavailable.PROCESS: "deleted",
        Unavailable.TEMPORARY_FAIL: "temporary-fail",
        Unavailable.REJECT: "rejected",
    }
    assert lab.metrics.values("without_copy") == {(name[option],): 30}
    assert lab.outage.counts == {name[option]: 30}
    await lab.intake.take(Incoming(HAM, "ann@example.org", list(TO)))
    assert lab.outage.counts["temporary-fail"] == (31 if option is Unavailable.TEMPORARY_FAIL else 1)


BLACK_ACTIONS = {Action.DELETE_MESSAGE: Discard, Action.REJECT: Refuse}


@pytest.mark.parametrize("action", list(BLACK_ACTIONS))
async def test_what_the_lists_decide_no_engine_is_asked_about(lab: Lab, vault: Vault, action: Action) -> None:
    lab.scanner.status = Status.INFECTED
    rule = Rule(
        id=2,
        actions={Engine.BLACK_LIST: {Status.BLACKLISTED: action}},
        content=ContentPolicy(banned_names=("*.exe",)),
        if_down={Engine.ANTI_VIRUS: IfDown.TEMPORARY_FAIL},
    )
    lab.force(rule)
    assert isinstance(await lab.filter(sender="a@spam.example"), BLACK_ACTIONS[action])
    assert lab.scanner.asked == 0
    if action is Action.DELETE_MESSAGE:
        [copy] = vault.newest(5)
        assert copy.record.reason == Verdict(Engine.BLACK_LIST, Status.BLACKLISTED, "organisation: spam.example")
        assert copy.record.verdicts == (
            copy.record.reason,
            Verdict(Engine.ANTI_VIRUS, Status.NOT_SCANNED, "not asked: the black list decides"),
        )
    lab.scanner.scanned = False
    assert await lab.filter(sender="a@good.example") == NOT_SCANNED
    assert lab.scanner.asked == 1


async def test_where_a_rule_lets_black_listed_mail_pass_the_engines_are_asked(lab: Lab) -> None:
    lab.force(Rule(id=2, actions={Engine.BLACK_LIST: {Status.BLACKLISTED: Action.SKIP}}))
    assert isinstance(await lab.filter(sender="a@spam.example"), Accept)
    lab.scanner.status = Status.INFECTED
    assert await lab.filter(sender="a@spam.example") == Discard()
    assert lab.scanner.asked == 2


@pytest.mark.parametrize("action", list(BLACK_ACTIONS))
@pytest.mark.parametrize("how", ["the rule's size", "the gateway's size"])
async def test_what_its_size_decides_no_engine_is_asked_about(lab: Lab, action: Action, how: str) -> None:
    lab.scanner.status = Status.INFECTED
    content = ContentPolicy(max_size=10 if how == "the rule's size" else 0)
    rule = Rule(id=2, actions={Engine.CONTENT: {Status.SIZE_EXCEEDED: action}}, content=content)
    lab.force(rule, settings=Settings(if_unavailable=Unavailable.TEMPORARY_FAIL))
    outcome = await lab.filter(truncated=how == "the gateway's size")
    if how == "the gateway's size" and action is Action.DELETE_MESSAGE:
        assert outcome == TEMPORARY  # There is no complete copy of it.
    else:
        assert isinstance(outcome, BLACK_ACTIONS[action])
    assert lab.scanner.asked == 0


async def test_content_filtering(lab: Lab, vault: Vault) -> None:
    lab.force(Rule(id=2, content=ContentPolicy(max_size=10)))
    outcome = await lab.filter()
    assert isinstance(outcome, Refuse) and outcome.code == 554
    assert vault.ids() == []


@pytest.mark.parametrize("option", list(Unavailable))
@pytest.mark.parametrize("how", ["away", "fails", "defect", "enrolment", "maximum", "truncated"])
async def test_a_copy_that_cannot_be_placed(
    lab: Lab, vault: Vault, option: Unavailable, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = lab.opened
    assert opened is not None
    lab.force(settings=Settings(if_unavailable=option))
    with monkeypatch.context() as patch:
        if how == "away":
            lab.opened = None
        elif how in ("fails", "defect"):
            error = StoreUnavailable("The disk is full.") if how == "fails" else RuntimeError("Subject: secret")

            def fail(*_: object, **_options: object) -> int:
                raise error

            patch.setattr(opened, "hand_in", fail)
        elif how == "enrolment":
            lab.live.refused[ENROLMENT] = "It is not enrolled."
        elif how == "maximum":
            lab.force(settings=Settings(if_unavailable=option, max_size=20))
        outcome = await lab.filter(sender="a@spam.example", truncated=how == "truncated")
    expected = {Unavailable.PROCESS: Discard(), Unavailable.TEMPORARY_FAIL: TEMPORARY, Unavailable.REJECT: REJECTED}
    assert outcome == expected[option]
    assert vault.ids() == []
    [(event, fields)] = lab.said
    assert event == "backup unavailable" and fields["messages"] == option.value and "secret" not in fields["why"]
    # It recovers by itself, and messages that need no copy were never delayed.
    lab.opened = opened
    lab.live.refused.clear()
    lab.force()
    assert await lab.filter(sender="a@spam.example") == Discard()
    assert lab.said[-1][0] == "backup available again"
    assert len(vault.ids()) == 1 and check(vault).broken == []


async def test_nothing_is_judged_before_the_configuration_verified(lab: Lab) -> None:
    for policy in (Policy(), Policy(settings=Settings()), Policy(settings=Settings(), rules=(DEFAULT_RULE,))):
        lab.live.policy = policy
        assert await lab.filter() == TEMPORARY
    assert lab.scanner.asked == 0


async def test_sessions_share_commits(lab: Lab, vault: Vault) -> None:
    outcomes = await asyncio.gather(*(lab.filter(b"Subject: %d\r\n\r\nx" % n, "a@spam.example") for n in range(200)))
    assert outcomes == [Discard()] * 200
    subjects = {copy.record.subject for copy in vault.scan()}
    assert subjects == {str(n) for n in range(200)}
    assert check(vault).broken == []


@pytest.mark.parametrize(("size", "remote"), [(100, False), (LARGE + 1, False), (100, True)])
async def test_a_large_copy_and_one_for_a_server_are_prepared_in_the_pool(
    lab: Lab, vault: Vault, monkeypatch: pytest.MonkeyPatch, size: int, remote: bool
) -> None:
    assert lab.opened is not None
    hand_in, names = lab.opened.hand_in, []

    def noted(*given: Any, **options: Any) -> None:
        names.append(threading.current_thread().name)
        hand_in(*given, **options)

    monkeypatch.setattr(lab.opened, "hand_in", noted)
    monkeypatch.setattr(handling, "is_url", lambda _location: remote)
    raws = [b"Subject: %d\r\n\r\n" % n + b"x" * size for n in range(3)]
    assert await asyncio.gather(*(lab.filter(raw, "a@spam.example") for raw in raws)) == [Discard()] * 3
    in_pool = size > LARGE or remote
    assert [name.startswith("ThreadPool") for name in names] == [in_pool] * 3
    assert in_pool or names == ["vault-writer"] * 3
    assert sorted(vault.raw(copy_id) for copy_id in vault.ids()) == raws


async def test_a_store_that_keeps_its_callers_waiting_holds_up_no_clean_mail(
    lab: Lab, vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    release, held = threading.Event(), threading.Event()
    assert lab.opened is not None
    hand_in = lab.opened.hand_in

    def slow(*given: Any, **options: Any) -> None:
        held.set()
        assert release.wait(60)
        hand_in(*given, **options)

    monkeypatch.setattr(lab.opened, "hand_in", slow)
    waiting = [asyncio.create_task(lab.filter(sender="a@spam.example")) for _ in range(40)]
    while not held.is_set():
        await asyncio.sleep(0.01)
    assert await lab.filter() == Accept()
    assert not any(task.done() for task in waiting)
    release.set()
    assert await asyncio.gather(*waiting) == [Discard()] * 40
    assert len(vault.ids()) == 40


async def test_headers_count_only_where_they_are_trusted(lab: Lab, vault: Vault) -> None:
    raw = b"X-Spam-Flag: YES\r\nX-Spam-Status: Yes, score=20 required=5 tests=[GTUBE]\r\n" + HAM
    assert await lab.filter(raw) == Accept()
    assert await lab.filter(raw, trusted_headers=True) == Discard()
    reason = vault.newest(1)[0].record.reason
    assert reason is not None and reason.engine is Engine.ANTI_SPAM


async def test_what_ends_here_is_always_kept(lab: Lab, vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    """A scanner's quarantine has no other place, so no setting passes it on without a copy."""
    raw = b"X-Spam-Flag: YES\r\nX-Spam-Status: Yes, score=20 required=5 tests=[GTUBE]\r\n" + HAM
    incoming = Incoming(raw, "ann@example.org", list(TO), queue_id="4x", trusted_headers=True)
    assert await lab.intake.take(incoming) == Accept()
    [copy] = vault.newest(5)
    assert vault.raw(copy.id) == raw and copy.record.source == "quarantine"
    assert copy.record.reason is not None and copy.record.reason.engine is Engine.ANTI_SPAM
    assert copy.record.action is Action.DELETE_MESSAGE and copy.record.envelope_recipients == tuple(TO)
    incoming.trusted_headers = False
    assert await lab.intake.take(incoming) == Accept()
    assert vault.newest(1)[0].record.reason is None
    lab.force(settings=Settings(if_unavailable=Unavailable.PROCESS))
    lab.opened = None
    assert await lab.intake.take(incoming) == TEMPORARY
    assert len(vault.ids()) == 2


@pytest.mark.parametrize(
    ("status", "action", "in_thread"),
    [
        (Status.CLEAN, Action.SKIP, False),
        (Status.INFECTED, Action.DELETE_MESSAGE, False),
        (Status.INFECTED, Action.REJECT, False),
        (Status.INFECTED, Action.DELETE_ATTACHMENT, True),
        (Status.INFECTED, Action.DISINFECT, True),
    ],
)
async def test_only_a_rule_that_deletes_attachments_needs_a_thread_to_decide(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, status: Status, action: Action, in_thread: bool
) -> None:
    """Handing a message to a thread and back takes longer than deciding."""
    decided = []

    def judge_of(*args: Any) -> Any:
        decided.append(threading.current_thread())
        return judged(*args)

    judged = handling.judge
    monkeypatch.setattr(handling, "judge", judge_of)
    lab.scanner.status = status
    lab.force(Rule(id=1, actions={Engine.ANTI_VIRUS: {Status.INFECTED: action}}))
    await lab.filter()
    assert [thread is not threading.main_thread() for thread in decided] == [in_thread]
