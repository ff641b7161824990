"""Each kind of message through Postfix, the gateway, clamd and rspamd: its copy, and its outcome."""

from __future__ import annotations

import base64
import itertools
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from store.judging.content import ContentPolicy
from store.judging.rules.address_lists import AddressLists, write_lists
from store.judging.rules.rules import DEFAULT_RULE, Rule, read_rules, write_rules
from store.terms.verdicts import Action, Engine, Status
from tests.integration import clamd as virus
from tests.integration import rspamd as spam
from tests.integration.clamd import EICAR, ClamdServer, clamd
from tests.integration.lab import BLACK, SENDER, Lab, value_of, wait, why_not
from tests.integration.postfix import DOMAIN
from tests.integration.rspamd import GTUBE, GTUBE_ADD_HEADER, MALICIOUS_HOST, RspamdServer, rspamd

__all__ = ["clamd", "rspamd"]
pytestmark = [pytest.mark.integration, pytest.mark.xdist_group("gateway-verdicts")]

OPEN, HIDDEN, STRICT = f"bob@{DOMAIN}", f"hidden@{DOMAIN}", f"strict@{DOMAIN}"
MAX_SIZE = 300_000
TEXT = "Shall we have lunch on Thursday? I know a quiet place near the station that opens at noon.\r\n"
_words = itertools.count(1)


class Kind(NamedTuple):
    """A kind of message: the rest of its header, its body, and the expected outcome. `engine` None: ham."""

    content: bytes
    engine: Engine | None = None
    status: Status = Status.CLEAN
    action: Action = Action.DELETE_MESSAGE
    detail: str = ""
    sender: str = SENDER


def plain(text: str = TEXT) -> bytes:
    return f"Content-Type: text/plain; charset=utf-8\r\n\r\n{text}".encode()


def html(markup: str) -> bytes:
    return f"Content-Type: text/html; charset=utf-8\r\n\r\n<html><body>{markup}</body></html>\r\n".encode()


def attached(data: bytes, name: str) -> bytes:
    coded = base64.encodebytes(data).decode().replace("\n", "\r\n")
    return (
        f"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\n{TEXT}\r\n--b\r\n"
        f'Content-Type: application/octet-stream\r\nContent-Disposition: attachment; filename="{name}"\r\n'
        f"Content-Transfer-Encoding: base64\r\n\r\n{coded}\r\n--b--\r\n"
    ).encode()


