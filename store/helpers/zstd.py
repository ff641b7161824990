"""Zstandard, from Python itself (3.14 and later) or from its backport. Import this module lazily."""

from __future__ import annotations

import sys

if sys.version_info >= (3, 14):
    from compression.zstd import ZstdCompressor, ZstdDecompressor, ZstdError
else:
    from backports.zstd import ZstdCompressor, ZstdDecompressor, ZstdError

__all__ = [
    "RATIO_LIMIT",
    "WINDOW_LIMIT",
    "ZstdCompressor",
    "ZstdDecompressor",
    "ZstdError",
    "decompressed",
    "frame_header",
]

#: Largest window of a frame that is accepted (bytes); every reader supports it (RFC 8878). Our frames use 512 KiB.
WINDOW_LIMIT = 8 << 20
#: Most bytes of content per byte of a frame: four bytes can repeat one byte 128 Ki times.
RATIO_LIMIT = 1 << 15
_MAGIC = b"\x28\xb5\x2f\xfd"
_DICTIONARY_SIZES = (0, 1, 2, 4)
_CONTENT_SIZES = (0, 2, 4, 8)


def frame_header(data: bytes) -> tuple[int, int]:
    """Read the content size and the window (bytes) from a frame's header (RFC 8878, 3.1.1.1).

    Raises ZstdError if `data` does not begin with a frame, and for frames that Mailhold never writes: skippable ones,
    those without a content size, those that need a dictionary.
    """
    if data[:4] != _MAGIC or len(data) < 6:
        raise ZstdError("it does not begin with a frame")
    descriptor = data[4]
    if descriptor & 0x08:
        raise ZstdError("a reserved bit of its header is set")
    single = bool(descriptor & 0x20)
    at = 5 if single else 6
    dictionary = _DICTIONARY_SIZES[descriptor & 3]
    size_length = _CONTENT_SIZES[descriptor >> 6] or (1 if single else 0)
    if len(data) < at + dictionary + size_length:
        raise ZstdError("its header is cut short")
    if any(data[at : at + dictionary]):
        raise ZstdError("it needs a dictionary")
    if not size_length:
        raise ZstdError("it does not say how large its content is")
    at += dictionary
    size = int.from_bytes(data[at : at + size_length], "little") + (256 if size_length == 2 else 0)
    if single:
        return size, size
    exponent, mantissa = data[5] >> 3, data[5] & 7
    return size, (1 << 10 + exponent) // 8 * (8 + mantissa)


def decompressed(data: bytes, size: int) -> bytes:
    """Decompress one frame whose content must be `size` bytes. Raises ZstdError for anything else.

    A frame is refused by its header, before memory is allocated, if it claims another size, more than it can hold, or a
    window beyond `WINDOW_LIMIT`. If the header is false, decompression stops after `size` bytes. No data may follow the
    frame.
    """
    claimed, window = frame_header(data)
    if claimed != size:
        raise ZstdError("its content is not as long as it should be")
    if claimed > RATIO_LIMIT * len(data):
        raise ZstdError("it is too short for the content that it claims")
    if window > WINDOW_LIMIT:
        raise ZstdError("its window is too large")
    decompressor = ZstdDecompressor()
    # One byte more than expected reveals whether the frame ends there.
    content = decompressor.decompress(data, size + 1)
    if len(content) != size or not decompressor.eof or decompressor.unused_data:
        raise ZstdError("it is not one whole frame")
    return content
