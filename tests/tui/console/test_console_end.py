"""The console ends with its terminal, whatever its parent did with SIGHUP, and records the outcome of its work."""

from __future__ import annotations

import os
import shlex
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from store.authority.acts import folded
from store.authority.audit import events
from store.authority.settings import Settings
from store.check import check
from store.delivery.listing import deliveries
from store.delivery.queue import release
from store.helpers.clock import now_ms
from store.opening.opening import Unlock, create_store, open_store
from store.space.changing_settings import change_settings
from store.vault.vault import Vault
from tests.integration.process_memory import children_of
from tests.tui.console.fakes import NOW, sample
from tests.tui.pseudo_terminal import Terminal

COPIES = 400
#: The `mailhold` command, with a key that deletes all copies at once, slowly.
RUN = """
import os, sys, time
from store.vault import deleting
from tui.commands import cli
from tui.console import app
from tui.console.acts import actions
from tui.terminal import ending

whole = deleting.Deleter._batch
def slowly(self, *args):
    time.sleep(0.1)
    return whole(self, *args)
deleting._FIRST_BATCH = deleting._MOST = deleting._LEAST = 10
deleting.Deleter._batch = slowly

def on_key(self, event):
    if event.key == "f9":
        actions._do_delete(self.context, self.vault.ids(), None, 0)
app.MailholdApp.on_key = on_key
ending.LIMIT = float(os.environ.get("LIMIT", "75"))
sys.exit(cli.main(sys.argv[1:]))
"""
#: A parent that handles SIGHUP and keeps waiting for its child, like wrappers.
CATCHES = """
import signal, subprocess, sys
signal.signal(signal.SIGHUP, lambda *_: None)
sys.exit(subprocess.call(sys.argv[1:]))
"""
PARENTS: dict[str, Callable[[Path, list[str]], list[str]]] = {}


def parent(make: Callable[[Path, list[str]], list[str]]) -> Callable[[Path, list[str]], list[str]]:
    """Register a parent for the console: `make` returns the words that run a command under it."""
    PARENTS[make.__name__] = make
    return make


@parent
def plain(_folder: Path, command: list[str]) -> list[str]:
    return command


@parent
def ignores(_folder: Path, command: list[str]) -> list[str]:
    return ["sh", "-c", 'trap "" HUP; "$@"; exit $?', "sh", *command]


@parent
def catches(_folder: Path, command: list[str]) -> list[str]:
    return [sys.executable, "-c", CATCHES, *command]