KINDS = {
    "eicar": Kind(attached(EICAR, "notes.bin"), Engine.ANTI_VIRUS, Status.INFECTED, detail="Eicar-Test-Signature"),
    "gtube": Kind(plain(GTUBE + "\r\n"), Engine.ANTI_SPAM, Status.SPAM, detail="GTUBE"),
    "phishing link": Kind(
        html('<a href="http://198.51.100.7/login">https://www.paypal.com/signin</a>'),
        Engine.ANTI_PHISHING,
        Status.PHISHING,
        detail="Phishing",
    ),
    "malicious link": Kind(
        plain(f"See http://{MALICIOUS_HOST}/x\r\n"),
        Engine.ANTI_PHISHING,
        Status.MALICIOUS_LINK,
        detail="MALICIOUS_LINK",
    ),
    "banned name": Kind(
        attached(b"only text", "invoice.pdf.exe"),
        Engine.CONTENT,
        Status.BANNED_FILE_NAME,
        Action.DELETE_ATTACHMENT,
        "invoice.pdf.exe",
    ),
    "banned format": Kind(
        attached(Path("/usr/bin/true").read_bytes(), "holiday.jpg"),
        Engine.CONTENT,
        Status.BANNED_FILE_FORMAT,
        Action.DELETE_ATTACHMENT,
        "holiday.jpg",
    ),
    "oversize": Kind(
        plain(TEXT * (MAX_SIZE // len(TEXT) + 1)), Engine.CONTENT, Status.SIZE_EXCEEDED, detail="are allowed"
    ),
    "black-listed sender": Kind(plain(), Engine.BLACK_LIST, Status.BLACKLISTED, detail=BLACK, sender=BLACK),
    "ham": Kind(plain()),
    "probable spam, which is skipped": Kind(plain(GTUBE_ADD_HEADER + "\r\n")),
}

RULES = (
    Rule(
        name="Strict",
        recipients=(STRICT,),
        actions={Engine.ANTI_VIRUS: {Status.INFECTED: Action.REJECT}, Engine.ANTI_SPAM: {Status.SPAM: Action.REJECT}},
    ),
    Rule(
        id=DEFAULT_RULE.id,
        name=DEFAULT_RULE.name,
        content=ContentPolicy(banned_names=("*.exe",), banned_formats=("executable",), max_size=MAX_SIZE),
        actions={Engine.CONTENT: {Status.SIZE_EXCEEDED: Action.DELETE_MESSAGE}},
    ),
)


@pytest.fixture(scope="module")
def lab(clamd: ClamdServer, rspamd: RspamdServer) -> Iterator[Lab]:
    if reason := why_not() or virus.why_not() or spam.why_not():
        pytest.skip(reason)
    made = Lab(clamd=clamd.unix, rspamd=rspamd.unix, rules=RULES)
    yield made
    made.close()


def message(content: bytes) -> tuple[str, bytes]:
    """Make a message with a unique word in its subject; return both."""
    word = f"subjectword{next(_words):04}x"
    header = (
        f"From: Ann <ann@example.org>\r\nTo: {OPEN}\r\nSubject: {word} Lunch on Thursday\r\n"
        f"Date: Tue, 24 Nov 2026 09:00:00 +0000\r\nMessage-ID: <{word}@example.org>\r\nMIME-Version: 1.0\r\n"
    )
    return word, header.encode() + content


def arrived(lab: Lab, word: str) -> dict[str, bytes]:
    """Return what each recipient received of the message with `word` in its subject."""
    found = [content for content in lab.mailbox() if value_of(content, b"subject").startswith(word.encode())]
    return {value_of(content, b"delivered-to").decode(): content for content in found}


@pytest.mark.parametrize("name", KINDS)
def test_each_kind(lab: Lab, name: str) -> None:
    kind = KINDS[name]
    word, raw = message(kind.content)
    before = set(lab.vault.ids())
    reply = lab.send(raw, sender=kind.sender, to=(OPEN, HIDDEN))
    assert reply.code == 250, lab.gateway.log()[-2000:]
    fresh = [copy_id for copy_id in lab.vault.ids() if copy_id not in before]
    got = arrived(lab, word)
    if kind.engine is None:
        assert fresh == []
        assert set(got) == {OPEN, HIDDEN}
        marked = b"X-Mailhold-Verdict: anti-spam=probable-spam\n" if "probable" in name else b""
        for content in got.values():
            assert marked in content
            assert content.replace(marked, b"").endswith(raw.replace(b"\r\n", b"\n"))
        return
    [copy_id] = fresh
    record = lab.vault.get(copy_id).record
    assert lab.vault.raw(copy_id) == raw
    assert record.reason is not None
    assert (record.reason.engine, record.reason.status) == (kind.engine, kind.status)
    assert kind.detail in record.reason.detail
    assert record.reason in record.verdicts
    assert {verdict.engine for verdict in record.verdicts} >= {Engine.ANTI_SPAM, Engine.ANTI_PHISHING, kind.engine}
    assert (record.rule_id, record.rule_name) == (DEFAULT_RULE.id, DEFAULT_RULE.name)
    assert record.action is kind.action
    assert record.envelope_sender == kind.sender
    assert record.envelope_recipients == (OPEN, HIDDEN)
    assert HIDDEN.encode() not in raw
    assert reply.queue_id and record.mta_message_id == reply.queue_id
    assert record.client_address == "127.0.0.1"
    found = {each.scanner: each for each in record.findings}
    if kind.engine is Engine.ANTI_SPAM and kind.status is not Status.BLACKLISTED:
        assert found["rspamd"].score is not None and found["rspamd"].required and found["rspamd"].symbols
    if kind.engine is Engine.ANTI_VIRUS:
        assert found["clamd"].symbols == ((record.reason.detail, None),)
    assert (record.known is None) == (not record.from_ and not kind.sender)
    assert record.subject.startswith(word) and record.message_id.strip("<>") == f"{word}@example.org"
    if kind.action is Action.DELETE_MESSAGE:
        assert got == {}
    else:
        assert set(got) == {OPEN, HIDDEN}
        data = re.sub(rb"\s", b"", raw.partition(b"base64\r\n\r\n")[2].partition(b"--b--")[0])
        for content in got.values():
            assert data not in re.sub(rb"\s", b"", content)
            assert TEXT.strip().encode() in content and kind.detail.encode() in content


@pytest.mark.parametrize("name", ["eicar", "gtube"])
def test_what_a_rule_rejects_is_not_kept(lab: Lab, name: str) -> None:
    word, raw = message(KINDS[name].content)
    before = lab.vault.ids()
    reply = lab.send(raw, to=(STRICT,))
    assert reply.code // 100 == 5, reply
    assert lab.vault.ids() == before
    assert arrived(lab, word) == {}


def test_a_running_gateway_takes_up_rules_and_lists(lab: Lab) -> None:
    other = f"other@{DOMAIN}"
    _, raw = message(plain())
    assert lab.send(raw, sender=other).code == 250
    before = len(lab.vault.ids())
    write_lists(lab.vault, AddressLists(black=(BLACK, other)), "test")
    began = time.monotonic()

    def kept() -> int:
        assert lab.send(raw, sender=other).code == 250
        return len(lab.vault.ids()) - before

    assert wait(kept, bool, 20) == 1
    print(f"the list was taken up after {time.monotonic() - began:.2f} s")
    rules = read_rules(lab.vault)
    log = len(lab.gateway.log())
    write_rules(lab.vault, (Rule(name="Others", senders=(other,)), *rules), "test")
    lab.gateway.wait_for_log('"configuration taken up".*"rules"', after=log)
    assert lab.send(raw, sender=other).code == 250
    assert lab.vault.newest(1)[0].record.rule_name == "Others"
    write_rules(lab.vault, rules, "test")


def test_the_log_holds_nothing_of_the_messages(lab: Lab) -> None:
    """Each message has a unique word in its subject; the log contains neither it nor addresses or file names."""
    word, raw = message(KINDS["banned name"].content)
    assert lab.send(raw, to=(OPEN, HIDDEN)).code == 250
    log = lab.gateway.log()
    assert log and not re.search(r"subjectword\d", log) and word not in log
    for text in (OPEN, HIDDEN, SENDER, BLACK, "ann@example.org", "invoice.pdf", "Lunch", "GTUBE-STANDARD"):
        assert text not in log, text
