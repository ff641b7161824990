"""The mutation tool finds the places, leaves texts unchanged, and reports whether a test notices."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import tomllib
from pathlib import Path

import pytest

from tests import small_disk
from tests.mutation import results
from tests.mutation.mutants import Mutant, mutants_of
from tests.mutation.results import Tried

ROOT = Path(__file__).resolve().parents[2]


def mutants(tmp_path: Path, source: str) -> list[Mutant]:
    (tmp_path / "room.py").write_text(textwrap.dedent(source))
    return mutants_of("room.py", tmp_path)


def changes(tmp_path: Path, source: str) -> set[tuple[str, str]]:
    return {(mutant.before, mutant.after) for mutant in mutants(tmp_path, source)}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("y = a < b", {("a < b", "a <= b"), ("a < b", "a >= b")}),
        ("y = a is b in c", {("a is b in c", "a is not b in c"), ("a is b in c", "a is b not in c")}),
        ("y = a and b", {("a and b", "a or b"), ("a and b", "a"), ("a and b", "b")}),
        ("y = not a", {("not a", "a")}),
        ("y = a + b", {("a + b", "a - b")}),
        ("y += 1", {("y += 1", "pass"), ("y += 1", "y -= 1"), ("1", "2"), ("1", "0")}),
        ("y = min(a, b)", {("min(a, b)", "max(a, b)")}),
        ("y = True", {("True", "False")}),
        ("y = b'k'", {("b'k'", "b'kX'")}),
        ("if a: b = c", {("a", "True"), ("a", "False")}),
        ("y = [a for a in b if c]", {("c", "True")}),
        ("a.b = c", {("a.b = c", "pass")}),
        ("a(b)", {("a(b)", "pass")}),
        ("raise A('said', b)", {("raise A('said', b)", "pass")}),
        ("y = f'said {a < b}'", {("a < b", "a <= b"), ("a < b", "a >= b")}),
        ("def f() -> 'X | Y':\n    'said'\n    return a", {("return a", "return None")}),
        ("y = 'SELECT a WHERE b < ?'", {("'SELECT a WHERE b < ?'", "'SELECT a WHERE b <= ?'")}),
        (
            "try: y = a\nexcept (A, B): y = b",
            {
                ("except (A, B): y = b", "except (A, B): raise"),
                ("except (A, B): y = b", "except (A,): y = b"),
                ("except (A, B): y = b", "except (B,): y = b"),
            },
        ),
    ],
)
def test_what_may_change(tmp_path: Path, source: str, expected: set[tuple[str, str]]) -> None:
    assert changes(tmp_path, source) == expected


def test_a_mutant_differs_in_one_place_and_the_next_in_another(tmp_path: Path) -> None:
    found = mutants(tmp_path, "a = 1\nb = 1\n")
    values = []
    for mutant in found:
        names: dict[str, int] = {}
        exec(mutant.code("room.py"), names)
        values.append((names["a"], names["b"]))
    assert values == [(2, 1), (0, 1), (1, 2), (1, 0)]
    assert len({mutant.key for mutant in found}) == 4


def test_the_draw_stays_where_other_lines_change(tmp_path: Path) -> None:
    source = "def f(a):\n    return a + 1\n\ndef g(a):\n    return a * 2\n"
    before = {mutant.key: mutant.rank(7) for mutant in mutants(tmp_path, source)}
    after = {mutant.key: mutant.rank(7) for mutant in mutants(tmp_path, "import x\n\n" + source.replace("* 2", "* 3"))}
    same = before.keys() & after.keys()
    assert len(same) == 4 and all(before[key] == after[key] for key in same)
    assert before != {mutant.key: mutant.rank(8) for mutant in mutants(tmp_path, source)}


def test_each_statement_knows_its_lines(tmp_path: Path) -> None:
    found = mutants(
        tmp_path,
        "LIMIT = 3\n\ndef f(a):\n if (\n  a <\n  LIMIT\n ):\n  return g(\n   5)\n",
    )
    assert {(mutant.before, mutant.lines, mutant.at_import) for mutant in found} == {
        ("3", range(1, 2), True),
        ("a < LIMIT", range(4, 8), False),
        ("return g(5)", range(8, 10), False),
        ("5", range(8, 10), False),
    }


def test_reasons_are_kept_from_run_to_run(tmp_path: Path) -> None:
    file = tmp_path / "results.toml"
    drawn = mutants(tmp_path, "a = b < c")
    known = {drawn[0].key: Tried("", 1.0), drawn[1].key: Tried("a test", 2.0)}
    assert results.write(7, drawn, known, "abc", file) == "2 tried, 1 killed (50.0 %), 0 of the survivors equivalent"
    written = file.read_text()
    assert "processor_seconds = 3" in written
    file.write_text(written.replace("equivalent = false", "equivalent = true").replace('""', '"says “why”"'))
    assert results.write(7, drawn, known, "abc", file).endswith("1 of the survivors equivalent")
    assert 'reason = "says “why”"' in file.read_text()


def test_reasons_of_other_draws_are_kept_while_their_lines_are_there(tmp_path: Path) -> None:
    file = tmp_path / "results.toml"
    every = mutants(tmp_path, "a = b < c\nd = e < f\n")
    known = {mutant.key: Tried("", 1.0) for mutant in every}
    results.write(1, every, known, "abc", file)
    file.write_text(file.read_text().replace('reason = ""', 'reason = "says why"'))
    results.write(2, every[:1], known, "abc", file, every)
    tables = tomllib.loads(file.read_text())
    assert [each["mutant"] for each in tables["survivor"]] == [every[0].key]
    assert {each["mutant"] for each in tables["elsewhere"]} == {mutant.key for mutant in every[1:]}
    assert {each["reason"] for each in tables["elsewhere"]} == {"says why"}
    results.write(3, every[1:], known, "abc", file, every)
    assert file.read_text().count("says why") == len(every)
    known[every[0].key] = Tried("a test", 1.0)
    changed = mutants(tmp_path, "a = b < c\n")
    results.write(4, changed, known, "abc", file, changed)
    assert [each["reason"] for each in tomllib.loads(file.read_text())["survivor"]] == ["says why"]
    assert file.read_text().count("says why") == 1, "what is noticed now, and what is not there any more, goes"


PROGRAM = """
import sys
from pathlib import Path
from tests.mutation import __main__ as main, trial
trial._LEAST = 0.3
main.ROOT, main.FOLDER = Path(sys.argv[1]), Path(sys.argv[1]) / ".mutation"
main.ROOMS, main.TESTS = ["sample"], ["checks"]
main.results.RESULTS = main.ROOT / "results.toml"
sys.path.insert(0, sys.argv[1])
sys.argv[1:] = ["--in", "sample"]
main.main()
"""


def verdicts(tmp_path: Path, room: str, test_room: str) -> set[str]:
    """Run the tool on every mutant of a module `room` whose tests are in `test_room`."""
    for folder, name, text in (
        ("sample", "room.py", room),
        ("checks", "__init__.py", ""),
        ("checks", "conftest.py", "import hypothesis\nhypothesis.settings.register_profile('mailhold')\n"),
        ("checks", "test_room.py", "from sample.room import *\n" + textwrap.dedent(test_room)),
    ):
        (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / folder / name).write_text(textwrap.dedent(text))
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, timeout=100
    )
    assert done.returncode == 0, done.stderr
    return {line.partition("room.py ")[2] for line in done.stdout.splitlines() if "room.py " in line}


def test_a_mutant_that_no_test_notices_survives(tmp_path: Path) -> None:
    room = "def f(a, b):\n    return a < b\n\ndef g(a, b):\n    while a:\n        a -= b\n"
    test_room = """
        import os, tempfile

        def test_f():
            assert f(2, 3)
            assert os.stat(tempfile.gettempdir()).st_mode & 0o055 == 0o055, "other users may look into it"

        def test_g(): g(1, 1)
    """
    assert verdicts(tmp_path, room, test_room) == {
        "f: a < b -> a <= b: SURVIVED",
        "f: a < b -> a >= b: killed by checks/test_room.py::test_f",
        "f: return a < b -> return None: killed by checks/test_room.py::test_f",
        "g: a -> False: SURVIVED",
        "g: a -= b -> a += b: killed by checks/test_room.py::test_g (took too long)",
        "g: a -= b -> pass: killed by checks/test_room.py::test_g (took too long)",
    }


def test_one_that_waits_for_ever_and_again_while_that_is_undone_is_ended(tmp_path: Path) -> None:
    test_room = """
        import threading

        def test_f():
            free = threading.Semaphore(0)
            try:
                f(free)
                free.acquire()
                f(free)
            finally:
                free.acquire()
    """
    assert verdicts(tmp_path, "def f(free):\n    free.release()\n", test_room) == {
        "f: free.release() -> pass: killed by checks/test_room.py::test_f (took too long)"
    }


def test_nothing_that_a_test_started_outlives_it_and_the_next_is_tried(tmp_path: Path) -> None:
    room = "def f():\n    return 1\n\ndef g():\n    return 0\n"
    test_room = f"""
        import os, subprocess

        def test_f():
            started = subprocess.Popen(["sleep", "1000"], start_new_session=True)
            with open({str(tmp_path / "started")!r}, "a") as file:
                print(started.pid, file=file)
            assert f() == 1
            started.kill()
            started.wait()

        def test_g():
            os.kill(os.getppid(), g())
    """
    assert verdicts(tmp_path, room, test_room) == {
        "f: 1 -> 0: killed by checks/test_room.py::test_f",
        "f: 1 -> 2: killed by checks/test_room.py::test_f",
        "f: return 1 -> return None: killed by checks/test_room.py::test_f",
        "g: 0 -> -1: killed by checks/test_room.py::test_g",
        "g: 0 -> 1: killed by the end of the process that runs the tests",
        "g: return 0 -> return None: killed by checks/test_room.py::test_g",
    }
    started = (tmp_path / "started").read_text().split()
    assert len(started) == 4
    assert not [each for each in started if Path(f"/proc/{each}/stat").exists()]


def test_what_a_test_mounted_goes_with_it(tmp_path: Path) -> None:
    with small_disk.small_disk(1):
        pass  # This skips if nothing can be mounted.
    (tmp_path / "disk").mkdir()
    test_room = f"""
        import subprocess

        def test_f():
            subprocess.run(["mount", "-t", "tmpfs", "mutation-test", {str(tmp_path / "disk")!r}], check=True)
            assert f()
            subprocess.run(["umount", {str(tmp_path / "disk")!r}], check=True)
    """
    assert verdicts(tmp_path, "def f():\n    return 1\n", test_room) == {
        "f: 1 -> 0: killed by checks/test_room.py::test_f",
        "f: 1 -> 2: SURVIVED",
        "f: return 1 -> return None: killed by checks/test_room.py::test_f",
    }
    assert not (tmp_path / "disk").is_mount()
