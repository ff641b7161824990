"""`import_paths` on real folders: what is imported, byte for byte, and what is reported instead of read."""

from __future__ import annotations

import gzip
import hashlib
import os
import socket
from collections.abc import Sequence
from pathlib import Path

import pytest

from store.files import mailbox
from store.files.discovery import find_files
from store.files.mailbox import import_paths
from store.judging.rules.rules import read_rules
from store.opening.opening import Unlock, open_store
from store.terms.errors import StoreUnavailable, TamperedError, UnlockError, UsageError
from store.terms.records import CopyRecord
from store.terms.verdicts import Engine, Status, Verdict
from store.vault.vault import Vault
from store.vault.writer import GROUP_COPIES
from tests.conftest import PASSPHRASE

DATA = Path(__file__).resolve().parents[2] / "data" / "intake"
PLAIN = b"From: a@example.com\nTo: b@example.org\nSubject: plain\n\nbody\n"


def bodies(vault: Vault) -> list[bytes]:
    return [vault.raw(copy_id) for copy_id in vault.ids()]


def write(folder: Path, name: str, data: bytes = PLAIN) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def test_the_whole_corpus_comes_in_byte_for_byte(vault: Vault, corpus: Path, corpus_files: list[Path]) -> None:
    result = import_paths(vault, [corpus], force=True)  # some files have no header field at all
    assert result.failed == []
    assert result.imported == len(corpus_files)
    order = [found.path for found in find_files([corpus])]
    assert sorted(order) == corpus_files
    for path, copy_id in zip(order, result.ids, strict=True):
        assert vault.raw(copy_id) == path.read_bytes(), path


def test_a_mailbox_of_the_whole_corpus_gives_each_message_back(
    vault: Vault, corpus_files: list[Path], tmp_path: Path
) -> None:
    messages = [path.read_bytes() for path in corpus_files]
    messages = [message for message in messages if message.endswith(b"\n") and b"From " not in message[:5]]
    separator = b"From x@example.com Mon Nov 23 10:00:00 2026\n"
    lines = (
        b"\n".join(b">" + line if line.lstrip(b">").startswith(b"From ") else line for line in message.split(b"\n"))
        for message in messages
    )
    path = write(tmp_path, "box", b"".join(separator + quoted + b"\n" for quoted in lines))
    assert import_paths(vault, [path]).imported == len(messages)
    assert [hashlib.sha256(raw).digest() for raw in bodies(vault)] == [hashlib.sha256(m).digest() for m in messages]


def test_an_eml_file_is_one_message_even_where_it_looks_like_an_mbox(vault: Vault, tmp_path: Path) -> None:
    data = b"From x Mon Nov 23 10:00:00 2026\nA: 1\n\nb\n\nFrom y Mon Nov 23 10:00:00 2026\nB: 2\n\nc\n"
    import_paths(vault, [write(tmp_path, "one.eml", data)])
    assert bodies(vault) == [data]
    import_paths(vault, [write(tmp_path, "two", data)])
    assert bodies(vault)[1:] == [b"A: 1\n\nb\n", b"B: 2\n\nc\n"]


def test_maildir(vault: Vault, tmp_path: Path) -> None:
    box = tmp_path / "box"
    for name, data in (
        ("new/1.a", b"Subject: 1\n\n"),
        ("cur/2.b:2,S", b"Subject: 2\n\n"),
        ("tmp/3.c", b"Subject: half"),
        ("index", b"not a message"),
        ("cur/.hidden", b"not a message"),
        (".Sent/cur/4.d:2,S", b"Subject: 4\n\n"),
        (".Sent/new/.keep", b""),
    ):
        write(box, name, data)
    result = import_paths(vault, [box])
    assert sorted(bodies(vault)) == [b"Subject: 1\n\n", b"Subject: 2\n\n", b"Subject: 4\n\n"]
    assert result.failed == [] and result.passed_over == 3


