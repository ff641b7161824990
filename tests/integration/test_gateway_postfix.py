"""The gateway with a real Postfix: copies before actions, live configuration, deliveries out and in, stopping."""

from __future__ import annotations

import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from store.authority.audit import events
from store.authority.settings import Settings, Unavailable, read_settings
from store.check import check
from store.delivery.queue import delivery_of, release
from store.gateway.troubles import troubles
from store.judging.content import ContentPolicy
from store.judging.rules.address_lists import AddressLists, write_lists
from store.judging.rules.rules import Rule, write_rules
from store.space.changing_settings import change_settings
from store.terms.verdicts import Action, Engine, Status
from store.vault.vault import Vault
from tests.integration.gateway_process import GatewayProcess
from tests.integration.postfix import DOMAIN, Postfix, free_port, why_not
from tests.integration.test_milter_postfix import send

pytestmark = [pytest.mark.integration, pytest.mark.xdist_group("postfix-gateway")]

SPAMMER = "offers@spam.example"
ATTACHMENT = (
    b"Subject: an attachment\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n"
    b"Content-Type: text/plain\r\n\r\nSee the file.\r\n--b\r\nContent-Type: application/octet-stream\r\n"
    b"Content-Disposition: attachment; filename=setup.exe\r\n\r\nMZ harmless\r\n--b--\r\n"
)


@pytest.fixture(scope="module")
def metrics_port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def gateway(metrics_port: int) -> Iterator[GatewayProcess]:
    if reason := why_not():
        pytest.skip(reason)
    running = GatewayProcess(f'[metrics]\nlisten = "127.0.0.1:{metrics_port}"\n')
    running.start()
    yield running
    running.close()


@pytest.fixture(scope="module")
def postfix(gateway: GatewayProcess) -> Iterator[Postfix]:
    running = Postfix(settings={"smtpd_milters": f"unix:{gateway.socket}", "milter_default_action": "tempfail"})
    yield running
    running.stop()


@pytest.fixture
def vault(gateway: GatewayProcess, postfix: Postfix) -> Iterator[Vault]:
    """Return the operator's vault, with the same settings, rules and lists at the start of every test."""
    opened = gateway.vault()
    relay = f"smtp://127.0.0.1:{postfix.port}"
    change_settings(opened, Settings(relay=relay, administrator=f"admin@{DOMAIN}", release_loops=True))
    write_lists(opened, AddressLists(black=("spam.example",)))
    write_rules(opened, [Rule(name="Names", content=ContentPolicy(banned_names=("*.exe",)))])
    wait_taken_up(gateway, opened)
    yield opened
    opened.close()


def wait_taken_up(gateway: GatewayProcess, vault: Vault) -> None:
    """Wait until the gateway has certainly read the current configuration."""
    time.sleep(0.8)


def test_ham_passes_without_a_copy(gateway: GatewayProcess, postfix: Postfix, vault: Vault) -> None:
    before, kept = len(postfix.received()), vault.count().messages
    assert send(postfix, b"Subject: ham\r\n\r\nhello\r\n")[0] == 250
    arrived = postfix.wait_for(before + 1)[-1]
    assert arrived.endswith(b"Subject: ham\n\nhello\n")
    assert vault.count().messages == kept


def test_a_condemned_message_is_kept_and_then_deleted(gateway: GatewayProcess, postfix: Postfix, vault: Vault) -> None:
    before = len(postfix.received())
    raw = b"Subject: offers\r\nX-Space:   three\r\n\r\nbuy\r\n"
    code, text = send(postfix, raw, sender=SPAMMER, to=(f"a@{DOMAIN}", f"bcc@{DOMAIN}"))
    assert code == 250
    [copy] = vault.newest(1)
    record = copy.record
    assert vault.raw(copy.id) == raw
    assert record.reason is not None and record.reason.engine is Engine.BLACK_LIST
    assert (record.action, record.source) == (Action.DELETE_MESSAGE, "gateway")
    assert (record.envelope_sender, record.envelope_recipients) == (SPAMMER, (f"a@{DOMAIN}", f"bcc@{DOMAIN}"))
    assert record.mta_message_id and record.mta_message_id.encode() in text
    assert record.client_address == "127.0.0.1"
    assert send(postfix, b"Subject: after\r\n\r\nx\r\n")[0] == 250
    assert [b"after" in each for each in postfix.wait_for(before + 1)[before:]] == [True]


