"""Events: the audit trail, newest first."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.widgets import Rule, Static

from store.authority.acts import cut_off, folded
from store.authority.audit import events
from store.helpers.runs import ranges
from tui.console.context import ConsoleContext
from tui.console.keys.keymap import Scope, bindings
from tui.console.screens.page import Page
from tui.console.tasks import explain
from tui.console.widgets.line_view import LineView
from tui.terminal.lines import Line, Span, wrap
from tui.terminal.safe import fit, safe
from tui.terminal.setting_words import change_words
from tui.terminal.times import short_time
from tui.terminal.widths import cell_len
from tui.terminal.words import copies

if TYPE_CHECKING:
    from datetime import tzinfo

    from store.authority.audit import Event
    from store.vault.vault import Vault

_PAGE = 500
#: Seconds of reading older events before they are shown.
_STEP = 0.25
#: Most events read at once only because an act goes on beyond those read: a million copies are imported in 20,000.
_MOST = 50_000
#: From this width on (cells) a long name of an event is not cut.
_ROOMY = 90
_OPERATOR, _ACTION, _LONGEST = 12, 20, 30
#: Characters of an operator's name that always stay beside the uid.
_NAME = 4
#: Ranges of copy ids that an event's line names, at least and at most.
_RUNS, _MOST_RUNS = 6, 40


def event_lines(events: Sequence[Event], zone: tzinfo, width: int) -> list[Line]:
    """Write the events: time, operator (a dash for the program itself) and login uid, action, copies, details."""
    lines: list[Line] = []
    named = max((cell_len(safe(event.action)) for event in events), default=0)
    longest = max(_ACTION, min(_LONGEST if width >= _ROOMY else _ACTION, named))
    for event in events:
        head = f"{short_time(event.at, zone)}  {_who(event)}  "
        indent = cell_len(head)
        action = safe(event.action)
        if event.damage:
            said = f"▲ event {event.id} is damaged or was tampered with: {event.damage}"
            lines += [
                (Span(head if number == 0 else " " * indent, "muted"), Span(piece, "danger"))
                for number, piece in enumerate(wrap(said, max(8, width - indent)))
            ]
            if not event.action:
                continue
        room = width - indent - longest - 2
        detail = _detail(event, room if room >= 24 else width - 2)
        if room >= 24:
            first, *rest = wrap(detail, room)
            lines.append((Span(head, "muted"), Span(fit(action, longest) + "  "), Span(first, "muted")))
            lines += [(Span(" " * (indent + longest + 2) + piece, "muted"),) for piece in rest]
        else:
            lines.append((Span(head, "muted"), Span(fit(action, max(0, width - indent)))))
            lines += [(Span(f"  {piece}", "muted"),) for piece in wrap(detail, max(8, width - 2)) if piece]
    return lines


def _detail(event: Event, room: int) -> str:
    """Write on how many copies, and what the event says; as many of the copies' numbers as a line has room for."""
    detail = safe(change_words(event.action, event.detail))
    if not event.copies:
        return detail

    most, more = ranges(event.copies, _MOST_RUNS), cut_off(event)
    runs, ellipsis = most.removesuffix(" …").split(", "), more or most.endswith("…")

    def said(number: int) -> str:
        and_more = " …" if ellipsis or number < len(runs) else ""
        what = f"{'at least ' * more}{copies(len(event.copies))}: {', '.join(runs[:number])}{and_more}"
        return f"{what}  {detail}" if detail else what

    return next((text for text in map(said, range(len(runs), _RUNS, -1)) if cell_len(text) <= room), said(_RUNS))


def _who(event: Event) -> str:
    """Write the operator and the login's user id in one column; a long name is cut, never the id."""
    name = event.operator or "—"
    if event.uid is None:
        return fit(name, _OPERATOR)
    uid = str(event.uid)
    return f"{fit(name, max(_NAME, _OPERATOR - len(uid) - 1))} {uid}"


class _Older(NamedTuple):
    """Events before those read so far. `ended`: there are no more; `lacking`: an act goes on beyond them."""

    events: list[Event]
    ended: bool
    lacking: bool


def _goes_on(events: Sequence[Event], acts: Collection[int] = ()) -> set[int]:
    """Return the acts of `events`, and of `acts`, whose first event is older than `events`, not damaged among them."""
    oldest = min((event.number for event in events if event.number), default=0)
    every = {event.act for event in events if event.act}.union(acts)
    return {act for act in every if act < oldest or not oldest}


