"""Metrics that cannot be served, in a real gateway process: mail continues, and every status view reports it."""

from __future__ import annotations

import asyncio
import socket
import urllib.request
from collections.abc import Iterator
from pathlib import Path

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
    """Send a message; return the answer."""
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
            "libfoo.so.1 is missing). Reinstall it in the Python that runs Mailhold."
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


def test_a_store_that_was_put_back_is_told(gateway: GatewayProcess) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    gateway.config.write_text(f'{gateway.head}[metrics]\nlisten = "{address}"\n')

    def older() -> str:
        page = urllib.request.urlopen(f"http://{address}/metrics", timeout=10).read().decode()
        return next(line for line in page.splitlines() if line.startswith("mailhold_store_older"))

    before = Path(gateway.location).read_bytes()
    gateway.start()
    assert older() == "mailhold_store_older 0.0"
    assert gateway.stop() == 0
    for end in ("-wal", "-shm"):
        Path(gateway.location + end).unlink(missing_ok=True)
    Path(gateway.location).write_bytes(before)
    gateway.start()
    assert older() == "mailhold_store_older 1.0"
    assert gateway.stop() == 0
