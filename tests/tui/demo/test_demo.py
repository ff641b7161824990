"""The demo around its mail: the receiver accepts and refuses, the store opens, only received mail is left behind."""

from __future__ import annotations

import contextlib
import os
import pty
import select
import signal
import smtplib
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from store.authority.audit import events
from store.authority.deleting import delete_copies
from store.authority.settings import read_settings
from store.delivery.queue import deliveries
from store.judging.rules.address_lists import read_lists
from store.judging.rules.rules import read_rules
from store.mail.outcome import State
from store.opening.opening import create_store
from store.space.limits import usage
from store.undoing.undoing import carry_out, next_plan
from store.vault.vault import Vault
from tui.commands.demo import run_demo
from tui.demo import demo
from tui.demo.demo import OPERATOR, fill_demo
from tui.demo.receiver import FULL, GONE, HOST, Receiver

NOW = 1_795_508_000_000
CONTENT = b"Subject: long\r\n\r\n" + b"x" * 50_000 + b"\r\n.dot\r\n\xff\xfe 8-bit\r\n"


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[Receiver]:
    started = Receiver(tmp_path / "received")
    started.start()
    yield started
    started.stop()


def test_the_receiver_keeps_what_it_got(receiver: Receiver) -> None:
    with smtplib.SMTP(HOST, receiver.port, timeout=10) as client:
        refused = client.sendmail("", ["a@example.org", FULL, GONE.upper(), "b@example.org"], CONTENT)
    assert {address.lower(): reply[0] for address, reply in refused.items()} == {FULL: 452, GONE: 550}
    (file,) = (receiver.maildir / "new").iterdir()
    top = b"Return-Path: <>\r\nDelivered-To: a@example.org\r\nDelivered-To: b@example.org\r\n"
    assert file.read_bytes() == top + CONTENT
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(receiver.maildir.stat().st_mode) == 0o700
    assert receiver.arrived == 1 and not list((receiver.maildir / "tmp").iterdir())


def test_a_receiver_that_was_stopped_listens_no_more(receiver: Receiver) -> None:
    receiver.stop()
    with pytest.raises(OSError):
        smtplib.SMTP(HOST, receiver.port, timeout=2)


