"""Failing system calls of SQLite: its table of them is changed for a while, through its C interface.

No compiler is needed. The call that syncs a file to the disk is not in that table: for it, the methods of each opened
file are replaced.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import Any, NamedTuple

import pytest

_INT, _LONG, _SIZE, _PLACE = ctypes.c_int, ctypes.c_longlong, ctypes.c_size_t, ctypes.c_void_p


class Fault(Enum):
    """How a call fails; EIO by default."""

    LOST = "nothing is done"
    #: The file can be written but not synced.
    WRITTEN = "all is done"
    FULL = "nothing is done: the disk is full"
    SHORT = "half of it is done, and then the disk is full"
    END = "the program ends before the call"


class Call(NamedTuple):
    """A call: its name, the file (empty when a name is opened or removed), and the number of earlier calls."""

    name: str
    path: Path
    number: int


class _Kind(NamedTuple):
    """The signature of a call; `sized` names the argument with the number of bytes."""

    result: Any
    arguments: tuple[Any, ...]
    failed: int = -1
    sized: int | None = None


_KINDS = {
    "pwrite64": _Kind(ctypes.c_ssize_t, (_INT, _PLACE, _SIZE, _LONG), sized=2),
    "pwrite": _Kind(ctypes.c_ssize_t, (_INT, _PLACE, _SIZE, _LONG), sized=2),
    "pread64": _Kind(ctypes.c_ssize_t, (_INT, _PLACE, _SIZE, _LONG)),
    "pread": _Kind(ctypes.c_ssize_t, (_INT, _PLACE, _SIZE, _LONG)),
    "ftruncate": _Kind(_INT, (_INT, _LONG)),
    "unlink": _Kind(_INT, (ctypes.c_char_p,)),
}
#: Calls that `calls` reports in addition to those of the table.
SYNC = "fsync"
_IO_ERROR_FSYNC = 1034


class _Vfs(ctypes.Structure):
    """`sqlite3_vfs`, up to its `xSetSystemCall`."""

    _fields_ = (
        ("version", ctypes.c_int),
        ("size", ctypes.c_int),
        ("longest_path", ctypes.c_int),
        *((name, ctypes.c_void_p) for name in ("next", "name", "data", "open", "delete", "access", "full")),
        *((name, ctypes.c_void_p) for name in ("dlopen", "dlerror", "dlsym", "dlclose", "random", "sleep")),
        *((name, ctypes.c_void_p) for name in ("now", "last_error", "now_int64", "set_call")),
    )


class _Methods(ctypes.Structure):
    """`sqlite3_io_methods`."""

    _fields_ = (
        ("version", ctypes.c_int),
        *((name, ctypes.c_void_p) for name in ("close", "read", "write", "truncate", "sync", "size", "lock", "unlock")),
        *((name, ctypes.c_void_p) for name in ("reserved", "control", "sector", "device", "map", "shm_lock")),
        *((name, ctypes.c_void_p) for name in ("barrier", "unmap", "fetch", "unfetch")),
    )


_SET_CALL = ctypes.CFUNCTYPE(_INT, _PLACE, ctypes.c_char_p, _PLACE)
#: The name is passed by address: SQLite keeps it, and reads beyond its end.
_OPEN = ctypes.CFUNCTYPE(_INT, _PLACE, _PLACE, _PLACE, _INT, _PLACE)
_SYNC = ctypes.CFUNCTYPE(_INT, _PLACE, _INT)
Answer = Callable[[Call], Fault | None]


@contextmanager
def calls(answer: Answer) -> Iterator[None]:
    """Call `answer` for each SQLite call that reads, writes, truncates, removes or syncs a file.

    Syncs are reported only for files opened within. Skips the test if Python's SQLite is not the system's library.
    """
    vfs = _system()
    faults = _Faults(answer)
    set_call = _SET_CALL(vfs.contents.set_call)
    callbacks = {name: faults.callback(name) for name in _KINDS}
    changed = [name for name, callback in callbacks.items() if not set_call(vfs, name.encode(), callback)]
    assert "ftruncate" in changed
    before = vfs.contents.open
    opening = _OPEN(faults.opening(_OPEN(before)))
    vfs.contents.open = ctypes.cast(opening, _PLACE).value
    try:
        yield
    finally:
        vfs.contents.open = before
        for name in changed:
            set_call(vfs, name.encode(), None)
        # Files opened within and still open use the replaced methods.
        faults.over = True
        _kept.append((faults, callbacks, opening))


@contextmanager
def writes(answer: Callable[[Path, int], Fault | None]) -> Iterator[None]:
    """Call `answer` for each SQLite write, with the file and the number of earlier writes. Skips like `calls`."""
    seen = 0

    def asked(call: Call) -> Fault | None:
        nonlocal seen
        if not call.name.startswith("pwrite"):
            return None
        seen += 1
        return answer(call.path, seen - 1)

    with calls(asked):
        yield


_kept: list[Any] = []


def _system() -> Any:
    """SQLite's interface to the system."""
    name = ctypes.util.find_library("sqlite3")
    if name is None or name not in Path("/proc/self/maps").read_text():
        pytest.skip("Python's SQLite is not the system's library")
    library = ctypes.CDLL(name)
    library.sqlite3_vfs_find.restype = ctypes.POINTER(_Vfs)
    return library.sqlite3_vfs_find(None)


