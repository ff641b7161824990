"""The searched forms of texts, as the catalogue keeps them beside the texts: only those that differ."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

from store.filters.folding import NUL, searched

#: The end of a From field behind the last `<`: it neither changes how the name before it is folded nor whether the
#: field mixes scripts.
_END = re.compile("[!-~]*")


def forms(shown: Collection[str], looked_at: Collection[str]) -> list[str | None]:
    """Return the searched forms of the texts `looked_at`, or None where it is the `shown` text."""
    return [None if (form := searched(other)) == text else form for text, other in zip(shown, looked_at, strict=True)]


def sender_forms(texts: Collection[str]) -> list[str | None]:
    """Do `forms` for From fields. Names repeat, so each is folded once."""
    return [None if form == text else form for text, form in zip(texts, _sender_forms(texts), strict=True)]


def identifier_forms(texts: Collection[str]) -> list[str | None]:
    """Return the searched forms of texts, or None for those in ASCII: these are searched in place, ignoring case."""
    return [None if text.isascii() and NUL not in text else searched(text) for text in texts]


def _sender_forms(texts: Collection[str]) -> Iterator[str]:
    known: dict[str, str] = {}
    for text in texts:
        name, bracket, end = text.rpartition("<")
        if text.isascii() or not bracket or not _END.fullmatch(end):
            yield searched(text)
            continue
        if name not in known:
            known[name] = searched(f"{name}<")
        end = end.lower()
        yield NUL.join(f"{part}{end}" for part in known[name].split(NUL))
