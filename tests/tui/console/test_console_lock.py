"""A locked console has nothing of the store on its screen or in its memory until the passphrase is entered."""

from __future__ import annotations

import os
import shlex
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from store.authority.settings import Settings
from store.opening.opening import Unlock, create_store, open_store
from store.opening.slots import add_passphrase
from store.sealing.keys import StoreKeys
from store.space.changing_settings import change_settings
from store.terms.records import CopyRecord
from tests.integration.process_memory import children_of, keys_in, memory_of
from tests.tui.console.fakes import NOW, sample
from tests.tui.pseudo_terminal import Terminal
from tui.console.lock.lock import Handover, become_locked, received
from tui.console.lock.lock_app import LockApp, LockDialog
from tui.console.widgets.controls import Field

PASSPHRASE = "correct horse battery"
COPIES = 60
#: A text that occurs nowhere else, nor in this process's program.
SUBJECT = "Quarterly zebra forecast for Xanadu"
#: The console, with `lock_after` in seconds instead of minutes, and a key for work that takes a while.
RUN = """
import sys, time
from tui.commands import cli
from tui.console import app
from tui.console.lock import locking
from tui.console.tasks import Task
locking.MINUTE = float(sys.argv.pop(1))

def work(progress, cancelled):
    for done in range(30):
        progress(done, 30)
        time.sleep(0.1)

def on_key(self, event):
    if event.key == "f9":
        self.run_task(Task("Counting to thirty", work, lambda _: self.notice("Counted to thirty")))
app.MailholdApp.on_key = on_key
sys.exit(cli.main(sys.argv[1:]))
"""
LOCK = b"\x0f"
F9 = b"\x1b[20~"
#: The screen rows that show the list.
LIST = range(4, 15)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Make a store of `COPIES` copies and a newest one with a distinctive subject, with a passphrase and a key file."""
    vault, _ = create_store(str(tmp_path / "s.db"), key_file=tmp_path / "key")
    add_passphrase(vault, PASSPHRASE)
    vault.put_many((b"Subject: x\r\n\r\nx\r\n", sample(n), NOW - (COPIES - n) * 60_000) for n in range(COPIES))
    vault.put(b"Subject: x\r\n\r\nx\r\n", CopyRecord(from_="z@example.org", subject=SUBJECT), stored_at=NOW)
    vault.close()
    return tmp_path / "s.db"


@pytest.fixture
def start(store: Path, tmp_path: Path) -> Iterator[Callable[..., Terminal]]:
    """Start the console on the store; return when it is ready."""
    opened: list[Terminal] = []
    key = tmp_path / "key"

    def begin(minute: float = 60.0, lock_after: int = 0, shell: bool = False) -> Terminal:
        if lock_after:
            vault = open_store(str(store), Unlock.key_file(key))
            change_settings(vault, Settings(lock_after=lock_after))
            vault.close()
        command = [sys.executable, "-c", RUN, str(minute), "--store", str(store), "--key-file", str(key)]
        command = in_shell(command) if shell else command
        terminal = Terminal(store, key, columns=100, lines=30, command=command)
        opened.append(terminal)
        terminal.wait_until_loaded(COPIES + 1)
        return terminal

    yield begin
    for terminal in opened:
        terminal.close()


def secrets_of(keys: StoreKeys) -> dict[str, bytes]:
    """Return every secret key of a store, by name."""
    assert keys.seed and keys.read_seed and keys.configuration_key and keys.private_key and keys.authority
    return {
        "seed": bytes(keys.seed),
        "read": bytes(keys.read_seed),
        "configuration": bytes(keys.configuration_key),
        "private": bytes(keys.private_key),
        "authority": keys.authority.private_bytes_raw(),
    }


def unlock(terminal: Terminal, passphrase: str = PASSPHRASE) -> None:
    terminal.press(passphrase.encode() + b"\r")


def test_a_locked_console_shows_and_holds_nothing_of_the_store(
    start: Callable[..., Terminal], store: Path, tmp_path: Path
) -> None:
    vault = open_store(str(store), Unlock.key_file(tmp_path / "key"))
    secrets = secrets_of(vault.keys)
    vault.close()
    terminal = start()
    terminal.press(b"\r")
    terminal.wait_for("To messages list")
    needles = [SUBJECT.encode(encoding) for encoding in ("utf-8", "utf-16-le", "utf-32-le")]
    pieces = list(memory_of(terminal.pid))
    assert keys_in(pieces, secrets)[0] >= {"seed", "read"}, "the search itself finds nothing"
    assert any(needle in piece for needle in needles for piece in pieces)
    del pieces
    terminal.press(LOCK)
    terminal.wait_for("Backup is locked")
    assert "zebra" not in terminal.text() and "example" not in terminal.text()
    assert children_of(terminal.pid) == [terminal.pid]
    pieces = list(memory_of(terminal.pid))
    found, searched = keys_in(pieces, secrets)
    assert searched > 1 << 20 and not found
    assert not any(needle in piece for needle in needles for piece in pieces)


def test_a_wrong_passphrase_is_refused_and_the_right_one_goes_back_to_where_it_was(
    start: Callable[..., Terminal],
) -> None:
    terminal = start()
    terminal.press(b"/")
    terminal.press_until(b"invoice\r", lambda: f" shown of {COPIES + 1}" in terminal.text())
    first = terminal.cursor_row(LIST)
    assert first is not None
    terminal.press_until(b"jj", lambda: terminal.cursor_row(LIST) == first + 2)
    terminal.press_until(b" ", lambda: "● 1 marked" in terminal.text())
    terminal.press_until(b"j", lambda: terminal.cursor_row(LIST) == first + 4)
    before = terminal.text().splitlines()[1:-2]
    terminal.press(LOCK)
    terminal.wait_for("Backup is locked")
    unlock(terminal, "wrong")
    terminal.wait_for("No key slot opens")
    assert "nvoice" not in terminal.text()
    terminal.press(b"\x1b")
    terminal.press(b"\r")
    terminal.wait_for("Enter the passphrase")
    unlock(terminal)
    terminal.wait_until(lambda: terminal.text().splitlines()[1:-2] == before, "\n".join(["It was", *before, "and is"]))
    assert any("●" in line and "Invoice" in line for line in before)
    assert terminal.cursor_row(LIST) == first + 4
    assert terminal.leave() == 0


def test_the_message_that_was_read_is_shown_again(start: Callable[..., Terminal]) -> None:
    terminal = start()
    terminal.press(b"\r")
    terminal.wait_for("To messages list")
    terminal.press(LOCK)
    terminal.wait_for("Backup is locked")
    unlock(terminal)
    terminal.wait_for("To messages list")
    terminal.wait_for(SUBJECT[:20])
    terminal.press(b"\x1b")
    terminal.wait_for(f"{COPIES + 1} copies")
    assert terminal.leave() == 0


@pytest.mark.timeout(300)
def test_it_locks_when_no_key_came_for_so_long(start: Callable[..., Terminal]) -> None:
    terminal = start(minute=0.5, lock_after=8)
    until = time.monotonic() + 8
    while time.monotonic() < until:
        terminal.press(b"j")  # each key restarts the time
    assert "Backup is locked" not in terminal.text()
    terminal.wait_for("Backup is locked")  # although the store is polled all the time
    assert "Locked after 8 minutes without a key press." in terminal.text()
    unlock(terminal)
    terminal.wait_for(f"{COPIES + 1} copies")


def test_it_does_not_lock_where_the_setting_is_off(start: Callable[..., Terminal]) -> None:
    terminal = start(minute=0.1)
    terminal.read(3.0)
    assert "Backup is locked" not in terminal.text()


def test_it_locks_in_a_window_too_and_keeps_nothing_of_that(start: Callable[..., Terminal]) -> None:
    terminal = start()
    terminal.press(b"f")
    terminal.wait_for("Search filter")
    terminal.press(b"secret words")
    terminal.read(0.1)
    terminal.press(b"\t\t\t")
    terminal.press(LOCK)
    terminal.wait_for("Backup is locked")
    assert terminal.leave() == 0


def test_work_that_runs_is_done_first(start: Callable[..., Terminal]) -> None:
    terminal = start()
    terminal.type(F9)
    terminal.type(LOCK)
    terminal.wait_for("Backup is locked")
    assert b"will lock when the running task is done" in terminal.raw
    assert b"Counting to thirty" in terminal.raw


def state(pid: int) -> str:
    """Return the state of a process: T if it is stopped."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def suspend_and_continue(terminal: Terminal, by_key: bool) -> bytes:
    """Suspend the console, as a shell's user does, and continue it; return all that it draws from then on."""
    if by_key:
        terminal.type(b"\x1a")
        terminal.wait_for("it is suspended")
    else:
        os.kill(terminal.pid, signal.SIGTSTP)
        terminal.wait_until(lambda: state(terminal.pid) == "T", "it is not suspended")
    before = len(terminal.raw)
    if by_key:
        terminal.type(b"\r")
    else:
        os.kill(terminal.pid, signal.SIGCONT)
    terminal.read(1.0)
    return terminal.raw[before:]


