"""The notices above the list after an action, word for word as in the spec."""

from __future__ import annotations

#: The link at the right of a notice that hides it.
HIDE = "Hide"


def delivered(count: int) -> str:
    """Write the notice after `count` copies were queued for delivery; "" for 0."""
    return _of(
        count,
        "Message has been placed in queue for delivery",
        "Messages have been placed in queue for delivery",
    )


def deleted(count: int) -> str:
    """Write the notice after `count` copies were deleted; "" for 0."""
    return _of(count, "Marked message has been deleted", "Marked messages have been deleted")


def _of(count: int, one: str, many: str) -> str:
    if count <= 0:
        return ""
    return one if count == 1 else many
