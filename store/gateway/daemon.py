"""The gateway: one asyncio process beside an MTA that judges mail, keeps copies and delivers released messages.

It opens the store with credentials that can write but not read. Blocking work runs in threads; copies that several
sessions store at the same time share a commit. If the store becomes unavailable, the gateway answers as the setting
says, and reopens the store by itself. On a stop it accepts no new message, finishes those in progress, and closes the
epoch.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from store.authority.audit import record_event
from store.authority.keeper import SIGN_SECONDS
from store.delivery.administrator import watch
from store.delivery.worker import DeliveryWorker
from store.enrolment.enrolled import BEAT_SECONDS, beat
from store.enrolment.enrolment import open_with_credentials
from store.gateway import systemd
from store.gateway.arriving import arrive, say_alive
from store.gateway.config import AT_START, Config, read_config, scanners_of
from store.gateway.engine_watch import EngineWatch
from store.gateway.event_loop import settle
from store.gateway.event_writer import EventWriter
from store.gateway.handling import Intake
from store.gateway.knowing import FLUSH_SECONDS
from store.gateway.listeners import Listeners
from store.gateway.log import say, start
from store.gateway.metrics import Metrics
from store.gateway.metrics_server import ServedMetrics
from store.gateway.policy import LivePolicy
from store.gateway.proposal import PROPOSAL_SECONDS, Proposal
from store.gateway.put_back import PutBack
from store.gateway.recovery import RECOVERY_SECONDS, Recovery
from store.gateway.replaced import identity, until_replaced
from store.gateway.seen import SeenVersions, seen_path
from store.intake.unavailable import Outage
from store.mail.endpoint import parse_address
from store.terms.errors import GatewayRevoked, MailholdError, StoreUnavailable
from store.terms.gateway_events import METRICS_NOT_SERVED, METRICS_SERVED, STARTED, STOPPED, TOML_READ, TOML_REFUSED

if TYPE_CHECKING:
    from store.vault.vault import Vault

#: Seconds: between checks of the configuration, between tries to open the store, and max wait for messages on a stop.
LOOK, OPEN_AGAIN, GRACE = 0.3, 1.0, 15.0
#: Seconds between records of which clients have their answers; placing a copy records them too.
ANSWERS_SECONDS = 1.0
#: Threads that use the store: the maximum number of copies that share a commit.
THREADS = 16
#: Threads that judge messages and inspect attachments.
THINKERS = 4


class Gateway:
    """A gateway. On SIGHUP it reads its configuration again from `path`."""

    def __init__(self, config: Config, *, path: Path | None = None) -> None:
        self.config = config
        self.metrics = Metrics()
        self._seen = seen_path(Path(config.store.credentials))
        self.live = LivePolicy(say, SeenVersions(self._seen))
        self._events = EventWriter(lambda: self._vault)
        self.outage = Outage(say, event=self._events.add)
        self.stopping = asyncio.Event()
        self.listeners = Listeners()
        self._path = path
        self._vault: Vault | None = None
        self._file: tuple[int, int] | None = None
        self._pool = ThreadPoolExecutor(THREADS, "store")
        self._thinkers = ThreadPoolExecutor(THINKERS, "judge")
        self._keeper = ThreadPoolExecutor(1, "upkeep")
        self._worker: DeliveryWorker | None = None
        self._served: ServedMetrics | None = None
        self._started = False  # whether it listens; if another process of the gateway does, that one has not stopped
        self._reload: asyncio.Task[None] | None = None
        self._refused = ""  # why mailhold.toml was refused when it was read again
        self._closing: set[asyncio.Task[None]] = set()
        self._scanners = scanners_of(config.engines)
        self.intake = Intake(
            vault=lambda: self._vault,
            live=self.live,
            scanners=self._scanners,
            pool=self._pool,
            thinkers=self._thinkers,
            metrics=self.metrics,
            outage=self.outage,
            server=config.authentication.server,
        )
        self.metrics.labelled["engine_up"] = (
            "1 while the scanner answers",
            "engine",
            lambda: {scanner.name: float(scanner.state.up) for scanner in self._scanners},
        )
        self.metrics.gauges |= {
            "backup_available": (
                "1 while copies can be placed",
                lambda: float(not self.outage.why and self._vault is not None),
            ),
            "sessions": ("Clients connected", lambda: float(self.listeners.sessions)),
            "configuration_refused": ("Refused parts of the configuration", lambda: float(len(self.live.refused))),
            "store_older": (
                "1 while the store is older than what this gateway saw, so that nothing is sent",
                lambda: float(self._vault is not None and self._vault.witness.problem != ""),
            ),
            "delivery_problem": (
                "1 while something blocks deliveries",
                lambda: float(bool(self._worker is not None and self._worker.problem)),
            ),
        }

    async def run(self) -> None:
        """Serve until SIGTERM or SIGINT. Raises MailholdError if it cannot start."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stopping.set)
        loop.add_signal_handler(signal.SIGHUP, self._begin_reload)
        tasks: list[asyncio.Task[Any]] = [asyncio.create_task(self._watchdog())]
        store: asyncio.Task[None] | None = None
        try:
            await self._open_first()
            if self.stopping.is_set():
                return
            await self.listeners.start(self.config, self.intake)
            self._started = True
            await self._record(STARTED)
            store = asyncio.create_task(self._serve_store())
            tasks.append(asyncio.create_task(self._engine_watch().run()))
            if self.config.metrics.listen:
                address = parse_address(self.config.metrics.listen)
                self._served = ServedMetrics(self.metrics, address, say, self._metrics_changed)
                await self._served.start()
            systemd.notify("READY=1", self._status())
            listening = ", ".join(address for _, address in self.listeners.listening)
            say("gateway started", pid=os.getpid(), listening=listening, loop=type(loop).__module__.partition(".")[0])
            settle()
            tasks.append(stopped := asyncio.create_task(self.stopping.wait()))
            await asyncio.wait([stopped, store], return_when=asyncio.FIRST_COMPLETED)
            if store.done():
                store.result()
        except Exception as error:
            say("gateway failed", level=logging.ERROR, error=error)
            raise
        finally:
            systemd.notify("STOPPING=1")
            self.stopping.set()
            await self._end(tasks, store)
            say("gateway stopped")

    async def _end(self, tasks: list[asyncio.Task[Any]], store: asyncio.Task[None] | None) -> None:
        # Messages in progress need the store until they are answered.
        await asyncio.gather(*(server.stop(GRACE) for server in self.listeners.servers))
        if store is not None:
            store.cancel()
            await asyncio.gather(store, return_exceptions=True)
        await self._let_go()
        await self.outage.stop()
        for task in (*tasks, *self._closing):
            task.cancel()
        await asyncio.gather(*tasks, *self._closing, return_exceptions=True)
        for scanner in self._scanners:
            await scanner.close()
        if self._served is not None:
            await self._served.stop()
        for pool in (self._pool, self._thinkers, self._keeper):
            pool.shutdown(wait=False, cancel_futures=True)

    # --- The store ---------------------------------------------------------------------------------------------------

    async def _open_first(self) -> None:
        """Open the store. If the database is unavailable, wait for it; meanwhile the MTA holds mail back."""
        said = ""
        while not self.stopping.is_set():
            try:
                self._vault = await self._aside(self._open)
                await self._aside(lambda: self._look(self._open_vault()))
                await self._record(STARTED)
                return
            except StoreUnavailable as error:
                await self._let_go()
                if str(error) != said:
                    said = str(error)
                    say("waiting for the store", level=logging.ERROR, why=said)
                systemd.notify(f"STATUS=Waiting for the store: {said}", "EXTEND_TIMEOUT_USEC=30000000")
                await self._pause(OPEN_AGAIN)

    def _open(self) -> Vault:
        section = self.config.store
        self._file = identity(section.location)
        return open_with_credentials(section.location, Path(section.credentials), self._seen)

    def _look(self, vault: Vault) -> None:
        """Take up the configuration, and record in the trail which parts were refused."""
        before = dict(self.live.refused)
        self.live.refresh(vault)
        for name, why in self.live.refused.items():
            if before.get(name) != why:
                with suppress(MailholdError):
                    record_event(vault, "configuration refused", operator="", detail=f"{name}: {why}")

    def _open_vault(self) -> Vault:
        if self._vault is None:
            raise StoreUnavailable("The store is not open.")
        return self._vault

    async def _serve_store(self) -> None:
        """Work with the store until its file is replaced by another, then reopen it, and so on."""
        while True:
            work = asyncio.create_task(self._work())
            replaced = asyncio.create_task(until_replaced(self.config.store.location, self._file))
            try:
                await asyncio.wait([work, replaced], return_when=asyncio.FIRST_COMPLETED)
                if work.done():
                    work.result()
            finally:
                for task in (replaced, work):
                    task.cancel()
                await asyncio.gather(work, replaced, return_exceptions=True)
            say("opening the store again", level=logging.WARNING, why="it was replaced")
            await self._let_go()
            await self._open_first()
            self.outage.succeeded()

    async def _record(self, action: str, vault: Vault | None = None) -> None:
        """Write an event of a started gateway for operators, if the store accepts it."""
        opened = vault or self._open_vault()
        name = opened.keys.gateway.name if opened.keys.gateway else ""
        with suppress(MailholdError):
            await self._aside(lambda: self._started and record_event(opened, action, operator="", detail=name))

    async def _let_go(self) -> None:
        vault, self._vault = self._vault, None
        if vault is not None:
            await self._record(STOPPED, vault)
            with suppress(MailholdError):
                await self._aside(lambda: self.intake.knowing.flush(vault))
            with suppress(MailholdError):
                if self._started:
                    await self._aside(lambda: beat(vault, alive=False))
            await self._aside(vault.close)

    def _cut_off(self) -> None:
        """Close a store that has revoked this gateway, without closing its epoch: nobody could read what it would write
        now.
        """
        vault, self._vault = self._vault, None
        if vault is not None:
            with vault.writing():
                vault.epoch_writer.drop()
            vault.close()

    async def _work(self) -> None:
        """Run the background jobs while the store is open."""
        vault = self._open_vault()
        here = await self._aside(lambda: arrive(vault, Path(self.config.store.credentials)))
        suggest = Proposal(self.intake.domains, self.live, say).tell
        jobs: list[Coroutine[Any, Any, None]] = [
            self._again(LOOK, lambda: self._look(vault), "the configuration cannot be read"),
            watch(vault),
            self._again(ANSWERS_SECONDS, vault.write_answers, "answers cannot be recorded"),
            self._again(LOOK, PutBack(vault, say, self._events.add).look, "events cannot be written"),
            self._again(LOOK, self._events.flush, "events cannot be written"),
            self._again(RECOVERY_SECONDS, Recovery(vault, self.outage).look, "the store cannot be tried again"),
            self._again(SIGN_SECONDS, vault.witness.beat, "the head cannot be signed"),
            self._again(FLUSH_SECONDS, self.intake.knowing.flush, "known senders cannot be counted"),
            self._again(PROPOSAL_SECONDS, suggest, "local domains cannot be suggested"),
        ]
        stop = asyncio.Event()
        if self.config.delivery.enabled:
            # Releases go to gateways with a fresh heartbeat, so send heartbeats only if delivery is enabled.
            jobs.append(self._again(BEAT_SECONDS, lambda: say_alive(vault, here), "the heartbeat cannot be written"))
            connections = self.config.delivery.connections
            spent = self._seen.with_suffix(".spent")
            self._worker = DeliveryWorker(
                vault, owner="gateway", connections=connections, lease_owner=here.owner, spent=spent, say=say
            )
            delivery = asyncio.create_task(self._worker.run(stop))
        else:
            delivery = asyncio.create_task(_until(stop))
        tasks = [asyncio.create_task(job) for job in jobs]
        try:
            await asyncio.wait([delivery, *tasks], return_when=asyncio.FIRST_COMPLETED)
            for task in (delivery, *tasks):
                if task.done():
                    task.result()
        finally:
            stop.set()
            for task in tasks:
                task.cancel()
            await asyncio.shield(asyncio.gather(delivery, *tasks, return_exceptions=True))
            self._worker = None
            here.end()

    async def _again(self, seconds: float, job: Callable[[], object], what: str) -> None:
        """Repeat a job every `seconds`. A failure is logged as `what`; the same failure again is not."""
        problem = ""
        while True:
            try:
                await self._aside(job)
                problem = ""
            except GatewayRevoked:
                await self._aside(self._cut_off)
                raise
            except MailholdError as error:
                if str(error) != problem:
                    problem = str(error)
                    say(what, level=logging.WARNING, why=problem)
            await asyncio.sleep(seconds)

    # --- Reloading ---------------------------------------------------------------------------------------------------

    def _begin_reload(self) -> None:
        if self._reload is None or self._reload.done():
            self._reload = asyncio.get_running_loop().create_task(self.reload())

    async def reload(self) -> None:
        """Read the configuration again. Scanners and log change at once, the rest at a restart. An invalid file is
        refused.
        """
        systemd.reloading()
        refused = ""
        try:
            if self._path is not None:
                await self._take_up(await asyncio.to_thread(read_config, self._path))
        except MailholdError as error:
            refused = str(error)
            say("mailhold.toml refused, what was read before stays in force", level=logging.ERROR, why=refused)
        if refused != self._refused:
            self._refused = refused
            self._events.add(TOML_REFUSED if refused else TOML_READ, refused)
        systemd.notify("READY=1", self._status())

    async def _take_up(self, config: Config) -> None:
        scanners, before = scanners_of(config.engines), self._scanners
        old, self.config = self.config, config
        start(config.log.format, config.log.level)
        self.intake.scanners = self._scanners = scanners
        names = [name for name in AT_START if getattr(old, name) != getattr(config, name)]
        self.config = Config(
            **{name: getattr(old, name) for name in AT_START},
            engines=config.engines,
            log=config.log,
        )
        say("mailhold.toml read again", restart_needed_for=", ".join(names))
        for scanner in before:
            closing = asyncio.get_running_loop().create_task(_close_later(scanner.close))
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)

    def _engine_watch(self) -> EngineWatch:
        return EngineWatch(
            lambda: self._scanners,
            self.live,
            self.metrics,
            say=say,
            event=self._events.add,
            tell_after=lambda: self.config.engines.tell_after,
        )

    def _metrics_changed(self, problem: str) -> None:
        self._events.add(METRICS_NOT_SERVED if problem else METRICS_SERVED, problem)
        systemd.notify(self._status())

    def _status(self) -> str:
        problem = self._served.problem if self._served is not None else ""
        metrics = f"; metrics are not served: {problem}" if problem else ""
        return "STATUS=Judging mail" + metrics + (f"; refused: {self._refused}" if self._refused else "")

    async def _watchdog(self) -> None:
        every = systemd.watchdog_seconds() / 3
        while every:
            systemd.notify("WATCHDOG=1")
            await asyncio.sleep(every)

    async def _pause(self, seconds: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self.stopping.wait(), seconds)

    def _aside(self, work: Callable[[], Any]) -> asyncio.Future[Any]:
        return asyncio.get_running_loop().run_in_executor(self._keeper, work)


async def _until(stop: asyncio.Event) -> None:
    await stop.wait()


async def _close_later(close: Callable[[], Awaitable[None]]) -> None:
    """Close a scanner's connections after a minute, when no message waits for its answer any more."""
    try:
        await asyncio.sleep(60)
    finally:
        await close()
