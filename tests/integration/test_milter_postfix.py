"""The milter against a real Postfix: every message byte for byte, its envelope, and each outcome carried out."""

from __future__ import annotations

import asyncio
import smtplib
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path

import pytest

from store.intake.milter.server import MilterServer
from store.mail.incoming import Accept, Discard, Incoming, Outcome, Refuse
from tests.integration.postfix import DOMAIN, Postfix, why_not

pytestmark = [pytest.mark.integration, pytest.mark.xdist_group("postfix-milter")]

MAX_SIZE = 2_000_000


class Milter:
    """A milter in its own thread, whose judge the test can replace."""

    def __init__(self, path: Path, *, mode: int = 0o666, group: str = "") -> None:
        self.judge: Callable[[Incoming], Outcome] = lambda _incoming: Accept()
        self.seen: list[Incoming] = []
        self.loop = asyncio.new_event_loop()
        self.server = MilterServer(self._handle, max_size=MAX_SIZE)
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        self._call(self.server.listen_unix(path, mode=mode, group=group)).result(10)

    async def _handle(self, incoming: Incoming) -> Outcome:
        self.seen.append(incoming)
        return self.judge(incoming)

    def _call(self, coroutine: object) -> Future[object]:
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop)

    def stop(self) -> None:
        self._call(self.server.stop()).result(20)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(10)


@pytest.fixture(scope="module")
def milter() -> Iterator[Milter]:
    if reason := why_not():
        pytest.skip(reason)
    # Postfix's user cannot enter pytest's own folder.
    with tempfile.TemporaryDirectory(prefix="mailhold-milter-") as folder:
        Path(folder).chmod(0o755)
        running = Milter(Path(folder) / "m")
        yield running
        running.stop()


@pytest.fixture(scope="module")
def postfix(milter: Milter) -> Iterator[Postfix]:
    path = milter.server.paths[0]
    running = Postfix(settings={"smtpd_milters": f"unix:{path}", "milter_default_action": "tempfail"})
    yield running
    running.stop()


@pytest.fixture(autouse=True)
def quiet(milter: Milter) -> None:
    milter.judge = lambda _incoming: Accept()
    milter.seen.clear()


def send(
    postfix: Postfix, raw: bytes, sender: str = f"s@{DOMAIN}", to: tuple[str, ...] = (f"a@{DOMAIN}",)
) -> tuple[int, bytes]:
    """Send the bytes unchanged (dots doubled); return the reply to the message."""
    with smtplib.SMTP("127.0.0.1", postfix.port, timeout=30) as client:
        client.ehlo("client.test")
        assert client.mail(sender, ["BODY=8BITMIME"])[0] == 250, postfix.log()
        for address in to:
            assert client.rcpt(address)[0] == 250, postfix.log()
        assert client.docmd("DATA")[0] == 354
        data = raw.replace(b"\n.", b"\n..")
        client.send((b"." if data.startswith(b".") else b"") + data + b".\r\n")
        return client.getreply()


def crlf(raw: bytes) -> bytes:
    """Convert line ends to CR LF and append one at the end."""
    raw = raw.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\n", b"\r\n")
    return raw if raw.endswith(b"\r\n") else raw + b"\r\n"


def test_the_envelope_and_the_client_are_known(milter: Milter, postfix: Postfix) -> None:
    code, text = send(postfix, b"Subject: x\r\n\r\nbody\r\n", to=(f"a@{DOMAIN}", f"hidden@{DOMAIN}"))
    assert code == 250
    [incoming] = milter.seen
    assert incoming.sender == f"s@{DOMAIN}"
    assert incoming.recipients == [f"a@{DOMAIN}", f"hidden@{DOMAIN}"]
    assert incoming.client_address == "127.0.0.1"
    assert incoming.queue_id and incoming.queue_id.encode() in text
    assert incoming.helo == "client.test"
    assert incoming.received_at > 0


def test_the_null_sender_stays_null(milter: Milter, postfix: Postfix) -> None:
    assert send(postfix, b"Subject: x\r\n\r\nbody\r\n", sender="")[0] == 250
    assert milter.seen[0].sender == ""


