"""Watch the scanners. If one is down, this is logged at once; if it stays down, the administrator gets a mail.

    up -> down     the log and the audit trail, at once
       -> mailed   after `tell_after` seconds down, so that a restart of the scanner causes no mail
       -> up       the log at once; when it has been up for a while, the audit trail, and a mail if one said it is down

So a scanner that fails repeatedly is one outage, from its first failure to its last.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from store.authority.settings import Settings
from store.gateway.metrics import Metrics
from store.gateway.policy import LivePolicy
from store.helpers.clock import now_ms
from store.intake.unavailable import AGAIN, counts_table, send_to_administrator
from store.judging.engines.states import RemoteScanner
from store.judging.rules.model import IfDown
from store.mail import administrator
from store.mail.client import local_host_name
from store.terms.gateway_events import ENGINE_BACK, ENGINE_DOWN
from store.terms.verdicts import Engine

#: Seconds between checks, and seconds that a scanner must be up to end an outage (at most `tell_after`).
LOOK, STEADY = 1.0, 10.0
#: Max rule numbers named in a text.
_SHOWN = 20
#: The ends of the mails' subjects.
DOWN, BACK = "does not answer", "answers again"
_DONE = {IfDown.TEMPORARY_FAIL: "deferred", IfDown.GO_ON: "passed on unscanned"}

Send = Callable[[Settings, bytes], Awaitable[bool]]
Counts = Mapping[tuple[str, ...], int]


@dataclass(eq=False)
class _Outage:
    """The outage of a scanner, going on or just over.

    `since` and `back` are Unix ms; the other times seconds of the clock. `unscanned` and `without_copy` are the counts
    just before it began; `mailed` is the last mail that was settled.
    """

    scanner: RemoteScanner
    why: str
    since: int
    began: float
    unscanned: Counts
    without_copy: Counts
    back: int = 0
    back_at: float = 0.0
    over: bool = False
    mailed: str = ""
    tried: tuple[str, float] = ("", 0.0)
    sending: asyncio.Task[None] | None = None


class EngineWatch:
    """Watches `scanners()`. `event` writes into the audit trail (action, detail).

    `tell_after()` is the number of seconds down after which the administrator gets a mail. `send` sends it, and returns
    True if that is settled; else it is tried again after `again` seconds. `clock` returns seconds.
    """

    def __init__(
        self,
        scanners: Callable[[], Sequence[RemoteScanner]],
        live: LivePolicy,
        metrics: Metrics,
        *,
        say: Callable[..., None],
        event: Callable[[str, str], None],
        tell_after: Callable[[], float],
        send: Send = send_to_administrator,
        again: float = AGAIN,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._scanners, self._live, self._metrics = scanners, live, metrics
        self._say, self._event, self._send = say, event, send
        self._tell_after, self._again, self._clock = tell_after, again, clock
        self._outages: dict[RemoteScanner, _Outage] = {}
        # The counts at the last check: a message may fail before a check notices the outage.
        self._counts: tuple[Counts, Counts] = ({}, {})

    async def run(self) -> None:
        """Check repeatedly, until cancelled."""
        try:
            while True:
                try:
                    await self.look()
                except Exception as error:
                    self._say("the engines cannot be watched", level=logging.ERROR, error=error)
                await asyncio.sleep(LOOK)
        finally:
            for outage in self._outages.values():
                if outage.sending is not None:
                    outage.sending.cancel()

    async def look(self) -> None:
        """Ping silent scanners, and report what changed."""
        scanners = self._scanners()
        await asyncio.gather(*(scanner.look() for scanner in scanners))
        for gone in self._outages.keys() - set(scanners):
            del self._outages[gone]  # the configuration was reloaded without this scanner
        for scanner in scanners:
            outage = self._outages.get(scanner)
            if not scanner.state.up:
                self._is_down(scanner, outage)
            elif outage is not None:
                self._is_up(outage)
        self._counts = self._metrics.values("unscanned"), self._metrics.values("without_copy")

    # --- Changes of state --------------------------------------------------------------------------------------------

    def _is_down(self, scanner: RemoteScanner, outage: _Outage | None) -> None:
        state = scanner.state
        if outage is None or outage.over:
            outage = _Outage(scanner, _why(scanner), state.since, self._clock(), *self._counts)
            self._outages[scanner] = outage
            self._say_down(outage)
            self._event(ENGINE_DOWN, f"{_called(scanner)}: {outage.why}; {self._meanwhile(scanner)}")
        elif outage.back or outage.why != _why(scanner):
            outage.why, outage.back = _why(scanner), 0
            self._say_down(outage)
        if not outage.mailed and self._clock() - outage.began >= self._tell_after():
            self._mail(outage, DOWN)

    def _is_up(self, outage: _Outage) -> None:
        scanner = outage.scanner
        if not outage.back:
            outage.back, outage.back_at = now_ms(), self._clock()
            self._say("engine answers again", **_named(scanner), **self._in_short(outage))
        if self._clock() - outage.back_at < min(STEADY, self._tell_after()):
            return
        if not outage.over:
            outage.over = True
            short = ", ".join(f"{name.replace('_', ' ')}: {count}" for name, count in self._in_short(outage).items())
            self._event(ENGINE_BACK, f"{_called(scanner)}: it was down since {_utc(outage.since)}; {short}")
        long = outage.mailed or outage.back_at - outage.began >= self._tell_after()
        if not long or outage.mailed == BACK or self._administrator() is None:
            del self._outages[scanner]
        else:
            self._mail(outage, BACK)

    # --- Logging and mailing -----------------------------------------------------------------------------------------

    def _say_down(self, outage: _Outage) -> None:
        self._say(
            "engine down",
            level=logging.ERROR,
            **_named(outage.scanner),
            why=outage.why,
            messages=self._meanwhile(outage.scanner),
        )

    def _administrator(self) -> Settings | None:
        """Return the settings if they name an administrator and a relay."""
        settings = self._live.policy.settings
        return settings if settings is not None and settings.relay and settings.administrator else None

    def _mail(self, outage: _Outage, what: str) -> None:
        """Start to send a mail, unless one is being sent or was tried a moment ago."""
        settings, now = self._administrator(), self._clock()
        if settings is None or (outage.sending is not None and not outage.sending.done()):
            return
        if outage.tried[0] == what and now - outage.tried[1] < self._again:
            return
        outage.tried = (what, now)
        outage.sending = asyncio.get_running_loop().create_task(self._send_mail(outage, what, settings))

    async def _send_mail(self, outage: _Outage, what: str, settings: Settings) -> None:
        host = await local_host_name()
        text = self._down_text(outage, host) if what == DOWN else self._back_text(outage, host)
        now = now_ms()
        name = f"{host} {outage.scanner.name} {outage.since} {what}"
        message = administrator.compose(
            settings.administrator,
            f"{outage.scanner.name} on {host} {what}",
            text,
            message_id=f"engine-{hashlib.sha256(name.encode()).hexdigest()[:24]}@{host}",
            now=now,
        )
        if await self._send(settings, message):
            outage.mailed = what
            self._say("administrator told", what=f"{outage.scanner.name} {what}")
        else:
            self._say("administrator not told", level=logging.WARNING, what=f"{outage.scanner.name} {what}")

    def _down_text(self, outage: _Outage, host: str) -> str:
        scanner = outage.scanner
        return f"""\
