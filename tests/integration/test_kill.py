"""Kill import, worker and console with SIGKILL at seeded random moments; compare with a real Postfix's mailbox.

100 kills in all. No copy reported as placed is lost or damaged. Every delivery in the queue ends. A recipient gets a
message once, or at most once if it is reported as `unknown`, and a second time only if an operator sent it again. The
counts are printed.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import pty
import random
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from base64 import urlsafe_b64decode
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pyte
import pytest

from store.authority.settings import Settings
from store.check import check
from store.delivery.queue import deliveries, queue_length, release, retry
from store.delivery.release_rows import rows_for
from store.delivery.worker import DeliveryWorker
from store.mail.outcome import State
from store.opening.opening import create_store
from store.space.changing_settings import change_settings
from store.terms.records import CopyRecord
from store.vault.vault import Vault
from tests import prepared
from tests.integration.postfix import DOMAIN, Postfix, postfix

__all__ = ["postfix"]
pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

SEED = 20261124
IMPORTS, WORKERS, CONSOLES = 34, 33, 33
ROOT = Path(__file__).resolve().parents[2]


class Store:
    """A store opened by this process and by the processes that it kills."""

    def __init__(self, folder: Path) -> None:
        self.location, self.key_file = str(folder / "mail.store"), folder / "key"
        self.vault, _recovery = create_store(self.location, key_file=self.key_file)

    def child(self, mode: str, *rest: str) -> subprocess.Popen[bytes]:
        """Start a process of `kill_child` that writes to a pipe."""
        arguments = [sys.executable, "-m", "tests.integration.kill_child", mode, self.location, str(self.key_file)]
        return prepared.Popen([*arguments, *rest], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)

    def expire_leases(self) -> None:
        """Let the leases of a dead worker expire."""
        with self.vault.write():
            self.vault.models.Delivery.update(lease_until=1).where(
                self.vault.models.Delivery.state == State.SENDING
            ).execute()


@pytest.fixture
def killed(tmp_path: Path) -> Iterator[Store]:
    made = Store(tmp_path)
    yield made
    made.vault.close()


def message(number: int, size: int = 6000) -> bytes:
    body = f"body of {number} ".encode() * (size // 12)
    return b"Subject: number %d\r\nX-Number: %d\r\n\r\n" % (number, number) + body[:size] + b"\r\n"


def number_of(raw: bytes) -> int:
    match = re.search(rb"^X-Number: (\d+)\r?$", raw, re.MULTILINE)
    assert match
    return int(match[1])


def slain(process: subprocess.Popen[bytes]) -> bool:
    """Kill a process with SIGKILL; return False if it had already ended."""
    alive = process.poll() is None
    process.kill()
    process.wait(30)
    return alive


def report(capsys: pytest.CaptureFixture[str], text: str) -> None:
    with capsys.disabled():
        print(f"\n{text}")


def test_import(killed: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    dice = random.Random(SEED)
    vault, folder = killed.vault, tmp_path / "incoming"
    folder.mkdir()
    made = kills = reported = turn = seen = midway = 0
    placed: dict[int, int] = {}
    while kills < IMPORTS:
        turn += 1
        for _ in range(300 - len(list(folder.iterdir()))):
            (folder / f"{made:06}.eml").write_bytes(message(made, 20_000))
            made += 1
        if turn % 2:
            process = killed.child("import", str(folder))
            assert process.stdout
            first = process.stdout.readline()
            time.sleep(dice.uniform(0, 0.4))
            kills += slain(process)
            names = (first + process.stdout.read()).decode().split()
        else:
            command = [str(Path(sys.executable).with_name("mailhold")), "import", str(folder), "--json"]
            options = ["--store", killed.location, "--key-file", str(killed.key_file)]
            process = subprocess.Popen([*command, *options], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
            until, present = time.monotonic() + dice.uniform(0, 1), vault.count().messages
            while time.monotonic() < until and vault.count().messages == present:
                time.sleep(0.002)
            time.sleep(dice.uniform(0, 0.03))
            kills += slain(process)
            assert process.stdout
            names = [path.name for path in folder.iterdir()] if process.stdout.read() else []
        fresh = [copy_id for copy_id in vault.ids() if copy_id > seen]
        for copy_id in fresh:
            raw = vault.raw(copy_id)
            number = number_of(raw)
            assert raw == message(number, 20_000)
            assert number not in placed, f"message {number} was placed twice"
            placed[number] = copy_id
        seen = max(fresh, default=seen)
        for name in names:
            assert int(name.partition(".")[0]) in placed, f"{name} was reported as placed and is lost"
        reported += len(names)
        midway += 0 < len(fresh) < len(list(folder.iterdir()))
        for path in folder.iterdir():
            if int(path.stem) in placed:
                path.unlink()
    result = check(vault)
    assert result.broken == [] and result.checked >= len(placed)
    report(
        capsys,
        f"import: killed {kills} times ({midway} half-way); {made} messages, {len(placed)} placed, {reported} of them "
        f"reported before the kill; 0 lost, 0 damaged, 0 twice, {len(list(folder.iterdir()))} left to import",
    )
    assert midway and placed


def fill(vault: Vault, first: int, count: int) -> list[int]:
    """Put numbered copies from `first` on, each to two unique addresses."""
    items = [
        (
            message(number),
            CopyRecord(
                subject=f"number {number}",
                envelope_sender=f"sender@{DOMAIN}",
                envelope_recipients=(f"u{number}.a@{DOMAIN}", f"u{number}.b@{DOMAIN}"),
            ),
            None,
        )
        for number in range(first, first + count)
    ]
    return vault.put_many(items)


def mailbox(vault: Vault, server: Postfix) -> Counter[tuple[int, str]]:
    """Count the arrivals of each delivery's message per address; assert that each message is whole and right."""
    server.wait_until_empty()
    counts: Counter[tuple[int, str]] = Counter()
    for content in server.received():
        address = re.search(rb"^Delivered-To: (\S+)$", content, re.MULTILINE)
        marker = re.search(rb"^X-Mailhold-Delivery: 2; t=(\S+)$", content, re.MULTILINE)
        assert address and marker
        # Its row was durable before DATA, even if the worker was killed later.
        [row] = rows_for(vault, urlsafe_b64decode(marker[1] + b"=="), [address[1].decode()])
        number = number_of(content)
        assert content.endswith(message(number).replace(b"\r\n", b"\n"))
        assert address[1].startswith(b"u%d." % number)
        counts[row.delivery_id, address[1].decode()] += 1
    return counts


