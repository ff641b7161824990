"""The notification that free space went below the threshold: sent once, and again only after space was freed.

Its state is kept in the store, so that several consoles, workers and gateways send it only once. The one that finds
free space below the threshold claims the notice under a lease, records that it is about to send, and sends the mail. If
it dies before that record, another sends after the lease ends; if it dies later, the mail may have gone out, so nobody
sends it again.

    armed -> claimed -> handed over -> told -> armed
                ^  a refused mail goes back to armed, to be tried again later

Rotation does not arm the notice again: at the maximum it frees a little space with every new copy. Deleting copies and
changing the maximum or the threshold do, once free space is no longer below the threshold.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from enum import StrEnum

import msgspec
from msgspec.structs import replace

from store.authority import configuration
from store.authority.settings import NAME as SETTINGS
from store.authority.settings import Settings, read_settings
from store.helpers.clock import now_ms
from store.mail.outcome import Outcome, State
from store.space.limits import usage
from store.terms.errors import TamperedError
from store.vault.vault import Vault

NAME = "free-space-notice"
LEASE_MS = 15 * 60_000
RETRY_MS = 60_000
RETRY_MOST_MS = 60 * 60_000
PERHAPS = "administrator perhaps notified"


class Phase(StrEnum):
    """The state of the notice."""

    ARMED = "armed"
    CLAIMED = "claimed"
    HANDED_OVER = "handed-over"
    TOLD = "told"


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """The stored state. `until`: when the claim ends, or the earliest time of the next attempt (Unix ms).

    `number` counts the notices. The last five fields describe the store when the notice was claimed: version of the
    settings, maximum and threshold (bytes), newest tombstone, newest row of the bin's journal.
    """

    phase: Phase = Phase.ARMED
    number: int = 0
    attempts: int = 0
    until: int = 0
    settings_version: int = 0
    max_size: int = 0
    notify_below: int = 0
    tombstone: int = 0
    bin_row: int = 0


class Told(StrEnum):
    """The result of a check of free space. NOBODY: no relay or no administrator is set."""

    ENOUGH = "enough"
    ALREADY = "already"
    WAITING = "waiting"
    NOBODY = "nobody"
    SENT = "sent"
    NOT_SENT = "not-sent"
    UNKNOWN = "unknown"


def claim(vault: Vault, *, clock: Callable[[], int] = now_ms, host: str = "") -> Due | Told:
    """Claim the notice under a lease if it is due; otherwise return why it is not.

    Cheap if it is not due. `host` is named in the mail. Raises TamperedError, StoreUnavailable.
    """
    stored_settings = configuration.read(vault, SETTINGS, Settings)
    settings = stored_settings.value if stored_settings else Settings()
    settings_version = stored_settings.version if stored_settings else 0
    stored = _stored(vault)
    notice, version = (stored.value, stored.version) if stored else (Notice(), 0)
    used, now = usage(vault), clock()
    try:
        if used.free_bytes >= settings.notify_below:
            if _may_arm(vault, notice, settings, now):
                _move(vault, version, Notice(number=notice.number), now)
            return Told.ENOUGH
        if notice.phase is Phase.TOLD:
            return Told.ALREADY
        if now < notice.until and (notice.phase is not Phase.ARMED or notice.settings_version == settings_version):
            return Told.WAITING
        if notice.phase is Phase.HANDED_OVER:
            _move(vault, version, replace(notice, phase=Phase.TOLD), now, PERHAPS, "the program ended while sending")
            return Told.UNKNOWN
        if not settings.relay or not settings.administrator:
            return Told.NOBODY
        claimed = Notice(
            phase=Phase.CLAIMED,
            number=notice.number if notice.attempts else notice.number + 1,
            attempts=notice.attempts + 1,
            until=now + LEASE_MS,
            settings_version=settings_version,
            max_size=settings.max_size,
            notify_below=settings.notify_below,
            tombstone=vault.newest_tombstone(),
            bin_row=vault.bin.newest_row(),
        )
        version = _move(vault, version, claimed, now)
    except configuration.Conflict:
        return Told.WAITING
    from store.space.notice_mail import compose

    where = host or socket.gethostname()
    message = compose(settings, used, number=claimed.number, now=now, host=where, store_id=vault.store_id)
    return Due(vault, settings, message, claimed, version, clock)


class Due:
    """A notice that this process has claimed. Send `message` according to `settings`."""

    def __init__(
        self, vault: Vault, settings: Settings, message: bytes, claimed: Notice, version: int, clock: Callable[[], int]
    ) -> None:
        self.settings = settings
        self.message = message
        self._vault = vault
        self._claimed = claimed
        self._version = version
        self._clock = clock
        self._handed_over = self._settled = False
        self._lock = threading.Lock()

    def hand_over(self) -> None:
        """Record that the content is about to be sent. Raises Conflict if the lease was lost: then do not send."""
        with self._lock:
            if self._settled:
                raise configuration.Conflict(NAME)
            self._move(replace(self._claimed, phase=Phase.HANDED_OVER))
            self._handed_over = True

    def interrupted(self, reason: str) -> Outcome:
        """Return the outcome of a failure that is not an answer of the relay."""
        return Outcome(State.UNKNOWN if self._handed_over else State.DEFERRED, reason)

    def settle(self, outcome: Outcome) -> Told:
        """Record the outcome of sending. Raises StoreUnavailable."""
        with self._lock:
            self._settled = True
            return self._settle(outcome)

    def _settle(self, outcome: Outcome) -> Told:
        claimed = self._claimed
        try:
            if outcome.state is State.SENT:
                self._move(replace(claimed, phase=Phase.TOLD), "administrator notified", outcome.reply)
                return Told.SENT
            if outcome.state is State.UNKNOWN:
                self._move(replace(claimed, phase=Phase.TOLD), PERHAPS, outcome.reply)
                return Told.UNKNOWN
            pause = min(RETRY_MS << min(claimed.attempts - 1, 10), RETRY_MOST_MS)
            failed = replace(claimed, phase=Phase.ARMED, until=self._clock() + pause)
            self._move(failed, "administrator not notified" if claimed.attempts == 1 else "", outcome.reply)
        except configuration.Conflict:
            return Told.WAITING
        return Told.NOT_SENT

    def _move(self, notice: Notice, action: str = "", detail: str = "") -> None:
        self._version = _move(self._vault, self._version, notice, self._clock(), action, detail)


def space_freed(vault: Vault) -> None:
    """Arm the notice again after copies were deleted.

    Called at once, because space may fill up before the next check.
    """
    settings = read_settings(vault)
    stored = _stored(vault)
    if stored is None or usage(vault).free_bytes < settings.notify_below:
        return
    now = now_ms()
    try:
        if _may_arm(vault, stored.value, settings, now):
            _move(vault, stored.version, Notice(number=stored.value.number), now)
    except configuration.Conflict:
        pass  # Another process is changing the notice.


def _stored(vault: Vault) -> configuration.Stored[Notice] | None:
    """Read the notice's state. If it does not verify, start anew: it is unsigned, and holds nothing else of value."""
    try:
        return configuration.read(vault, NAME, Notice)
    except TamperedError:
        configuration.reset(vault, NAME, Notice(), action="free space notification reset", detail="it was damaged")
        return configuration.read(vault, NAME, Notice)


def _may_arm(vault: Vault, notice: Notice, settings: Settings, now: int) -> bool:
    """Return True if the notice may be armed again: after a failed attempt, a change of limits, or a deletion."""
    if notice.phase is Phase.ARMED:
        return notice.attempts > 0
    if notice.phase is not Phase.TOLD and now < notice.until:
        return False
    if (notice.max_size, notice.notify_below) != (settings.max_size, settings.notify_below):
        return True
    return vault.freed_since(notice.tombstone) or vault.bin.newest_row() > notice.bin_row


def _move(vault: Vault, version: int, notice: Notice, now: int, action: str = "", detail: str = "") -> int:
    """Write the next state over `version`; returns the new version. Raises Conflict if another process was faster."""
    return configuration.write(vault, NAME, notice, expected=version, action=action, detail=detail, now=now)