The gateway on {host} gets no answer from {scanner.name}
({_labels(scanner)}) at {scanner.where}
since {_utc(outage.since)}:

    {outage.why}

Meanwhile, {self._meanwhile(scanner)}.

{self._counted(outage)}
This mail is sent once; another one follows when it answers again.
"""

    def _back_text(self, outage: _Outage, host: str) -> str:
        scanner = outage.scanner
        return f"""\
The gateway on {host} gets answers again from {scanner.name}
({_labels(scanner)}) at {scanner.where}.
It did not answer from {_utc(outage.since)} to {_utc(outage.back)}:

    {outage.why}

{self._counted(outage)}"""

    def _meanwhile(self, scanner: RemoteScanner) -> str:
        """Describe what happens to messages while the scanner is down."""
        others = [other for other in self._scanners() if other is not scanner and other.state.up]
        covered = {engine for other in others for engine in other.engines}
        engines = [engine for engine in scanner.main_engines if engine not in covered]
        if not engines:
            return f"another scanner does the work of {_labels(scanner)}"
        done: dict[IfDown, list[int]] = {}
        for rule in self._live.policy.rules or ():
            if rule.enabled and (rule.scanners is None or scanner.name in rule.scanners):
                waits = any(rule.down_for(engine) is IfDown.TEMPORARY_FAIL for engine in engines)
                done.setdefault(IfDown.TEMPORARY_FAIL if waits else IfDown.GO_ON, []).append(rule.id)
        if not done:
            return "no rule uses it"
        if len(done) == 1:
            return f"messages that it should scan are {_DONE[next(iter(done))]}"
        parts = (f"{_DONE[choice]} by rules {_numbers(ids)}" for choice, ids in sorted(done.items(), reverse=True))
        return f"messages that it should scan are {', '.join(parts)}"

    # --- Counting ----------------------------------------------------------------------------------------------------

    def _unscanned(self, outage: _Outage, engine: Engine) -> Counter[str]:
        """Count, by outcome, the messages that `engine` could not scan since the outage began."""
        found: Counter[str] = Counter()
        for (of, outcome), count in self._metrics.values("unscanned").items():
            if of == engine.value:
                found[outcome] += count - outage.unscanned.get((of, outcome), 0)
        return found

    def _without_copy(self, outage: _Outage) -> Counter[str]:
        now = self._metrics.values("without_copy")
        return Counter({outcome: count - outage.without_copy.get((outcome,), 0) for (outcome,), count in now.items()})

    def _in_short(self, outage: _Outage) -> dict[str, int]:
        unscanned = [self._unscanned(outage, engine) for engine in outage.scanner.main_engines]
        without = self._without_copy(outage)
        return {
            "seconds": round((outage.back - outage.since) / 1000),
            "passed_unscanned": max(each["accepted"] + each["attachment-deleted"] for each in unscanned),
            "told_to_try_again": max(each["temporary-fail"] for each in unscanned),
            "deleted_without_copy": without["deleted"] + without["attachment-deleted"],
        }

    def _counted(self, outage: _Outage) -> str:
        """Write, for a mail, what happened to messages since the outage began."""
        tables = [
            f"Messages that {engine.label} could not scan were\n\n{counts_table(self._unscanned(outage, engine))}\n"
            for engine in outage.scanner.main_engines
        ]
        tables.append(
            "In that time, messages that needed a copy in Backup and got none were\n\n"
            f"{counts_table(self._without_copy(outage))}\n"
        )
        return "\n".join(tables)


def _why(scanner: RemoteScanner) -> str:
    return scanner.state.why.removesuffix(f" ({scanner.where})")


def _called(scanner: RemoteScanner) -> str:
    return f"{scanner.name} at {scanner.where}"


def _labels(scanner: RemoteScanner) -> str:
    return " and ".join(engine.label for engine in scanner.main_engines)


def _named(scanner: RemoteScanner) -> dict[str, str]:
    """Return the log fields that name the scanner."""
    engines = ", ".join(engine.value for engine in scanner.main_engines)
    return {"scanner": scanner.name, "address": scanner.where, "engines": engines}


def _numbers(ids: Sequence[int]) -> str:
    return ", ".join(map(str, ids[:_SHOWN])) + (f" and {len(ids) - _SHOWN} more" if len(ids) > _SHOWN else "")


def _utc(ms: int) -> str:
    return f"{datetime.fromtimestamp(ms / 1000, UTC):%d %b %Y %H:%M} UTC"