def reconcile(killed: Store, server: Postfix) -> tuple[int, int, int, int]:
    """Finish all deliveries and compare.

    Return the numbers of deliveries, sent, unknown, and those Postfix accepted.
    """
    vault = killed.vault
    killed.expire_leases()
    asyncio.run(asyncio.wait_for(DeliveryWorker(vault, owner="last").run_until_idle(), 120))
    assert queue_length(vault) == 0
    counts = mailbox(vault, server)
    sent = unknown = taken = 0
    suspects: set[tuple[int, str]] = set()
    for found in deliveries(vault):
        for each in found.recipients:
            got = counts.pop((found.id, each.address), 0)
            if each.state is State.SENT:
                assert got == 1, f"{each.address} of delivery {found.id} is sent, and {got} arrived"
                sent += 1
            else:
                assert each.state is State.UNKNOWN, f"{each.address} of delivery {found.id} is {each.state}"
                assert got <= 1, f"{each.address} of delivery {found.id} is unknown, and {got} arrived"
                unknown, taken = unknown + 1, taken + got
                suspects.add((found.id, each.address))
    assert not counts, f"mail that no delivery accounts for: {counts}"
    before = mailbox(vault, server)
    for delivery_id in {delivery_id for delivery_id, _ in suspects}:
        retry(vault, delivery_id, "operator")
    asyncio.run(asyncio.wait_for(DeliveryWorker(vault, owner="by hand").run_until_idle(), 120))
    after = mailbox(vault, server)
    expected = {(found.id, each.address) for found in deliveries(vault) for each in found.recipients}
    assert set(after) == expected
    assert all(after[key] == before[key] + (key in suspects) for key in expected)
    assert check(vault).broken == []
    return len(deliveries(vault)), sent, unknown, taken


@pytest.fixture
def emptied(postfix: Postfix) -> Postfix:
    for path in postfix.maildir.glob("*/*"):
        path.unlink()
    return postfix


def test_worker(killed: Store, emptied: Postfix, capsys: pytest.CaptureFixture[str]) -> None:
    dice = random.Random(SEED + 1)
    change_settings(killed.vault, Settings(relay=f"smtp://127.0.0.1:{emptied.port}", release_loops=True))
    kills = 0
    for turn in range(WORKERS):
        if queue_length(killed.vault) < 40:
            release(killed.vault, fill(killed.vault, turn * 100, 30), original=True)
        process = killed.child("worker")
        assert process.stdout and process.stdout.readline() == b"ready\n"
        time.sleep(dice.uniform(0, 0.4))
        kills += slain(process)
        killed.expire_leases()
    queued, sent, unknown, taken = reconcile(killed, emptied)
    report(
        capsys,
        f"worker: killed {kills} times; {queued} deliveries to {sent + unknown} recipients: {sent} sent once, "
        f"{unknown} unknown ({taken} of them had arrived), 0 lost, 0 twice but where sent again by hand",
    )
    assert kills == WORKERS


