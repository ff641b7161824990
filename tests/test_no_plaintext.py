"""No word of any message, address, rule or setting, and no key, is in any file that Mailhold wrote."""

from __future__ import annotations

import base64
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from store.helpers.zstd import ZstdCompressor
from store.opening.opening import Unlock, open_store
from tests.plaintext import keys_in, words_in, words_of, written_below

SECRETS = {
    "address": b"Whistleblower77@confidential-host.example",
    "recipient": b"Recipient88@another-host.example",
    "subject": b"Subjectword99 merger",
    "body": b"Bodyword1234567 of the letter",
    "attachment": b"attachmentname42.pdf",
}
MESSAGE = (
    b"From: "
    + SECRETS["address"]
    + b"\r\nTo: "
    + SECRETS["recipient"]
    + b"\r\nSubject: "
    + SECRETS["subject"]
    + b"\r\n"
    b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n"
    + SECRETS["body"]
    + b"\r\n--b\r\n"
    b"Content-Disposition: attachment; filename=" + SECRETS["attachment"] + b"\r\n\r\nPDF\r\n--b--\r\n"
)


class Home:
    """A user's complete environment in one folder: every file that a command writes is in it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.store = root / "store" / "backup.db"
        self.key_file = root / "keys" / "key"
        self.folders = [root / name for name in ("store", "home", "tmp", "cwd")]
        for folder in (*self.folders, root / "keys"):
            folder.mkdir(parents=True)
        self.environment = {
            key: value for key, value in os.environ.items() if not key.startswith(("XDG_", "MAILHOLD_"))
        }
        self.environment |= {
            "HOME": str(root / "home"),
            "TMPDIR": str(root / "tmp"),
            "MAILHOLD_STORE": str(self.store),
            "MAILHOLD_KEY_FILE": str(self.key_file),
            "PYTHONDONTWRITEBYTECODE": "1",
        }

    def start(self, *arguments: object) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", "tui", *map(str, arguments)],
            cwd=self.root / "cwd",
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def run(self, *arguments: object) -> bytes:
        process = self.start(*arguments)
        out, err = process.communicate(timeout=300)
        assert process.returncode == 0, err
        return out

    def files(self) -> list[Path]:
        return written_below(*self.folders)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def found_words(home: Home, words: set[bytes], empty: Home) -> dict[str, dict[bytes, str]]:
    """Return the words in the home's files, except those that a store without messages contains too."""
    own = {word for path in empty.files() for word in words_in(path.read_bytes(), words)}
    found = {str(path): words_in(path.read_bytes(), words - own) for path in home.files()}
    return {path: hits for path, hits in found.items() if hits}


@pytest.fixture
def empty(tmp_path_factory: pytest.TempPathFactory) -> Home:
    home = Home(tmp_path_factory.mktemp("empty"))
    home.run("init")
    home.run("list", "nothing")
    return home


def test_the_search_finds_what_is_there() -> None:
    """A search that finds nothing proves nothing: each encoding is found if it is there."""
    words = words_of([b"Whistleblower77 Bodyword1234567"])
    noise = random.Random(1).randbytes(4096)
    for text in (
        b"Whistleblower77",
        b"Whistleblower77".hex().encode(),
        base64.b64encode(b"xWhistleblower77"),
        "Whistleblower77".encode("utf-16-le"),
        "Whistleblower77".encode("utf-16-be"),
        ZstdCompressor().compress(b"a long text with Whistleblower77 in it " * 9, ZstdCompressor.FLUSH_FRAME),
    ):
        assert b"Whistleblower77" in words_in(noise + text + noise, words)
    assert not words_in(noise, words)
    assert keys_in(noise + b"k" * 32, {"key": b"k" * 32}) == {"key": "plain"}


def test_nothing_of_a_message_is_written_in_the_clear(home: Home, empty: Home, tmp_path: Path) -> None:
    mail = tmp_path / "mail"
    mail.mkdir()
    (mail / "secret.eml").write_bytes(MESSAGE)
    recovery = home.run("init")
    home.run("import", mail, "--verdict", "anti-spam=spam", "--rule", 7, "--force")
    home.run(
        "settings",
        "set",
        "relay=smtp://relayuser11:relaypassword22@127.0.0.1:9",
        "administrator=postmaster33@corp.example",
        "local_domains=another-host.example",
    )
    home.run("deliver", 1, "--original", "--from-header", "--also", "additional44@corp.example")
    home.run("list", "from:whistleblower")
    home.run("list", "Subjectword99", "--sort", "subject")
    home.run("check")
    texts = [*SECRETS.values(), b"relayuser11 relaypassword22 postmaster33 additional44 from:whistleblower"]
    words = words_of(texts) | {word.lower() for word in words_of(texts)} | {word.upper() for word in words_of(texts)}
    assert found_words(home, words, empty) == {}
    assert len(home.files()) >= 1

    vault = open_store(str(home.store), Unlock.key_file(home.key_file))
    secrets = {"key file": home.key_file.read_bytes(), "reader": vault.worker_key_material()}
    secrets["recovery key"] = next(line.strip() for line in recovery.splitlines() if line.count(b"-") >= 8)
    secrets["sealing key"] = bytes(vault.keys.sealing_key("settings"))
    vault.close()
    assert len(secrets) == 4
    for path in home.files():
        assert keys_in(path.read_bytes(), secrets) == {}, path


@pytest.mark.timeout(300)
def test_nothing_of_the_corpus_is_written_in_the_clear_even_when_killed(
    home: Home, empty: Home, corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = words_of(path.read_bytes() for path in corpus.rglob("*") if path.is_file())
    home.run("init")
    chance = random.Random(20261124)
    kills = 4
    for _ in range(kills):
        process = home.start("import", corpus, "--force")
        time.sleep(chance.uniform(0.4, 1.6))
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=60)
        assert found_words(home, words, empty) == {}
    home.run("import", corpus, "--force")
    home.run("list", "invoice", "--sort", "from")
    assert found_words(home, words, empty) == {}
    with capsys.disabled():
        size = sum(path.stat().st_size for path in home.files())
        print(f"\nnone of {len(words):,} words in {size:,} bytes of {len(home.files())} files, after {kills} kills")
