"""A killed gateway: its end is known at once on this machine, and the next process takes back what it held."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from store.authority.audit import events
from store.authority.settings import Settings
from store.database.connection import run
from store.delivery.leases import LEASE
from store.delivery.queue import release
from store.enrolment.enrolled import Running, delivery_target, gateways, running
from store.enrolment.enrolment import enroll
from store.enrolment.presence import is_here
from store.space.changing_settings import change_settings
from store.terms.gateway_events import STARTED, STOPPED
from store.terms.records import CopyRecord
from store.upgrading.upgrading import running_gateways
from store.vault.vault import Vault
from tests import prepared

ROOT = Path(__file__).resolve().parents[3]


def until(what: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end
        time.sleep(0.02)


@contextmanager
def gateway(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Start the daemon as its own process; kill it at the end."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAILHOLD_")}
    words = [sys.executable, "-m", "tui", "gateway", "--config", str(folder / "mailhold.toml")]
    with (folder / "log").open("ab") as log:
        process = prepared.Popen(words, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        yield process
    finally:
        process.kill()
        process.wait(30)


def test_a_killed_gateway_is_gone_at_once_and_takes_its_leases_back(any_vault: Vault, tmp_path: Path) -> None:
    vault = any_vault
    credentials = tmp_path / "mx1"
    number = enroll(vault, "mx1", credentials)
    (tmp_path / "mailhold.toml").write_text(
        f'[store]\nlocation = "{vault.location}"\ncredentials = "{credentials}"\n'
        f'[milter]\nlisten = ["unix:{tmp_path}/milter.sock"]\n'
    )

    def state() -> Running:
        [each] = gateways(vault)
        return running(vault, each.id, each.alive_at)

    def claims() -> int:
        with vault.reading():
            return int(run(vault.db, "SELECT lease_token FROM delivery").fetchone()[0])

    with socket.create_server(("127.0.0.1", 0)) as relay:  # A relay that accepts connections and never answers.
        change_settings(vault, Settings(relay=f"smtp://127.0.0.1:{relay.getsockname()[1]}"))
        vault.put(b"Subject: x\r\n\r\nbody\r\n", CopyRecord(envelope_recipients=("b@y.example",)))
        with gateway(tmp_path) as first:
            until(lambda: state() is Running.YES)
            release(vault, [1], original=True)
            until(lambda: claims() == 1)
            first.kill()
            first.wait(30)
            until(lambda: state() is Running.NO, 5)
            assert delivery_target(vault).gateway_id != number
        with gateway(tmp_path):
            until(lambda: claims() == 2, LEASE / 2000)
            until(lambda: state() is Running.YES)


def test_a_second_process_by_mistake_does_not_tell_the_running_one_as_stopped(vault: Vault, tmp_path: Path) -> None:
    credentials = tmp_path / "mx1"
    enroll(vault, "mx1", credentials)
    (tmp_path / "mailhold.toml").write_text(
        f'[store]\nlocation = "{vault.location}"\ncredentials = "{credentials}"\n'
        f'[milter]\nlisten = ["unix:{tmp_path}/milter.sock"]\n'
    )

    def state() -> Running:
        [each] = gateways(vault)
        return running(vault, each.id, each.alive_at)

    with gateway(tmp_path):
        until(lambda: state() is Running.YES)
        with gateway(tmp_path) as second:
            assert second.wait(60) == 1
        assert state() is Running.YES
    assert [each.action for each in events(vault, 10) if each.action in (STARTED, STOPPED)] == [STARTED]
    said = (tmp_path / "log").read_text()
    assert "Another process is listening on the socket" in said and "Warning" not in said


def test_a_gateway_that_delivers_nothing_is_seen_to_run_on_this_machine(vault: Vault, tmp_path: Path) -> None:
    """It sends no heartbeats."""
    credentials = tmp_path / "mx1"
    number = enroll(vault, "mx1", credentials)
    (tmp_path / "mailhold.toml").write_text(
        f'[store]\nlocation = "{vault.location}"\ncredentials = "{credentials}"\n'
        f'[milter]\nlisten = ["unix:{tmp_path}/milter.sock"]\n[delivery]\nenabled = false\n'
    )
    assert not is_here(vault, number) and not running_gateways(vault)
    with gateway(tmp_path) as process:
        until(lambda: is_here(vault, number))
        [each] = running_gateways(vault)
        assert (each.name, each.heard_at) == ("mx1", 0)
        assert delivery_target(vault).gateway_id != number
        process.kill()
        process.wait(30)
        assert not is_here(vault, number) and not running_gateways(vault)
