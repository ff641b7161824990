"""The lines of Monitoring, drawn in characters: used space, copies by engine, copies by day. Pure functions.

Everything is readable without colour: each bar has its number, and each engine has its own row of daily bars, all to
one scale, instead of one stacked bar in several colours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import tzinfo
from typing import TYPE_CHECKING, NamedTuple

from store.helpers.clock import DAY_MS
from store.mail.outcome import NOTHING_TO_DO, Attention
from store.terms.sizes import format_size
from store.terms.verdicts import Engine
from tui.console.text.columns import SHORT_ENGINES
from tui.terminal.cells import MONTHS, age, local
from tui.terminal.lines import EMPTY, Line, Span, wrap
from tui.terminal.outcome_words import queue_words
from tui.terminal.times import minute_time
from tui.terminal.words import copies

if TYPE_CHECKING:
    from store.authority.settings import Settings
    from store.space.limits import LastKnown, Usage
    from store.space.rotation import Forecast

_EIGHTHS = " ▏▎▍▌▋▊▉█"
_RISING = " ▁▂▃▄▅▆▇█"
_LABEL = 14
#: Cells right of the bars, for numbers.
_NUMBERS = 22
#: Numbers of days that can be shown; the largest that fits is used.
DAYS = (90, 75, 60, 42, 30, 21, 14)

Days = Sequence[tuple[int, Mapping[Engine | None, int]]]


class Facts(NamedTuple):
    """The data of Monitoring. `days` ends today; `share` is the loaded part of the catalogue (1.0: all).

    `waiting`: unfinished deliveries; `attention`: deliveries that need attention; `damaged`: what is wrong with the
    settings and which limits rotation uses meanwhile, None if they verify.
    """

    usage: Usage
    settings: Settings
    engines: Mapping[Engine | None, int]
    days: Days
    forecast: Forecast
    share: float
    now: int
    zone: tzinfo
    waiting: int = 0
    attention: Attention = NOTHING_TO_DO
    damaged: LastKnown | None = None


def bar(value: float, width: int) -> str:
    """Draw a bar of `value` (0 to 1) in `width` cells, in steps of 1/8 cell. Any value above 0 is visible."""
    eighths = round(max(0.0, min(1.0, value)) * width * 8)
    if value > 0 and not eighths:
        eighths = 1
    full, rest = divmod(eighths, 8)
    return ("█" * full + (_EIGHTHS[rest] if rest else "")).ljust(width)


def chart(values: Sequence[int], height: int, cells: int = 1, *, scale: int = 0) -> list[str]:
    """Draw vertical bars, `height` rows high (top row first) and `cells` cells wide.

    The full height is `scale` (0: the greatest value). Any value above 0 is visible; 0 is a dot on the base line.
    """
    most = scale or max(values, default=0) or 1
    rows: list[str] = []
    for row in range(height - 1, -1, -1):
        line: list[str] = []
        for value in values:
            eighths = max(1, round(value * height * 8 / most)) if value else 0
            here = max(0, min(8, eighths - row * 8))
            line.append((_RISING[here] if here else "·" if row == 0 and not value else " ") * cells)
        rows.append("".join(line))
    return rows


def monitoring_lines(facts: Facts, width: int, height: int) -> list[Line]:
    """Write all of Monitoring for a view of this size. Lines beyond its height scroll."""
    order = _order(facts.engines)
    space = _space_lines(facts, width)
    engines = _engine_lines(facts, order, width)
    room = height - len(space) - len(engines) - 4
    each = room // len(order)
    apart = each >= 3
    rows = max(1, min(4, each - apart))
    return [*space, EMPTY, *engines, EMPTY, *_day_lines(facts, order, width, rows, apart)]


def _order(counts: Mapping[Engine | None, int]) -> list[Engine | None]:
    """Sort the engines by copies, most first; None (copies without a verdict) comes last, if there are such."""
    engines: list[Engine | None] = sorted(Engine, key=lambda engine: -counts.get(engine, 0))
    return engines + ([None] if counts.get(None) else [])


def _name(engine: Engine | None) -> str:
    return SHORT_ENGINES[engine] if engine else "No verdict"


def _space_lines(facts: Facts, width: int) -> list[Line]:
    if not facts.usage.max_bytes:
        line = (Span(f"{'Used':<{_LABEL}}", "label"), Span(format_size(facts.usage.used_bytes), "strong"))
        return [*_damage_lines(facts, width), line, *_rest_lines(facts, width)]
    usage, settings = facts.usage, facts.settings
    maximum = max(1, usage.max_bytes)
    share = usage.used_bytes / maximum
    kind = "risk" if usage.free_bytes < settings.notify_below else "accent"
    percent = "<1 %" if 0 < share < 0.01 else f"{share:.0%}".replace("%", " %")
    used = f"{format_size(usage.used_bytes)} of {format_size(usage.max_bytes)}"
    cells = max(8, width - _LABEL - len(used) - 9)
    filled = bar(share, cells).rstrip()
    lines: list[Line] = [
        (
            Span(f"{'Used':<{_LABEL}}", "label"),
            Span(f"{used}  ", "strong"),
            Span(filled, kind),
            Span("░" * (cells - len(filled)), "muted"),
            Span(f"{percent:>6}", kind if kind == "risk" else "text"),
        )
    ]
    if facts.damaged:
        note = ""
    elif not settings.notify_below:
        note = "no notification"
    elif kind == "risk":
        note = f"△ below the threshold of {format_size(settings.notify_below)}"
    else:
        note = f"notify below {format_size(settings.notify_below)}"
    lines.append(
        (
            Span(f"{'Free':<{_LABEL}}", "label"),
            Span(f"{format_size(usage.free_bytes)}  "),
            Span(note, kind if kind == "risk" else "muted"),
        )
    )
    return [*_damage_lines(facts, width), *lines, *_rest_lines(facts, width)]


def _rest_lines(facts: Facts, width: int) -> list[Line]:
    return [*_bin_lines(facts.usage), *_oldest_lines(facts, width), _queue_line(facts)]


def _bin_lines(usage: Usage) -> list[Line]:
    """Write how much the bin holds, and its share of the maximum size; [] if it is empty."""
    if not usage.binned:
        return []
    share = f"  share {format_size(usage.bin_bytes)}" if usage.max_bytes else ""
    held = f"{format_size(usage.binned_bytes)} in {copies(usage.binned)}"
    return [(Span(f"{'Bin':<{_LABEL}}", "label"), Span(held), Span(share, "muted"))]


def _damage_lines(facts: Facts, width: int) -> list[Line]:
    """Write what is wrong with the settings, and what applies meanwhile; [] if they verify."""
    if facts.damaged is None:
        return []
    said = f"▲ {facts.damaged.problem} {facts.damaged} Run `mailhold settings reset`."
    return [(Span(piece, "danger"),) for piece in wrap(said, width)]


def _queue_line(facts: Facts) -> Line:
    kind = "danger" if facts.attention.failed else "risk" if facts.attention.ids else "text"
    return (Span(f"{'Deliveries':<{_LABEL}}", "label"), Span(queue_words(facts.attention, facts.waiting), kind))


def _oldest_lines(facts: Facts, width: int) -> list[Line]:
    oldest = facts.forecast.oldest
    if oldest is None:
        return [(Span(f"{'Oldest copy':<{_LABEL}}", "label"), Span("Backup is empty", "muted"))]
    shown = minute_time(oldest, facts.zone)
    rate = f"{format_size(facts.forecast.bytes_per_day)} a day"
    return [
        (Span(f"{'Oldest copy':<{_LABEL}}", "label"), Span(f"{shown}  "), Span(age(oldest, facts.now), "muted")),
        (Span(f"{'Rotation':<{_LABEL}}", "label"), *_rotation(facts, rate, width - _LABEL)),
    ]


def _rotation(facts: Facts, rate: str, width: int) -> tuple[Span, ...]:
    at = facts.forecast.reaches_oldest_at
    if not facts.usage.max_bytes:
        return (Span("nothing is removed", "risk"), Span(f"  at {rate}", "muted"))
    if at is None:
        return (Span("not expected", "text"), Span(f"  at {rate}", "muted"))
    if at <= facts.now:
        return (Span("removing the oldest copies now", "risk"), Span(f"  at {rate}", "muted"))
    when = local(at, facts.zone)
    ahead = age(facts.now, at)
    day = f"{when.day} {MONTHS[when.month - 1]} {when.year}"
    kind = "risk" if at - facts.now < 2 * DAY_MS else "text"
    text = f"removes it in about {ahead}, on {day}"
    return (Span(text, kind), Span(f"  at {rate}" if len(text) + len(rate) + 5 <= width else "", "muted"))


def _engine_lines(facts: Facts, order: Sequence[Engine | None], width: int) -> list[Line]:
    total = sum(facts.engines.values())
    counting = "" if facts.share >= 1 else f"  counting: {facts.share:.0%} so far".replace("%", " %")
    lines: list[Line] = [
        (Span("Copies by engine", "strong"), Span(f"  {total:,} in all{counting}", "muted")),
    ]
    most = max(facts.engines.values(), default=0) or 1
    cells = max(4, width - _LABEL - _NUMBERS)
    for engine in order:
        count = facts.engines.get(engine, 0)
        share = f"{count / total:.1%}".replace("%", " %") if total else ""
        lines.append(
            (
                Span(f"{_name(engine):<{_LABEL}}", "label"),
                Span(bar(count / most, cells), "accent"),
                Span(f"{count:>10,}"),
                Span(f"{share:>8}", "muted"),
            )
        )
    return lines


def _day_lines(facts: Facts, order: Sequence[Engine | None], width: int, rows: int, apart: bool) -> list[Line]:
    room = max(7, width - _LABEL - _NUMBERS)
    days = next((days for days in DAYS if days <= room), 7)
    cells = max(1, min(3, room // days))
    shown = facts.days[-days:]
    totals = [sum(counts.values()) for _, counts in shown]
    peak = max(range(len(totals)), key=totals.__getitem__, default=None)
    note = ""
    if peak is not None and totals[peak]:
        note = f"  {sum(totals):,} in {len(shown)} days, most on {_day(shown[peak][0], facts.zone)}: {totals[peak]:,}"
    lines: list[Line] = [(Span("Copies by day", "strong"), Span(note or f"  none in the last {days} days", "muted"))]
    if not note:
        return lines
    scale = max((counts.get(engine, 0) for _, counts in shown for engine in order), default=0)
    brief = f"  {sum(totals):,} in {len(shown)} days"
    ways = (
        f"{note}  every row to one scale: 0 to {scale:,} a day",
        f"{note}  scale 0 to {scale:,} a day",
        f"{brief}  scale 0 to {scale:,} a day",
    )
    said = next((text for text in ways if len(text) + len("Copies by day") <= width), f"  scale 0 to {scale:,}")
    lines[0] = (lines[0][0], Span(said, "muted"))
    for engine in order:
        values = [counts.get(engine, 0) for _, counts in shown]
        drawn = chart(values, rows, cells, scale=scale)
        numbers = f"{sum(values):>{10 + room - len(drawn[-1])},}"
        if apart:
            lines.append(EMPTY)
        for row, text in enumerate(drawn):
            last = row == rows - 1
            lines.append(
                (
                    Span(f"{_name(engine) if last else '':<{_LABEL}}", "label"),
                    Span(text, "accent"),
                    Span(numbers if last else ""),
                    Span(f"  max {max(values, default=0):,}" if last else "", "muted"),
                )
            )
    return [*lines, _axis(shown, cells, facts.zone)]


def _day(ms: int, zone: tzinfo) -> str:
    when = local(ms, zone)
    return f"{when.day} {MONTHS[when.month - 1]}"


def _axis(days: Days, cells: int, zone: tzinfo) -> Line:
    """Write the first day, the middle one and today below their bars."""
    if not days:
        return EMPTY
    length = len(days) * cells
    first, middle, last = (_day(days[at][0], zone) for at in (0, len(days) // 2, -1))
    text = list(" " * length)
    text[: len(first)] = first
    start = len(days) // 2 * cells
    if len(first) + 2 < start and start + len(middle) + 2 < length - len(last):
        text[start : start + len(middle)] = middle
    if len(first) + 2 + len(last) <= length:
        text[length - len(last) :] = last
    return (Span(" " * _LABEL), Span("".join(text), "muted"))
