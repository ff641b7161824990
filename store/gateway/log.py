"""A gateway's log: one line per event, JSON or key=value, without addresses, subjects or text of messages.

It contains only the event names and fields passed to `say`. Of an exception, only the type and the place where it was
raised are logged, because its text may quote a message. Mailhold's own exceptions never do, so their text is logged.
"""

from __future__ import annotations

import logging
import sys
import traceback
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, TextIO

import msgspec

from store.terms.errors import MailholdError

NAME = "mailhold"
_log = logging.getLogger(f"{NAME}.gateway")


def say(event: str, *, level: int = logging.INFO, error: BaseException | None = None, **fields: Any) -> None:
    """Log one event. Fields that are None or "" are left out."""
    if _log.isEnabledFor(level):
        info = (type(error), error, error.__traceback__) if error is not None else None
        _log.log(level, event, extra={"fields": fields}, exc_info=info)


class Lines(logging.Formatter):
    """Formats a log record as one line."""

    def __init__(self, form: Literal["json", "text"]) -> None:
        super().__init__()
        self._json = form == "json"

    def format(self, record: logging.LogRecord) -> str:
        entry: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC)
            .isoformat(timespec="milliseconds")
            .replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            # Other libraries' texts may quote a message.
            "event": record.getMessage() if record.name.split(".")[0] == NAME else f"{record.name} reported something",
        }
        for name, value in getattr(record, "fields", {}).items():
            if value is not None and value != "":
                entry[name] = value
        if record.exc_info and record.exc_info[1] is not None:
            entry |= _of_error(record.exc_info[1])
        if self._json:
            return msgspec.json.encode(entry).decode()
        return " ".join(f"{name}={_word(value)}" for name, value in entry.items())


class _Handler(logging.StreamHandler[TextIO]):
    """The gateway's handler; its type distinguishes it from others."""


def start(form: Literal["json", "text"], level: str, stream: TextIO | None = None) -> None:
    """Send the log to `stream` (default: standard error), at `level` and above. Call again to change either."""
    handler = _Handler(stream or sys.stderr)
    handler.setFormatter(Lines(form))
    root = logging.getLogger()
    for old in list(root.handlers):
        if isinstance(old, _Handler):
            root.removeHandler(old)
    root.addHandler(handler)
    logging.getLogger(NAME).setLevel(level.upper())
    root.setLevel(logging.WARNING)


def _of_error(error: BaseException) -> dict[str, str]:
    if isinstance(error, MailholdError):
        return {"why": str(error)}
    frames = traceback.extract_tb(error.__traceback__)
    where = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "nowhere"
    return {"error": type(error).__name__, "where": where}


def _word(value: object) -> str:
    text = str(value)
    return text if text.isascii() and text.isprintable() and not set(text) & set(' "=') and text else _quoted(text)


def _quoted(text: str) -> str:
    return msgspec.json.encode(text).decode()
