"""Parse dates of header fields into Unix ms. Cannot raise; an invalid date gives 0."""

from __future__ import annotations

import re
from calendar import timegm

_MONTHS = {
    "jan": 1, "feb": 2, "mar": 3, "apr": 4, "may": 5, "jun": 6, "jul": 7, "aug": 8, "sep": 9, "oct": 10, "nov": 11,
    "dec": 12,
}  # fmt: skip
_ZONES = {
    "ut": 0, "utc": 0, "gmt": 0, "z": 0, "est": -300, "edt": -240, "cst": -360, "cdt": -300, "mst": -420, "mdt": -360,
    "pst": -480, "pdt": -420, "cet": 60, "cest": 120, "met": 60, "mest": 120, "eet": 120, "eest": 180, "bst": 60,
    "wet": 0, "west": 60, "msk": 180, "jst": 540,
}  # fmt: skip
_DATE = re.compile(
    rb"(\d{1,2})[ \t-]+([A-Za-z]{3})[A-Za-z.]*[ \t,-]+(\d{4}|\d{2,3})[ \t]+"
    rb"(\d{1,2})[:.](\d{1,2})(?:[:.](\d{1,2})(?:\.\d{1,9})?)?[ \t]*(?:([+-]\d{4}|[+-]\d\d:\d\d)|([A-Za-z]{1,5}))?"
)
_ASCTIME = re.compile(
    rb"([A-Za-z]{3})[ \t]+(\d{1,2})[ \t]+(\d{1,2}):(\d\d)(?::(\d\d))?[ \t]+(?:([A-Za-z]{1,5})[ \t]+)?(\d{4})"
    rb"(?:[ \t]+([+-]\d{4}))?"
)
_ISO = re.compile(
    rb"(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d)(?::(\d\d))?(?:\.\d{1,9})?[ \t]*"
    rb"(?:([+-]\d{4}|[+-]\d\d:\d\d)|([A-Za-z]{1,5}))?"
)
_LIMIT = 400
_YEAR_LIMIT = 9999


def parse_date(value: bytes) -> int:
    """Parse a `Date` field into Unix ms UTC; 0 if it is invalid or before 1970."""
    value = value[:_LIMIT]
    if found := _DATE.search(value):
        day, month, year, hour, minute, second, offset, zone = found.groups()
    elif found := _ASCTIME.search(value):
        month, day, hour, minute, second, zone, year, offset = found.groups()
    elif found := _ISO.search(value):
        year, month, day, hour, minute, second, offset, zone = found.groups()
    else:
        return 0
    month_number = int(month) if month.isdigit() else _MONTHS.get(month.decode("ascii").lower(), 0)
    full_year = int(year)
    if len(year) < 4:
        full_year += 1900 if full_year >= 69 else 2000
    numbers = (full_year, month_number, int(day), int(hour), int(minute), int(second or 0))
    if not (1 <= month_number <= 12 and 1 <= numbers[2] <= 31 and numbers[3] < 25 and numbers[4] < 60):
        return 0
    if numbers[5] > 60 or not 1969 <= full_year < _YEAR_LIMIT:
        return 0
    minutes = _offset(offset) if offset else _ZONES.get((zone or b"").decode("ascii").lower(), 0)
    return max(0, (timegm(numbers) - minutes * 60) * 1000)


def _offset(text: bytes) -> int:
    digits = text[1:].replace(b":", b"")
    minutes = int(digits[:2]) * 60 + int(digits[2:4])
    return -minutes if text[:1] == b"-" else minutes


def received_date(value: bytes) -> int:
    """Parse the date of a `Received` field (after its last semicolon) into Unix ms UTC; 0 if there is none."""
    _, semicolon, date = value[-_LIMIT:].rpartition(b";")
    return parse_date(date if semicolon else value[-_LIMIT:])
