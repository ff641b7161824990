"""The recovery drill: restore onto a new machine from a backup and the recovery key alone, until mail is delivered."""

from __future__ import annotations

import json
import re
import shutil
import smtplib
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.integration.lab import Gateway, send_on, why_not
from tests.integration.postfix import DOMAIN, Postfix
from tui.commands.cli import main

pytestmark = pytest.mark.integration

BLACK = f"black@{DOMAIN}"
MESSAGE = b"From: %s\r\nTo: bob@%s\r\nSubject: %s\r\n\r\nhello\r\n"


@pytest.fixture
def folder() -> Iterator[Path]:
    """Make a folder that Postfix's user can enter."""
    if reason := why_not():
        pytest.skip(reason)
    path = Path(tempfile.mkdtemp(prefix="mailhold-drill-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Return a function that runs a `mailhold` command, which must succeed, and returns its output."""

    def command(*words: str) -> str:
        code = main(words)
        said = capsys.readouterr()
        assert code == 0, said.err
        return said.out

    return command


def send(postfix: Postfix, subject: bytes) -> None:
    with smtplib.SMTP("127.0.0.1", postfix.port, local_hostname="client.test", timeout=60) as client:
        client.ehlo()
        raw = MESSAGE % (BLACK.encode(), DOMAIN.encode(), subject)
        assert send_on(client, raw, BLACK, (f"bob@{DOMAIN}",)).code == 250


def test_a_new_machine(folder: Path, run: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    old, new = folder / "old", folder / "new"
    for path in (old, new):
        path.mkdir()
    monkeypatch.setenv("XDG_STATE_HOME", str(old / "state"))
    monkeypatch.setenv("MAILHOLD_STORE", str(old / "mail.store"))
    monkeypatch.setenv("MAILHOLD_KEY_FILE", str(old / "key"))
    [recovery] = re.findall(r"[0-9A-Z]{4,}(?:-[0-9A-Z]{4,})+", run("init"))
    (old / "kept.eml").write_bytes(MESSAGE % (BLACK.encode(), DOMAIN.encode(), b"kept before"))
    run("import", str(old / "kept.eml"))
    run("lists", "add", "black", BLACK)
    run("settings", "set", "relay=smtp://127.0.0.1:9", f"local_domains={DOMAIN}")
    run("gateway", "enroll", "mx1", "--credentials", str(old / "credentials"))
    run("deliver", "1", "--original", "--also", f"bob@{DOMAIN}")
    run("backup", str(folder / "backup"))
    shutil.rmtree(old)

    monkeypatch.setenv("XDG_STATE_HOME", str(new / "state"))
    monkeypatch.setenv("MAILHOLD_STORE", str(new / "mail.store"))
    monkeypatch.delenv("MAILHOLD_KEY_FILE")
    monkeypatch.setattr("tui.commands.opened.ask_secret", lambda _: recovery)
    shutil.copyfile(folder / "backup", new / "mail.store")
    said = run("--recovery", "restore", "--yes")
    assert "This store was not seen on this machine before" in said and "1 delivery waits" in said
    run("--recovery", "check")
    monkeypatch.setattr("tui.commands.keys.ask_new_passphrase", lambda: "new words")
    run("--recovery", "keys", "add")
    monkeypatch.setattr("tui.commands.opened.ask_secret", lambda _: "new words")
    run("keys", "add", "--new-key-file", str(new / "key"))
    monkeypatch.setattr("tui.commands.opened.ask_secret", lambda _: pytest.fail("the key file opens it"))
    monkeypatch.setenv("MAILHOLD_KEY_FILE", str(new / "key"))
    run("gateway", "revoke", "mx1", "--yes")
    gateway = Gateway(new, str(new / "mail.store"))
    run("gateway", "enroll", "mx2", "--credentials", str(gateway.credentials))
    postfix = Postfix(settings={"smtpd_milters": f"unix:{gateway.socket}", "milter_default_action": "tempfail"})
    try:
        run("settings", "set", f"relay=smtp://127.0.0.1:{postfix.port}", "release_loops=yes")
        gateway.start()
        send(postfix, b"kept anew")
        copies = json.loads(run("list", "--json"))
        assert [(each["id"], each["subject"]) for each in copies] == [(2, "kept anew"), (1, "kept before")]
        assert postfix.received() == []  # Releases that were waiting at the time of the backup are cancelled.
        run("deliver", "--all", "--yes", "--also", f"bob@{DOMAIN}", "--wait")
        subjects = {re.search(rb"Subject: (.*)", each)[1] for each in postfix.wait_for(2)}  # type: ignore[index]
        assert subjects == {b"kept before", b"kept anew"}
    finally:
        gateway.kill()
        postfix.stop()
    run("check")
