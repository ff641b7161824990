"""Shapes: host names, paths and file names with random runs and numbers replaced by `#`, so that variants are equal.

Cannot raise; nothing is resolved or fetched.
"""

from __future__ import annotations

import itertools
import re

from store.terms.folding import fold, latin

_RUN = re.compile(r"[^\W_]+")
_DIGITS = re.compile(r"\d+")
_HEX = re.compile(r"[0-9a-f]+\Z")
_VOWELS = re.compile(r"[aeiouy]")
_UUID = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_PERCENT = re.compile(r"%[0-9A-Fa-f]{2}")
_REPEATED = re.compile(r"#(?:[-_.~+=%]?#)+")
_VERSION = re.compile(r"\d[\d.]*")
_X = re.compile(r"[A-Za-z0-9]+")
#: Least length for a run of letters and digits to count as random: if mixed; if hexadecimal; if the case changes
#: inside; if it has hardly any vowel; if it has only letters (no word is so long).
_MIXED, _HEXADECIMAL, _CASES, _CONSONANTS, _LONG = 3, 8, 8, 6, 16
#: A hexadecimal run of this length is never a word followed by a number.
_HEXADECIMAL_FOR_SURE = 12
_SEGMENTS, _PARAMETERS = 8, 8


def run_shape(run: str) -> str:
    """Return the shape of a run of letters and digits: `#` if it looks random, else lower case with numbers as `#`."""
    lower = run.lower()
    if lower.isdigit():
        return "#"
    has_digit = not lower.isalpha()
    if has_digit and len(lower) >= _MIXED:
        if len(lower) >= _HEXADECIMAL_FOR_SURE and _HEX.match(lower):
            return "#"
        word = lower.rstrip("0123456789")
        # A word followed by a number is not random.
        return f"{word}#" if word.isalpha() and len(word) >= 3 and not _random_letters(word) else "#"
    if len(lower) >= _HEXADECIMAL and _HEX.match(lower):
        return "#"
    if not has_digit and (_random_letters(lower) or _changes_case(run)):
        return "#"
    return _DIGITS.sub("#", lower) if has_digit else lower


def _random_letters(lower: str) -> bool:
    if len(lower) >= _LONG:
        return True
    return lower.isascii() and len(lower) >= _CONSONANTS and len(_VOWELS.findall(lower)) * 5 < len(lower)


def _changes_case(run: str) -> bool:
    """Return True if upper and lower case alternate more than in camel case."""
    if len(run) < _CASES or run.islower() or run.isupper():
        return False
    changes = sum(one.isupper() != other.isupper() for one, other in itertools.pairwise(run))
    return changes * 3 > len(run)


def name_shape(name: str) -> str:
    """Return the shape of a name made of runs: a file, a path's segment, a label."""
    name = _PERCENT.sub("%", _UUID.sub("#", name[:255]))
    text = _RUN.sub(lambda run: run_shape(run[0]), name)
    return _REPEATED.sub("#", text)


def file_shape(name: str) -> str:
    """Return the shape of a file's name: look-alike letters folded, the extension kept."""
    stem, dot, ending = name.strip().rpartition(".")
    if not dot or len(ending) > 8:
        stem, dot, ending = name.strip(), "", ""
    if not stem.isascii():
        stem = latin(fold(stem))
    return f"{name_shape(stem)}{dot}{ending.lower()}"


def host_shape(host: str, organisation: str) -> str:
    """Replace the labels before the organisation's domain in a host name by their shapes."""
    if host == organisation or not host.endswith(f".{organisation}"):
        return host
    front = host[: -len(organisation) - 1]
    return f"{'.'.join(map(name_shape, front.split('.')))}.{organisation}"


def path_shape(rest: str) -> str:
    """Return the shape of a URL's path and query: shapes of the segments, names of the parameters, no fragment."""
    path, _, query = rest.partition("#")[0].partition("?")
    segments = [name_shape(segment) for segment in path.split("/")[1 : _SEGMENTS + 1]]
    names = sorted({name_shape(pair.partition("=")[0]) for pair in query.split("&")[:_PARAMETERS] if pair})
    return "/" + "/".join(segments) + ("?" + "&".join(names) if names else "")


def program_shape(name: str) -> str:
    """Return a mail program's name without its versions."""
    return " ".join(_VERSION.sub("0", name.lower()).split())[:80]


def mark_shape(mark: str) -> str:
    """Return the shape of a Message-ID's left side or of a boundary: its punctuation, and the total length."""
    return f"{_X.sub('x', mark[:100])} {len(mark)}"
