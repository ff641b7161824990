"""Gateways of one store share their counts of senders: written every ten seconds, and on stopping."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from store.check import check
from store.helpers.clock import DAY_MS, now_ms
from store.judging.rules.address_lists import AddressLists, write_lists
from store.sealing.counting import SENDER
from store.terms.findings import KnownSender
from store.vault.known import Known
from store.vault.vault import Vault
from tests.integration.gateway_process import GatewayProcess
from tests.store.intake.milter_wire import MilterClient, message

pytestmark = [pytest.mark.integration, pytest.mark.xdist_group("gateway-known")]

FIELDS = [
    b"Authentication-Results\0 mx.gw.test; dmarc=pass header.from=example.net\0",
    b"From\0 Anna <anna@example.net>\0",
]


@pytest.fixture
def gateways() -> Iterator[list[GatewayProcess]]:
    first = GatewayProcess('[authentication]\nserver = "mx.gw.test"\n')
    second = GatewayProcess(beside=first)
    for each in (first, second):
        each.start()
    yield [first, second]
    second.close()
    first.close()


async def send(gateway: GatewayProcess, count: int) -> set[bytes]:
    """Send anna's messages; return the answers."""
    client = await MilterClient.unix(gateway.socket)
    answers = set()
    for number in range(count):
        await client.put(message(f"number {number}", headers=FIELDS))
        answers.add((await client.reply())[:1])
    client.writer.close()
    return answers


def counted(vault: Vault) -> float:
    [count] = Known(vault).counts([(SENDER, "anna@example.net")], now_ms() // DAY_MS)
    return count.authenticated + count.other


def test_what_one_let_through_the_other_knows(gateways: list[GatewayProcess]) -> None:
    first, second = gateways
    vault = first.vault()
    assert len(asyncio.run(send(first, 3))) == len(asyncio.run(send(second, 2))) == 1
    first.wait_for(lambda: counted(vault) == 5)
    asyncio.run(send(first, 1))
    assert first.stop() == 0
    assert counted(vault) == 6, "a gateway that stops writes what it counted"
    write_lists(vault, AddressLists(black=("gw.test",)), operator="olga")
    second.wait_for(lambda: asyncio.run(send(second, 1)) and vault.ids())
    record = vault.get(vault.ids()[0]).record
    assert record.known is not None and record.known.address_other >= 2, "the second believes no field"
    others = record.known.address_other
    assert record.known == KnownSender(4, others, 4, others, 0)
    vault.close()


def test_a_killed_gateway_leaves_whole_counters(gateways: list[GatewayProcess]) -> None:
    first, second = gateways
    vault = first.vault()
    asyncio.run(send(first, 2))
    first.wait_for(lambda: counted(vault) == 2)
    asyncio.run(send(first, 1))
    first.kill()
    assert counted(vault) in (2, 3), "what it had in memory is lost, and nothing else"
    before = counted(vault)
    first.start()
    asyncio.run(send(first, 1))
    first.stop()
    second.stop()
    assert counted(vault) == before + 1
    assert not check(vault).broken
    vault.close()
