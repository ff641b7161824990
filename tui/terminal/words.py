"""Words that console and commands share, mostly counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from store.space.rotation import Removal


NO_PASSPHRASE = "The console cannot lock, because no passphrase opens this store. Add one with `mailhold keys add`."


def counted(number: int, one: str, many: str) -> str:
    """Write a number with a noun: ``1 copy``, ``1,204 copies``."""
    return f"{number:,} {one if number == 1 else many}"


def copies(number: int) -> str:
    """Write a number of copies: ``1 copy``, ``1,204 copies``."""
    return counted(number, "copy", "copies")


def message_copies(number: int) -> str:
    """Write a number of copies for a question: ``1 message copy``, ``1,204 message copies``."""
    return counted(number, "message copy", "message copies")


def no_traits(number: int) -> str:
    """Say how many copies an answer leaves out because their links and files are not indexed yet."""
    who, they = ("1 copy is", "it was") if number == 1 else (f"{number:,} copies are", "they were")
    return f"{who} not indexed yet, so {they} not searched for links and files. Run `mailhold index`."


def addresses(number: int) -> str:
    """Write a number of addresses: ``1 address``, ``3,410 addresses``."""
    return counted(number, "address", "addresses")


def removal_words(removal: Removal, before: str) -> str:
    """Write ``the 398 oldest of 400 copies, all placed before 24 Nov 07:40``; `before` is that time in words."""
    binned = f"{copies(removal.binned)} in the bin" if removal.binned else ""
    if not removal.copies:
        return binned
    gone = f"the {removal.copies:,} oldest of {copies(removal.held)}, all placed before {before}"
    if removal.copies == 1:
        gone = f"the oldest of {copies(removal.held)}, placed before {before}"
    return f"{binned} and {gone}" if binned else gone
