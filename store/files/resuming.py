"""Resume an import that ended early: the messages that it placed are left out when it is run again.

The event of each part of an import names the placed messages by file, index in it, and digest. A new import resumes an
earlier one from the same paths, if that did not finish and no later one has resumed it.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from store.authority.acts import is_whole
from store.authority.audit import events
from store.authority.event_forms import Phase
from store.helpers.decoding import json_decoder

if TYPE_CHECKING:
    from store.authority.audit import Event
    from store.vault.reader import Reader

IMPORT = "import"
_GOES_ON = re.compile(r"goes on from event (\d+); ")
#: Events per page, and min events searched; more if those of an import continue.
_PAGE, _LOOKED_THROUGH = 500, 1000
_DIGEST = 8


class Mark(NamedTuple):
    """A message in a file: the file's absolute path, the index in it from 0, and the start of its SHA-256."""

    path: str
    place: int
    digest: bytes


def mark_of(path: Path, place: int, raw: bytes) -> Mark:
    """Make the mark of the message `raw`."""
    return Mark(_text(path.absolute()), place, hashlib.sha256(raw).digest()[:_DIGEST])


def told(marks: Sequence[Mark]) -> str:
    """Encode marks for the event of a part."""
    return msgspec.json.encode(marks).decode()


class Former(NamedTuple):
    """The import to resume: the number of its first event (0 = none), and the messages that it placed."""

    number: int
    placed: frozenset[Mark]


def source_of(paths: Sequence[Path]) -> str:
    """Format paths as in the event of an import."""
    return "from " + ", ".join(_text(path.absolute()) for path in paths)


def detail_of(former: Former, source: str) -> str:
    """Format the detail of an import's event, which names the import that it resumes, if any."""
    return f"goes on from event {former.number}; {source}" if former.number else source


@dataclass
class _Import:
    source: str = ""
    goes_on: int = 0
    whole: bool = False
    marks: set[Mark] = field(default_factory=set)


def former_import(vault: Reader, source: str) -> Former:
    """Find the newest import from `source`, if it ended early, with all messages placed by it and those that it
    resumed.
    """
    imports: dict[int, _Import] = {}
    before: int | None = None
    seen = 0
    while page := events(vault, _PAGE, before, lenient=True):
        mine = [event for event in page if event.action == IMPORT and event.operator]
        for event in mine:
            _note(imports, event)
        before, seen = page[-1].id, seen + len(page)
        if seen >= _LOOKED_THROUGH and not any(event.phase == Phase.BATCH for event in mine):
            break
    newest = next((number for number in sorted(imports, reverse=True) if imports[number].source == source), 0)
    if not newest or imports[newest].whole:
        return Former(0, frozenset())
    placed: set[Mark] = set()
    number = newest
    while number in imports:
        placed |= imports[number].marks
        number = imports[number].goes_on
    return Former(newest, frozenset(placed))


def _note(imports: dict[int, _Import], event: Event) -> None:
    found = imports.setdefault(event.act or event.number, _Import())
    if event.phase == Phase.END:
        found.whole = is_whole(event.detail)
    elif event.phase == Phase.INTENT:
        match = _GOES_ON.match(event.detail)
        found.goes_on = int(match[1]) if match else 0
        found.source = event.detail[match.end() if match else 0 :]
    elif event.phase == Phase.BATCH:
        try:
            found.marks |= set(json_decoder(list[Mark]).decode(event.detail))
        except msgspec.DecodeError:
            pass  # Not written by an import: leave nothing out because of it.


def _text(path: Path) -> str:
    return os.fsencode(path).decode("utf-8", "backslashreplace")
