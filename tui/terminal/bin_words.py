"""Words about the bin for console and commands: until when copies can be brought back, and how certain that is."""

from __future__ import annotations

from datetime import datetime, tzinfo
from typing import TYPE_CHECKING

from tui.terminal.words import copies, counted

if TYPE_CHECKING:
    from store.space.bin import Promise
    from store.vault.bin import BinAct

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MINUTE = 60_000
_HOUR, _DAY = 60 * _MINUTE, 24 * 60 * _MINUTE


def promise_words(promise: Promise, zone: tzinfo | None = None, now: int | None = None) -> str:
    """Write ``until 2 Dec`` or ``until 2 Dec, or about 30 hours at this rate``, in `zone` (default: the local one)."""
    until = f"until {day(promise.until, zone, now)}"
    return until if promise.lasts is None else f"{until}, or about {length(promise.lasts)} at this rate"


def length(milliseconds: int) -> str:
    """Write a duration in the best unit: ``40 minutes``, ``30 hours``, ``5 days``."""
    for unit, name, from_ in ((_DAY, "day", 3 * _DAY), (_HOUR, "hour", 2 * _HOUR), (_MINUTE, "minute", 0)):
        if milliseconds >= from_:
            return counted(max(1, round(milliseconds / unit)), name, name + "s")
    return "no time"


def day(milliseconds: int, zone: tzinfo | None = None, now: int | None = None) -> str:
    """Write ``2 Dec``, with the year if it is not that of `now`; ``no date`` for an impossible time.

    `milliseconds` and `now` (default: the current time) are Unix ms.
    """
    try:
        when = datetime.fromtimestamp(milliseconds / 1000, zone)
    except (ValueError, OverflowError, OSError):
        return "no date"
    this = datetime.now(zone) if now is None else datetime.fromtimestamp(now / 1000, zone)
    year = "" if when.year == this.year else f" {when.year}"
    return f"{when.day} {_MONTHS[when.month - 1]}{year}"


def standing(act: BinAct) -> str:
    """Say how many copies of a deletion are still in the bin: ``all there``, ``3 of 10 back``, ``3 of
    10 back, 2 gone``, ``all back``.
    """
    if act.left == act.copies:
        return "all there"
    if act.restored == act.copies:
        return "all back"
    said = [f"{act.restored:,} of {act.copies:,} back"] if act.restored else []
    said += [f"{act.gone:,} gone"] if act.gone else []
    return ", ".join(said) or f"{copies(act.left)} there"
