"""What the allocators are told, so that loading a million copies leaves no more in memory than the copies.

Measured with a million copies (`tests/benchmarks/README.md`): 40 MB less at rest and 50 MB less at the peak.
"""

from __future__ import annotations

import os

#: For the allocator of Polars: by default it keeps freed memory for ten seconds, and by processor. Kept for no time at
#: all, each filter takes half as long again.
_POLARS = "narenas:1,dirty_decay_ms:100,muzzy_decay_ms:0"
#: Blocks from this size on (bytes) go back to the system when freed. By default glibc keeps ever larger ones.
LARGE_BLOCK = 128 * 1024
_M_MMAP_THRESHOLD = -3


def prepare_allocators() -> None:
    """Set it up before Polars is imported, and before there are threads: mallopt is not safe then."""
    import ctypes

    os.environ.setdefault("_RJEM_MALLOC_CONF", _POLARS)
    option = getattr(ctypes.CDLL(None), "mallopt", None)
    if option is not None:
        option(_M_MMAP_THRESHOLD, LARGE_BLOCK)


def give_back_memory() -> None:
    """Return to the system what the C library keeps of freed memory: after loading tens of MB."""
    import ctypes

    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
