"""Kill the gateway under load with SIGKILL 100 times, then compare the clients' logs, the store and the mailbox.

Every message answered with 250 is in Backup, was handed on, or both, as its kind requires. It occurs twice at most as
often as a client sent it again after no answer or a temporary one. The counts are printed.
"""

from __future__ import annotations

import random
import re
import smtplib
import threading
import time
from collections import Counter
from collections.abc import Iterator

import pytest

from store.check import check
from store.judging.content import ContentPolicy
from store.judging.rules.rules import DEFAULT_RULE, Rule
from tests.integration.lab import BLACK, SENDER, Lab, Reply, send_on, why_not
from tests.integration.postfix import DOMAIN

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900), pytest.mark.xdist_group("gateway-kill")]

SEED = 20261124
KILLS, CLIENTS = 100, 4
#: Time limit for the killing (s).
LIMIT = 240
KINDS = ("kept", "handed on", "both")
PADDING = b"padding of the body of a message that is six kilobytes long or so\r\n" * 90
#: A rule that removes attachments: the message is kept, and passed on without them.
RULE = Rule(id=DEFAULT_RULE.id, name=DEFAULT_RULE.name, content=ContentPolicy(banned_names=("*.exe",)))


@pytest.fixture
def lab() -> Iterator[Lab]:
    if reason := why_not():
        pytest.skip(reason)
    made = Lab(rules=(RULE,), start=False)
    yield made
    made.close()


def kind_of(number: int) -> str:
    return KINDS[number % len(KINDS)]


def message(number: int) -> bytes:
    header = b"From: ann@example.org\r\nSubject: number %d\r\nX-Number: %d\r\nMIME-Version: 1.0\r\n" % (number, number)
    if kind_of(number) != "both":
        return header + b"Content-Type: text/plain\r\n\r\nbody of %d\r\n" % number + PADDING
    return (
        header + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nbody of %d\r\n--b\r\n"
        b'Content-Disposition: attachment; filename="x.exe"\r\n\r\n' % number + PADDING + b"--b--\r\n"
    )


def number_of(raw: bytes) -> int:
    found = re.search(rb"^X-Number: (\d+)\r?$", raw, re.MULTILINE)
    assert found
    return int(found[1])


class Clients:
    """Clients that send numbered messages, each until it is answered with 250, and log the answers."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._lock = threading.Lock()
        self._next = 0
        self.taken: set[int] = set()
        #: How often a message was sent without receiving 250.
        self.unanswered: Counter[int] = Counter()
        self.refusals: Counter[str] = Counter()
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(CLIENTS)]
        for thread in self._threads:
            thread.start()

    def finish(self) -> None:
        """Begin no new messages, and wait until every message begun is accepted."""
        self._stopping.set()
        for thread in self._threads:
            thread.join(60)
            assert not thread.is_alive()

    def _run(self) -> None:
        while not self._stopping.is_set():
            with self._lock:
                number, self._next = self._next, self._next + 1
            self._until_taken(number)

    def _until_taken(self, number: int) -> None:
        sender = BLACK if kind_of(number) == "kept" else SENDER
        while True:
            try:
                with smtplib.SMTP("127.0.0.1", self._port, local_hostname="client.test", timeout=30) as client:
                    client.ehlo()
                    # Send several messages over one connection, like a real client.
                    while (reply := send_on(client, message(number), sender, (f"u{number}@{DOMAIN}",))).code == 250:
                        self.taken.add(number)
                        if number % 7 == 0 or self._stopping.is_set():
                            return
                        with self._lock:
                            number, self._next = self._next, self._next + 1
                        sender = BLACK if kind_of(number) == "kept" else SENDER
                    self._not_taken(number, reply)
            except (OSError, smtplib.SMTPException) as error:
                self._not_taken(number, Reply(0, type(error).__name__))
            time.sleep(0.05)

    def _not_taken(self, number: int, reply: Reply) -> None:
        assert reply.code < 500, reply
        with self._lock:
            self.unanswered[number] += 1
            self.refusals[f"{reply.code} {reply.text}"[:40]] += 1


def test_killed_a_hundred_times(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    dice = random.Random(SEED)
    began = time.monotonic()
    lab.gateway.start()
    clients = Clients(lab.postfix.port)
    kills = midway = 0
    while kills < KILLS and time.monotonic() - began < LIMIT:
        stored = lab.vault.count().messages
        time.sleep(dice.uniform(0.02, 0.4))
        kills += lab.gateway.kill()
        midway += lab.vault.count().messages > stored
        lab.gateway.start(plainly=kills % 10 == 0)
    clients.finish()
    took = time.monotonic() - began
    lab.gateway.stop()

    in_store: Counter[int] = Counter()
    for copy in lab.vault.scan():
        raw = lab.vault.raw(copy.id)
        number = number_of(raw)
        assert raw == message(number)
        assert copy.record.envelope_recipients == (f"u{number}@{DOMAIN}",)
        in_store[number] += 1
    in_mailbox: Counter[int] = Counter()
    for content in lab.mailbox():
        number = number_of(content)
        plain = message(number).replace(b"\r\n", b"\n")
        if kind_of(number) == "both":
            assert b"body of %d\n" % number in content and PADDING.replace(b"\r\n", b"\n") not in content
        else:
            assert content.endswith(plain)
        in_mailbox[number] += 1
    lost, twice, unexplained = [], Counter[str](), []
    for number in sorted(clients.taken):
        kind = kind_of(number)
        wanted = {"kept": (1, 0), "handed on": (0, 1), "both": (1, 1)}[kind]
        for place, least, found in (("Backup", wanted[0], in_store), ("mailbox", wanted[1], in_mailbox)):
            if found[number] < least:
                lost.append((number, kind, place))
            if found[number] > least:
                twice[place] += found[number] - least
                if not least or found[number] - least > clients.unanswered[number]:
                    unexplained.append((number, kind, place, found[number], clients.unanswered[number]))
    result = check(lab.vault)
    with capsys.disabled():
        kinds = Counter(kind_of(number) for number in clients.taken)
        print(
            f"\ngateway killed {kills} times in {took:.0f} s ({midway} of them after copies were placed), "
            f"{CLIENTS} clients: {len(clients.taken)} messages told 250 ({dict(kinds)}), "
            f"{clients.unanswered.total()} sends without 250; {in_store.total()} copies, {in_mailbox.total()} in the "
            f"mailbox; {len(lost)} lost, {dict(twice)} twice after a retry, {len(unexplained)} twice without"
        )
    assert not lost and not unexplained, (lost[:5], unexplained[:5])
    # A message sent again because its client received no answer maps to the same copy. If an answer was written but
    # never read, a second copy is stored.
    assert twice["Backup"] <= 2
    assert set(in_store) | set(in_mailbox) <= clients.taken
    assert result.broken == []
    assert kills >= KILLS * 0.5 and midway
