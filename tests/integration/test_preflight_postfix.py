"""The prediction before a release, from the EHLO answers of real Postfixes, equals the outcome."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from store.authority.settings import Settings
from store.check import check
from store.delivery.choosing import Choice
from store.delivery.greeting import ask_anew, ask_here
from store.delivery.hello import read_hello
from store.delivery.preflight import content_of, dressing_of, look, tally
from store.delivery.queue import deliveries, release
from store.delivery.worker import DeliveryWorker
from store.enrolment.enrolled import is_alive
from store.helpers.clock import now_ms
from store.mail.outcome import State
from store.sealing.keys import LOCAL_ID
from store.space.changing_settings import change_settings
from store.terms.records import CopyRecord
from store.vault.vault import Vault
from tests.integration.gateway_process import GatewayProcess
from tests.integration.postfix import DOMAIN, Postfix, why_not
from tui.terminal.preflight_words import lines, sentences

pytestmark = pytest.mark.integration

#: Extensions that the bare Postfix offers, and sizes it accepts.
FULL: dict[str, str] = {}
BARE = {
    "smtputf8_enable": "no",
    "smtpd_discard_ehlo_keywords": "8bitmime, smtputf8",
    "message_size_limit": "20000",
}
PLAIN, EIGHT_BIT = b"Subject: x\r\n\r\nbody\r\n", "Subject: x\r\n\r\nτέλος\r\n".encode()
LARGE = b"Subject: x\r\nReturn-Path: <x@y.example>\r\n\r\n" + b"x" * 60 + b"\r\n" * 10_000
COPIES = ((PLAIN, "bob"), (EIGHT_BIT, "bob"), (LARGE, "bob"), (PLAIN, "büb"))


@pytest.fixture(params=[FULL, BARE], ids=["full", "bare"])
def relay(request: pytest.FixtureRequest) -> Iterator[tuple[Postfix, bool]]:
    """Run a Postfix; return it and whether it is the bare one."""
    if reason := why_not():
        pytest.skip(reason)
    server = Postfix(settings=request.param)
    yield server, request.param is BARE
    server.stop()


def test_what_is_said_is_what_becomes_of_it(vault: Vault, relay: tuple[Postfix, bool]) -> None:
    server, bare = relay
    settings = Settings(relay=f"smtp://127.0.0.1:{server.port}", hold=0, hold_many=0)
    change_settings(vault, settings)
    ids = [
        vault.put(raw, CopyRecord(envelope_sender=f"s@{DOMAIN}", envelope_recipients=(f"{name}@{DOMAIN}",)))
        for raw, name in COPIES
    ]
    ask_here(vault)
    found = look(vault, ids, Choice(True))
    dressing = dressing_of(settings, "host.example")
    contents = {copy_id: content_of(vault, copy_id, dressing, now_ms()) for copy_id in ids}
    summed = tally(found, contents)
    said = lines(sentences(found, summed, contents, now=now_ms()))
    assert (summed.eight_bit, summed.utf8_addresses, summed.too_large) == (1, 1, 1 if bare else 0)
    assert "which answered just now" in said and "Fields removed: Return-Path (1)." in said
    if bare:
        assert "▲ 1 copy is larger than the 19.53 KB that the relay accepts, and would fail." in said
        assert "▲ The relay does not offer SMTPUTF8, without which 1 address of 1 copy would fail." in said
        assert "▲ 1 copy has 8-bit text, and the relay does not offer 8BITMIME" in said
    else:
        assert "▲" not in said and "8BITMIME: 1 copy needs it, offered. SMTPUTF8: 1 copy needs it, offered." in said
    release(vault, ids, original=True, operator="op")
    asyncio.run(asyncio.wait_for(DeliveryWorker(vault, owner="test").run_until_idle(), 120))
    states = {each.copy_id: each.state for each in deliveries(vault)}
    fails = {ids[2], ids[3]} if bare else set()
    assert states == {copy_id: State.FAILED if copy_id in fails else State.SENT for copy_id in ids}
    heard = read_hello(vault, LOCAL_ID)
    assert heard is not None and heard.hello.offers == found.offers


def test_a_gateway_process_asks_its_relay_anew_for_an_operator(relay: tuple[Postfix, bool]) -> None:
    server, bare = relay
    process = GatewayProcess('[metrics]\nlisten = ""\n')
    try:
        vault = process.vault()
        change_settings(vault, Settings(relay=f"smtp://127.0.0.1:{server.port}", hold=0, hold_many=0))
        copy_id = vault.put(PLAIN, CopyRecord(envelope_sender="", envelope_recipients=(f"bob@{DOMAIN}",)))
        process.start()
        process.wait_for(lambda: is_alive(vault, 2), 60)
        assert look(vault, [copy_id], Choice(True)).gateway == "mx1"
        heard = ask_anew(vault, 2, 60)
        assert heard is not None and heard.hello.offers.utf8 is not bare, process.log_text()
        found = look(vault, [copy_id], Choice(True))
        assert (
            found.heard == heard and found.offers is not None and found.offers.limit == (20_000 if bare else 60_000_000)
        )
        assert check(vault).broken == []
        vault.close()
    finally:
        process.close()
