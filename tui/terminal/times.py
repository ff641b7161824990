"""Times written in full, for fields and logs where nothing may be ambiguous."""

from __future__ import annotations

from datetime import tzinfo

from tui.terminal.cells import MONTHS, local, zone_name


def full_time(ms: int, zone: tzinfo) -> str:
    """Write Unix ms as ``24 Nov 2026 07:41:05 UTC+2``; "" for 0, which stands for unknown."""
    if not ms:
        return ""
    when = local(ms, zone)
    clock = f"{when.hour:02}:{when.minute:02}:{when.second:02}"
    return f"{when.day} {MONTHS[when.month - 1]} {when.year} {clock} {zone_name(zone, ms)}"


def short_time(ms: int, zone: tzinfo) -> str:
    """Write Unix ms as ``24 Nov 07:41:05`` (15 cells), for lists of recent times; blanks for 0."""
    if not ms:
        return " " * 15
    when = local(ms, zone)
    return f"{when.day:2} {MONTHS[when.month - 1]} {when.hour:02}:{when.minute:02}:{when.second:02}"


def minute_time(ms: int, zone: tzinfo) -> str:
    """Write Unix ms as ``24 Nov 2026 07:41``, for sentences."""
    when = local(ms, zone)
    return f"{when.day} {MONTHS[when.month - 1]} {when.year} {when.hour:02}:{when.minute:02}"


def waits_until(until: int, now: int, zone: tzinfo) -> str:
    """Write ``waits until 07:41:20 (12 s)``, or ``(4 min)`` from 90 s on; both times are Unix ms."""
    return f"waits until {clock_and_left(until, now, zone)}"


def clock_and_left(until: int, now: int, zone: tzinfo) -> str:
    """Write a time ahead as ``07:41:20 (12 s)``; both times are Unix ms."""
    when = local(until, zone)
    return f"{when.hour:02}:{when.minute:02}:{when.second:02} ({time_left(until - now)})"


def time_left(milliseconds: int) -> str:
    """Write a duration (ms) as ``12 s``, from 90 s on as ``4 min``; ``0 s`` if nothing is left."""
    seconds = max(0, -(-milliseconds // 1000))
    return f"{seconds} s" if seconds < 90 else f"{round(seconds / 60)} min"
