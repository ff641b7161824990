"""The search terms of a filter, which are underlined in the list's columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from store.filters.folding import fold
from store.filters.folding import needles as needles_of
from store.filters.model import MessageFilter


def needles(flt: MessageFilter) -> dict[str, list[str]]:
    """Collect the search terms of a filter by column, folded."""
    found: dict[str, list[str]] = {}
    for part in _sought(flt):
        for column, terms in (("from", part.from_), ("to", part.to), ("subject", part.subject)):
            texts = [needle for term in (*terms, *part.words) if not term.negated for needle in needles_of(term.text)]
            if texts:
                found.setdefault(column, []).extend(texts)
    return found


def _sought(flt: MessageFilter) -> Iterator[MessageFilter]:
    """Yield the filter, and recursively the branches of its groups that are not negated."""
    yield flt
    for group in flt.groups:
        if not group.negated:
            for branch in group.branches:
                yield from _sought(branch)


def split_found(text: str, needles: Sequence[str]) -> Iterator[tuple[str, bool]]:
    """Split a text into pieces; each comes with True if it is one of the folded `needles`."""
    # Folding would turn the ellipsis of a cut text into three characters, and places would not match.
    folded = fold(text.replace("…", " ")) if needles else ""
    if len(folded) != len(text):
        yield text, False
        return
    at = 0
    while at < len(text):
        hits = [(place, -len(needle)) for needle in needles if (place := folded.find(needle, at)) >= 0]
        if not hits:
            break
        start, length = min(hits)
        if start > at:
            yield text[at:start], False
        at = start - length
        yield text[start:at], True
    if at < len(text):
        yield text[at:], False
