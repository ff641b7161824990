"""Two consoles and four commands release the same thousand copies at once: no recipient gets one twice.

Doubles are counted in the log of a receiver that fails, stalls and drops connections at random. The store's state of
each recipient must agree with that log.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from store.authority.settings import Settings
from store.delivery.outcomes import opened_rows
from store.mail.addresses import mailbox
from store.mail.outcome import HOLDING, State
from store.opening.opening import create_store
from store.space.changing_settings import change_settings
from store.terms.records import CopyRecord
from store.vault.vault import Vault
from tests import prepared
from tests.conftest import BACKENDS
from tests.store.mail.random_receiver import RandomReceiver, Taken
from tests.tui.pseudo_terminal import Terminal

#: Copies, users, commands, consoles.
COPIES, USERS, COMMANDS, CONSOLES = 1_000, 60, 4, 2
#: Retries of deferred messages in the test.
ROUNDS = 2


@pytest.fixture(params=BACKENDS)
def location(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return str(tmp_path / "s.store") if request.param == "sqlite" else request.getfixturevalue("empty_postgres")


@pytest.fixture
def filled(location: str, tmp_path: Path) -> Iterator[Vault]:
    """Make a store of copies to two or three of a few users each, in spellings that differ in case."""
    vault, _recovery = create_store(location, key_file=tmp_path / "key")
    vault.put_many(
        (
            f"Message-ID: <m{number}@corp.example>\r\nSubject: {number}\r\n\r\nbody\r\n".encode(),
            CopyRecord(
                subject=str(number),
                message_id=f"m{number}@corp.example",
                envelope_sender="s@corp.example",
                envelope_recipients=(
                    f"u{number % USERS}@corp.example",
                    f"u{(number + 7) % USERS}@corp.example",
                    f"U{number % USERS}@Corp.Example" if number % 3 else f"u{(number + 11) % USERS}@corp.example",
                ),
            ),
            None,
        )
        for number in range(COPIES)
    )
    yield vault
    vault.close()


def waiting(vault: Vault) -> Counter[str]:
    table = vault.models.Delivery
    with vault.reading():
        return Counter(state for (state,) in table.select(table.state).where(table.finished_at.is_null()).tuples())


def until(done: object, seconds: float, terminals: list[Terminal]) -> None:
    end = time.monotonic() + seconds
    while not done():  # type: ignore[operator]
        assert time.monotonic() < end, [terminal.text() for terminal in terminals]
        for terminal in terminals:
            terminal.read(0.1)


@pytest.mark.timeout(600)
def test_consoles_and_commands_at_once_send_to_nobody_twice(filled: Vault, tmp_path: Path) -> None:
    key = tmp_path / "key"
    command = [sys.executable, "-m", "tui", "deliver", "--all", "--yes", "--original", "--key-file", str(key)]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAILHOLD")}
    with RandomReceiver(seed=8) as receiver:
        change_settings(filled, Settings(relay=f"smtp://127.0.0.1:{receiver.port}"))
        opened = [sys.executable, "-m", "tui", "--store", filled.location, "--key-file", str(key)]
        consoles = [Terminal(tmp_path, key, columns=120, lines=40, command=opened) for _ in range(CONSOLES)]
        try:
            for console in consoles:
                console.wait_for(f"{COPIES:,}", 60)
                console.press(b"*")
                console.type(b"r")
                console.wait_for("To recipients' email", 60)
            time.sleep(0.5)
            for console in consoles:
                console.press(b" ")
            commands = [
                prepared.Popen(
                    [*command, "--store", filled.location],
                    stdout=subprocess.DEVNULL,
                    stderr=(tmp_path / f"err{number}").open("wb"),
                    env=environment,
                )
                for number in range(COMMANDS)
            ]
            for console in consoles:
                console.type(b"\r")
            until(lambda: all(each.poll() is not None for each in commands), 100, consoles)
            for console in consoles:
                # The notice says so, or the window with the skipped recipients.
                console.wait_for("laced in queue", 100)
            said = [(tmp_path / f"err{number}").read_text() for number in range(COMMANDS)]
            assert all(each.returncode in (0, 1) for each in commands), [err[-500:] for err in said]
            assert not any("not available" in err or "Traceback" in err for err in said), [err[-500:] for err in said]
            for again in range(ROUNDS + 1):
                until(lambda: not waiting(filled).keys() - {State.DEFERRED}, 100, consoles)
                if again < ROUNDS:
                    table = filled.models.Delivery
                    with filled.write():
                        table.update(next_attempt_at=1).where(table.state == State.DEFERRED).execute()
            for console in consoles:
                console.type(b"\x1b")
                console.read(0.5)
                assert console.leave() == 0
        finally:
            for console in consoles:
                console.close()
        _agrees(filled, receiver)


def _history(vault: Vault, receiver: RandomReceiver, message_id: str) -> str:
    """Tell what receiver and store know of a message: as it was taken, its deliveries, their recipients."""
    lines = [
        f"taken {place}: {each.address}" for place, each in enumerate(receiver.taken) if each.message_id == message_id
    ]
    [copy_id] = [copy.id for copy in vault.newest(COPIES) if copy.record.message_id == message_id]
    lines += [str(row) for row in opened_rows(vault, [copy_id])]
    deliveries, recipients = vault.models.Delivery, vault.models.DeliveryRecipient
    with vault.reading():
        for row in deliveries.select().where(deliveries.copy_id == copy_id).dicts():
            lines.append(str({name: value for name, value in row.items() if not isinstance(value, bytes | memoryview)}))
            of_it = recipients.select().where(recipients.delivery_id == row["id"]).dicts()
            lines += [f"  {each['id']} {each['state']} at {each['changed_at']}" for each in of_it]
    return "\n".join(lines)


def _agrees(vault: Vault, receiver: RandomReceiver) -> None:
    counts = Counter(Taken(each.message_id, mailbox(each.address)) for each in receiver.taken)
    twice = [each for each, count in counts.items() if count > 1]
    assert not twice, "\n".join(_history(vault, receiver, each.message_id) for each in twice)
    states: defaultdict[Taken, list[State]] = defaultdict(list)
    ids = {copy.id: copy.record.message_id for copy in vault.newest(COPIES)}
    for row in opened_rows(vault, list(ids)):
        states[Taken(ids[row.copy_id], mailbox(row.outcome.address))].append(row.outcome.state)
    assert len(ids) == COPIES and len(states) == sum(2 if number % 3 else 3 for number in range(COPIES))
    for recipient, found in states.items():
        holding = [state for state in found if state in HOLDING]
        assert len(holding) <= 1, (recipient, found)
        if State.SENT in found:
            assert counts[recipient] == 1, (recipient, found)
        elif State.UNKNOWN not in found:
            assert counts[recipient] == 0, (recipient, found)
    assert counts.keys() <= states.keys()
    # Every kind of fault occurred, and most messages arrived.
    assert {f"{where} {what}" for where, what in receiver.CHANCES} <= receiver.faults.keys(), receiver.faults
    assert len(counts) > len(states) * 0.7
