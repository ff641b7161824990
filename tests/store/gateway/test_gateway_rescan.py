"""If attachments are removed because of a virus, the rest is scanned again before it is passed on."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest

from store.authority.settings import Settings
from store.gateway.handling import Intake
from store.gateway.metrics import Metrics
from store.gateway.policy import Policy
from store.intake.unavailable import Outage
from store.judging.content import ContentPolicy
from store.judging.engines.engine import EngineResult
from store.judging.rules.address_lists import AddressLists
from store.judging.rules.rules import Rule
from store.mail.incoming import Accept, Discard, Incoming
from store.terms.verdicts import Action, Engine, Status, Verdict
from store.vault.vault import Vault
from tests.store.judging.wire_server import incoming

VIRUS = b"VIRUS"


class Searcher:
    """A virus scanner that finds `VIRUS`, plain or in base64."""

    name = "searcher"
    engines = frozenset((Engine.ANTI_VIRUS,))
    down = False

    async def scan(self, incoming: Incoming) -> EngineResult:
        if self.down:
            return EngineResult(False, (), "gone", engines=self.engines)
        found = VIRUS in incoming.raw or base64.b64encode(VIRUS) in incoming.raw
        status = Status.INFECTED if found else Status.CLEAN
        return EngineResult(True, (Verdict(Engine.ANTI_VIRUS, status, "Test"),), engines=self.engines)

    async def ping(self) -> str:
        return ""

    async def close(self) -> None:
        return None


class GoesDown(Searcher):
    """A scanner that answers once."""

    async def scan(self, incoming: Incoming) -> EngineResult:
        result = await super().scan(incoming)
        self.down = True
        return result


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as made:
        yield made


def intake(
    vault: Vault, pool: ThreadPoolExecutor, scanner: Searcher, action: Action, content: ContentPolicy | None = None
) -> Intake:
    rule = Rule(
        id=1,
        name="Default",
        actions={Engine.ANTI_VIRUS: {Status.INFECTED: action}},
        content=content or ContentPolicy(),
    )
    live = SimpleNamespace(policy=Policy(Settings(), (rule,), AddressLists()), refused={})
    outage = Outage(lambda *_args, **_more: None)
    return Intake(lambda: vault, live, (scanner,), pool, Metrics(), outage)


def message(text: bytes, attached: bytes = base64.b64encode(b"harmless")) -> Incoming:
    return incoming(
        b"Subject: x\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\n" + text
        + b'\r\n--b\r\nContent-Type: application/x; name="a.exe"\r\nContent-Transfer-Encoding: base64\r\n\r\n'
        + attached + b"\r\n--b--\r\n"
    )  # fmt: skip


@pytest.mark.parametrize("action", [Action.DELETE_ATTACHMENT, Action.DISINFECT])
async def test_a_virus_in_an_attachment_goes_with_it(vault: Vault, pool: ThreadPoolExecutor, action: Action) -> None:
    outcome = await intake(vault, pool, Searcher(), action).filter(message(b"hi", base64.b64encode(VIRUS)))
    assert isinstance(outcome, Accept)
    assert outcome.body is not None
    assert b"a.exe" in outcome.body
    [copy] = vault.newest(5)
    assert copy.record.action is Action.DELETE_ATTACHMENT


async def test_a_virus_in_the_text_takes_the_whole_message(vault: Vault, pool: ThreadPoolExecutor) -> None:
    received = message(VIRUS)
    outcome = await intake(vault, pool, Searcher(), Action.DELETE_ATTACHMENT).filter(received)
    assert outcome == Discard()
    [copy] = vault.newest(5)
    assert copy.record.action is Action.DELETE_MESSAGE
    assert copy.record.reason is not None
    assert "searcher still says Infected: Test, so the message is deleted" in copy.record.reason.detail
    assert vault.raw(copy.id) == received.raw


async def test_what_could_not_be_scanned_again_does_not_go_on(vault: Vault, pool: ThreadPoolExecutor) -> None:
    gateway = intake(vault, pool, GoesDown(), Action.DELETE_ATTACHMENT)
    assert await gateway.filter(message(b"hi", base64.b64encode(VIRUS))) == Discard()
    [copy] = vault.newest(5)
    assert copy.record.reason is not None
    assert "could not be scanned again" in copy.record.reason.detail


async def test_what_the_rule_lets_pass_is_not_asked_about_again(vault: Vault, pool: ThreadPoolExecutor) -> None:
    """The attachment is removed for its name; the rule skips the virus in the text."""
    gateway = intake(vault, pool, Searcher(), Action.SKIP, ContentPolicy(banned_names=("*.exe",)))
    outcome = await gateway.filter(message(VIRUS))
    assert isinstance(outcome, Accept)
    assert outcome.body is not None
    assert VIRUS in outcome.body
