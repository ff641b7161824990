"""One mutant and the tests that execute it, in a process that was forked for them."""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import CodeType
from typing import Any, NamedTuple

import hypothesis
import pytest

from tests.mutation.touched import QUIET

#: Seconds of a processor that a test may take, whatever it took before, and how often that.
_LEAST, _TIMES = 5.0, 10.0
_MEMORY = 6 << 30
_FILE = 1 << 30


class Trial(NamedTuple):
    """What became of a mutant: the test that noticed it ("" where none did), and the processor's seconds it took."""

    killer: str
    seconds: float


class Chosen:
    """A pytest plugin that runs chosen tests alone, in their order, each with a limit, and says at which it is."""

    def __init__(self, limits: dict[str, float], said: Path) -> None:
        self._limits = limits
        self._said = said
        self._failed = ""

    def pytest_configure(self) -> None:
        """The same examples for every mutant, and the first that fails is enough."""
        phases = (hypothesis.Phase.explicit, hypothesis.Phase.generate)
        hypothesis.settings.register_profile(
            "mutation", hypothesis.settings.get_profile("mailhold"), derandomize=True, database=None, phases=phases
        )
        hypothesis.settings.load_profile("mutation")

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        place = {test: at for at, test in enumerate(self._limits)}
        items[:] = sorted((item for item in items if item.nodeid in place), key=lambda item: place[item.nodeid])

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, Any, Any]:
        seconds = _LEAST + _TIMES * self._limits[item.nodeid]
        item.add_marker(pytest.mark.timeout(6 * seconds), append=False)
        signal.setitimer(signal.ITIMER_PROF, seconds)
        self._said.write_text(f"{item.nodeid} (took too long)")
        return (yield)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self._failed = self._failed or report.nodeid

    def pytest_unconfigure(self) -> None:
        signal.setitimer(signal.ITIMER_PROF, 0)
        self._said.write_text(self._failed)


class _Changed(importlib.abc.MetaPathFinder):
    """Imports one module with the code of a mutant."""

    def __init__(self, module: str, path: Path, code: CodeType) -> None:
        self._module, self._path, self._code = module, path, code

    def find_spec(self, name: str, path: Any, target: Any = None) -> importlib.machinery.ModuleSpec | None:
        if name != self._module:
            return None
        loader = importlib.machinery.SourceFileLoader(name, str(self._path))
        loader.get_code = lambda _name: self._code  # type: ignore[method-assign]
        return importlib.util.spec_from_file_location(name, self._path, loader=loader)


def warm(root: Path) -> None:
    """Load everything that is not ours, once for all: what is ours each process loads anew."""
    for path in sorted((root / "store").rglob("*.py")):
        importlib.import_module(".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__"))
    for name in [name for name in sys.modules if name.partition(".")[0] in ("store", "tui")]:
        del sys.modules[name]


@contextmanager
def _folder() -> Iterator[Path]:
    folder = tempfile.mkdtemp(prefix="mutation-")
    try:
        yield Path(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def trial(root: Path, path: str, code: CodeType | None, tests: Sequence[tuple[str, float]]) -> Trial:
    """Run tests where the module at `path` is `code` (None: as it is); each has the seconds of a processor it takes."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with _folder() as folder:
        said = folder / "said"
        said.write_text("import")
        child = os.fork()
        if not child:
            _be_tried(root, path, code, tests, folder, said)
        status = _waited(child, 120 + 10 * sum(seconds for _, seconds in tests))
        killer = said.read_text()
        if status not in (0, pytest.ExitCode.TESTS_FAILED):
            killer = killer or f"pytest ended with {status}"
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return Trial(killer, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def _waited(child: int, patience: float) -> int:
    """Wait for a child, and end it and whatever it started; its exit code."""
    deadline = time.monotonic() + patience
    while not (ended := os.waitpid(child, os.WNOHANG))[0] and time.monotonic() < deadline:
        time.sleep(0.02)
    try:
        os.killpg(child, signal.SIGKILL)
    except ProcessLookupError:
        pass
    if not ended[0]:
        ended = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(ended[1])


def _be_tried(
    root: Path, path: str, code: CodeType | None, tests: Sequence[tuple[str, float]], folder: Path, said: Path
) -> None:
    status = 99
    try:
        os.setsid()
        nothing = os.open(os.devnull, os.O_RDWR)
        for number in range(3):
            os.dup2(nothing, number)
        for limit, most in ((resource.RLIMIT_AS, _MEMORY), (resource.RLIMIT_FSIZE, _FILE), (resource.RLIMIT_CORE, 0)):
            resource.setrlimit(limit, (most, most))
        os.chdir(root)
        tempfile.tempdir = os.environ["TMPDIR"] = str(folder)
        if code is not None:
            module = ".".join(Path(path).with_suffix("").parts).removesuffix(".__init__")
            sys.meta_path.insert(0, _Changed(module, root / path, code))
        files = sorted({test.partition("::")[0] for test, _ in tests})
        arguments = [*QUIET, "-x", f"--basetemp={folder}/t", *files]
        status = int(pytest.main(arguments, plugins=[Chosen(dict(tests), said)]))
    finally:
        os._exit(status)
