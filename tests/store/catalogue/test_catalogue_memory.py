"""The settings of the memory allocators are in force."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys

import pytest

_CODE = """
import ctypes, os
from store.catalogue import memory
{prepare}
class Info(ctypes.Structure):  # hblks: blocks that are mapped each for itself
    _fields_ = [(name, ctypes.c_size_t) for name in ("arena", "ordblks", "smblks", "hblks", *"abcdef")]
libc = ctypes.CDLL(None)
libc.mallinfo2.restype = Info
block = bytearray(20 << 20)
del block  # from here on glibc would keep blocks of up to this size
before = libc.mallinfo2().hblks
block = bytearray(1 << 20)
print(libc.mallinfo2().hblks - before, os.environ.get("_RJEM_MALLOC_CONF", ""))
"""


def _run(prepare: str) -> list[str]:
    code = _CODE.format(prepare=prepare)
    # Polars sets it for the importing process, perhaps already for this one.
    environment = {name: value for name, value in os.environ.items() if name != "_RJEM_MALLOC_CONF"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    return done.stdout.split()


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallinfo2"), reason="the C library is not glibc 2.33 or newer")
def test_large_blocks_go_back_to_the_system_and_polars_keeps_little() -> None:
    mapped, polars = _run("memory.prepare_allocators()")
    assert mapped == "1"
    assert "dirty_decay_ms:100" in polars
    assert _run("") == ["0"]
