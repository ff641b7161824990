"""Benchmark data: stores, mail folders and plain SQLite files with the same made-up mail, made once under `.bench/`.

The mail of a given size is the same on every machine: names and subjects in several scripts, a few thousand recipients,
many senders, half of the subjects repeated in campaigns.
"""

from __future__ import annotations

import base64
import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from store.campaigns.standing import Standing
from store.opening.opening import Unlock, create_store, open_store
from store.terms.records import CopyRecord
from store.terms.verdicts import Engine, Status, Verdict
from store.vault.vault import Vault
from tests.store.clearing import standings

FOLDER = Path(".bench")
SIZES = {"1k": 1_000, "10k": 10_000, "100k": 100_000, "1M": 1_000_000}
#: Time of a store's first copy (Unix ms).
START = 1_760_000_000_000
#: Messages in a Maildir for the other programs, at most: indexing more takes them minutes.
MOST_PEER_MESSAGES = 100_000
#: Mean message size (bytes) in the lines labelled 75 kB.
BODY = 75_000

_WORDS = [
    *["invoice", "payment", "urgent", "meeting", "Rechnung", "счёт", "оплата", "请", "发票", "请求书", "Newsletter"],
    *["account", "verify", "Straße", "delivery", "parcel", "order", "offer", "casino", "cheap", "pills", "última"],
    *["oportunidad", "Ihre", "Sendung", "confirmación", "פגישה", "تحديث", "security", "update"],
]
_NAMES = [
    *["Billing", "Anna Schmidt", "Иван Петров", "Jürgen Müller", "Offers", "Support", "José García", "Security"],
    *["王芳", "Zoë Brontë", "Søren Ågård", "Νίκος Παππάς", "田中 太郎", "Deliveries"],
]
_REASONS = [
    *[Verdict(Engine.ANTI_SPAM, Status.SPAM)] * 8,
    Verdict(Engine.ANTI_SPAM, Status.MASSMAIL),
    Verdict(Engine.ANTI_VIRUS, Status.INFECTED, "Eicar"),
    Verdict(Engine.ANTI_PHISHING, Status.PHISHING),
    Verdict(Engine.CONTENT, Status.BANNED_FILE_NAME),
]