class _Faults:
    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self._seen = 0
        #: True once no call fails any more.
        self.over = False
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._alive: list[Any] = []
        self._methods: dict[int, _Methods] = {}

    def _ask(self, name: str, path: Path) -> Fault | None:
        if self.over:
            return None
        call = Call(name, path, self._seen)
        self._seen += 1
        fault = self._answer(call)
        if fault is Fault.END:
            os._exit(9)
        return fault

    def callback(self, name: str) -> Any:
        """Make the function that SQLite calls in place of the system's function of that name."""
        kind = _KINDS[name]
        real = getattr(self._libc, name)
        real.argtypes, real.restype = kind.arguments, kind.result

        def called(*arguments: Any) -> int:
            named = isinstance(arguments[0], bytes)
            path = Path(os.fsdecode(arguments[0])) if named else Path(f"/proc/self/fd/{arguments[0]}").readlink()
            fault = self._ask(name, path)
            if fault is None:
                return int(real(*arguments))
            if fault is Fault.SHORT and kind.sized is not None:
                # The caller retries the rest and gets the same answer: SQLite writes until nothing is left.
                half = list(arguments)
                half[kind.sized] //= 2
                real(*half)
            elif fault is Fault.WRITTEN:
                real(*arguments)
            ctypes.set_errno(errno.ENOSPC if fault in (Fault.FULL, Fault.SHORT) else errno.EIO)
            return kind.failed

        return ctypes.CFUNCTYPE(kind.result, *kind.arguments, use_errno=True)(called)

    def opening(self, real: Any) -> Callable[..., int]:
        """Make the function that replaces SQLite's own open: it gives the file copied methods with another `sync`."""

        def opened(vfs: int, name: int | None, file: int, flags: int, out: int) -> int:
            code = int(real(vfs, name, file, flags, out))
            methods = ctypes.cast(file, ctypes.POINTER(ctypes.c_void_p))
            if code == 0 and methods[0]:
                path = Path(os.fsdecode(ctypes.string_at(name)) if name else "")
                methods[0] = ctypes.addressof(self._exchanged(methods[0], path))
            return code

        return opened

    def _exchanged(self, address: int, path: Path) -> _Methods:
        methods = _Methods.from_buffer_copy(ctypes.string_at(address, ctypes.sizeof(_Methods)))
        real = _SYNC(methods.sync)

        def sync(file: int, flags: int) -> int:
            fault = self._ask(SYNC, path)
            if fault in (None, Fault.WRITTEN):
                code = int(real(file, flags))
                if fault is None:
                    return code
            return _IO_ERROR_FSYNC

        callback = _SYNC(sync)
        methods.sync = ctypes.cast(callback, _PLACE).value
        self._alive += [methods, callback, real]
        return methods
