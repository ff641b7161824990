"""The real scanners: what each reports as infected, spam, phishing and so on, and what happens when one stops."""

from __future__ import annotations

import asyncio
import base64
import io
import signal
import struct
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from store.judging.engines import states
from store.judging.engines.clamd import Clamd
from store.judging.engines.engine import EngineResult, scan_all
from store.judging.engines.rspamd import Rspamd
from store.judging.engines.spamd import Spamd
from store.mail.incoming import Incoming
from store.terms.verdicts import Engine, Status, Verdict
from tests.integration.clamd import EICAR, STREAM_MAX, ClamdServer, clamd
from tests.integration.rspamd import (
    BLACKLISTED_SENDER,
    GTUBE,
    GTUBE_ADD_HEADER,
    GTUBE_REWRITE_SUBJECT,
    MALICIOUS_HOST,
    RspamdServer,
    rspamd,
)
from tests.integration.spamd import SpamdServer, spamd

__all__ = ["clamd", "rspamd", "spamd"]

pytestmark = [pytest.mark.integration, pytest.mark.xdist_group("engines")]

HEADER = (
    "From: Ann <ann@example.org>\r\nTo: bob@example.com\r\nSubject: Lunch on Thursday\r\n"
    "Date: Tue, 24 Nov 2026 09:00:00 +0000\r\nMessage-ID: <1@example.org>\r\nMIME-Version: 1.0\r\n"
)
TEXT = "Shall we have lunch on Thursday? I know a quiet place near the station that opens at noon.\r\n"


def plain(text: str = TEXT, header: str = HEADER) -> bytes:
    return f"{header}Content-Type: text/plain; charset=utf-8\r\n\r\n{text}".encode()


def html(markup: str) -> bytes:
    return f"{HEADER}Content-Type: text/html; charset=utf-8\r\n\r\n<html><body>{markup}</body></html>\r\n".encode()


def with_attachment(data: bytes, name: str = "notes.bin", header: str = HEADER) -> bytes:
    coded = base64.encodebytes(data).decode().replace("\n", "\r\n")
    return (
        f"{header}Content-Type: multipart/mixed; boundary=b\r\n\r\n"
        f"--b\r\nContent-Type: text/plain\r\n\r\n{TEXT}\r\n--b\r\n"
        f'Content-Type: application/octet-stream\r\nContent-Disposition: attachment; filename="{name}"\r\n'
        f"Content-Transfer-Encoding: base64\r\n\r\n{coded}\r\n--b--\r\n"
    ).encode()


def received(raw: bytes, sender: str = "ann@example.org") -> Incoming:
    return Incoming(
        raw,
        sender,
        ["bob@example.com"],
        queue_id="4ABC",
        client_address="192.0.2.1",
        client_name="mx.example.org",
        helo="mx.example.org",
        received_at=1_795_510_800_000,
    )


