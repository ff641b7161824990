"""A console in a terminal with random typing, and its effects: on the store, the files, and its trace."""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from store.authority.settings import Settings
from store.mail.outcome import State
from store.opening.opening import create_store
from store.space.changing_settings import change_settings
from tests import prepared
from tests.tui.console import rule_data
from tests.tui.console.fakes import NOW, sample

#: Copies in Backup, and in the bin, from two acts.
COPIES, BINNED = 40, 6
#: A window ignores keys for this long (s) after its first frame: the required delay, not read from the code.
SEEN = 0.3
#: Tables that the console writes without any key press: data derived from copies, such as traits and campaigns. The row
#: of `state` that counts these is ignored too.
_OWN = ("sqlite_sequence", "derived")
_ROWS = {"state": "SELECT * FROM state WHERE id <> 3"}


def letter(number: int) -> bytes:
    """Make the message of a copy, of a campaign, so that there is one to act on."""
    return (
        b"From: Billing <a%d@h%d.example>\r\nSubject: Invoice %d is overdue\r\n\r\nDear customer, your invoice of the "
        b"last month is overdue. Pay today what is left of it at http://pay.example/bill/now or call us.\r\n"
    ) % (number, number % 7, number)


def make_store(folder: Path) -> tuple[Path, Path]:
    """Make a store with a relay, rules, address lists, and deliveries that failed, were cancelled and are unknown."""
    from store.authority.deleting import delete_copies
    from store.campaigns.finding import find
    from store.delivery.queue import cancel, deliveries, release

    store, key_file = folder / "s.db", folder / "key"
    vault, _ = create_store(str(store), key_file=key_file)
    vault.put_many((letter(n), sample(n), NOW - n * 60_000) for n in range(1, COPIES + BINNED + 1))
    for first in (COPIES + 1, COPIES + BINNED // 2 + 1):
        delete_copies(vault, range(first, first + BINNED // 2), operator="ada")
    rule_data.fill(vault)
    change_settings(vault, Settings(relay="smtp://127.0.0.1:9", allow_infected=True))
    release(vault, range(1, 7), original=True, operator="ada")
    table = vault.models.DeliveryRecipient
    for place, delivery in enumerate(deliveries(vault)):
        cancel(vault, delivery.id, "ada")
        state = (State.CANCELLED, State.FAILED, State.UNKNOWN)[place % 3]
        with vault.write():
            table.update(state=state.value).where(table.delivery_id == delivery.id).execute()
            owner = vault.models.Delivery
            owner.update(state=state.value).where(owner.id == delivery.id).execute()
    find(vault)
    vault.close()
    return store, key_file


class Found(NamedTuple):
    """The data that must not change by accident."""

    rows: dict[str, list[tuple[Any, ...]]]
    files: set[str]

    def differs(self, other: Found) -> str:
        """Name a difference, or ""."""
        names = [name for name in self.rows if self.rows[name] != other.rows.get(name)]
        return ", ".join([*names, *sorted(self.files ^ other.files)])


class Step(NamedTuple):
    """Bytes sent at once, and the wait after them (s), which begins once `until` was shown."""

    sent: bytes
    gap: float
    until: bytes = b""


class Console:
    """`mailhold` on a store, in its own folder and terminal; the output is discarded."""

    def __init__(self, folder: Path, store: Path, key_file: Path, *, columns: int = 100, lines: int = 30) -> None:
        self.folder, self.store, self.key_file = folder, store, key_file
        self._size = (columns, lines)
        self._starts = 0
        self.pid = 0
        self.shown = b""
        self._count = 0
        self.start()

    def start(self) -> None:
        """Start it, and wait until it is running."""
        self._starts += 1
        self.trace = self.folder / f"trace-{self._starts}"
        self._read = 0
        work = self.folder / "work"
        work.mkdir(exist_ok=True)
        others = ("COLUMNS", "LINES", "MAILHOLD_DEBUG")
        environment = {name: value for name, value in os.environ.items() if name not in others}
        environment |= {
            "TERM": "xterm-256color",
            "COLORTERM": "truecolor",
            "LANG": "C.UTF-8",
            "MAILHOLD_KEYS": "/nowhere",
            "MAILHOLD_TRACE": str(self.trace),
            "HOME": str(work),
            "PYTHONPATH": os.environ.get("MAILHOLD_UNDER_TEST", str(Path(__file__).parents[3])),
        }
        run = "import sys; from tui.commands.cli import main; sys.exit(main(sys.argv[1:]))"
        self.pid, self._fd = prepared.in_terminal(
            [sys.executable, "-c", run, "--store", str(self.store), "--key-file", str(self.key_file)],
            environment=environment,
            size=self._size,
            cwd=work,
            plainly="MAILHOLD_UNDER_TEST" in os.environ,
        )
        self._drain = threading.Thread(target=self._discard, args=(self._fd,), daemon=True)
        self.shown = b""
        self._drain.start()
        end = time.monotonic() + 60
        while b"MTA" not in self.shown and str(COPIES - 1).encode() not in self.shown:
            assert time.monotonic() < end, f"the console did not come: {self.shown[-2000:]!r}"
            time.sleep(0.05)
        time.sleep(0.4)

    def _discard(self, fd: int) -> None:
        while True:
            try:
                part = os.read(fd, 1 << 16)
            except OSError:
                return
            if not part:
                return
            self.shown = (self.shown + part)[-(1 << 16) :]
            self._count += len(part)

    @property
    def alive(self) -> bool:
        """Return True while it runs; reap it once it has ended."""
        if self.pid and os.waitpid(self.pid, os.WNOHANG)[0]:
            self.pid = 0
            os.close(self._fd)
        return bool(self.pid)

    def send(self, steps: Iterable[Step]) -> None:
        """Type with the pauses of the steps. Send nothing more once the console has ended."""
        for step in steps:
            if not self.alive:
                return
            before = self._count
            try:
                os.write(self._fd, step.sent)
            except OSError:
                return
            end = time.monotonic() + 60
            while step.until and step.until not in self.shown[max(0, len(self.shown) - self._count + before) :]:
                assert time.monotonic() < end, f"{step.until!r} was not shown: {self.shown[-2000:]!r}"
                time.sleep(0.02)
            time.sleep(step.gap)

    def wait_seen(self, windows: int) -> None:
        """Wait until this many windows were painted, by the trace, and the last one counts keys."""
        end = time.monotonic() + 60
        while True:
            lines = [json.loads(line) for line in self.trace.read_bytes().splitlines()]
            painted = [line["armed"] for line in lines if line["what"] == "painted"]
            if len(painted) >= windows:
                break
            assert time.monotonic() < end, f"no window came: {self.shown[-2000:]!r}"
            time.sleep(0.02)
        time.sleep(max(0.0, painted[-1] + 0.15 - time.monotonic()))

    def settle(self, quiet: float = 0.2, seconds: float = 20) -> None:
        """Wait until the trace and the terminal are silent for `quiet` seconds."""
        end, since, before = time.monotonic() + seconds, time.monotonic(), (0, b"")
        while time.monotonic() < end:
            now = (self.trace.stat().st_size if self.trace.exists() else 0, self.shown)
            if now != before:
                before, since = now, time.monotonic()
            elif time.monotonic() - since > quiet:
                return
            time.sleep(0.02)

    def traced(self) -> list[dict[str, Any]]:
        """Return the lines of the trace since the last call."""
        if not self.trace.exists():
            return []
        with self.trace.open("rb") as file:
            file.seek(self._read)
            data = file.read()
        whole = data[: data.rfind(b"\n") + 1]
        self._read += len(whole)
        return [json.loads(line) for line in whole.splitlines()]

    def found(self) -> Found:
        """Return the store's rows, except those that the console writes by itself, and the files in its folder."""
        with sqlite3.connect(f"file:{self.store}?mode=ro", uri=True) as db:
            names = [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            rows = {
                name: sorted(db.execute(_ROWS.get(name, f'SELECT * FROM "{name}"')).fetchall(), key=repr)
                for name in names
                if name not in _OWN
            }
        db.close()
        files = {str(path) for path in (self.folder / "work").rglob("*") if path.is_file()}
        return Found(rows, files)

    def close(self) -> None:
        """End it if it still runs."""
        if self.alive:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
            self.pid = 0
            os.close(self._fd)


def meant(trace: Iterable[dict[str, Any]], windows: dict[str, float]) -> bool:
    """Return True if Enter or Space was pressed in a window that had been visible long enough.

    `windows` holds, across calls, when the window of each class was last painted (by the trace).
    """
    found = False
    for line in sorted(trace, key=lambda line: line["now"]):
        if line["what"] == "painted":
            windows[line["window"]] = line["at"]
        elif line["what"] == "pressed" and line["name"] in ("enter", "space") and line["window"] in windows:
            found = found or line["at"] >= windows[line["window"]] + SEEN
    return found


#: How to open each screen and window; random keys follow.
_WAYS = (
    *(b"%d" % place for place in range(1, 10)), b"9\r", b"9u", b"9d", b"9E", b"9\ru", b"9\r*d", b"9\rr", b"9\rs",
    b"9\r\ru", b"9\r\rd", b"9\r\rr", b":bri", b"2\r", b"\t", b":", b"2d", b"2r", b"2s", b"2*d", b"2*r", b"2*s",
    b"2\rd", b"2\rr", b"2\rs", b"f", b"/", b"o", b"T", b"*U", b"y", b"B", b"?", b"4e", b"4J", b"4K", b"4a", b"4d",
    b"4\r", b"5a", b"5d", b"5f", b"8\r", b"8d", b"8*d", b"8o", b"8x", b"8e", b"8n", b"8m", b"8\rp", b"8\r p",
    b"8\r]p", b"8\rd", b"8\rr", b"2c", b"2cp",
    b"3r", b"3jr", b"3jjr", b"3c", b"7\r", b":del", b":sen", b":ena",
)  # fmt: skip
_LETTERS = [bytes([code]) for code in range(33, 127)]
_TELLING = [b"d", b"e", b"r", b"s", b"y", b"o", b"c", b"*", b"J", b"K", b"a", b"4", b"0", b"1"]


def _key(dice: random.Random) -> bytes:
    draw = dice.random()
    if draw < 0.10:
        return b"\r"
    if draw < 0.16:
        return b" "
    if draw < 0.24:
        return b"\t"
    if draw < 0.30:
        return b"\x1b"
    return dice.choice(_TELLING if draw < 0.6 else _LETTERS)


def sequence(dice: random.Random) -> list[Step]:
    """Draw a sequence: back to the list, to some screen or window, then random keys in one way of typing."""
    steps = [Step(b"\x1b", 0.35), Step(b"\x1b", 0.12)]
    way = dice.choice(_WAYS)
    pause = dice.choice([0.0, 0.02, 0.1, 0.25, 0.4])
    style = dice.choice(["singly", "burst", "pasted", "bracketed", "mixed"])
    keys = [_key(dice) for _ in range(dice.randint(3, 14))]
    if style == "singly":
        return [*steps, *(Step(bytes([one]), 0.03) for one in way), Step(b"", pause), *_singly(keys, dice)]
    if style == "burst":
        return [*steps, Step(way + b"".join(keys), 0.1)]
    if style == "pasted":
        return [*steps, Step(way, pause), Step(b"".join(keys), 0.1)]
    if style == "bracketed":
        text = b"".join(key for key in keys if key != b"\x1b")
        return [*steps, Step(way, pause), Step(b"\x1b[200~" + text + b"\x1b[201~", 0.05), *_singly(keys[:3], dice)]
    half = len(keys) // 2
    return [*steps, Step(way, pause), Step(b"".join(keys[:half]), dice.uniform(0, 0.3)), *_singly(keys[half:], dice)]


def _singly(keys: Iterable[bytes], dice: random.Random) -> Iterator[Step]:
    for key in keys:
        yield Step(key, dice.choice([0.0, 0.01, 0.05, dice.uniform(0, 0.3)]))
