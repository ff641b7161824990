"""Processes forked with all libraries loaded: loading takes half a second of CPU, hundreds of times.

`Popen`, `run` and `in_terminal` start a Python command (`-m module`, `-c code`, or the installed `mailhold`) as a real
process: a child of the caller, to be waited for, signalled and killed like any other, with its own standard streams,
terminal, folder and environment. Only the start of Python and the loading of libraries are saved. If the system cannot
fork this way, for any other command, and with `MAILHOLD_EXEC=1`, the command is started plainly. Tests of how a program
starts, what it loads and what is in its memory always start it plainly.
"""

from __future__ import annotations

import atexit
import ctypes
import fcntl
import gc
import importlib
import json
import os
import pty
import runpy
import signal
import socket
import struct
import subprocess
import sys
import termios
import threading
import types
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
MAILHOLD = str(Path(sys.executable).with_name("mailhold"))
#: Modules loaded in advance: those of the console, the gateway and the commands. No Polars: it starts threads.
LOADED = (
    *("tui.commands.cli", "tui.commands.console", "tui.commands.gateway", "tui.commands.deliver"),
    *("tui.commands.import_", "tui.commands.list_", "tui.commands.delete", "tui.console.app", "tui.demo.demo"),
    *("store.catalogue.catalogue", "store.gateway.daemon", "store.delivery.worker", "store.files.mailbox"),
    *("store.message.message", "store.sealing.copies", "aiosmtplib", "psycopg", "psycopg.types.json", "ssl"),
    *("textual.drivers.linux_driver", "textual.widgets._input", "rich.markup", "runpy", "asyncio"),
)  # fmt: skip
_CLONE3, _CLONE_PARENT, _CLONE_CHILD_SETTID = 435, 0x8000, 0x1000000


def words_of(command: Sequence[Any]) -> list[str] | None:
    """Return a command's words from `-m` or `-c` on; None if it is not Python with one of these."""
    words = [os.fspath(word) for word in command]
    if words[0] == MAILHOLD:
        return ["-m", "tui", *words[1:]]
    return words[1:] if words[0] == sys.executable and words[1:2] in (["-m"], ["-c"]) else None


class _Nursery:
    """The prepared process that new processes are forked from."""

    def __init__(self) -> None:
        self._lock, self._pid, self._ended = threading.Lock(), 0, False
        self._socket: socket.socket | None = None

    def fork(
        self, words: list[str], cwd: Any, environment: Mapping[str, str] | None, streams: list[int], session: str = ""
    ) -> int:
        """Fork a child that runs `words`; return its process id, or 0 if that is impossible.

        `session` is "" (the caller's), "new", or "terminal" for a session whose terminal is the standard input.
        """
        told = {
            "words": words,
            "cwd": os.path.abspath(cwd or "."),  # noqa: PTH100  # a path of bytes too
            "environment": dict(os.environ if environment is None else environment),
            "session": session,
        }
        with self._lock:
            if self._pid != os.getpid():
                self._begin()
            if self._socket is None:
                return 0
            data = json.dumps(told).encode()
            socket.send_fds(self._socket, [struct.pack("I", len(data))], streams)
            self._socket.sendall(data)
            return struct.unpack("i", _exactly(self._socket, 4))[0]  # type: ignore[no-any-return]

    def _begin(self) -> None:
        self._pid, self._socket = os.getpid(), None
        if sys.platform != "linux" or os.environ.get("MAILHOLD_EXEC"):
            return
        ours, theirs = socket.socketpair()
        with theirs:
            command = [sys.executable, "-m", "tests.prepared", str(theirs.fileno())]
            process = subprocess.Popen(command, cwd=ROOT, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL)
        if ours.recv(1) != b"+":
            ours.close()
            process.wait()
            return
        self._socket = ours
        atexit.register(_end, process, ours, os.getpid())


def _end(process: subprocess.Popen[bytes], connection: socket.socket, pid: int) -> None:
    if os.getpid() == pid:
        connection.close()
        process.wait(30)


_nursery = _Nursery()


class Popen(subprocess.Popen[Any]):
    """A `subprocess.Popen` of a prepared process. It supports only the options that the tests use."""

    def __init__(self, args: Sequence[Any], *, start_new_session: bool = False, **options: Any) -> None:
        assert options.keys() <= {"stdin", "stdout", "stderr", "cwd", "env", "text", "encoding"}, options
        self._words, self._cwd, self._environment = words_of(args), options.get("cwd"), options.get("env")
        self._session = "new" if start_new_session else ""
        super().__init__(args, start_new_session=start_new_session, **options)

    def _execute_child(self, *arguments: Any) -> None:
        read, _, _, write, _, errors = pipes = arguments[10:16]
        streams = [given if given != -1 else number for number, given in enumerate((read, write, errors))]
        pid = _nursery.fork(self._words, self._cwd, self._environment, streams, self._session) if self._words else 0
        if not pid:
            super()._execute_child(*arguments)  # type: ignore[misc]
            return
        self.pid, self._child_created = pid, True
        self._close_pipe_fds(*pipes)  # type: ignore[attr-defined]


