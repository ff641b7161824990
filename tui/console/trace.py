"""A trace of a console session, for tests: keys, paints, answers and acts, with their times.

``MAILHOLD_TRACE=FILE`` names a new file, which gets one line of JSON per event. The trace contains no text of messages,
and nothing typed into a field.
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
    """Start the trace if MAILHOLD_TRACE is set. Raises `UsageError` if the file cannot be made."""
    global _file
    path = os.environ.get("MAILHOLD_TRACE")
    if not path:
        return
    try:
        _file = open_new(path, append=True)
    except OSError as error:
        raise UsageError(
            f"MAILHOLD_TRACE names {path}, which cannot be created: {error.strerror}. Name another file, or unset it."
        ) from None


def wanted() -> bool:
    """Return True if a trace is being written."""
    return _file is not None


def note(what: str, **facts: str | float | bool) -> None:
    """Write a line: the event `what`, its times `now` and `wall` (s), and `facts`, which must not be confidential."""
    if _file is not None:
        line = {"what": what, "now": time.monotonic(), "wall": time.time(), **facts}
        os.write(_file, json.dumps(line).encode() + b"\n")


def pressed(event: events.Event, focused: Widget | None, window: str, counts: bool) -> None:
    """Note a key, a paste or a mouse event: when it was parsed (`at`), the window in front, and whether it counted."""
    if isinstance(event, events.Key):
        name = "character" if event.is_printable and isinstance(focused, Input) else event.key
    else:
        name = type(event).__name__
    note("pressed", name=name, at=event.time, window=window, counts=counts)
