"""A pseudo-terminal receives no escape sequence of hostile mail from the real program.

Every escape sequence in the mail has a distinctive word (31337 or OWNED), so that it is told from the console's.
"""

from __future__ import annotations

import base64
import os
import re
import select
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pyte
import pytest

from store.authority.settings import Settings
from store.message.message import summarise
from store.opening.opening import Unlock, create_store, open_store
from store.space.changing_settings import change_settings
from store.terms.verdicts import Engine, Status, Verdict
from tests import prepared

_COLUMNS, _LINES = 150, 45
_DEADLINE = 60.0

_SEQUENCE = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[P_^X][^\x1b]*\x1b\\|[ -/]*[0-~])", re.DOTALL
)
_NEVER = re.compile(
    "[\x80-\x9f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff\ufff9-\ufffb\ue000-\uf8ff"
    "\U000e0000-\U000fffff]"
)
_EVIL = (
    "\x1b]0;OWNED\x07\x1b[31337m\x1bP31337q\x1b\\\x9b31337m\x9d0;OWNED\x9c\u202egnp\u2066\u200b\x0e\x08\x7f\x00"
    "[@click=app.quit]x[/]"
)


def _word(text: str) -> str:
    return f"=?utf-8?b?{base64.b64encode(text.encode()).decode()}?="


def _message(number: int) -> bytes:
    evil = f"n{number} {_EVIL}"
    html = (
        f"<p>shown{number} {evil} <a href='http://evil.example/{evil}'>www.bank.example {evil}</a></p>"
        f"<p style='display:none'>hidden {evil}</p>&#27;]0;OWNED&#7;&#x9b;31337m"
    )
    return (
        b"\r\n".join(
            [
                f"From: {_word(evil)} <a@b.example>".encode(),
                f"To: {_word(evil)} <c@d.example>".encode(),
                b"Cc: raw \x1b[31337m\x9b31337m <e@f.example>",
                f"Subject: {_word(evil)}".encode(),
                f"Message-ID: <{_word(evil)}@x>".encode(),
                f"X-Evil-{number}: {_word(evil)}".encode(),
                b"X-Raw: " + _EVIL.replace("\0", "").encode(),
                b"Date: Tue, 24 Nov 2026 08:10:47 +0100",
                b"Content-Type: multipart/mixed; boundary=x",
                b"",
                b"--x",
                b"Content-Type: text/html; charset=utf-8",
                b"",
                html.encode(),
                b"--x",
                f'Content-Type: "a/b{_word(evil)}"; name="{_word(evil)}"'.encode(),
                b"Content-Disposition: attachment; filename*=utf-8''../..%2F%1B%5D0;OWNED%07%C2%9B31337m.exe",
                b"",
                b"MZ data",
                b"--x--",
            ]
        )
        + b"\r\n"
    )


class Terminal:
    """A `mailhold` command on a pseudo-terminal: its screen as a terminal shows it, and every byte that it sent."""

    def __init__(self, arguments: list[str], environment: dict[str, str]) -> None:
        self.received = b""
        self.screen = pyte.Screen(_COLUMNS, _LINES)
        self.stream = pyte.ByteStream(self.screen)
        command = [sys.executable, "-m", "tui", *arguments]
        self.pid, self.fd = prepared.in_terminal(command, environment=environment, size=(_COLUMNS, _LINES))
        self.ended = False

    def pump(self, seconds: float) -> None:
        """Read output for this long, or until the program ends."""
        until = time.monotonic() + seconds
        while not self.ended and (left := until - time.monotonic()) > 0:
            if not select.select([self.fd], [], [], left)[0]:
                return
            try:
                data = os.read(self.fd, 1 << 16)
            except OSError:
                data = b""
            self.ended = not data
            self.received += data
            self.stream.feed(data)

    def text(self) -> str:
        """Return the lines of the screen."""
        return "\n".join(self.screen.display)

    def wait(self, what: Callable[[str], bool], why: str) -> str:
        """Wait until the screen shows the text; return the screen."""
        until = time.monotonic() + _DEADLINE
        while not what(self.text()):
            assert time.monotonic() < until, f"{why}\n{self.text()}"
            assert not self.ended, f"{why}: it ended\n{self.text()}"
            self.pump(0.1)
        self.pump(0.2)
        return self.text()

    def press(self, keys: str, word: str) -> str:
        """Press keys and wait for a word on the screen."""
        os.write(self.fd, keys.encode())
        return self.wait(lambda text: word in text, f"no {word!r} after {keys!r}")

    def leave(self, word: str) -> str:
        """Press Esc and wait until a word is gone from the screen. A key pressed at once would be Alt with that key."""
        os.write(self.fd, b"\x1b")
        return self.wait(lambda text: word not in text, f"{word!r} stays after Esc")

    def drain(self) -> None:
        """Read output until none has come for half a second, so that no escape sequence is cut."""
        before = -1
        while before < len(self.received):
            before = len(self.received)
            self.pump(0.5)

    def close(self) -> None:
        """End the program."""
        if not self.ended:
            os.kill(self.pid, signal.SIGKILL)
        os.close(self.fd)
        os.waitpid(self.pid, 0)


