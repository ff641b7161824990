"""The parts of the benchmarks that can be tested without measuring: their list, the frozen milter, missing programs."""

from __future__ import annotations

import ast
import asyncio
import socketserver
import struct
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest

from store.catalogue.keeping import SNAPSHOT_COPIES
from store.judging.content import ContentResult
from store.judging.engines.rspamd import Rspamd
from store.judging.judge import decided_before, judge, look_up
from store.judging.rules.address_lists import AddressLists
from store.judging.rules.model import FIRST_RULE
from store.mail.incoming import Incoming
from store.terms.verdicts import Action
from tests.benchmarks import discard_milter, load, releasing, store_maker
from tests.benchmarks.__main__ import BENCHMARKS
from tests.benchmarks.discard_milter import Discarding
from tests.benchmarks.figures import processor_time, table, thread_time
from tests.benchmarks.keeping_milter import Keeper, Keeping, opened
from tests.benchmarks.releasing_by_hand import QUEUED, SENT, ByHand
from tests.integration.lab import BLACK, SENDER

HERE = Path(__file__).parent


class Transport:
    """A transport that records what a session writes and whether it closed."""

    def __init__(self) -> None:
        self.written = b""
        self.closed = False

    def write(self, data: bytes) -> None:
        self.written += data

    def close(self) -> None:
        self.closed = True


def packet(command: bytes, data: bytes = b"") -> bytes:
    return struct.pack(">I", 1 + len(data)) + command + data


def test_every_benchmark_is_described() -> None:
    described = (HERE / "README.md").read_text()
    assert [name for name in BENCHMARKS if f"| `{name}` |" not in described] == []


@pytest.mark.parametrize("at_once", [1, 7, 4096])
def test_the_milter_takes_whole_messages_and_discards_each(at_once: int) -> None:
    session, transport = Discarding(), Transport()
    session.connection_made(transport)  # type: ignore[arg-type]  # a stand-in
    message = packet(b"M", b"<a@b>\0") + packet(b"R", b"<c@d>\0") + packet(b"L", b"From\0 a\0") + packet(b"N")
    message += packet(b"B", b"x" * 5000)
    said = packet(b"O", struct.pack(">III", 6, 0x1FF, 0x1FFFFF)) + packet(b"D", b"Cj\0h\0") + packet(b"C", b"h\0U")
    said += packet(b"H", b"h\0") + message + packet(b"E") + message + packet(b"A") + message + packet(b"E")
    for start in range(0, len(said), at_once):
        session.data_received(said[start : start + at_once])
    version, _actions, waived = struct.unpack_from(">III", transport.written, 5)
    assert version == 6
    assert waived == discard_milter._WANTED
    assert transport.written[17:] == packet(b"d") * 2
    assert not session._parts and not session._buffer and not transport.closed
    session.data_received(packet(b"Q"))
    assert transport.closed


def test_the_milter_waives_no_reply_that_was_not_offered() -> None:
    session, transport = Discarding(), Transport()
    session.connection_made(transport)  # type: ignore[arg-type]  # a stand-in
    session.data_received(packet(b"O", struct.pack(">III", 6, 0, 0x1000)))
    assert struct.unpack_from(">III", transport.written, 5) == (6, 0, 0x1000)


def test_the_milter_has_nothing_of_the_product() -> None:
    """If the milter became faster together with the product, the ratio would hide both changes."""
    tree = ast.parse((HERE / "discard_milter.py").read_text())
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert names <= sys.stdlib_module_names


