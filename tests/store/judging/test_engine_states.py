"""When a scanner counts as down, when it is asked again, and that no message can disable it for the next."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from store.judging.engines import states
from store.judging.engines.engine import DETAIL_LIMIT, EngineResult, scan_all, still_condemned, words
from store.judging.engines.states import RemoteScanner, ScannerFailure
from store.mail.endpoint import Address, parse_address
from store.mail.incoming import Incoming
from store.terms.errors import UsageError
from store.terms.verdicts import Engine, Status, Verdict
from tests.store.judging.wire_server import incoming

CLEAN = EngineResult(True, (Verdict(Engine.ANTI_VIRUS, Status.CLEAN),))


class Scripted(RemoteScanner):
    """A scanner with scripted answers and pings."""

    main_engines = (Engine.ANTI_VIRUS,)
    engines = frozenset((Engine.ANTI_VIRUS,))

    def __init__(self, time_limit: float = 5, concurrency: int = 4) -> None:
        super().__init__("scripted", "nowhere", time_limit=time_limit, concurrency=concurrency)
        self.asked = self.pinged = 0
        self.answer: Callable[[Incoming], Awaitable[EngineResult]] = self._clean
        self.broken: Exception | None = None

    async def _clean(self, _incoming: Incoming) -> EngineResult:
        return CLEAN

    async def _ask(self, incoming: Incoming) -> EngineResult:
        self.asked += 1
        return await self.answer(incoming)

    async def _ping(self) -> None:
        self.pinged += 1
        if self.broken:
            raise self.broken


def failing(*errors: Exception | None) -> Callable[[Incoming], Awaitable[EngineResult]]:
    """Fail with each of these errors in turn (None: answer), then answer."""
    left = list(errors)

    async def answer(_incoming: Incoming) -> EngineResult:
        error = left.pop(0) if left else None
        if error:
            raise error
        return CLEAN

    return answer


async def test_a_verdict_is_handed_on() -> None:
    scanner = Scripted()
    assert await scanner.scan(incoming()) is CLEAN
    assert (scanner.asked, scanner.pinged) == (1, 0)
    assert (scanner.state.scanned, scanner.state.not_scanned, scanner.state.up) == (1, 0, True)


async def test_a_scanner_that_does_not_answer_its_ping_is_down_and_left_alone() -> None:
    scanner = Scripted()
    scanner.answer = failing(ConnectionRefusedError(111, "x"))
    scanner.broken = ConnectionRefusedError(111, "x")
    first = await scanner.scan(incoming())
    assert not first.scanned
    assert first.why == "scripted is down: Connection refused (nowhere)"
    assert first.verdicts == (Verdict(Engine.ANTI_VIRUS, Status.NOT_SCANNED, first.why),)
    assert first.engines == scanner.engines
    assert not scanner.state.up
    assert scanner.state.since > 0
    for _ in range(5):
        assert (await scanner.scan(incoming())).why == first.why
    assert (scanner.asked, scanner.pinged) == (1, 1)


async def test_after_the_pause_one_ping_asks_for_all_that_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    scanner = Scripted()
    scanner.answer = failing(EOFError())
    scanner.broken = EOFError()
    monkeypatch.setattr(states, "PAUSE", 0.0)
    await scanner.scan(incoming())
    assert not (await scanner.scan(incoming())).scanned
    assert (scanner.asked, scanner.pinged) == (1, 2), "it is pinged before it gets mail"
    monkeypatch.setattr(states, "PAUSE", 60.0)
    results = await asyncio.gather(*(scanner.scan(incoming()) for _ in range(10)))
    assert not any(result.scanned for result in results)
    assert (scanner.asked, scanner.pinged) == (1, 3)


async def test_it_is_up_again_once_it_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(states, "PAUSE", 0.0)
    scanner = Scripted()
    scanner.answer = failing(EOFError())
    scanner.broken = EOFError()
    await scanner.scan(incoming())
    scanner.broken = None
    assert (await scanner.scan(incoming())).scanned
    assert (scanner.state.up, scanner.state.why, scanner.state.since) == (True, "", 0)


async def test_a_message_that_makes_it_slow_leaves_it_up() -> None:
    """Otherwise a sender could disable the scanner for later messages."""
    scanner = Scripted(time_limit=0.05)

    async def slow(_incoming: Incoming) -> EngineResult:
        await asyncio.sleep(30)
        return CLEAN

    scanner.answer = slow
    for _ in range(5):
        result = await scanner.scan(incoming())
        assert result.why == "scripted: no answer within 0.05 s"
        assert not result.scanned
    scanner.answer = failing()
    assert (await scanner.scan(incoming())).scanned
    assert scanner.asked == 6, "a slow message is not tried twice"


async def test_a_message_that_breaks_the_connection_is_tried_once_more() -> None:
    scanner = Scripted()
    scanner.answer = failing(ConnectionResetError())
    assert (await scanner.scan(incoming())).scanned
    assert scanner.asked == 2
    scanner.answer = failing(*[ConnectionResetError()] * 9)
    result = await scanner.scan(incoming())
    assert result.why == "scripted: the connection was closed before the answer was complete"
    assert scanner.asked == 4
    assert scanner.state.up


async def test_a_message_that_the_scanner_declines_is_not_tried_again() -> None:
    scanner = Scripted()
    scanner.answer = failing(ScannerFailure("too large", final=True))
    assert (await scanner.scan(incoming())).why == "scripted: too large"
    assert (scanner.asked, scanner.pinged) == (1, 0)


async def test_what_was_not_foreseen_does_not_reach_the_caller() -> None:
    scanner = Scripted()
    scanner.answer = failing(ZeroDivisionError("secret of the message"))
    assert (await scanner.scan(incoming())).why == "scripted failed: ZeroDivisionError"
    scanner.broken = ZeroDivisionError("x")
    assert await scanner.ping() == "ZeroDivisionError"


async def test_no_more_than_so_many_are_asked_at_once_and_waiting_has_an_end() -> None:
    scanner = Scripted(time_limit=60, concurrency=2)
    running = most = 0

    async def counted(_incoming: Incoming) -> EngineResult:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.01)
        running -= 1
        return CLEAN

    scanner.answer = counted
    results = await asyncio.gather(*(scanner.scan(incoming()) for _ in range(10)))
    assert all(result.scanned for result in results)
    assert most == 2
    release = asyncio.Event()

    async def held(_incoming: Incoming) -> EngineResult:
        await release.wait()
        return CLEAN

    scanner.answer = held
    holders = [asyncio.create_task(scanner.scan(incoming())) for _ in range(2)]
    await asyncio.sleep(0)
    scanner.time_limit = 0.05
    assert (await scanner.scan(incoming())).why == "scripted is busy: no connection was free within 0.05 s"
    assert scanner.state.up
    release.set()
    assert all(result.scanned for result in await asyncio.gather(*holders))


async def test_those_who_wait_are_let_go_when_it_goes_down() -> None:
    scanner = Scripted(concurrency=1)
    scanner.answer = failing(EOFError())
    scanner.broken = EOFError()
    results = await asyncio.gather(*(scanner.scan(incoming()) for _ in range(8)))
    assert not any(result.scanned for result in results)
    assert (scanner.asked, scanner.pinged) == (1, 1)


async def test_the_beginning_of_a_message_is_never_called_clean() -> None:
    scanner = Scripted()
    result = await scanner.scan(incoming(truncated=True))
    assert not result.scanned
    assert result.verdicts[0].status is Status.NOT_SCANNED
    found = EngineResult(True, (Verdict(Engine.ANTI_VIRUS, Status.INFECTED, "X"),))

    async def infected(_incoming: Incoming) -> EngineResult:
        return found

    scanner.answer = infected
    assert await scanner.scan(incoming(truncated=True)) is found


async def test_a_scan_that_is_given_up_frees_its_turn() -> None:
    scanner = Scripted(concurrency=1)

    async def slow(_incoming: Incoming) -> EngineResult:
        await asyncio.sleep(30)
        return CLEAN

    scanner.answer = slow
    task = asyncio.create_task(scanner.scan(incoming()))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    scanner.answer = failing()
    assert (await scanner.scan(incoming())).scanned


async def test_all_are_asked_side_by_side() -> None:
    meeting = asyncio.Barrier(3)

    async def meet(_incoming: Incoming) -> EngineResult:
        await meeting.wait()
        return CLEAN

    scanners = [Scripted() for _ in range(3)]
    for number, scanner in enumerate(scanners):
        scanner.name = f"s{number}"
        scanner.answer = meet
    async with asyncio.timeout(10):
        results = await scan_all(scanners, incoming())
    assert list(results) == ["s0", "s1", "s2"]
    assert await scan_all([], incoming()) == {}


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("unix:/run/clamav/clamd.ctl", Address("/run/clamav/clamd.ctl", "", 0)),
        ("127.0.0.1:3310", Address("", "127.0.0.1", 3310)),
        ("scanner.example.org:3310", Address("", "scanner.example.org", 3310)),
        ("[::1]:783", Address("", "::1", 783)),
    ],
)
def test_addresses(text: str, address: Address) -> None:
    assert parse_address(text) == address
    assert str(address) == text


@pytest.mark.parametrize(
    "text", ["", "unix:", "unix:relative", "host", "host:", ":1", "host:0", "host:65536", "host:x", "::1:80", "h:²"]
)
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(UsageError):
        parse_address(text)


def test_words_are_one_short_line() -> None:
    assert words("a\r\n b\tc ") == "a b c"
    assert len(words("x" * 5000)) == DETAIL_LIMIT


async def test_what_is_left_of_a_message_is_asked_about_again() -> None:
    """A virus in the text stays if only attachments are removed."""
    scanner = Scripted()

    async def by_text(incoming: Incoming) -> EngineResult:
        if b"down" in incoming.raw:
            raise ScannerFailure("too large", final=True)
        status = Status.INFECTED if b"virus" in incoming.raw else Status.CLEAN
        return EngineResult(True, (Verdict(Engine.ANTI_VIRUS, status, "Eicar"),))

    scanner.answer = by_text
    message = incoming(b"virus twice")
    assert (
        await still_condemned([scanner], message, b"virus", Engine.ANTI_VIRUS) == "scripted still says Infected: Eicar"
    )
    assert await still_condemned([scanner], message, b"clean", Engine.ANTI_VIRUS) == ""
    assert "could not be scanned again" in await still_condemned([scanner], message, b"down", Engine.ANTI_VIRUS)
    assert await still_condemned([scanner], message, b"virus", Engine.ANTI_SPAM) == "", "no scanner of that engine"
    assert message.raw == b"virus twice"


async def test_one_that_nothing_was_heard_of_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    scanner = Scripted()
    await scanner.look()
    assert scanner.pinged == 1
    await scanner.look()  # It has just answered.
    assert scanner.pinged == 1
    monkeypatch.setattr(states, "QUIET", 0.0)
    scanner.broken = ConnectionRefusedError(111, "x")
    await scanner.look()
    assert (scanner.pinged, scanner.state.up) == (2, False)
    await scanner.look()  # It is not asked for a moment.
    assert scanner.pinged == 2
    monkeypatch.setattr(scanner, "_left_alone_until", 0.0)
    scanner.broken = None
    await scanner.look()
    assert (scanner.pinged, scanner.state.up) == (3, True)


async def test_one_that_is_at_work_is_not_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(states, "QUIET", 0.0)
    scanner = Scripted()
    go_on = asyncio.Event()

    async def slowly(_incoming: Incoming) -> EngineResult:
        await go_on.wait()
        return CLEAN

    scanner.answer = slowly
    scan = asyncio.create_task(scanner.scan(incoming()))
    while not scanner.asked:
        await asyncio.sleep(0)
    await scanner.look()
    assert scanner.pinged == 0
    go_on.set()
    await scan
    await scanner.look()
    assert scanner.pinged == 1
