"""Sending the free space notification through the relay: once, or for as long as a program runs.

When it is due, and that it goes out once among all processes, is for `store.space.notice`; this is the way out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from store.authority.configuration import Conflict
from store.mail.client import Session, SessionLost, Timeouts, local_host_name
from store.mail.outcome import Outcome, State
from store.mail.relay import parse_relay
from store.space.mail import SENDER
from store.space.notice import Due, Told, claim
from store.terms.errors import MailholdError

if TYPE_CHECKING:
    from store.vault.vault import Vault

#: Seconds between two looks at the free space.
EVERY = 5.0
#: Shorter in all than the lease of a notice.
TIMEOUTS = Timeouts(connect=20, command=30, message=300)


def notify_administrator(vault: Vault) -> Told:
    """Look at the free space, and send the notification if it is due. Not for an event loop's thread.

    Blocks for as long as the relay takes, where it is due. Raises TamperedError, StoreUnavailable.
    """
    return asyncio.run(notify(vault))


async def notify(vault: Vault) -> Told:
    """As `notify_administrator`, for an event loop. Where it is cancelled before the content goes out, the notice is
    given back; later, it counts as perhaps sent.
    """
    due = await asyncio.to_thread(claim, vault)
    if isinstance(due, Told):
        return due
    try:
        outcome = await _send(due)
    except Conflict:
        return Told.WAITING
    except SessionLost as error:
        outcome = Outcome(State.DEFERRED, str(error))
    except MailholdError as error:
        outcome = due.interrupted(str(error))
    except asyncio.CancelledError:
        await asyncio.shield(asyncio.to_thread(due.settle, due.interrupted("the program was stopped")))
        raise
    return await asyncio.to_thread(due.settle, outcome)


async def watch(vault: Vault, every: float = EVERY) -> None:
    """Look again and again, until cancelled. An error of the store is left to those who show it."""
    while True:
        try:
            await notify(vault)
        except MailholdError:
            pass
        await asyncio.sleep(every)


async def _send(due: Due) -> Outcome:
    relay = parse_relay(due.settings.relay)
    context = await asyncio.to_thread(relay.tls_context)
    administrator = due.settings.administrator

    async def before_data(_accepted: Sequence[str], _refused: Mapping[str, Outcome]) -> None:
        await asyncio.to_thread(due.hand_over)

    session = Session(relay, context, await local_host_name(), TIMEOUTS)
    try:
        await session.open()
        outcomes = await session.send(SENDER, [administrator], due.message, before_data)
    except BaseException:
        await session.close(polite=False)
        raise
    await session.close()
    return outcomes.get(administrator, Outcome(State.DEFERRED, "the relay did not say"))