def in_shell(command: list[str]) -> list[str]:
    """Run a command as a shell with job control does, and continue it after a line of input once it is suspended."""
    return ["bash", "-mc", f"{shlex.join(command)}; echo it is suspended; read -r; fg >/dev/null"]


@pytest.mark.parametrize("by_key", [True, False])
@pytest.mark.parametrize("lock_after", [0, 15])
def test_a_suspended_console_is_locked_when_it_is_continued(
    start: Callable[..., Terminal], by_key: bool, lock_after: int
) -> None:
    terminal = start(lock_after=lock_after, shell=by_key)
    assert "Quarterly" in terminal.text()
    drawn = suspend_and_continue(terminal, by_key)
    terminal.wait_for("Backup is locked")
    assert "Locked because it was suspended." in terminal.text() and "Quarterly" not in terminal.text()
    assert not by_key or b"Quarterly" not in drawn
    unlock(terminal)
    terminal.wait_for(f"{COPIES + 1} copies")
    assert terminal.leave() == 0


@pytest.fixture
def command(tmp_path: Path) -> list[str]:
    """Return the command of a console that cannot lock."""
    vault, _ = create_store(str(tmp_path / "s.db"), key_file=tmp_path / "key")
    vault.put(b"Subject: x\r\n\r\nx\r\n", CopyRecord(from_="z@example.org", subject=SUBJECT), stored_at=NOW)
    vault.close()
    return [sys.executable, "-m", "tui", "--store", str(tmp_path / "s.db"), "--key-file", str(tmp_path / "key")]


