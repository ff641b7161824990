"""The gateway chapter's lines for main.cf, master.cf, amavisd.conf and mailhold.toml, run as written there.

Only ports and the queue directory are replaced, so that a test never touches a service of this machine.
"""

from __future__ import annotations

import re
import smtplib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from store.gateway.config import next_hop, parse_config
from store.judging.trusted_headers import scanner_verdicts
from store.mail.incoming import Accept, Discard, Refuse
from store.terms.verdicts import Status
from tests.integration import amavis as amavis_module
from tests.integration import clamd as clamd_module
from tests.integration.amavis import Amavis
from tests.integration.clamd import EICAR, ClamdServer
from tests.integration.postfix import DOMAIN, Postfix, free_port, why_not
from tests.integration.sink import Sink
from tests.integration.test_milter_postfix import Milter, send
from tests.integration.test_sink_amavis import composed
from tests.readme import ROOT

pytestmark = [pytest.mark.integration, pytest.mark.xdist_group("readme-postfix")]

MESSAGE = b"Subject: s\r\nFrom: s@gw.test\r\nReturn-Path: <x@gw.test>\r\nBcc: b@gw.test\r\n\r\n" + b"x" * 2000 + b"\r\n"
TOML, MAIN, MASTER, AMAVIS = "mailhold.toml", "main.cf", "master.cf", "amavisd.conf"
STORE = '[store]\nlocation = "/x"\ncredentials = "/y"\n'


def blocks(file: str) -> list[str]:
    """Find the chapter's blocks for a file, in order, without their indentation and their first line."""
    section = (ROOT / "docs/gateway.md").read_text().partition("## Connecting the MTA\n")[2].partition("\n## ")[0]
    found = re.findall(rf"^    # {re.escape(file)}\n((?:    .*\n|\n(?=    ))+)", section, re.MULTILINE)
    return [
        re.sub(r"^    ", "", re.split(r"\n\n    # ", block)[0], flags=re.MULTILINE).rstrip() + "\n" for block in found
    ]


class Moved:
    """The chapter's ports, each mapped to a free one."""

    def __init__(self) -> None:
        self.ports = {name: free_port() for name in ("10026", "10027", "10032")}

    def __call__(self, text: str) -> str:
        for name, port in self.ports.items():
            text = re.sub(rf"\b{name}\b", str(port), text)
        return text


def settings(text: str) -> dict[str, str]:
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    return {name.strip(): value.strip() for name, _, value in (line.partition("=") for line in lines)}


@contextmanager
def postfix(main: str, master: str) -> Iterator[Postfix]:
    """Run a Postfix with those lines; its smtpd is confined to its queue directory, like Debian's."""
    if reason := why_not():
        pytest.skip(reason)
    running = Postfix(settings=settings(main), services=master, chroot=True)
    try:
        yield running
    finally:
        running.stop()


def test_every_block_is_found() -> None:
    assert [len(blocks(file)) for file in (TOML, MAIN, MASTER, AMAVIS)] == [4, 2, 2, 1]
    milter, sink, engines, amavis = (
        parse_config(STORE + text) if "[milter]" in text or "sink" in text else None for text in blocks(TOML)
    )
    assert engines is None
    assert milter is not None and milter.milter.listen == ("unix:/var/spool/postfix/mailhold/milter.sock",)
    assert sink is not None and str(next_hop(sink.sink[0])) == "smtp://127.0.0.1:10026"
    assert amavis is not None and amavis.sink[0].trusted
    whole = parse_config(STORE + blocks(TOML)[0] + blocks(TOML)[2])
    assert whole.engines.clamd is not None and whole.engines.rspamd is not None


def test_the_milter(tmp_path: Path) -> None:
    moved = Moved()
    with postfix(blocks(MAIN)[0], moved(blocks(MASTER)[0])) as running:
        config = parse_config(STORE + blocks(TOML)[0].replace("/var/spool/postfix", str(running.folder / "spool")))
        path = Path(config.milter.listen[0].removeprefix("unix:"))
        # While nothing listens, mail is deferred.
        with smtplib.SMTP("127.0.0.1", running.port, timeout=30) as client:
            client.ehlo("client.test")
            assert 451 in (client.mail(f"s@{DOMAIN}")[0], client.rcpt(f"a@{DOMAIN}")[0])
        path.parent.mkdir(mode=0o755)
        milter = Milter(path, mode=0o660, group=config.milter.group)
        try:
            milter.judge = lambda _incoming: Discard()
            assert send(running, MESSAGE)[0] == 250
            assert milter.seen[0].raw == MESSAGE
            assert milter.seen[0].queue_id
            assert len(milter.seen[0].queue_id) > 12
            milter.judge = lambda _incoming: Refuse(554, "5.7.1", "no")
            assert send(running, MESSAGE)[0] == 554
            # Released mail comes back past the milter.
            milter.seen.clear()
            with smtplib.SMTP("127.0.0.1", moved.ports["10026"], timeout=30) as client:
                client.sendmail("", [f"a@{DOMAIN}"], MESSAGE)
            [arrived] = running.wait_for(1)
            assert arrived.endswith(MESSAGE.replace(b"\r\n", b"\n"))
            assert not milter.seen
        finally:
            milter.stop()


def test_the_content_filter() -> None:
    moved = Moved()
    [config] = parse_config(STORE + moved(blocks(TOML)[1])).sink
    sink = Sink(protocol=config.protocol, next_hop=next_hop(config), port=moved.ports["10032"])
    try:
        main = moved(blocks(MAIN)[1]) + "virtual_alias_maps = inline:{ { alias@gw.test = real@gw.test } }\n"
        with postfix(main, moved(blocks(MASTER)[0] + blocks(MASTER)[1])) as running:
            assert send(running, MESSAGE, to=(f"alias@{DOMAIN}",))[0] == 250
            [arrived] = running.wait_for(1)
            assert sink.seen[0].recipients == [f"alias@{DOMAIN}"]
            assert sink.seen[0].client_address == "127.0.0.1"
            assert b"X-Original-To: alias@gw.test\nDelivered-To: real@gw.test" in arrived
            assert arrived.endswith(b"\n\n" + b"x" * 2000 + b"\n")
            sink.judge = lambda _incoming: Discard()
            assert send(running, MESSAGE)[0] == 250
            running.wait_until_empty()
            assert len(running.received()) == 1
            sink.judge = lambda _incoming: Accept()
    finally:
        sink.stop()


def test_amavis() -> None:
    if reason := amavis_module.why_not() or clamd_module.why_not():
        pytest.skip(reason)
    moved = Moved()
    [config] = parse_config(STORE + moved(blocks(TOML)[3])).sink
    sink = Sink(protocol=config.protocol, trusted=config.trusted, port=moved.ports["10027"])
    clamd = ClamdServer()
    amavis = Amavis(free_port(), forward=free_port(), clamd=clamd.port, quarantine=moved(blocks(AMAVIS)[0]))
    try:
        with smtplib.SMTP("127.0.0.1", amavis.port, timeout=60) as client:
            client.sendmail(f"s@{DOMAIN}", [f"a@{DOMAIN}"], composed("eicar", attachment=("file.bin", EICAR)))
        incoming, found = scanner_verdicts(sink.seen[0])
        assert found.reason is not None
        assert found.reason.status is Status.INFECTED
        assert incoming.recipients == [f"a@{DOMAIN}"]
    finally:
        amavis.stop()
        clamd.stop()
        sink.stop()
