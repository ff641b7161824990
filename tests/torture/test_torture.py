"""Each torture fails if its law is broken, and says how to repeat the run; faults reach their targets."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from store.authority.deleting import delete_copies
from store.database.connection import run as run_sql
from store.terms.records import CopyRecord
from store.vault.vault import Vault
from tests.system_calls import SYNC, Call, Fault, calls
from tests.torture import processes
from tests.torture.__main__ import TORTURES
from tests.torture.clock import Clock
from tests.torture.ledger import Ledger, conserved
from tests.torture.processes import Process
from tests.torture.running import Broken, Figure, Run, hold, table
from tests.torture.stores import message, number_of

ROOT = Path(__file__).resolve().parents[2]
RECORD = CopyRecord(envelope_recipients=("a@x.example",))

#: Runs a torture with a store damaged before it is looked at: a copy is removed without a trace.
_RUINED = """
import sys
from store.database.connection import run
from tests.torture import __main__ as main, running

def lose(vault):
    with vault.write():
        run(vault.db, "DELETE FROM body WHERE id = (SELECT MAX(id) FROM message)")
        run(vault.db, "DELETE FROM message WHERE id = (SELECT MAX(id) FROM message)")

main.Run = lambda *options: running.Run(*options, sabotage=lose)
sys.exit(main.main())
"""


@pytest.mark.integration
@pytest.mark.parametrize("name", TORTURES)
def test_a_torture_fails_where_a_copy_is_lost(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # Short, because socket paths must be.
    folder = tempfile.mkdtemp(prefix="torn-")
    monkeypatch.setenv("TMPDIR", folder)
    words = [sys.executable, "-c", _RUINED, "--only", name, "--minutes", "0.01", "--seed", "7"]
    try:
        done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=170)
    finally:
        shutil.rmtree(folder)
    assert done.returncode == 1, done.stdout + done.stderr
    assert f"{name}: BROKEN after" in done.stdout
    assert f"Again: python -m tests.torture --minutes 0.01 --seed 7 --only {name}" in done.stdout
    assert "the counters equal what is there" in done.stdout


def _lose(vault: Vault) -> None:
    run_sql(vault.db, "DELETE FROM message WHERE id = 2")
    run_sql(vault.db, "DELETE FROM body WHERE id = 2")
    run_sql(vault.db, "UPDATE state SET messages = 3, used_bytes = (SELECT SUM(stored_size) FROM message) WHERE id = 1")


def _twice(vault: Vault) -> None:
    run_sql(vault.db, "INSERT INTO binned SELECT *, 1 FROM message WHERE id = 2")
    size = "(SELECT stored_size FROM binned)"
    run_sql(vault.db, f"UPDATE state SET used_bytes = used_bytes + {size} WHERE id = 1")
    run_sql(vault.db, f"INSERT INTO state (id, messages, used_bytes, next_copy_id) VALUES (2, 1, {size}, 0)")


def _never(vault: Vault) -> None:
    run_sql(vault.db, "UPDATE state SET next_copy_id = 3 WHERE id = 1")


def _body(vault: Vault) -> None:
    run_sql(vault.db, "INSERT INTO body SELECT 99, sealed FROM body WHERE id = 2")


@pytest.mark.parametrize(
    ("ruin", "law"),
    [(_lose, "nowhere: 2"), (_twice, "twice: 2"), (_never, "never given out: 3-4"), (_body, "its copy: 99")],
)
def test_every_id_is_in_one_place(any_vault: Vault, ruin: Callable[[Vault], None], law: str) -> None:
    any_vault.put_many((message(number), RECORD, None) for number in range(4))
    assert conserved(any_vault).copies == {1, 2, 3, 4}
    with any_vault.write():
        ruin(any_vault)
    with pytest.raises(Broken, match=law):
        conserved(any_vault)


def test_the_bin_is_a_place(any_vault: Vault) -> None:
    any_vault.put_many((message(number), RECORD, None) for number in range(4))
    delete_copies(any_vault, [2], operator="ada")
    delete_copies(any_vault, [3], operator="ada", for_good=True)
    found = conserved(any_vault)
    assert (found.copies, found.binned, set(found.buried), found.gone) == ({1, 4}, {2}, {3}, {2, 3})


def test_what_was_said_is_held_against_the_store(vault: Vault) -> None:
    ids = vault.put_many((message(number), RECORD, None) for number in range(4))
    ledger = Ledger()
    for number, copy_id in enumerate(ids):
        ledger.note_placed(copy_id, number)
    ledger.settle(vault)
    with pytest.raises(Broken, match="no id is given out twice"):
        ledger.note_placed(1, 9)
    ledger.deleted.add(3)
    with pytest.raises(Broken, match="what was said to be deleted is gone: 3"):
        ledger.settle(vault)
    ledger.deleted.clear()
    ledger.placed[4] = 77
    with pytest.raises(Broken, match="copy 4 is number 3"):
        ledger.settle(vault)
    del ledger.placed[4]
    ledger.placed[9] = 9
    with pytest.raises(Broken, match="placed and answered is lost: 9"):
        ledger.settle(vault)


def test_a_message_is_known_by_its_bytes() -> None:
    raw = message(17, 4000)
    assert number_of(raw) == (17, True) and 3800 < len(raw) < 4400
    assert number_of(raw[:-1] + b"!") == (17, False) and number_of(b"x") == (-1, False)


def test_a_process_says_plainly_what_is_wrong(tmp_path: Path) -> None:
    assert Process(tmp_path, "well", lambda: print("a b", flush=True)).wait().sane().lines() == [["a", "b"]]

    def raises() -> None:
        raise ValueError

    with pytest.raises(Broken, match=r"`raises` says plainly what is wrong: Traceback, exit code 70"):
        Process(tmp_path, "raises", raises).wait().sane()
    with pytest.raises(Broken, match="said nothing"):
        Process(tmp_path, "silent", lambda: 1).wait().sane()
    waits = Process(tmp_path, "waits", lambda: time.sleep(600))
    with pytest.raises(Broken, match="nothing waits for ever: `waits`"):
        waits.wait(0.1)
    assert waits.killed and waits.code == -9


def test_a_clock_jumps_for_those_who_go_by_it_alone(tmp_path: Path) -> None:
    clock = Clock(tmp_path / "clock")

    def work() -> None:
        clock.wind()
        print(int(time.time()), time.time_ns() // 1_000_000_000, flush=True)

    clock.set(-3_600_000)
    before = int(time.time())
    [[seconds, same]] = Process(tmp_path, "clocked", work).wait().sane().lines()
    assert before - 3601 < int(seconds) <= int(same) <= time.time() - 3600 + 1
    assert time.time() >= before


def _write(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("PRAGMA synchronous=FULL")
    db.execute("CREATE TABLE IF NOT EXISTS t (a)")
    db.execute("INSERT INTO t VALUES (zeroblob(60000))")
    return db


def test_every_call_of_a_database_is_asked_about(tmp_path: Path) -> None:
    seen: set[tuple[str, str]] = set()

    def note(call: Call) -> None:
        seen.add((call.name.removesuffix("64"), call.path.name))

    with calls(note):
        _write(tmp_path / "x").close()
    assert {("pwrite", "x-wal"), ("pwrite", "x"), (SYNC, "x-wal"), (SYNC, "x"), ("ftruncate", "x-shm")} <= seen
    assert ("unlink", "x-wal") in seen and any(name == "pread" for name, _ in seen)


@pytest.mark.parametrize(
    ("name", "fault", "said"),
    [
        ("pwrite64", Fault.LOST, "disk I/O error"),
        ("pwrite64", Fault.FULL, "full"),
        ("pwrite64", Fault.SHORT, "full"),
        (SYNC, Fault.LOST, "disk I/O error"),
        (SYNC, Fault.WRITTEN, "disk I/O error"),
    ],
)
def test_a_fault_fails_the_call(tmp_path: Path, name: str, fault: Fault, said: str) -> None:
    _write(tmp_path / "x").close()

    def answer(call: Call) -> Fault | None:
        return fault if call.name == name and call.path.name == "x-wal" else None

    with calls(answer), pytest.raises(sqlite3.OperationalError, match=said):
        _write(tmp_path / "x")
    db = _write(tmp_path / "x")
    assert db.execute("SELECT COUNT(*) FROM t").fetchone() == (2,)
    db.close()


def test_a_program_ends_before_a_call(tmp_path: Path) -> None:
    def work() -> None:
        with calls(lambda call: Fault.END if call.name == SYNC else None):
            _write(tmp_path / "x")

    assert Process(tmp_path, "ends", work).wait().code == 9


def test_figures_say_what_was_done_and_what_broke(tmp_path: Path) -> None:
    held = Figure("kills", {"kills": 1200, "rounds": 0}, 61.2, "nothing lost")
    broken = Figure("clocks", {"jumps": 3}, 5, "all is well", problem="it is not")
    skipped = Figure("small_disks", {}, 0, "", skipped="only root can")
    assert held.line() == "kills: 1,200 kills; held: nothing lost (61 s)"
    assert broken.line() == "clocks: BROKEN after 3 jumps (5 s)\n  it is not"
    assert skipped.line() == "small_disks: not run: only root can"
    assert table([held, broken, skipped]).splitlines()[2:] == [
        "| kills | 1,200 kills | held | 61 |",
        "| clocks | 3 jumps | broken | 5 |",
        "| small_disks | only root can | not run | 0 |",
    ]
    run = Run(random.Random(1), time.monotonic(), tmp_path)
    assert run.new_folder().is_dir() and run.new_folder().is_dir() and run.counts["rounds"] == 2 and run.left <= 0
    hold("nothing is wrong", [], "", 0, None)
    with pytest.raises(Broken, match=r"a law: \[1\]; x"):
        hold("a law", [1], "", "x")


def test_what_processes_need_is_loaded_once() -> None:
    words = "import sys; from tests.torture import processes; processes.load(); print('polars' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", words], cwd=ROOT, capture_output=True, text=True, env=os.environ)
    assert done.stdout == "False\n", done.stderr
    assert processes.LONGEST > 60
