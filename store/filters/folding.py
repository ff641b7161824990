"""Text as the filter compares it: case, what is invisible, and the alphabet that a letter is taken from do not count.

A text is searched as `searched` writes it: folded, and where it mixes scripts, once more in Latin letters. A word of
the filter is looked for as each of `needles`. So whoever types a subject as it reads finds its copies however they are
spelt, and what would be found without any of this is found still.
"""

from __future__ import annotations

from store.terms.folding import NUL, caseless, mixes_scripts, skeleton

__all__ = ["NUL", "fold", "needles", "searched"]

fold = caseless


def searched(text: str) -> str:
    """Fold a text for searching; if it mixes scripts, add it in Latin letters behind a NUL."""
    folded = fold(text)
    return f"{folded}{NUL}{skeleton(text)}" if mixes_scripts(folded) else folded


def needles(text: str) -> tuple[str, ...]:
    """List what to look for in the result of `searched` to find `text`: any of these."""
    folded = fold(text)
    latin = skeleton(text)
    return (folded,) if latin == folded else (folded, latin)
