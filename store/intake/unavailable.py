"""Handle messages while Backup is unavailable, as the setting says, and mail the administrator once.

A copy cannot be placed if the database is gone, locked or out of space, or if the message is larger than Backup's
maximum size. Nothing is half-written then; each further message tries again.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime

from store.authority.settings import Settings, Unavailable
from store.helpers.clock import now_ms
from store.mail import administrator
from store.mail.client import SessionLost, Timeouts, local_host_name
from store.mail.incoming import Refuse
from store.mail.outcome import State
from store.terms.errors import MailholdError, RelayError
from store.terms.gateway_events import BACKUP_AVAILABLE, BACKUP_UNAVAILABLE

#: The answer if a message must not pass without its copy.
TEMPORARY = Refuse(451, "4.3.0", "Backup is temporarily unavailable, try again later")
REJECTED = Refuse(554, "5.3.0", "Backup is unavailable, the message is rejected")
#: Seconds that Backup must work until an outage is over, and seconds until a mail is tried again.
PEACE, AGAIN = 300.0, 60.0
#: Seconds that Backup must fail again within an outage until that is an event, and seconds without a failure after
#: which it may be available again.
RELAPSE = 30.0

_TIMEOUTS = Timeouts(connect=20, command=30, message=60)
_WHAT_IS_DONE = {
    Unavailable.PROCESS: (
        "Messages keep being processed, without a copy in Backup: messages that\n"
        "are deleted meanwhile cannot be restored."
    ),
    Unavailable.TEMPORARY_FAIL: "Messages that need a copy are deferred (their senders try again later).",
    Unavailable.REJECT: "Messages that need a copy are rejected.",
}

#: What was done with messages: the outcome in the metrics, and its words in a mail.
_DEALT_WITH = {
    "deleted": "deleted",
    "attachment-deleted": "passed on without their attachments",
    "accepted": "passed on",
    "rejected": "rejected",
    "temporary-fail": "deferred",
}

Send = Callable[[Settings, bytes], Awaitable[bool]]


def answer(option: Unavailable) -> Refuse | None:
    """Return the answer for a message whose copy cannot be placed. None: process it without a copy."""
    return {Unavailable.TEMPORARY_FAIL: TEMPORARY, Unavailable.REJECT: REJECTED}.get(option)


class Outage:
    """Tracks whether Backup is unavailable, from the results of placing copies. For the event loop's thread only.

    `say` logs; `event` writes into the audit trail (action, detail); `send` mails the administrator and returns True if
    that is settled. `counts` holds, by outcome, the messages that needed a copy and got none since the outage began.
    """

    def __init__(
        self,
        say: Callable[..., None],
        send: Send | None = None,
        *,
        event: Callable[[str, str], None] = lambda _action, _detail: None,
        again: float = AGAIN,
        peace: float = PEACE,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._say, self._event = say, event
        self._send = send or send_to_administrator
        self._again, self._peace, self._clock = again, peace, clock
        self.why = ""
        self.counts: Counter[str] = Counter()
        #: The clock's time at the last recovery.
        self._well_at = float("-inf")
        #: The clock's time of the first failure since the last recovery, and whether the trail says that it fails.
        self._failing_from = float("-inf")
        self._recorded = False
        #: The clock's time of the last failure.
        self._failed_at = float("-inf")
        self._since = 0
        self._told = False
        self._settings: Settings | None = None
        self._telling: asyncio.Task[None] | None = None
        self._ending: asyncio.Task[None] | None = None

    def failed(self, why: str, settings: Settings | None) -> None:
        """Record that a copy could not be placed. `why` is a full sentence without message content."""
        now = self._failed_at = self._clock()
        fresh = not self.why and now - self._well_at > self._peace
        if fresh:
            self._begin()
        if not self.why:
            self._failing_from = now
        # Backup that fails now and then must not fill the trail.
        if not self._recorded and (fresh or now - self._failing_from >= RELAPSE):
            self._recorded = True
            self._event(BACKUP_UNAVAILABLE, why)
        if self._ending is not None:
            self._ending.cancel()
            self._ending = None
        self._settings = settings or self._settings
        if why != self.why:
            option = settings.if_unavailable.value if settings else ""
            self._say("backup unavailable", level=40, why=why, messages=option)
            self.why = why
        ready = settings is not None and settings.relay and settings.administrator
        if ready and not self._told and (self._telling is None or self._telling.done()):
            assert settings is not None
            self._telling = asyncio.get_running_loop().create_task(self._tell(settings, why))

    def dealt_with(self, what: str) -> None:
        """Count a message whose copy could not be placed, by outcome (as the metrics name it)."""
        self.counts[what] += 1

    def succeeded(self) -> None:
        """Record that a copy was placed, or that the store answers again."""
        if not self.why:
            return
        why, self.why = self.why, ""
        self._well_at = self._clock()
        counted = ", ".join(f"{what}: {count}" for what, count in sorted(self.counts.items()))
        self._say("backup available again", without_copy=counted)
        self._recorded = False
        self._event(BACKUP_AVAILABLE, f"unavailable since {_utc(self._since)}: {why} Without a copy: {counted}.")
        self._ending = asyncio.get_running_loop().create_task(self._end())

    def may_be_over(self) -> bool:
        """Return whether Backup was unavailable, and no copy failed for `RELAPSE` seconds. For any thread."""
        return bool(self.why) and self._clock() - self._failed_at >= RELAPSE

    def recovered(self) -> None:
        """Record that the store can be written to again, unless a copy failed meanwhile."""
        if self.may_be_over():
            self.succeeded()

    async def stop(self) -> None:
        """Stop trying to send mail."""
        tasks = [task for task in (self._telling, self._ending) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _begin(self) -> None:
        self._told = False
        self.counts.clear()
        self._since = now_ms()

    async def _tell(self, settings: Settings, why: str) -> None:
        host = await local_host_name()
        while not await self._send(settings, compose(settings, why, host=host, counts=self.counts)):
            self._say("administrator not told", level=30, what="backup unavailable")
            await asyncio.sleep(self._again)
            if not self.why:
                return
        self._told = True
        self._say("administrator told", what="backup unavailable")

    async def _end(self) -> None:
        """Wait until Backup has worked long enough; then, if the administrator was told of the outage, mail its end."""
        until = now_ms()
        await asyncio.sleep(self._peace)
        settings = self._settings
        if self._told and settings is not None and settings.relay and settings.administrator:
            text = f"""\