def read_older(vault: Vault, known: Sequence[Event], *, most: int) -> _Older:
    """Read the events before those `known`: a page, and while an act goes on more, for `_STEP` and to `most` events."""
    found: list[Event] = []
    lacking, until = _goes_on(known), time.monotonic() + _STEP
    while True:
        page = events(vault, _PAGE, (found or known)[-1].id, lenient=True)
        found += page
        lacking = _goes_on(page, lacking)
        ended = len(page) < _PAGE
        if ended or not lacking or len(found) >= most or time.monotonic() > until:
            return _Older(found, ended, bool(lacking))


class EventsView(Page):
    """The audit trail.

    Older events are read until the screen is full and each act in it is complete, and then when the end of the list
    comes into view.
    """

    DEFAULT_CSS = """
    EventsView > #events-head { height: 1; color: $text-muted; text-wrap: nowrap; text-overflow: ellipsis; }
    """
    BINDINGS: ClassVar[list[BindingType]] = bindings(Scope.PAGE)

    def __init__(self, context: ConsoleContext) -> None:
        super().__init__(context)
        self.lines = LineView(id="events-lines")
        self.events: list[Event] = []
        self._ended = False
        self._reading = False
        #: True if an act goes on beyond the events read; how many events may still be read only because of that.
        self._lacking = False
        self._left = _MOST

    def compose(self) -> ComposeResult:
        yield Static(f"{'Time':<15}  {'Operator uid':<{_OPERATOR}}  Event", id="events-head", markup=False)
        yield Rule(line_style="solid")
        yield self.lines

    def on_mount(self) -> None:
        self.watch(self.lines, "scroll_y", self._scrolled, init=False)

    def follow_store(self) -> None:
        """Read new events, and put them before those shown."""
        vault, known = self.context.vault, self.events
        newest = known[0].id if known else 0

        def read() -> tuple[list[Event], bool]:
            found = events(vault, _PAGE, lenient=True)
            while newest and found and found[-1].id > newest + 1 and len(found) % _PAGE == 0:
                found += events(vault, _PAGE, found[-1].id, lenient=True)
            new = [event for event in found if event.id > newest]
            return new, bool(_goes_on([*new, *known]))

        self.context.shell.background(read, self._newer, on_error=self._failed, group="events")

    def _newer(self, found: tuple[list[Event], bool]) -> None:
        new, self._lacking = found
        if self.is_attached and (new or not self.events):
            self._ended = self._ended or (not self.events and len(new) < _PAGE)
            self.events = new + self.events
            self._draw()
        else:
            self._read_on()

    def _scrolled(self) -> None:
        self._left = _MOST
        self._read_on()

    def _read_on(self) -> None:
        """Read older events if the end of the list is in view or soon will be, or if an act in it is not complete."""
        if self._ended or self._reading or not self.events or not self.display:
            return
        view = self.lines
        full = len(view.lines) >= view.scroll_y + 2 * view.size.height
        if full and not (self._lacking and self._left > 0):
            return
        self._reading = True
        vault, known, most = self.context.vault, self.events, max(1, self._left)
        self.context.shell.background(
            lambda: read_older(vault, known, most=most), self._older, on_error=self._failed, group="events-older"
        )

    def _older(self, found: _Older) -> None:
        self._reading = False
        self._ended, self._lacking = found.ended, found.lacking
        self._left -= len(found.events)
        if self.is_attached:
            self.events = self.events + found.events
            self._draw()

    def _failed(self, error: Exception) -> None:
        self._reading, self._ended = False, True
        if self.is_attached:
            sentence = explain(error)
            self.lines.build(lambda width: [(Span(piece, "danger"),) for piece in wrap(f"▲ {sentence}", width)])

    def _draw(self) -> None:
        read, now, zone = self.events, self.context.clock(), self.context.tz
        if read:
            self.lines.build(lambda width: event_lines(folded(read, now), zone, width))
        else:
            self.lines.build(lambda width: [(Span("No events yet.", "muted"),)])

    def build_lines(self, event: LineView.Wanted) -> None:
        builder, width, view = event.builder, event.width, event.view

        def show(lines: Sequence[Line]) -> None:
            view.show(lines)
            self._read_on()

        self.context.shell.background(lambda: builder(width), show, group="events-lines")
