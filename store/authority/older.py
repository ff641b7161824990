"""The difference between a store and what was seen of it before, as data and in words."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import NamedTuple

from store.authority.heads import Head, Present, Vector, another_epoch, another_event
from store.vault.reader import Reader


class Lack(NamedTuple):
    """A counter that is lower in the store (`there`) than was seen (`seen`)."""

    name: str
    seen: int
    there: int


class Older(NamedTuple):
    """A store is older than the head signed at `at` (Unix ms), or has `forked`: not older, but different."""

    at: int
    lacks: tuple[Lack, ...]
    forked: bool = False

    def __str__(self) -> str:
        if self.forked:
            return "an event or an epoch differs from the one that was seen"
        return ", ".join(_counted(each) for each in self.lacks)


_ONE = {
    "events": "event",
    "copies": "copy",
    "deletions": "deletion",
    "acts of the bin": "act of the bin",
    "deliveries": "delivery",
}


def older_than(vector: Vector, now: Present) -> Older | None:
    """Compare a head with the store; return what the store lacks, None if nothing."""
    pairs = (
        Lack("events", vector.event, now.event),
        Lack("copies", vector.next_copy - 1, now.next_copy - 1),
        Lack("deletions", vector.tombstone, now.tombstone),
        Lack("acts of the bin", vector.bin_act, now.bin_act),
        Lack("deliveries", vector.next_delivery - 1, now.next_delivery - 1),
    )
    lacks = tuple(each for each in pairs if each.there < each.seen)
    forked = not lacks and vector.event == now.event and vector.event_digest != now.event_digest
    return Older(vector.at, lacks, forked) if lacks or forked else None


def forked(vault: Reader, heads: Iterable[Head]) -> Older | None:
    """Return an Older if an event or an epoch that one of `heads` names is now another one, None if not."""
    for head in heads:
        vector = head.vector
        if vector.event and another_event(vault, vector.event, vector.event_digest):
            return Older(vector.at, (), forked=True)
        if vector.epoch and another_epoch(vault, head.writer, vector.epoch, vector.opening):
            return Older(vector.at, (), forked=True)
    return None


def local(at: int) -> str:
    """Format a time (Unix ms) in the local zone."""
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(at / 1000))


def _counted(lack: Lack) -> str:
    count = lack.seen - lack.there
    return f"{count:,} {_ONE[lack.name] if count == 1 else lack.name}"
