"""A prepared process is like any other: a child of the caller, with the requested folder and environment."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests import prepared

TELLS = """
import os, sys
print(os.getppid(), os.getcwd(), os.environ.get("A"), os.environ.get("HOME"))
print(sys.argv[1:], sorted(os.listdir("/proc/self/fd")))
print(sys.stdin.read(), file=sys.stderr)
sys.exit(7)
"""
pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or bool(os.environ.get("MAILHOLD_EXEC")), reason="processes are started plainly here"
)


def test_it_has_its_own_folder_environment_streams_and_end(tmp_path: Path) -> None:
    (tmp_path / "in").write_text("typed")
    inherited = os.open(tmp_path / "in", os.O_RDONLY)
    os.set_inheritable(inherited, True)
    with (tmp_path / "in").open() as stdin:
        command = [sys.executable, "-c", TELLS, "x", "y"]
        done = prepared.run(
            command, cwd=tmp_path, env={"A": "b"}, stdin=stdin, capture_output=True, text=True, timeout=60, check=False
        )
    os.close(inherited)
    assert done.stdout == f"{os.getpid()} {tmp_path} b None\n['x', 'y'] ['0', '1', '2', '3']\n"
    assert (done.stderr, done.returncode) == ("typed\n", 7)
    with pytest.raises(subprocess.CalledProcessError):
        prepared.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=True)


def test_it_starts_no_python() -> None:
    """A control: the other tests test prepared processes, not the fallback."""
    loaded = "import sys; print('textual' in sys.modules)"
    done = prepared.run([sys.executable, "-c", loaded], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "True\n"
    plainly = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, timeout=60, check=True)
    assert plainly.stdout == "False\n"


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM, signal.SIGKILL])
def test_signals_end_it_even_where_they_are_ignored_here(number: signal.Signals) -> None:
    before = signal.signal(number, signal.SIG_IGN) if number is not signal.SIGKILL else None
    try:
        code = "print('up', flush=True); import time; time.sleep(60)"
        with prepared.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
            assert process.stdout and process.stdout.readline() == b"up\n"
            assert process.poll() is None
            process.send_signal(number)
            assert process.wait(30) == -number
    finally:
        if before is not None:
            signal.signal(number, before)


@pytest.mark.parametrize("plainly", [False, True])
def test_it_has_a_terminal_of_its_own(plainly: bool) -> None:
    code = (
        "import os, sys; print(os.getsid(0) == os.getpid(), *os.get_terminal_size());"
        "print(os.ttyname(0) == os.ttyname(2), open('/dev/tty').isatty()); sys.stdin.readline()"
    )
    pid, terminal = prepared.in_terminal([sys.executable, "-c", code], size=(91, 23), plainly=plainly)
    shown = b""
    while shown.count(b"\n") < 2:
        shown += os.read(terminal, 1024)
    assert shown.split() == [b"True", b"91", b"23", b"True", b"True"]
    os.write(terminal, b"\x03")
    with contextlib.suppress(OSError):  # Linux's answer when no process is left there
        while os.read(terminal, 1024):
            pass
    _, status = os.waitpid(pid, 0)
    os.close(terminal)
    assert os.waitstatus_to_exitcode(status) in (1, -signal.SIGINT)