def test_attachments_are_taken_off_after_a_copy(gateway: GatewayProcess, postfix: Postfix, vault: Vault) -> None:
    before = len(postfix.received())
    assert send(postfix, ATTACHMENT)[0] == 250
    arrived = postfix.wait_for(before + 1)[-1]
    assert b"MZ harmless" not in arrived and b"See the file." in arrived
    assert b"X-Mailhold-Verdict: content=banned-file-name" in arrived
    [copy] = vault.newest(1)
    assert vault.raw(copy.id) == ATTACHMENT
    assert copy.record.action is Action.DELETE_ATTACHMENT


def test_a_change_is_taken_up_and_a_forged_one_refused(
    gateway: GatewayProcess, postfix: Postfix, vault: Vault, metrics_port: int
) -> None:
    rule = Rule(name="No", senders=("new.example",), actions={Engine.BLACK_LIST: {Status.BLACKLISTED: Action.REJECT}})
    write_lists(vault, AddressLists(black=("new.example",)))
    write_rules(vault, [rule])
    wait_taken_up(gateway, vault)
    code, text = send(postfix, b"Subject: x\r\n\r\nx\r\n", sender="a@new.example")
    assert (code, text) == (554, b"5.7.1 The message is refused: Blacklisted")
    for name in ("rules", "address-lists", "settings"):
        with sqlite3.connect(gateway.location, timeout=20) as db:
            newest = "SELECT id, sealed FROM configuration WHERE name = ? ORDER BY id DESC LIMIT 1"
            [(row, sealed)] = db.execute(newest, (name,))
            db.execute(
                "UPDATE configuration SET sealed = ? WHERE id = ?", (sealed[:-1] + bytes((sealed[-1] ^ 1,)), row)
            )
        gateway.wait_for(lambda name=name: any(entry["name"] == name for entry in gateway.log("configuration refused")))
        gateway.wait_for(lambda: events(vault, 1)[0].action == "configuration refused")
        with sqlite3.connect(gateway.location, timeout=20) as db:
            assert send(postfix, b"Subject: x\r\n\r\nx\r\n", sender="a@new.example")[0] == 554
            page = urllib.request.urlopen(f"http://127.0.0.1:{metrics_port}/metrics", timeout=10).read().decode()
            assert "mailhold_configuration_refused 1.0" in page
            assert 'mailhold_messages_total{outcome="rejected"}' in page
            db.execute("UPDATE configuration SET sealed = ? WHERE id = ?", (sealed, row))
        gateway.wait_for(
            lambda name=name: any(entry["name"] == name for entry in gateway.log("configuration verifies again"))
        )


def test_an_enrolment_that_was_changed_is_refused(gateway: GatewayProcess, postfix: Postfix, vault: Vault) -> None:
    change_settings(vault, Settings(if_unavailable=Unavailable.TEMPORARY_FAIL))
    wait_taken_up(gateway, vault)
    with sqlite3.connect(gateway.location, timeout=20) as db:
        [(signature,)] = db.execute("SELECT signature FROM gateway WHERE id = 2")
        db.execute("UPDATE gateway SET signature = ? WHERE id = 2", (bytes(64),))
    gateway.wait_for(lambda: any(e["name"] == "enrolment" for e in gateway.log("configuration refused")))
    assert send(postfix, b"Subject: x\r\n\r\nx\r\n", sender=SPAMMER)[0] == 451
    with sqlite3.connect(gateway.location, timeout=20) as db:
        db.execute("UPDATE gateway SET signature = ? WHERE id = 2", (signature,))
    gateway.wait_for(lambda: any(e["name"] == "enrolment" for e in gateway.log("configuration verifies again")))
    assert send(postfix, b"Subject: x\r\n\r\nx\r\n", sender=SPAMMER)[0] == 250


