"""The caller of a command: login name, arguments as text, and whether a terminal is attached."""

from __future__ import annotations

import getpass
import os
import sys
from pathlib import Path


def login_name() -> str:
    """Return the user's login name, to label a key slot. It comes from the environment and is not authenticated."""
    try:
        return as_text(os.environ.get("SUDO_USER") or getpass.getuser())
    except (KeyError, OSError):
        return str(os.getuid())


def as_text(word: str | Path) -> str:
    """Decode a command-line word or a path. Bytes that are not UTF-8 are replaced."""
    return os.fsencode(word).decode("utf-8", "replace")


def is_terminal() -> bool:
    """Return True if input (keys), output and error (drawing) are a terminal: the console needs all three."""
    return all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr))
