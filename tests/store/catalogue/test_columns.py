"""Columns that only some filters need: however they were loaded, their answers equal those of the copies."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
from array import array
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from store.campaigns.grouping import OddCopy, Why
from store.campaigns.indexing import traits_of
from store.campaigns.marks import Mark
from store.campaigns.oddness import Reason
from store.campaigns.order import Rank
from store.campaigns.packing import packed
from store.campaigns.standing import Campaign, Standing
from store.campaigns.traits import FileShape, Made, Texts, Traits
from store.catalogue import column_reader, columns
from store.catalogue import loader as catalogue_loader
from store.catalogue import values as catalogue_values
from store.catalogue.beside import besides as besides_of
from store.catalogue.catalogue import Catalogue, Sort, SortKey
from store.catalogue.column_fields import Source
from store.catalogue.column_reader import lie_in
from store.catalogue.column_table import ColumnTable
from store.catalogue.extras import TableExtras
from store.catalogue.frame import Frame
from store.catalogue.query import mask_of
from store.filters.line import parse
from store.filters.model import Beside, MessageFilter, Term
from store.terms.records import Copy, CopyRecord
from store.vault.vault import Vault
from tests.amounts import amount
from tests.store.catalogue.catalogue_model import expected
from tests.store.filters.filter_model import NOW, besides, moments, records, wide_filters

OLDEST = Sort(SortKey.PLACED, False)


def texts_of(beside: Beside) -> Texts:
    return Texts(tuple(beside.links), tuple(FileShape(f.name, f.content_type, 1, f.sha256) for f in beside.files))


@st.composite
def copies(draw: st.DrawFn) -> list[Copy]:
    ids = sorted(draw(st.sets(st.integers(1, 60), max_size=20)))
    return [Copy(copy_id, draw(moments), 0, draw(records)) for copy_id in ids]


@given(copies(), wide_filters, st.data())
@settings(max_examples=amount(150, 500), deadline=None)
def test_however_tables_came_about_they_answer_what_the_copies_answer(
    some: list[Copy], flt: MessageFilter, data: st.DataObject
) -> None:
    beside = {copy.id: data.draw(besides)._replace(campaigns=frozenset(), odd=False) for copy in some}
    record, envelope, body = map(ColumnTable.empty, Source)
    groups = data.draw(st.lists(st.integers(0, 3), min_size=len(some), max_size=len(some)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(catalogue_values, "_AT_ONCE", data.draw(st.sampled_from([1, 3, 1 << 20])))
        patch.setattr(catalogue_values, "_FEW_WORDS", data.draw(st.sampled_from([0, 16])))
        patch.setattr(catalogue_values, "_FEW_HITS", data.draw(st.sampled_from([0, 2])))
        patch.setattr(catalogue_values, "_PIECES", data.draw(st.sampled_from([1, 12])))
        for group in range(4):
            part = [copy for copy, its in zip(some, groups, strict=True) if its == group]
            looked = [(copy.id, texts_of(beside[copy.id])) for copy in part if beside[copy.id].looked]
            pieces = ColumnTable.of_copies([part]), ColumnTable.of_envelopes([part]), ColumnTable.of_texts([looked])
            if data.draw(st.booleans()):
                pieces = _sent(pieces[0]), _sent(pieces[1]), _sent(pieces[2])
            record, envelope, body = record.merge(pieces[0]), envelope.merge(pieces[1]), body.merge(pieces[2])
            if data.draw(st.booleans()):
                record = record.merge(pieces[0])  # merging the same rows again changes nothing
        kept = [copy for copy in some if data.draw(st.booleans())]
        frame = Frame.of(kept)
        if data.draw(st.booleans()):
            record, envelope, body = (table.only(frame.ids) for table in (record, envelope, body))
        seen = {table.source: lie_in(frame, table) for table in (record, envelope, body)}
        mask = mask_of(frame, flt, now=NOW, extras=TableExtras(seen, None))
    found = frame.ids if mask is None else frame.ids.filter(mask)
    wanted = expected(kept, flt, OLDEST, beside=beside)
    assert set(found.to_list()) == {copy.id for copy in wanted}


def _sent(table: ColumnTable) -> ColumnTable:
    return ColumnTable.of_sections(table.source, list(table.sections()))


@given(copies(), wide_filters, st.data())
@settings(max_examples=amount(50, 150), deadline=None)
def test_what_is_found_while_some_is_not_read_is_found_in_the_end(
    some: list[Copy], flt: MessageFilter, data: st.DataObject
) -> None:
    beside = {copy.id: data.draw(besides)._replace(campaigns=frozenset(), odd=False, looked=True) for copy in some}
    frame = Frame.of(some)
    read = [copy for copy in some if data.draw(st.booleans())]
    record, envelope = ColumnTable.of_copies([read]), ColumnTable.of_envelopes([read])
    body = ColumnTable.of_texts([[(copy.id, texts_of(beside[copy.id])) for copy in read]])
    seen = {table.source: lie_in(frame, table) for table in (record, envelope, body)}
    for extras in (TableExtras(seen, None), TableExtras({**seen, Source.BODY: None}, None), TableExtras({}, None)):
        mask = mask_of(frame, flt, now=NOW, extras=extras)
        found = frame.ids if mask is None else frame.ids.filter(mask)
        assert set(found.to_list()) <= {copy.id for copy in expected(some, flt, OLDEST, beside=beside)}


def campaign(number: int, copies: list[int], odd: list[int], parts: tuple[int, ...] = ()) -> Campaign:
    odd_ones = tuple(OddCopy(each, (Reason.REPLY,)) for each in odd)
    fits = bytes([100] * len(copies))
    return Campaign(
        number, Rank.PLAIN, array("Q", copies), fits, odd_ones, Why(0, 1, 1, 0), (), "", {}, Mark(number), parts
    )


@pytest.fixture
def start() -> Iterator[Callable[[Vault], Catalogue]]:
    """Return a function that starts a catalogue and waits until it is complete."""
    started: list[Catalogue] = []

    def begin(vault: Vault) -> Catalogue:
        started.append(Catalogue(vault, now=lambda: NOW))
        started[-1].start()
        assert started[-1].wait_complete(30)
        return started[-1]

    yield begin
    for catalogue in started:
        catalogue.close()


@pytest.fixture
def with_children(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let child processes read even a few copies, in many tables."""
    monkeypatch.setattr(column_reader, "FEW_COPIES", 0)
    monkeypatch.setattr(catalogue_loader, "FIRST_IDS", 3)
    monkeypatch.setattr(catalogue_loader, "FRAME_IDS", 4)


