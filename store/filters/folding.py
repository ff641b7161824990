"""Text as the filter compares it: ignoring case, invisible characters, and the alphabet of look-alike letters.

A text is searched in the form that `searched` returns: folded and, if it mixes scripts, once more in Latin letters. A
search word matches if that form contains any of its `needles`. So a subject typed as it looks finds its copies however
they are spelt, and everything that a plain search finds is still found.
"""

from __future__ import annotations

from store.terms.folding import NUL, caseless, mixes_scripts, skeleton

__all__ = ["NUL", "fold", "needles", "searched"]

fold = caseless


def searched(text: str) -> str:
    """Fold a text for searching. If it mixes scripts, a NUL and the text in Latin letters follow."""
    folded = fold(text)
    return f"{folded}{NUL}{skeleton(text)}" if mixes_scripts(folded) else folded


def needles(text: str) -> tuple[str, ...]:
    """List what to look for in the result of `searched` to find `text`: any of these."""
    folded = fold(text)
    latin = skeleton(text)
    return (folded,) if latin == folded else (folded, latin)
