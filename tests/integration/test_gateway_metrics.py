"""Metrics that cannot be served, in a real gateway process: mail goes on, and it is said wherever somebody looks."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator

import pytest

from store.authority.audit import events
from tests.integration.gateway_process import GatewayProcess
from tests.store.intake.milter_wire import MilterClient, message

pytestmark = pytest.mark.integration


@pytest.fixture
def gateway() -> Iterator[GatewayProcess]:
    made = GatewayProcess()
    yield made
    made.close()


async def judged(gateway: GatewayProcess) -> bytes:
    """The answer to a message."""
    client = await MilterClient.unix(gateway.socket)
    await client.put(message("x"))
    return (await client.reply())[:1]


@pytest.mark.parametrize("how", ["the port is taken", "the library does not load"])
def test_mail_goes_on(gateway: GatewayProcess, how: str) -> None:
    taken = socket.create_server(("127.0.0.1", 0))
    port = taken.getsockname()[1]
    environment = {}
    if how == "the port is taken":
        why = f"Metrics cannot listen on 127.0.0.1:{port}: Address already in use."
    else:
        taken.close()
        (gateway.folder / "prometheus_client.py").write_text("raise ImportError('libfoo.so.1 is missing')")
        environment = {"PYTHONPATH": str(gateway.folder)}
        why = (
            "[metrics] of mailhold.toml needs prometheus-client, which is installed but does not load (ImportError: "
            "libfoo.so.1 is missing): install it again in the Python that runs Mailhold."
        )
    gateway.config.write_text(f'{gateway.head}[metrics]\nlisten = "127.0.0.1:{port}"\n')
    gateway.start(environment=environment)
    assert asyncio.run(judged(gateway)) == b"c"
    [entry] = gateway.log("metrics are not served, mail goes on")
    assert (entry["level"], entry["why"]) == ("error", why)
    assert f"STATUS=Judging mail; metrics are not served: {why}" in gateway.notified
    vault = gateway.vault()
    try:
        gateway.wait_for(lambda: [each for each in events(vault) if each.action == "metrics not served"])
        [event] = [each for each in events(vault) if each.action == "metrics not served"]
        assert (event.operator, event.detail) == ("", f"mx1: {why}")
    finally:
        vault.close()
        taken.close()
    assert gateway.stop() == 0
