"""Makes a follower's frame smaller when it is loaded: unused texts go, and what is there twice.

Imports Polars: only the modules that the catalogue loads in the background may import this one.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator

from store.catalogue.follow import Follower
from store.catalogue.frame import TEXTS
from store.catalogue.memory import give_back_memory
from store.catalogue.sections import loose, tightened

#: Between two columns, so that the memory of the first is free: until the console asked again, and Polars gave it back.
_GIVEN_BACK_SECONDS = 0.3


def tighten(follower: Follower, stopping: threading.Event) -> Iterator[None]:
    """Rebuild the columns with many duplicate or unused texts, one by one. Yields after each.

    Whoever holds a result of the former frame keeps its texts in memory, until it asks again.
    """
    for name in TEXTS:  # A loop over the former frame's texts would hold them all.
        if not stopping.is_set() and loose(follower.state.frame, name) and _tightened(follower, name):
            yield
            stopping.wait(_GIVEN_BACK_SECONDS)
            give_back_memory()


def _tightened(follower: Follower, name: str) -> bool:
    """Rebuild a column. Keeps no reference to the former frame, so that its memory is free."""
    frame = follower.state.frame
    return follower.swap(frame, tightened(frame, name))
