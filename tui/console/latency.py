"""What keeps the time from a key to its paint short: settings of the interpreter and of Textual, for this process."""

from __future__ import annotations

import gc
import os
import sys

#: Seconds after which a thread that works hands on the interpreter: the event loop waits so long several times a key.
SWITCH = 0.0005
#: Frames a second at most. What a key does is painted twice (the key, then its result): the second is not to wait.
FRAMES = 240
#: New objects before the collector looks at them. Painting a page makes thousands, hardly any of them in cycles.
_YOUNG, _MIDDLE, _OLD = 5_000, 20, 20


def prepare() -> None:
    """Before Textual is imported, and while there is one thread: what is set here is not safe beside others."""
    from store.catalogue.memory import prepare_allocators

    prepare_allocators()
    sys.setswitchinterval(SWITCH)
    os.environ.setdefault("TEXTUAL_FPS", str(FRAMES))
    gc.set_threshold(_YOUNG, _MIDDLE, _OLD)
