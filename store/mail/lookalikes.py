"""Domains that a reader takes for other ones: `rioso1.example` for `riosol.example`, `fempay.example` for `fernpay…`.

    skeleton(domain)        what a reader takes it for
    similar(one, other)     whether one could be taken for the other
    Lookalikes(domains)     many domains; `of(domain)` finds the one that a domain looks like, `add(domain)` adds one
    variants(domain)        names that a domain could be taken for, where the others cannot be listed

Only the name that somebody registered is compared, so domains below one name never look like each other. Domains come
from messages: any text is taken, nothing raises, and nothing that is returned is safe for a terminal.
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

#: Letters of a name in which one may differ, and of one that may be found in a longer name or under another ending.
EDITED, FOUND = 5, 6
#: A name that is shorter looks like nothing.
_LEAST = 4
_DIGITS = re.compile(r"\d+")
_PAIRS = (("rn", "m"), ("vv", "w"))
_SINGLES = str.maketrans("i105", "llos")
#: What may stand where a letter of a name is, or two of them.
_MISTAKEN = {"i": "l1", "l": "i1", "1": "li", "o": "0", "0": "o", "s": "5", "5": "s"}
_ACCENTED = (("a", "ä"), ("ae", "ä"), ("o", "ö"), ("oe", "ö"), ("u", "ü"), ("ue", "ü"), ("e", "é"), ("ss", "ß"))
_ALPHABET = f"{ascii_lowercase}{digits}-"
#: Endings under which many names are registered.
_COMMON = (
    "com net org info biz eu co io app de at ch fr it es pt nl be lu pl cz se no dk fi uk co.uk ie ru ua tr com.tr jp "
    "co.jp cn us ca com.br com.au in co.in online site shop email cloud group"
)
_ENDINGS = tuple(_COMMON.split())
#: The same without dots: `fernpay-com.example`.
_FLAT = tuple((ending, ending.replace(".", "-")) for ending in _ENDINGS)
#: The most names that are made of one, and of those with mistaken letters.
_MOST, _MISTAKES = 3000, 400


class _Name(NamedTuple):
    """A domain's registered name: as it is keyed, its own label in Unicode, what that is taken for, and the ending.

    `above`: the labels that stand before it.
    """

    registered: str
    label: str
    skeleton: str
    ending: str
    above: tuple[str, ...]


_NOTHING = _Name("", "", "", "", ())


def skeleton(domain: str) -> str:
    """Fold a domain to what a reader takes it for: punycode decoded; case, accents, look-alike letters, hyphens
    gone.
    """
    name = _name(domain)
    above = (_skeleton(label) for label in name.above)
    return ".".join(filter(None, (*above, name.skeleton, name.ending)))


def similar(domain: str, other: str) -> bool:
    """Whether one could be taken for the other, whichever is the real one. Domains of one organisation never are.

    So are: names that look the same; those in which one letter (not the first) differs, lacks, or changed places; the
    same long name under another ending, beside a hyphen (`fernpay-mail.example`), or as a host (`fernpay.x.example`).
    """
    return _similar(_name(domain), _name(other))


class Lookalikes:
    """Domains that others may look like."""

    def __init__(self, domains: Iterable[str]) -> None:
        self._registered: set[str] = set()
        self._names: list[_Name] = []
        self._places: dict[str, list[int]] = {}
        for domain in domains:
            self.add(domain)

    def add(self, domain: str) -> None:
        """Have one more, behind the others."""
        name = _name(domain)
        if name.registered and name.registered not in self._registered:
            self._registered.add(name.registered)
            for key in _keys(name):
                self._places.setdefault(key, []).append(len(self._names))
            self._names.append(name)

    def of(self, domain: str) -> str:
        """Return the first of the domains that this one looks like, as `domain_key` writes its registered name; ""
        for none.

        One of the same organisation as any of them is known, and looks like none.
        """
        name = _name(domain)
        if name.registered in self._registered:
            return ""
        places = sorted({place for key in _keys(name) for place in self._places.get(key, ())})
        return next((self._names[at].registered for at in places if _similar(name, self._names[at])), "")


def variants(domain: str) -> tuple[str, ...]:
    """Domains that this one could be taken for, as `domain_key` writes them, likely ones first; at most 3,000.

    One change each: mistaken letters, an edit, another ending, a part of the name. They are to be looked up: `similar`
    says of one that is found whether it counts. It also knows those with an edit and mistaken letters at once, which
    are not here.
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
    """List the names that a name with one or two mistaken letters, or a letter without its accent, may stand for."""
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
    """Return the index keys of a name. Two names that can be taken for each other share one."""
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
    """Whether the name of `two` stands in `one`: as a part between hyphens, as a host, or with its ending."""
    parts = [_skeleton(part) for part in (*_parts(one.label), *one.above)]
    if len(two.skeleton) >= FOUND and two.skeleton in parts:
        return True
    if len(two.skeleton) >= EDITED and f"{two.skeleton}{_skeleton(two.ending)}" in (one.skeleton, *parts):
        return True
    return f".{two.registered}." in f".{'.'.join(one.above)}."


def _numbered(one: str, two: str) -> bool:
    """Whether two names differ in their numbers alone: hosts of one owner, as likely as not."""
    return bool(_DIGITS.search(one) and _DIGITS.search(two)) and _DIGITS.sub("0", one) == _DIGITS.sub("0", two)


def _one_edit(one: str, two: str) -> bool:
    """Whether one letter differs, lacks, or changed places with the next. Where the first differs, readers see it."""
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
    """Split a label at its hyphens."""
    return [part for at, letter in enumerate(label) if letter == "-" for part in (label[:at], label[at + 1 :]) if part]
