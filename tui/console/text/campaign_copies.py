"""The lines of a campaign's copies: the odd ones with the reasons, a rule, then the others.

The others are sorted by fit, lowest first. A line is made when it is drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from datetime import tzinfo
from typing import TYPE_CHECKING, NamedTuple, overload

from store.campaigns.oddness import Reason
from store.terms.sender import address_first
from tui.terminal.cells import placed
from tui.terminal.lines import Line, Span
from tui.terminal.odd_words import reasons_words
from tui.terminal.safe import fit
from tui.terminal.widths import cell_len
from tui.terminal.words import copies, counted

if TYPE_CHECKING:
    from store.campaigns.standing import Campaign
    from store.terms.records import Row

_GRAVITY = {reason: place for place, reason in enumerate(Reason)}
#: Width (cells) from which a line has the time in full.
_WIDE = 92


class CopyOrder(NamedTuple):
    """The ids of a campaign's copies in display order: first `odd` odd ones, then the others.

    `reasons` of the odd ones and `fits` (0 to 100 %) of the others, by id.
    """

    ids: list[int]
    odd: int
    reasons: Mapping[int, tuple[Reason, ...]]
    fits: Mapping[int, int]

    def copy_at(self, line: int) -> int | None:
        """Return the id of the copy on a line; None for the rule, and beyond the end."""
        if 0 <= line < self.odd:
            return self.ids[line]
        place = line - self.rule
        return self.ids[place] if self.odd <= place < len(self.ids) else None

    def line_of(self, place: int) -> int:
        """Return the line of the copy at an index of `ids`."""
        return place if place < self.odd else place + self.rule

    @property
    def rule(self) -> int:
        """Number of rules (0 or 1) between odd copies and others."""
        return int(0 < self.odd < len(self.ids))

    @property
    def lines(self) -> int:
        """Number of lines."""
        return len(self.ids) + self.rule


def order_of(campaign: Campaign) -> CopyOrder:
    """Return all copies of a campaign: odd ones first, by gravity; then the others, lowest fit first."""
    odd = sorted(campaign.odd, key=lambda each: (_GRAVITY[each.reasons[0]] if each.reasons else 99, each.copy))
    fits = dict(zip(campaign.copies, campaign.fits, strict=True))
    rest = sorted(fits, key=lambda copy: (fits[copy], copy))
    return CopyOrder([*(each.copy for each in odd), *rest], len(odd), {each.copy: each.reasons for each in odd}, fits)


def among(order: CopyOrder, there: Container[int]) -> CopyOrder:
    """Reduce the order to the copies in `there`."""
    odd = [copy for copy in order.ids[: order.odd] if copy in there]
    rest = [copy for copy in order.ids[order.odd :] if copy in there]
    return order._replace(ids=[*odd, *rest], odd=len(odd))


class CopyLines(Sequence[Line]):
    """The lines of an order. `row` returns the row of the copy at an index of `ids`, None until it is read."""

    def __init__(
        self,
        order: CopyOrder,
        row: Callable[[int], Row | None],
        marked: Container[int],
        now: int,
        zone: tzinfo,
        width: int,
    ) -> None:
        self.order = order
        self._row = row
        self._marked = marked
        self._now, self._zone = now, zone
        self._width = width
        self._cells = 12 if width >= _WIDE else 6
        # One width for all odd copies and one for all others, so that the columns are straight.
        self._room = width - 2 - self._cells - 2
        most = max(5, self._room * 45 // 100)
        notes = (reasons_words(reasons) for reasons in set(order.reasons.values()))
        self._told = min(max((cell_len(note) for note in notes), default=0), most)

    def __len__(self) -> int:
        return self.order.lines

    @overload
    def __getitem__(self, index: int) -> Line: ...
    @overload
    def __getitem__(self, index: slice) -> list[Line]: ...
    def __getitem__(self, index: int | slice) -> Line | list[Line]:
        if isinstance(index, slice):
            return [self[at] for at in range(*index.indices(len(self)))]
        if not 0 <= index < len(self):
            raise IndexError(index)
        order = self.order
        copy = order.copy_at(index)
        if copy is None:
            words = f" The other {copies(len(order.ids) - order.odd)}, worst fit first "
            return (Span(f"────{words}".ljust(self._width, "─")[: self._width], "muted"),)
        row = self._row(index if index < order.odd else index - order.rule)
        return (Span("  …", "muted"),) if row is None else self._line(row)

    def _line(self, row: Row) -> Line:
        reasons, cells = self.order.reasons.get(row.id), self._cells
        if reasons is None:
            note, kind = f"{self.order.fits.get(row.id, 0):>3} %", "muted"
        else:
            note, kind = reasons_words(reasons), "risk"
        told = cell_len(note) if reasons is None else self._told
        left = self._room - told - 2
        who = max(8, left * 45 // 100)
        marked = row.id in self._marked
        return (
            Span("● " if marked else "  ", "accent"),
            Span(f"{placed(row.stored_at, self._now, self._zone, cells)}  ", "muted"),
            Span(fit(address_first(row.from_), who)),
            Span(f"  {fit(row.subject or '(no subject)', max(0, left - who - 2))}  "),
            Span(fit(note, told), kind),
        )


def head_words(order: CopyOrder, marked: int) -> str:
    """Write ``● 3 of 4,696 copies, 2 odd``."""
    total = copies(len(order.ids))
    parts = [f"● {marked:,} of {total}" if marked else total]
    parts += [counted(order.odd, "odd one first", "odd ones first")] if order.odd else []
    return ", ".join(parts)
