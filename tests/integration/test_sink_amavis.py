"""A real amavis that quarantines into the LMTP listener: verdicts, envelope, queue ID and every byte."""

from __future__ import annotations

import smtplib
from collections.abc import Iterator
from email.message import EmailMessage

import pytest

from store.judging.trusted_headers import scanner_verdicts
from store.mail.incoming import Incoming
from store.terms.verdicts import Engine, Status
from tests.integration import amavis as amavis_module
from tests.integration import clamd as clamd_module
from tests.integration.amavis import QUARANTINE, Amavis
from tests.integration.clamd import EICAR, ClamdServer
from tests.integration.postfix import DOMAIN, Postfix, free_port
from tests.integration.postfix import why_not as why_no_postfix
from tests.integration.rspamd import GTUBE
from tests.integration.sink import Sink

pytestmark = [pytest.mark.integration, pytest.mark.xdist_group("amavis")]

REINJECT = """\
127.0.0.1:{port} inet n - n - - smtpd
  -o content_filter= -o smtpd_milters=
  -o receive_override_options=no_unknown_recipient_checks,no_header_body_checks,no_address_mappings
amavis unix - - n - 2 smtp
  -o smtp_send_xforward_command=yes -o disable_mime_output_conversion=yes -o smtp_generic_maps=
"""


@pytest.fixture(scope="module")
def sink() -> Iterator[Sink]:
    running = Sink(protocol="lmtp", trusted=True)
    yield running
    running.stop()


@pytest.fixture(scope="module")
def postfix(sink: Sink) -> Iterator[Postfix]:
    """Run a Postfix that sends everything through amavis."""
    if reason := why_no_postfix() or amavis_module.why_not() or clamd_module.why_not():
        pytest.skip(reason)
    reinject, port = free_port(), free_port()
    clamd = ClamdServer()
    running = Postfix(
        settings={"content_filter": f"amavis:[127.0.0.1]:{port}"}, services=REINJECT.format(port=reinject)
    )
    filtering = Amavis(port, forward=reinject, clamd=clamd.port, quarantine=QUARANTINE.format(port=sink.port))
    yield running
    filtering.stop()
    running.stop()
    clamd.stop()


def composed(subject: str, text: str = "Hello.", attachment: tuple[str, bytes] | None = None) -> bytes:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = f"s@{DOMAIN}", f"a@{DOMAIN}", subject
    message["Message-ID"] = f"<{subject}@{DOMAIN}>"
    message["Date"] = "Tue, 24 Nov 2026 08:00:00 +0000"
    message.set_content(text)
    if attachment:
        name, content = attachment
        message.add_attachment(content, maintype="application", subtype="octet-stream", filename=name)
    return message.as_bytes().replace(b"\n", b"\r\n")


def send(postfix: Postfix, raw: bytes, to: list[str]) -> str:
    """Send the message; return Postfix's queue ID."""
    with smtplib.SMTP("127.0.0.1", postfix.port, timeout=30) as client:
        client.ehlo("client.test")
        assert client.mail(f"true@{DOMAIN}")[0] == 250
        for address in to:
            assert client.rcpt(address)[0] == 250
        code, told = client.data(raw)
        assert code == 250
        return told.decode().rpartition(" ")[2]


def test_amavis_quarantines_into_the_lmtp_listener(sink: Sink, postfix: Postfix) -> None:
    to = [f"a@{DOMAIN}", f"hidden@{DOMAIN}"]
    messages = {
        "eicar": composed("eicar", attachment=("file.bin", EICAR)),
        "gtube": composed("gtube", text=GTUBE),
        "banned": composed("banned", attachment=("invoice.pdf.exe", b"harmless")),
        "clean": composed("clean"),
    }
    queue_ids = {name: send(postfix, raw, to) for name, raw in messages.items()}
    postfix.wait_until_empty()
    copies = {b"eicar": None, b"gtube": None, b"banned": None} | {_name(each): each for each in sink.seen}
    assert set(copies) == {b"eicar", b"gtube", b"banned"}
    expected = {
        "eicar": (Engine.ANTI_VIRUS, Status.INFECTED),
        "gtube": (Engine.ANTI_SPAM, Status.SPAM),
        "banned": (Engine.CONTENT, Status.BANNED_FILE_NAME),
    }
    for name, (engine, status) in expected.items():
        copy = copies[name.encode()]
        assert copy is not None, name
        incoming, found = scanner_verdicts(copy)
        assert found.reason is not None, copy.raw[:2000]
        assert (found.reason.engine, found.reason.status) == (engine, status)
        assert (incoming.sender, incoming.recipients) == (f"true@{DOMAIN}", to)
        assert incoming.queue_id == queue_ids[name]
        assert copy.raw.endswith(messages[name])
    arrived = postfix.wait_for(2)
    assert len(arrived) == 2
    assert all(b"Subject: clean" in message for message in arrived)


def _name(incoming: Incoming) -> bytes:
    return incoming.raw.partition(b"\r\nSubject: ")[2].partition(b"\r\n")[0]
