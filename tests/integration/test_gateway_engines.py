"""A real clamd that stops and comes back: reported in the gateway's log and metrics, in the trail and by mail."""

from __future__ import annotations

import asyncio
import urllib.request
from collections.abc import Iterator

import pytest

from store.authority.audit import events
from store.authority.settings import Settings
from store.judging.rules.model import DEFAULT_ID, IfDown, Rule
from store.judging.rules.rules import write_rules
from store.space.changing_settings import change_settings
from store.terms.verdicts import Engine
from tests.integration import clamd as virus
from tests.integration.gateway_process import GatewayProcess
from tests.integration.postfix import free_port
from tests.integration.sink import Sink
from tests.store.intake.milter_wire import MilterClient, message

pytestmark = [pytest.mark.integration, pytest.mark.xdist_group("gateway-engines")]


@pytest.fixture
def clamd() -> Iterator[virus.ClamdServer]:
    if reason := virus.why_not():
        pytest.skip(reason)
    running = virus.ClamdServer()
    yield running
    running.stop()


@pytest.fixture
def gateway() -> Iterator[GatewayProcess]:
    made = GatewayProcess()
    yield made
    made.close()


async def judged(gateway: GatewayProcess) -> bytes:
    """Send a message to the milter; return the letter of its answer."""
    client = await MilterClient.unix(gateway.socket)
    await client.put(message("x"))
    return (await client.reply())[:1]


def test_it_is_told_that_it_is_down_and_that_it_is_back(clamd: virus.ClamdServer, gateway: GatewayProcess) -> None:
    sink, port = Sink(protocol="smtp"), free_port()
    vault = gateway.vault()
    try:
        relay = f"smtp://127.0.0.1:{sink.port}"
        change_settings(vault, Settings(relay=relay, administrator="admin@corp.example"))
        write_rules(vault, [Rule(id=DEFAULT_ID, name="Default", if_down={Engine.ANTI_VIRUS: IfDown.TEMPORARY_FAIL})])
        gateway.config.write_text(
            f'{gateway.head}[engines]\ntell_after = 0.5\n[engines.clamd]\naddress = "{clamd.unix}"\n'
            f'[metrics]\nlisten = "127.0.0.1:{port}"\n'
        )
        gateway.start()

        def gauge() -> str:
            page = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10).read().decode()
            return next(line for line in page.splitlines() if line.startswith("mailhold_engine_up{"))

        assert gauge() == 'mailhold_engine_up{engine="clamd"} 1.0'
        assert asyncio.run(judged(gateway)) == b"c"
        clamd.kill()
        assert asyncio.run(judged(gateway)) == b"y"
        gateway.wait_for(lambda: sink.seen)
        [entry] = gateway.log("engine down")
        assert entry["scanner"] == "clamd"
        assert entry["address"] == clamd.unix
        assert entry["why"] in ("Connection refused", "No such file or directory")
        assert entry["messages"] == "messages that it should scan are deferred"
        assert "reported something" not in gateway.log_text()
        assert gauge() == 'mailhold_engine_up{engine="clamd"} 0.0'
        clamd.start()
        gateway.wait_for(lambda: len(sink.seen) == 2)
        assert gauge() == 'mailhold_engine_up{engine="clamd"} 1.0'
        assert asyncio.run(judged(gateway)) == b"c"
        down, back = [mail.raw.decode() for mail in sink.seen]
        assert "Subject: clamd on " in down and " does not answer" in down and clamd.unix in down
        assert f"{'deferred':<36}        1" in down
        assert " answers again" in back
        assert [mail.recipients for mail in sink.seen] == [["admin@corp.example"]] * 2
        gateway.wait_for(lambda: len([each for each in events(vault) if "engine" in each.action]) == 2)
        told = [each for each in reversed(events(vault)) if "engine" in each.action]
        assert [(each.action, each.operator) for each in told] == [("engine down", ""), ("engine answers again", "")]
        assert told[0].detail.startswith(f"mx1: clamd at {clamd.unix}: ")
    finally:
        vault.close()
        sink.stop()
    assert gateway.stop() == 0
