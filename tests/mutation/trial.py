"""One mutant and the tests that execute it, in a process forked for them.

A mutant within a function is applied to the loaded function, in a fork of a process that has collected the tests. A
mutant of code that runs on import is slower: a process that imports the mutant collects its tests again.
"""

from __future__ import annotations

import ctypes
import faulthandler
import gc
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import json
import os
import resource
import select
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any, NamedTuple, NoReturn

import hypothesis
import pytest

from tests.mutation.touched import QUIET

#: Minimum CPU seconds of a test's limit, and the factor on its previous time.
_LEAST, _TIMES = 5.0, 10.0
#: Seconds until a process must reach its first test, and clock seconds allowed per CPU second.
_BEGIN, _WAITED = 120.0, 6
_MEMORY = 6 << 30
_FILE = 1 << 30
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36
_CLONE_NEWNS, _MS_REC, _MS_PRIVATE = 0x20000, 0x4000, 0x40000

Tests = Sequence[tuple[str, float]]


class Trial(NamedTuple):
    """The result of a mutant: the test that noticed it ("" if none did), and the CPU seconds used."""

    killer: str
    seconds: float


class _Chosen:
    """A pytest plugin that runs chosen tests in order, each with a limit, and reports the current one."""

    def __init__(self) -> None:
        self._limits: dict[str, float] = {}
        self._said = Path(os.devnull)

    def choose(self, tests: Tests, said: Path) -> None:
        """Set the tests with their times (s), and the file for the test that is running or failed."""
        self._limits, self._said = dict(tests), said

    def pytest_configure(self) -> None:
        """Use the same examples for every mutant, and stop at the first failure."""
        phases = (hypothesis.Phase.explicit, hypothesis.Phase.generate)
        hypothesis.settings.register_profile(
            "mutation", hypothesis.settings.get_profile("mailhold"), derandomize=True, database=None, phases=phases
        )
        hypothesis.settings.load_profile("mutation")

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        place = {test: at for at, test in enumerate(self._limits)}
        if place:
            items[:] = sorted((item for item in items if item.nodeid in place), key=lambda item: place[item.nodeid])

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, Any, Any]:
        seconds = _LEAST + _TIMES * self._limits[item.nodeid]
        # pytest's own limit raises only once in the test: its "finally" may then wait for another lock.
        item.add_marker(pytest.mark.timeout(0), append=False)
        _limit(seconds, _WAITED * seconds)
        self._said.write_text(f"{item.nodeid} (took too long)")
        return (yield)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self._said.write_text(report.nodeid)
            os._exit(0)

    def passed(self) -> None:
        """Report that no test failed."""
        signal.setitimer(signal.ITIMER_PROF, 0)
        faulthandler.cancel_dump_traceback_later()
        self._said.write_text("")


def _limit(processor: float, clock: float) -> None:
    """End this process after this many CPU seconds or clock seconds, even if threads are waiting."""
    signal.setitimer(signal.ITIMER_PROF, processor)
    faulthandler.dump_traceback_later(clock, exit=True, file=2)


class _Changed(importlib.abc.MetaPathFinder):
    """An importer that loads one module with the code of a mutant."""

    def __init__(self, module: str, path: Path, code: CodeType) -> None:
        self._module, self._path, self._code = module, path, code

    def find_spec(self, name: str, path: Any, target: Any = None) -> importlib.machinery.ModuleSpec | None:
        if name != self._module:
            return None
        loader = importlib.machinery.SourceFileLoader(name, str(self._path))
        loader.get_code = lambda _name: self._code  # type: ignore[method-assign]
        return importlib.util.spec_from_file_location(name, self._path, loader=loader)


def warm(root: Path) -> None:
    """Load all libraries once; each process loads Mailhold's modules itself."""
    for path in sorted((root / "store").rglob("*.py")):
        importlib.import_module(".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__"))
    for name in [name for name in sys.modules if name.partition(".")[0] in ("store", "tui")]:
        del sys.modules[name]