def test_the_demo_store(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    with closing(create_store(str(tmp_path / "demo.store"), key_file=tmp_path / "key")[0]) as vault:
        fill_demo(vault, 250, now=NOW, progress=lambda *step: told.append(step))
        assert told[-1] == (250, 250)
        full, settings = usage(vault), read_settings(vault)
        assert full.messages == 250 and vault.newest(1)[0].stored_at <= NOW
        assert 0.7 < full.used_bytes / full.max_bytes < 0.9
        assert 0 < settings.notify_below < full.free_bytes and not settings.relay
        assert {event.action for event in events(vault)} >= {"settings changed", "save", "delete"}
        times = [event.at for event in events(vault)]
        assert times == sorted(times, reverse=True)
        assert deliveries(vault) == []
        assert [(act.copies, act.left, act.restored, act.operator) for act in vault.bin.acts()] == [
            (5, 3, 2, "k.lindqvist"), (9, 9, 0, "j.fischer"),
        ]  # fmt: skip
        rules = {rule.id: rule.name for rule in read_rules(vault)}
        assert all(rules[copy.record.rule_id] == copy.record.rule_name for copy in vault.newest(250))
        assert read_lists(vault).black and read_lists(vault).user_black


def test_with_a_relay_some_copies_were_delivered(tmp_path: Path, receiver: Receiver) -> None:
    with closing(create_store(str(tmp_path / "demo.store"), key_file=tmp_path / "key")[0]) as vault:
        fill_demo(vault, 200, relay=f"smtp://{HOST}:{receiver.port}")
        states = {delivery.state for delivery in deliveries(vault)}
        assert states >= {State.SENT, State.CANCELLED} and states & {State.FAILED, State.DEFERRED}
        assert receiver.arrived >= 2
        partly = [d for d in deliveries(vault) if len({recipient.state for recipient in d.recipients}) > 1]
        assert partly and any(r.reply.startswith("550") for d in partly for r in d.recipients)


@pytest.mark.parametrize("again", [False, True])
def test_undo_offers_none_of_what_set_the_demo_up(tmp_path: Path, receiver: Receiver, again: bool) -> None:
    with closing(create_store(str(tmp_path / "demo.store"), key_file=tmp_path / "key", operator=OPERATOR)[0]) as vault:
        composed, found = list[tuple[int, int]](), list[tuple[int, int]]()
        fill_demo(
            vault,
            150,
            relay=f"smtp://{HOST}:{receiver.port}",
            attack=60,
            progress=lambda *step: composed.append(step),
            finding=lambda *step: found.append(step),
        )
        assert composed[0] == (100, 210) and composed[-1][0] > 150
        assert found and found[-1][0] == found[-1][1]
        assert next_plan(vault, OPERATOR, again=again) is None
        if not again:
            delete_copies(vault, vault.ids()[:1], operator=OPERATOR)
            plan = next_plan(vault, OPERATOR)
            assert plan is not None and plan.what == "1 message copy deleted"
            carry_out(vault, plan, operator=OPERATOR)
            assert next_plan(vault, OPERATOR) is None and read_settings(vault).relay


@pytest.mark.parametrize("count", [1, 20, 100])
def test_small_stores_too(tmp_path: Path, count: int) -> None:
    with closing(create_store(str(tmp_path / "demo.store"), key_file=tmp_path / "key")[0]) as vault:
        fill_demo(vault, count, now=NOW)
        assert vault.count().messages == count


class Console:
    """Stands for the app: acts like an operator."""

    return_code = 0
    ended_by = 0

    def __init__(self, vault: Vault, does: Callable[[Vault], None]) -> None:
        self._vault = vault
        self._does = does

    def run(self) -> None:
        self._does(self._vault)


def in_the_demo(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, does: Callable[[Vault], None]) -> int:
    monkeypatch.setattr("tui.console.app.MailholdApp", lambda vault, **_: Console(vault, does))
    monkeypatch.setattr(demo.tempfile, "tempdir", str(tmp_path))
    return run_demo(30)


def test_at_the_end_only_received_mail_is_left(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def look(vault: Vault) -> None:
        folder = Path(vault.location).parent
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert vault.count().messages == 30

    assert in_the_demo(monkeypatch, tmp_path, look) == 0
    (folder,) = tmp_path.iterdir()
    assert [entry.name for entry in folder.iterdir()] == ["received"]
    said = capsys.readouterr().out
    assert str(folder / "received" / "new") in said
    assert f"{len(list((folder / 'received' / 'new').iterdir()))} delivered" in said


def test_nothing_is_left_where_nothing_arrived(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(demo, "_deliver_some", lambda vault: None)
    in_the_demo(monkeypatch, tmp_path, lambda vault: None)
    assert list(tmp_path.iterdir()) == []
    assert "Nothing was delivered" in capsys.readouterr().out


def test_a_console_that_fails_leaves_no_store_and_no_key(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def fail(_: Any) -> None:
        raise RuntimeError("the console failed")

    monkeypatch.setattr(demo, "_deliver_some", lambda vault: None)
    with pytest.raises(RuntimeError):
        in_the_demo(monkeypatch, tmp_path, fail)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_demo_that_is_told_to_end_clears_up(tmp_path: Path, number: signal.Signals) -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "tui.commands.cli", "demo", "--messages", "3", "--attack", "0"]
    environment = {**os.environ, "TMPDIR": str(tmp_path), "TERM": "xterm-256color"}
    with subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment, start_new_session=True
    ) as process:
        os.close(theirs)
        seen = bytearray()
        deadline = time.monotonic() + 60
        while b"3 copies" not in seen and time.monotonic() < deadline:
            if select.select([ours], [], [], 1)[0]:
                seen += os.read(ours, 65536)
        assert b"3 copies" in seen
        assert len(list(tmp_path.iterdir())) == 1
        process.send_signal(number)
        while process.poll() is None and time.monotonic() < deadline:
            if select.select([ours], [], [], 0.2)[0]:
                with contextlib.suppress(OSError):
                    os.read(ours, 65536)
        assert process.wait(10) == 128 + number
    os.close(ours)
    left = [entry.name for folder in tmp_path.iterdir() for entry in folder.iterdir()]
    assert set(left) <= {"received"}
