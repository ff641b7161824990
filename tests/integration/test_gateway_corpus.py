"""Real messages through the complete loop: each copy equals what the client sent, each release equals the copy.

Postfix repairs malformed headers before any milter sees them. A milter that does nothing is therefore asked first: the
gateway must keep what that milter saw.
"""

from __future__ import annotations

import asyncio
import re
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from store.check import check
from store.delivery.queue import deliveries, queue_length, release
from store.intake.milter.server import MilterServer
from store.mail.header_fields import header_of
from store.mail.incoming import Accept, Incoming, Outcome
from store.mail.outcome import State
from tests.integration import clamd as virus
from tests.integration import rspamd as spam
from tests.integration.clamd import ClamdServer, clamd
from tests.integration.lab import BLACK, Lab, Reply, crlf, value_of, wait, why_not
from tests.integration.mailbox_form import PREPENDED, is_malformed, mailbox_form
from tests.integration.postfix import DOMAIN
from tests.integration.rspamd import RspamdServer, rspamd

__all__ = ["clamd", "rspamd"]
pytestmark = [pytest.mark.integration, pytest.mark.xdist_group("gateway-corpus")]

PUT_ON = [b"resent-date", b"resent-from", b"resent-message-id"]


class Bare:
    """A milter in its own thread that records messages by queue ID and accepts them all."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.seen: dict[str, bytes] = {}
        self._loop = asyncio.new_event_loop()
        self._server = MilterServer(self._handle, max_size=64 << 20)
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._server.listen_unix(path, mode=0o666), self._loop).result(10)

    async def _handle(self, incoming: Incoming) -> Outcome:
        self.seen[incoming.queue_id] = incoming.raw
        return Accept()

    def stop(self) -> None:
        asyncio.run_coroutine_threadsafe(self._server.stop(), self._loop).result(20)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()


@pytest.fixture(scope="module")
def bare() -> Iterator[Bare]:
    with tempfile.TemporaryDirectory(prefix="mailhold-bare-") as folder:
        Path(folder).chmod(0o755)
        made = Bare(Path(folder) / "m")
        yield made
        made.stop()


@pytest.fixture(scope="module")
def lab(clamd: ClamdServer, rspamd: RspamdServer, bare: Bare) -> Iterator[Lab]:
    if reason := why_not() or virus.why_not() or spam.why_not():
        pytest.skip(reason)
    made = Lab(
        clamd=clamd.unix,
        rspamd=rspamd.unix,
        milters=(f"unix:{bare.path}",),
        settings={"allow_infected": True},
    )
    yield made
    made.close()


def trace_taken_off(content: bytes) -> bytes:
    """Remove what the release and Postfix added to a mailbox file; assert that nothing else was added at the top."""
    fields = list(header_of(content).fields())
    first = next(at for at, each in enumerate(fields) if each.name not in PREPENDED)
    assert [each.name for each in fields[first : first + 3]] == PUT_ON
    assert not any(each.name.startswith(b"x-mailhold-") for each in fields)
    return content[fields[first + 2].end :]


@pytest.mark.timeout(900)
def test_real_messages_kept_and_released_byte_for_byte(
    lab: Lab, bare: Bare, corpus_files: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    sent = [crlf(path.read_bytes()) for path in corpus_files]

    def put(numbered: tuple[int, bytes]) -> Reply:
        number, raw = numbered
        return lab.send(raw, sender=BLACK, to=(f"u{number}@{DOMAIN}", f"hidden{number}@{DOMAIN}"))

    with ThreadPoolExecutor(4) as pool:
        replies = list(pool.map(put, enumerate(sent)))
    assert all(reply.code == 250 for reply in replies), {reply for reply in replies if reply.code != 250}
    assert lab.mailbox() == []
    copies = {copy.record.mta_message_id: copy for copy in lab.vault.scan()}
    assert len(copies) == len(sent) == len(lab.vault.ids())
    identical = mended = 0
    for number, (raw, reply) in enumerate(zip(sent, replies, strict=True)):
        copy = copies[reply.queue_id]
        assert copy.record.envelope_recipients == (f"u{number}@{DOMAIN}", f"hidden{number}@{DOMAIN}")
        kept = lab.vault.raw(copy.id)
        assert kept == bare.seen[reply.queue_id], corpus_files[number]
        identical += kept == raw
        mended += kept != raw
    with capsys.disabled():
        print(
            f"\n{len(sent)} real messages sent, {len(copies)} kept, all as a bare milter saw them: "
            f"{identical} identical to what was sent, {mended} mended by Postfix before any milter"
        )
    assert identical > 0.9 * len(sent)

    result = release(lab.vault, sorted(copy.id for copy in copies.values()), original=True, operator="test")
    assert len(result.queued) == len(sent), result.refused[:5]
    assert wait(lambda: queue_length(lab.vault), lambda left: not left, 120) == 0
    found = deliveries(lab.vault)
    states = {each.id: each.state for each in found}
    refused = [each for each in found if each.state is not State.SENT]
    received: dict[str, bytes] = {}
    for content in lab.mailbox():
        address = value_of(content, b"delivered-to").decode()
        assert address not in received, "delivered twice"
        received[address] = content
    # A message that servers repair gets no marker: it is judged and kept again when it comes in.
    unmarked = lab.gateway.log().count('"event":"released without a delivery marker"')
    assert unmarked < 0.02 * len(sent)
    assert len(received) + 2 * (len(refused) + unmarked) == 2 * len(sent), states
    same = differs = 0
    by_number = {int(re.search(r"\d+", c.record.envelope_recipients[0])[0]): c for c in copies.values()}
    for number, copy in by_number.items():
        kept = lab.vault.raw(copy.id)
        for name in ("u", "hidden"):
            content = received.get(f"{name}{number}@{DOMAIN}")
            if content is None:
                continue
            if trace_taken_off(content) == mailbox_form(kept):
                same += 1
            else:
                differs += 1
                assert is_malformed(kept) or not any(header_of(kept).fields()), corpus_files[number]
    with capsys.disabled():
        print(
            f"{len(found)} released by the gateway to 2 recipients each, through the milter: {len(received)} "
            f"delivered, {same} identical but for trace fields, {differs} mended by Postfix, "
            f"{len(refused)} refused as unsafe, {unmarked} judged again for want of a marker"
        )
    assert same > 0.9 * len(received)
    assert len(lab.vault.ids()) == len(sent) + unmarked, "a released message was kept again"
    assert check(lab.vault).broken == []
