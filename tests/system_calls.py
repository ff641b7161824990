"""Writes of SQLite that fail: its own table of system calls is changed for a while, through its C interface."""

from __future__ import annotations

import ctypes
import ctypes.util
import errno
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path

import pytest

_WRITE = ctypes.CFUNCTYPE(
    ctypes.c_ssize_t, ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_longlong, use_errno=True
)
_SET_CALL = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p)


class Fault(Enum):
    """How a write fails, with EIO."""

    LOST = "nothing is written"
    #: As it is where a file is written and cannot be made durable.
    WRITTEN = "all is written"


class _Vfs(ctypes.Structure):
    """`sqlite3_vfs`, as far as its `xSetSystemCall`."""

    _fields_ = (
        ("version", ctypes.c_int),
        ("size", ctypes.c_int),
        ("longest_path", ctypes.c_int),
        *((name, ctypes.c_void_p) for name in ("next", "name", "data", "open", "delete", "access", "full")),
        *((name, ctypes.c_void_p) for name in ("dlopen", "dlerror", "dlsym", "dlclose", "random", "sleep")),
        *((name, ctypes.c_void_p) for name in ("now", "last_error", "now_int64", "set_call")),
    )


@contextmanager
def writes(answer: Callable[[Path, int], Fault | None]) -> Iterator[None]:
    """Ask `answer` of each write of SQLite's, with the file and how many came before.

    Skips the test where Python's SQLite is not the system's library.
    """
    name = ctypes.util.find_library("sqlite3")
    if name is None or name not in Path("/proc/self/maps").read_text():
        pytest.skip("Python's SQLite is not the system's library")
    library = ctypes.CDLL(name)
    library.sqlite3_vfs_find.restype = ctypes.POINTER(_Vfs)
    vfs = library.sqlite3_vfs_find(None)
    set_call = _SET_CALL(vfs.contents.set_call)
    libc = ctypes.CDLL(None, use_errno=True)
    libc.pwrite64.argtypes = _WRITE._argtypes_
    libc.pwrite64.restype = ctypes.c_ssize_t
    seen = 0

    def write(descriptor: int, data: int, size: int, offset: int) -> int:
        nonlocal seen
        fault = answer(Path(f"/proc/self/fd/{descriptor}").readlink(), seen)
        seen += 1
        written = -1 if fault is Fault.LOST else int(libc.pwrite64(descriptor, data, size, offset))
        if fault is None:
            return written
        ctypes.set_errno(errno.EIO)
        return -1

    callback = _WRITE(write)
    names = [each for each in (b"pwrite64", b"pwrite") if not set_call(vfs, each, callback)]
    assert names
    try:
        yield
    finally:
        for each in names:
            set_call(vfs, each, None)