@pytest.mark.parametrize("through", [[], ["sh", "-c", '"$@"; exit $?', "sh"]], ids=["alone", "in a job"])
def test_a_console_that_cannot_lock_goes_on_when_it_is_continued(
    command: list[str], through: list[str], tmp_path: Path
) -> None:
    """Also if another program of its job started it, as `make demo` does."""
    terminal = Terminal(tmp_path, tmp_path, columns=100, lines=30, command=in_shell([*through, *command]))
    try:
        terminal.wait_for("Quarterly")
        suspend_and_continue(terminal, by_key=True)
        terminal.wait_for("Quarterly")
        assert "cannot lock" not in terminal.text() and "before locking" not in terminal.text()
        assert terminal.leave() == 0
    finally:
        terminal.close()


@pytest.mark.parametrize("through", [[], ["sh", "-c", '"$@"; exit $?', "sh"]], ids=["alone", "in a shell's command"])
def test_what_nothing_could_continue_is_not_suspended(command: list[str], through: list[str], tmp_path: Path) -> None:
    """As after `ssh -t host mailhold`."""
    terminal = Terminal(tmp_path, tmp_path, columns=100, lines=30, command=[*through, *command])
    try:
        terminal.wait_for("Quarterly")
        terminal.type(b"\x1a")
        terminal.wait_for("it is not suspended")
        assert terminal.leave() == 0
    finally:
        terminal.close()


def test_a_locked_console_ends_with_its_terminal(start: Callable[..., Terminal]) -> None:
    terminal = start()
    terminal.press(LOCK)
    terminal.wait_for("Backup is locked")
    terminal.hang_up()
    assert terminal.ended() == 129


def test_a_store_that_no_passphrase_opens_is_not_locked(tmp_path: Path) -> None:
    vault, _ = create_store(str(tmp_path / "s.db"), key_file=tmp_path / "key")
    change_settings(vault, Settings(lock_after=5))
    vault.close()
    command = [sys.executable, "-m", "tui", "--store", str(tmp_path / "s.db"), "--key-file", str(tmp_path / "key")]
    terminal = Terminal(tmp_path, tmp_path, columns=100, lines=30, command=command)
    try:
        terminal.wait_for("The console cannot lock, because no passphrase opens this store.")
        terminal.press(b"h")
        terminal.press(LOCK)
        terminal.wait_for("The console cannot lock, because no passphrase opens this store.")
        assert terminal.leave() == 0
    finally:
        terminal.close()


def test_a_locked_console_is_found_where_this_one_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """`-P` excludes the current folder from imports, so the test names the packages' folder."""
    became: list[tuple[list[str], str]] = []
    monkeypatch.setattr("tui.console.lock.lock.show_typing", lambda _: False)
    monkeypatch.setattr(os, "execve", lambda _, argv, environment: became.append((argv, environment["PYTHONPATH"])))
    handover = Handover("s.db", "", "", b"")
    become_locked(handover, "tui.commands.locked")
    [(argv, path)] = became
    assert argv[1:4] == ["-P", "-m", "tui.commands.locked"]
    assert received(int(argv[4])) == Handover("s.db", "", "", b"", echo=False)
    assert (Path(path.split(os.pathsep)[0]) / "tui" / "commands" / "locked.py").is_file()


def test_a_defect_of_a_locked_console_shows_a_sentence_and_no_passphrase(capsys: pytest.CaptureFixture[str]) -> None:
    app = LockApp("/nowhere/backup.db")

    def defect() -> None:
        passphrase = "SECRET PASSPHRASE"
        raise RuntimeError(passphrase)

    app.call_later(defect)
    app.run(headless=True)
    said = capsys.readouterr().err
    assert "RuntimeError" in said and "SECRET" not in said and "Traceback" not in said


async def test_the_window_says_what_escape_does() -> None:
    app = LockApp("/nowhere/backup.db")
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        await pilot.press(*"secret")
        assert "Esc clear" in str(app.screen.query_one("#dialog").border_subtitle)
        await pilot.press("escape")
        assert isinstance(app.screen, LockDialog) and app.screen.query_one("#passphrase", Field).value == ""
