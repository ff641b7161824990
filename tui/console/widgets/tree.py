"""The console tree: the places of the console, with counts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import BindingType
from textual.message import Message
from textual.reactive import reactive
from textual.strip import Strip
from textual.widget import Widget

from store.terms.verdicts import Engine
from tui.console.keys.keymap import Scope, bindings
from tui.console.text.columns import SHORT_ENGINES
from tui.terminal.safe import fit


@dataclass(frozen=True)
class Place:
    """A line of the tree. `id` is passed to the shell; `engine` narrows the message list.

    `saved`: key of a saved filter, "" for other places.
    """

    id: str
    label: str
    depth: int = 0
    engine: Engine | None = None
    saved: str = ""


#: All places, top to bottom.
PLACES = (
    Place("monitoring", "Monitoring"),
    Place("backup", "Backup"),
    Place("all", "All messages", 1),
    *(Place(f"engine:{engine.value}", label, 1, engine) for engine, label in SHORT_ENGINES.items()),
    Place("saved", "Saved filters", 1),
    Place("campaigns", "Campaigns"),
    Place("bin", "Bin"),
    Place("queue", "Message queue"),
    Place("rules", "Rules"),
    Place("addresses", "Address lists"),
    Place("events", "Events"),
    Place("settings", "Settings"),
)


class ConsoleTree(Widget, can_focus=True):
    """Shows the places. Moving the cursor opens a place at once; Enter also focuses the workspace."""

    DEFAULT_CSS = """
    ConsoleTree {
        width: 25; height: 1fr; padding: 0 1; background: $surface;
        & > .tree--place { color: $foreground; }
        & > .tree--count { color: $muted; }
        & > .tree--here { color: $accent; text-style: bold; }
        & > .tree--cursor { background: $cursor; }
        &:ansi > .tree--cursor, &:nocolor > .tree--cursor { text-style: reverse; }
    }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {"tree--place", "tree--count", "tree--here", "tree--cursor"}
    BINDINGS: ClassVar[list[BindingType]] = bindings(Scope.TREE)
    scope = Scope.TREE

    here: reactive[str] = reactive("all")
    cursor: reactive[int] = reactive(2)
    expanded: reactive[bool] = reactive(True)

    class Chosen(Message):
        """A place was chosen. `enter`: focus the workspace."""

        def __init__(self, place: Place, *, enter: bool) -> None:
            super().__init__()
            self.place = place
            self.enter = enter

    class Delete(Message):
        """Delete the item at a place (a saved filter)."""

        def __init__(self, place: Place) -> None:
            super().__init__()
            self.place = place

    class Left(Message):
        """The user wants to go back to the workspace."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._counts: dict[str, int] = {}
        self._saved: list[Place] = []
        self._saved_counts: dict[str, int | None] = {}

    def show_counts(self, total: int, engines: Mapping[Engine | None, int], others: Mapping[str, int]) -> None:
        """Set the counts: all copies, copies by engine, and counts of other places by id (0 is not shown)."""
        counts = {place.id: engines.get(place.engine, 0) for place in PLACES if place.engine is not None}
        counts["all"] = total
        counts.update({place: count for place, count in others.items() if count})
        if counts != self._counts:
            self._counts = counts
            self.refresh()

    def show_saved(self, names: Mapping[str, str], counts: Mapping[str, int | None]) -> None:
        """Set the saved filters: their names and the numbers of matching copies (None: unknown), by key."""
        here = self.places[self.cursor].id
        saved = [Place(f"saved:{key}", name, 2, saved=key) for key, name in names.items()]
        if saved != self._saved or counts != self._saved_counts:
            self._saved, self._saved_counts = saved, dict(counts)
            # Keep the cursor on its place when lines are added or removed above it.
            self.cursor = self._index(here) or 0
            self.refresh()

    @property
    def places(self) -> list[Place]:
        """All present lines, including those scrolled out of sight."""
        found: list[Place] = []
        for place in PLACES:
            if place.id == "saved" and not self._saved:
                continue
            if self.expanded or not place.depth:
                found += [place, *(self._saved if place.id == "saved" else ())]
        return found

    @property
    def _top(self) -> int:
        """Index of the first visible line. If not all lines fit, the cursor is in the middle."""
        return max(0, min(self.cursor - self.size.height // 2, len(self.places) - self.size.height))

    def watch_here(self, here: str) -> None:
        """Move the cursor to the place shown, also if it was not opened from the tree."""
        index = self._index(here)
        if index is not None:
            self.cursor = index

    def _index(self, place_id: str) -> int | None:
        ids = [place.id for place in self.places]
        if place_id not in ids and (place_id == "all" or place_id.startswith(("engine:", "saved"))):
            place_id = "backup"
        return ids.index(place_id) if place_id in ids else None

    def validate_cursor(self, cursor: int) -> int:
        return max(0, min(cursor, len(self.places) - 1))

    def action_cursor(self, step: int) -> None:
        self.cursor += step
        self._choose(enter=False)

    def action_open(self) -> None:
        self._choose(enter=True)

    def action_collapse(self) -> None:
        place = self.places[self.cursor]
        self.expanded = False
        self.cursor = self._index("backup" if place.depth else place.id) or 0

    def action_expand(self) -> None:
        place = self.places[self.cursor]
        self.expanded = True
        self.cursor = self._index(place.id) or 0

    def action_delete_filter(self) -> None:
        self.post_message(self.Delete(self.places[self.cursor]))

    def action_leave(self) -> None:
        self.post_message(self.Left())

    def _choose(self, *, enter: bool) -> None:
        self.post_message(self.Chosen(self.places[self.cursor], enter=enter))

    def on_click(self, event: events.Click) -> None:
        offset = event.get_content_offset(self)
        line = 0 if offset is None else offset.y + self._top
        if offset is None or line >= len(self.places):
            return
        self.cursor = line
        if self.places[self.cursor].id == "backup" and offset.x <= 1:
            (self.action_collapse if self.expanded else self.action_expand)()
        else:
            self._choose(enter=True)

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        base = self.get_component_rich_style("tree--place")
        places = self.places
        y += self._top
        if y >= len(places):
            return Strip.blank(width, base)
        place = places[y]
        here = self._index(self.here) == y
        style = base + self.get_component_rich_style("tree--here", partial=True) if here else base
        cursor = Style.null()
        if self.has_focus and y == self.cursor:
            cursor = self.get_component_rich_style("tree--cursor", partial=True)
        sign = ("▾ " if self.expanded else "▸ ") if place.id == "backup" else "  "
        number = self._counts.get(place.id)
        if place.id == "backup" and not self.expanded:
            number = self._counts.get("all")
        count = "" if number is None else f"{number:,}"
        if place.saved:
            known = self._saved_counts.get(place.saved)
            sign, count = "    ", "…" if known is None else f"{known:,}"
        label = fit(sign + place.label, max(0, width - len(count) - 1)) + " "
        muted = self.get_component_rich_style("tree--count")
        return Strip([Segment(label, style + cursor), Segment(count, muted + cursor)]).adjust_cell_length(width, base)