def encrypted_zip() -> bytes:
    """Make an archive whose only file is marked as encrypted."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("secret.txt", b"x" * 50)
    data = bytearray(buffer.getvalue())
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        struct.pack_into("<H", data, data.index(mark) + offset, 1)
    return bytes(data)


def broken_executable() -> bytes:
    header = bytearray(b"MZ" + bytes(1022))
    struct.pack_into("<I", header, 60, 64)
    header[64:68] = b"PE\0\0"
    return bytes(header)


def statuses(result: EngineResult) -> dict[Engine, Status]:
    assert result.scanned, result.why
    return {verdict.engine: verdict.status for verdict in result.verdicts}


@pytest.fixture(params=["unix", "tcp"])
async def virus_scanner(request: pytest.FixtureRequest, clamd: ClamdServer) -> AsyncIterator[Clamd]:
    scanner = Clamd(getattr(clamd, request.param), time_limit=30)
    yield scanner
    await scanner.close()


@pytest.fixture(params=["unix", "tcp"])
async def spam_scanner(request: pytest.FixtureRequest, rspamd: RspamdServer) -> AsyncIterator[Rspamd]:
    scanner = Rspamd(getattr(rspamd, request.param), time_limit=30)
    yield scanner
    await scanner.close()


async def test_clamd_passes_ham(virus_scanner: Clamd) -> None:
    assert statuses(await virus_scanner.scan(received(plain()))) == {Engine.ANTI_VIRUS: Status.CLEAN}
    assert await virus_scanner.ping() == ""


@pytest.mark.parametrize(
    ("raw", "verdict"),
    [
        (
            with_attachment(EICAR),
            Verdict(Engine.ANTI_VIRUS, Status.INFECTED, "Eicar-Test-Signature.UNOFFICIAL"),
        ),
        (
            with_attachment(encrypted_zip(), "secret.zip"),
            Verdict(Engine.ANTI_VIRUS, Status.ENCRYPTED, "Heuristics.Encrypted.Zip"),
        ),
        (
            with_attachment(broken_executable(), "setup.exe"),
            Verdict(Engine.ANTI_VIRUS, Status.CORRUPTED, "Heuristics.Broken.Executable"),
        ),
        (
            html('<a href="http://198.51.100.7/login">https://www.paypal.com/signin</a>'),
            Verdict(Engine.ANTI_PHISHING, Status.PHISHING, "Heuristics.Phishing.Email.SSL-Spoof"),
        ),
    ],
    ids=["infected", "encrypted", "broken", "phishing"],
)
async def test_clamd_condemns(virus_scanner: Clamd, raw: bytes, verdict: Verdict) -> None:
    result = await virus_scanner.scan(received(raw))
    assert result.scanned, result.why
    assert result.verdicts == (verdict,)


@pytest.mark.parametrize(
    "header", ["X-Odd: 1\r\n", "Comments: x\r\n", "DKIM-Signature: v=1\r\n", "Thread-Index: y\r\n"]
)
async def test_clamd_looks_into_a_message_whatever_it_begins_with(virus_scanner: Clamd, header: str) -> None:
    """Without the line prepended to each message, clamd called some of these clean."""
    raw = with_attachment(EICAR, header=header + "Subject: x\r\nMIME-Version: 1.0\r\n")
    assert statuses(await virus_scanner.scan(received(raw))) == {Engine.ANTI_VIRUS: Status.INFECTED}


async def test_a_message_that_is_too_large_for_clamd_is_not_scanned(virus_scanner: Clamd) -> None:
    result = await virus_scanner.scan(received(plain() + b"y" * (2 * STREAM_MAX)))
    assert (result.scanned, virus_scanner.state.up) == (False, True)
    assert (await virus_scanner.scan(received(plain()))).scanned


async def test_clamd_without_dated_databases_tells_no_date(virus_scanner: Clamd) -> None:
    assert (await virus_scanner.scan(received(plain()))).database_date == 0


@pytest.mark.parametrize(
    ("raw", "sender", "spam", "phishing"),
    [
        (plain(), "ann@example.org", Status.CLEAN, Status.CLEAN),
        (plain(GTUBE + "\r\n"), "ann@example.org", Status.SPAM, Status.CLEAN),
        (plain(GTUBE_ADD_HEADER + "\r\n"), "ann@example.org", Status.PROBABLE_SPAM, Status.CLEAN),
        (plain(GTUBE_REWRITE_SUBJECT + "\r\n"), "ann@example.org", Status.PROBABLE_SPAM, Status.CLEAN),
        (plain(), BLACKLISTED_SENDER, Status.BLACKLISTED, Status.CLEAN),
        (plain(f"See http://{MALICIOUS_HOST}/x\r\n"), "ann@example.org", Status.CLEAN, Status.MALICIOUS_LINK),
        (html('<a href="http://evil.test/">https://www.paypal.com/</a>'), "a@b.test", Status.CLEAN, Status.PHISHING),
    ],
    ids=["ham", "spam", "add-header", "rewrite-subject", "blacklisted", "malicious-link", "phishing"],
)
async def test_rspamd(spam_scanner: Rspamd, raw: bytes, sender: str, spam: Status, phishing: Status) -> None:
    found = statuses(await spam_scanner.scan(received(raw, sender)))
    assert found[Engine.ANTI_PHISHING] is phishing
    if phishing is Status.CLEAN:
        assert found[Engine.ANTI_SPAM] is spam


async def test_rspamd_tells_the_score_and_what_made_it(spam_scanner: Rspamd) -> None:
    [spam, _] = (await spam_scanner.scan(received(plain(GTUBE + "\r\n")))).verdicts
    assert spam.detail.startswith("reject 15.00 / 15.00 GTUBE(")


async def test_rspamd_calls_spam_to_many_massmail(spam_scanner: Rspamd) -> None:
    header = HEADER + "Precedence: bulk\r\nList-Id: <news.example.org>\r\nList-Unsubscribe: <http://example.org/u>\r\n"
    ham = await spam_scanner.scan(received(plain(header=header)))
    assert statuses(ham)[Engine.ANTI_SPAM] is Status.CLEAN
    spam = await spam_scanner.scan(received(plain(f"Buy now: http://{MALICIOUS_HOST}/x\r\n", header)))
    assert statuses(spam) == {Engine.ANTI_SPAM: Status.MASSMAIL, Engine.ANTI_PHISHING: Status.MALICIOUS_LINK}


async def test_rspamd_gets_the_envelope(spam_scanner: Rspamd, rspamd: RspamdServer) -> None:
    assert (await spam_scanner.scan(received(plain()))).scanned
    for _ in range(100):
        if "qid: <4ABC>" in rspamd.log():
            break
        await asyncio.sleep(0.05)
    line = next(line for line in rspamd.log().splitlines() if "qid: <4ABC>" in line)
    assert "ip: 192.0.2.1" in line
    assert "from: <ann@example.org>" in line


async def test_spamd(spamd: SpamdServer) -> None:
    scanner = Spamd(spamd.unix)
    assert await scanner.ping() == ""
    assert statuses(await scanner.scan(received(plain()))) == {Engine.ANTI_SPAM: Status.CLEAN}
    result = await scanner.scan(received(plain(GTUBE + "\r\n")))
    assert statuses(result) == {Engine.ANTI_SPAM: Status.SPAM}
    assert "GTUBE" in result.verdicts[0].detail


async def test_all_at_once_on_the_corpus(clamd: ClamdServer, rspamd: RspamdServer, corpus_files: list[Path]) -> None:
    """Real and malformed messages, many at a time: each scanner gives a verdict for each message."""
    scanners = [Clamd(clamd.unix, time_limit=60), Rspamd(rspamd.unix, time_limit=60)]
    gate = asyncio.Semaphore(8)
    failed: list[str] = []

    async def scan(path: Path) -> None:
        async with gate:
            for name, result in (await scan_all(scanners, received(path.read_bytes()))).items():
                if not result.scanned:
                    failed.append(f"{path}: {name}: {result.why}")

    files = corpus_files[::4]
    await asyncio.gather(*(scan(path) for path in files))
    for scanner in scanners:
        await scanner.close()
    print(f"{len(files)} messages, {[scanner.state for scanner in scanners]}")
    assert not failed


async def test_clamd_stopped_killed_and_back(clamd: ClamdServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(states, "PAUSE", 0.0)
    monkeypatch.setattr(states, "PING_LIMIT", 0.2)
    scanner = Clamd(clamd.unix, time_limit=0.5)
    clamd.signal(signal.SIGSTOP)
    try:
        result = await scanner.scan(received(plain()))
    finally:
        clamd.signal(signal.SIGCONT)
    assert result.verdicts[0].status is Status.NOT_SCANNED
    assert "is down: no answer within 0.2 s" in result.why
    monkeypatch.setattr(states, "PING_LIMIT", 10.0)
    scanner.time_limit = 30
    assert (await scanner.scan(received(plain()))).scanned
    clamd.kill()
    try:
        assert "is down: Connection refused" in (await scanner.scan(received(plain()))).why
    finally:
        clamd.start()
    assert (await scanner.scan(received(with_attachment(EICAR)))).condemned
    await scanner.close()


async def test_rspamd_killed_and_back(rspamd: RspamdServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(states, "PAUSE", 0.0)
    scanner = Rspamd(rspamd.unix, time_limit=30)
    assert (await scanner.scan(received(plain()))).scanned
    rspamd.kill()
    try:
        assert "rspamd is down: Connection refused" in (await scanner.scan(received(plain()))).why
    finally:
        rspamd.start()
    assert (await scanner.scan(received(plain(GTUBE + "\r\n")))).condemned
    await scanner.close()


async def test_clamd_reloads_in_the_midst(clamd: ClamdServer) -> None:
    """Sessions go on while clamd loads its databases anew, and none of the messages is lost."""
    scanner = Clamd(clamd.unix, time_limit=60)
    left = iter(range(120))

    async def scan() -> None:
        for number in left:
            infected = number % 2 == 1
            if number in (30, 60, 90):
                clamd.signal(signal.SIGUSR2)  # RELOAD
            result = await scanner.scan(received(with_attachment(EICAR) if infected else plain()))
            assert result.scanned and result.condemned == infected, result.why

    await asyncio.gather(*(scan() for _ in range(8)))
    await scanner.close()


@pytest.mark.parametrize("seconds", [1.2, 2.5])
async def test_a_session_that_clamd_ends_while_idle_is_replaced(seconds: float) -> None:
    """clamd ends a session in which nothing comes for CommandReadTimeout."""
    server = Impatient()
    try:
        scanner = Clamd(server.unix, time_limit=30)
        for raw, infected in ((plain(), False), (with_attachment(EICAR), True), (plain(), False)):
            result = await scanner.scan(received(raw))
            assert result.scanned and result.condemned == infected, result.why
            await asyncio.sleep(seconds)
        assert scanner.state.up and scanner.state.not_scanned == 0
        await scanner.close()
    finally:
        server.stop()


class Impatient(ClamdServer):
    """A clamd that ends a session after two seconds without a command."""

    def prepare(self) -> None:
        super().prepare()
        with (self.folder / "clamd.conf").open("a") as file:
            file.write("CommandReadTimeout 2\n")


async def test_clamd_restarts_between_two_messages(clamd: ClamdServer) -> None:
    """All sessions end with it; no message is told as not scanned, and no error is counted."""
    scanner = Clamd(clamd.unix, time_limit=30)
    for _ in range(3):
        for result in await asyncio.gather(*(scanner.scan(received(plain())) for _ in range(8))):
            assert result.scanned, result.why
        clamd.kill()
        clamd.start()
    assert (await scanner.scan(received(with_attachment(EICAR)))).condemned
    assert scanner.state.not_scanned == 0
    await scanner.close()


async def test_clamd_reads_what_follows_in_a_session_anew(clamd: ClamdServer) -> None:
    """Every answer belongs to its own message, whatever came before in the session."""
    scanner = Clamd(clamd.unix, time_limit=30, concurrency=1)
    for raw, status in (
        (with_attachment(EICAR), Status.INFECTED),
        (plain(), Status.CLEAN),
        (plain() + b"y" * (2 * STREAM_MAX), Status.NOT_SCANNED),
        (plain() + b"y" * (STREAM_MAX // 2), Status.CLEAN),
        (with_attachment(encrypted_zip(), "secret.zip"), Status.ENCRYPTED),
        (b"", Status.CLEAN),
        (with_attachment(EICAR), Status.INFECTED),
    ):
        assert (await scanner.scan(received(raw))).verdicts[0].status is status
    await scanner.close()
