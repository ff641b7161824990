"""Postfix as a client of the listeners: as content filter with re-injection, and by FILTER into LMTP."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from store.mail.incoming import Accept, Discard, Refuse
from store.mail.relay import Relay
from tests.integration.postfix import DOMAIN, Postfix, free_port, why_not
from tests.integration.sink import Sink
from tests.integration.test_milter_postfix import crlf, send
from tests.store.intake.smtp_wire import WireClient

pytestmark = [pytest.mark.integration, pytest.mark.xdist_group("postfix-sink")]

UNKNOWN = f"unknown@{DOMAIN}"
SERVICES = """\
127.0.0.1:{reinject} inet n - n - - smtpd
  -o syslog_name=postfix/reinject -o content_filter= -o header_checks=
  -o smtpd_authorized_xforward_hosts=127.0.0.0/8
  -o {{ smtpd_recipient_restrictions =
     check_recipient_access inline:{{ {{{unknown}=550 5.1.1 no such user}} }}, permit }}
backupfilter unix - - n - 4 smtp
  -o smtp_send_xforward_command=yes -o disable_mime_output_conversion=yes -o smtp_generic_maps=
  -o smtp_line_length_limit=0
backuplmtp unix - - n - 4 lmtp
  -o lmtp_send_xforward_command=yes -o disable_mime_output_conversion=yes -o lmtp_line_length_limit=0