def records(size: int, seed: int = 1, start: int = START) -> Iterator[tuple[bytes, CopyRecord, int]]:
    """Yield copies with bodies of some hundred bytes, one per second from `start` (Unix ms)."""
    rnd = random.Random(seed)
    campaigns = [" ".join(rnd.choice(_WORDS) for _ in range(rnd.randint(3, 7))) for _ in range(max(10, size // 50))]
    users = [f"{rnd.choice(_NAMES)} <u{n}@corp.example>" if n % 2 else f"u{n}@corp.example" for n in range(5000)]
    for number in range(size):
        domain = f"example{rnd.randrange(30_000)}.net"
        tail = f" {rnd.randrange(10**6)}" if rnd.random() < 0.5 else ""
        sender = f"a{rnd.randrange(10**6):x}@{domain}"
        record = CopyRecord(
            from_=f"{rnd.choice(_NAMES)} <{sender}>",
            to=(user := rnd.choice(users)),
            subject=rnd.choice(campaigns) + tail,
            message_id=f"<{rnd.getrandbits(64):016x}.{number:X}@{domain}>",
            mta_message_id=f"4{rnd.getrandbits(36):09X}",
            envelope_sender=sender,
            envelope_recipients=(user.partition("<")[2].rstrip(">") or user,),
            rule_id=rnd.randrange(12),
            rule_name="Default",
            reason=(reason := rnd.choice(_REASONS)),
            verdicts=(reason,),
        )
        yield b"x" * rnd.randrange(20, 400), record, start + number * 1000


def bodies(count: int = 50, mean: int = BODY) -> list[bytes]:
    """Yield messages of `mean` bytes on average: base64 of random bytes, which compresses like attachments."""
    rnd = random.Random(2)
    head = b"From: a@x.example\r\nTo: u@x.example\r\nSubject: measured\r\n\r\n"
    sizes = [mean * 3 // 4 * (2 * part + 1) // count for part in range(count)]
    return [head + base64.encodebytes(rnd.randbytes(max(64, size))).replace(b"\n", b"\r\n") for size in sizes]


def key_of(location: Path) -> Path:
    """Return the key file that opens a benchmark store."""
    return location.with_name(f"{location.name}.key")


def open_made(location: Path) -> Vault:
    """Open a benchmark store."""
    return open_store(str(location), Unlock.key_file(key_of(location)))


def new_store(location: Path) -> Vault:
    """Make an empty store, replacing any that is there."""
    remove_store(location)
    location.parent.mkdir(parents=True, exist_ok=True)
    return create_store(str(location), key_file=key_of(location))[0]


def remove_store(location: Path) -> None:
    """Remove a store and all files next to it."""
    for file in location.parent.glob(f"{location.name}*"):
        file.unlink()


def store(size: int) -> Path:
    """Return the store of `size` copies with its snapshot; make it if it is missing."""
    location = FOLDER / f"mail-{size}.store"
    if not _made(location):
        vault = new_store(location)
        vault.put_many(records(size))
        # As if campaigns had been found, and there were none: else a finder would work beside every console.
        standings.store(vault, Standing())
        vault.close()
        _stamp(location)
    if not Path(f"{location}.snapshot").exists():
        make_snapshot(location)
    return location


def make_snapshot(location: Path | str, key: Path | None = None) -> None:
    """Load the catalogue of a store in its own process and save the snapshot. `key` opens a store in PostgreSQL."""
    code = (
        "import sys; from pathlib import Path; from store.catalogue.catalogue import Catalogue; "
        "from store.opening.opening import Unlock, open_store; "
        "vault = open_store(sys.argv[1], Unlock.key_file(Path(sys.argv[2]))); "
        "catalogue = Catalogue(vault); catalogue.start(); catalogue.wait_complete(); catalogue.close(); vault.close()"
    )
    subprocess.run([sys.executable, "-c", code, str(location), str(key or key_of(Path(location)))], check=True)


#: How the names of `own_memory`'s folders begin.
_MEMORY = "mailhold-bench-"


@contextmanager
def own_memory() -> Iterator[None]:
    """Have programs remember the stores they open in a folder of this run's own, not in the user's."""
    names = ("XDG_STATE_HOME", "XDG_CACHE_HOME")
    before = {name: os.environ.get(name) for name in names}
    with tempfile.TemporaryDirectory(prefix=_MEMORY) as state:
        os.environ.update(XDG_STATE_HOME=state, XDG_CACHE_HOME=f"{state}/cache")
        try:
            yield
        finally:
            for name, value in before.items():
                del os.environ[name]
                if value is not None:
                    os.environ[name] = value


def copy_of(location: Path, name: str) -> Path:
    """Copy a store, its key and its snapshot for changing; the bytes are shared if the file system can.

    The copy has the store's id. Inside `own_memory`, what was remembered of others with this id is forgotten, so that
    the copy does not pass for an older state put back.
    """
    target = FOLDER / name
    remove_store(target)
    state = Path(os.environ.get("XDG_STATE_HOME", ""))
    if state.name.startswith(_MEMORY):
        shutil.rmtree(state / "mailhold", ignore_errors=True)
    for suffix in ("", ".key", ".snapshot"):
        source = Path(f"{location}{suffix}")
        if source.exists():
            subprocess.run(["cp", "--reflink=auto", source, f"{target}{suffix}"], check=True)
    return target


def _subset(size: int) -> int:
    return min(size, MOST_PEER_MESSAGES)


def maildir(size: int) -> Path:
    """Return a Maildir of the same mail as headers and short bodies, at most 100,000 messages."""
    size = _subset(size)
    folder = FOLDER / f"maildir-{size}"
    if not _made(folder):
        shutil.rmtree(folder, ignore_errors=True)
        for name in ("cur", "new", "tmp"):
            (folder / "Maildir" / name).mkdir(parents=True)
        for number, (body, record, at) in enumerate(records(size)):
            file = folder / "Maildir" / "cur" / f"{at // 1000}.M{number}.bench:2,S"
            file.write_bytes(message(record, at, body))
        _stamp(folder)
    return folder


def mbox(count: int, size: int = 15_000) -> Path:
    """Return an mbox of `count` messages of `size` bytes."""
    file = FOLDER / f"mail-{count}.mbox"
    if not _made(file):
        file.parent.mkdir(parents=True, exist_ok=True)
        parts = [body.replace(b"\r\n", b"\n") for body in bodies(20, size)]
        with file.open("wb") as out:
            for number, (_body, record, at) in enumerate(records(count, seed=5)):
                text = parts[number % len(parts)].partition(b"\n\n")[2]
                out.write(b"From a@x.example Thu Oct  9 08:53:20 2025\n" + message(record, at, text) + b"\n")
        _stamp(file)
    return file


def message(record: CopyRecord, at: int, body: bytes) -> bytes:
    """Format a message with a record's header fields, encoded as in RFC 2047."""
    from email.header import Header
    from email.utils import formatdate

    def encoded(text: str) -> str:
        name, bracket, address = text.rpartition(" <")
        if text.isascii():
            return text
        return Header(name, "utf-8").encode() + bracket + address if bracket else Header(text, "utf-8").encode()

    head = (
        f"From: {encoded(record.from_)}\nTo: {encoded(record.to)}\nSubject: {encoded(record.subject)}\n"
        f"Date: {formatdate(at / 1000)}\nMessage-ID: {record.message_id}\n\n"
    )
    return head.encode() + body + b"\n"


def plain_sqlite(size: int) -> Path:
    """Write the same metadata as plain text to one SQLite table, with an index on every column that filters use."""
    file = FOLDER / f"plain-{size}.sqlite"
    if not _made(file):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.unlink(missing_ok=True)
        with sqlite3.connect(file) as connection:
            connection.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF; PRAGMA cache_size=-65536")
            connection.execute(
                "CREATE TABLE message (id INTEGER PRIMARY KEY, stored_at INTEGER, engine TEXT, status TEXT, "
                "sender TEXT, recipient TEXT, subject TEXT, message_id TEXT, mta_id TEXT, rule_id INTEGER, "
                "size INTEGER)"
            )
            rows = (
                (
                    *(number, at, record.reason.engine.value if record.reason else "", "", record.from_, record.to),
                    *(record.subject, record.message_id, record.mta_message_id, record.rule_id, len(body)),
                )
                for number, (body, record, at) in enumerate(records(size), 1)
            )
            connection.executemany(f"INSERT INTO message VALUES ({','.join('?' * 11)})", rows)
            for column in ("stored_at", "engine", "sender", "recipient", "subject", "rule_id", "size"):
                connection.execute(f"CREATE INDEX {column}_index ON message ({column})")
            connection.execute("ANALYZE")
        connection.close()
        _stamp(file)
    return file


def _stamp_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.made")


def _made(path: Path) -> bool:
    """Return True if `path` was finished by this version of this file."""
    try:
        return path.exists() and json.loads(_stamp_of(path).read_text()) == maker()
    except (OSError, ValueError):
        return False


def _stamp(path: Path) -> None:
    _stamp_of(path).write_text(json.dumps(maker()))


def maker() -> dict[str, object]:
    """Return what a finished file is stamped with: the version of this file's mail and of the store's format."""
    from store.database.tables import FORMAT

    return {"mail": 2, "format": FORMAT}


def disk_use() -> int:
    """Return the bytes used by `.bench/`."""
    return sum(
        entry.stat().st_blocks * 512 for root, _, names in os.walk(FOLDER) for entry in map(Path(root).joinpath, names)
    )
