"""Zstandard: of Python itself from 3.14 on, else its backport. Import it where it is used, not at the top."""

from __future__ import annotations

import sys

if sys.version_info >= (3, 14):
    from compression.zstd import ZstdCompressor, ZstdDecompressor, ZstdError, get_frame_info
else:
    from backports.zstd import ZstdCompressor, ZstdDecompressor, ZstdError, get_frame_info

__all__ = ["ZstdCompressor", "ZstdDecompressor", "ZstdError", "get_frame_info"]
