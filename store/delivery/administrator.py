"""Send the free space notification through the relay: once, or repeatedly while a program runs.

`store.space.notice` decides when it is due and that only one process sends it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from store.authority.configuration import Conflict
from store.mail.administrator import send
from store.mail.client import BeforeData, SessionLost
from store.mail.outcome import Outcome, State
from store.space.expiry import Expiry
from store.space.notice import Due, Told, claim
from store.terms.errors import MailholdError

if TYPE_CHECKING:
    from store.vault.vault import Vault

#: Seconds between checks of the free space.
EVERY = 5.0


def notify_administrator(vault: Vault) -> Told:
    """Check the free space, and send the notification if it is due. Not for an event loop's thread.

    If it is due, blocks until the relay has answered. Raises TamperedError, StoreUnavailable.
    """
    return asyncio.run(notify(vault))


async def notify(vault: Vault) -> Told:
    """Do what `notify_administrator` does, in an event loop.

    If cancelled before the content is sent, the notification is due again; if cancelled later, it counts as perhaps
    sent.
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
    """Check repeatedly until cancelled, and remove expired copies from the bin.

    Ignores errors of the store: other parts of the program show them.
    """
    expiry = Expiry(vault)
    while True:
        try:
            await notify(vault)
            await asyncio.to_thread(expiry.look)
        except MailholdError:
            pass
        await asyncio.sleep(every)


def _handing_over(due: Due) -> BeforeData:
    async def before_data(_accepted: Sequence[str], _refused: Mapping[str, Outcome]) -> None:
        await asyncio.to_thread(due.hand_over)

    return before_data
