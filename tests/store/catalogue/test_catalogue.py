"""The catalogue on real stores: loading and following; no copy missing, none left that is gone."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from store.catalogue import catalogue as catalogue_module
from store.catalogue import follow as catalogue_follow
from store.catalogue import frame as catalogue_frame
from store.catalogue import keeping
from store.catalogue import loader as catalogue_loader
from store.catalogue import newest as catalogue_newest
from store.catalogue import order as catalogue_order
from store.catalogue.catalogue import NEWEST, Catalogue, Sort, SortKey
from store.delivery.orders import SealedRecipient, seal_recipient
from store.filters.line import MessageFilter, parse
from store.terms.records import Copy, CopyRecord, row_of
from store.terms.verdicts import Engine, Status, Verdict
from store.vault.vault import Vault
from tests.amounts import amount
from tests.store.catalogue.catalogue_model import expected, sorts
from tests.store.filters.filter_model import NOW, filters, moments, records

EVERYTHING = MessageFilter()


@pytest.fixture
def start() -> Iterator[Callable[..., Catalogue]]:
    """Return a function that starts a catalogue and waits until it is complete."""
    started: list[Catalogue] = []

    def begin(vault: Vault, *, wait: bool = True, **options: Any) -> Catalogue:
        started.append(Catalogue(vault, now=lambda: NOW, **options))
        started[-1].start()
        assert not wait or started[-1].wait_complete(30)
        return started[-1]

    yield begin
    for catalogue in started:
        catalogue.close()


@pytest.fixture
def with_children(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let child processes load even a few copies, in many frames, each child its share."""
    monkeypatch.setattr(catalogue_module, "FEW_COPIES", 0)
    monkeypatch.setattr(catalogue_loader, "FIRST_IDS", 3)
    monkeypatch.setattr(catalogue_loader, "FRAME_IDS", 4)


def put(vault: Vault, *subjects: str, at: int = NOW) -> list[int]:
    return vault.put_many((b"raw", CopyRecord(subject=subject), at) for subject in subjects)


def subjects(catalogue: Catalogue, line: str = "", sort: Sort = NEWEST) -> list[str]:
    return [row.subject for row in catalogue.select(parse(line), sort).rows(0, 1000)]


def all_copies(vault: Vault) -> list[Copy]:
    return vault.get_many(vault.ids())


operations = st.lists(
    st.one_of(
        st.tuples(st.just("put"), records, moments),
        st.tuples(st.sampled_from(["delete", "bin", "back", "empty"]), st.integers(0, 30), st.integers(1, 3)),
        st.tuples(st.sampled_from(["refresh", "restart", "upkeep"]), st.none(), st.none()),
    ),
    max_size=12,
)


