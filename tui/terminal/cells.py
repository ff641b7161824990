"""Numbers and times in few cells, aligned, for lists and the top line."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo

_UNITS = "KMGT"
#: Not strftime's %b, which follows the locale: the console's words are English.
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def short_size(size: int) -> str:
    """Write bytes in at most 6 cells, in binary units: ``812 B``, ``2.1 KB``, ``84 KB``, ``1.5 GB``."""
    if size < 1000:
        return f"{size} B"
    value = float(size)
    for unit in _UNITS:
        value /= 1024
        if value < 9.95:
            return f"{value:.1f} {unit}B"
        if value < 999.5:
            return f"{value:.0f} {unit}B"
    return f"{value:.0f} {_UNITS[-1]}B"


def local(ms: int, zone: tzinfo) -> datetime:
    """Convert Unix ms to a time in a zone; a time out of range becomes 1 January 1970 or 9998."""
    try:
        return datetime.fromtimestamp(ms / 1000, zone)
    except (OverflowError, OSError, ValueError):
        return datetime(1970 if ms < 0 else 9998, 1, 1, tzinfo=zone)


def placed(ms: int, now: int, zone: tzinfo, width: int) -> str:
    """Write when a copy was placed: ``24 Nov 07:41`` or ``24 Nov  2024`` (12 cells),
    ``07:41`` or ``24 Nov`` (6 cells).
    """
    when, today = local(ms, zone), local(now, zone)
    day = f"{when.day:2} {MONTHS[when.month - 1]}"
    clock = f"{when.hour:02}:{when.minute:02}"
    if width >= 12:
        return f"{day} {clock}" if when.year == today.year or 0 <= now - ms < 90 * 86_400_000 else f"{day}  {when.year}"
    if when.date() == today.date():
        return f" {clock}"
    return day if when.year == today.year else f"  {when.year}"


def age(ms: int, now: int) -> str:
    """Write roughly how long ago: ``11 days``, ``3 hours``, ``1 minute``."""
    seconds = max(0, now - ms) // 1000
    for unit, length in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        if seconds >= length:
            number = seconds // length
            return f"{number:,} {unit}{'' if number == 1 else 's'}"
    return "a moment"


def zone_name(zone: tzinfo, now: int) -> str:
    """Write a zone as its offset from UTC: ``UTC``, ``UTC+2``, ``UTC-3:30``."""
    offset = local(now, zone).utcoffset()
    minutes = int(offset.total_seconds() // 60) if offset else 0
    if minutes == 0:
        return "UTC"
    hours, rest = divmod(abs(minutes), 60)
    return f"UTC{'+' if minutes > 0 else '-'}{hours}" + (f":{rest:02}" if rest else "")


def now_ms() -> int:
    """Return the current time (Unix ms)."""
    return int(datetime.now(UTC).timestamp() * 1000)


class LocalZone(tzinfo):
    """The machine's time zone: the offset of each moment is the one in force then, in summer or in winter."""

    def fromutc(self, moment: datetime) -> datetime:
        try:
            return datetime.fromtimestamp(moment.replace(tzinfo=UTC).timestamp()).replace(tzinfo=self)
        except (ValueError, OverflowError, OSError):  # outside what the system can convert
            return moment + _offset_now()

    def utcoffset(self, moment: datetime | None) -> timedelta | None:
        if moment is None:
            return None
        try:
            return moment.replace(tzinfo=None).astimezone().utcoffset()
        except (ValueError, OverflowError, OSError):
            return _offset_now()

    def dst(self, _moment: datetime | None) -> timedelta | None:
        return None

    def tzname(self, moment: datetime | None) -> str | None:
        return None if moment is None else moment.replace(tzinfo=None).astimezone().tzname()


def _offset_now() -> timedelta:
    return datetime.now().astimezone().utcoffset() or timedelta()


def local_zone() -> tzinfo:
    """Return the machine's time zone."""
    return LocalZone()
