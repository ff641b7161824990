"""Relays that answer oddly: nobody gets a message twice, nobody is lost, and the ledger says what the relay said."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from store.authority.settings import Settings
from store.delivery.queue import delivery_of, release
from store.delivery.worker import DeliveryWorker
from store.mail.client import Timeouts
from store.mail.outcome import State
from store.space.changing_settings import change_settings
from store.terms.records import CopyRecord
from store.vault.vault import Vault
from tests.amounts import amount

TRIES = amount(25, 400)
PATIENT = Timeouts(connect=20, command=20, message=20)
#: The relay cuts the connection in place of an answer.
CUT = ""
#: What the relay answers to a command: what is fine, what is fine but seldom, refusals, and what is no answer.
SEEN = {
    "HELLO": ["220", "220", "220", "421", "554", CUT],
    "MAIL": ["250", "200", "450", "550", "421", "354", "banana", CUT],
    "RCPT": ["250", "250", "251", "252", "200", "450", "550", "421", "354", "150", "650", "banana", CUT],
    "DATA": ["354", "354", "354", "300", "250", "451", "554", "421", "banana", CUT],
    "DOT": ["250", "200", "252", "451", "554", "421", "354", "150", "650", "banana", CUT],
}
FINE = {"HELLO": "220", "DATA": "354"}
#: How an answer comes: in one line, in several, without CR, byte by byte.
SHAPES = ["{0} ok\r\n", "{0}\r\n", "{0}-first\r\n{0}-and\r\n{0} last\r\n", "{0} ok\n", "\0{0}-first\r\n{0} last\r\n"]


#: By command, the answers to give one after the other, each with its shape; then all is fine.
Plan = Mapping[str, Sequence[tuple[str, str]]]


class OddRelay:
    """Answers by a plan.

    `took` counts the recipients of the messages that it kept; `doubtful` are those of messages to which it gave no
    valid answer: it keeps these too if it `keeps`. A recipient whom it did not refuse is one.
    """

    def __init__(self, plan: Plan, *, pipelining: bool, keeps: bool) -> None:
        self._plan = {verb: deque(answers) for verb, answers in plan.items()}
        self._hello = b"250-odd\r\n250 PIPELINING\r\n" if pipelining else b"250 odd\r\n"
        self._keeps = keeps
        self.took: Counter[str] = Counter()
        self.doubtful: set[str] = set()
        self._servers: set[asyncio.StreamWriter] = set()

    async def __aenter__(self) -> OddRelay:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = int(self._server.sockets[0].getsockname()[1])
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._server.close()
        for writer in self._servers:
            writer.transport.abort()
        await self._server.wait_closed()

    def become_fine(self) -> None:
        self._plan.clear()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._servers.add(writer)
        try:
            await self._talk(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()
            self._servers.discard(writer)

    async def _answer(self, verb: str, writer: asyncio.StreamWriter) -> str:
        answers = self._plan.get(verb)
        answer, shape = answers.popleft() if answers else (FINE.get(verb, "250"), SHAPES[0])
        if answer == CUT:
            return answer
        data = shape.format(answer).encode()
        for part in [data] if data[:1] != b"\0" else [data[at : at + 1] for at in range(1, len(data))]:
            writer.write(part)
            await asyncio.sleep(0)
        return answer

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if await self._answer("HELLO", writer) != "220":
            return
        begun, to = False, list[str]()
        while line := (await reader.readline()).decode().strip():
            verb = line[:4].upper()
            if verb == "EHLO":
                writer.write(self._hello)
                continue
            if verb == "QUIT":
                return
            if verb == "RSET":
                begun, to = False, []
                writer.write(b"250 ok\r\n")
                continue
            if (verb == "RCPT" and not begun) or (verb == "DATA" and not to and not self._plan):
                writer.write(b"503 no\r\n")
                continue
            answer = await self._answer(verb, writer)
            refused = answer[:1] in ("4", "5")
            if verb == "MAIL":
                begun, to = not refused, []
            elif verb == "RCPT":
                address = line[9 : line.index(">")]
                if not refused:
                    to.append(address)
            if answer in (CUT, "421"):
                return
            if verb == "DATA" and answer[:1] == "3":
                await reader.readuntil(b"\r\n.\r\n")
                answer = await self._answer("DOT", writer)
                if answer[:1] == "2":
                    self.took.update(to)
                elif answer[:1] not in ("4", "5"):
                    self.doubtful.update(to)
                    self.took.update(to if self._keeps else ())
                begun, to = False, []
                if answer in (CUT, "421"):
                    return


@pytest.fixture
def numbers() -> Iterator[int]:
    return itertools.count()


PLANS = st.fixed_dictionaries(
    {
        verb: st.lists(st.tuples(st.sampled_from(seen), st.sampled_from(SHAPES)), max_size=8)
        for verb, seen in SEEN.items()
    }
)


@pytest.mark.timeout(120 + 2 * TRIES)
@settings(max_examples=TRIES, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(plan={"RCPT": [("252", SHAPES[0])]}, behaves=(False, False, 1), to=[2])
@example(plan={"RCPT": [("250", SHAPES[0]), ("650", SHAPES[0])]}, behaves=(True, True, 1), to=[2])
@given(
    plan=PLANS,
    behaves=st.tuples(st.booleans(), st.booleans(), st.integers(1, 3)),
    to=st.lists(st.integers(1, 3), min_size=1, max_size=6),
)
def test_whatever_a_relay_answers_nobody_gets_a_message_twice_or_is_lost(
    vault: Vault, tmp_path: Path, numbers: Iterator[int], plan: Plan, behaves: tuple[bool, bool, int], to: list[int]
) -> None:
    """Draw whether the relay offers PIPELINING, whether it keeps what it gave no valid answer to, and connections."""
    asyncio.run(_sent(vault, tmp_path / "spent", numbers, plan, behaves, to))


async def _sent(
    vault: Vault, spent: Path, numbers: Iterator[int], plan: Plan, behaves: tuple[bool, bool, int], to: Sequence[int]
) -> None:
    pipelining, keeps, connections = behaves
    async with OddRelay(plan, pipelining=pipelining, keeps=keeps) as relay:
        change_settings(vault, Settings(relay=f"smtp://127.0.0.1:{relay.port}"))
        copies = []
        for each, count in zip(numbers, to, strict=False):
            names = tuple(f"u{each}.{at}@x.example" for at in range(count))
            copies.append(vault.put(b"Subject: x\r\n\r\nbody\r\n", CopyRecord(envelope_recipients=names)))
        deliveries = release(vault, copies, original=True).queued
        for tries_left in range(5, -1, -1):
            if not tries_left:
                relay.become_fine()
            vault.models.Delivery.update(next_attempt_at=0).where(vault.models.Delivery.finished_at.is_null()).execute()
            fields: dict[str, Any] = {"connections": connections, "timeouts": PATIENT, "poll": 0.02, "spent": spent}
            worker = DeliveryWorker(vault, owner="test", **fields)
            await asyncio.wait_for(worker.run_until_idle(), 60)
        ends = [each for delivery in deliveries for each in delivery_of(vault, delivery).recipients]
        for end in ends:
            took = relay.took[end.address]
            assert took <= 1, f"{end.address} got it {took} times"
            if end.state is State.SENT:
                assert took and end.reply.startswith("2")
            elif end.state is State.FAILED:
                assert not took and end.reply.startswith("5")
            else:
                assert end.state is State.UNKNOWN and end.address in relay.doubtful
