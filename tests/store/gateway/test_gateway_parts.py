"""Small parts of the gateway: log, counters, service manager, outages, live configuration."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from store.authority import configuration
from store.authority.audit import events
from store.authority.settings import Settings, Unavailable, read_settings
from store.enrolment.enrolment import enroll, open_with_credentials
from store.gateway import log as gateway_log
from store.gateway import systemd
from store.gateway.log import say
from store.gateway.policy import ENROLMENT, LivePolicy
from store.gateway.recovery import Recovery
from store.gateway.seen import SeenVersions
from store.intake.unavailable import REJECTED, TEMPORARY, Outage, answer, compose, send_to_administrator
from store.judging.rules.address_lists import AddressLists, write_lists
from store.judging.rules.rules import Rule, read_rules, write_rules
from store.opening.opening import create_store
from store.space.changing_settings import change_settings
from store.terms.errors import StoreUnavailable
from store.terms.records import CopyRecord
from store.vault.vault import Vault
from tests import small_disk
from tests.conftest import PASSPHRASE
from tests.store.mail.smtp_server import ScriptedServer

ROOT = Path(__file__).resolve().parents[3]
SETTINGS = Settings(relay="smtp://127.0.0.1:9", administrator="admin@corp.example")


@pytest.fixture
def gateway(any_vault: Vault, tmp_path: Path) -> Iterator[Vault]:
    enroll(any_vault, "mx1", tmp_path / "credentials")
    opened = open_with_credentials(any_vault.location, tmp_path / "credentials")
    yield opened
    opened.close()


@pytest.fixture
def log() -> Iterator[Callable[[str], list[str]]]:
    """Return a function that starts the log in a form, and returns its lines when called again."""
    stream = io.StringIO()
    root = logging.getLogger()
    level = root.level

    def lines(form: str = "") -> list[str]:
        if form:
            gateway_log.start(form, "info", stream)
        return stream.getvalue().splitlines()

    yield lines
    for handler in list(root.handlers):
        if getattr(handler, "of_gateway", False):
            root.removeHandler(handler)
    root.setLevel(level)
    logging.getLogger(gateway_log.NAME).setLevel(logging.NOTSET)


def test_an_event_is_one_line_in_either_form(log: Callable[..., list[str]]) -> None:
    log("json")
    say("message", queue_id="4x", copy=None, why="", size=7)
    entry = json.loads(log()[-1])
    assert entry.pop("time").endswith("Z")
    assert entry == {"level": "info", "event": "message", "queue_id": "4x", "size": 7}
    log("text")
    say("a line\nand more", level=30, why='he said "x" = y')
    assert log()[-1].endswith('level=warning event="a line\\nand more" why="he said \\"x\\" = y"')
    say("hidden", level=10)
    assert "hidden" not in log()[-1]


def test_words_that_may_quote_a_message_are_not_logged(log: Callable[..., list[str]]) -> None:
    log("json")
    try:
        raise ValueError("Subject: secret")
    except ValueError as error:
        say("a copy could not be placed", error=error)
    assert json.loads(log()[-1])["error"] == "ValueError"
    assert json.loads(log()[-1])["where"].startswith("test_gateway_parts.py:")
    try:
        raise StoreUnavailable("The disk is full.")
    except StoreUnavailable as error:
        say("a copy could not be placed", error=error)
    assert json.loads(log()[-1])["why"] == "The disk is full."
    logging.getLogger("asyncio").error("Task exception: Subject: secret")
    assert json.loads(log()[-1])["event"] == "asyncio reported something"
    assert "secret" not in "".join(log())


def test_the_gateway_loads_no_screen_no_table_and_no_metrics() -> None:
    code = "import store.gateway.daemon, sys; print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, cwd=ROOT, check=True
    )
    extras = {"polars", "textual", "rich", "selectolax", "prometheus_client", "uvloop"}
    assert not set(done.stdout.split()) & extras


def test_the_service_manager_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    assert not systemd.notify("READY=1")
    for address in (str(tmp_path / "n"), f"\0mailhold-test-{os.getpid()}"):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.bind(address)
            monkeypatch.setenv("NOTIFY_SOCKET", address.replace("\0", "@"))
            assert systemd.notify("READY=1", "STATUS=x")
            assert sock.recv(100) == b"READY=1\nSTATUS=x"
            assert systemd.reloading()
            assert sock.recv(100).startswith(b"RELOADING=1\nMONOTONIC_USEC=")
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "nobody"))
    assert not systemd.notify("READY=1")


def test_how_often_a_watchdog_wants_to_hear(monkeypatch: pytest.MonkeyPatch) -> None:
    for usec, pid, seconds in (
        ("3000000", "", 3.0),
        ("3000000", str(os.getpid()), 3.0),
        ("3000000", "1", 0.0),
        ("x", "", 0.0),
        ("", "", 0.0),
    ):
        monkeypatch.setenv("WATCHDOG_USEC", usec)
        monkeypatch.setenv("WATCHDOG_PID", pid) if pid else monkeypatch.delenv("WATCHDOG_PID", raising=False)
        assert systemd.watchdog_seconds() == seconds


def test_the_setting_says_what_the_client_is_told() -> None:
    assert answer(Unavailable.PROCESS) is None
    assert answer(Unavailable.TEMPORARY_FAIL) is TEMPORARY and TEMPORARY.code == 451
    assert answer(Unavailable.REJECT) is REJECTED and REJECTED.code == 554


async def test_the_administrator_is_told_once_an_outage() -> None:
    sent: list[bytes] = []
    said: list[str] = []
    works, now = False, 1000.0

    async def send(_settings: Settings, message: bytes) -> bool:
        sent.append(message)
        return works

    outage = Outage(lambda event, **_fields: said.append(event), send, again=0.01, clock=lambda: now)
    outage.failed("The disk is full.", Settings())
    await asyncio.sleep(0.01)
    assert sent == []  # nobody to notify
    outage.failed("The disk is full.", SETTINGS)
    while len(sent) < 2:
        await asyncio.sleep(0.001)
    works = True
    while "administrator told" not in said:
        await asyncio.sleep(0.001)
    count = len(sent)
    for _ in range(5):
        outage.failed("The disk is full.", SETTINGS)
        outage.succeeded()
        now += 200
        await asyncio.sleep(0)
    assert len(sent) == count
    now += 301
    outage.failed("The disk is full.", SETTINGS)
    while len(sent) == count:
        await asyncio.sleep(0.001)
    assert said.count("backup available again") == 5
    await outage.stop()


async def test_an_outage_is_over_once_backup_was_well_for_long_enough_not_once_it_failed_long_ago() -> None:
    now, said, recorded = 0.0, list[str](), list[str]()
    outage = Outage(
        lambda event, **_fields: said.append(event),
        event=lambda action, _detail: recorded.append(action),
        clock=lambda: now,
    )
    unready = Settings()  # no notification by mail
    outage.failed("The disk is full.", unready)
    outage.dealt_with("deleted")
    now = 1000.0  # The next message that needs a copy gets one; the one after that does not.
    outage.succeeded()
    now = 1001.0
    outage.failed("The disk is full.", unready)
    assert recorded == ["backup unavailable", "backup available"]
    assert outage.counts == {"deleted": 1}
    outage.succeeded()
    now += 301
    outage.failed("The disk is full.", unready)
    assert recorded[2:] == ["backup available", "backup unavailable"] and not outage.counts
    await outage.stop()


async def test_backup_is_available_again_without_a_copy_once_the_store_can_be_written_to(
    gateway: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, said = 0.0, list[str]()
    outage = Outage(lambda event, **_fields: said.append(event), clock=lambda: now)
    recovery = Recovery(gateway, outage)

    async def look() -> int:
        await asyncio.to_thread(recovery.look)
        await asyncio.sleep(0)
        return said.count("backup available again")

    def refuse(*_: object) -> None:
        raise StoreUnavailable("The disk is full.")

    assert await look() == 0 and not said
    outage.failed("The disk is full.", Settings())
    now += 29
    assert await look() == 0  # It failed just now.
    now += 2
    for part, name in ((gateway.room, "admit"), (gateway, "require_there")):
        with monkeypatch.context() as failing:
            failing.setattr(part, name, refuse)
            assert await look() == 0
    assert await look() == 1 and not outage.why
    outage.failed("The disk is full.", Settings())
    now += 31
    with outage_during(recovery, outage):
        assert await look() == 1  # A copy failed while the store was tried.
    await outage.stop()


@contextmanager
def outage_during(recovery: Recovery, outage: Outage) -> Iterator[None]:
    """Let a copy fail between the try and its result."""
    told = outage.recovered
    outage.recovered = lambda: (outage.failed("The disk is full.", Settings()), told())[1]  # type: ignore[method-assign]
    yield
    outage.recovered = told  # type: ignore[method-assign]


@pytest.mark.integration
async def test_a_store_that_cannot_be_written_to_is_not_available() -> None:
    """The try itself has to write: SQLite leaves out a write that changes nothing."""
    with small_disk.small_disk(12) as disk:
        vault, _recovery = create_store(str(disk / "mail.store"), passphrase=PASSPHRASE)
        enroll(vault, "mx1", disk / "credentials")
        with closing(open_with_credentials(vault.location, disk / "credentials")) as opened:
            vault.close()
            now = 0.0
            outage = Outage(lambda _event, **_fields: None, clock=lambda: now)
            recovery = Recovery(opened, outage)
            outage.failed("The disk fails.", Settings())
            now = 31.0
            opened.room.admit = lambda _size: None  # type: ignore[method-assign]
            small_disk.fill(disk)
            for number in range(200):  # also the space in the log
                with suppress(StoreUnavailable):
                    opened.put(bytes(60_000), CopyRecord(subject=str(number)))
            await asyncio.to_thread(recovery.look)
            await asyncio.sleep(0)
            assert outage.why
            await outage.stop()


async def test_an_outage_that_goes_on_after_a_copy_was_placed_is_an_event_again_but_not_each_failure() -> None:
    now, recorded = 0.0, list[str]()
    outage = Outage(
        lambda _event, **_fields: None, event=lambda action, _detail: recorded.append(action), clock=lambda: now
    )
    for _ in range(20):  # It fails and works in turn.
        outage.failed("The disk is full.", Settings())
        now += 5
        outage.succeeded()
        now += 5
    assert recorded == ["backup unavailable", *["backup available"] * 20]
    for _ in range(20):
        outage.failed("The disk is full.", Settings())
        now += 5
    assert recorded[21:] == ["backup unavailable"]
    outage.succeeded()
    assert recorded[22:] == ["backup available"]
    await outage.stop()


async def test_the_administrator_is_told_when_backup_is_back_and_what_went_without_a_copy() -> None:
    sent: list[bytes] = []
    said: list[tuple[str, dict[str, Any]]] = []
    recorded: list[tuple[str, str]] = []

    async def send(_settings: Settings, message: bytes) -> bool:
        sent.append(message)
        return True

    outage = Outage(
        lambda event, **fields: said.append((event, fields)),
        send,
        event=lambda action, detail: recorded.append((action, detail)),
        peace=0.02,
        clock=lambda: 0.0,  # It is one outage, however long it takes.
    )
    for _ in range(30):
        outage.failed("The disk is full.", SETTINGS)
        outage.dealt_with("deleted")
        await asyncio.sleep(0)
    outage.failed("The disk is full.", SETTINGS)
    outage.dealt_with("temporary-fail")
    while not sent:
        await asyncio.sleep(0.001)
    outage.succeeded()
    assert said[-1] == ("backup available again", {"without_copy": "deleted: 30, temporary-fail: 1"})
    [begun, (action, detail)] = recorded
    assert begun == ("backup unavailable", "The disk is full.")
    assert action == "backup available"
    assert detail.startswith("unavailable since ")
    assert detail.endswith("The disk is full. Without a copy: deleted: 30, temporary-fail: 1.")
    outage.failed("The disk is full.", SETTINGS)  # Not over yet: it is the same outage.
    outage.dealt_with("deleted")
    outage.succeeded()
    async with asyncio.timeout(20):
        while len(sent) < 2:
            await asyncio.sleep(0.001)
    text = sent[1].decode().replace("\r\n", "\n")
    assert "is available again" in text
    assert "    deleted                                    31\n" in text
    assert "mailhold settings set if_unavailable=temporary-fail" in text
    async with asyncio.timeout(20):
        while outage.counts:
            await asyncio.sleep(0.001)
    assert len(sent) == 2
    assert [action for action, _ in recorded] == ["backup unavailable", "backup available", "backup available"]
    await outage.stop()


async def test_the_mail_goes_through_the_relay() -> None:
    async with ScriptedServer() as server:
        settings = Settings(relay=f"smtp://127.0.0.1:{server.port}", administrator="admin@corp.example")
        message = compose(settings, "The disk is full.", host="mx1", counts={"deleted": 3})
        assert await send_to_administrator(settings, message)
        [taken] = server.taken
        assert taken.rcpt == ["admin@corp.example"] and b"The disk is full." in taken.content
        assert b"    deleted                                     3" in taken.content
    assert not await send_to_administrator(settings, message)
    assert await send_to_administrator(Settings(relay="nonsense", administrator="a@b.example"), message)


def test_changes_are_taken_up_and_forgeries_refused(any_vault: Vault, gateway: Vault, sql: Callable[..., Any]) -> None:
    said: list[tuple[str, Any]] = []
    live = LivePolicy(lambda event, **fields: said.append((event, fields.get("name"))))
    assert not live.policy.complete
    assert live.refresh(gateway) and live.policy.complete
    assert live.policy.settings == Settings()
    change_settings(any_vault, SETTINGS)
    write_lists(any_vault, AddressLists(black=("spam.example",)))
    write_rules(any_vault, [Rule(name="One")])
    assert live.refresh(gateway)
    assert live.policy.settings == read_settings(any_vault)
    assert live.policy.rules == read_rules(any_vault)
    assert not live.refresh(gateway)
    before = live.policy
    for table, where, name in (
        ("configuration", "name = 'settings'", "settings"),
        ("configuration", "name = 'rules'", "rules"),
        ("configuration", "name = 'address-lists'", "address-lists"),
        ("gateway", "id = 2", ENROLMENT),
        ("store", "id = 1", ENROLMENT),
    ):
        [(signature,)] = sql(any_vault, f"SELECT signature FROM {table} WHERE {where}")
        sql(any_vault, f"UPDATE {table} SET signature = ? WHERE {where}", bytes(64))
        said.clear()
        live.refresh(gateway)
        live.refresh(gateway)
        assert said == [("configuration refused", name)]
        assert list(live.refused) == [name] and live.policy == before
        sql(any_vault, f"UPDATE {table} SET signature = ? WHERE {where}", signature)
        live.refresh(gateway)
        assert live.refused == {} and said[-1] == ("configuration verifies again", name)
    sql(any_vault, "DELETE FROM configuration WHERE name = 'rules'")
    live.refresh(gateway)
    assert list(live.refused) == ["rules"] and live.policy == before


@pytest.mark.parametrize("again", [False, True])
def test_what_is_changed_while_it_is_read_and_put_back_is_read_again(
    any_vault: Vault, gateway: Vault, sql: Callable[..., Any], again: bool
) -> None:
    """The enrolment is forged between the look for changes and the read; it is right before and after."""
    [(signature,)] = sql(any_vault, "SELECT signature FROM gateway WHERE id = 2")
    said: list[str] = []

    def set_signature(value: bytes) -> None:
        sql(any_vault, "UPDATE gateway SET signature = ? WHERE id = 2", value)

    def say(event: str, **fields: Any) -> None:
        said.append(event)
        if event == "configuration taken up" and fields["name"] == "rules" and len(said) > 3:
            set_signature(bytes(64))
        if event == "configuration refused" and again:  # It is right again before the look ends.
            set_signature(signature)

    live = LivePolicy(say)
    live.refresh(gateway)
    assert len(said) == 3
    write_rules(any_vault, [Rule(name="One")])
    live.refresh(gateway)
    assert list(live.refused) == [ENROLMENT]
    set_signature(signature)
    live.refresh(gateway)
    assert live.refused == {} and said[-1] == "configuration verifies again"


@pytest.mark.parametrize("way", ["removed", "older"])
def test_what_was_put_back_while_the_gateway_was_stopped_is_refused(
    any_vault: Vault, gateway: Vault, sql: Callable[..., Any], tmp_path: Path, way: str
) -> None:
    columns = "name, version, changed_at, sealed, signature"
    write_rules(any_vault, [Rule(name="One")])
    [older] = sql(any_vault, f"SELECT {columns} FROM configuration WHERE name = 'rules'")
    write_rules(any_vault, [Rule(name="Two")])
    said: list[str] = []

    def started() -> LivePolicy:
        live = LivePolicy(lambda event, **_fields: said.append(event), SeenVersions(tmp_path / "seen"))
        configuration._seen.pop(gateway, None)  # Another process would not know it.
        live.refresh(gateway)
        return live

    assert started().refused == {}
    assert (tmp_path / "seen").stat().st_mode & 0o777 == 0o600
    sql(any_vault, "DELETE FROM configuration WHERE name = 'rules'")
    if way == "older":
        sql(any_vault, f"INSERT INTO configuration ({columns}) VALUES (?, ?, ?, ?, ?)", *older)
    live = started()
    assert list(live.refused) == ["rules"]
    assert live.policy.rules is None and not live.policy.complete
    (tmp_path / "seen").write_bytes(b"no JSON")
    assert started().refused == {}
    assert "configuration versions not kept" not in said


def test_where_versions_cannot_be_kept_the_log_says_so_once(any_vault: Vault, gateway: Vault, tmp_path: Path) -> None:
    said: list[str] = []
    live = LivePolicy(lambda event, **_fields: said.append(event), SeenVersions(tmp_path / "no folder" / "seen"))
    live.refresh(gateway)
    change_settings(any_vault, SETTINGS)
    live.refresh(gateway)
    assert said.count("configuration versions not kept") == 1


def test_nothing_is_believed_before_it_verified(any_vault: Vault, gateway: Vault, sql: Callable[..., Any]) -> None:
    change_settings(any_vault, SETTINGS)
    sql(any_vault, "UPDATE configuration SET signature = ?", bytes(64))
    live = LivePolicy(lambda *_args, **_fields: None)
    live.refresh(gateway)
    assert live.policy.settings is None and not live.policy.complete
    assert events(any_vault)[0].action == "settings changed"
