"""`deliver` and `queue` with held releases: how long, how to cancel, and how to send at once."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from store.delivery import outbox
from store.enrolment.enrolled import beat
from store.enrolment.enrolment import open_with_credentials
from store.opening.opening import Unlock, open_store
from store.terms.records import CopyRecord
from tests.store.mail.smtp_server import ScriptedServer
from tui.commands.cli import main
from tui.commands.interrupt import Interrupt
from tui.terminal.times import waits_until

Run = Callable[..., SimpleNamespace]


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    """Run a relay in its own thread, because the commands have their own event loops."""
    ready, stop, found = threading.Event(), asyncio.Event(), ScriptedServer()

    async def serve() -> None:
        loops.append(asyncio.get_running_loop())
        async with found:
            ready.set()
            await stop.wait()

    loops: list[asyncio.AbstractEventLoop] = []
    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert ready.wait(60)
    yield found
    loops[0].call_soon_threadsafe(stop.set)
    thread.join()


@pytest.fixture
def run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], server: ScriptedServer
) -> Run:
    """Run `mailhold` on a store with three copies and a relay, with a hold of ten minutes."""
    monkeypatch.setenv("MAILHOLD_STORE", str(tmp_path / "backup.db"))
    monkeypatch.setenv("MAILHOLD_KEY_FILE", str(tmp_path / "key"))

    def call(*arguments: object) -> SimpleNamespace:
        capsys.readouterr()
        code = main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return SimpleNamespace(code=code, out=out, err=err)

    assert call("init").code == 0
    assert call("settings", "set", f"relay=smtp://127.0.0.1:{server.port}", "hold=600", "hold_many=900").code == 0
    vault = open_store(str(tmp_path / "backup.db"), Unlock.key_file(tmp_path / "key"))
    for name in "abc":
        vault.put(b"Subject: x\r\n\r\nbody\r\n", CopyRecord(envelope_recipients=(f"{name}@x.example",)))
    vault.close()
    return call


def listed(run: Run) -> list[dict[str, Any]]:
    return json.loads(run("queue", "--json").out)


def taken(server: ScriptedServer) -> list[str]:
    return sorted(address for each in server.taken for address in each.rcpt)


def test_a_new_store_holds_fifteen_seconds_and_three_hundred_for_many(tmp_path: Path) -> None:
    env = os.environ | {"MAILHOLD_STORE": str(tmp_path / "s"), "MAILHOLD_KEY_FILE": str(tmp_path / "k")}

    def mailhold(*arguments: str) -> str:
        return subprocess.run(
            [sys.executable, "-m", "tui", *arguments], env=env, check=True, capture_output=True, text=True
        ).stdout

    mailhold("init")
    assert json.loads(mailhold("settings", "get", "hold", "hold_many", "--json")) == {"hold": 15, "hold_many": 300}
    assert re.search(r"^hold +15 s\nhold_many +300 s$", mailhold("settings"), re.MULTILINE)


def test_what_is_delivered_says_how_long_it_is_held_and_how_to_cancel_it(run: Run, server: ScriptedServer) -> None:
    done = run("deliver", "1-2", "3", "--original")
    assert "Held for 600 s; `mailhold queue cancel 1-3` cancels them. No gateway can send them now" in done.out
    held = listed(run)
    assert all(each["held_until"] == each["next_attempt_at"] for each in held) and len(held) == 3
    assert re.search(r"\n +waits until \d\d:\d\d:\d\d \(10 min\)\n", run("queue").out)
    sent = run("queue", "send")
    assert sent.code == 0 and taken(server) == [] and "waits until" in sent.out
    assert run("queue", "cancel", "1-3").code == 0
    assert {each["state"] for each in listed(run)} == {"cancelled"}
    assert {each["held_until"] for each in listed(run)} == {None}
    one = run("deliver", 1, "--original")
    assert "`mailhold queue cancel 4` cancels it." in one.out


def test_with_nothing_to_hold_nothing_is_said_of_it(run: Run) -> None:
    run("settings", "set", "hold=off")
    assert "Held" not in run("deliver", 1, "--original").out
    assert listed(run)[0]["held_until"] is None and "waits until" not in run("queue").out


def test_named_ones_are_sent_at_once_and_no_others(run: Run, server: ScriptedServer) -> None:
    run("deliver", "1-3", "--original")
    done = run("queue", "send", "1", "3")
    assert done.code == 0 and "waits until" not in done.out
    assert taken(server) == ["a@x.example", "c@x.example"]
    assert [each["state"] for each in listed(run)] == ["sent", "queued", "sent"]
    again = run("queue", "send", 1)
    assert again.code == 1 and "Delivery 1 is finished (sent): all its recipients have" in again.err
    assert "retry" not in again.err
    assert run("queue", "retry", 2, "--yes").code == 0
    assert run("queue", "send").code == 0
    assert taken(server) == ["a@x.example", "b@x.example", "c@x.example"]


def test_only_what_is_open_is_listed(run: Run, server: ScriptedServer) -> None:
    assert "No delivery waits, failed or is unknown." in run("queue", "list", "--open").out
    assert run("queue", "send").out == "No delivery is waiting.\n"
    run("deliver", "1", "--original")
    assert run("queue", "send", 1).code == 0
    server.script = lambda point, _argument: "550 5.1.1 no" if point == "rcpt" else None
    run("deliver", "2", "--original")
    assert run("queue", "send", 2).code == 0
    run("deliver", "3", "--original")
    assert [each["id"] for each in json.loads(run("queue", "list", "--open", "--json").out)] == [3, 2]
    assert [each["id"] for each in json.loads(run("queue", "send", "--json").out)] == [3]
    assert [each["id"] for each in listed(run)] == [3, 2, 1]
    run("queue", "cancel", "3")
    assert run("queue", "send").out == "No delivery is waiting.\n"
    assert run("queue", "send", 1).out == ""
    assert run("queue", "send", "--open").code == 2


def test_what_no_running_gateway_sends_says_what_to_do(run: Run, tmp_path: Path) -> None:
    run("deliver", "1", "--original")
    assert "\n        an open console sends it, or `mailhold queue send`\n" in run("queue").out
    run("queue", "cancel", "1")
    assert listed(run)[0]["waits_for"] is None
    credentials = tmp_path / "credentials"
    assert run("gateway", "enroll", "mx1", "--credentials", credentials).code == 0
    with closing(open_with_credentials(str(tmp_path / "backup.db"), credentials)) as gateway:
        beat(gateway)
        run("deliver", "2", "--original")
        assert listed(run)[0]["waits_for"] is None
        beat(gateway, alive=False)
    assert listed(run)[0]["waits_for"] == "the gateway mx1 is not running: start it, or `mailhold queue retry ID`"


def test_wait_waits_the_hold_out(run: Run, server: ScriptedServer) -> None:
    run("settings", "set", "hold=1")
    done = run("deliver", 1, "--original", "--wait")
    assert (done.code, taken(server)) == (0, ["a@x.example"])
    assert (
        "Held for 1 s; `mailhold queue cancel 1` cancels it." in done.err
        and done.out == "Sent to 1 of 1 recipient of 1 message.\n"
    )


def test_a_wait_that_is_stopped_leaves_it_held(
    run: Run, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = outbox.wait_out

    def stopped(vault: Any, ids: list[int], *, cancelled: Interrupt) -> bool:
        cancelled._interrupt()
        return real(vault, ids, cancelled=cancelled)

    monkeypatch.setattr(outbox, "wait_out", stopped)
    done = run("deliver", 1, "--original", "--wait")
    assert done.code == 1 and "what was queued stays queued" in done.err and taken(server) == []
    assert [each["state"] for each in listed(run)] == ["queued"]


def test_one_called_back_while_it_is_waited_for_is_not_sent(run: Run, server: ScriptedServer, tmp_path: Path) -> None:
    def call_back() -> None:
        vault = open_store(str(tmp_path / "backup.db"), Unlock.key_file(tmp_path / "key"))
        while not outbox.call_back(vault, [1]).called:
            pass
        vault.close()

    other = threading.Thread(target=call_back)
    other.start()
    done = run("deliver", 1, "--original", "--wait")
    other.join()
    assert done.code == 1 and "cancelled" in done.err and taken(server) == []


def test_the_time_that_is_left_is_in_seconds_then_minutes() -> None:
    assert waits_until(12_000, 1, UTC) == "waits until 00:00:12 (12 s)"
    assert waits_until(300_000, 0, UTC) == "waits until 00:05:00 (5 min)"
    assert waits_until(89_000, 0, UTC).endswith("(89 s)") and waits_until(0, 9_999, UTC).endswith("(0 s)")


def test_a_deferred_delivery_says_when_it_is_tried_again(run: Run, server: ScriptedServer) -> None:
    server.script = lambda point, _: "450 4.2.0 later" if point == "rcpt" else None
    run("settings", "set", "hold=0")
    run("deliver", 1, "--original")
    run("queue", "send")
    lines = run("queue").out.splitlines()
    assert lines[0] == "     1  copy 1  deferred  1 attempt"
    assert re.fullmatch(r"        next try at \d\d:\d\d:\d\d \((\d+ s|\d+ min)\)", lines[1])