def run(
    args: Sequence[Any], *, capture_output: bool = False, timeout: float, check: bool, **options: Any
) -> subprocess.CompletedProcess[Any]:
    """Run a prepared process like `subprocess.run`."""
    if capture_output:
        options |= {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with Popen(args, **options) as process:
        try:
            out, errors = process.communicate(timeout=timeout)
        except BaseException:
            process.kill()
            raise
    done = subprocess.CompletedProcess(args, process.returncode, out, errors)
    if check:
        done.check_returncode()
    return done


def in_terminal(
    command: Sequence[Any],
    *,
    environment: Mapping[str, str] | None = None,
    size: tuple[int, int] | None = None,
    cwd: Any = None,
    stdout: int | None = None,
    plainly: bool = False,
) -> tuple[int, int]:
    """Start a command on a new terminal of `size` (columns, lines); return its process id and the terminal.

    Its standard output goes to `stdout` if given.
    """
    environment = dict(os.environ if environment is None else environment)
    words = None if plainly else words_of(command)
    ours, theirs = os.openpty()
    try:
        if size:
            fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))
        streams = [theirs, theirs if stdout is None else stdout, theirs]
        pid = _nursery.fork(words, cwd, environment, streams, "terminal") if words else 0
        if pid:
            return pid, ours
    finally:
        os.close(theirs)
    os.close(ours)
    pid, ours = pty.fork()
    if pid == 0:
        try:
            signal.signal(signal.SIGINT, signal.default_int_handler)  # a parent in the background has these ignored
            signal.signal(signal.SIGHUP, signal.SIG_DFL)
            if size:
                fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))
            if stdout is not None:
                os.dup2(stdout, 1)
            if cwd is not None:
                os.chdir(cwd)
            os.execvpe(os.fspath(command[0]), [os.fspath(word) for word in command], environment)
        finally:
            os._exit(127)
    return pid, ours


def _exactly(connection: socket.socket, count: int) -> bytes:
    got = b""
    while len(got) < count:
        part = connection.recv(count - len(got))
        if not part:
            raise EOFError
        got += part
    return got


def _tid_address() -> int:
    """Return the address of the thread id that the C library keeps, or 0: a raw clone must update it in the child."""
    library = ctypes.CDLL(None)
    library.pthread_self.restype = ctypes.c_void_p
    begin, own = library.pthread_self(), threading.get_native_id()
    return next((at for at in range(begin, begin + 1024, 4) if ctypes.c_int.from_address(at).value == own), 0)


def _clone() -> int:
    """Fork a child of this process's parent. Return 0 in the child, its process id here. Raises OSError."""
    python, call = ctypes.pythonapi, ctypes.PyDLL(None, use_errno=True).syscall
    call.restype = ctypes.c_long
    tid = _tid_address()
    flags = _CLONE_PARENT | (_CLONE_CHILD_SETTID if tid else 0)
    arguments = struct.pack("QQQQQQQQ", flags, 0, tid, 0, 0, 0, 0, 0)
    python.PyOS_BeforeFork()
    pid = int(call(ctypes.c_long(_CLONE3), arguments, ctypes.c_size_t(len(arguments))))
    if pid == 0:
        python.PyOS_AfterFork_Child()
        return 0
    python.PyOS_AfterFork_Parent()
    if pid < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return pid


def _serve(number: int) -> list[str]:
    """Fork a process for each request until the requests end; in each child, return the words to run."""
    connection = socket.socket(fileno=number)
    for name in LOADED:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()
    try:  # Fork one child that ends at once, as a check that it works here.
        if len(os.listdir("/proc/self/task")) > 1:  # noqa: PTH208
            raise OSError("a library has started threads")
        if not _clone():
            os._exit(0)
    except OSError:
        connection.sendall(b"-")
        os._exit(0)
    connection.sendall(b"+")
    while True:
        try:
            head, streams, _flags, _ = socket.recv_fds(connection, 4, 3)
            told = json.loads(_exactly(connection, struct.unpack("I", head)[0])) if head else None
        except (EOFError, ConnectionError):
            told = None
        if told is None:
            os._exit(0)
        pid = _clone()
        if not pid:
            _become(told, streams)
            return list(told["words"])
        for each in streams:
            os.close(each)
        connection.sendall(struct.pack("i", pid))


def _become(told: dict[str, Any], streams: list[int]) -> None:
    """Take over the requested streams, folder, environment and session, like a process that has just started."""
    if told["session"]:
        os.setsid()
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
    os.closerange(3, 1 << 12)
    if told["session"] == "terminal":
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    os.chdir(told["cwd"])
    os.environ.clear()
    os.environ.update(told["environment"])
    for each in (signal.SIGHUP, signal.SIGTERM, signal.SIGQUIT):
        signal.signal(each, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number, (name, mode, errors) in enumerate(
        [("stdin", "r", "strict"), ("stdout", "w", "strict"), ("stderr", "w", "backslashreplace")]
    ):
        line = mode == "w" and (number == 2 or os.isatty(number))
        opened = open(number, mode, 1 if line else -1, "utf-8", errors, closefd=False)  # noqa: SIM115
        setattr(sys, name, opened)
        setattr(sys, f"__{name}__", opened)


def _run(words: list[str]) -> None:
    """Run a module or code like Python's command line."""
    kind, what, *rest = words
    if kind == "-m":
        sys.argv = [what, *rest]
        runpy.run_module(what, run_name="__main__", alter_sys=True)
        return
    sys.argv = ["-c", *rest]
    module = sys.modules["__main__"] = types.ModuleType("__main__")
    exec(compile(what, "<string>", "exec"), vars(module))


if __name__ == "__main__":
    _run(_serve(int(sys.argv[1])))
