"""The child process: reused, limited, killed at its deadline, and without resources of its parent."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from store.message import in_child as parsing
from store.message.message import ParsedMessage, parse_in_child, parse_message

_HELLO = b"Subject: hello\nContent-Type: text/html\n\n<p>body"


@pytest.fixture(autouse=True)
def fresh_children() -> Iterator[None]:
    parsing.close_children()
    yield
    parsing.close_children()


def _children() -> list[int]:
    return [child.process.pid for child in parsing._pool.idle]


def _slow_html() -> bytes:
    """Make HTML that is quadratic in any parser: attributes to compare with each other, unseen by the cheap guard."""
    attributes = b" ".join(b"a%d='>'" % number for number in range(120_000))
    return b"Subject: slow\nContent-Type: text/html\n\nslow words<p " + attributes + b">"


def test_the_child_says_what_the_parent_would(corpus_files: list[Path]) -> None:
    for path in corpus_files:
        raw = path.read_bytes()
        assert parse_in_child(raw) == parse_message(raw), path


def test_one_child_serves_many_messages() -> None:
    parse_in_child(_HELLO)
    first = _children()
    for _ in range(20):
        parse_in_child(_HELLO)
    assert _children() == first


def test_a_child_that_died_is_replaced() -> None:
    parse_in_child(_HELLO)
    [pid] = _children()
    os.kill(pid, signal.SIGKILL)
    parsing._pool.idle[0].process.wait()
    assert parse_in_child(_HELLO).text == "body"
    assert _children() != [pid]


def test_a_child_that_was_stopped_is_killed_and_the_headers_are_there(monkeypatch: pytest.MonkeyPatch) -> None:
    parse_in_child(_HELLO)
    [pid] = _children()
    os.kill(pid, signal.SIGSTOP)
    monkeypatch.setattr(parsing, "_CODE", "import os, time; os.write(1, b'+'); time.sleep(600)")
    parsed = parse_in_child(_HELLO, timeout=0.3)
    assert parsed.error is not None
    assert "took too long" in parsed.error
    assert parsed.headers == [("Subject", "hello"), ("Content-Type", "text/html")]
    assert _children() == []
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_html_that_takes_too_long_is_read_without_its_structure() -> None:
    parsed = parse_in_child(_slow_html(), timeout=0.5)
    assert parsed.error is None
    assert "slow words" in parsed.text
    assert any("too much time" in problem for problem in parsed.problems)


@pytest.mark.parametrize(
    "code",
    [
        "raise SystemExit(3)",
        "import os; os.write(1, b'-')",
        "import os, sys; os.write(1, b'+'); sys.stdin.buffer.read(1)",
        "import os, sys; os.write(1, b'+'); sys.stdin.buffer.read(1); os.write(1, b'\\xff' * 99)",
        "import os, sys; os.write(1, b'+'); sys.stdin.buffer.read(1); os.write(1, bytes(7) + b'\\3\\0\\xc1\\xff')",
        "import os, sys; os.write(1, b'+'); sys.stdin.buffer.read(1); os.write(1, bytes(7) + b'\\1\\0')",
        "import os, sys; os.write(1, b'+'); sys.stdin.buffer.read(1); os.write(1, bytes(7) + b'\\5\\1oops')",
    ],
)
def test_whatever_a_child_answers_the_headers_are_there(code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parsing, "_CODE", code)
    parsed = parse_in_child(_HELLO + b"x" * 3_000_000, timeout=5)
    assert parsed.error is not None
    assert parsed.error.startswith("The message could not be parsed (")
    assert parsed.headers[0] == ("Subject", "hello")
    assert _children() == []


def test_no_interpreter_is_an_error_and_no_crash(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parsing.sys, "executable", "/nowhere/python")
    parsed = parse_in_child(_HELLO)
    assert parsed.error is not None
    assert "process could not be started" in parsed.error


def test_the_child_has_nothing_of_its_parents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAILHOLD_KEY_FILE", "/secret/key")
    with (tmp_path / "database").open("wb") as database:
        os.set_inheritable(database.fileno(), True)
        parse_in_child(_HELLO)
        [pid] = _children()
        proc = Path(f"/proc/{pid}")
        if not proc.exists():
            pytest.skip("no /proc to look into")
        targets = {str(link.readlink()) for link in (proc / "fd").iterdir()}
    assert not any(str(tmp_path) in target for target in targets)
    assert len(targets) <= 3
    assert b"MAILHOLD" not in (proc / "environ").read_bytes()
    assert b"secret" not in (proc / "cmdline").read_bytes()
    limits = (proc / "limits").read_text()
    for name, value in (
        ("Max core file size", "0"),
        ("Max file size", "0"),
        ("Max address space", str(1 << 30)),
        ("Max open files", "16"),
        ("Max processes", "0"),
    ):
        [line] = [line for line in limits.splitlines() if line.startswith(name)]
        assert line.split()[-3] == value or line.split()[-2] == value


def test_the_child_imports_neither_the_store_nor_the_screen() -> None:
    import subprocess
    import sys

    code = "import sys, store.message.child, store.message.html, selectolax.lexbor; print(*sys.modules)"
    modules = subprocess.run(
        [sys.executable, "-I", "-c", code], capture_output=True, text=True, timeout=60, check=True
    ).stdout.split()
    for name in (
        "store.vault.vault",
        "store.sealing.statements",
        "store.sealing.keys",
        "peewee",
        "sqlite3",
        "cryptography",
        "textual",
        "polars",
    ):
        assert name not in modules


def test_memory_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        parsing,
        "_CODE",
        "import sys; sys.path.insert(0, sys.argv[1]); import store.message.child as child;"
        " child.parse_message = lambda raw, html_fails: bytearray(4 << 30); child.main()",
    )
    parsed = parse_in_child(_HELLO)
    assert parsed.error is not None
    assert "memory" in parsed.error


def test_threads_share_the_children() -> None:
    results: list[ParsedMessage] = []
    raw = [b"Subject: %d\n\nbody %d" % (number, number) for number in range(12)]
    threads = [threading.Thread(target=lambda one=one: results.append(parse_in_child(one))) for one in raw]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(result.text for result in results) == sorted(f"body {number}" for number in range(12))
    assert len(_children()) <= parsing.CHILDREN


def _in_fork(answers: multiprocessing.SimpleQueue[str]) -> None:
    answers.put(parse_in_child(_HELLO).text)
    parsing.close_children()


def test_a_fork_has_children_of_its_own() -> None:
    parse_in_child(_HELLO)
    before = _children()
    context = multiprocessing.get_context("fork")
    answers: multiprocessing.SimpleQueue[str] = context.SimpleQueue()
    fork = context.Process(target=_in_fork, args=(answers,))
    fork.start()
    assert answers.get() == "body"
    fork.join(30)
    assert parse_in_child(_HELLO).text == "body"
    assert _children() == before


def test_a_large_message_retires_its_child(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parsing, "LARGE", 1000)
    assert parse_in_child(b"Subject: s\n\n" + b"x" * 2000).error is None
    assert _children() == []
