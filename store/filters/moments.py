"""Converts dates and times of the filter line to Unix ms and back."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, tzinfo

_TIME = re.compile(
    r"(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d)(:\d\d)?(\.\d{3})?)?(Z|[+-]\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?)?", re.ASCII
)
_TIME_SHAPE = "0000-00-00T00:00:00.000+00:00"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS = timedelta(milliseconds=1)


def may_become_time(text: str) -> bool:
    """Return True if a text (upper case) that is not a time could become one by typing on."""
    shape = re.sub(r"\d", "0", text).replace(" ", "T")
    return text.isascii() and (
        _TIME_SHAPE.startswith(shape) or re.fullmatch(r"\d{4}-\d\d-\d\d.*[+-][\d:]*", text) is not None
    )


def read_time(text: str, tz: tzinfo, *, end: bool) -> int | None:
    """Return the first ms (`end`: the last) of the date or time in `text` (Unix ms); None if it has another form.

    Raises ValueError or OverflowError if the form is right, but there is no such date or time.
    """
    match = _TIME.fullmatch(text)
    return None if match is None else _milliseconds(match, tz, end=end)


def _milliseconds(match: re.Match[str], tz: tzinfo, *, end: bool) -> int:
    """Return the first or last ms (Unix) of a match of `_TIME`. Raises ValueError, OverflowError."""
    date, minute, second, fraction, zone = match.groups()
    text = f"{date}T{minute or '00:00'}{second or ''}{fraction or ''}"
    start = datetime.fromisoformat(text + (zone or "").replace("Z", "+00:00"))
    length = timedelta(milliseconds=1) if fraction else timedelta(seconds=1) if second else timedelta(minutes=1)
    if minute is None:
        length = timedelta(days=1)
    moment = start + length if end else start
    if moment.tzinfo is None:
        if end and _is_second(last := (moment - _MS).replace(tzinfo=tz, fold=1)):
            return (last - _EPOCH) // _MS
        moment = moment.replace(tzinfo=tz)
    return (moment - _EPOCH) // _MS - end


def _is_second(moment: datetime) -> bool:
    """Return whether a clock that is set back shows a moment with `fold=1` for the second time: the last one counts."""
    first, second = moment.replace(fold=0).utcoffset(), moment.utcoffset()
    return first is not None and second is not None and second < first


def print_time(moment: int, tz: tzinfo, *, end: bool) -> str:
    """Write the shortest form that is parsed to exactly this ms; with an offset if the local time is ambiguous."""
    try:
        local = (_EPOCH + timedelta(milliseconds=moment + end)).astimezone(tz)
        shown = local - timedelta(milliseconds=1) if end else local
    except OverflowError:
        local = shown = (_EPOCH + timedelta(milliseconds=moment)).astimezone(UTC)
    plain = shown.replace(tzinfo=None)
    forms = [plain.date().isoformat(), plain.isoformat("T", "minutes"), plain.isoformat("T", "seconds")]
    forms.append(plain.isoformat("T", "milliseconds"))
    exact = (_EPOCH + timedelta(milliseconds=moment)).replace(tzinfo=None).isoformat("T", "milliseconds") + "Z"
    for form in forms:
        match = _TIME.fullmatch(form)
        try:
            if match and _milliseconds(match, tz, end=end) == moment:
                return form
        except (ValueError, OverflowError):
            continue
    return exact
