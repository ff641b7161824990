"""`mailhold setup` on a machine without Mailhold, then the gateway as its user, Postfix, and an operator.

The users are those of this machine, because files have owners; everything else is below its own root folder. Postfix
has the lines of the gateway chapter.
"""

from __future__ import annotations

import json
import os
import pwd
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.integration import python_for_all
from tests.integration.lab import Reply, send_on, wait
from tests.integration.postfix import DOMAIN, Postfix, why_not
from tests.integration.test_readme_postfix import MAIN, MASTER, Moved, blocks, postfix
from tests.tui.pseudo_terminal import Terminal

pytestmark = [pytest.mark.integration, pytest.mark.xdist_group("setup"), pytest.mark.timeout(300)]

CODE = Path(__file__).resolve().parents[2]
USER, OPERATOR = "mailhold", "mh-operator"
BLACK = f"black@{DOMAIN}"


def as_root(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)


def dropped(user: str) -> list[str]:
    """Return the words that run the rest of a command line as that user."""
    return ["setpriv", f"--reuid={user}", f"--regid={pwd.getpwnam(user).pw_gid}", "--init-groups"]


def mailhold(*arguments: object, user: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command, as another user of this machine if one is named."""
    home = pwd.getpwnam(user or "root").pw_dir
    kept = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "HOME": home, "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [*(dropped(user) if user else []), sys.executable, "-m", "tui", *map(str, arguments)],
        cwd=CODE,
        env=kept | environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
    )


def done(result: subprocess.CompletedProcess[str]) -> str:
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def why_not_here() -> str:
    if reason := why_not():
        return reason
    if missing := [each for each in ("useradd", "usermod", "userdel", "setpriv") if not shutil.which(each)]:
        return f"{missing[0]} is not installed (apt-get install passwd util-linux)"
    if any(entry.pw_name in (USER, OPERATOR) for entry in pwd.getpwall()):
        return f"this machine has a user {USER} or {OPERATOR} already, which the test would have to remove"
    if not python_for_all.base():
        return f"other users than root may not run what is in {CODE}, or no Python that they may run is here"
    return ""


class Machine:
    """A root folder without Mailhold, the spool of a Postfix in it, and an operator's account."""

    def __init__(self, running: Postfix) -> None:
        self.postfix = running
        self.root = Path(tempfile.mkdtemp(prefix="mh-"))
        self.root.chmod(0o755)
        (self.root / "var/spool").mkdir(parents=True)
        (self.root / "var/spool/postfix").symlink_to(running.folder / "spool")
        self.home = self.root / "home"
        assert not as_root("useradd", "--create-home", "--home-dir", str(self.home), OPERATOR).returncode
        self.store = self.root / "var/lib/mailhold/mail.store"
        self.config = self.root / "etc/mailhold/mailhold.toml"
        self.gateway: subprocess.Popen[bytes] | None = None
        self.log = self.root / "gateway.log"

    def setup(self, *more: str) -> subprocess.CompletedProcess[str]:
        return mailhold("setup", "--root", self.root, "--name", "mx1", *more, HOME=str(self.root))

    def start(self) -> None:
        """Start the gateway as `mailhold setup` says, and wait until it listens."""
        with self.log.open("wb") as log:
            self.gateway = subprocess.Popen(
                [*dropped(USER), sys.executable, "-m", "tui", "gateway", "--config", str(self.config)],
                cwd=CODE,
                env={"PATH": os.environ["PATH"], "STATE_DIRECTORY": str(self.root / "var/lib/mailhold")},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        until = time.monotonic() + 60
        while time.monotonic() < until and self.gateway.poll() is None:
            try:
                with socket.socket(socket.AF_UNIX) as sock:
                    sock.connect(str(self.root / "var/spool/postfix/mailhold/milter.sock"))
                    return
            except OSError:
                time.sleep(0.05)
        raise AssertionError(f"the gateway does not listen:\n{self.log.read_text()}")

    def send(self, sender: str) -> Reply:
        import smtplib

        with smtplib.SMTP("127.0.0.1", self.postfix.port, local_hostname="client.test", timeout=60) as client:
            client.ehlo()
            raw = b"From: %s\r\nSubject: from Postfix\r\n\r\nhello\r\n" % sender.encode()
            return send_on(client, raw, sender, (f"bob@{DOMAIN}",))

    def close(self) -> None:
        if self.gateway is not None and self.gateway.poll() is None:
            self.gateway.send_signal(signal.SIGTERM)
            try:
                self.gateway.wait(30)
            finally:
                self.gateway.kill()
                self.gateway.wait(30)
        for user in (OPERATOR, USER):
            as_root("userdel", user)
        as_root("groupdel", USER)
        shutil.rmtree(self.root, ignore_errors=True)


@pytest.fixture
def machine() -> Iterator[Machine]:
    if reason := why_not_here():
        pytest.skip(reason)
    moved = Moved()
    with postfix(blocks(MAIN)[0], moved(blocks(MASTER)[0])) as running:
        made = Machine(running)
        try:
            yield made
        finally:
            made.close()


def access(path: Path) -> str:
    status = path.stat()
    import grp

    owner, group = pwd.getpwuid(status.st_uid).pw_name, grp.getgrgid(status.st_gid).gr_name
    return f"{owner}:{group} {stat.S_IMODE(status.st_mode):o}"


def below(root: Path) -> dict[str, tuple[float, int]]:
    return {
        str(each): (each.stat().st_mtime, each.stat().st_mode) for each in sorted(root.rglob("*")) if each.is_file()
    }


def test_from_nothing_to_mail_from_postfix_that_an_operator_reads(machine: Machine) -> None:
    shown = done(machine.setup("--dry-run", "--operator", OPERATOR))
    assert "missing    system user and group mailhold" in shown and "Dry run" in shown
    assert not (machine.root / "etc").exists() and USER not in {entry.pw_name for entry in pwd.getpwall()}
    # Nobody can answer questions here, so nothing is made without --yes.
    assert machine.setup().returncode == 2
    assert not (machine.root / "etc").exists()

    said = done(machine.setup("--yes", "--operator", OPERATOR, "--administrator", f"admin@{DOMAIN}"))
    assert said.count("recovery key:") == 1
    assert "✗" not in said and "Checked as user mailhold:" in said and "✓ store: opened as gateway mx1" in said
    folder = machine.root / "etc/mailhold"
    assert access(folder / "key") == "root:root 600"
    assert access(folder / "gateway.credentials") == f"{USER}:{USER} 600"
    assert access(machine.config) == f"root:{USER} 640"
    assert access(machine.store) == f"{USER}:{USER} 660"
    assert access(machine.store.parent) == f"{USER}:{USER} 2770"
    assert access(machine.root / "var/spool/postfix/mailhold") == f"{USER}:postfix 750"

    # Run it again: nothing is missing, and nothing is changed.
    before = below(folder)
    again = done(machine.setup("--yes", "--operator", OPERATOR, "--administrator", f"admin@{DOMAIN}"))
    assert "missing " not in again and "differs" not in again and "Nothing is missing" in again
    assert below(folder) == before

    machine.start()
    as_operator = {
        "MAILHOLD_STORE": str(machine.store),
        "MAILHOLD_KEY_FILE": str(machine.home / ".config/mailhold/key"),
    }
    for secret in (folder / "key", folder / "gateway.credentials"):
        other = mailhold("list", user=OPERATOR, **as_operator | {"MAILHOLD_KEY_FILE": str(secret)})
        assert other.returncode == 1 and "cannot be read" in other.stderr
    # The gateway logs this once when it starts.
    taken = machine.log.read_text().count('"address-lists"')
    done(mailhold("lists", "add", "black", BLACK, user=OPERATOR, **as_operator))
    wait(lambda: machine.log.read_text().count('"address-lists"'), lambda count: count > taken)
    assert machine.send(BLACK).code == 250
    listed = json.loads(done(mailhold("list", "--json", user=OPERATOR, **as_operator)))
    assert [each["subject"] for each in listed] == ["from Postfix"]
    assert f"{OPERATOR}" in done(mailhold("keys", user=OPERATOR, **as_operator))

    # The gateway can replace files that the operator makes next to the store, and vice versa.
    beside = [each for each in machine.store.parent.iterdir() if each.name.startswith("mail.store")]
    assert {each.name for each in beside} >= {"mail.store", "mail.store-wal", "mail.store-shm", "mail.store.ballast"}
    assert {access(each).partition(":")[2] for each in beside} == {f"{USER} 660"}
    done(mailhold("delete", str(listed[0]["id"]), "--yes", user=OPERATOR, **as_operator))
    assert machine.send(BLACK).code == 250
    assert len(json.loads(done(mailhold("list", "--json", user=OPERATOR, **as_operator)))) == 1


def test_an_operator_works_with_a_key_that_root_gave(machine: Machine) -> None:
    packaged = machine.root / "usr/lib/systemd/system/mailhold-gateway.service"
    packaged.parent.mkdir(parents=True)
    text = mailhold("gateway", "--systemd-unit").stdout.replace("/etc/mailhold/mailhold.toml", str(machine.config))
    packaged.write_text(text)
    # The package's unit permits other folders than those below this root: a drop-in permits these.
    said = done(machine.setup("--yes"))
    assert "the package has it at" in said and "the unit lacks ReadWritePaths=" in said
    assert not (machine.root / "etc/systemd/system/mailhold-gateway.service").exists()
    root = {"MAILHOLD_STORE": str(machine.store), "MAILHOLD_KEY_FILE": str(machine.root / "etc/mailhold/key")}
    refused = mailhold("keys", "add", "--for", "no-such-user", **root)
    assert refused.returncode == 2 and "There is no user" in refused.stderr
    said = done(mailhold("keys", "add", "--for", OPERATOR, **root))
    key_file = machine.home / ".config/mailhold/key"
    assert f"MAILHOLD_KEY_FILE={key_file}" in said and f"usermod -aG {USER} {OPERATOR}" in said
    assert access(key_file) == f"{OPERATOR}:{OPERATOR} 600"
    again = mailhold("keys", "add", "--for", OPERATOR, **root)
    assert again.returncode == 2 and "already exists" in again.stderr
    assert not as_root("usermod", "-aG", USER, OPERATOR).returncode
    second = done(mailhold("keys", "add", "--for", OPERATOR, "--new-key-file", machine.home / "second", **root))
    assert "usermod" not in second and second.count(OPERATOR) >= 3
    shown = done(mailhold("keys", "--json", **root))
    assert [each["name"] for each in json.loads(shown)].count(OPERATOR) == 2

    mail = machine.home / "a.eml"
    mail.write_bytes(b"From: a@x.example\r\nSubject: to be read\r\n\r\nwords of it\r\n")
    as_operator = {"MAILHOLD_STORE": str(machine.store), "MAILHOLD_KEY_FILE": str(key_file)}
    done(mailhold("import", mail, "--verdict", "anti-spam=spam", user=OPERATOR, **as_operator))
    [listed] = json.loads(done(mailhold("list", "--json", user=OPERATOR, **as_operator)))
    assert "words of it" in done(mailhold("show", str(listed["id"]), "--raw", user=OPERATOR, **as_operator))
    python = python_for_all.environment(machine.root / "env") / "python"
    line = ["env", f"HOME={machine.home}", *(f"{name}={value}" for name, value in as_operator.items())]
    command = [*dropped(OPERATOR), *line, str(python), "-m", "tui"]
    with closing(Terminal(machine.store, key_file, command=command)) as terminal:
        terminal.wait_for("to be read", 60)
        assert terminal.leave() == 0
    # Another user's key file is refused, and only root can give keys to others.
    secret = machine.home / "second"
    os.chown(secret, 0, 0)
    other = mailhold("list", user=OPERATOR, **as_operator | {"MAILHOLD_KEY_FILE": str(secret)})
    assert other.returncode == 1 and "cannot be read" in other.stderr
    refused = mailhold("keys", "add", "--for", USER, user=OPERATOR, **as_operator)
    assert refused.returncode == 2 and "Only root" in refused.stderr
    done(mailhold("delete", str(listed["id"]), "--yes", user=OPERATOR, **as_operator))
    assert json.loads(done(mailhold("list", "--json", user=OPERATOR, **as_operator))) == []


def test_what_is_there_stays_and_what_differs_is_named(machine: Machine) -> None:
    folder = machine.root / "etc/mailhold"
    done(machine.setup("--yes"))
    machine.config.write_text(machine.config.read_text() + "# mine\n")
    (machine.root / "var/spool/postfix/mailhold").chmod(0o700)
    (folder / "gateway.credentials").chmod(0o644)
    said = machine.setup("--yes")
    assert said.returncode == 1
    assert "differs    " in said.stdout and "its content differs" in said.stdout
    assert machine.config.read_text().endswith("# mine\n")
    # The check reports problems from the point of view of the gateway's user, and their remedies.
    os.chown(folder / "gateway.credentials", 0, 0)
    (folder / "gateway.credentials").chmod(0o600)
    os.chown(machine.store.parent, 0, 0)
    machine.store.parent.chmod(0o755)
    checked = machine.setup("--yes")
    assert checked.returncode == 1
    assert f"✗ only {USER} can read {folder}/gateway.credentials: permission denied: chown" in checked.stdout
    assert f"✗ the store's log can be written in {machine.store.parent}: permission denied: chown" in checked.stdout


def test_a_store_in_postgresql(machine: Machine, empty_postgres: str) -> None:
    location = f'location = "{empty_postgres}"'
    refused = machine.setup("--yes", "--store", empty_postgres, "--operator", OPERATOR)
    # The server's socket is in a folder of the tests' user: setup reports at once that the gateway's user cannot reach
    # it.
    assert refused.returncode == 1 and "✗ store" in refused.stdout and "Permission denied" in refused.stdout
    Path(parse_qs(urlsplit(empty_postgres).query)["host"][0]).chmod(0o755)
    done(machine.setup("--yes", "--store", empty_postgres, "--operator", OPERATOR))
    assert location in machine.config.read_text() and not machine.store.exists()
    # Commands use the store named in mailhold.toml, without an option.
    again = done(machine.setup("--yes", "--operator", OPERATOR))
    assert "Nothing is missing" in again and "differs" not in again
    machine.start()
    as_operator = {"MAILHOLD_STORE": empty_postgres, "MAILHOLD_KEY_FILE": str(machine.home / ".config/mailhold/key")}
    assert "mx1" in done(mailhold("gateway", "list", user=OPERATOR, **as_operator))
