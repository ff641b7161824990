"""Shorten long runs of blank lines, which push the text after them out of sight and past the limits. Cannot raise."""

from __future__ import annotations

import re

#: Max consecutive blank lines that are shown as they are.
BLANK_LIMIT = 100
_BLANK = re.compile(r"\n(?=\s{100})\s*\n")


def shortened(text: str) -> str:
    """Replace each run of more than `BLANK_LIMIT` blank lines by a line with their number. Linear time."""
    if text.count("\n") <= BLANK_LIMIT:
        return text
    return _BLANK.sub(_told, text)


def _told(match: re.Match[str]) -> str:
    lines = match[0].count("\n") - 1
    return match[0] if lines <= BLANK_LIMIT else f"\n\n[{lines:,} blank lines]\n\n"
