"""A relay that is changed while messages are in hand: those that are not being sent yet go to the new one."""

from __future__ import annotations

import asyncio

from store.delivery import shift
from store.delivery.queue import queue_length
from store.delivery.worker import DeliveryWorker
from store.vault.vault import Vault
from tests.store.delivery.test_delivery_worker import DEADLINE, QUICK, fill, until, use
from tests.store.mail.smtp_server import ScriptedServer, offering


async def test_messages_in_hand_go_to_a_relay_that_was_changed(vault: Vault) -> None:
    hanging, go_on = asyncio.Event(), asyncio.Event()
    with offering(True):
        async with ScriptedServer() as first, ScriptedServer() as second:
            use(vault, first.port)
            count = shift.CLAIMED + 4
            fill(vault, count)
            talk = first._talk

            async def slowly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                hanging.set()
                await go_on.wait()
                await talk(reader, writer)

            first._talk = slowly
            sender = DeliveryWorker(vault, owner="test", connections=1, timeouts=QUICK, poll=0.02)
            stop = asyncio.Event()
            task = asyncio.create_task(sender.run(stop))
            await until(hanging.is_set)
            use(vault, second.port)
            await asyncio.sleep(0.3)
            go_on.set()
            await until(lambda: not queue_length(vault))
            stop.set()
            await asyncio.wait_for(task, DEADLINE)
            assert (len(first.taken), len(second.taken)) == (1, count - 1)