"""
TO = (f"a@{DOMAIN}", UNKNOWN, f"c@{DOMAIN}")


class Lab:
    """A Postfix whose mail goes through `filter` (SMTP, then to a re-injection port) or into `end` (LMTP)."""

    def __init__(self, folder: Path) -> None:
        reinject = free_port()
        self.filter = Sink(protocol="smtp", next_hop=Relay("127.0.0.1", reinject))
        self.end = Sink(protocol="lmtp", path=folder / "lmtp")
        self.postfix = Postfix(
            settings={
                "content_filter": f"backupfilter:[127.0.0.1]:{self.filter.port}",
                "header_checks": f"regexp:{{ {{/^X-To-Backup: yes/ FILTER backuplmtp:unix:{folder}/lmtp}} }}",
            },
            services=SERVICES.format(reinject=reinject, unknown=UNKNOWN),
        )

    def reset(self) -> None:
        for sink in (self.filter, self.end):
            sink.seen.clear()
            sink.judge = lambda _incoming: Accept()
        self.postfix.wait_until_empty()
        for path in (self.postfix.maildir / "new").glob("*"):
            path.unlink()

    def stop(self) -> None:
        self.postfix.stop()
        self.filter.stop()
        self.end.stop()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    if reason := why_not():
        pytest.skip(reason)
    import tempfile

    # Postfix's user cannot enter pytest's own folder.
    with tempfile.TemporaryDirectory(prefix="mailhold-sink-") as folder:
        Path(folder).chmod(0o755)
        lab = Lab(Path(folder))
        yield lab
        lab.stop()


@pytest.fixture
def lab(running: Lab) -> Lab:
    running.reset()
    return running


def message(subject: str, extra: bytes = b"") -> bytes:
    return b"Subject: %s\r\n%sFrom: s@gw.test\r\n\r\n.body\r\n..\r\n" % (subject.encode(), extra)


def words(text: bytes) -> bytes:
    """Join wrapped lines: a bounce wraps its lines."""
    return b" ".join(text.split())


def statuses(log: str, to: str) -> list[str]:
    """Return the status of each attempt to deliver to `to`."""
    return re.findall(rf"to=<{re.escape(to)}>,.* status=(\w+)", log)


def test_the_filter_knows_the_client_and_the_message_goes_on(lab: Lab) -> None:
    code, told = send(lab.postfix, message("one"), sender="")
    assert code == 250
    [arrived] = lab.postfix.wait_for(1)
    [incoming] = lab.filter.seen
    assert incoming.sender == ""
    assert incoming.recipients == [f"a@{DOMAIN}"]
    assert incoming.queue_id
    assert incoming.queue_id.encode() in told
    assert (incoming.client_address, incoming.helo) == ("127.0.0.1", "client.test")
    assert incoming.raw.endswith(message("one"))
    assert arrived.endswith(message("one").replace(b"\r\n", b"\n"))
    # The client of the first Postfix is in the log of the second, by XFORWARD.
    log = lab.postfix.log()
    assert re.search(rf"reinject/smtpd.*orig_queue_id={incoming.queue_id}.*orig_client=unknown\[127\.0\.0\.1\]", log)


def test_one_of_three_recipients_is_refused_behind_the_filter(lab: Lab) -> None:
    assert send(lab.postfix, message("three"), to=TO)[0] == 250
    arrived = lab.postfix.wait_for(3)
    lab.postfix.wait_until_empty()
    [incoming] = lab.filter.seen[:1]
    assert sorted(incoming.recipients) == [TO[0], TO[2]]
    bounces = [each for each in arrived if b"multipart/report" in each]
    assert len(arrived) == 3
    assert len(bounces) == 1
    assert b"Recipient address rejected: no such user" in words(bounces[0])
    assert re.findall(rb"Final-Recipient: rfc822; (.*)", bounces[0]) == [UNKNOWN.encode()]


def test_one_of_three_recipients_is_refused_by_lmtp(lab: Lab) -> None:
    lab.end.judge = lambda incoming: [
        Refuse(550, "5.7.1", "not for you") if address == TO[1] else Accept() for address in incoming.recipients
    ]
    assert send(lab.postfix, message("lmtp", b"X-To-Backup: yes\r\n"), to=TO)[0] == 250
    [bounce] = lab.postfix.wait_for(1)
    lab.postfix.wait_until_empty()
    [incoming] = lab.end.seen
    assert sorted(incoming.recipients) == sorted(TO)
    assert incoming.raw.endswith(message("lmtp", b"X-To-Backup: yes\r\n"))
    assert incoming.client_address == "127.0.0.1"
    log = "\n".join(line for line in lab.postfix.log().splitlines() if incoming.queue_id in line)
    assert [statuses(log, address) for address in TO] == [["sent"], ["bounced"], ["sent"]]
    assert b"5.7.1 not for you" in words(bounce)
    assert re.findall(rb"Final-Recipient: rfc822; (.*)", bounce) == [UNKNOWN.encode()]


def test_what_the_filter_discards_or_refuses_does_not_arrive(lab: Lab) -> None:
    lab.filter.judge = lambda _incoming: Discard()
    assert send(lab.postfix, message("discarded"))[0] == 250
    lab.postfix.wait_until_empty()
    lab.filter.judge = lambda incoming: (
        Accept() if incoming.sender == "" else Refuse(554, "5.7.1", "no: 100 % spam\r\n250 ok")
    )
    assert send(lab.postfix, message("refused"))[0] == 250
    [bounce] = lab.postfix.wait_for(1)
    lab.postfix.wait_until_empty()
    assert b"5.7.1 no: 100 % spam??250 ok" in words(bounce)
    assert len(lab.postfix.received()) == 1


def test_what_cannot_be_judged_waits_with_the_mta(lab: Lab) -> None:
    failures = [Refuse(451, "4.7.1", "Backup is unavailable")]
    lab.filter.judge = lambda _incoming: failures.pop() if failures else Accept()
    assert send(lab.postfix, message("later"))[0] == 250
    until = time.monotonic() + 30
    while not lab.filter.seen and time.monotonic() < until:
        time.sleep(0.05)
    while "status=deferred" not in lab.postfix.log() and time.monotonic() < until:
        time.sleep(0.05)
    lab.postfix._postfix("flush")
    [arrived] = lab.postfix.wait_for(1)
    assert arrived.endswith(message("later").replace(b"\r\n", b"\n"))


def test_the_corpus_through_the_filter_and_on(
    lab: Lab, corpus_files: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """Except for what Postfix repairs: bare CR, NUL, and an invalid header."""
    sent = {b"%d@corpus" % at: crlf(path.read_bytes()) for at, path in enumerate(corpus_files)}
    for name, raw in sent.items():
        assert send(lab.postfix, raw, sender=name.decode())[0] == 250
    arrived = lab.postfix.wait_for(len(sent), 120)
    lab.postfix.wait_until_empty()
    assert len(lab.filter.seen) == len(sent)
    filtered = sum(incoming.raw.endswith(sent[incoming.sender.encode()]) for incoming in lab.filter.seen)
    passed, forms = 0, {incoming.sender: incoming.raw.replace(b"\r\n", b"\n") for incoming in lab.filter.seen}
    for each in arrived:
        sender = re.match(rb"Return-Path: <(.*)>", each)
        assert sender is not None
        passed += each.endswith(forms[sender[1].decode()])
    with capsys.disabled():
        print(
            f"\ncontent filter: of {len(sent)} messages {filtered} came as they were sent, {passed} of {len(arrived)} "
            "went on as they came"
        )
    assert filtered >= len(sent) * 0.9
    assert passed == len(arrived) == len(sent)


async def test_the_corpus_by_lmtp_byte_for_byte(
    running: Lab, corpus_files: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """Directly into the listener, without a Postfix that repairs: every message, including bare CR and NUL."""
    running.reset()
    sent = [crlf(path.read_bytes()) for path in corpus_files]
    sent += [raw.replace(b"\r\n", b"\n") + b"\r\n" for raw in sent[:20]]
    client = WireClient(*await asyncio.open_unix_connection(str(running.end.server.paths[0])))
    assert (await client.reply()).code == 220
    assert (await client.ask("LHLO client.test")).code == 250
    for raw in sent:
        assert (await client.message(raw)).code == 250
    await client.ask("QUIT")
    same = sum(incoming.raw == raw for incoming, raw in zip(running.end.seen, sent, strict=True))
    with capsys.disabled():
        print(f"\nLMTP: {same} of {len(sent)} byte-identical")
    assert same == len(sent)
