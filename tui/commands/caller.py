"""Who runs a command, from where, and in what words."""

from __future__ import annotations

import getpass
import os
import sys
from pathlib import Path


def login_name() -> str:
    """Return the user's login name for a key slot's label. It comes from the environment: a claim, not a fact."""
    try:
        return as_text(os.environ.get("SUDO_USER") or getpass.getuser())
    except (KeyError, OSError):
        return str(os.getuid())


def as_text(word: str | Path) -> str:
    """Decode a word of the command line or a path; bytes that are not UTF-8 are replaced."""
    return os.fsencode(word).decode("utf-8", "replace")


def is_terminal() -> bool:
    """Whether the console can be used here: it reads the keys from standard input and draws on standard error."""
    return all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr))
