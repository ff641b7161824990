"""The searched forms of texts, as the catalogue keeps them beside the texts: only those that differ.

Most texts are folded by Polars, a column at a time; the others by `store.filters.folding.searched`, with the same
result.
Imports Polars: only the modules that the catalogue loads in the background may import this one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator

import polars as pl

from store.filters.folding import NUL, searched
from store.terms.folding import ALONE, SUSPECT, UNLIKE

#: Ranges of characters of which folding changes only the case, whatever their neighbours are: none has a compatibility
#: form, combines, composes with another of these, or is a look-alike that is replaced in every word.
SIMPLE = (
    *((0x09, 0x0A), (0x0D, 0x0D), (0x20, 0x7E), (0xA1, 0xA7), (0xA9, 0xA9), (0xAB, 0xAC), (0xAE, 0xAE), (0xB0, 0xB1)),
    *((0xB6, 0xB7), (0xBB, 0xBB), (0xBF, 0x12F), (0x134, 0x13E), (0x141, 0x148), (0x14A, 0x17E), (0x386, 0x386)),
    *((0x388, 0x38A), (0x38C, 0x38C), (0x38E, 0x38F), (0x391, 0x3A1), (0x3A3, 0x3AF), (0x3B1, 0x3CE), (0x400, 0x482)),
    *((0x48A, 0x52F), (0x5D0, 0x5EA), (0x621, 0x64A), (0x2010, 0x2010), (0x2013, 0x2014), (0x2018, 0x201E)),
    *((0x2020, 0x2022), (0x2039, 0x203A), (0x20AC, 0x20AC), (0x3001, 0x3003), (0x3008, 0x3011), (0x3041, 0x3096)),
    *((0x30A1, 0x30FE), (0x4E01, 0x4E8B), (0x4E8D, 0x529A), (0x529C, 0x53E2), (0x53E4, 0x9FFC), (0xAC00, 0xD7A3)),
    *((0x1F300, 0x1F64F), (0x1F680, 0x1F6C5), (0x1F900, 0x1F9FF)),
)
_NOT_SIMPLE = f"[^{''.join(f'{chr(first)}-{chr(last)}' for first, last in SIMPLE)}]"
#: What case folding replaces and lower-casing does not.
_FOLDED = {"ß": "ss", "ς": "σ"}
#: Wider than what `mixes_in_a_word` looks for in a text of simple characters, and their letters that stand alone.
_MAY_MIX = "|".join(
    (
        rf"(?:^|[\t\n\r ])[{''.join(sorted(ALONE))}](?:[\t\n\r ]|$)",
        rf"[a-z][^\t\n\r ]*{SUSPECT.pattern}",
        rf"{SUSPECT.pattern}[^\t\n\r ]*[a-z]",
    )
)
_NOTHING = pl.Series([None], dtype=pl.String)
#: The end of a From field behind the last `<`: it neither changes how the name before it is folded nor whether the
#: field mixes scripts.
_END = re.compile("[!-~]*")


def forms(shown: pl.Series, looked_at: pl.Series) -> pl.Series:
    """Return the searched forms of the texts `looked_at`, or null where it is the `shown` text."""
    return _forms(shown, looked_at, lambda texts: map(searched, texts))


def sender_forms(texts: pl.Series) -> pl.Series:
    """Do `forms` for From fields. Names repeat, so each is folded once."""
    return _forms(texts, texts, _senders_searched)


def identifier_forms(texts: pl.Series) -> pl.Series:
    """Return the searched forms of texts, or null for those in ASCII: these are searched in place, ignoring case."""
    none = pl.repeat(None, len(texts), dtype=pl.String, eager=True)
    odd = _places(texts.str.contains("[^\x01-\x7f]"))
    return none.scatter(odd, _strings(map(searched, texts.gather(odd).to_list()))) if len(odd) else none


def _forms(shown: pl.Series, looked_at: pl.Series, search: Callable[[Iterable[str]], Iterable[str]]) -> pl.Series:
    folded = looked_at.str.to_lowercase()
    special = folded.str.contains(f"[{''.join(_FOLDED)}]")
    if special.any():
        folded = folded.scatter(_places(special), folded.filter(special).str.replace_many(_FOLDED))
    hard = _places(looked_at.str.contains(_NOT_SIMPLE) | _may_mix(folded))
    if len(hard):
        folded = folded.scatter(hard, _strings(search(looked_at.gather(hard).to_list())))
    return folded.zip_with(folded != shown, _NOTHING)


def _may_mix(folded: pl.Series) -> pl.Series:
    """Return a mask of folded simple texts: all for which `mixes_scripts` holds, and some others."""
    suspect = folded.str.contains(SUSPECT.pattern)
    if not suspect.any():
        return suspect
    some = folded.filter(suspect)
    mixes = ~some.str.contains(UNLIKE.pattern) | some.str.contains(_MAY_MIX)
    return suspect.scatter(_places(suspect), mixes)


def _strings(texts: Iterable[str]) -> pl.Series:
    return pl.Series(list(texts), dtype=pl.String)


def _places(mask: pl.Series) -> pl.Series:
    return pl.arange(len(mask), dtype=pl.UInt32, eager=True).filter(mask)


def _senders_searched(texts: Iterable[str]) -> Iterator[str]:
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
