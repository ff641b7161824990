"""A hundred thousand copies by keyboard alone, in a real terminal: filter, mark all, save, deliver, delete, cancel."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from store.authority.settings import Settings
from store.opening.opening import Unlock, create_store, open_store
from store.space.changing_settings import change_settings
from store.terms.records import CopyRecord
from store.terms.verdicts import Engine, Status, Verdict
from store.vault.vault import Vault
from tests.tui.console.fakes import NOW
from tests.tui.pseudo_terminal import Terminal
from tui.demo.receiver import HOST, Receiver

COUNT, BATCH = 100_000, 500
SPAM = Verdict(Engine.ANTI_SPAM, Status.SPAM, "27.5 of 15.0")


def mail() -> Iterable[tuple[bytes, CopyRecord, int]]:
    for number in range(COUNT):
        subject = "quarterly batch" if number % (COUNT // BATCH) == 0 else f"invoice {number}"
        to = f"user{number % 1009}@corp.example"
        raw = f"From: s@shop.example\r\nTo: {to}\r\nSubject: {subject}\r\n\r\nNumber {number}\r\n".encode()
        record = CopyRecord(
            from_=f"Shop {number % 97} <s@shop.example>",
            to=to,
            subject=subject,
            envelope_sender="s@shop.example",
            envelope_recipients=(to,),
            verdicts=(SPAM,),
            reason=SPAM,
        )
        yield raw, record, NOW - (COUNT - number) * 1000


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[Receiver]:
    receiver = Receiver(tmp_path / "received")
    receiver.start()
    yield receiver
    receiver.stop()


@pytest.fixture
def files(tmp_path: Path, receiver: Receiver) -> tuple[Path, Path]:
    store, key_file = tmp_path / "s.db", tmp_path / "key"
    vault, _ = create_store(str(store), key_file=key_file)
    vault.put_many(mail())
    change_settings(vault, Settings(relay=f"smtp://{HOST}:{receiver.port}"))
    vault.close()
    return store, key_file


@pytest.fixture
def terminal(files: tuple[Path, Path]) -> Iterator[Terminal]:
    opened = Terminal(*files, columns=110, lines=30, plainly=True)
    opened.wait_for(f"{COUNT:,} copies", 60)
    yield opened
    opened.close()


def opened(files: tuple[Path, Path]) -> Vault:
    return open_store(str(files[0]), Unlock.key_file(files[1]))


@pytest.mark.timeout(600)
def test_by_keyboard_alone(terminal: Terminal, files: tuple[Path, Path], receiver: Receiver, tmp_path: Path) -> None:
    for _ in range(60):  # The last copy is in the list once all are loaded.
        terminal.press(b"G")
        if "invoice 1 " in terminal.text():
            break
    assert "invoice 1 " in terminal.text()
    terminal.press(b"g")
    terminal.wait_for(f"invoice {COUNT - 1}")

    terminal.press(b"/subject:batch\r")
    terminal.wait_for(f"{BATCH} shown of {COUNT:,}")
    terminal.press(b"*")
    terminal.wait_for(f"{BATCH} marked")

    folder = tmp_path / "saved"
    folder.mkdir()
    terminal.press(b"s")
    terminal.wait_for("Save message")
    terminal.press(b"\x15" + str(folder).encode() + b"\r")
    terminal.wait_for(f"{BATCH} messages have been saved")
    saved = [path.read_bytes() for path in folder.iterdir()]
    assert len(saved) == BATCH
    assert len(set(saved)) == BATCH

    terminal.press(b"r")
    terminal.wait_for(f"{BATCH} copies, no recipients selected")
    terminal.press(b" ")
    terminal.wait_for(f"{BATCH} copies and {BATCH} addresses chosen")
    terminal.press(b"\r")
    terminal.wait_for(f"No number was typed: type {BATCH}")
    terminal.press(b"%d" % BATCH)
    terminal.press(b"\r")
    terminal.wait_for("Messages have been placed in queue for delivery", 60)
    until = time.monotonic() + 120
    while receiver.arrived < BATCH and time.monotonic() < until:
        terminal.read(0.2)
    assert receiver.arrived == BATCH

    terminal.press(b"\x1b")
    terminal.wait_for(f"{COUNT:,} copies")
    terminal.press(b"*d")
    terminal.wait_for(f"Delete {COUNT:,} message copies")
    terminal.press(b"100000")
    terminal.press(b"\r\x18")  # Delete, and cancel at once.
    terminal.wait_for("Cancelled: ", 60)
    said = re.search(r"Cancelled: ([\d,]+) of 100,000 were deleted, ([\d,]+) were left as before", terminal.text())
    assert said, terminal.text()
    deleted, left = (int(number.replace(",", "")) for number in said.groups())
    vault = opened(files)
    assert (deleted + left, left) == (COUNT, vault.count().messages)

    terminal.wait_for(f"{left:,} marked")
    terminal.press(b"d")
    terminal.wait_for(f"Delete {left:,} message copies")
    terminal.press(f"{left}".encode())
    terminal.press(b"\r")
    terminal.wait_for("Marked messages have been deleted", 120)
    assert vault.count().messages == 0
    vault.close()
