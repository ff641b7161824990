"""The checks before campaigns are deleted, in words: lines with ✓ or ▲, a number and details."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import tzinfo
from typing import TYPE_CHECKING, NamedTuple

from store.clearing.checked import LOOSE
from store.terms.verdicts import verdict_label
from tui.terminal.cells import local
from tui.terminal.safe import safe
from tui.terminal.words import counted

if TYPE_CHECKING:
    from store.clearing.checked import Checked, Stay, Weakest

FINE, AGAINST, MORE = "✓", "▲", "·"
#: Longest owner's name shown (characters).
_NAME = 20


class Line(NamedTuple):
    """One check: its sign, what it is about, the number of copies (None: no number), and details."""

    sign: str
    what: str
    number: int | None = None
    more: str = ""


def check_lines(checked: Checked, zone: tzinfo, operator: str = "") -> Iterator[Line]:
    """Yield the window's lines, safe to show.

    `operator` is the asking operator, whose own campaigns are not mentioned.
    """
    total = checked.total
    yield from _both(
        Line(FINE, "condemned by an engine", checked.condemned, _weakest(checked.weakest)),
        Line(AGAINST, "condemned by no engine", total - checked.condemned),
    )
    if checked.loosest is not None:
        yield Line(FINE, "fit their campaign", total, f"worst {checked.loosest.fit} %: ] shows it")
        if checked.loose:
            yield Line(MORE, f"of them under {LOOSE} %", checked.loose)
    yield from _both(
        Line(FINE, "senders nobody here wrote to", total - checked.written_to - checked.unknown),
        Line(AGAINST, "senders someone wrote to", checked.written_to),
        Line(AGAINST, "not known if anyone wrote", checked.unknown, "no gateway looked it up"),
        Line(AGAINST, "senders let through before", checked.let_through),
    )
    yield from _both(
        Line(FINE, "never delivered, not queued", total - checked.delivered),
        Line(AGAINST, "delivered before", checked.delivered, "or it is not known"),
    )
    if checked.arriving:
        when = local(checked.at, zone)
        what = f"still arriving in {counted(checked.arriving, 'campaign', 'campaigns')}"
        yield Line(AGAINST, what, None, f"copies after {when.hour:02}:{when.minute:02} stay")
    for owner, campaigns in checked.owners:
        if owner != operator:
            yield Line(AGAINST, f"{safe(owner, max_len=_NAME)} works on {counted(campaigns, 'campaign', 'campaigns')}")


def _both(*lines: Line) -> Iterator[Line]:
    """Yield the lines for all checks that concern at least one copy."""
    return (line for line in lines if line.number)


def _weakest(weakest: Weakest | None) -> str:
    if weakest is None:
        return ""
    score = "" if weakest.score is None else f" {weakest.score:.1f}"
    return f"weakest: {verdict_label(weakest.engine, weakest.status)}{score}"


def stay_words(stay: Stay) -> str:
    """Write ``157 copies stay: 155 in no campaign, 2 peeled off.``; "" if no copy stays."""
    if not stay.total:
        return ""
    reasons = (
        (stay.alone, "in no campaign"),
        (stay.elsewhere, "in other campaigns"),
        (stay.odd, "odd"),
        (stay.peeled, "peeled off"),
        (stay.waiting, "waiting for delivery"),
        (stay.damaged, "damaged"),
    )
    told = ", ".join(f"{number:,} {what}" for number, what in reasons if number)
    return f"{counted(stay.total, 'copy stays', 'copies stay')}: {told}."


def gone_words(gone: int) -> str:
    """Write ``12 copies are no longer in Backup.``; "" if none is gone."""
    return f"{counted(gone, 'copy is', 'copies are')} no longer in Backup." if gone else ""
