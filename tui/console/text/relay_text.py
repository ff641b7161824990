"""Shows a relay URL without its password, and puts the password back after editing."""

from __future__ import annotations

import re

_MASK = "••••"
_PASSWORD = re.compile(r"^([a-z]+://[^:@/]*:)(.*)(@[^@]*)$", re.IGNORECASE | re.DOTALL)


def masked(relay: str) -> str:
    """Return the URL `relay` with dots in place of its password, if it has one."""
    return _PASSWORD.sub(rf"\g<1>{_MASK}\g<3>", relay)


def unmasked(text: str, relay: str) -> str:
    """Return the edited URL `text` with the password of `relay` in place of the dots."""
    known = _PASSWORD.match(relay)
    entered = _PASSWORD.match(text)
    if known and entered and entered[2] == _MASK:
        return f"{entered[1]}{known[2]}{entered[3]}"
    return text
