"""Going on with an import that ended early: what it placed then is left out when it is run again.

The event of each part of an import names the messages that it placed: file, place in it, and a digest. An import from
the same paths that did not come to its end, and that no later one went on with, is gone on with.
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
#: So many events are looked through; more where those of an import go on.
_PAGE, _LOOKED_THROUGH = 500, 1000
_DIGEST = 8


class Mark(NamedTuple):
    """A message in a file: the file's absolute path, its place there from 0, and the start of its SHA-256."""

    path: str
    place: int
    digest: bytes


def mark_of(path: Path, place: int, raw: bytes) -> Mark:
    """Make the mark of the message `raw`."""
    return Mark(_text(path.absolute()), place, hashlib.sha256(raw).digest()[:_DIGEST])


def told(marks: Sequence[Mark]) -> str:
    """Write marks as the event of a part holds them."""
    return msgspec.json.encode(marks).decode()


class Former(NamedTuple):
    """What is gone on with: the number of the import's first event, 0 where there is none, and what it placed."""

    number: int
    placed: frozenset[Mark]


def source_of(paths: Sequence[Path]) -> str:
    """Paths as the event of an import names them."""
    return "from " + ", ".join(_text(path.absolute()) for path in paths)


def detail_of(former: Former, source: str) -> str:
    """Write an import's event: which former import it resumes, if any."""
    return f"goes on from event {former.number}; {source}" if former.number else source


@dataclass
class _Import:
    source: str = ""
    goes_on: int = 0
    whole: bool = False
    marks: set[Mark] = field(default_factory=set)


def former_import(vault: Reader, source: str) -> Former:
    """Find the newest import from `source` that ended early, with what it and those before it placed."""
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
            pass  # Somebody else's words: nothing is left out for them.


def _text(path: Path) -> str:
    return os.fsencode(path).decode("utf-8", "backslashreplace")
