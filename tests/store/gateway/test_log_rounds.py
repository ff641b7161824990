"""The gateway's log: the lines about messages of one round of the event loop are one write, and none is lost."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Literal

import pytest

from store.gateway import log as gateway_log
from store.gateway.log import say as say_any
from tests.test_hygiene import ROOT


def say(name: str, *, level: int = logging.INFO) -> None:
    """Log a line about a message."""
    say_any("message", level=level, of=name)


class Writes(io.StringIO):
    """A stream that remembers its writes: the events of each, or what the messages were."""

    def __init__(self) -> None:
        super().__init__()
        self.events: list[list[str]] = []

    def write(self, text: str, /) -> int:
        self.events.append([(entry := json.loads(line)).get("of", entry["event"]) for line in text.splitlines()])
        return len(text)


@pytest.fixture(params=["alone", "beside another handler"])
def writes(request: pytest.FixtureRequest) -> Iterator[Writes]:
    """Start the log, as in a gateway or beside a handler that wants the records, too."""
    stream = Writes()
    root, level = logging.getLogger(), logging.getLogger().level
    handlers = list(root.handlers)
    root.handlers[:] = [] if request.param == "alone" else [logging.NullHandler()]
    gateway_log.start("json", "info", stream)
    yield stream
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.getLogger(gateway_log.NAME).setLevel(logging.NOTSET)


async def test_a_round_is_one_write(writes: Writes) -> None:
    async def one(number: int) -> None:
        say(f"{number}")
        await asyncio.sleep(0)
        say(f"{number} again")

    await asyncio.gather(*(one(number) for number in range(3)))
    await asyncio.sleep(0)
    assert writes.events == [["0", "1", "2"], ["0 again", "1 again", "2 again"]]


async def test_what_is_not_about_a_message_does_not_wait(writes: Writes) -> None:
    say("first")
    say_any("gateway started")
    assert writes.events == [["first", "gateway started"]]


async def test_a_warning_does_not_wait_and_comes_after_what_was_said_before(writes: Writes) -> None:
    say("first")
    say("second", level=logging.WARNING)
    assert writes.events == [["first", "second"]]
    await asyncio.sleep(0)
    assert writes.events == [["first", "second"]]


async def test_what_a_thread_says_does_not_wait(writes: Writes) -> None:
    say("loop")
    thread = threading.Thread(target=say, args=("thread",))
    thread.start()
    thread.join()
    assert writes.events == [["loop", "thread"]]


async def test_lines_from_loop_and_threads_are_all_written_once(writes: Writes) -> None:
    def work(name: int) -> None:
        for number in range(200):
            say(f"{name}/{number}")

    threads = [threading.Thread(target=work, args=(name,)) for name in (1, 2)]
    for thread in threads:
        thread.start()
    for number in range(200):
        say(f"0/{number}")
        await asyncio.sleep(0)
    for thread in threads:
        thread.join()
    await asyncio.sleep(0)
    said = [event for each in writes.events for event in each]
    assert sorted(said) == sorted(f"{name}/{number}" for name in range(3) for number in range(200))
    for name in "012":
        assert [each for each in said if each[0] == name] == [f"{name}/{number}" for number in range(200)]


async def test_a_stream_that_fails_stops_nothing(writes: Writes, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_text: str) -> int:
        raise OSError("no space")

    monkeypatch.setattr(logging, "raiseExceptions", False)
    with monkeypatch.context() as patch:
        patch.setattr(writes, "write", fail)
        say("lost")
        await asyncio.sleep(0)
    say("kept")
    await asyncio.sleep(0)
    assert writes.events == [["kept"]]


async def test_lines_are_the_same_with_and_without_a_record() -> None:
    fields: dict[str, object] = {"of": "Ärger\udcff", "copy": 5, "ms": 0.1, "why": "", "rule": None}
    root, level = logging.getLogger(), logging.getLogger().level
    handlers, lines = list(root.handlers), []
    for others in ([], [logging.NullHandler()]):
        root.handlers[:] = others
        stream = io.StringIO()
        gateway_log.start("json", "info", stream)
        say_any("message", **fields)
        say_any("message", level=logging.DEBUG, of="too little")
        await asyncio.sleep(0)
        lines.append([json.loads(line) | {"time": ""} for line in stream.getvalue().splitlines()])
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.getLogger(gateway_log.NAME).setLevel(logging.NOTSET)
    said = {"time": "", "level": "info", "event": "message", "of": "Ärger\udcff", "copy": 5, "ms": 0.1}
    assert lines == [[said], [said]]


@pytest.mark.parametrize("form", ["json", "text"])
def test_what_is_no_utf_8_loses_no_line(form: Literal["json", "text"]) -> None:
    record = logging.LogRecord("mailhold", logging.INFO, "", 0, "message", None, None)
    record.__dict__["fields"] = {"queue_id": "4A\udcff"}
    assert r'"4A\udcff"' in gateway_log.Lines(form).format(record)


async def test_a_change_of_the_form_loses_no_line(writes: Writes) -> None:
    say("before")
    gateway_log.start("json", "error", writes)
    say("too little")
    await asyncio.sleep(0)
    assert writes.events == [["before"]]


async def test_a_stream_that_fails_does_not_prevent_a_change(writes: Writes) -> None:
    with open("/dev/full", "w") as full:  # noqa: PTH123
        gateway_log.start("json", "info", full)
        say("lost")
        gateway_log.start("json", "info", writes)
        say("kept")
        await asyncio.sleep(0)
        assert writes.events == [["kept"]]
        with suppress(OSError):
            full.close()


@pytest.mark.parametrize("end", ["return", "raise RuntimeError", "sys.exit(3)", "asyncio.get_running_loop().stop()"])
def test_the_last_lines_are_written_however_the_loop_ends(end: str) -> None:
    code = (
        "import asyncio, sys\nfrom store.gateway.log import say, start\nstart('json', 'info')\n"
        f"async def main():\n    say('message', of='last')\n    {end}\nasync def begin():\n"
        "    asyncio.get_running_loop().call_soon(lambda: None)\n    await main()\nasyncio.run(begin())\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, cwd=ROOT)
    assert done.stderr.count('"of":"last"') == 1
