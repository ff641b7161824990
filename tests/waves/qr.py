"""QR codes (version 5, level L: up to 106 bytes) as rows of booleans, and as PNG or block characters."""

from __future__ import annotations

import struct
import zlib
from random import Random

SIZE = 37
_DATA, _CHECK = 108, 26
LIMIT = _DATA - 2
#: Level L, mask 0, with its BCH bits and the fixed mask.
_FORMAT = 0b111011111000100

Rows = list[list[bool]]


def _times(left: int, right: int) -> int:
    product = 0
    for bit in range(7, -1, -1):
        product = (product << 1) ^ (0x11D if product & 0x80 else 0)
        if right >> bit & 1:
            product ^= left
    return product


def _generator() -> list[int]:
    poly, root = [1], 1
    for _ in range(_CHECK):
        scaled = [_times(each, root) for each in poly]
        poly = [high ^ low for high, low in zip([*poly, 0], [0, *scaled], strict=True)]
        root = _times(root, 2)
    return poly[1:]


_TABLE = [[_times(factor, each) for each in _generator()] for factor in range(256)]


def _codewords(data: bytes) -> bytes:
    bits = f"0100{len(data):08b}" + "".join(f"{byte:08b}" for byte in data) + "0000"
    words = bytes(int(bits[at : at + 8].ljust(8, "0"), 2) for at in range(0, len(bits), 8))[:_DATA]
    words += (b"\xec\x11" * _DATA)[: _DATA - len(words)]
    rest = [0] * _CHECK
    for word in words:
        factor = word ^ rest[0]
        rest = [each ^ term for each, term in zip([*rest[1:], 0], _TABLE[factor], strict=True)]
    return words + bytes(rest)


def code(text: str) -> Rows:
    """Return the modules of the code for `text`. Raises ValueError if it is longer than 106 bytes."""
    data = text.encode()
    if len(data) > LIMIT:
        raise ValueError(f"{len(data)} bytes do not fit a version 5 code, which takes {LIMIT}")
    cells: list[list[bool | None]] = [[None] * SIZE for _ in range(SIZE)]

    def square(row: int, column: int, reach: int, rings: tuple[int, ...]) -> None:
        for y in range(row - reach, row + reach + 1):
            for x in range(column - reach, column + reach + 1):
                if 0 <= y < SIZE and 0 <= x < SIZE:
                    cells[y][x] = max(abs(y - row), abs(x - column)) in rings

    for row, column in ((3, 3), (3, SIZE - 4), (SIZE - 4, 3)):
        square(row, column, 4, (0, 1, 3))
    square(SIZE - 7, SIZE - 7, 2, (0, 2))
    for at in range(8, SIZE - 8):
        cells[6][at] = cells[at][6] = at % 2 == 0
    for at in range(15):
        bit = bool(_FORMAT >> at & 1)
        cells[(at if at < 6 else at + 1) if at < 8 else SIZE - 15 + at][8] = bit
        cells[8][SIZE - 1 - at if at < 8 else (7 if at == 8 else 14 - at)] = bit
    cells[SIZE - 8][8] = True
    stream = iter("".join(f"{word:08b}" for word in _codewords(data)))
    column, upward = SIZE - 1, True
    while column > 0:
        column -= column == 6
        for y in range(SIZE - 1, -1, -1) if upward else range(SIZE):
            for x in (column, column - 1):
                if cells[y][x] is None:
                    cells[y][x] = (next(stream, "0") == "1") ^ ((x + y) % 2 == 0)
        column, upward = column - 2, not upward
    return [[bool(cell) for cell in row] for row in cells]


def png(rng: Random, rows: Rows) -> bytes:
    """Draw `rows` as a picture: scale, margin, colours and a few specks vary, so that no two have the same SHA-256."""
    scale, margin = rng.randint(3, 6), rng.randint(2, 5)
    dark = bytes(rng.randrange(70) for _ in range(3))
    light = bytes(rng.randrange(225, 256) for _ in range(3))
    wide = (len(rows[0]) + 2 * margin) * scale
    blank = [False] * margin
    lines = [
        [*blank, *row, *blank] for row in [[False] * len(rows[0])] * margin + rows + [[False] * len(rows[0])] * margin
    ]
    pixels = bytearray()
    for line in lines:
        drawn = b"\0" + b"".join((b"\1" if cell else b"\0") * scale for cell in line)
        pixels += drawn * scale
    for _ in range(rng.randint(2, 9)):  # specks, all in the margin
        pixels[1 + rng.randrange(wide)] = 2
    palette = light + dark + bytes(rng.randrange(120, 256) for _ in range(3))
    head = struct.pack(">IIBBBBB", wide, len(lines) * scale, 8, 3, 0, 0, 0)
    parts = ((b"IHDR", head), (b"PLTE", palette), (b"IDAT", zlib.compress(bytes(pixels), 6)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in parts
    )


def blocks(rows: Rows) -> str:
    """Draw the code in half-block characters, two rows per line."""
    lines = []
    for at in range(0, len(rows), 2):
        below = rows[at + 1] if at + 1 < len(rows) else [False] * len(rows[0])
        lines.append("".join(" ▄▀█"[2 * top + low] for top, low in zip(rows[at], below, strict=True)))
    return "\n".join(lines)