def client(text: str) -> MessageFilter:
    return MessageFilter(clients=(Term(text),))


def link(text: str, negated: bool = False) -> MessageFilter:
    return MessageFilter(links=(Term(text, negated),))


def put(vault: Vault, *addresses: str) -> list[int]:
    return vault.put_many((b"raw", CopyRecord(client_address=address), NOW) for address in addresses)


def made(links: tuple[str, ...] = (), files: tuple[FileShape, ...] = ()) -> bytes:
    nothing: array[int] = array("Q")
    return packed(Made(Traits(nothing, nothing, nothing, False, False, ""), Texts(links, files)))


def write_traits(vault: Vault, beside: dict[int, Beside]) -> None:
    traits_of(vault).write((copy_id, made(*texts_of(one)[:2])) for copy_id, one in beside.items())


def addresses(vault: Vault, catalogue: Catalogue, flt: MessageFilter) -> list[str]:
    ids = catalogue.select(flt, OLDEST).ids()
    return [copy.record.client_address for copy in vault.get_many(ids)]


operations = st.lists(
    st.one_of(
        st.tuples(st.just("put"), records, moments),
        st.tuples(st.just("traits"), st.integers(0, 30), besides),
        st.tuples(st.sampled_from(["delete", "bin", "back", "empty"]), st.integers(0, 30), st.integers(1, 3)),
        st.tuples(st.sampled_from(["refresh", "ask", "wait", "drop"]), st.none(), st.none()),
    ),
    max_size=14,
)


