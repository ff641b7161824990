"""Process-wide settings of the interpreter and of Textual that shorten the time from a key to its paint."""

from __future__ import annotations

import os
import sys

from tui.console import collecting

#: For sys.setswitchinterval (s): worst-case wait of the event loop for the interpreter, several times per key press.
SWITCH = 0.0005
#: Frames per second. A key causes several paints (itself, its result, the scroll bar); none should wait for a frame.
FRAMES = 1000


def prepare() -> None:
    """Apply the settings.

    Call before Textual is imported, and while there is only one thread: they are not thread-safe.
    """
    from store.catalogue.memory import prepare_allocators

    prepare_allocators()
    sys.setswitchinterval(SWITCH)
    os.environ.setdefault("TEXTUAL_FPS", str(FRAMES))
    collecting.begin()
