"""The worker: takes due deliveries from the queue and hands them to the relay, over several connections at once."""

from __future__ import annotations

import asyncio
import time

from store.delivery.relaying import Relaying
from store.delivery.shift import Shift


class DeliveryWorker(Relaying):
    """Sends one gateway's due deliveries. `lease` is in ms, `poll` in seconds.

    `owner` names the worker in this program only; the store has a random token (`lease_owner`) for it. `problem` says
    why nothing is being sent, "" if nothing prevents it. `say` logs an event with its fields, none of which holds
    anything of a message.
    """

    async def run(self, stop: asyncio.Event) -> None:
        """Send due deliveries until `stop` is set; then finish those under way."""
        await Shift(self).work(stop, until_idle=False, deadline=None)

    async def run_until_idle(self, deadline: float | None = None) -> None:
        """Send until nothing more is due, the relay cannot be reached, or `deadline` seconds have passed.

        Does not wait for deferred deliveries. If the store cannot be written to any more, waits for it as long as a
        lease.
        """
        until = None if deadline is None else time.monotonic() + deadline
        await Shift(self).work(asyncio.Event(), until_idle=True, deadline=until)
