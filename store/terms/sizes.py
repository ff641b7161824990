"""Sizes in text form. All units are binary, as in the spec, whose 7.32 GB are 7,500 MiB."""

from __future__ import annotations

import re
from fractions import Fraction

from store.terms.errors import SettingError

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB
TIB = 1024 * GIB
#: Largest size accepted (bytes): the sum of two still fits a 64-bit column of either database.
MAX_SIZE = 2**62

_UNITS = {"": 1, "b": 1, "byte": 1, "bytes": 1} | {
    spelling: factor
    for letter, factor in {"k": KIB, "m": MIB, "g": GIB, "t": TIB}.items()
    for spelling in (letter, f"{letter}b", f"{letter}ib")
}
_SIZE = re.compile(
    r"(?:([0-9]{1,20}|[0-9]{1,3}(?:,[0-9]{3}){1,6})(?:\.([0-9]{1,9}))?|([0-9]{1,20}),([0-9]{1,2}))"
    r"[ \u00a0\u202f]?([a-z]{0,5})"
)
_SHOWN = ("KB", "MB", "GB", "TB")


def format_size(size: int) -> str:
    """Format `size` bytes as the spec does: ``7.32 GB``, ``100 MB``, ``12.5 KB``, ``7 bytes``. At most two decimals."""
    if size < 0:
        return f"-{format_size(-size)}"
    if size < KIB:
        return "1 byte" if size == 1 else f"{size} bytes"
    power = 1
    while power < len(_SHOWN) and _hundredths(size, power) >= 100 * KIB:
        power += 1
    whole, rest = divmod(_hundredths(size, power), 100)
    return f"{whole}{f'.{rest:02}'.rstrip('0').rstrip('.')} {_SHOWN[power - 1]}"


def _hundredths(size: int, power: int) -> int:
    factor = KIB**power
    return (size * 200 + factor) // (2 * factor)


def megabytes(size: int) -> str:
    """Format `size` bytes for a field in MB: ``7500``, ``12.25``; with another unit if that would not be exact."""
    whole, rest = divmod(size * 100, MIB)
    if rest:
        text = format_size(size)
        return text if parse_size(text) == size else f"{size} bytes"
    return f"{whole // 100}{f'.{whole % 100:02}'.rstrip('0').rstrip('.')}"


def parse_size(text: str, *, unit: int = 0) -> int:
    """Parse a size into bytes: ``7.32 GB``, ``7,5 GB``, ``7500 MiB``, ``100MB``, ``12k``. Raises SettingError.

    A number without a unit is multiplied by `unit` (bytes). If that is 0 it is an error, because 200 could mean MB or
    bytes. 0 needs no unit. A comma followed by three digits separates thousands; one or two digits after it are
    decimals.

    A fraction that is not a whole number of the next smaller unit means the roundest size that is written so:
    ``7.32 GB`` is 7,500 MiB and not 7,495.68 MiB. So the output of `format_size` can be entered unchanged.
    """
    match = _SIZE.fullmatch(text.strip().lower())
    if not match or match[5] not in _UNITS:
        raise SettingError(f"{text.strip()[:40]!r} is not a size. Write it as 7.32 GB, 7500 MB, 100MB or 512 bytes.")
    whole, decimals = (match[1] or match[3]).replace(",", ""), match[2] or match[4]
    factor = _UNITS[match[5]]
    if not match[5]:
        if not unit and (decimals or whole.strip("0")):
            number = text.strip()
            raise SettingError(f"{number} has no unit. Write {number}MB, {number}GB or {number}bytes.")
        factor = unit or 1
    size = int(whole) * factor
    if decimals:
        size = _rounded(Fraction(f"{whole}.{decimals}") * factor, factor, len(decimals))
    if size > MAX_SIZE:
        raise SettingError(f"{text.strip()[:40]!r} is larger than any disk. Write a smaller size.")
    return size


def _rounded(exact: Fraction, factor: int, decimals: int) -> int:
    """Round `exact` to the roundest number within the precision of the written decimals (at least two)."""
    unit = factor // KIB
    if not unit:
        raise SettingError("A size in bytes has no decimals. Write a whole number, or a unit such as MB.")
    if (exact / unit).denominator == 1:
        return int(exact)
    tolerance = Fraction(factor, 2 * 10 ** max(decimals, 2))
    for step in (1000, 500, 100, 50, 10, 5, 1):
        nearest = round(exact / (step * unit)) * step * unit
        if abs(nearest - exact) < tolerance:
            return nearest
    return round(exact)
