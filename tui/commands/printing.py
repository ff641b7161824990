"""Formats for standard output: JSON, times, and a recovery key whose printing must not fail unnoticed."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from store.terms.errors import StoreError


def iso(milliseconds: int | None) -> str | None:
    """Format Unix ms as ISO 8601 in UTC, as `2026-11-24T07:41:03.250Z`.

    None, 0 (unknown) and impossible times give None.
    """
    if not milliseconds:
        return None
    try:
        moment = datetime.fromtimestamp(milliseconds / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def local_time(milliseconds: int) -> str:
    """Format Unix ms as `2026-11-24 09:41` in the local time zone; `no date` for an impossible time."""
    try:
        return datetime.fromtimestamp(milliseconds / 1000).strftime("%Y-%m-%d %H:%M")
    except (ValueError, OverflowError, OSError):
        return "no date"


def print_json(value: Any) -> None:
    """Print `value` as JSON in ASCII, so that text from messages cannot control the terminal."""
    print(json.dumps(value, ensure_ascii=True, indent=2 if sys.stdout.isatty() else None))


def print_recovery_key(lines: Iterable[str]) -> None:
    """Print the lines with a recovery key.

    Raises StoreError if printing fails: the key is shown only once, and is lost then.
    """
    try:
        for line in lines:
            print(line)
        sys.stdout.flush()
    except OSError as error:
        # Send buffered output to /dev/null, so that Python does not try to write it again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise StoreError(
            f"The recovery key could not be shown ({error.strerror}) and is lost. The store still opens with its "
            "other keys. Make a new one with `mailhold keys add --new-recovery`, and remove the lost one with "
            "`mailhold keys remove`."
        ) from None