async def test_the_floor_answers_once_the_message_is_in_its_file(tmp_path: Path) -> None:
    file, answered = tmp_path / "floor.sqlite", asyncio.Event()

    class Answered(Transport):
        def write(self, data: bytes) -> None:
            super().write(data)
            kept.append(opened(file).execute("SELECT COUNT(*), SUM(size) FROM message JOIN body USING (id)").fetchone())
            answered.set()

    kept: list[tuple[int, int]] = []
    Keeping.keeper = Keeper(file, asyncio.get_running_loop())
    session, transport = Keeping(), Answered()
    session.connection_made(transport)  # type: ignore[arg-type]  # a stand-in
    message = (
        packet(b"M", b"<a@b>\0") + packet(b"R", b"<c@d>\0") + packet(b"L", b"From\0 a\0") + packet(b"B", b"x" * 90)
    )
    for number in (1, 2):
        session.data_received(message + packet(b"E", b"yz"))
        await asyncio.wait_for(answered.wait(), 30)
        answered.clear()
        assert kept[-1] == (number, number * (len(b"From\0 a\0") + 92))
    assert transport.written == packet(b"d") * 2


def test_what_is_released_by_hand_is_on_record_before_its_data(tmp_path: Path) -> None:
    file, raws = tmp_path / "release.sqlite", [b"Subject: %d\r\n\r\n.a\r\n" % number for number in range(7)]
    by_hand, received, begun = ByHand(file, "s@x.example", "u@x.example"), list[bytes](), list[int]()

    class Server(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.wfile.write(b"220 x\r\n")
            while line := self.rfile.readline():
                if line != b"DATA\r\n":
                    self.wfile.write(b"250 x\r\n")
                    continue
                with closing(opened(file)) as database:
                    [(number,)] = database.execute("SELECT COUNT(*) FROM delivery WHERE state != ?", (QUEUED,))
                begun.append(number)
                self.wfile.write(b"354 x\r\n")
                received.append(b"".join(iter(self.rfile.readline, b".\r\n")).replace(b"\r\n..", b"\r\n."))
                self.wfile.write(b"250 x\r\n")

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Server) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        by_hand.send(server.server_address[1], by_hand.fill(raws, len(raws)), 3)
        server.shutdown()
    assert sorted(received) == sorted(raws)
    assert all(number > before for before, number in enumerate(begun))
    with closing(opened(file)) as database:
        assert {state for (state,) in database.execute("SELECT state FROM delivery")} == {SENT}


def test_what_is_missing_has_a_line_that_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (load, releasing):
        monkeypatch.setattr(module, "unmeasurable", lambda: "Postfix is not installed")
    rows = [*load.load("10k"), *releasing.postfix("10k")]
    assert [row.median for row in rows] == [None, None]
    assert table(rows).count("Postfix is not installed") == 2


def test_processor_time_is_that_of_this_process() -> None:
    import os

    before = processor_time(os.getpid())
    while processor_time(os.getpid()) - before < 0.03:
        sum(range(10_000))
    assert thread_time(os.getpid()) > 0
    assert processor_time(0) == thread_time(0) == 0.0


def test_a_snapshot_is_made_by_a_process_of_its_own(tmp_path: Path) -> None:
    """Its code is a string, which linters do not read."""
    location = tmp_path / "mail.store"
    vault = store_maker.new_store(location)
    vault.put_many(store_maker.records(SNAPSHOT_COPIES + 1))
    vault.close()
    store_maker.make_snapshot(location)
    assert Path(f"{location}.snapshot").exists()


def test_engines_are_asked_about_what_is_sent_where_they_are_measured() -> None:
    """The message is kept and discarded because rspamd rejects it."""
    incoming = Incoming(store_maker.bodies(1, 6000)[0], SENDER, ["bob@gw.test"])
    lists = AddressLists(black=(BLACK,))
    assert decided_before(FIRST_RULE, look_up(lists, incoming), incoming) is None
    said = Rspamd("localhost:11333").read(b'{"action": "reject", "symbols": {"MEASURED": {"score": 20.0}}}')
    decision = judge(FIRST_RULE, lists, incoming, {"rspamd": said}, ContentResult())
    assert (decision.action, decision.keep) == (Action.DELETE_MESSAGE, True)