@parent
def make(folder: Path, command: list[str]) -> list[str]:
    (folder / "run.sh").write_text(shlex.join(command))
    (folder / "Makefile").write_text(f"run:\n\t@sh {folder}/run.sh\n")
    return ["make", "-f", str(folder / "Makefile")]


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Make a store of `COPIES` copies, with its key next to it."""
    vault, _ = create_store(str(tmp_path / "s.db"), key_file=tmp_path / "key")
    vault.put_many((b"Subject: x\r\n\r\nx\r\n", sample(n), NOW - n * 60_000) for n in range(COPIES))
    vault.close()
    return tmp_path / "s.db"


@pytest.fixture
def start(store: Path, tmp_path: Path) -> Iterator[Callable[[str], Terminal]]:
    """Start the console under a parent; return when it is ready."""
    opened: list[Terminal] = []
    key = tmp_path / "key"

    def begin(under: str) -> Terminal:
        command = [sys.executable, "-c", RUN, "--store", str(store), "--key-file", str(key)]
        terminal = Terminal(store, key, command=PARENTS[under](tmp_path, command))
        opened.append(terminal)
        terminal.wait_for(f"{COPIES} copies")
        return terminal

    yield begin
    for terminal in opened:
        terminal.close()


def reopened(store: Path) -> Vault:
    """Open the store again; assert that it is intact."""
    vault = open_store(str(store), Unlock.key_file(store.with_name("key")))
    assert not check(vault).broken
    return vault


def alive(pids: list[int]) -> list[int]:
    """Return those of the processes that are running."""
    left = []
    for pid in pids:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        if state != "Z":
            left.append(pid)
    return left


def hang_up(terminal: Terminal) -> None:
    """Close the terminal, and wait until every process is gone, parent and children."""
    pids = children_of(terminal.pid)
    terminal.hang_up()
    end = time.monotonic() + 60
    while alive(pids):
        assert time.monotonic() < end, f"still running: {alive(pids)}"
        time.sleep(0.05)


@pytest.mark.parametrize("under", PARENTS)
def test_it_ends_in_the_list(start: Callable[[str], Terminal], store: Path, under: str) -> None:
    terminal = start(under)
    hang_up(terminal)
    if under != "make":  # it has its own exit code
        assert terminal.ended() == 128 + signal.SIGHUP
    reopened(store).close()


@pytest.mark.parametrize("under", PARENTS)
def test_it_ends_in_a_window_and_its_children_with_it(
    start: Callable[[str], Terminal], store: Path, under: str
) -> None:
    terminal = start(under)
    terminal.press(b"\r")  # it starts a child that parses messages
    terminal.wait_for("To messages list")
    terminal.press(b"?")
    hang_up(terminal)
    reopened(store).close()


@pytest.mark.parametrize("under", PARENTS)
def test_it_says_how_far_a_bulk_deletion_came(start: Callable[[str], Terminal], store: Path, under: str) -> None:
    terminal = start(under)
    begin_deleting(terminal, store)
    hang_up(terminal)
    assert_told_how_far(store)


def test_being_told_to_end_stops_work_in_the_same_way(start: Callable[[str], Terminal], store: Path) -> None:
    terminal = start("plain")
    begin_deleting(terminal, store)
    os.kill(terminal.pid, signal.SIGTERM)
    terminal.read(3.0)
    assert terminal.ended() == 128 + signal.SIGTERM
    assert "stopped by a signal. Deleting" in terminal.text()
    assert_told_how_far(store)


def test_a_terminal_that_takes_nothing_does_not_keep_it_from_ending(
    start: Callable[[str], Terminal], store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIMIT", "2")
    terminal = start("plain")
    for _ in range(300):  # each draws a screen, until the terminal's buffer is full
        terminal.type(b"\x1b[6~\x1b[5~")
    time.sleep(1)
    os.kill(terminal.pid, signal.SIGTERM)
    assert terminal.ended() == 128 + signal.SIGTERM
    reopened(store).close()


def begin_deleting(terminal: Terminal, store: Path) -> None:
    """Start deleting all copies, and wait until some are deleted."""
    terminal.type(b"\x1b[20~")
    vault = open_store(str(store), Unlock.key_file(store.with_name("key")))
    end = time.monotonic() + 30
    while vault.count().messages == COPIES:
        assert time.monotonic() < end, "nothing was deleted"
        time.sleep(0.05)
    vault.close()


def assert_told_how_far(store: Path) -> None:
    vault = reopened(store)
    try:
        left = vault.count().messages
        assert 0 < left < COPIES
        stopped, deleted = folded(events(vault), now_ms())[:2]
        assert stopped.action == "stopped"
        assert f"{COPIES - left} of {COPIES} were done, the other {left} were left as before" in stopped.detail
        assert deleted.action == "delete" and len(deleted.copies) == COPIES - left
    finally:
        vault.close()


@pytest.mark.parametrize("under", ["plain", "catches", "make"])
def test_a_demo_ends_with_its_terminal_and_clears_up(store: Path, tmp_path: Path, under: str) -> None:
    rest = tmp_path / "demo"
    rest.mkdir()
    command = [
        "env",
        f"TMPDIR={rest}",
        sys.executable,
        "-m",
        "tui.commands.cli",
        "demo",
        "--messages",
        "3",
        "--attack",
        "0",
    ]
    terminal = Terminal(store, store, command=PARENTS[under](tmp_path, command))
    try:
        terminal.wait_for("3 copies")
        hang_up(terminal)
    finally:
        terminal.close()
    assert {entry.name for folder in rest.iterdir() for entry in folder.iterdir()} <= {"received"}


class SlowServer:
    """Accepts mail, and answers the final dot only after `pause` seconds.

    `taken` counts; `at_the_dot`: it is waiting.
    """

    def __init__(self, pause: float) -> None:
        self.taken = 0
        self.at_the_dot = threading.Event()
        self._pause = pause
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rwb", buffering=0) as line:
            line.write(b"220 slow\r\n")
            content = False
            while word := line.readline():
                if content and word != b".\r\n":
                    continue
                if content:
                    content = False
                    self.at_the_dot.set()
                    time.sleep(self._pause)
                    self.taken += 1
                elif word[:4].upper() == b"DATA":
                    content = True
                    line.write(b"354 go on\r\n")
                    continue
                line.write(b"250 ok\r\n")

    def close(self) -> None:
        self._socket.close()


@pytest.mark.parametrize("under", PARENTS)
def test_it_ends_with_what_is_being_sent_known(start: Callable[[str], Terminal], store: Path, under: str) -> None:
    server = SlowServer(3.0)
    try:
        vault = reopened(store)
        change_settings(vault, Settings(relay=f"smtp://127.0.0.1:{server.port}"))
        release(vault, vault.ids()[:1], original=True, operator="ada")
        vault.close()
        terminal = start(under)
        assert server.at_the_dot.wait(30)
        hang_up(terminal)
        vault = reopened(store)
        [delivery] = deliveries(vault)
        vault.close()
        assert server.taken == 1 and delivery.state == "sent"
    finally:
        server.close()