def test_what_is_released_goes_out_and_comes_in_once(gateway: GatewayProcess, postfix: Postfix, vault: Vault) -> None:
    before = len(postfix.received())
    raw = b"From: <offers@spam.example>\r\nSubject: wanted after all\r\n\r\nbody\r\n"
    assert send(postfix, raw, sender=SPAMMER)[0] == 250
    [copy] = vault.newest(1)
    count = vault.count().messages
    [queued] = release(vault, [copy.id], original=True, operator="olga").queued
    # The relay is the same Postfix, with the same milter: without the marker the release would be judged and kept
    # again.
    arrived = postfix.wait_for(before + 1)[-1]
    gateway.wait_for(lambda: delivery_of(vault, queued).state == "sent")
    assert vault.models.Delivery.get_by_id(queued).gateway_id == 2
    assert b"X-Mailhold" not in arrived and b"Resent-From" in arrived and arrived.endswith(b"after all\n\nbody\n")
    assert vault.count().messages == count
    gateway.wait_for(lambda: gateway.log("message")[-1]["outcome"] == "released")


def test_larger_than_the_maximum(gateway: GatewayProcess, postfix: Postfix, vault: Vault) -> None:
    raw = b"Subject: large\r\n\r\n" + b"x" * 70 + b"\r\n" + (b"y" * 70 + b"\r\n") * 3000
    for option, code in ((Unavailable.TEMPORARY_FAIL, 451), (Unavailable.REJECT, 554), (Unavailable.PROCESS, 250)):
        change_settings(vault, Settings(max_size=100_000, if_unavailable=option))
        wait_taken_up(gateway, vault)
        count = vault.count().messages
        assert send(postfix, raw, sender=SPAMMER)[0] == code
        assert vault.count().messages == count
    assert send(postfix, b"Subject: small\r\n\r\nx\r\n", sender=SPAMMER)[0] == 250
    assert vault.newest(1)[0].record.subject == "small"


def test_reload_takes_up_what_is_right_and_refuses_what_is_wrong(
    gateway: GatewayProcess, postfix: Postfix, vault: Vault
) -> None:
    assert gateway.process is not None
    gateway.notified.clear()
    text = gateway.config.read_text()
    gateway.config.write_text(text + "[nonsense]\n")
    gateway.process.send_signal(signal.SIGHUP)
    gateway.wait_notified("READY=1")
    [refused] = gateway.log("mailhold.toml refused, what was read before stays in force")
    assert f"line {text.count(chr(10)) + 1}" in refused["why"]
    assert f"STATUS=Judging mail; refused: {refused['why']}" in gateway.notified
    gateway.wait_for(
        lambda: [(each.what, each.detail) for each in troubles(vault)] == [("mailhold.toml refused", refused["why"])]
    )
    gateway.notified.clear()
    gateway.process.send_signal(signal.SIGHUP)  # The same again is not another event.
    gateway.wait_notified("READY=1")
    gateway.config.write_text(text + '[engines.clamd]\naddress = "127.0.0.1:1"\n')
    gateway.process.send_signal(signal.SIGHUP)
    gateway.wait_notified("READY=1")
    assert gateway.log("mailhold.toml read again")
    # There may be another one already: the scanner does not answer.
    gateway.wait_for(lambda: not any("toml" in each.what for each in troubles(vault)))
    assert [each.action for each in events(vault) if "toml" in each.action] == [
        "mailhold.toml read again",
        "mailhold.toml refused",
    ]
    assert send(postfix, b"Subject: x\r\n\r\nx\r\n")[0] == 250
    # The line is written after the answer.
    gateway.wait_for(lambda: gateway.log("message")[-1].get("not_scanned") == "anti-virus")
    gateway.config.write_text(text)
    gateway.process.send_signal(signal.SIGHUP)
    gateway.wait_notified("READY=1")


