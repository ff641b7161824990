"""Domains that look like others to a reader: `rioso1.example` like `riosol.example`, `fempay.example` like `fernpay…`.

    similar(one, other)     whether one could be mistaken for the other
    Lookalikes(domains)     a set of domains: `of(domain)` finds the one that `domain` looks like, `add(domain)` adds it
    variants(domain)        look-alikes of a domain, for looking up if the other domains cannot be listed

Only registered names are compared, so domains below the same name never look alike. Domains come from messages: any
text is accepted, nothing raises, and no result is safe for a terminal.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import combinations, pairwise
from string import ascii_lowercase, digits
from typing import NamedTuple

from store.mail.addresses import MAX_DOMAIN, domain_key
from store.terms.folding import fold, latin
from store.terms.hosts import both_forms
from store.terms.sender import organisation

#: Min letters of a name in which one letter may differ, and of one that may occur in a longer name or with another
#: ending.
EDITED, FOUND = 5, 6
#: Min letters of a name for any resemblance.
_LEAST = 4
_DIGITS = re.compile(r"\d+")
_PAIRS = (("rn", "m"), ("vv", "w"))
_SINGLES = str.maketrans("i105", "llos")
#: Characters that may be mistaken for each other; pairs are in `_PAIRS`.
_MISTAKEN = {"i": "l1", "l": "i1", "1": "li", "o": "0", "0": "o", "s": "5", "5": "s"}
_ACCENTED = (("a", "ä"), ("ae", "ä"), ("o", "ö"), ("oe", "ö"), ("u", "ü"), ("ue", "ü"), ("e", "é"), ("ss", "ß"))
_ALPHABET = f"{ascii_lowercase}{digits}-"
#: Endings under which many names are registered.
_COMMON = (
    "com net org info biz eu co io app de at ch fr it es pt nl be lu pl cz se no dk fi uk co.uk ie ru ua tr com.tr jp "
    "co.jp cn us ca com.br com.au in co.in online site shop email cloud group"
)
_ENDINGS = tuple(_COMMON.split())
#: The same with hyphens for dots, as in `fernpay-com.example`.
_FLAT = tuple((ending, ending.replace(".", "-")) for ending in _ENDINGS)
#: Max variants of one name, and max variants with mistaken letters.
_MOST, _MISTAKES = 3000, 400


class _Name(NamedTuple):
    """A domain's registered name: as `domain_key`, its first label in Unicode, the skeleton of that label, and the
    ending.

    `above`: the labels before the registered name.
    """

    registered: str
    label: str
    skeleton: str
    ending: str
    above: tuple[str, ...]


_NOTHING = _Name("", "", "", "", ())


def similar(domain: str, other: str) -> bool:
    """Return True if one could be mistaken for the other, in either direction; never for domains of one organisation.

    They are similar if the names look the same; if one letter (not the first) differs, is missing, or is swapped with
    the next; or if a long name reappears under another ending, next to a hyphen (`fernpay-mail.example`), or as a host
    (`fernpay.x.example`).
    """
    return _similar(_name(domain), _name(other))


class Lookalikes:
    """A set of domains, to find the one that another domain looks like."""

    def __init__(self, domains: Iterable[str]) -> None:
        self._registered: set[str] = set()
        self._names: list[_Name] = []
        self._places: dict[str, list[int]] = {}
        for domain in domains:
            self.add(domain)

    def add(self, domain: str) -> None:
        """Add a domain, after the others."""
        name = _name(domain)
        if name.registered and name.registered not in self._registered:
            self._registered.add(name.registered)
            for key in _keys(name):
                self._places.setdefault(key, []).append(len(self._names))
            self._names.append(name)

    def of(self, domain: str) -> str:
        """Return the first domain of the set that `domain` looks like, as the `domain_key` of its registered name; ""
        if none.

        A domain of the same organisation as one in the set is known, so it looks like none.
        """
        name = _name(domain)
        if name.registered in self._registered:
            return ""
        places = sorted({place for key in _keys(name) for place in self._places.get(key, ())})
        return next((self._names[at].registered for at in places if _similar(name, self._names[at])), "")


def variants(domain: str) -> tuple[str, ...]:
    """Return domains that `domain` could be mistaken for, as `domain_key`, likely ones first; at most 3,000.

    Each differs by one kind of change: mistaken letters, an edit, another ending, a part of the name. Look them up, and
    ask `similar` about each one found. `similar` also accepts an edit combined with mistaken letters, which this list
    lacks.
    """
    name = _name(domain)
    if len(name.skeleton) < _LEAST:
        return ()
    found = dict.fromkeys(each if each.isascii() else domain_key(each) for each in _variants(name))
    found.pop(name.registered, None)
    return tuple(found)[:_MOST]


def _variants(name: _Name) -> Iterator[str]:
    plain = _letters(name.label)
    for label in (plain, plain.replace("-", ""), *_mistaken(plain)):
        yield f"{label}.{name.ending}"
    for part in (*_parts(plain), *name.above):
        if len(part) >= FOUND:
            yield from (f"{part}.{ending}" for ending in (name.ending, *_ENDINGS))
    for text in (plain, *_parts(plain)):
        yield from (f"{text[: -len(end)].rstrip('-')}.{ending}" for ending, end in _FLAT if text.endswith(end))
    yield from (f"{one}.{two}" for one, two in pairwise(name.above))
    if len(plain) >= EDITED:
        yield from (f"{label}.{name.ending}" for label in _edits(plain))
    if len(name.skeleton) >= FOUND:
        yield from (f"{name.label}.{ending}" for ending in _ENDINGS)


def _edits(label: str) -> Iterator[str]:
    cuts = [(label[:at], label[at:]) for at in range(len(label) + 1)]
    yield from (begin + end[1] + end[0] + end[2:] for begin, end in cuts if len(end) > 1)
    yield from (begin + end[1:] for begin, end in cuts if end)
    for letter in _ALPHABET:
        yield from (begin + letter + end for begin, end in cuts)
        yield from (begin + letter + end[1:] for begin, end in cuts if end)


def _mistaken(label: str) -> list[str]:
    """List the names that differ from `label` in one or two mistaken letters, or in one accent."""
    changes = [(at, 1, to) for at, letter in enumerate(label) for to in _MISTAKEN.get(letter, "")]
    for pair, single in _PAIRS:
        for spelt, to in ((pair, single), (single, pair)):
            changes += [(found.start(), len(spelt), to) for found in re.finditer(spelt, label)]
    made = [label[:at] + to + label[at + size :] for at, size, to in changes]
    for (one, size, to), (two, length, into) in combinations(sorted(changes), 2):
        if one + size <= two and len(made) < _MISTAKES:
            made.append(label[:one] + to + label[one + size : two] + into + label[two + length :])
    for plain, accented in _ACCENTED:
        made += [label[: found.start()] + accented + label[found.end() :] for found in re.finditer(plain, label)]
    return made


def _keys(name: _Name) -> set[str]:
    """Return the index keys of a name. Two similar names share at least one."""
    keys = {f"{name.skeleton}{_skeleton(name.ending)}"}
    for text in (name.skeleton, _letters(name.label)):
        keys.add(text)
        if len(text) >= EDITED:
            keys.update(text[:at] + text[at + 1 :] for at in range(len(text)))
    keys.update(_skeleton(part) for part in (*_parts(name.label), *name.above))
    keys.add(f"{name.registered}.")
    keys.update(f"{one}.{two}." for one, two in pairwise(name.above))
    return keys


def _similar(one: _Name, two: _Name) -> bool:
    if one.registered == two.registered or not one.ending or not two.ending:
        return False
    if min(len(one.skeleton), len(two.skeleton)) < _LEAST:
        return False
    if _has(one, two) or _has(two, one):
        return True
    if one.ending != two.ending:
        return one.skeleton == two.skeleton and len(one.skeleton) >= FOUND
    if one.skeleton == two.skeleton:
        return True
    if min(len(one.skeleton), len(two.skeleton)) < EDITED or _numbered(one.label, two.label):
        return False
    return _one_edit(one.skeleton, two.skeleton) or _one_edit(_letters(one.label), _letters(two.label))


def _has(one: _Name, two: _Name) -> bool:
    """Return True if the name of `two` occurs in `one`: as a part between hyphens, as a host, or with its ending."""
    parts = [_skeleton(part) for part in (*_parts(one.label), *one.above)]
    if len(two.skeleton) >= FOUND and two.skeleton in parts:
        return True
    if len(two.skeleton) >= EDITED and f"{two.skeleton}{_skeleton(two.ending)}" in (one.skeleton, *parts):
        return True
    return f".{two.registered}." in f".{'.'.join(one.above)}."


def _numbered(one: str, two: str) -> bool:
    """Return True if two names differ only in their numbers: they are likely hosts of one owner."""
    return bool(_DIGITS.search(one) and _DIGITS.search(two)) and _DIGITS.sub("0", one) == _DIGITS.sub("0", two)


def _one_edit(one: str, two: str) -> bool:
    """Return True if one letter differs, is missing, or is swapped with the next.

    A different first letter does not count: readers notice it.
    """
    if len(one) > len(two):
        one, two = two, one
    if len(two) - len(one) > 1:
        return False
    at = next((at for at, letter in enumerate(one) if letter != two[at]), len(one))
    if len(one) < len(two):
        return one[at:] == two[at + 1 :]
    if one[at + 1 :] == two[at + 1 :]:
        return at > 0
    return one[at : at + 2] == two[at : at + 2][::-1] and one[at + 2 :] == two[at + 2 :]


def _name(domain: str) -> _Name:
    domain = domain.strip().strip(".")
    return _read(domain) if len(domain) <= MAX_DOMAIN and domain[:1] != "[" else _NOTHING


@lru_cache(4096)
def _read(domain: str) -> _Name:
    registered = organisation(domain_key(domain))
    label, _, ending = registered.partition(".")
    above = domain_key(domain).removesuffix(registered).strip(".").split(".")
    label = _unicode(label)
    return _Name(registered, label, _skeleton(label), ending, tuple(_unicode(each) for each in above if each))


def _unicode(label: str) -> str:
    return both_forms(label)[0]


def _letters(label: str) -> str:
    """Replace a label's letters by the plain ones that they look like."""
    return latin(fold(label)).replace(" ", "")


def _skeleton(label: str) -> str:
    text = _letters(label).replace("-", "").translate(_SINGLES)
    for pair, single in _PAIRS:
        text = text.replace(pair, single)
    return text


def _parts(label: str) -> list[str]:
    """Split a label at each of its hyphens, into the part before and the part after it."""
    return [part for at, letter in enumerate(label) if letter == "-" for part in (label[:at], label[at + 1 :]) if part]
