"""A gateway's log: one line per event, JSON or key=value, without addresses, subjects or text of messages.

It contains only the event names and fields passed to `say`. Of an exception, only the type and the place where it was
raised are logged, because its text may quote a message. Mailhold's own exceptions never do, so their text is logged.

The lines about messages (event `message`) that the event loop logs in one of its rounds are written together. All other
lines, warnings, and what threads log are written at once, after the lines before them. The rest is written before the
process ends, however the loop ends; only a kill can lose the lines about messages of its last round.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import time
import traceback
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, TextIO

import msgspec

from store.terms.errors import MailholdError

NAME = "mailhold"
_root, _log = logging.getLogger(), logging.getLogger(f"{NAME}.gateway")


def say(event: str, *, level: int = logging.INFO, error: BaseException | None = None, **fields: Any) -> None:
    """Log one event. Fields that are None or "" are left out."""
    if _log.isEnabledFor(level):
        if event == _FREQUENT and level < logging.WARNING and error is None and _said_shortly(level, fields):
            return
        info = (type(error), error, error.__traceback__) if error is not None else None
        # Not `_log.log`, which would look for the caller's file and line.
        record = logging.LogRecord(_log.name, level, "", 0, event, None, info)
        record.__dict__["fields"] = fields
        _log.handle(record)


def _said_shortly(level: int, fields: dict[str, Any]) -> bool:
    """Log a frequent event without a record of `logging`, if nothing but the gateway's handler would see that."""
    handlers, loop = _root.handlers, _loop()
    if loop is None or len(handlers) != 1 or not isinstance(handlers[0], _Handler):
        return False
    return handlers[0].add(level, fields, loop)


class Lines(logging.Formatter):
    """Formats a log record as one line."""

    def __init__(self, form: Literal["json", "text"]) -> None:
        super().__init__()
        self._json = form == "json"
        #: The last second that was formatted, and its text.
        self._second, self._text = -1, ""

    def format(self, record: logging.LogRecord) -> str:
        # Other libraries' texts may quote a message.
        event = record.getMessage() if record.name.split(".")[0] == NAME else f"{record.name} reported something"
        fields = getattr(record, "fields", {})
        if record.exc_info and record.exc_info[1] is not None:
            fields = {**fields, **_of_error(record.exc_info[1])}
        return self.line(record.created, record.levelname, event, fields)

    def line(self, created: float, level: str, event: str, fields: dict[str, Any]) -> str:
        """Format an event of a time (Unix seconds) and a level as one line."""
        entry: dict[str, Any] = {"time": self._time(created), "level": level.lower(), "event": event}
        for name, value in fields.items():
            if value is not None and value != "":
                entry[name] = value
        if self._json:
            return _encoded(entry)
        return " ".join(f"{name}={_word(value)}" for name, value in entry.items())

    def _time(self, seconds: float) -> str:
        second = int(seconds)
        if second != self._second:
            self._second, self._text = second, time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
        return f"{self._text}.{int((seconds - second) * 1000):03d}Z"


#: The event that is logged once a message.
_FREQUENT = "message"


class _Handler(logging.StreamHandler[TextIO]):
    """The gateway's handler. Its lock, which `logging` takes around `emit`, and `add` and `flush` take here, guards
    the lines.
    """

    def __init__(self, stream: TextIO, form: Lines) -> None:
        super().__init__(stream)
        self.setFormatter(form)
        self._form = form
        self._lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line, or have a frequent one written at the end of the event loop's round."""
        try:
            line = self.format(record) + self.terminator
            if record.msg == _FREQUENT and record.levelno < logging.WARNING and (loop := _loop()) is not None:
                self._wait(line, loop)
                return
            self._lines.append(line)
            self.flush()
        except Exception:
            self.handleError(record)

    def add(self, level: int, fields: dict[str, Any], loop: asyncio.AbstractEventLoop) -> bool:
        """Have the line of a frequent event written at the end of the loop's round; return whether it could be made."""
        self.acquire()
        try:
            line = self._form.line(time.time(), logging.getLevelName(level), _FREQUENT, fields)
            self._wait(line + self.terminator, loop)
        except Exception:
            return False  # `emit` tries again, and reports the error.
        finally:
            self.release()
        return True

    def _wait(self, line: str, loop: asyncio.AbstractEventLoop) -> None:
        if not self._lines:
            loop.call_soon(self._end_round)
        self._lines.append(line)

    def _end_round(self) -> None:
        try:
            self.flush()
        except Exception:
            self.handleError(logging.LogRecord(_log.name, logging.INFO, "", 0, _FREQUENT, None, None))

    def flush(self) -> None:
        """Write the lines that wait. `logging` calls it too when the process ends."""
        self.acquire()
        try:
            lines, self._lines = self._lines, []
            if lines:
                self.stream.write("".join(lines))
            super().flush()
        finally:
            self.release()


def _loop() -> asyncio.AbstractEventLoop | None:
    """Return the event loop that runs in this thread."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def start(form: Literal["json", "text"], level: str, stream: TextIO | None = None) -> None:
    """Send the log to `stream` (default: standard error), at `level` and above. Call again to change either."""
    for old in list(_root.handlers):
        if isinstance(old, _Handler):
            with suppress(OSError, ValueError):  # Such as a full disk, or a closed stream.
                old.flush()
            _root.removeHandler(old)
    _root.addHandler(_Handler(stream or sys.stderr, Lines(form)))
    logging.getLogger(NAME).setLevel(level.upper())
    _root.setLevel(logging.WARNING)


def _of_error(error: BaseException) -> dict[str, str]:
    if isinstance(error, MailholdError):
        return {"why": str(error)}
    frames = traceback.extract_tb(error.__traceback__)
    where = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "nowhere"
    return {"error": type(error).__name__, "where": where}


def _word(value: object) -> str:
    text = str(value)
    return text if text.isascii() and text.isprintable() and not set(text) & set(' "=') and text else _encoded(text)


def _encoded(value: object) -> str:
    try:
        return msgspec.json.encode(value).decode()
    except UnicodeEncodeError:  # Bytes that a client sent, and that are no UTF-8.
        return json.dumps(value)
