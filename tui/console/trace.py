"""The console's own account of a session, for tests: what was pressed, painted, answered and begun, and when.

``MAILHOLD_TRACE=FILE`` names a file that is not there yet; it gets a line of JSON for each. No text of a message and
nothing that was typed into a field is in it.
"""

from __future__ import annotations

import json
import os
import time

from textual import events
from textual.widget import Widget
from textual.widgets import Input

from store.helpers.secret_files import open_new
from store.terms.errors import UsageError

_file: int | None = None


def start() -> None:
    """Begin where the environment asks for it. Raises `UsageError` where the file cannot be made."""
    global _file
    path = os.environ.get("MAILHOLD_TRACE")
    if not path:
        return
    try:
        _file = open_new(path, append=True)
    except OSError as error:
        raise UsageError(
            f"MAILHOLD_TRACE names {path}, which cannot be made: {error.strerror}. Name a new file, or unset it."
        ) from None


def wanted() -> bool:
    """Return True if a trace is wanted."""
    return _file is not None


def note(what: str, **facts: str | float | bool) -> None:
    """Write a line: `what` happened, when (`now` and `wall`, in seconds), and `facts`, which may be seen by anybody."""
    if _file is not None:
        line = {"what": what, "now": time.monotonic(), "wall": time.time(), **facts}
        os.write(_file, json.dumps(line).encode() + b"\n")


def pressed(event: events.Event, focused: Widget | None, window: str, counts: bool) -> None:
    """Note a key, a paste or the mouse: when it was parsed (`at`), in front of what, and whether it counted."""
    if isinstance(event, events.Key):
        name = "character" if event.is_printable and isinstance(focused, Input) else event.key
    else:
        name = type(event).__name__
    note("pressed", name=name, at=event.time, window=window, counts=counts)
