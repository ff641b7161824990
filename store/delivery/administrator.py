"""Sending the free space notification through the relay: once, or for as long as a program runs.

When it is due, and that it goes out once among all processes, is for `store.space.notice`; this is the way out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from store.authority.configuration import Conflict
from store.mail.administrator import send
from store.mail.client import BeforeData, SessionLost
from store.mail.outcome import Outcome, State
from store.space.bin import expire
from store.space.notice import Due, Told, claim
from store.terms.errors import MailholdError

if TYPE_CHECKING:
    from store.vault.vault import Vault

#: Seconds between two looks at the free space.
EVERY = 5.0


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
        outcome = await send(
            due.settings.relay, due.settings.administrator, due.message, before_data=_handing_over(due)
        )
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
    """Look again and again, until cancelled, and remove from the bin what is over. An error of the store is left to
    those who show it.
    """
    while True:
        try:
            await notify(vault)
            await asyncio.to_thread(expire, vault)
        except MailholdError:
            pass
        await asyncio.sleep(every)


def _handing_over(due: Due) -> BeforeData:
    async def before_data(_accepted: Sequence[str], _refused: Mapping[str, Outcome]) -> None:
        await asyncio.to_thread(due.hand_over)

    return before_data