@given(operations, st.lists(st.tuples(filters, sorts), min_size=1, max_size=3))
@settings(max_examples=amount(25, 60), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_after_any_sequence_a_selection_is_what_a_plain_filter_finds(
    vault: Vault, steps: list[tuple[str, Any, Any]], queries: list[tuple[MessageFilter, Sort]]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keeping, "SNAPSHOT_COPIES", 0)
        vault.delete(vault.ids())
        vault.bin.empty(vault.bin.ids())
        catalogue = Catalogue(vault, now=lambda: NOW)
        catalogue.start()
        assert catalogue.wait_complete(30)
        try:
            for step, first, second in steps:
                if step == "put":
                    vault.put(b"raw", first, stored_at=second)
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
                elif step == "upkeep":
                    assert catalogue._follower is not None
                    catalogue._keeper.save(catalogue._follower)
                    catalogue.select(EVERYTHING, queries[0][1])
                else:
                    catalogue.close()
                    catalogue = Catalogue(vault, now=lambda: NOW)
                    catalogue.start()
                    assert catalogue.wait_complete(30)
            catalogue.refresh()
            copies = all_copies(vault)
            for flt, sort in queries:
                found = catalogue.select(flt, sort)
                assert found.rows(0, 100) == [row_of(copy) for copy in expected(copies, flt, sort)]
                assert (found.total, found.partial) == (len(copies), False)
                assert catalogue.count(flt) == found.count
            assert not catalogue.refresh()
        finally:
            catalogue.close()


def test_it_follows_what_other_processes_do(
    any_vault: Vault, open_again: Callable[[], Vault], start: Callable[..., Catalogue]
) -> None:
    first = put(any_vault, "one", "two", "three")
    catalogue = start(any_vault)
    other = open_again()
    assert subjects(catalogue) == ["three", "two", "one"]
    assert not catalogue.refresh()
    put(other, "four")
    assert catalogue.refresh()
    assert not catalogue.refresh()
    assert subjects(catalogue) == ["four", "three", "two", "one"]
    before = catalogue.select(EVERYTHING)
    assert not catalogue.at_rest and catalogue.count(EVERYTHING) == 4
    other.delete(first[:2])
    put(any_vault, "five")
    assert catalogue.refresh()
    assert subjects(catalogue) == ["five", "four", "three"]
    assert before.count == 4 and before.ids()[-1] == first[0]
    assert max(before.ids()) <= before.high_water < max(catalogue.select(EVERYTHING).ids())


def test_it_follows_the_bin(any_vault: Vault, open_again: Callable[[], Vault], start: Callable[..., Catalogue]) -> None:
    ids = put(any_vault, "one", "two", "three", "four")
    other = open_again()
    other.bin.put(ids[:1], until=NOW)
    catalogue = start(any_vault)
    frozen = catalogue.select(EVERYTHING)
    other.bin.put(ids[1:3], until=NOW)
    assert catalogue.refresh() and subjects(catalogue) == ["four"]
    other.bin.put(ids[3:], until=NOW)
    other.bin.restore([ids[0], ids[1], ids[3]])
    assert catalogue.refresh() and subjects(catalogue) == ["four", "two", "one"]
    found = catalogue.select(EVERYTHING)
    assert found.returned - frozen.returned == {ids[0], ids[1], ids[3]} and found.high_water == frozen.high_water
    other.bin.restore(ids)
    other.bin.put(ids[:1], until=NOW)
    other.bin.empty(ids[:1])
    assert catalogue.refresh() and subjects(catalogue) == ["four", "three", "two"]
    assert not catalogue.refresh()


def test_an_act_of_the_bin_that_cannot_be_read_hides_nothing(
    any_vault: Vault, sql: Callable[..., Any], start: Callable[..., Catalogue]
) -> None:
    ids = put(any_vault, "one", "two", "three")
    catalogue = start(any_vault)
    any_vault.bin.put(ids[:2], until=NOW)
    any_vault.bin.restore(ids[:1])
    sql(any_vault, "UPDATE bin_act SET entries = signature")
    assert catalogue.refresh() and subjects(catalogue) == ["three", "one"]


def test_a_copy_that_is_committed_late_is_not_missed(
    any_vault: Vault, sql: Callable[..., Any], start: Callable[..., Catalogue]
) -> None:
    ids = put(any_vault, "one", "late", "three")
    (row,) = sql(any_vault, "SELECT * FROM message WHERE id = ?", ids[1])
    sql(any_vault, "DELETE FROM message WHERE id = ?", ids[1])
    sql(any_vault, "UPDATE state SET messages = messages - 1")
    catalogue = start(any_vault)
    assert subjects(catalogue) == ["three", "one"]
    sql(any_vault, f"INSERT INTO message VALUES ({', '.join('?' * len(row))})", *row)
    sql(any_vault, "UPDATE state SET messages = messages + 1")
    assert catalogue.refresh()
    assert subjects(catalogue) == ["three", "late", "one"]
    assert not catalogue.refresh()


def test_a_deletion_without_a_tombstone_is_not_missed(
    vault: Vault, sql: Callable[..., Any], start: Callable[..., Catalogue]
) -> None:
    ids = put(vault, "one", "two", "three")
    catalogue = start(vault)
    sql(vault, "DELETE FROM message WHERE id = ?", ids[1])
    sql(vault, "UPDATE state SET messages = messages - 1")
    assert catalogue.refresh()
    assert subjects(catalogue) == ["three", "one"]


def test_a_wrong_counter_costs_one_comparison_and_not_one_at_each_look(
    vault: Vault, sql: Callable[..., Any], start: Callable[..., Catalogue], monkeypatch: pytest.MonkeyPatch
) -> None:
    put(vault, "one")
    catalogue = start(vault)
    compared: list[int] = []
    ids = vault.ids
    monkeypatch.setattr(vault, "ids", lambda: compared.append(1) or ids())
    sql(vault, "UPDATE state SET messages = messages + 5")
    for subject in ("two", "three", "four"):
        put(vault, subject)
        catalogue.refresh()
    assert subjects(catalogue) == ["four", "three", "two", "one"]
    assert len(compared) == 1


def test_a_damaged_copy_is_left_out_and_named(
    vault: Vault, sql: Callable[..., Any], start: Callable[..., Catalogue]
) -> None:
    ids = put(vault, "one", "two", "three")
    sql(vault, "UPDATE message SET record = ? WHERE id = ?", b"\x01" * 60, ids[1])
    catalogue = start(vault)
    assert subjects(catalogue) == ["three", "one"]
    assert catalogue.damaged == {ids[1]}
    late = put(vault, "four")[0]
    sql(vault, "UPDATE message SET record = ? WHERE id = ?", b"\x01" * 60, late)
    put(vault, "five")
    catalogue.refresh()
    assert subjects(catalogue) == ["five", "three", "one"]
    assert catalogue.damaged == {ids[1], late}
    vault.delete([ids[1]])
    catalogue.refresh()
    assert catalogue.damaged == {late}


def test_a_damaged_tombstone_does_not_hide_what_was_deleted(
    vault: Vault, sql: Callable[..., Any], start: Callable[..., Catalogue]
) -> None:
    ids = put(vault, "one", "two", "three")
    catalogue = start(vault)
    vault.delete([ids[0]])
    sql(vault, "UPDATE tombstone SET entries = ?", b"\xff")
    assert catalogue.refresh()
    assert subjects(catalogue) == ["three", "two"]


def test_many_new_copies_are_taken_up_look_by_look(
    vault: Vault, start: Callable[..., Catalogue], monkeypatch: pytest.MonkeyPatch
) -> None:
    catalogue = start(vault)
    monkeypatch.setattr(catalogue_follow, "NEW_COPIES", 4)
    put(vault, *"abcdefghij")
    seen = []
    while catalogue.refresh():
        seen.append(catalogue.select(EVERYTHING).count)
    assert seen == [4, 8, 10]


@pytest.mark.usefixtures("with_children")
def test_child_processes_load_everything_the_newest_first(
    vault: Vault, start: Callable[..., Catalogue], monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = put(vault, *(f"subject {number}" for number in range(40)))
    vault.delete(ids[10:15])
    loaded: list[tuple[int, int]] = []
    take = catalogue_follow.Follower.add_loaded

    def noting(self: Any, frame: Any, damaged: Any) -> None:
        loaded.append((int(frame.ids[0]), int(frame.ids[-1])) if len(frame) else (0, 0))
        take(self, frame, damaged)

    monkeypatch.setattr(catalogue_follow.Follower, "add_loaded", noting)
    monkeypatch.setattr(catalogue_module, "load", lambda *_: pytest.fail("the children should have loaded it"))
    catalogue = start(vault)
    assert catalogue.select(EVERYTHING).rows(0, 100) == [row_of(copy) for copy in reversed(all_copies(vault))]
    assert len(loaded) > 1
    assert loaded[0][1] == ids[-1]
    assert all(older[1] < newer[0] for newer, older in pairwise(loaded))


@pytest.mark.usefixtures("with_children")
@pytest.mark.parametrize("failure", ["no start", "dies at once", "dies half-way", "answers rubbish"])
def test_what_a_child_fails_to_load_is_loaded_here(
    vault: Vault, start: Callable[..., Catalogue], monkeypatch: pytest.MonkeyPatch, failure: str, tmp_path: Path
) -> None:
    put(vault, *(f"subject {number}" for number in range(40)))
    real = subprocess.Popen

    def failing(command: list[str], **options: Any) -> Any:
        if failure == "no start":
            raise OSError("no more processes")
        code = {
            "dies at once": "raise SystemExit(3)",
            "answers rubbish": "import sys; sys.stdout.buffer.write(b'\\0\\0\\0\\3abc' * 10)",
            "dies half-way": "import os, store.catalogue.loader as c\n"
            "send = c._send\n"
            "def once(*a): send(*a); c._send = lambda *_: os._exit(9)\n"
            "c._send = once\nc.main()",
        }[failure]
        return real([sys.executable, "-c", code], **options)

    monkeypatch.setattr(subprocess, "Popen", failing)
    catalogue = start(vault)
    assert catalogue.select(EVERYTHING).rows(0, 100) == [row_of(copy) for copy in reversed(all_copies(vault))]


@pytest.mark.usefixtures("with_children")
def test_a_child_gets_the_keys_on_its_pipe_alone(
    vault: Vault, start: Callable[..., Catalogue], monkeypatch: pytest.MonkeyPatch
) -> None:
    put(vault, *"abcdef")
    secret = vault.worker_key_material()
    seen: list[bytes] = []
    real = subprocess.Popen

    def looking(command: list[str], **options: Any) -> Any:
        process = real(command, **options)
        for what in ("cmdline", "environ"):
            seen.append(Path(f"/proc/{process.pid}/{what}").read_bytes())
        return process

    monkeypatch.setattr(subprocess, "Popen", looking)
    start(vault)
    assert seen
    pieces = [secret[at : at + 16] for at in range(0, len(secret) - 16, 16)]
    for piece in pieces:
        assert not any(piece in where or piece.hex().encode() in where for where in seen)
    assert not any(os.fsencode(vault.location) in where for where in seen[::2])


@pytest.mark.usefixtures("with_children")
def test_closing_while_loading_ends_the_children(vault: Vault) -> None:
    put(vault, *(f"subject {number}" for number in range(200)))
    catalogue = Catalogue(vault)
    catalogue.start()
    while catalogue._children is None and not catalogue.complete:
        time.sleep(0.001)
    catalogue.close()
    catalogue.close()
    assert catalogue._children is not None
    assert all(process.poll() is not None for process in catalogue._children._processes)
    assert not catalogue.complete


@pytest.mark.usefixtures("with_children")
def test_changes_while_loading_are_taken_up(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = put(vault, *(f"subject {number}" for number in range(30)))
    catalogue = Catalogue(vault, now=lambda: NOW)
    take = catalogue_follow.Follower.add_loaded

    def disturbed(self: Any, frame: Any, damaged: Any) -> None:
        vault.delete([ids.pop(0), ids.pop()])
        put(vault, "new")
        catalogue.refresh()
        take(self, frame, damaged)
        selection = catalogue.select(EVERYTHING)
        assert selection.partial
        assert {row.id for row in selection.rows(0, 100)} <= set(vault.ids())

    monkeypatch.setattr(catalogue_follow.Follower, "add_loaded", disturbed)
    catalogue.start()
    assert catalogue.wait_complete(30)
    assert catalogue.select(EVERYTHING).rows(0, 100) == [row_of(copy) for copy in reversed(all_copies(vault))]
    catalogue.close()


def test_the_newest_copies_are_there_before_anything_is_loaded(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    put(vault, "Straße", "other", "strasse")
    catalogue = Catalogue(vault, now=lambda: NOW)
    selection = catalogue.select(EVERYTHING)
    assert [row.subject for row in selection.rows(0, 10)] == ["strasse", "other", "Straße"]
    assert (selection.count, selection.total, selection.partial) == (3, 3, False)
    assert subjects(catalogue, "STRASSE") == ["strasse", "Straße"]
    assert selection.position(selection.ids()[1]) == 1
    assert selection.ids(1)[0] in selection and 99 not in selection
    assert selection.among([*selection.ids(0, 2), 99]) == set(selection.ids(0, 2))
    monkeypatch.setattr(catalogue_newest, "FIRST_ROWS", 2)
    partial = catalogue.select(EVERYTHING, Sort(SortKey.PLACED, False))
    assert (partial.count, partial.total, partial.partial) == (2, 3, True)
    assert [row.subject for row in partial.rows(0, 10)] == ["other", "strasse"]
    assert partial.high_water == max(vault.ids())
    assert not catalogue.refresh()
    assert (catalogue.complete, catalogue.loaded, catalogue.total) == (False, 0, 3)
    assert (catalogue.engine_counts(), catalogue.rule_ids(), catalogue.damaged) == ({}, [], frozenset())
    assert catalogue.count(EVERYTHING) is None


def test_who_waits_is_told_when_every_copy_is_there(vault: Vault) -> None:
    put(vault, "one")
    catalogue = Catalogue(vault)
    told: list[bool] = []
    there = threading.Event()
    catalogue.on_complete = lambda: (told.append(catalogue.complete), there.set())[1]
    catalogue.start()
    assert there.wait(30)
    catalogue.close()
    assert told == [True]


def test_a_store_without_copies_is_complete(vault: Vault, start: Callable[..., Catalogue]) -> None:
    catalogue = start(vault)
    assert subjects(catalogue) == []
    put(vault, "first")
    assert catalogue.refresh()
    assert subjects(catalogue, "fir") == ["first"]
    vault.delete(vault.ids())
    assert catalogue.refresh()
    assert (subjects(catalogue), catalogue.total) == ([], 0)


def test_delivered_is_what_became_of_the_recipients(
    vault: Vault, sql: Callable[..., Any], start: Callable[..., Catalogue]
) -> None:
    queued, cancelled, sent, _kept = put(vault, "queued", "cancelled", "sent", "kept")
    insert = (
        "INSERT INTO delivery (copy_id, created_at, gateway_id, state, attempts, next_attempt_at, lease_owner, "
        "lease_token, lease_until, order_blob, order_signature, expires_at) "
        "VALUES (?, 0, 1, ?, 0, 0, '', 0, 0, ?, ?, 0)"
    )
    sql(vault, insert, queued, "queued", b"", b"")
    sql(vault, insert, cancelled, "cancelled", b"", b"")
    sql(vault, insert, sent, "sent", b"", b"")
    for place, state in enumerate(("queued", "cancelled", "sent"), 1):
        add = "INSERT INTO delivery_recipient (delivery_id, sealed_address, state, changed_at) VALUES (?, ?, ?, 0)"
        sql(vault, add, place, seal_recipient(vault, SealedRecipient(place, 0, "a@x.example", "")), state)
    for catalogue in (Catalogue(vault), start(vault)):
        assert subjects(catalogue, "delivered:yes") == ["sent"]
        assert subjects(catalogue, "delivered:waiting") == ["queued"]
        assert subjects(catalogue, "delivered:no") == ["kept", "cancelled"]
        assert subjects(catalogue, "-delivered:yes") == ["kept", "cancelled", "queued"]
        assert subjects(catalogue, "delivered:failed,unknown") == []
        sql(vault, "UPDATE delivery_recipient SET state = 'failed' WHERE delivery_id = 1")
        sql(vault, "UPDATE delivery SET state = 'failed', finished_at = 1 WHERE id = 1")
        assert subjects(catalogue, "delivered:failed") == ["queued"]
        sql(vault, "UPDATE delivery_recipient SET state = 'queued' WHERE delivery_id = 1")
        sql(vault, "UPDATE delivery SET state = 'queued', finished_at = NULL WHERE id = 1")


def test_when_the_oldest_and_the_newest_of_some_copies_were_placed(
    vault: Vault, start: Callable[..., Catalogue]
) -> None:
    times = [NOW - 5, NOW, NOW - 9, NOW - 1]
    ids = [put(vault, "x", at=at)[0] for at in times]
    catalogue = start(vault)
    assert catalogue.placed_span(ids) == (NOW - 9, NOW)
    assert catalogue.placed_span([ids[3], ids[0], 999]) == (NOW - 5, NOW - 1)
    assert catalogue.placed_span([999]) == catalogue.placed_span([]) == (0, 0)


def test_figures_of_the_screen(vault: Vault, start: Callable[..., Catalogue]) -> None:
    day = 24 * 3_600_000
    spam = CopyRecord(reason=Verdict(Engine.ANTI_SPAM, Status.SPAM), rule_id=3, rule_name="Default")
    vault.put(b"x", spam, stored_at=NOW - day)
    vault.put(b"x", spam, stored_at=NOW)
    vault.put(b"x", CopyRecord(), stored_at=NOW - 5 * day)
    catalogue = start(vault)
    assert catalogue.engine_counts() == {Engine.ANTI_SPAM: 2, None: 1}
    assert catalogue.rule_ids() == [(0, ""), (3, "Default")]
    counts = catalogue.day_counts(3)
    assert [start - counts[0][0] for start, _ in counts] == [0, day, 2 * day]
    assert [by_engine for _, by_engine in counts] == [{}, {Engine.ANTI_SPAM: 1}, {Engine.ANTI_SPAM: 1}]


def test_what_keeps_loading_from_going_on_is_said_and_tried_again(
    vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    from store.terms.errors import StoreError, StoreUnavailable

    put(vault, "one")
    monkeypatch.setattr(catalogue_module, "_RETRY_SECONDS", 0.05)
    begin = catalogue_follow.Follower.begin
    failures: list[Exception] = [StoreUnavailable("The disk is gone."), MemoryError("none left")]

    def failing(self: Any) -> Any:
        if failures:
            raise failures[0]
        return begin(self)

    monkeypatch.setattr(catalogue_follow.Follower, "begin", failing)
    catalogue = Catalogue(vault)
    catalogue.start()
    with pytest.raises(StoreUnavailable, match="disk is gone"):
        catalogue.wait_complete(30)
    assert catalogue.problem == "The disk is gone."
    del failures[0]
    while "none left" not in str(catalogue.problem):
        time.sleep(0.01)
    with pytest.raises(StoreError, match="cannot be loaded"):
        catalogue.wait_complete(30)
    failures.clear()
    while not catalogue.complete:
        time.sleep(0.01)
    assert subjects(catalogue) == ["one"]
    assert catalogue.problem is None
    catalogue.close()


def test_queries_and_changes_from_many_threads(vault: Vault, start: Callable[..., Catalogue]) -> None:
    put(vault, *(f"a {number}" for number in range(30)))
    catalogue = start(vault)
    errors: list[BaseException] = []
    done = threading.Event()

    def run(work: Callable[[], None]) -> None:
        try:
            while not done.is_set():
                work()
        except BaseException as error:
            errors.append(error)

    def query() -> None:
        for sort in (NEWEST, Sort(SortKey.SUBJECT, False)):
            selection = catalogue.select(parse("a"), sort)
            rows = selection.rows(0, 1000)
            assert [row.id for row in rows] == selection.ids()
            assert len(rows) == selection.count and len(set(selection.ids())) == selection.count

    def change() -> None:
        put(vault, "a new", "b new")
        vault.delete(vault.ids()[:1])
        time.sleep(0.002)

    def refresh() -> None:
        catalogue.refresh()
        time.sleep(0.001)

    threads = [threading.Thread(target=run, args=(work,)) for work in (query, query, change, refresh, refresh)]
    for thread in threads:
        thread.start()
    time.sleep(1.5)
    done.set()
    for thread in threads:
        thread.join()
    assert errors == []
    while catalogue.refresh():
        pass
    assert catalogue.select(EVERYTHING).rows(0, 10**6) == [
        row_of(copy) for copy in expected(all_copies(vault), EVERYTHING, NEWEST)
    ]


def test_importing_it_imports_no_polars() -> None:
    code = "import store.catalogue.catalogue, store.filters.line, sys; sys.exit('polars' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("patience", [0.0, 1000.0])
def test_upkeep_waits_for_a_pause_in_the_questions_but_not_for_ever(
    vault: Vault, monkeypatch: pytest.MonkeyPatch, patience: float
) -> None:
    prepared = threading.Event()
    monkeypatch.setattr(catalogue_module, "_IDLE_SECONDS", 0.0)
    monkeypatch.setattr(catalogue_module, "_QUIET_ASKING", 500.0)
    monkeypatch.setattr(catalogue_module, "_PATIENCE_SECONDS", patience)
    monkeypatch.setattr(catalogue_order.Orders, "prepare", lambda self: prepared.set())
    put(vault, "one", "two")
    catalogue = Catalogue(vault)
    try:
        catalogue.select(MessageFilter())
        catalogue.start()
        assert catalogue.wait_complete(30)
        assert prepared.wait(0.3 if patience else 30) is (patience == 0)
    finally:
        catalogue.close()
    assert not patience or not prepared.is_set()


def test_the_first_letter_is_prepared_for_though_queries_go_on(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    prepared = threading.Event()
    monkeypatch.setattr(catalogue_module, "_IDLE_SECONDS", 0.0)
    monkeypatch.setattr(catalogue_module, "_QUIET_ASKING", 500.0)
    monkeypatch.setattr(catalogue_module, "_PATIENCE_SECONDS", 1000.0)
    monkeypatch.setattr(catalogue_frame.Frame, "prepare_searches", lambda self: prepared.set())
    put(vault, "one", "two")
    catalogue = Catalogue(vault)
    try:
        catalogue.select(MessageFilter())
        catalogue.start()
        assert prepared.wait(30)
    finally:
        catalogue.close()