class Console:
    """The console in a pseudo-terminal, with a readable screen."""

    def __init__(self, killed: Store, begin: type[subprocess.Popen[bytes]]) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
        command = [str(Path(sys.executable).with_name("mailhold")), "--store", killed.location]
        environment = os.environ | {"TERM": "xterm-256color", "MAILHOLD_KEY_FILE": str(killed.key_file)}
        self.process = begin(command, stdin=slave, stdout=slave, stderr=slave, env=environment, start_new_session=True)
        os.close(slave)
        self._screen = pyte.Screen(100, 30)
        self._stream = pyte.ByteStream(self._screen)

    def read(self, seconds: float) -> str:
        """Read for at most `seconds`; return the screen."""
        if select.select([self._master], [], [], max(0, seconds))[0]:
            try:
                self._stream.feed(os.read(self._master, 1 << 16))
            except OSError:
                time.sleep(max(0, min(seconds, 0.05)))
        return "\n".join(self._screen.display)

    def press(self, keys: bytes) -> None:
        os.write(self._master, keys)

    def kill(self) -> bool:
        """Kill it and its children; return False if it had already ended."""
        alive = slain(self.process)
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        os.close(self._master)
        return alive


@pytest.fixture
def consoles() -> Iterator[Callable[..., Console]]:
    """Start consoles; kill the last one if a test fails before doing so."""
    started: list[Console] = []

    def start(killed: Store, *, plainly: bool) -> Console:
        started.append(Console(killed, subprocess.Popen if plainly else prepared.Popen))
        return started[-1]

    yield start
    if started and started[-1].process.returncode is None:
        started[-1].kill()


def test_console(
    killed: Store, emptied: Postfix, consoles: Callable[..., Console], capsys: pytest.CaptureFixture[str]
) -> None:
    """An operator delivers the newest copy by keyboard while the console's own worker sends the queue."""
    dice = random.Random(SEED + 2)
    vault = killed.vault
    change_settings(vault, Settings(relay=f"smtp://127.0.0.1:{emptied.port}", release_loops=True))
    kills = noticed = ordered = 0
    for turn in range(CONSOLES):
        if queue_length(vault) < 20:
            release(vault, fill(vault, turn * 100, 15), original=True)
        [newest] = fill(vault, turn * 100 + 50, 1)
        console = consoles(killed, plainly=turn % 10 == 0)
        until = time.monotonic() + 30
        while "Deliver" not in (screen := console.read(0.2)) or f"number {turn * 100 + 50}" not in screen:
            assert time.monotonic() < until and console.process.poll() is None, f"the console shows:\n{screen}"
        patient = turn % 4 == 0
        moment = time.monotonic() + (15 if patient else dice.uniform(0, 2.5))
        checked = accepted = notice = False
        asked = seen = 0.0
        while (left := moment - time.monotonic()) > 0:
            screen = console.read(min(left, 0.05))
            if not checked and time.monotonic() > asked and "Deliver message" not in screen:
                console.press(b"r")
                asked = time.monotonic() + 1
            if "[ ] To recipients" in screen:
                seen = seen or time.monotonic()
            if not checked and seen and time.monotonic() > seen + 0.4:  # A window ignores keys right after it opens.
                console.press(b" ")
                checked = True
            if not accepted and "[x] To recipients" in screen:
                console.press(b"\r")
                accepted = True
            if not notice and "placed in queue for delivery" in screen:
                notice = True
                moment = min(moment, time.monotonic() + dice.uniform(0, 0.3))
        assert notice or not patient, f"no notice appeared:\n{screen}"
        kills += console.kill()
        killed.expire_leases()
        mine = [found for found in deliveries(vault) if found.copy_id == newest]
        assert len(mine) <= 1
        assert mine or not notice, "the console said that the delivery was queued, and it is lost"
        noticed, ordered = noticed + notice, ordered + bool(mine)
    queued, sent, unknown, taken = reconcile(killed, emptied)
    report(
        capsys,
        f"console: killed {kills} times; {ordered} deliveries ordered by keyboard ({noticed} of them had been "
        f"noticed on screen); {queued} deliveries to {sent + unknown} recipients: {sent} sent once, {unknown} unknown "
        f"({taken} of them had arrived), 0 lost, 0 twice but where sent again by hand",
    )
    assert kills == CONSOLES and noticed
