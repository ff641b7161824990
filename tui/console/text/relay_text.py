"""The relay's address as a screen shows it: without its password."""

from __future__ import annotations

import re

_MASK = "••••"
_PASSWORD = re.compile(r"^([a-z]+://[^:@/]*:)(.*)(@[^@]*)$", re.IGNORECASE | re.DOTALL)


def masked(relay: str) -> str:
    """`relay` with its password, where it has one, replaced by dots."""
    return _PASSWORD.sub(rf"\g<1>{_MASK}\g<3>", relay)


def unmasked(text: str, relay: str) -> str:
    """Put back what `masked` hid: the password of `relay` for the dots in the edited `text`."""
    known = _PASSWORD.match(relay)
    entered = _PASSWORD.match(text)
    if known and entered and entered[2] == _MASK:
        return f"{entered[1]}{known[2]}{entered[3]}"
    return text
