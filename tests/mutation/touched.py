"""Which tests execute which lines: one run of the tests with every line of some files traced."""

from __future__ import annotations

import hashlib
import json
import math
import os
import subprocess
import sys
import threading
import time
from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import pytest

#: CPU seconds after which a traced test is abandoned: untraced it takes a third of that.
LONGEST_TRACED = 8.0
QUIET = ["-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-m", "not integration"]


@dataclass(frozen=True)
class Touched:
    """What a test executes: the lines of each file, and the CPU seconds it takes."""

    test: str
    seconds: float
    lines: dict[str, frozenset[int]]


class Recorder:
    """A pytest plugin that traces lines of files below folders and records which tests pass.

    A fixture's lines count for each test that uses it. Tests that take too long are abandoned.
    """

    def __init__(self, root: Path, folders: Iterable[str]) -> None:
        self._below = tuple(f"{root / folder}/" for folder in folders)
        self._root = len(str(root)) + 1
        self._all: dict[CodeType, int] = {}
        self._ends = 0.0
        self._seen: dict[CodeType, set[int]] = {}
        self._shared: dict[int, dict[CodeType, set[int]]] = {}
        self._passed: set[str] = set()
        self._failed: set[str] = set()
        self.touched: list[Touched] = []

    def _call(self, frame: FrameType, event: str, argument: Any) -> Any:
        code = frame.f_code
        if not code.co_filename.startswith(self._below):
            return None
        seen = self._seen.setdefault(code, set())
        lines = self._all.get(code)
        if lines is None:
            lines = self._all[code] = len({line for _, _, line in code.co_lines() if line})
        seen.add(frame.f_lineno)
        return None if len(seen) >= lines else self._line

    def _line(self, frame: FrameType, event: str, argument: Any) -> Any:
        if time.process_time() > self._ends and threading.current_thread() is threading.main_thread():
            self._ends = math.inf
            pytest.skip("it takes longer than is of use here")
        if event == "line":
            self._seen.setdefault(frame.f_code, set()).add(frame.f_lineno)
        return self._line

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, Any, Any]:
        self._seen = {}
        threading.settrace(self._call)
        sys.settrace(self._call)
        began = time.process_time()
        self._ends = began + LONGEST_TRACED
        try:
            return (yield)
        finally:
            took = time.process_time() - began
            sys.settrace(None)
            threading.settrace(None)  # type: ignore[arg-type]  # what is documented
            parts = [self._seen]
            for definitions in item._fixtureinfo.name2fixturedefs.values():
                parts += [self._shared.get(id(each), {}) for each in definitions]
            if item.nodeid in self._passed - self._failed:
                self.touched.append(Touched(item.nodeid, round(took, 4), self._by_file(parts)))

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: Any) -> Generator[None, Any, Any]:
        if fixturedef.scope == "function":
            return (yield)
        outer, self._seen = self._seen, {}
        try:
            return (yield)
        finally:
            self._shared[id(fixturedef)] = self._seen
            for code, lines in self._seen.items():
                outer.setdefault(code, set()).update(lines)
            self._seen = outer

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" and report.passed:
            self._passed.add(report.nodeid)
        elif not report.passed:
            self._failed.add(report.nodeid)

    def _by_file(self, parts: list[dict[CodeType, set[int]]]) -> dict[str, frozenset[int]]:
        found: dict[str, set[int]] = {}
        for part in parts:
            for code, lines in list(part.items()):
                found.setdefault(code.co_filename[self._root :], set()).update(lines)
        return {path: frozenset(lines) for path, lines in found.items()}


def current(path: Path, root: Path, folders: Sequence[str], tests: Sequence[str]) -> list[Touched]:
    """Return what tests execute of the files below folders; record again if either changed since `path` was written."""
    try:
        kept = json.loads(path.read_text())
    except (OSError, ValueError):
        kept = {"digests": {}, "touched": []}
    digests = {
        str(each.relative_to(root)): hashlib.sha256(each.read_bytes()).hexdigest()
        for below, pattern in [*((folder, "*.py") for folder in folders), *((test, "test_*.py") for test in tests)]
        for each in sorted((root / below).rglob(pattern))
    }
    changed = {name for name, digest in digests.items() if kept["digests"].get(name) != digest}
    rows = [row for row in kept["touched"] if row[0].partition("::")[0] in digests]
    stale = {name for name in changed if name.rpartition("/")[2].startswith("test_")}
    stale |= {test.partition("::")[0] for test, _, lines in rows if changed & lines.keys()}
    if stale:
        command = [sys.executable, "-m", __name__, str(root), ",".join(folders), str(path) + ".new", *sorted(stale)]
        home = str(Path(__file__).resolve().parents[2])
        subprocess.run(command, cwd=root, check=True, env={**os.environ, "PYTHONPATH": home})
        rows = [row for row in rows if row[0].partition("::")[0] not in stale]
        rows += json.loads(Path(str(path) + ".new").read_text())
        path.write_text(json.dumps({"digests": digests, "touched": rows}))
    return [
        Touched(test, seconds, {name: frozenset(numbers) for name, numbers in lines.items()})
        for test, seconds, lines in rows
    ]


def _record(root: str, folders: str, into: str, *tests: str) -> None:
    recorder = Recorder(Path(root), folders.split(","))
    pytest.main([*QUIET, *tests], plugins=[recorder])
    rows = [
        [each.test, each.seconds, {name: sorted(at) for name, at in each.lines.items()}] for each in recorder.touched
    ]
    Path(into).write_text(json.dumps(rows))


if __name__ == "__main__":
    _record(*sys.argv[1:])
