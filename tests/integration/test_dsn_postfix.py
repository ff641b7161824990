"""DSN parameters of the sender travel through a real Postfix into a copy, and with its release to the next server."""

from __future__ import annotations

import asyncio
import smtplib
import threading
from collections.abc import Iterator

import pytest

from store.authority.settings import Settings
from store.delivery.queue import delivery_of, release
from store.intake.sink import SinkServer
from store.judging.rules.address_lists import AddressLists, write_lists
from store.mail.incoming import Discard, Incoming, Outcome
from store.mail.outcome import State
from store.space.changing_settings import change_settings
from store.terms.dsn import Dsn, RecipientDsn
from tests.integration.gateway_process import GatewayProcess
from tests.integration.postfix import DOMAIN, Postfix, why_not
from tests.store.mail.smtp_server import ScriptedServer

pytestmark = [pytest.mark.integration, pytest.mark.xdist_group("postfix-gateway")]

SENDER = "offers@spam.example"
ANN, BOB = "ann@dsn.test", "bob@dsn.test"
RAW = b"Subject: offers\r\n\r\nbuy\r\n"
ASKED = Dsn(
    "HDRS",
    "QQ+2B314159",
    (
        RecipientDsn(ANN, "SUCCESS,FAILURE", "rfc822;Ann+2Bold@first.example"),
        RecipientDsn(BOB, "NEVER", f"rfc822;{BOB}"),
    ),
)


@pytest.fixture(scope="module")
def receiver() -> Iterator[ScriptedServer]:
    """Run the server of dsn.test in its own thread."""
    found, ready, stop = ScriptedServer(extensions=("8BITMIME", "DSN")), threading.Event(), asyncio.Event()
    loops: list[asyncio.AbstractEventLoop] = []

    async def serve() -> None:
        loops.append(asyncio.get_running_loop())
        async with found:
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert ready.wait(60)
    yield found
    loops[0].call_soon_threadsafe(stop.set)
    thread.join()


@pytest.fixture(scope="module")
def gateway() -> Iterator[GatewayProcess]:
    if reason := why_not():
        pytest.skip(reason)
    running = GatewayProcess()
    vault = running.vault()
    write_lists(vault, AddressLists(black=("spam.example",)))
    vault.close()
    running.start()
    yield running
    running.close()


@pytest.fixture(scope="module")
def postfix(gateway: GatewayProcess, receiver: ScriptedServer) -> Iterator[Postfix]:
    running = Postfix(
        settings={
            "smtpd_milters": f"unix:{gateway.socket}",
            "milter_default_action": "tempfail",
            "transport_maps": f"inline:{{ {{dsn.test=smtp:[127.0.0.1]:{receiver.port}}} }}",
        }
    )
    yield running
    running.stop()


def test_it_goes_in_is_kept_and_goes_out_with_the_release(
    gateway: GatewayProcess, postfix: Postfix, receiver: ScriptedServer
) -> None:
    vault = gateway.vault()
    relay = f"smtp://127.0.0.1:{postfix.port}"
    change_settings(vault, Settings(relay=relay, administrator="admin@dsn.test", release_loops=True))
    _send(postfix, ANN, BOB)
    copy = vault.newest(1)[0]
    assert copy.record.dsn == ASKED and copy.record.envelope_recipients == (ANN, BOB)
    [delivery_id] = release(vault, [copy.id], original=True, additional=["carol@dsn.test"]).queued
    gateway.wait_for(lambda: delivery_of(vault, delivery_id).state is State.SENT)
    gateway.wait_for(
        lambda: sorted(each for taken in receiver.taken for each in taken.rcpt) == [ANN, BOB, "carol@dsn.test"]
    )
    assert all({"RET=HDRS", "ENVID=QQ+2B314159"} <= set(taken.options) for taken in receiver.taken)
    asked = {address: set(parameters) for address, parameters in receiver.asked.items()}
    assert asked[ANN] == {"NOTIFY=SUCCESS,FAILURE", "ORCPT=rfc822;Ann+2Bold@first.example"}
    assert asked[BOB] == {"NOTIFY=NEVER", f"ORCPT=rfc822;{BOB}"}
    # Mailhold adds no DSN parameters that were not requested; Postfix adds the original recipient.
    assert asked["carol@dsn.test"] == {"ORCPT=rfc822;carol@dsn.test"}
    vault.close()


async def test_a_content_filter_gets_it_too() -> None:
    """Postfix hands the message to a listener of the gateway by LMTP, which offers DSN."""
    if reason := why_not():
        pytest.skip(reason)
    seen: list[Incoming] = []

    async def handler(incoming: Incoming) -> Outcome:
        seen.append(incoming)
        return Discard()

    server = SinkServer(handler, protocol="lmtp", max_size=1_000_000)
    port = await server.listen_tcp("127.0.0.1", 0)
    settings, services = {"content_filter": f"lmtp:inet:127.0.0.1:{port}"}, "lmtp unix - - n - - lmtp"
    running = await asyncio.to_thread(Postfix, settings, services)
    try:
        await asyncio.to_thread(_send, running, f"ann@{DOMAIN}")
        await asyncio.to_thread(running.wait_until_empty)
        [incoming] = seen
        asked = RecipientDsn(f"ann@{DOMAIN}", "SUCCESS,FAILURE", "rfc822;Ann+2Bold@first.example")
        assert incoming.dsn == Dsn("HDRS", "QQ+2B314159", (asked,)), running.log()
    finally:
        await server.stop(0.1)
        await asyncio.to_thread(running.stop)


def _send(postfix: Postfix, *to: str) -> None:
    """Send the message to these recipients, each with the next parameters of `ASKED`."""
    with smtplib.SMTP("127.0.0.1", postfix.port, timeout=30) as client:
        client.ehlo("client.test")
        assert "dsn" in client.esmtp_features
        assert client.mail(SENDER, [f"RET={ASKED.ret}", f"ENVID={ASKED.envid}"])[0] == 250
        for address, each in zip(to, ASKED.recipients, strict=False):
            assert client.rcpt(address, [f"NOTIFY={each.notify}", f"ORCPT={each.orcpt}"])[0] == 250
        assert client.data(RAW)[0] == 250
