"""What commands print on standard output: JSON, times, and a recovery key that must be seen."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from store.terms.errors import StoreError


def iso(milliseconds: int | None) -> str | None:
    """Unix milliseconds -> ISO 8601 in UTC, as `2026-11-24T07:41:03.250Z`; None and 0 (unknown) -> None."""
    if not milliseconds:
        return None
    try:
        moment = datetime.fromtimestamp(milliseconds / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def local_time(milliseconds: int) -> str:
    """Unix milliseconds -> `2026-11-24 09:41` in the local time zone; `no date` where there is no such time."""
    try:
        return datetime.fromtimestamp(milliseconds / 1000).strftime("%Y-%m-%d %H:%M")
    except (ValueError, OverflowError, OSError):
        return "no date"


def print_json(value: Any) -> None:
    """Print `value` as JSON in ASCII: no byte of a message can act on the terminal it may be shown on."""
    print(json.dumps(value, ensure_ascii=True, indent=2 if sys.stdout.isatty() else None))


def print_recovery_key(lines: Iterable[str]) -> None:
    """Print lines that show a recovery key. Raises StoreError where they may not have been seen: nobody has it then."""
    try:
        for line in lines:
            print(line)
        sys.stdout.flush()
    except OSError as error:
        # What could not be written must not come out later, at the end of the program.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise StoreError(
            f"The recovery key could not be shown ({error.strerror}), and is lost; the store opens with its other "
            "keys. Make a new one with `mailhold keys add --new-recovery`, and remove the lost one with `keys remove`."
        ) from None
