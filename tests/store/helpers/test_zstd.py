"""A sealed frame is unpacked within its size, whatever its header claims and its blocks hold."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from store.helpers import zstd
from store.helpers.zstd import RATIO_LIMIT, WINDOW_LIMIT, ZstdCompressor, ZstdError, decompressed, frame_header
from tests.amounts import amount

if sys.version_info >= (3, 14):
    from compression import zstd as library
else:
    from backports import zstd as library

P = library.CompressionParameter
_TEXT = b"From: a@example.org\r\n\r\n" + b"spam and eggs, " * 200
_SKIPPABLE = b"\x50\x2a\x4d\x18" + (4).to_bytes(4, "little") + b"skip"


def _frame(content: bytes, **options: int) -> bytes:
    compressor = ZstdCompressor(options={P[name]: value for name, value in options.items()})
    return compressor.compress(content, compressor.FLUSH_FRAME)


def _bomb(megabytes: int, **options: int) -> bytes:
    """Make a frame of zero bytes, with no content size in its header: 9.6 kB for 300 MiB."""
    compressor = ZstdCompressor(options={P.compression_level: 1, **{P[name]: one for name, one in options.items()}})
    pieces = [compressor.compress(bytes(1 << 20)) for _ in range(megabytes)]
    return b"".join([*pieces, compressor.flush()])


def _claiming(frame: bytes, size: int) -> bytes:
    """Make a frame without a content size, under a header that claims `size`."""
    assert frame[4] & 0xE3 == 0
    return frame[:4] + bytes([frame[4] | 0xC0]) + frame[5:6] + size.to_bytes(8, "little") + frame[6:]


_options = st.fixed_dictionaries(
    {},
    optional={
        "compression_level": st.integers(-3, 9),
        "window_log": st.integers(10, 23),
        "checksum_flag": st.booleans().map(int),
        "enable_long_distance_matching": st.booleans().map(int),
    },
)
_contents = st.one_of(
    st.binary(max_size=300),
    st.tuples(st.binary(min_size=1, max_size=40), st.integers(0, 3000)).map(lambda pair: pair[0] * pair[1]),
)


@given(_contents, _options)
def test_a_frame_comes_back_and_its_header_says_its_size(content: bytes, options: dict[str, int]) -> None:
    frame = _frame(content, **options)
    assert frame_header(frame)[0] == library.get_frame_info(frame).decompressed_size == len(content)
    assert decompressed(frame, len(content)) == content


@pytest.mark.parametrize("size", [255, 256, 65_791, 65_792, 1 << 19, (1 << 19) + 1])
def test_every_width_of_a_content_size(size: int) -> None:
    assert decompressed(_frame(bytes(size)), size) == bytes(size)


@given(_contents, st.integers(-2, 2).filter(bool))
def test_another_size_is_refused_by_the_header(content: bytes, by: int) -> None:
    with pytest.raises(ZstdError, match="not as long as it should be"):
        decompressed(_frame(content), len(content) + by)


@pytest.mark.parametrize(
    ("fault", "data", "why"),
    [
        ("nothing", b"", "begin with a frame"),
        ("no frame", _TEXT, "begin with a frame"),
        ("a cut header", _frame(_TEXT)[:6], "header is cut"),
        ("a reserved bit", b"%b\x28%b" % (_frame(_TEXT)[:4], _frame(_TEXT)[5:]), "reserved bit"),
        ("no content size", _frame(_TEXT, content_size_flag=0), "how large"),
        ("a dictionary", b"%b\x63\x07%b" % (_frame(_TEXT)[:4], _frame(_TEXT)[5:]), "dictionary"),
        ("a skippable frame before it", _SKIPPABLE + _frame(_TEXT), "begin with a frame"),
        ("a skippable frame after it", _frame(_TEXT) + _SKIPPABLE, "one whole frame"),
        ("a second frame", _frame(_TEXT) + _frame(_TEXT), "one whole frame"),
        ("an empty frame after it", _frame(_TEXT) + _frame(b""), "one whole frame"),
        ("a byte after it", _frame(_TEXT) + b"\0", "one whole frame"),
        ("a cut checksum", _frame(_TEXT, checksum_flag=1)[:-1], "one whole frame"),
        ("two halves", _frame(_TEXT[:1000]) + _frame(_TEXT[1000:]), "not as long"),
    ],
)
def test_what_is_not_one_whole_frame_with_its_size_is_refused(fault: str, data: bytes, why: str) -> None:
    with pytest.raises(ZstdError, match=why):
        decompressed(data, len(_TEXT))


def test_a_frame_that_lies_about_its_size_is_refused() -> None:
    blocks = _frame(_TEXT, content_size_flag=0)
    assert decompressed(_claiming(blocks, len(_TEXT)), len(_TEXT)) == _TEXT
    for claimed in (0, 1, len(_TEXT) - 1, len(_TEXT) + 1, 2 * len(_TEXT)):
        with pytest.raises(ZstdError):
            decompressed(_claiming(blocks, claimed), claimed)


@pytest.mark.parametrize("size", [RATIO_LIMIT * 100, 1 << 40, (1 << 63) - 1, (1 << 64) - 1])
def test_more_than_a_frame_can_hold_is_refused_by_the_header(size: int) -> None:
    frame = _claiming(_frame(b"short", content_size_flag=0), size)
    with pytest.raises(ZstdError, match="too short"):
        decompressed(frame, size)


def test_a_window_beyond_the_limit_is_refused_by_the_header() -> None:
    content = bytes(WINDOW_LIMIT + 1)
    allowed = _frame(content, window_log=23)
    assert frame_header(allowed) == (len(content), WINDOW_LIMIT)
    assert decompressed(allowed, len(content)) == content
    for beyond in (_frame(content, window_log=24), _claiming(_bomb(1, window_log=27), 1 << 20)):
        size, window = frame_header(beyond)
        assert window > WINDOW_LIMIT
        with pytest.raises(ZstdError, match="window is too large"):
            decompressed(beyond, size)


@pytest.mark.parametrize(
    ("descriptor", "window"),
    [(0x00, 1 << 10), (0x07, 1920), (0x48, 1 << 19), (0x4D, 851_968), (0xF8, 1 << 41), (0xFF, 15 << 38)],
)
def test_the_window_of_a_header(descriptor: int, window: int) -> None:
    assert frame_header(b"\x28\xb5\x2f\xfd\xc0%c" % descriptor + bytes(8)) == (0, window)


@pytest.mark.parametrize(("given_out", "ends"), [(1, True), (0, False), (-1, True)])
def test_it_does_not_rely_on_the_librarys_care(given_out: int, ends: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    class Careless:
        """A decompressor that returns other data than the header says, up to its limit."""

        eof, unused_data = ends, b""

        def decompress(self, data: bytes, max_length: int = -1) -> bytes:
            assert max_length == len(_TEXT) + 1
            return bytes(len(_TEXT) + given_out)

    monkeypatch.setattr(zstd, "ZstdDecompressor", Careless)
    with pytest.raises(ZstdError, match="one whole frame"):
        decompressed(_frame(_TEXT), len(_TEXT))


@given(st.integers(0), st.integers(1, 255), st.booleans())
@settings(max_examples=amount(100, 300))
def test_a_damaged_frame_is_refused_or_as_long_as_it_should_be(at: int, flip: int, cut: bool) -> None:
    damaged = bytearray(_frame(_TEXT, checksum_flag=1))
    at %= len(damaged)
    damaged[at] ^= flip
    try:
        content = decompressed(bytes(damaged[:at] if cut else damaged), len(_TEXT))
    except ZstdError:
        return
    assert len(content) == len(_TEXT)


# The interpreter and 48 MiB more: too little to unpack a bomb of 300 MiB.
_IN_LITTLE_MEMORY = """
import resource, sys
from store.helpers.zstd import ZstdError, decompressed
frame = sys.stdin.buffer.read()
pages = int(open("/proc/self/statm").read().split()[0])
room = pages * resource.getpagesize() + (48 << 20)
resource.setrlimit(resource.RLIMIT_AS, (room, room))
try:
    decompressed(frame, int(sys.argv[1]))
except ZstdError as error:
    print(error)
"""


_BOMBS: dict[str, tuple[Callable[[], bytes], int]] = {
    "it claims the size and holds 300 MiB": (lambda: _claiming(_bomb(300), 1000), 1000),
    "it claims what it holds": (lambda: _claiming(_bomb(300), 300 << 20), 1000),
    "it claims no size": (lambda: _bomb(300), 1000),
    "it claims more than it can hold": (lambda: _claiming(_bomb(1), 1 << 40), 1 << 40),
    "it claims a window of 2 GiB": (lambda: _claiming(_bomb(1, window_log=31), 300 << 20), 300 << 20),
    "a bomb follows": (lambda: _frame(bytes(1000)) + _bomb(300), 1000),
}


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="no /proc to measure memory with")
@pytest.mark.parametrize("name", _BOMBS)
def test_a_bomb_is_refused_in_little_memory(name: str) -> None:
    make, size = _BOMBS[name]
    command = [sys.executable, "-c", _IN_LITTLE_MEMORY, str(size)]
    done = subprocess.run(command, input=make(), capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr.decode()[-500:]
    assert done.stdout.strip()
