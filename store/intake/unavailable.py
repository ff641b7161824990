"""What becomes of messages while Backup is unavailable, as the setting says, and telling the administrator once.

A copy cannot be placed where the database is gone, locked or out of space, and where the message is larger than the
maximum of Backup. Nothing is half-written then; the next message finds out by itself whether Backup is available again.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Awaitable, Callable

from store.authority.settings import Settings, Unavailable
from store.helpers.clock import now_ms
from store.mail import administrator
from store.mail.client import SessionLost, Timeouts, local_host_name
from store.mail.incoming import Refuse
from store.mail.outcome import State
from store.terms.errors import MailholdError, RelayError

#: Whoever may not let a message pass without its copy says this.
TEMPORARY = Refuse(451, "4.3.0", "Backup is temporarily unavailable, try again later")
REJECTED = Refuse(554, "5.3.0", "Backup is unavailable, the message is rejected")
#: Seconds: that Backup has to be well until a new outage is worth a new mail, and until a mail is tried again.
PEACE, AGAIN = 300.0, 60.0

_TIMEOUTS = Timeouts(connect=20, command=30, message=60)
_WHAT_IS_DONE = {
    Unavailable.PROCESS: "Messages are processed all the same, without a copy in Backup.",
    Unavailable.TEMPORARY_FAIL: "Senders of messages that need a copy are told to try again later.",
    Unavailable.REJECT: "Messages that need a copy are rejected.",
}

Send = Callable[[Settings, bytes], Awaitable[bool]]


def answer(option: Unavailable) -> Refuse | None:
    """What the client is told about a message whose copy cannot be placed. None: process it without."""
    return {Unavailable.TEMPORARY_FAIL: TEMPORARY, Unavailable.REJECT: REJECTED}.get(option)


class Outage:
    """Whether Backup is unavailable, from what became of the copies. For one event loop's thread.

    `say` logs; `send` mails a message to the administrator, and answers whether that is settled.
    """

    def __init__(
        self,
        say: Callable[..., None],
        send: Send | None = None,
        *,
        again: float = AGAIN,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._say = say
        self._send = send or send_to_administrator
        self._again, self._clock = again, clock
        self.why = ""
        self._failed_at = 0.0
        self._told = False
        self._telling: asyncio.Task[None] | None = None

    def failed(self, why: str, settings: Settings | None) -> None:
        """A copy could not be placed. `why` is complete, and free of message content."""
        now = self._clock()
        if self._told and now - self._failed_at > PEACE:
            self._told = False
        self._failed_at = now
        if why != self.why:
            option = settings.if_unavailable.value if settings else ""
            self._say("backup unavailable", level=40, why=why, messages=option)
            self.why = why
        ready = settings is not None and settings.relay and settings.administrator
        if ready and not self._told and (self._telling is None or self._telling.done()):
            assert settings is not None
            self._telling = asyncio.get_running_loop().create_task(self._tell(settings, why))

    def succeeded(self) -> None:
        """A copy was placed, or the store answers again."""
        if self.why:
            self.why = ""
            self._say("backup available again")

    async def stop(self) -> None:
        """Do not try to tell any more."""
        if self._telling is not None:
            self._telling.cancel()
            await asyncio.gather(self._telling, return_exceptions=True)

    async def _tell(self, settings: Settings, why: str) -> None:
        message = compose(settings, why, host=await local_host_name())
        while not await self._send(settings, message):
            self._say("administrator not told", level=30, what="backup unavailable")
            await asyncio.sleep(self._again)
            if not self.why:
                return
        self._told = True
        self._say("administrator told", what="backup unavailable")


def compose(settings: Settings, why: str, *, host: str) -> bytes:
    """The mail. `settings.administrator` must be a checked address."""
    now = now_ms()
    text = f"""\
A message copy could not be placed in Backup on {host}:

    {why}

{_WHAT_IS_DONE[settings.if_unavailable]}
The gateway goes on by itself as soon as Backup is available again. This
mail is sent once.
"""
    digest = hashlib.sha256(f"{host} {now}".encode()).hexdigest()[:24]
    message_id = f"backup-unavailable-{digest}@{host}"
    subject = f"Backup on {host} is unavailable"
    return administrator.compose(settings.administrator, subject, text, message_id=message_id, now=now)


async def send_to_administrator(settings: Settings, message: bytes) -> bool:
    """Send through the relay. Whether that is settled: taken, refused for good, or perhaps taken."""
    try:
        outcome = await administrator.send(settings.relay, settings.administrator, message, timeouts=_TIMEOUTS)
    except RelayError:
        return True  # A relay that is none will not become one by trying again.
    except (SessionLost, MailholdError):
        return False
    return outcome.state is not State.DEFERRED
