"""Commands and replies: whole replies from any pieces, each for its command, and no wait without an end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest
from aiosmtplib import SMTPReadTimeoutError, SMTPResponseException, SMTPServerDisconnected
from hypothesis import given, settings
from hypothesis import strategies as st

from store.mail.conversation import MAX_RESPONSE, Conversation


class _Transport(asyncio.Transport):
    """Keeps what is written; closes when asked to."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.closed = False

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.protocol = protocol

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += bytes(data)

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True


@asynccontextmanager
async def asked(commands: Sequence[bytes], timeout: float = 5) -> AsyncIterator[tuple[Conversation, asyncio.Task]]:
    transport = _Transport()
    conversation = Conversation(transport)
    task = asyncio.create_task(conversation.ask(commands, timeout))
    await asyncio.sleep(0)
    assert transport.written == b"".join(command + b"\r\n" for command in commands)
    yield conversation, task
    conversation.close()


@settings(deadline=None, max_examples=60)
@given(
    replies=st.lists(
        st.tuples(st.integers(200, 599), st.lists(st.text("ab é.-5", max_size=8), min_size=1, max_size=3)),
        min_size=1,
        max_size=5,
    ),
    data=st.data(),
)
def test_replies_are_read_from_any_pieces(replies: list[tuple[int, list[str]]], data: st.DataObject) -> None:
    lines = [
        f"{code}{'-' if at < len(texts) - 1 else ' '}{text}\r\n".encode()
        for code, texts in replies
        for at, text in enumerate(texts)
    ]
    stream = b"".join(lines)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6)))

    async def main() -> None:
        async with asked([b"X"] * len(replies)) as (conversation, task):
            for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
                assert not task.done()
                conversation.data_received(stream[start:end])
            found = [(reply.code, reply.message) for reply in await task]
            assert found == [(code, "\n".join(text.strip(" ") for text in texts)) for code, texts in replies]
            conversation.data_received(b"250 nobody asked\r\n")
            again = asyncio.create_task(conversation.ask([b"NOOP"], 5))
            await asyncio.sleep(0)
            conversation.data_received(b"220 yes\r\n")
            assert [reply.code for reply in await again] == [220]

    asyncio.run(main())


async def test_an_end_gives_the_replies_that_arrived() -> None:
    async with asked([b"MAIL", b"RCPT"]) as (conversation, task):
        conversation.data_received(b"421 too busy\r\n")
        conversation.eof_received()
        assert [reply.code for reply in await task] == [421] and not conversation.connected
    async with asked([b"MAIL"]) as (conversation, task):
        conversation.connection_lost(ConnectionResetError())
        with pytest.raises(SMTPServerDisconnected, match="Connection lost"):
            await task
        with pytest.raises(SMTPServerDisconnected):
            await conversation.ask([b"RSET"], 5)


@pytest.mark.parametrize("reply", [b"nonsense\r\n", b"25\r\n", b"250-x\r\n" * (MAX_RESPONSE // 7 + 1)])
async def test_what_is_no_reply_is_an_error(reply: bytes) -> None:
    async with asked([b"MAIL"]) as (conversation, task):
        conversation.data_received(reply)
        with pytest.raises(SMTPResponseException):
            await task


async def test_each_reply_has_its_own_time() -> None:
    async with asked([b"MAIL", b"RCPT", b"DATA"], timeout=0.2) as (conversation, task):
        for _ in range(2):
            await asyncio.sleep(0.12)
            conversation.data_received(b"250 ok\r\n")
        assert not task.done()
        with pytest.raises(SMTPReadTimeoutError):
            await task


async def test_a_command_with_a_control_character_is_not_sent() -> None:
    transport = _Transport()
    with pytest.raises(ValueError, match="control"):
        await Conversation(transport).ask([b"MAIL FROM:<a@x.example>\r\nDATA"], 5)
    assert transport.written == b""