def test_what_is_no_message_is_reported_and_never_waited_for(vault: Vault, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    write(folder, "a.eml")
    os.mkfifo(folder / "fifo")
    (folder / "circle").symlink_to(folder)
    (folder / "link.eml").symlink_to(folder / "a.eml")
    (folder / "nowhere").symlink_to(folder / "missing")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "socket"))
        result = import_paths(
            vault, [folder, folder / "fifo", tmp_path / "absent", Path("/dev/zero"), Path("bad\0name")]
        )
    assert result.imported == 1
    reasons = {path.name: why for path, why in result.failed}
    assert set(reasons) == {"fifo", "circle", "link.eml", "nowhere", "socket", "absent", "zero", "bad\0name"}
    assert "FIFO" in reasons["fifo"] and "link" in reasons["circle"] and "device" in reasons["zero"]
    assert "does not exist" in reasons["absent"]


def test_a_file_that_becomes_a_fifo_before_it_is_opened(
    vault: Vault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path, "a.eml")
    found = list(find_files([path]))
    path.unlink()
    os.mkfifo(path)
    monkeypatch.setattr(mailbox, "find_files", lambda _: iter(found))
    result = import_paths(vault, [path])
    assert result.imported == 0 and "no longer a regular file" in result.failed[0][1]


def test_a_file_that_may_not_be_read(vault: Vault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path, "a.eml")

    def refuse(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("store.files.discovery.os.open", refuse)
    result = import_paths(vault, [path])
    assert result.imported == 0 and "permissions" in result.failed[0][1]


def test_deep_folders_and_odd_names(vault: Vault, tmp_path: Path) -> None:
    odd = os.fsdecode(b"\xff\xfe name.eml")
    deep = tmp_path
    for _ in range(150):
        deep = deep / "d"
    write(tmp_path, odd)
    write(deep, "x.eml", b"Subject: deep\n\n")
    result = import_paths(vault, [tmp_path])
    assert result.imported == 2 and result.failed == []
    assert result.passed_over > 0  # the store itself is in that folder too
    assert {vault.get(copy_id).record.subject for copy_id in result.ids} == {"plain", "deep"}


def test_empty_and_header_less_files_are_kept(vault: Vault, tmp_path: Path) -> None:
    write(tmp_path, "a.eml", b"")
    write(tmp_path, "b.eml", b"\x00\xff\xfe")
    assert import_paths(vault, [tmp_path]).imported == 2
    assert bodies(vault) == [b"", b"\x00\xff\xfe"]


@pytest.mark.parametrize(
    ("name", "engine", "status", "sender", "recipients", "queue_id"),
    [
        (
            "virus-k2vfI6s6dSwN",
            Engine.ANTI_VIRUS,
            Status.INFECTED,
            "billing@offers.example",
            ("ap@example.org",),
            "4cGhT23xQzz9sWF",
        ),
        (
            "banned-rCl4ECQS-oFC",
            Engine.CONTENT,
            Status.BANNED_FILE_NAME,
            "hr@partner.example",
            ("jobs@example.org", "ruth@example.org"),
            "4cGhV55pKzz9sWG",
        ),
        ("spam-yaEtobR0aJFo.gz", Engine.ANTI_SPAM, Status.SPAM, "", ("all@example.org",), "4cGhW11qRzz9sWH"),
    ],
)
def test_quarantine_files_of_a_real_scanner(
    vault: Vault, name: str, engine: Engine, status: Status, sender: str, recipients: Sequence[str], queue_id: str
) -> None:
    """amavisd 2.13 wrote these files about messages of our own."""
    path = DATA / "quarantine" / name
    result = import_paths(vault, [path])
    assert result.failed == []
    (copy,) = vault.get_many(result.ids)
    data = path.read_bytes()
    assert vault.raw(copy.id) == (gzip.decompress(data) if name.endswith(".gz") else data)
    assert copy.record.reason is not None
    assert (copy.record.reason.engine, copy.record.reason.status) == (engine, status)
    assert copy.record.envelope_sender == sender and copy.record.envelope_recipients == recipients
    assert copy.record.mta_message_id == queue_id
    assert copy.record.source == f"import {path}"


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("virus-fK3mXw2vRt9Q", Status.INFECTED),
        ("banned-fK3mXw2vRt9Q", Status.BANNED_FILE_NAME),
        ("spam-fK3mXw2vRt9Q.gz", Status.SPAM),
        ("badh-fK3mXw2vRt9Q", None),
        ("virus-report.eml", None),
    ],
)
def test_a_quarantine_files_name_tells_the_engine_where_the_header_does_not(
    vault: Vault, tmp_path: Path, name: str, status: Status | None
) -> None:
    result = import_paths(vault, [write(tmp_path, name)])
    reason = vault.get(result.ids[0]).record.reason
    assert (reason.status if reason else None) is status


