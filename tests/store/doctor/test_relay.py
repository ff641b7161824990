"""Whether the relay leads back through intake, against a scripted relay that returns changed messages to the store."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from msgspec.structs import replace

from store.authority.settings import Settings
from store.doctor.doctor import State, Trace
from store.doctor.probes import EICAR, GTUBE, Probe
from store.doctor.relay import examine_relay
from store.message.message import summarise
from store.terms.records import Copy
from store.terms.verdicts import Action, Engine, Status, Verdict
from store.vault.vault import Vault
from tests.store.mail.smtp_server import ScriptedServer

SPAM = Verdict(Engine.ANTI_SPAM, Status.SPAM, "score 999")
FROM, TO = "s@gw.test", "a@gw.test"
RECEIVED = b"Received: by relay\r\n"


async def examined(
    vault: Vault,
    change: Callable[[bytes], bytes] | None,
    *,
    loops: bool = True,
    ignores: tuple[str, ...] = (),
    script: Callable[[str, str], str | None] = lambda _point, _argument: None,
    envelope: tuple[str, str] = (FROM, TO),
    probes: tuple[Probe, ...] = (EICAR, GTUBE),
) -> tuple[Trace, list[bytes]]:
    """Return the trace and the relay's messages; each comes back to the store as `change` makes it (None: never)."""

    def keeping(point: str, argument: str) -> str | None:
        if point == "replied" and change is not None:
            raw = change(server.taken[-1].content)
            fields = {"verdicts": (SPAM,), "reason": SPAM, "action": Action.DELETE_MESSAGE}
            record = replace(summarise(raw), envelope_sender=envelope[0], envelope_recipients=(envelope[1],), **fields)
            vault.put(raw, record)
        return script(point, argument)

    def run() -> Trace:
        settings = Settings(
            relay=f"smtp://127.0.0.1:{server.port}", administrator=TO, release_loops=loops, release_ignores=ignores
        )
        traces = [Trace(probe, "<1@x>", copy=Copy(1, 0, 0, summarise(b"A: b\r\n\r\n"))) for probe in probes]
        return examine_relay(vault, settings, traces, sender=FROM, recipient=TO, wait=0.0)

    server = ScriptedServer(keeping)
    async with server:
        trace = await asyncio.to_thread(run)
    return trace, [each.content for each in server.taken]


def names(trace: Trace) -> list[str]:
    return [f"{step.name} {step.state.value}" for step in trace.steps]


async def test_a_relay_that_leads_back_and_changes_nothing(vault: Vault) -> None:
    trace, [taken] = await examined(vault, lambda raw: RECEIVED + raw)
    assert names(trace) == ["connect done", "hand over done", "lead done", "marker done"]
    assert taken.startswith(b"X-Mailhold-Delivery: 2; t=") and not taken.isascii()
    assert b"GTUBE test" in taken and b"\r\nResent-From: s@gw.test\r\n" in taken


@pytest.mark.parametrize(
    ("change", "loops", "found", "check"),
    [
        (lambda raw: raw, False, "release_loops is off", "release_loops=yes"),
        (None, True, "release_loops is on", "release_loops=no"),
    ],
)
async def test_the_setting_must_say_where_it_leads(
    vault: Vault, change: Callable[[bytes], bytes] | None, loops: bool, found: str, check: str
) -> None:
    trace, _ = await examined(vault, change, loops=loops)
    [step] = [step for step in trace.steps if step.state is State.FAILED]
    assert step.name == "lead" and found in step.found and check in step.check


async def test_a_relay_that_leads_past_intake(vault: Vault) -> None:
    trace, [_taken] = await examined(vault, None, loops=False)
    assert (
        names(trace) == ["connect done", "hand over done", "lead done"]
        and "does not lead back" in trace.steps[-1].found
    )


def below(field: bytes) -> Callable[[bytes], bytes]:
    return lambda raw: raw.replace(b"\r\nFrom:", b"\r\n" + field + b"\r\nFrom:", 1)


@pytest.mark.parametrize(
    ("change", "found", "check"),
    [
        (below(b"X-Relay-Note: 1"), "added on the way: x-relay-note", 'release_ignores="x-relay-note"'),
        (below(b"X-B: 1\r\nX-A: 2\r\nX-B: 3"), "added on the way: x-a, x-b", 'release_ignores="x-a, x-b"'),
        (below(b"DKIM-Signature: v=1"), "added on the way: dkim-signature", "mail programs act on it"),
        (below(b"X-A : 1"), "added on the way: x-a", "leave released messages unchanged"),
        (lambda raw: b"X-A: 1\r\n" + raw, "added on the way: x-a", "leave released messages unchanged"),
        (lambda raw: raw.replace(b"harmless", b"harmful"), "came back changed", "leave them unchanged"),
        (lambda raw: raw.replace("δοκιμή".encode(), b"=CE=B4=CE=BF"), "came back changed", "8BITMIME"),
        (lambda raw: raw.partition(b"\r\n")[2], "did not come back", "removes"),
    ],
)
async def test_what_keeps_a_marker_from_counting_is_named(
    vault: Vault, change: Callable[[bytes], bytes], found: str, check: str
) -> None:
    trace, _ = await examined(vault, change)
    assert trace.failed is not None and trace.failed.name == "marker"
    assert found in trace.failed.found and check in trace.failed.check


async def test_what_the_setting_names_is_no_failure(vault: Vault) -> None:
    trace, _ = await examined(vault, below(b"X-Relay-Note: 1"), ignores=("X-Relay-Note",))
    assert trace.failed is None and "fields in release_ignores: x-relay-note" in trace.steps[-1].found
    trace, _ = await examined(vault, below(b"X-Other: 1"), ignores=("X-Relay-Note",))
    assert trace.failed is not None and 'release_ignores="X-Relay-Note, x-other"' in trace.failed.check


@pytest.mark.parametrize("envelope", [("other@gw.test", TO), (FROM, "root@gw.test"), ("", TO)])
async def test_an_envelope_that_was_rewritten_is_named(vault: Vault, envelope: tuple[str, str]) -> None:
    trace, _ = await examined(vault, lambda raw: raw, envelope=envelope)
    assert trace.failed is not None and trace.failed.name == "envelope"


@pytest.mark.parametrize(
    ("point", "answer", "step"),
    [
        ("connect", "554 go away", "connect"),
        ("rcpt", "554 no relaying", "hand over"),
        ("dot", "451 later", "hand over"),
    ],
)
async def test_a_relay_that_takes_nothing(vault: Vault, point: str, answer: str, step: str) -> None:
    trace, _ = await examined(vault, None, script=lambda at, _argument: answer if at == point else None)
    assert trace.failed is trace.steps[-1] and trace.failed.name == step and answer in trace.failed.found


async def test_without_a_test_message_that_is_kept_nothing_is_sent(vault: Vault) -> None:
    trace, taken = await examined(vault, None, probes=())
    assert names(trace) == ["connect skipped"] and taken == []