Backup was unavailable from {_utc(self._since)} to {_utc(until)}. It
is available again. Messages that needed a copy and got none were

{counts_table(self.counts)}
"""
            if self.counts["deleted"] or self.counts["attachment-deleted"]:
                text += """
Messages that were deleted without a copy are lost. To have such messages
deferred instead:

    mailhold settings set if_unavailable=temporary-fail
"""
            host = await local_host_name()
            message = _mail(settings, f"Backup on {host} is available again", text, host=host, kind="backup-available")
            while not await self._send(settings, message):
                self._say("administrator not told", level=30, what="backup available again")
                await asyncio.sleep(self._again)
            self._say("administrator told", what="backup available again")
        self._begin()


def counts_table(counts: Mapping[str, int]) -> str:
    """List the outcomes for a mail, one per line, with the number of messages."""
    lines = [f"    {words:<36}{counts.get(what, 0):>9,}" for what, words in _DEALT_WITH.items() if counts.get(what, 0)]
    return "\n".join(lines) or "    none"


def compose(settings: Settings, why: str, *, host: str, counts: Mapping[str, int]) -> bytes:
    """Write the mail. `settings.administrator` must be a checked address."""
    text = f"""\
A message copy could not be placed in Backup on {host}:

    {why}

{_WHAT_IS_DONE[settings.if_unavailable]}
So far, messages that needed a copy and got none were

{counts_table(counts)}

The gateway recovers by itself. This mail is sent once; another one
follows when Backup is available again.
"""
    return _mail(settings, f"Backup on {host} is unavailable", text, host=host, kind="backup-unavailable")


def _mail(settings: Settings, subject: str, text: str, *, host: str, kind: str) -> bytes:
    now = now_ms()
    message_id = f"{kind}-{hashlib.sha256(f'{host} {now}'.encode()).hexdigest()[:24]}@{host}"
    return administrator.compose(settings.administrator, subject, text, message_id=message_id, now=now)


def _utc(ms: int) -> str:
    return f"{datetime.fromtimestamp(ms / 1000, UTC):%d %b %Y %H:%M} UTC"


async def send_to_administrator(settings: Settings, message: bytes) -> bool:
    """Send a mail through the relay. Return True if that is settled: accepted, refused for good, or possibly
    accepted.
    """
    try:
        outcome = await administrator.send(settings.relay, settings.administrator, message, timeouts=_TIMEOUTS)
    except RelayError:
        return True  # An invalid relay stays invalid: trying again is no use.
    except (SessionLost, MailholdError):
        return False
    return outcome.state is not State.DEFERRED