def test_discard_refuse_and_tempfail_are_taken(milter: Milter, postfix: Postfix) -> None:
    postfix.wait_until_empty()
    before = len(postfix.received())
    milter.judge = lambda _incoming: Discard()
    assert send(postfix, b"Subject: d\r\n\r\nbody\r\n")[0] == 250
    milter.judge = lambda _incoming: Refuse(554, "5.7.1", "no: 100 % spam\r\n250 ok")
    assert send(postfix, b"Subject: r\r\n\r\nbody\r\n") == (554, b"5.7.1 no: 100 % spam??250 ok")
    milter.judge = lambda _incoming: Refuse(451, "4.7.1", "Backup is temporarily unavailable")
    assert send(postfix, b"Subject: t\r\n\r\nbody\r\n") == (451, b"4.7.1 Backup is temporarily unavailable")

    def broken(_incoming: Incoming) -> Outcome:
        raise RuntimeError("a defect")

    milter.judge = broken
    assert send(postfix, b"Subject: e\r\n\r\nbody\r\n")[0] == 451
    milter.judge = lambda _incoming: Accept()
    assert send(postfix, b"Subject: a\r\n\r\nbody\r\n")[0] == 250
    assert len(postfix.wait_for(before + 1)) == before + 1


def test_headers_and_body_are_changed(milter: Milter, postfix: Postfix) -> None:
    postfix.wait_until_empty()
    before = len(postfix.received())
    body = b"new\r\n" * 40_000
    milter.judge = lambda _incoming: Accept(
        body=body, add_headers=(("X-Added", "one\n\ttwo"),), delete_headers=(("X-Gone", 1), ("X-Gone", 2))
    )
    raw = b"Subject: s\r\nX-Gone: 1\r\nX-Gone: 2\r\nX-Gone: 3\r\n\r\nold\r\n"
    assert send(postfix, raw)[0] == 250
    arrived = postfix.wait_for(before + 1)[-1].replace(b"\n", b"\r\n")
    header, _, text = arrived.partition(b"\r\n\r\n")
    assert text == body
    assert b"X-Added: one\r\n\ttwo" in header
    assert [line for line in header.split(b"\r\n") if line.startswith(b"X-Gone")] == [b"X-Gone: 3"]


def test_what_is_too_large_arrives_cut_off_and_marked(milter: Milter, postfix: Postfix) -> None:
    assert send(postfix, b"Subject: big\r\n\r\n" + b"x" * 70 + b"\r\n" + (b"y" * 70 + b"\r\n") * 40_000)[0] == 250
    [incoming] = milter.seen
    assert incoming.truncated
    assert len(incoming.raw) <= MAX_SIZE + 100


def test_a_client_that_goes_away_leaves_no_session(milter: Milter, postfix: Postfix) -> None:
    with socket.create_connection(("127.0.0.1", postfix.port)) as client:
        client.recv(100)
        client.sendall(b"EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<a@gw.test>\r\nDATA\r\nSubject: half")
    assert send(postfix, b"Subject: whole\r\n\r\nbody\r\n")[0] == 250
    assert [incoming.raw for incoming in milter.seen] == [b"Subject: whole\r\n\r\nbody\r\n"]


def test_the_corpus_arrives_byte_for_byte(
    milter: Milter, postfix: Postfix, corpus_files: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """Except for what Postfix repairs before a milter sees it: bare CR, NUL, and an invalid header."""
    milter.judge = lambda _incoming: Discard()
    sent = [crlf(path.read_bytes()) for path in corpus_files]
    for raw in sent:
        assert send(postfix, raw)[0] == 250
    same = sum(incoming.raw == raw for incoming, raw in zip(milter.seen, sent, strict=True))
    bodies = sum(
        incoming.raw.partition(b"\r\n\r\n")[2] == raw.partition(b"\r\n\r\n")[2]
        for incoming, raw in zip(milter.seen, sent, strict=True)
    )
    with capsys.disabled():
        print(f"\nmilter: {same} of {len(sent)} byte-identical, {bodies} with an identical body")
    assert same >= len(sent) * 0.9
