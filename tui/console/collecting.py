"""Collects garbage while nobody types.

A collection takes 1 to 50 ms, and Python starts it when enough objects were made: in the middle of a key as likely as
not. So the start collects nothing, what it made is never looked at again, and the console collects at rest. Without a
rest, Python collects after many more objects than usual. All this only in a process that called `begin`.
"""

from __future__ import annotations

import gc
import time

#: Objects made until Python collects by itself: during the start, and afterwards.
STARTING, WORKING = 500_000, 50_000
#: What has to be waiting of each generation before it is collected at rest: objects, then collections of the one below.
DUE = (2_000, 8, 20)
#: Seconds without input until a generation is collected: the youngest takes 1 ms, the next one 20.
REST = (0.1, 0.4, 2.0)

_begun = False


def begin() -> None:
    """Collect hardly anything during the start."""
    global _begun
    _begun = True
    gc.set_threshold(STARTING, DUE[1], DUE[2])


class Collector:
    """Collects for one console. Call its methods on the event loop's thread."""

    def __init__(self) -> None:
        self._touched = time.monotonic()
        self._all_due = False

    def started(self) -> None:
        """Exempt all present objects from collections. Call when what stays for good has been made."""
        if _begun:
            gc.freeze()
            gc.set_threshold(WORKING, DUE[1], DUE[2])

    def loaded(self) -> None:
        """Do `started` again, and at rest collect what loading left: nothing was collected meanwhile."""
        self.started()
        self._all_due = True

    def touched(self) -> None:
        """Note that a key was pressed or a mouse used."""
        self._touched = time.monotonic()

    def look(self) -> None:
        """Collect what is due, if nobody types."""
        if not _begun:
            return
        rested, waiting = time.monotonic() - self._touched, gc.get_count()
        if self._all_due and rested >= REST[2]:
            self._all_due = False
            gc.unfreeze()
            gc.collect()
            gc.freeze()
            return
        for generation in (2, 1, 0):
            if rested >= REST[generation] and waiting[generation] >= DUE[generation]:
                gc.collect(generation)
                return