@given(operations, st.lists(wide_filters, min_size=1, max_size=3))
@settings(max_examples=amount(40, 100), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_after_any_sequence_a_selection_is_what_a_plain_filter_finds(
    vault: Vault, steps: list[tuple[str, Any, Any]], queries: list[MessageFilter]
) -> None:
    vault.delete(vault.ids())
    vault.bin.empty(vault.bin.ids())
    vault.put_many((b"raw", CopyRecord(subject=f"copy {number}"), NOW) for number in range(3))
    beside: dict[int, Beside] = {}
    catalogue = Catalogue(vault, now=lambda: NOW)
    catalogue.start()
    assert catalogue.wait_complete(30)
    try:
        for step, first, second in steps:
            if step == "put":
                vault.put(b"raw", first, stored_at=second)
            elif step == "traits" and second.looked:
                for copy_id in vault.ids()[first : first + 2]:
                    if copy_id not in beside:
                        beside[copy_id] = second._replace(campaigns=frozenset(), odd=False)
                        write_traits(vault, {copy_id: beside[copy_id]})
            elif step == "delete":
                vault.delete(vault.ids()[first : first + second])
            elif step == "bin":
                vault.bin.put(vault.ids()[first : first + second], until=NOW)
            elif step == "back":
                vault.bin.restore(vault.bin.ids()[first : first + second])
            elif step == "empty":
                vault.bin.empty(vault.bin.ids()[first : first + second])
            elif step == "refresh":
                catalogue.refresh()
            elif step == "ask":
                catalogue.select(queries[0])
            elif step == "wait":
                catalogue.wait_for(queries[-1])
            elif step == "drop":
                with catalogue._columns._lock:
                    catalogue._columns._readers.clear()
        catalogue.refresh()
        all_copies = vault.get_many(vault.ids())
        for flt in queries:
            catalogue.wait_for(flt)
            found = catalogue.select(flt, OLDEST)
            wanted = expected(all_copies, flt, OLDEST, beside=beside)
            assert set(found.ids()) == {copy.id for copy in wanted}
            assert not found.partial
            asks_body = not flt.asks().isdisjoint({"link", "file", "sha256"})
            assert found.unread == (sum(copy.id not in beside for copy in all_copies) if asks_body else 0)
    finally:
        catalogue.close()


def test_nothing_is_read_before_a_filter_asks_for_it(vault: Vault, start: Callable[[Vault], Catalogue]) -> None:
    put(vault, "192.0.2.1")
    catalogue = start(vault)
    catalogue.select(MessageFilter(words=(Term("x"),)))
    assert catalogue.count(client("192.0.2.1")) is None
    assert catalogue.reading is None and not catalogue._columns._readers
    catalogue.wait_for(client("192.0.2.1"))
    assert set(catalogue._columns._readers) == {Source.RECORD} and catalogue.count(client("192.0.2.1")) == 1


def test_while_it_is_read_the_result_is_incomplete_and_says_what_is_read(
    vault: Vault, start: Callable[[Vault], Catalogue], monkeypatch: pytest.MonkeyPatch
) -> None:
    put(vault, "192.0.2.1", "198.51.100.1")
    catalogue = start(vault)
    go = threading.Event()
    real = column_reader.read_ids
    monkeypatch.setattr(column_reader, "read_ids", lambda *args: go.wait(30) and real(*args))
    changes = catalogue.read_changes
    found = catalogue.select(client("192.0.2"))
    assert (found.count, found.partial) == (0, True)
    assert catalogue.reading == ("client addresses", 0, 2) and catalogue.reading.share == "0 %"
    assert catalogue.select(MessageFilter(clients=(Term("192.0.2", True),))).count == 0
    go.set()
    catalogue.wait_for(client("192.0.2"))
    found = catalogue.select(client("192.0.2"))
    assert (found.count, found.partial, catalogue.reading) == (1, False, None)
    assert catalogue.read_changes != changes


@pytest.mark.usefixtures("with_children")
def test_who_waits_is_told_how_far_it_is(vault: Vault, start: Callable[[Vault], Catalogue]) -> None:
    put(vault, *(f"192.0.2.{number}" for number in range(20)))
    catalogue = start(vault)
    told: list[tuple[int, int]] = []
    catalogue.wait_for(client("192.0.2"), lambda done, total: told.append((done, total)))
    assert told[0] == (0, 20) and told == sorted(told) and {total for _done, total in told} == {20}
    told.clear()
    catalogue.wait_for(client("192.0.2"), lambda done, total: told.append((done, total)))
    assert not told


def test_the_envelope_is_searched_as_mail_logs_write_it(vault: Vault, start: Callable[[Vault], Catalogue]) -> None:
    senders = ["bounce-7@Lists.example", "", None, "anna@example.net"]
    ids = [vault.put(b"raw", CopyRecord(from_="bounce <a@b.c>", envelope_sender=sender)) for sender in senders]
    catalogue = start(vault)
    for line, found in (
        ("envelope:bounce", [0]),
        ("envelope:<bounce-7@lists.example>", [0]),
        ("envelope:<>", [1]),
        ("envelope:@", [0, 3]),
        ("-envelope:@", [1, 2]),
        ("envelope:a@b.c", []),
    ):
        catalogue.wait_for(parse(line))
        assert catalogue.select(parse(line), OLDEST).ids() == [ids[place] for place in found]
    ids.append(vault.put(b"raw", CopyRecord(envelope_sender="bounce-8@lists.example")))
    assert catalogue.refresh()
    found = catalogue.select(parse("envelope:<bounce-"), OLDEST)
    assert (found.ids(), found.partial) == ([ids[0], ids[4]], False)


def test_a_copy_that_comes_in_is_found_at_once(vault: Vault, start: Callable[[Vault], Catalogue]) -> None:
    put(vault, "192.0.2.1", "198.51.100.1")
    catalogue = start(vault)
    catalogue.wait_for(client("192.0.2"))
    ids = put(vault, "192.0.2.2")
    assert catalogue.refresh()
    found = catalogue.select(client("192.0.2"), OLDEST)
    assert (found.count, found.partial) == (2, False)
    vault.bin.put(ids, until=NOW)
    catalogue.refresh()
    assert addresses(vault, catalogue, client("192.0.2")) == ["192.0.2.1"]
    vault.bin.restore(ids)
    catalogue.refresh()
    found = catalogue.select(client("192.0.2"))
    assert (found.count, found.partial) == (2, False)


def test_copies_without_traits_are_in_no_answer_and_are_counted(
    any_vault: Vault, start: Callable[[Vault], Catalogue]
) -> None:
    ids = put(any_vault, "192.0.2.1", "192.0.2.2", "192.0.2.3")
    write_traits(any_vault, {ids[0]: Beside(links=("evil.example",)), ids[1]: Beside()})
    catalogue = start(any_vault)
    catalogue.wait_for(link("evil"))
    found = catalogue.select(link("evil"))
    assert (found.ids(), found.partial, found.unread) == ([ids[0]], False, 1)
    assert catalogue.select(link("evil", negated=True)).ids() == [ids[1]]
    write_traits(any_vault, {ids[2]: Beside(links=("evil.example",))})
    catalogue.wait_for(link("evil"))
    found = catalogue.select(link("evil"), OLDEST)
    assert (found.ids(), found.unread) == ([ids[0], ids[2]], 0)


def test_the_background_finds_traits_that_are_made_later(
    vault: Vault, start: Callable[[Vault], Catalogue], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(columns, "_FOLLOW_SECONDS", 0.01)
    ids = put(vault, "192.0.2.1", "192.0.2.2")
    catalogue = start(vault)
    catalogue.wait_for(link("evil"))
    keep = catalogue.select(link("evil"))
    assert keep.unread == 2
    reader = catalogue._columns._readers[Source.BODY]
    added, real = threading.Event(), reader._add
    monkeypatch.setattr(reader, "_add", lambda tables: (real(tables), any(map(len, tables)) and added.set()))
    write_traits(vault, {ids[1]: Beside(links=("evil.example",))})
    assert added.wait(30)
    assert catalogue.select(link("evil")).ids() == [ids[1]]


def test_traits_and_records_that_do_not_verify_are_not_waited_for(
    vault: Vault, start: Callable[[Vault], Catalogue], sql: Callable[..., Any]
) -> None:
    ids = put(vault, "192.0.2.1", "192.0.2.2")
    write_traits(vault, dict.fromkeys(ids, Beside(links=("evil.example",))))
    catalogue = start(vault)
    sql(vault, "UPDATE derived SET sealed = ? WHERE id = ?", b"\x05" * 60, ids[0])
    sql(vault, "UPDATE message SET record = ? WHERE id = ?", b"\x01" * 60, ids[1])
    catalogue.wait_for(link("evil"))
    found = catalogue.select(link("evil"))
    assert (found.count, found.partial, found.unread) == (0, False, 2)
    catalogue.wait_for(client("192.0.2"))
    found = catalogue.select(client("192.0.2"))
    assert (found.ids(), found.partial) == ([ids[0]], False)


def test_what_nobody_uses_is_dropped(
    vault: Vault, start: Callable[[Vault], Catalogue], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(columns, "IDLE_SECONDS", 0.0)
    monkeypatch.setattr(columns, "_TICK_SECONDS", 0.01)
    put(vault, "192.0.2.1")
    catalogue = start(vault)
    kept = catalogue.select(client("192.0.2"))
    catalogue.wait_for(client("192.0.2"))
    thread = catalogue._columns._thread
    assert thread is not None and catalogue._columns._readers
    before = catalogue._columns._ended
    catalogue.wait_for(client("192.0.2"))
    # The cleanup has run, and kept the table because the displayed list needs it.
    assert catalogue._columns._ended > before and kept and catalogue._columns._thread is thread
    del kept
    gc.collect()
    thread.join(30)
    assert not thread.is_alive() and not catalogue._columns._readers
    monkeypatch.setattr(columns, "IDLE_SECONDS", 300.0)
    catalogue.wait_for(client("192.0.2"))
    assert catalogue.select(client("192.0.2")).count == 1


def test_rows_of_copies_that_are_gone_are_dropped(
    vault: Vault, start: Callable[[Vault], Catalogue], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(column_reader, "_SPARE_ROWS", 2)
    ids = put(vault, *(f"192.0.2.{number}" for number in range(9)))
    catalogue = start(vault)
    catalogue.wait_for(client("192.0.2"))
    vault.delete(ids[:3])
    catalogue.refresh()
    catalogue.wait_for(client("192.0.2"))
    table = catalogue._columns._readers[Source.RECORD].table
    assert table.ids.to_list() == ids[3:]
    assert table.values["client"].words.height == 6


@pytest.mark.usefixtures("with_children")
@pytest.mark.parametrize("failure", ["", "no start", "dies at once", "answers rubbish", "dies half-way"])
def test_children_read_it_and_what_they_fail_to_read_is_read_here(
    vault: Vault, start: Callable[[Vault], Catalogue], monkeypatch: pytest.MonkeyPatch, failure: str
) -> None:
    ids = put(vault, *(f"192.0.2.{number}" for number in range(20)))
    write_traits(vault, {copy_id: Beside(links=(f"l{copy_id % 3}.example",)) for copy_id in ids[5:]})
    catalogue = start(vault)
    real = subprocess.Popen
    commands: list[list[str]] = []

    def failing(command: list[str], **options: Any) -> Any:
        commands.append(command)
        if failure == "no start":
            raise OSError("no more processes")
        code = {
            "dies at once": "raise SystemExit(3)",
            "answers rubbish": "import sys; sys.stdout.buffer.write(b'\\0\\0\\0\\3abc' * 10)",
            "dies half-way": "import os, store.catalogue.loader as c\n"
            "send = c._send\n"
            "def once(*a): send(*a); c._send = lambda *_: os._exit(9)\n"
            "c._send = once\nc.main()",
        }.get(failure)
        return real([sys.executable, "-c", code] if code else command, **options)

    monkeypatch.setattr(subprocess, "Popen", failing)
    for flt, wanted in ((client("192.0.2.1"), [ids[1]]), (link("l1."), [each for each in ids[5:] if each % 3 == 1])):
        catalogue.wait_for(flt)
        found = catalogue.select(flt, OLDEST)
        assert (found.ids(), found.partial) == (wanted, False)
    assert len(commands) == (2 if failure == "no start" else 2 * min(2, os.cpu_count() or 1))


@pytest.mark.usefixtures("with_children")
def test_closing_while_it_is_read_ends_the_children(vault: Vault, start: Callable[[Vault], Catalogue]) -> None:
    put(vault, *(f"192.0.2.{number}" for number in range(100)))
    catalogue = start(vault)
    catalogue.select(client("192.0.2"))
    thread = catalogue._columns._thread
    catalogue.close()
    assert thread is not None and not thread.is_alive()


def test_campaigns_answer_as_they_stand(vault: Vault, start: Callable[[Vault], Catalogue]) -> None:
    ids = put(vault, *(f"192.0.2.{number}" for number in range(8)))
    catalogue = start(vault)
    assert catalogue.select(MessageFilter(campaigns=(0,))).count == 8
    assert catalogue.select(MessageFilter(odd=True)).count == 0
    catalogue.standing = Standing(
        [campaign(3, ids[:2], [ids[2]], parts=(7,)), campaign(5, [ids[4], 10**9], [])], number=1
    )
    for flt, wanted in (
        (MessageFilter(campaigns=(3,)), ids[:3]),
        (MessageFilter(campaigns=(7,)), ids[:3]),
        (MessageFilter(campaigns=(3,), odd=False), ids[:2]),
        (MessageFilter(odd=True), ids[2:3]),
        (MessageFilter(campaigns=(5, 9)), ids[4:5]),
        (MessageFilter(campaigns=(0, 5)), ids[3:]),
        (MessageFilter(not_campaigns=(0, 5)), ids[:3]),
    ):
        found = catalogue.select(flt, OLDEST)
        assert (found.ids(), found.partial, found.unread) == (wanted, False, 0)
        beside = besides_of(vault, catalogue.standing, flt, ids)
        plain = [one.id for one in vault.get_many(ids) if flt.matches(one, now=NOW, beside=beside[one.id])]
        assert plain == wanted
    catalogue.standing = Standing([campaign(5, ids, [])], number=2)
    assert catalogue.select(MessageFilter(campaigns=(5,))).count == 8


def test_before_the_catalogue_is_there_the_newest_are_answered_in_full(vault: Vault) -> None:
    ids = put(vault, "192.0.2.1", "192.0.2.2", "198.51.100.1")
    write_traits(vault, {ids[0]: Beside(links=("evil.example",)), ids[1]: Beside()})
    catalogue = Catalogue(vault, now=lambda: NOW)
    catalogue.standing = Standing([campaign(3, ids[:1], [ids[2]])], number=1)
    for flt, wanted in (
        (client("192.0.2"), ids[:2]),
        (link("evil"), ids[:1]),
        (link("evil", negated=True), ids[1:2]),
        (MessageFilter(campaigns=(3,), odd=True), ids[2:]),
    ):
        assert catalogue.select(flt, OLDEST).ids() == wanted
    assert catalogue.select(link("evil")).unread == 1
    catalogue.close()


def test_why_it_cannot_be_read_is_said_and_it_is_tried_again(
    vault: Vault, start: Callable[[Vault], Catalogue], monkeypatch: pytest.MonkeyPatch
) -> None:
    put(vault, "192.0.2.1")
    catalogue = start(vault)
    real = column_reader.read_ids

    def failing(*_: Any) -> ColumnTable:
        raise MemoryError("no room")

    monkeypatch.setattr(column_reader, "read_ids", failing)
    with pytest.raises(Exception, match="The data for this filter cannot be read"):
        catalogue.wait_for(client("192.0.2"))
    assert catalogue.problem is not None and catalogue.select(client("192.0.2")).partial
    monkeypatch.setattr(column_reader, "read_ids", real)
    catalogue.wait_for(client("192.0.2"))
    assert catalogue.problem is None and not catalogue.select(client("192.0.2")).partial