def _assert_harmless(received: bytes) -> None:
    text = received.decode("utf-8")
    assert not _NEVER.search(text)
    for sequence in _SEQUENCE.findall(text):
        assert "31337" not in sequence
        assert "OWNED" not in sequence
        assert "evil" not in sequence
    rest = _SEQUENCE.sub("", text)
    assert not re.search("[\0-\x06\x0b-\x0c\x0e-\x1f\x7f]", rest), re.findall("[\0-\x1f\x7f].{0,20}", rest)[:5]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Make a store of hostile mail, and an environment in which the command finds it."""
    location, key = str(tmp_path / "mail.store"), tmp_path / "key"
    vault, _ = create_store(location, key_file=key)
    vault.close()
    vault = open_store(location, Unlock.key_file(key))
    for number in range(3):
        raw = _message(number)
        record = summarise(raw, envelope_sender=f"s{_EVIL}@b.example", envelope_recipients=[f"r{_EVIL}@d.example"])
        verdict = Verdict(Engine.ANTI_PHISHING, Status.PHISHING, f"detail {_EVIL}")
        record = type(record)(
            **{name: getattr(record, name) for name in record.__struct_fields__}
            | {
                "verdicts": (verdict,),
                "reason": verdict,
                "rule_name": f"rule {_EVIL}",
                "mta_message_id": f"id{_EVIL}",
                "client_address": _EVIL,
                "source": f"from {_EVIL}",
                "blacklisted_by": (f"u{_EVIL}",),
            }
        )
        vault.put(raw, record)
    change_settings(vault, Settings(relay="smtp://127.0.0.1:1"))
    vault.close()
    kept = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH") if name in os.environ}
    return kept | {
        "HOME": str(tmp_path),
        "TERM": "xterm-256color",
        "COLORTERM": "truecolor",
        "LC_ALL": "C.UTF-8",
        "TZ": "UTC",
        "PYTHONPATH": str(Path(__file__).resolve().parents[3]),
        "MAILHOLD_STORE": location,
        "MAILHOLD_KEY_FILE": str(key),
    }


@pytest.fixture
def run(environment: dict[str, str]) -> Iterator[Callable[..., Terminal]]:
    """Start a command on its own terminal."""
    started: list[Terminal] = []

    def start(*arguments: str) -> Terminal:
        started.append(Terminal(list(arguments), environment))
        return started[-1]

    yield start
    for terminal in started:
        terminal.close()


def test_the_console_sends_nothing_of_the_mails_making(run: Callable[..., Terminal]) -> None:
    console = run()
    console.wait(lambda text: "n2 ␛]0;" in text and "n0 ␛]0;" in text, "the list does not show the mail")
    console.press("\r", "To messages list")
    console.wait(lambda text: "Time placed in Backup" in text and "␛]0;OWNED" in text, "the view shows no fields")
    for word in ("[hidden text", "X-Evil-2", "multipart/mixed; boundary", "SHA-256", "hxxp://evil[.]example"):
        console.press("]", word)
        console.press("\x1b[B\x1b[B", word)
    console.press("q", "Search filter")
    console.press("/", "To the list")
    console.press("n1", "1 shown")
    console.press("\x1b", "n2 ␛]0;")
    console.press("r", "Deliver message")
    console.leave("Deliver message")
    console.press("d", "Delete message")
    console.leave("Delete message")
    console.press("?", "Help")
    console.drain()
    assert "OWNED" not in console.screen.title
    _assert_harmless(console.received)


@pytest.mark.parametrize(
    "arguments",
    [
        ("list",),
        ("list", "--sort", "subject"),
        ("list", "--json"),
        ("show", "1"),
        ("show", "1", "--json"),
        ("import", f"no such{_EVIL}".replace("\0", "")),
        ("list", f"subject:{_EVIL} size:<=".replace("\0", "")),
        ("show", "\x1b[31337m"),
        ("settings", "set", "x\x1b[31337m=\x9b31337m"),
        ("deliver", "1", "--also", "x\x1b[31337m"),
        ("status",),
        ("queue",),
        ("check",),
        ("\x1b[31337m",),
    ],
)
def test_commands_send_nothing_of_the_mails_making(arguments: tuple[str, ...], run: Callable[..., Terminal]) -> None:
    command = run(*arguments)
    until = time.monotonic() + _DEADLINE
    while not command.ended:
        assert time.monotonic() < until, command.text()
        command.pump(1)
    assert command.received
    _assert_harmless(command.received)
    assert "Traceback" not in command.text()
