"""Counting in words, for windows and lines that name how many."""

from __future__ import annotations


def counted(number: int, one: str, many: str) -> str:
    """``1 copy``, ``1,204 copies``."""
    return f"{number:,} {one if number == 1 else many}"


def copies(number: int) -> str:
    """``1 copy``, ``1,204 copies``."""
    return counted(number, "copy", "copies")


def addresses(number: int) -> str:
    """``1 address``, ``3,410 addresses``."""
    return counted(number, "address", "addresses")
