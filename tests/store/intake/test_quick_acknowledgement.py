"""TCP listeners ask for a quick acknowledgement after each read, else each message waits 40 ms: Linux forgets it."""

from __future__ import annotations

import asyncio
import socket
from typing import Any, cast

import pytest

from store.intake.milter.reminder import Reminder
from store.intake.milter.session import Session as MilterSession
from store.intake.smtp.input import Input
from tests.store.intake.milter_wire import message, negotiation

QUICK = (socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)


class Socket:
    """A socket of a family that records its options."""

    def __init__(self, family: int) -> None:
        self.family = family
        self.set: list[tuple[int, int, int]] = []

    def setsockopt(self, *option: int) -> None:
        self.set.append(cast("tuple[int, int, int]", option))


class Transport(asyncio.Transport):
    """A transport over such a socket; what is written to it is lost."""

    def __init__(self, sock: Socket) -> None:
        super().__init__({"socket": sock})

    def write(self, data: Any) -> None: ...

    def is_closing(self) -> bool:
        return False


async def handler(_incoming: object) -> None: ...


@pytest.mark.parametrize(
    ("family", "options"),
    [(socket.AF_INET, [QUICK] * 3), (socket.AF_INET6, [QUICK] * 3), (socket.AF_UNIX, [])],
)
async def test_the_milter_asks_after_each_read_from_tcp(family: int, options: list[tuple[int, int, int]]) -> None:
    session = MilterSession(
        cast("Any", handler),
        max_size=1 << 20,
        reminder=Reminder(60.0),
        opened=lambda _session: None,
        closed=lambda _session: None,
    )
    sock = Socket(family)
    session.connection_made(Transport(sock))
    packets = negotiation() + message("x")[:-5]
    for piece in (packets[:7], packets[7:30], packets[30:]):
        session.data_received(piece)
    assert sock.set == options


async def test_smtp_and_lmtp_ask_after_each_read_from_tcp() -> None:
    sock, reader = Socket(socket.AF_INET), asyncio.StreamReader()
    source = Input(reader, cast("Any", sock))
    for count, data in enumerate((b"EHLO x\r\nMAIL", b" FROM:<>\r\n", b"QUIT\r\n"), start=1):
        reader.feed_data(data)
        await source.line(20)
        assert sock.set == [QUICK] * count
