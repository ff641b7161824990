"""Text as the filter compares it."""

from __future__ import annotations

import unicodedata


def fold(text: str) -> str:
    """Text as it is compared: Unicode case folding and canonical composition, so that `Straße` equals `STRASSE`."""
    if text.isascii():
        return text.lower()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())