def test_a_header_that_condemns_says_more_than_a_name(vault: Vault, tmp_path: Path) -> None:
    path = write(tmp_path, "spam-fK3mXw2vRt9Q", b"X-Virus: Win.Worm.X-1\n" + PLAIN)
    reason = vault.get(import_paths(vault, [path]).ids[0]).record.reason
    assert reason == Verdict(Engine.ANTI_VIRUS, Status.INFECTED, "Win.Worm.X-1")


def test_damaged_compression_is_reported(vault: Vault, tmp_path: Path) -> None:
    packed = gzip.compress(PLAIN * 500, mtime=0)
    write(tmp_path, "spam-aaaaaaaaaaaa.gz", packed[: len(packed) // 2])
    write(tmp_path, "spam-bbbbbbbbbbbb.gz", packed[:30] + bytes(20) + packed[50:])
    write(tmp_path, "plain.gz")
    result = import_paths(vault, [tmp_path])
    assert bodies(vault) == [PLAIN]
    assert [path.name for path, _ in result.failed] == ["spam-aaaaaaaaaaaa.gz", "spam-bbbbbbbbbbbb.gz"]
    assert "compressed data" in result.failed[0][1]


def test_an_archive_that_unpacks_to_more_than_a_message_may_be(
    vault: Vault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = mailbox.read_messages
    monkeypatch.setattr(mailbox, "read_messages", lambda stream, **options: real(stream, **options, limit=3 << 20))
    path = write(tmp_path, "spam-aaaaaaaaaaaa.gz", gzip.compress(PLAIN + bytes(50 << 20)))
    result = import_paths(vault, [path])
    assert result.imported == 0 and "larger than" in result.failed[0][1]


def test_a_file_that_is_no_message_is_refused_and_named(vault: Vault, tmp_path: Path) -> None:
    """`/etc/passwd` used to be placed as mail."""
    folder = tmp_path / "folder"
    write(folder, "passwd", b"root:x:0:0:root:/root:/bin/bash\n")
    write(folder, "empty", b"")
    write(folder, "late", b"Not a header\n\nSubject: in the body\n")
    write(folder, "large", bytes(3 << 20))
    write(folder, "packed.gz", gzip.compress(b"no message"))
    write(folder, "message", b"X-Other: 1\nmessage-id : <a@b>\n\n")
    write(folder, "box", b"From x@example.com Mon Nov 23 10:00:00 2026\nno header\n\n")
    write(folder, "raw.eml", b"no header")
    for name in ("cur/1:2,S", "new/2"):
        write(folder / "Maildir", name, b"no header")
    result = import_paths(vault, [folder])
    assert [path.name for path, _ in result.failed] == ["empty", "large", "late", "packed.gz", "passwd"]
    assert all("--force" in why and "Message-ID" in why for _, why in result.failed)
    assert result.imported == 5
    forced = import_paths(vault, [folder], force=True)
    assert (forced.failed, forced.imported) == ([], 10)


@pytest.mark.parametrize("field", ["From", "to", "SUBJECT", "Date", "Received", "Message-Id"])
def test_one_field_of_a_header_makes_a_file_a_message(vault: Vault, tmp_path: Path, field: str) -> None:
    raw = f"X-First: 1\r\n{field}: x\r\n\r\n".encode()
    assert import_paths(vault, [write(tmp_path, "any-name", raw)]).imported == 1


def test_a_rule_that_there_is_not_is_refused_before_anything_is_placed(vault: Vault, tmp_path: Path) -> None:
    path = write(tmp_path, "a.eml")
    with pytest.raises(UsageError, match=r"no rule 7.*--force"):
        import_paths(vault, [path], rule=7)
    assert vault.ids() == []
    (rule,) = read_rules(vault)
    assert import_paths(vault, [path], rule=rule.id).imported == 1


def test_verdict_and_rule_for_all(vault: Vault, tmp_path: Path) -> None:
    write(tmp_path, "a.eml", b"X-Spam-Flag: YES\nX-Virus-Status: Clean\n" + PLAIN)
    given = Verdict(Engine.ANTI_VIRUS, Status.INFECTED, "given")
    record = vault.get(import_paths(vault, [tmp_path], verdict=given, rule=7, force=True).ids[0]).record
    assert record.rule_id == 7 and record.reason == given and record.dangerous
    assert record.verdicts == (given, Verdict(Engine.ANTI_SPAM, Status.SPAM))


def test_an_mbox_with_many_messages_in_several_groups(vault: Vault, tmp_path: Path) -> None:
    box = DATA / "three.mbox"
    result = import_paths(vault, [box])
    subjects = [copy.record.subject for copy in vault.get_many(result.ids)]
    assert subjects == ["Quarterly figures", "Grüße aus Köln", "Re: Quarterly figures"]
    separator = b"From x@example.com Mon Nov 23 10:00:00 2026\n"
    messages = [b"Subject: %d\n\nbody %d\n" % (number, number) for number in range(300)]
    path = write(tmp_path, "box", b"".join(separator + message + b"\n" for message in messages))
    told: list[tuple[int, int]] = []
    result = import_paths(vault, [path], progress=lambda done, total: told.append((done, total)))
    assert [vault.raw(copy_id) for copy_id in result.ids] == messages
    size = path.stat().st_size
    assert told[-1] == (size, size) and all(0 <= done <= size for done, _ in told)


def test_cancel_keeps_what_was_placed_and_says_so(vault: Vault, tmp_path: Path) -> None:
    for number in range(200):
        write(tmp_path, f"{number:03}.eml", b"Subject: %d\n\n" % number)
    asked = iter(range(10_000))
    result = import_paths(vault, [tmp_path], cancelled=lambda: next(asked) > 250)
    assert result.cancelled and 0 < result.imported < 200
    assert vault.ids() == result.ids


class Refusing:
    """A vault that refuses some messages, or everything from some point on."""

    location = "postgresql://nowhere"

    def __init__(self, *, bad: bytes = b"", room: int = 10**9) -> None:
        self.bad = bad
        self.room = room
        self.kept: list[bytes] = []

    @property
    def grants(self) -> object:
        raise UnlockError("It has no counters of senders.")

    def put(self, raw: bytes, record: CopyRecord, *, stored_at: int | None = None) -> int:
        if self.bad and self.bad in raw:
            raise TamperedError("copy", "refused")
        if len(self.kept) >= self.room:
            raise StoreUnavailable("The disk is full.")
        self.kept.append(raw)
        return len(self.kept)

    def put_many(self, items: Sequence[tuple[bytes, CopyRecord, int | None]], placed: object = None) -> list[int]:
        if len(self.kept) + len(items) > self.room:
            raise StoreUnavailable("The disk is full.")
        if any(self.bad and self.bad in raw for raw, _, _ in items):
            raise TamperedError("copy", "refused")
        return [self.put(*item[:2]) for item in items]


def test_a_message_that_the_store_refuses_does_not_take_its_group_with_it(tmp_path: Path) -> None:
    for number in range(10):
        write(tmp_path, f"{number}.eml", b"Subject: number %d.\n\n" % number)
    vault = Refusing(bad=b"number 4.")
    result = import_paths(vault, [tmp_path])
    assert result.imported == 9 and [path.name for path, _ in result.failed] == ["4.eml"]


def test_a_store_that_fails_ends_the_import_and_every_file_is_accounted_for(tmp_path: Path) -> None:
    for number in range(300):
        write(tmp_path, f"{number:03}.eml", b"Subject: %d\n\n" % number)
    vault = Refusing(room=130)
    result = import_paths(vault, [tmp_path])
    assert result.imported == len(vault.kept) == 2 * GROUP_COPIES
    assert [path.name for path, _ in result.failed] == [f"{number:03}.eml" for number in range(100, 150)]
    assert "disk is full" in result.failed[0][1]


def test_a_store_that_is_named_by_a_link_is_no_message_either(store: str, tmp_path: Path) -> None:
    link = tmp_path / "links" / "other-name"
    link.parent.mkdir()
    link.symlink_to(store)
    write(tmp_path, "a.eml")
    vault = open_store(str(link), Unlock.passphrase(PASSPHRASE))
    try:
        result = import_paths(vault, [tmp_path])
    finally:
        vault.close()
    assert result.imported == 1 and result.passed_over
    assert not result.failed
