"""The doctor's traces against a scripted MTA in place of gateway and Postfix: every step that can fail."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from store.doctor.doctor import State, Trace, examine, parse_endpoint
from store.doctor.probes import EICAR, GTUBE, PROBES, Probe, compose
from store.judging.rules.rules import DEFAULT_RULE, write_rules
from store.message.message import summarise
from store.message.parser import parse_message
from store.terms.errors import UsageError
from store.terms.verdicts import Action, Engine, Status, Verdict
from store.vault.vault import Vault
from tests.store.mail.smtp_server import ScriptedServer

FOUND = {
    b"EICAR": Verdict(Engine.ANTI_VIRUS, Status.INFECTED, "Eicar-Test-Signature"),
    b"GTUBE": Verdict(Engine.ANTI_SPAM, Status.SPAM, "score 999"),
}


class Keeping(ScriptedServer):
    """An MTA whose gateway keeps accepted messages with the verdict of `verdict_of`."""

    def __init__(self, vault: Vault, script: Any = None, found: dict[bytes, Verdict] = FOUND, **fields: Any) -> None:
        super().__init__(self._script)
        self.vault, self.own, self.found, self.fields = vault, script or (lambda *_: None), found, fields

    def _script(self, point: str, argument: str) -> str | None:
        if point == "replied":
            raw = self.taken[-1].content
            for name, verdict in self.found.items():
                if name in raw:
                    fields = {"verdicts": (verdict,), "reason": verdict, "action": Action.DELETE_MESSAGE, "rule_id": 1}
                    self.vault.put(raw, replace(summarise(raw), **(fields | self.fields)))
        answer: str | None = self.own(point, argument)
        return answer


async def traced(vault: Vault, server: ScriptedServer, probe: Probe = EICAR, wait: float = 0.0) -> Trace:
    async with server:
        where = ("127.0.0.1", server.port)

        def run() -> list[Trace]:
            return examine(vault, where, sender="s@gw.test", recipient="a@gw.test", probes=[probe], wait=wait)

        [trace] = await asyncio.to_thread(run)
        return trace


def names(trace: Trace) -> list[tuple[str, State]]:
    return [(step.name, step.state) for step in trace.steps]


DONE, FAILED, SKIPPED = State.DONE, State.FAILED, State.SKIPPED


@pytest.mark.parametrize("probe", PROBES, ids=lambda probe: probe.name)
async def test_each_probe_is_followed_to_its_end(vault: Vault, probe: Probe) -> None:
    server = Keeping(vault)
    trace = await traced(vault, server, probe)
    assert names(trace) == [("connect", DONE), ("hand over", DONE), ("keep", DONE), ("act", DONE)]
    assert trace.failed is None
    assert trace.copy is not None
    assert trace.copy.record.message_id == trace.message_id
    assert probe.engine.label in trace.steps[2].found
    [taken] = server.taken
    assert (taken.mail, taken.rcpt) == ("s@gw.test", ["a@gw.test"])


async def test_an_mta_that_cannot_verify_the_recipient_but_takes_the_message_accepts_it(vault: Vault) -> None:
    server = Keeping(vault, lambda point, _: "252 2.1.5 Cannot VRFY user" if point == "rcpt" else None)
    server.lax = True
    assert (await traced(vault, server)).failed is None


async def test_a_copy_that_comes_late_is_waited_for(vault: Vault) -> None:
    server = ScriptedServer()

    async def keep() -> None:
        while not server.taken:
            await asyncio.sleep(0.01)
        raw, verdict = server.taken[0].content, FOUND[b"EICAR"]
        await asyncio.to_thread(vault.put, raw, replace(summarise(raw), reason=verdict, verdicts=(verdict,)))

    keeping = asyncio.create_task(keep())
    trace = await traced(vault, server, wait=20)
    await keeping
    assert trace.copy is not None
    assert trace.failed is None


@pytest.mark.parametrize(
    ("point", "answer", "step", "said", "check"),
    [
        ("connect", "554 5.7.1 go away", "connect", "554 5.7.1 go away", "--smtp"),
        ("connect", "die", "connect", "No MTA accepts mail at", "--smtp"),
        ("mail", "553 5.1.8 no such sender", "hand over", "553 5.1.8 no such sender", "--from"),
        (
            "mail",
            "451 4.7.1 Service unavailable",
            "hand over",
            "451 4.7.1 Service unavailable",
            "Is the gateway running",
        ),
        ("rcpt", "554 5.7.1 Relay access denied", "hand over", "554 5.7.1 Relay access denied", "--to"),
        (
            "dot",
            "451 4.7.1 Service unavailable",
            "hand over",
            "451 4.7.1 Service unavailable",
            "Is the gateway running",
        ),
        ("content", "die", "hand over", "The connection was lost", "log"),
        ("dot", "554 5.7.1 spam", "keep", "rejected, but there is no copy", "smtpd_milters"),
    ],
)
async def test_the_step_that_failed_is_named(
    vault: Vault, point: str, answer: str, step: str, said: str, check: str
) -> None:
    trace = await traced(vault, Keeping(vault, lambda at, _argument: answer if at == point else None))
    assert trace.failed is not None
    assert trace.failed is trace.steps[-1]
    assert trace.failed.name == step
    assert said in trace.failed.found
    assert check in trace.failed.check


async def test_nobody_listens(vault: Vault) -> None:
    server = ScriptedServer()
    async with server:
        port = server.port
    traces = await asyncio.to_thread(
        examine, vault, ("127.0.0.1", port), sender="s@gw.test", recipient="a@gw.test", probes=[GTUBE]
    )
    assert names(traces[0]) == [("connect", FAILED)]


async def test_what_passes_as_clean_is_not_found(vault: Vault) -> None:
    trace = await traced(vault, ScriptedServer())
    assert names(trace) == [("connect", DONE), ("hand over", DONE), ("keep", FAILED)]
    assert "Anti-Virus found nothing" in trace.steps[-1].check


async def test_a_copy_with_another_verdict_does_not_do(vault: Vault) -> None:
    other = {b"EICAR": Verdict(Engine.CONTENT, Status.BANNED_FILE_NAME, "doctor-test.bin")}
    trace = await traced(vault, Keeping(vault, found=other))
    assert trace.failed is not None
    assert "says Content filtering: Banned File Name (doctor-test.bin), not Anti-Virus: Infected" in trace.failed.found
    # Another engine may decide, as long as the tested one gave its verdict.
    both = {"verdicts": (FOUND[b"EICAR"], other[b"EICAR"])}
    assert (await traced(vault, Keeping(vault, found=other, **both))).failed is None


async def test_what_the_mta_says_must_follow_from_what_was_done(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("store.doctor.doctor.secrets.token_hex", lambda _count: "00ff")

    def script(point: str, _argument: str) -> str | None:
        if point != "dot":
            return None
        raw, verdict = compose(EICAR, "s@gw.test", "a@gw.test", "<eicar.00ff@doctor.mailhold.invalid>"), FOUND[b"EICAR"]
        vault.put(raw, replace(summarise(raw), verdicts=(verdict,), reason=verdict, action=Action.DELETE_MESSAGE))
        return "554 5.7.1 no"

    trace = await traced(vault, ScriptedServer(script))
    assert names(trace)[-1] == ("act", FAILED)
    assert "action is Delete message, but the MTA said 554" in trace.steps[-1].found


@pytest.mark.parametrize(
    ("action", "answer", "expected"),
    [
        (Action.REJECT, "554 5.7.1 no", [("keep", SKIPPED), ("act", DONE)]),
        (Action.REJECT, None, [("keep", FAILED)]),
        (Action.SKIP, None, [("keep", SKIPPED)]),
    ],
)
async def test_a_rule_that_keeps_no_copy_is_known(
    vault: Vault, action: Action, answer: str | None, expected: list[tuple[str, State]]
) -> None:
    write_rules(vault, [replace(DEFAULT_RULE, actions={Engine.ANTI_VIRUS: {Status.INFECTED: action}})])
    trace = await traced(vault, ScriptedServer(lambda at, _argument: answer if at == "dot" else None))
    assert names(trace)[2:] == expected


def test_the_messages_are_what_the_scanners_know_and_the_code_is_not() -> None:
    parsed = parse_message(compose(EICAR, "s@gw.test", "a@gw.test", "<1@x>"))
    [attachment] = parsed.attachments
    assert attachment.size == 68
    assert b"STANDARD-ANTI-UBE-TEST-EMAIL" in compose(GTUBE, "s@gw.test", "a@gw.test", "<1@x>")
    root = Path(__file__).resolve().parents[3]
    for path in (root / "store" / "doctor" / "probes.py", Path(__file__)):
        text = path.read_text()
        assert "STANDARD-" + "ANTIVIRUS" not in text
        assert "STANDARD-ANTI-" + "UBE-TEST-EMAIL*C" not in text


def test_endpoints() -> None:
    assert parse_endpoint("mx.example:2525") == ("mx.example", 2525)
    assert parse_endpoint("mx.example") == ("mx.example", 25)
    assert parse_endpoint("[::1]:26") == ("::1", 26)
    assert parse_endpoint("::1") == ("::1", 25)
    for bad in ("", ":25", "mx:25:26", "mx:0", "mx:x", "mx:65536"):
        with pytest.raises(UsageError):
            parse_endpoint(bad)
