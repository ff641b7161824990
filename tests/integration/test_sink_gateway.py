"""The gateway's own LMTP and SMTP listeners: a scanner's quarantine, and a content filter that sends on."""

from __future__ import annotations

import re
import smtplib
import time
from collections import Counter
from collections.abc import Iterator

import pytest

from store.terms.verdicts import Action, Engine, Status, Verdict
from tests.integration import clamd as clamd_module
from tests.integration.clamd import EICAR, ClamdServer
from tests.integration.gateway_process import GatewayProcess
from tests.integration.postfix import DOMAIN, Postfix, free_port
from tests.integration.postfix import why_not as why_no_postfix
from tests.integration.test_sink_amavis import composed

pytestmark = [pytest.mark.integration, pytest.mark.xdist_group("sink-gateway")]

QUARANTINED = (
    b"X-Envelope-From: <true@sender.example>\r\n"
    b"X-Envelope-To: <one@gw.test>, <two@gw.test>\r\n"
    b"X-Quarantine-ID: <a1B2c3D4e5F6>\r\n"
    b"X-Amavis-Alert: INFECTED, message contains virus: Eicar-Test-Signature\r\n" + composed("quarantined")
)


class Listening:
    """A gateway with quarantine listeners, trusted and untrusted, and a content filter in front of a Postfix."""

    def __init__(self, clamd: ClamdServer) -> None:
        self.trusted, self.plain, self.filter = [free_port() for _ in range(3)]
        self.hop = Postfix()
        sections = "".join(
            f'[[sink]]\nlisten = "127.0.0.1:{port}"\n{more}\n'
            for port, more in (
                (self.trusted, "trusted = true"),
                (self.plain, ""),
                (self.filter, f'protocol = "smtp"\nnext_hop = "smtp://127.0.0.1:{self.hop.port}"'),
            )
        )
        self.gateway = GatewayProcess(f'[engines.clamd]\naddress = "{clamd.unix}"\n{sections}')
        self.gateway.start()
        self.vault = self.gateway.vault()

    def stop(self) -> None:
        self.vault.close()
        self.gateway.close()
        self.hop.stop()


@pytest.fixture(scope="module")
def running() -> Iterator[Listening]:
    if reason := clamd_module.why_not() or why_no_postfix():
        pytest.skip(reason)
    clamd = ClamdServer()
    listening = Listening(clamd)
    yield listening
    listening.stop()
    clamd.stop()


@pytest.fixture
def listening(running: Listening) -> Listening:
    running.vault.delete(running.vault.ids())
    return running


def test_a_quarantine_is_kept_with_what_the_scanner_said(listening: Listening) -> None:
    with smtplib.LMTP("127.0.0.1", listening.trusted, timeout=30) as client:
        client.sendmail("", ["virus-quarantine@backup.invalid"], QUARANTINED)
    [copy_id] = listening.vault.ids()
    [copy] = listening.vault.get_many([copy_id])
    assert listening.vault.raw(copy_id) == QUARANTINED
    record = copy.record
    assert record.reason == Verdict(Engine.ANTI_VIRUS, Status.INFECTED, "Eicar-Test-Signature")
    assert (record.envelope_sender, record.envelope_recipients) == (
        "true@sender.example",
        ("one@gw.test", "two@gw.test"),
    )
    assert record.mta_message_id == "a1B2c3D4e5F6"


def test_what_xforward_tells_goes_before_the_header(listening: Listening) -> None:
    with smtplib.LMTP("127.0.0.1", listening.trusted, timeout=30) as client:
        client.ehlo()
        assert client.docmd("XFORWARD", "ADDR=192.0.2.7 IDENT=4hSb1x2CXyz")[0] == 250
        client.sendmail("", ["virus-quarantine@backup.invalid"], QUARANTINED)
    [copy] = listening.vault.newest(1)
    assert (copy.record.mta_message_id, copy.record.client_address) == ("4hSb1x2CXyz", "192.0.2.7")


def test_nobody_is_believed_on_a_listener_that_is_not_trusted(listening: Listening) -> None:
    with smtplib.LMTP("127.0.0.1", listening.plain, timeout=30) as client:
        client.sendmail("s@gw.test", ["kept@gw.test"], QUARANTINED)
    [copy] = listening.vault.newest(1)
    assert copy.record.verdicts == ()
    assert copy.record.reason is None
    assert copy.record.envelope_recipients == ("kept@gw.test",)


def test_the_content_filter_keeps_and_sends_on(listening: Listening) -> None:
    clean, infected = composed("clean"), composed("infected", attachment=("file.bin", EICAR))
    for raw in (clean, infected):
        with smtplib.SMTP("127.0.0.1", listening.filter, timeout=30) as client:
            client.sendmail("s@gw.test", [f"a@{DOMAIN}"], raw)
    [arrived] = listening.hop.wait_for(1)
    listening.hop.wait_until_empty()
    assert len(listening.hop.received()) == 1
    assert arrived.endswith(clean.replace(b"\r\n", b"\n"))
    [copy] = listening.vault.newest(10)
    assert listening.vault.raw(copy.id) == infected
    assert copy.record.action is Action.DELETE_MESSAGE
    assert copy.record.reason is not None
    assert copy.record.reason.status is Status.INFECTED


MESSAGES, KILLS = 200, 5
FILTERED = """\
127.0.0.1:{hop} inet n - n - - smtpd
  -o content_filter=
backupfilter unix - - n - 8 smtp
  -o smtp_send_xforward_command=yes -o disable_mime_output_conversion=yes -o smtp_line_length_limit=0
"""


def test_a_filter_that_is_killed_loses_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """Messages that the filter answered with 250 have been passed on; Postfix sends all others again."""
    if reason := why_no_postfix():
        pytest.skip(reason)
    hop, port = free_port(), free_port()
    gateway = GatewayProcess(
        f'[[sink]]\nlisten = "127.0.0.1:{port}"\nprotocol = "smtp"\nnext_hop = "smtp://127.0.0.1:{hop}"\n'
    )
    postfix = Postfix(
        settings={"content_filter": f"backupfilter:[127.0.0.1]:{port}", "minimal_backoff_time": "1s"},
        services=FILTERED.format(hop=hop),
    )
    try:
        gateway.start()
        killed = 0
        with smtplib.SMTP("127.0.0.1", postfix.port, timeout=60) as client:
            for number in range(MESSAGES):
                client.sendmail("s@gw.test", [f"a@{DOMAIN}"], composed(f"number-{number}-"))
                if number % (MESSAGES // KILLS) == MESSAGES // KILLS - 1:
                    gateway.kill()
                    killed += 1
                    gateway.start()
                    postfix._postfix("flush")
        until = time.monotonic() + 60
        while time.monotonic() < until:
            postfix._postfix("flush")
            try:
                postfix.wait_until_empty(2)
                break
            except AssertionError:
                continue
        counts = Counter(re.findall(rb"Subject: number-(\d+)-", b"\n".join(postfix.received())))
        with capsys.disabled():
            twice = sum(count - 1 for count in counts.values())
            print(f"\ncontent filter killed {killed} times: {len(counts)} of {MESSAGES} arrived, {twice} once more")
        assert len(counts) == MESSAGES
    finally:
        gateway.close()
        postfix.stop()
