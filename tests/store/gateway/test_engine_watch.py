"""Scanners that stop and come back: which messages are sent when, to whom, and with which counts."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from store.authority.settings import Settings
from store.gateway.engine_watch import EngineWatch
from store.gateway.metrics import Metrics
from store.gateway.policy import Policy
from store.judging.engines.states import RemoteScanner
from store.judging.rules.model import SCANNED, IfDown, Rule
from store.mail.incoming import Incoming
from store.terms.verdicts import Engine

MAILED = Settings(relay="smtp://127.0.0.1:9", administrator="admin@corp.example")
WAIT, PASS = dict.fromkeys(SCANNED, IfDown.TEMPORARY_FAIL), dict.fromkeys(SCANNED, IfDown.GO_ON)


class Scanner(RemoteScanner):
    """A scanner pinged as the test says."""

    def __init__(self, name: str = "clamd", engines: tuple[Engine, ...] = (Engine.ANTI_VIRUS,)) -> None:
        super().__init__(name, f"unix:/run/{name}.sock", time_limit=5, concurrency=4)
        self.main_engines, self.engines = engines, frozenset(engines)
        self.broken: Exception | None = None

    async def _ask(self, incoming: Incoming) -> Any:
        raise AssertionError

    async def _ping(self) -> None:
        if self.broken is not None:
            raise self.broken

    async def look(self) -> None:
        await self.ping()


class Lab:
    """A watch with its own clock, and everything it reports."""

    def __init__(self, *scanners: Scanner, rules: Sequence[Rule] = (Rule(id=1, name="Default", if_down=WAIT),)) -> None:
        self.scanners = scanners or (Scanner(),)
        self.metrics = Metrics()
        self.now = 1000.0
        self.said: list[tuple[str, dict[str, Any]]] = []
        self.events: list[tuple[str, str]] = []
        self.mails: list[str] = []
        self.works = True
        self.live = SimpleNamespace(policy=Policy(settings=MAILED, rules=tuple(rules)))
        self.watch = EngineWatch(
            lambda: self.scanners,
            self.live,
            self.metrics,
            say=lambda event, **fields: self.said.append((event, fields)),
            event=lambda action, detail: self.events.append((action, detail)),
            tell_after=lambda: 60.0,
            send=self._send,
            clock=lambda: self.now,
        )

    async def _send(self, _settings: Settings, message: bytes) -> bool:
        self.mails.append(message.decode().replace("\r\n", "\n"))
        return self.works

    async def after(self, seconds: float, broken: bool | None = None) -> None:
        """Let seconds pass with one look each; the first scanner is broken or not."""
        if broken is not None:
            self.scanners[0].broken = ConnectionRefusedError(111, "x") if broken else None
        for _ in range(max(1, round(seconds))):
            self.now += min(seconds, 1)
            await self.watch.look()
            await asyncio.gather(*(each.sending for each in self.watch._outages.values() if each.sending is not None))

    def names(self) -> list[str]:
        return [event for event, _ in self.said]


def test_it_is_named_at_once() -> None:
    lab = Lab()
    asyncio.run(lab.after(1, broken=True))
    assert lab.said == [
        (
            "engine down",
            {
                "level": 40,
                "scanner": "clamd",
                "address": "unix:/run/clamd.sock",
                "engines": "anti-virus",
                "why": "Connection refused",
                "messages": "messages that it should scan are deferred",
            },
        )
    ]
    meanwhile = "messages that it should scan are deferred"
    assert lab.events == [("engine down", f"clamd at unix:/run/clamd.sock: Connection refused; {meanwhile}")]
    assert lab.mails == []


async def test_a_restart_mails_nobody() -> None:
    lab = Lab()
    await lab.after(40, broken=True)
    await lab.after(120, broken=False)
    assert lab.mails == []
    assert lab.names() == ["engine down", "engine answers again"]
    assert [action for action, _ in lab.events] == ["engine down", "engine answers again"]
    assert lab.events[1][1].startswith("clamd at unix:/run/clamd.sock: it was down since ")


async def test_one_that_stays_down_is_mailed_once_and_once_when_it_is_back() -> None:
    lab = Lab()
    lab.metrics.count("unscanned", "anti-virus", "accepted")  # long before
    await lab.after(1)
    lab.metrics.count("unscanned", "anti-virus", "temporary-fail")  # the message that detects the outage
    await lab.after(1, broken=True)
    for _ in range(11):
        lab.metrics.count("unscanned", "anti-virus", "temporary-fail")
    for _ in range(3):
        lab.metrics.count("unscanned", "anti-virus", "accepted")
    lab.metrics.count("unscanned", "anti-spam", "accepted")
    lab.metrics.count("without_copy", "deleted")
    await lab.after(600)
    [down] = lab.mails
    assert "Subject: clamd on " in down and " does not answer\n" in down
    assert "To: admin@corp.example" in down
    assert "(Anti-Virus) at unix:/run/clamd.sock" in down
    assert "    Connection refused\n" in down
    assert "Meanwhile, messages that it should scan are deferred." in down
    assert f"    {'deferred':<36}       12\n" in down
    assert "    passed on                                   3\n" in down
    assert "    deleted                                     1\n" in down
    for _ in range(29):
        lab.metrics.count("without_copy", "deleted")
    await lab.after(120, broken=False)
    assert len(lab.mails) == 2
    back = lab.mails[1]
    assert " answers again\n" in back
    assert "    deleted                                    30\n" in back
    assert [what["what"] for event, what in lab.said if event == "administrator told"] == [
        "clamd does not answer",
        "clamd answers again",
    ]
    short = next(fields for event, fields in lab.said if event == "engine answers again")
    assert (short["passed_unscanned"], short["told_to_try_again"], short["deleted_without_copy"]) == (3, 12, 30)
    # Earlier counts belong to the outage before.
    await lab.after(100, broken=True)
    assert "    none\n" in lab.mails[2]
    assert "   12\n" not in lab.mails[2]


async def test_one_that_comes_and_goes_is_one_outage() -> None:
    lab = Lab()
    for _ in range(40):
        await lab.after(5, broken=True)
        await lab.after(5, broken=False)
    assert len(lab.mails) == 1
    assert [action for action, _ in lab.events] == ["engine down"]
    await lab.after(60, broken=False)
    assert len(lab.mails) == 2
    assert [action for action, _ in lab.events] == ["engine down", "engine answers again"]


async def test_a_mail_that_cannot_go_out_is_tried_again() -> None:
    lab = Lab()
    lab.works = False
    await lab.after(60 + 3 * 60 + 30, broken=True)
    assert len(lab.mails) == 4
    assert lab.names().count("administrator not told") == 4
    lab.works = True
    await lab.after(60)
    assert len(lab.mails) == 5
    await lab.after(600)
    assert len(lab.mails) == 5


async def test_an_outage_that_nobody_could_be_told_of_is_told_when_it_is_over() -> None:
    lab = Lab()
    lab.works = False
    await lab.after(90, broken=True)
    lab.works = True
    await lab.after(90, broken=False)
    assert " answers again\n" in lab.mails[-1]


async def test_without_an_administrator_it_is_in_the_log_and_the_trail() -> None:
    lab = Lab()
    lab.live.policy = Policy(settings=Settings(), rules=lab.live.policy.rules)
    await lab.after(200, broken=True)
    await lab.after(100, broken=False)
    assert lab.mails == []
    assert lab.names() == ["engine down", "engine answers again"]
    assert lab.watch._outages == {}


async def test_another_reason_is_told_and_is_no_other_outage() -> None:
    lab = Lab()
    await lab.after(5, broken=True)
    lab.scanners[0].broken = EOFError()
    await lab.after(5)
    assert [fields["why"] for event, fields in lab.said if event == "engine down"] == [
        "Connection refused",
        "the connection was closed before the answer was complete",
    ]
    assert len(lab.events) == 1


async def test_a_scanner_that_is_not_asked_any_more_is_forgotten() -> None:
    lab = Lab()
    await lab.after(30, broken=True)
    lab.scanners = (Scanner(),)
    await lab.after(200)
    assert lab.mails == []
    assert lab.names() == ["engine down"]


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        ([Rule(id=1, if_down=WAIT)], "messages that it should scan are deferred"),
        ([Rule(id=1, if_down=PASS)], "messages that it should scan are passed on unscanned"),
        ([Rule(id=1)], "messages that it should scan are passed on unscanned"),
        (
            [Rule(id=4, if_down=WAIT), Rule(id=7, if_down=PASS), Rule(id=9, if_down=PASS), Rule(id=1, if_down=WAIT)],
            "messages that it should scan are deferred by rules 4, 1, passed on unscanned by rules 7, 9",
        ),
        (
            [Rule(id=4, if_down=WAIT, enabled=False), Rule(id=5, if_down=WAIT, scanners=("rspamd",)), Rule(id=1)],
            "messages that it should scan are passed on unscanned",
        ),
        ([Rule(id=1, scanners=())], "no rule uses it"),
    ],
)
async def test_what_is_done_meanwhile_is_said_as_the_rules_have_it(rules: list[Rule], said: str) -> None:
    lab = Lab(rules=rules)
    await lab.after(1, broken=True)
    assert lab.said[0][1]["messages"] == said


async def test_an_engine_that_another_scanner_speaks_for_is_not_down() -> None:
    lab = Lab(Scanner("spamd", (Engine.ANTI_SPAM,)), Scanner("rspamd", (Engine.ANTI_SPAM, Engine.ANTI_PHISHING)))
    await lab.after(1, broken=True)
    assert lab.said[0][1]["messages"] == "another scanner does the work of Anti-Spam"