@contextmanager
def _folder() -> Iterator[Path]:
    folder = tempfile.mkdtemp(prefix="mutation-")
    Path(folder).chmod(0o755)  # Some tests read it as another user.
    try:
        yield Path(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _adopt() -> None:
    """Become the parent of orphaned processes below this one, if the system supports it (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _children() -> set[int]:
    return {int(each) for path in Path("/proc/self/task").glob("*/children") for each in path.read_text().split()}


def _end(child: int, others: set[int]) -> None:
    """Kill what a process that has ended leaves behind: its group, and processes started outside of the group.

    `others` are children to keep.
    """
    try:
        os.killpg(child, signal.SIGKILL)
    except ProcessLookupError:
        pass
    while left := _children() - others:
        for each in left:
            os.kill(each, signal.SIGKILL)
            os.waitpid(each, 0)


def _forked(run: Callable[[Path, Path], None], patience: float, held: Sequence[int] = ()) -> Trial:
    """Call `run` in a new process and return what it wrote; `run` gets its folder and its output file.

    The process is killed after `patience` (clock seconds). `held` are file descriptors that it must not keep.
    """
    with _folder() as folder:
        said = folder / "said"
        said.write_text("import")
        others = _children()
        child = os.fork()
        if not child:
            _be(run, folder, said, held)
        deadline = time.monotonic() + patience
        while not (ended := os.wait4(child, os.WNOHANG))[0] and time.monotonic() < deadline:
            time.sleep(0.005)
        if not ended[0]:
            os.kill(child, signal.SIGKILL)  # The group does not exist yet if the process hangs at its very start.
            ended = os.wait4(child, 0)
        _end(child, others)
        killer = said.read_text() or ("" if not ended[1] else f"ended with {os.waitstatus_to_exitcode(ended[1])}")
        return Trial(killer, ended[2].ru_utime + ended[2].ru_stime)


def _be(run: Callable[[Path, Path], None], folder: Path, said: Path, held: Sequence[int]) -> NoReturn:
    status = 99
    try:
        os.setsid()
        if sys.platform == "linux":
            system = ctypes.CDLL(None)
            system.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            # A private mount namespace: mounts of a test disappear with the process. Only root can mount, so only root
            # gets one.
            if not system.unshare(_CLONE_NEWNS):
                system.mount(None, b"/", None, ctypes.c_ulong(_MS_REC | _MS_PRIVATE), None)
        for each in held:
            os.close(each)
        nothing = os.open(os.devnull, os.O_RDWR)
        for number in range(3):
            os.dup2(nothing, number)
        for limit, most in ((resource.RLIMIT_AS, _MEMORY), (resource.RLIMIT_FSIZE, _FILE), (resource.RLIMIT_CORE, 0)):
            resource.setrlimit(limit, (most, most))
        tempfile.tempdir = os.environ["TMPDIR"] = str(folder)
        _limit(_BEGIN, _BEGIN)
        run(folder, said)
        status = 0
    finally:
        os._exit(status)


def _patience(tests: Tests) -> float:
    return _BEGIN + 10 * sum(seconds for _, seconds in tests)


def imported(root: Path, path: str, code: CodeType | None, tests: Tests) -> Trial:
    """Run tests with `code` as the module at `path` (None: unchanged); each test has its time (CPU seconds)."""

    def run(folder: Path, said: Path) -> None:
        os.chdir(root)
        if code is not None:
            module = ".".join(Path(path).with_suffix("").parts).removesuffix(".__init__")
            sys.meta_path.insert(0, _Changed(module, root / path, code))
        chosen = _Chosen()
        chosen.choose(tests, said)
        files = sorted({test.partition("::")[0] for test, _ in tests})
        status = pytest.main([*QUIET, f"--basetemp={folder}/t", *files], plugins=[chosen])
        if status == pytest.ExitCode.OK:
            chosen.passed()

    return _forked(run, _patience(tests))


class Collected:
    """A process that has collected tests, and tries mutants of functions in forks of itself.

    It knows the future `codes` by their place in the list.
    """

    def __init__(self, root: Path, files: Sequence[str], codes: Sequence[CodeType | None]) -> None:
        self._root, self._files, self._codes = root, files, codes
        self._start()

    def _start(self) -> None:
        asked, answered = os.pipe(), os.pipe()
        self._child = os.fork()
        if not self._child:
            os.close(asked[1])
            self._asked, self._answers = os.fdopen(asked[0]), os.fdopen(answered[1], "w")
            os.chdir(self._root)
            self._chosen = _Chosen()
            try:
                _adopt()
                pytest.main([*QUIET, "-s", *self._files], plugins=[self._chosen, self])
            finally:
                os._exit(0)
        os.close(asked[0])
        os.close(answered[1])
        self._questions, self._answered = os.fdopen(asked[1], "w"), os.fdopen(answered[0])

    def trial(self, code: int, tests: Tests) -> Trial | None:
        """Run tests with a code; return None if it belongs to no loaded function.

        A mutant that ends the process or blocks it counts as noticed: the next one gets a new process.
        """
        print(json.dumps([code, tests]), file=self._questions, flush=True)
        if select.select([self._answered], [], [], 3 * _BEGIN + _patience(tests))[0]:
            answer = self._answered.readline()
            if answer:
                return None if answer == "null\n" else Trial(*json.loads(answer))
        os.kill(self._child, signal.SIGKILL)
        self.close()
        self._start()
        return Trial("the end of the process that runs the tests", 0.0)

    def close(self) -> None:
        """End the process."""
        self._questions.close()
        self._answered.close()
        os.waitpid(self._child, 0)

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        items = {item.nodeid: item for item in session.items}
        functions = _functions(self._root)
        for question in self._asked:
            code, tests = json.loads(question)
            answer = self._answer(self._codes[code], [test for test in tests if test[0] in items], items, functions)
            print(json.dumps(answer), file=self._answers, flush=True)
        return True

    def _answer(
        self,
        code: CodeType | None,
        tests: Tests,
        items: dict[str, pytest.Item],
        functions: dict[tuple[str, str, int], list[FunctionType]],
    ) -> Trial | None:
        replaced = [] if code is None else _replaced(code, functions)
        if code is not None and not replaced:
            return None

        def run(folder: Path, said: Path) -> None:
            for function, new in replaced:
                function.__code__ = new
            chosen = [items[test] for test, _ in tests]
            chosen[0].config._tmp_path_factory._basetemp = folder  # type: ignore[attr-defined]
            self._chosen.choose(tests, said)
            for item, following in zip(chosen, [*chosen[1:], None], strict=True):
                item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            self._chosen.passed()

        held = (self._asked.fileno(), self._answers.fileno())
        return _forked(run, _patience(tests), held) if tests else Trial("", 0.0)


def _functions(root: Path) -> dict[tuple[str, str, int], list[FunctionType]]:
    """Map the loaded functions below `root`, by file, qualified name and first line."""
    gc.unfreeze()
    found: dict[tuple[str, str, int], list[FunctionType]] = {}
    for each in gc.get_objects():
        if type(each) is FunctionType and each.__code__.co_filename.startswith(f"{root}/"):
            found.setdefault(_name(each.__code__), []).append(each)
    gc.freeze()
    return found


def _name(code: CodeType) -> tuple[str, str, int]:
    return code.co_filename, code.co_qualname, code.co_firstlineno


def _replaced(
    code: CodeType, functions: dict[tuple[str, str, int], list[FunctionType]]
) -> list[tuple[FunctionType, CodeType]]:
    """Yield the functions whose code differs in a module's `code`, with the new code."""
    found = []
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            for function in functions.get(_name(inner), []):
                if function.__code__ != inner and function.__code__.co_freevars == inner.co_freevars:
                    found.append((function, inner))
            found += _replaced(inner, functions)
    return found
