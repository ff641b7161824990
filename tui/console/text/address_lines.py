"""The lines of the Address lists section. They are made when drawn, since lists can be long."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple, overload

from store.judging.rules.address_lists import AddressLists, each_list
from tui.terminal.lines import Line, Span
from tui.terminal.safe import fit
from tui.terminal.words import counted

_COLOR = 7


class Entry(NamedTuple):
    """An entry of a list. `user` is "" for the organisation. The text is NOT safe for a terminal."""

    color: str
    user: str
    text: str

    @property
    def owner(self) -> str:
        """The list's owner."""
        return self.user or "organisation"


def entries_of(lists: AddressLists, find: str = "") -> list[Entry]:
    """Return the entries that contain `find`: the organisation's first, then by user; black before white."""
    wanted = find.casefold()
    return [
        Entry(color, user, text)
        for user, color, entries in each_list(lists)
        for text in entries
        if not wanted or wanted in text.casefold() or wanted in user.casefold()
    ]


def summary(lists: AddressLists, shown: int, find: str) -> str:
    """Write `12 black · 3 white · 2 users`; during a search also how many entries are shown."""
    black = len(lists.black) + sum(map(len, lists.user_black.values()))
    white = len(lists.white) + sum(map(len, lists.user_white.values()))
    text = " · ".join((f"{black:,} black", f"{white:,} white", counted(len(lists.users), "user", "users")))
    return f"{shown:,} with “{find}” of {text}" if find else text


def heading(width: int) -> str:
    """Write the column headings."""
    entry, owner = _columns(width)
    return f"{fit('List', _COLOR)}{fit('Sender', entry)}  {fit('For mail to', owner)}".rstrip()


class EntryLines(Sequence[Line]):
    """The lines of the entries, for a width."""

    def __init__(self, entries: Sequence[Entry], width: int) -> None:
        self._entries = entries
        self._room = _columns(width)

    def __len__(self) -> int:
        return len(self._entries)

    @overload
    def __getitem__(self, index: int) -> Line: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Line]: ...
    def __getitem__(self, index: int | slice) -> Line | Sequence[Line]:
        if isinstance(index, slice):
            return [self[at] for at in range(*index.indices(len(self)))]
        entry, (room, owner) = self._entries[index], self._room
        return (
            Span(f"{entry.color.capitalize():<{_COLOR}}"),
            Span(f"{fit(entry.text, room)}  "),
            Span(fit(entry.user or "everybody", owner), "text" if entry.user else "muted"),
        )

    def __iter__(self) -> Iterator[Line]:
        return (self[at] for at in range(len(self)))


def _columns(width: int) -> tuple[int, int]:
    """Return the widths (cells) of the columns for the entry and its owner."""
    room = max(24, width - _COLOR - 2)
    entry = min(max(12, room * 3 // 5), 44)
    return entry, min(room - entry, 60)
