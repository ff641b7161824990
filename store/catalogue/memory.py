"""Settings of the memory allocators, so that loading a million copies leaves only the copies in memory.

Measured with a million copies (`tests/benchmarks/FINDINGS.md`): 40 MB less at rest and 50 MB less at the peak.
"""

from __future__ import annotations

import os

#: For jemalloc, which Polars uses: by default it keeps freed memory for ten seconds, per processor. With a decay of 0
#: ms each filter takes half as long again.
_POLARS = "narenas:1,dirty_decay_ms:100,muzzy_decay_ms:0"
#: Blocks of at least this size (bytes) are mapped, so freeing them returns them to the system. By default glibc raises
#: this limit as larger blocks are freed.
LARGE_BLOCK = 128 * 1024
_M_MMAP_THRESHOLD = -3


def prepare_allocators() -> None:
    """Set the allocator options.

    Call before importing Polars and before starting threads (mallopt is not thread-safe).
    """
    import ctypes

    os.environ.setdefault("_RJEM_MALLOC_CONF", _POLARS)
    option = getattr(ctypes.CDLL(None), "mallopt", None)
    if option is not None:
        option(_M_MMAP_THRESHOLD, LARGE_BLOCK)


def give_back_memory() -> None:
    """Return freed memory that the C library still holds to the system. Call after loading tens of MB."""
    import ctypes

    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
