"""Backup made unavailable behind a real Postfix: the client's answer under each setting, and recovery."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from store.authority.deleting import delete_copies
from store.authority.settings import Unavailable
from store.check import check
from tests.integration.lab import ADMINISTRATOR, BLACK, Lab, Reply, value_of, wait, why_not
from tests.integration.postfix import DOMAIN
from tests.postgres import Cluster, Missing

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600), pytest.mark.xdist_group("gateway-unavailable")]

SIZE_OF_DISK = 16 * 1024 * 1024
CODES = {Unavailable.PROCESS: 250, Unavailable.TEMPORARY_FAIL: 451, Unavailable.REJECT: 554}


def message(word: str, size: int = 20_000) -> bytes:
    body = (os.urandom(48).hex().encode() + b"\r\n") * (size // 98)
    return f"From: ann@example.org\r\nSubject: {word}\r\n\r\n".encode() + body


class Trouble:
    """A lab, a way to make its Backup unavailable, and a way to end that."""

    def __init__(self, lab: Lab, begin: Callable[[], None], end: Callable[[], None]) -> None:
        self.lab, self.begin, self.end = lab, begin, end

    def send(self, word: str) -> Reply:
        return self.lab.send(message(word), sender=BLACK)

    def subjects(self) -> list[str]:
        return [value_of(content, b"subject").decode() for content in self.lab.mailbox()]


def provoke(trouble: Trouble) -> None:
    """Each setting: available, unavailable, available again.

    No message is lost or half-written; the daemon keeps running.
    """
    lab = trouble.lab
    counts: Counter[str] = Counter()
    for option in Unavailable:
        lab.set(if_unavailable=option)
        assert trouble.send(f"{option} before").code == 250
        assert len(lab.vault.ids()) == counts["kept"] + 1
        counts["kept"] += 1
        trouble.begin()
        try:
            for turn in range(3):
                reply = trouble.send(f"{option} during {turn}")
                assert reply.code == CODES[option], (option, reply, lab.gateway.log()[-3000:])
                counts["let through" if reply.code == 250 else "refused"] += 1
        finally:
            trouble.end()

        def recovered(option: Unavailable = option) -> bool:
            assert trouble.send(f"{option} after").code in (250, CODES[option])
            fresh = len(lab.vault.ids()) - counts["kept"]
            counts["kept"] += fresh
            return fresh == 1

        assert wait(recovered, bool, 60), lab.gateway.log()[-3000:]
    assert lab.gateway.running
    subjects = trouble.subjects()
    # A message processed without a copy still gets the action of its rule: this sender's mail is deleted.
    assert not [subject for subject in subjects if "during" in subject or "before" in subject]
    assert check(lab.vault).broken == []
    stored = [copy.record.subject for copy in lab.vault.scan()]
    assert not [subject for subject in stored if "during" in subject]
    assert (counts["refused"], counts["let through"]) == (6, 3)


def told(lab: Lab) -> int:
    """Return the number of mails about it to the administrator."""
    return sum(
        value_of(content, b"delivered-to").decode() == ADMINISTRATOR and b"unavailable" in content
        for content in lab.mailbox()
    )


@pytest.fixture
def disk() -> Iterator[Path]:
    """Mount a small file system."""
    if reason := why_not():
        pytest.skip(reason)
    folder = Path(tempfile.mkdtemp(prefix="mailhold-disk-"))
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={SIZE_OF_DISK},mode=755", "tmpfs", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        folder.rmdir()
        pytest.skip(f"no tmpfs can be mounted here: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=False)
    folder.rmdir()


def test_a_full_disk(disk: Path) -> None:
    lab = Lab(location=str(disk / "mail.store"))
    filler = disk / "filler"

    def fill() -> None:
        for path in disk.glob("mail.store.ballast"):
            path.unlink()
        with filler.open("wb", buffering=0) as file:
            for size in (65536, 4096, 1):
                try:
                    while True:
                        file.write(bytes(size))
                except OSError:
                    pass
        assert os.statvfs(disk).f_bavail == 0

    try:
        provoke(Trouble(lab, fill, filler.unlink))
        assert wait(lambda: told(lab), bool, 20) == 1
    finally:
        lab.close()


def test_a_stopped_postgresql() -> None:
    if reason := why_not():
        pytest.skip(reason)
    try:
        cluster = Cluster()
    except Missing as reason:
        pytest.skip(str(reason))
    lab = None
    try:
        import psycopg

        location = cluster.url("gateway")
        with psycopg.connect(location, autocommit=True) as connection:
            connection.execute("CREATE SCHEMA gateway")
        lab = Lab(location=location)

        def resume() -> None:
            cluster.resume()
            wait(lambda: _answers(lab), bool, 30)

        provoke(Trouble(lab, cluster.halt, resume))
        assert wait(lambda: told(lab), bool, 20) == 1
    finally:
        if lab is not None:
            lab.close()
        cluster.stop()


def _answers(lab: Lab | None) -> bool:
    """Return True if the operator's own connection works again."""
    from store.terms.errors import StoreError

    assert lab is not None
    try:
        lab.vault.ids()
    except StoreError:
        return False
    return True


def test_a_removed_database() -> None:
    """Writes to a SQLite file that was moved away are lost with it: they must not count as stored."""
    if reason := why_not():
        pytest.skip(reason)
    lab = Lab()
    away = lab.folder / "away"
    away.mkdir()

    def move(source: Path, target: Path) -> None:
        for path in source.glob("mail.store*"):
            path.rename(target / path.name)

    try:
        provoke(Trouble(lab, lambda: move(lab.store, away), lambda: move(away, lab.store)))
        assert wait(lambda: told(lab), bool, 20) == 1
    finally:
        lab.close()


def test_a_maximum_smaller_than_the_message() -> None:
    if reason := why_not():
        pytest.skip(reason)
    lab = Lab()
    try:
        for option in Unavailable:
            lab.set(if_unavailable=option)
            lab.set(max_size=50_000)
            assert lab.send(message("large", 80_000), sender=BLACK).code == CODES[option]
            assert lab.vault.ids() == []
            lab.set(max_size=5_000_000)
            assert lab.send(message("large", 80_000), sender=BLACK).code == 250
            assert len(lab.vault.ids()) == 1
            delete_copies(lab.vault, lab.vault.ids(), operator="test", for_good=True)
        assert check(lab.vault).broken == []
    finally:
        lab.close()


@pytest.mark.xdist_group("locked")  # This test only waits, longer than all others together.
def test_a_locked_database() -> None:
    """Another process holds the write lock longer than the gateway waits: the client is answered nevertheless."""
    if reason := why_not():
        pytest.skip(reason)
    lab = Lab(settings={"if_unavailable": Unavailable.TEMPORARY_FAIL})
    try:
        with lab.vault.write():
            began = time.monotonic()
            assert lab.send(message("locked"), sender=BLACK).code == 451
            print(f"answered after {time.monotonic() - began:.1f} s")
        wait(lambda: lab.send(message("free"), sender=BLACK).code, lambda code: code == 250, 30)
        assert [copy.record.subject for copy in lab.vault.scan()][-1] == "free"
        assert f"locked@{DOMAIN}" not in lab.gateway.log()
    finally:
        lab.close()