def test_it_tells_the_watchdog_and_ends_cleanly(gateway: GatewayProcess, postfix: Postfix, vault: Vault) -> None:
    assert gateway.stop() == 0
    assert not gateway.socket.exists()
    gateway.start(environment={"WATCHDOG_USEC": "300000"})
    gateway.wait_notified("WATCHDOG=1")
    assert send(postfix, b"Subject: x\r\n\r\nx\r\n", sender=SPAMMER)[0] == 250
    assert gateway.stop() == 0
    # Every epoch of the gateway is closed: no message was in progress.
    assert [row.id for row in vault.models.Epoch.select() if row.gateway_id == 2 and row.count is None] == []
    assert vault.models.Gateway.get_by_id(2).alive_at == 0
    assert check(vault).broken == []
    assert [event.action for event in events(vault, 2)] == ["gateway stopped", "gateway started"]
    gateway.start()


def test_nothing_of_a_message_is_logged_and_no_screen_or_table_is_loaded(
    gateway: GatewayProcess, postfix: Postfix, vault: Vault
) -> None:
    assert send(postfix, b"Subject: geheim-subject\r\n\r\ngeheim-body\r\n", sender="geheim@new.example")[0] == 250
    assert "geheim" not in gateway.log_text() and DOMAIN not in gateway.log_text()
    assert gateway.process is not None
    maps = Path(f"/proc/{gateway.process.pid}/maps").read_text()
    assert "polars" not in maps and "selectolax" not in maps


def test_a_store_that_was_removed_and_comes_back(gateway: GatewayProcess, postfix: Postfix, vault: Vault) -> None:
    change_settings(vault, Settings(if_unavailable=Unavailable.TEMPORARY_FAIL))
    wait_taken_up(gateway, vault)
    path = Path(gateway.location)
    vault.close()
    files = [path, path.with_name(path.name + "-wal"), path.with_name(path.name + "-shm")]
    away = [file.with_name("away-" + file.name) for file in files]
    for file, other in zip(files, away, strict=True):
        if file.exists():
            file.rename(other)
    assert send(postfix, b"Subject: 1\r\n\r\nx\r\n", sender=SPAMMER)[0] == 451
    for file, other in zip(files, away, strict=True):
        if other.exists():
            other.rename(file)
    assert send(postfix, b"Subject: 2\r\n\r\nx\r\n", sender=SPAMMER)[0] == 250
    # Replace the store with one from a backup: a different file.
    copied = path.with_name("copied")
    source = sqlite3.connect(path)
    target = sqlite3.connect(copied)
    source.backup(target)
    source.close()
    target.close()
    copied.chmod(0o600)
    for file in files:
        file.unlink(missing_ok=True)
    copied.replace(path)
    gateway.wait_for(lambda: gateway.log("opening the store again"))
    gateway.wait_for(lambda: send(postfix, b"Subject: 3\r\n\r\nx\r\n", sender=SPAMMER)[0] == 250)
    opened = gateway.vault()
    assert [copy.record.subject for copy in opened.newest(2)] == ["3", "2"]
    assert read_settings(opened).if_unavailable is Unavailable.TEMPORARY_FAIL
    opened.close()


def test_the_socket_is_not_taken_from_a_running_gateway(gateway: GatewayProcess) -> None:
    with socket.socket(socket.AF_UNIX) as probe:
        probe.connect(str(gateway.socket))
    done = subprocess.run(
        [sys.executable, "-m", "tui", "gateway", "--config", str(gateway.config)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1 and "Another process is listening on" in done.stderr
    assert '"event":"gateway failed"' in done.stderr
    assert "Traceback" not in done.stderr
