"""A store that becomes unwritable after a message was sent: no worker waits for it for ever."""

from __future__ import annotations

import asyncio

from store.authority.settings import Settings
from store.delivery.listing import delivery_of
from store.delivery.queue import release
from store.delivery.worker import DeliveryWorker
from store.mail.outcome import State
from store.space.changing_settings import change_settings
from store.terms.records import CopyRecord
from store.vault.vault import Vault
from tests.store.mail.smtp_server import ScriptedServer
from tests.system_calls import Call, Fault, calls


async def test_who_works_until_idle_gives_up_with_his_lease_and_nothing_is_sent_twice(vault: Vault) -> None:
    vault.put(b"Subject: x\r\n\r\nbody\r\n", CopyRecord(envelope_recipients=("b@y.example",)))
    async with ScriptedServer() as server:
        change_settings(vault, Settings(relay=f"smtp://127.0.0.1:{server.port}"))
        [delivery] = release(vault, [1], original=True).queued

        def answer(call: Call) -> Fault | None:
            return Fault.LOST if server.taken and call.name.startswith("pwrite") else None

        worker = DeliveryWorker(vault, owner="first", lease=800)
        with calls(answer):
            await asyncio.wait_for(worker.run_until_idle(), 60)
        assert "disk I/O error" in worker.problem
        assert delivery_of(vault, delivery).state is State.SENDING
        await asyncio.wait_for(DeliveryWorker(vault, owner="next").run_until_idle(), 60)
        assert delivery_of(vault, delivery).state is State.UNKNOWN and len(server.taken) == 1
