"""What the settings are called on the screen, and an event's changes of them in these words."""

from __future__ import annotations

import re

from store.authority.settings import CHANGED, RESET, Unavailable

#: The name of each setting, as `mailhold settings set` takes it, and what the console calls it.
LABELS = {
    "max_size": "Backup maximum size",
    "notify_below": "Free space threshold to notify about",
    "allow_infected": "Allow delivery of infected messages",
    "if_unavailable": "Actions to take on messages if Backup is unavailable",
    "relay": "Relay",
    "administrator": "Administrator",
    "local_domains": "Local domains",
    "lock_after": "Lock after so long without input",
    "release_loops": "The relay leads back here",
    "release_ignores": "Header fields that the relay adds",
    "hold": "A release waits",
    "hold_many": "A release of more than 50 copies waits",
    "bin_share": "Share of the bin",
    "bin_days": "The bin keeps deleted copies",
}
_NAME = re.compile(rf"(?:(?<=^)|(?<=; )|(?<=^undone: )|(?<=^redone: ))({'|'.join(LABELS)}): ")
_VALUES = {each.value: each.label for each in Unavailable}


def change_words(action: str, detail: str) -> str:
    """Write an event's detail for a reader: where it says how settings were changed, under their labels.

    ``max_size: 5 GB -> 4 GB`` becomes ``Backup maximum size: 5 GB → 4 GB``.
    """
    if action not in (CHANGED, RESET):
        return detail
    parts = _NAME.split(detail)
    said = parts[0]
    for name, values in zip(parts[1::2], parts[2::2], strict=True):
        shown = values.replace(" -> ", " → ")
        if name == "if_unavailable":
            shown = re.sub(r"[a-z-]+", lambda found: _VALUES.get(found[0], found[0]), shown)
        said += f"{LABELS[name]}: {shown}"
    return said
