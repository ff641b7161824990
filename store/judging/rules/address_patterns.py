"""Patterns of email addresses, used in rules and address lists.

    name@example.com    this address
    example.com         every address of this domain (not of those below it); `@example.com` is the same
    *.example.com       every address of the domains below it
    *news*@example.*    `*` stands for any number of characters, also none, and `?` for one
    <>                  the null sender, which bounces use
    *                   everything, the null sender too

Case is ignored, and Unicode and punycode spellings of a domain are equal. `Exactness` tells how narrow a pattern is, so
that a list can make an exception to a wider entry.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from enum import IntEnum
from functools import lru_cache

from store.terms.errors import RuleError

NULL_SENDER = "<>"
MAX_PATTERN = 320
_SPACES = re.compile(r"\s")


class Exactness(IntEnum):
    """How narrow a pattern is: if two match, the narrower one decides."""

    NONE = 0
    GLOB = 1
    DOMAIN = 2
    ADDRESS = 3


def check_pattern(text: str) -> str:
    """Normalise a pattern and strip surrounding blanks. Raises RuleError, with the reason."""
    pattern = unicodedata.normalize("NFC", text.strip())
    problem = _problem(pattern)
    if problem:
        shown = pattern if len(pattern) <= 60 else pattern[:59] + "…"
        raise RuleError(
            f"{shown!r} is not a pattern of addresses: {problem}. Use name@example.com, example.com or *.example.com."
        )
    return pattern.removeprefix("@")


def _problem(pattern: str) -> str:
    if pattern in ("*", NULL_SENDER):
        return ""
    if not pattern:
        return "it is empty"
    if len(pattern) > MAX_PATTERN:
        return f"it is longer than {MAX_PATTERN} characters"
    if any(unicodedata.category(char)[0] == "C" for char in pattern):
        return "it contains a character that cannot be shown"
    if _SPACES.search(pattern) or any(char in '<>(),;"' for char in pattern):
        return "it contains a space, a bracket, a quote or a comma"
    if not pattern.rpartition("@")[2]:
        return "the part after the @ is empty"
    if pattern.count("@") > 1:
        return "it contains more than one @"
    return ""


@lru_cache(maxsize=4096)
def canonical(address: str) -> str:
    """Return the key shared by all spellings of an address, domain or pattern. Never raises."""
    local, at, domain = unicodedata.normalize("NFC", address.strip()).lower().rpartition("@")
    return f"{local}{at}{'.'.join(_label(label) for label in domain.rstrip('.').split('.'))}"


def _label(label: str) -> str:
    """Decode a punycode label; return it unchanged unless encoding the result gives the same label again."""
    if not label.startswith("xn--") or not label.isascii():
        return label
    try:
        text = label[4:].encode().decode("punycode")
        same = text.encode("punycode") == label[4:].encode()
    except UnicodeError:
        return label
    return unicodedata.normalize("NFC", text).lower() if same and not text.isascii() else label


class Patterns:
    """Patterns compiled for many look-ups: hash look-ups for addresses and domains, one by one only for wildcards."""

    def __init__(self, patterns: Iterable[str]) -> None:
        self._exact: dict[str, str] = {}
        self._domains: dict[str, str] = {}
        self._below: dict[str, str] = {}
        self._globs: list[tuple[re.Pattern[str], bool, str]] = []
        for pattern in patterns:
            key = canonical(pattern).removeprefix("@")
            whole = "@" in key or key in ("*", NULL_SENDER)
            if key.startswith("*.") and not any(char in key[1:] for char in "*?@"):
                self._below.setdefault(key[2:], pattern)
            elif "*" in key or "?" in key:
                self._globs.append((_compiled(key), whole, pattern))
            else:
                (self._exact if whole else self._domains).setdefault(key, pattern)

    def __bool__(self) -> bool:
        return bool(self._exact or self._domains or self._below or self._globs)

    def find(self, address: str) -> tuple[Exactness, str]:
        """Find the pattern that matches `address` ("" = the null sender), and its exactness; (NONE, "") if none."""
        key = canonical(address) or NULL_SENDER
        domain = key.rpartition("@")[2] if "@" in key else ""
        if key in self._exact:
            return Exactness.ADDRESS, self._exact[key]
        if domain and domain in self._domains:
            return Exactness.DOMAIN, self._domains[domain]
        if self._below:
            above = domain
            while above:
                above = above.partition(".")[2]
                if above in self._below:
                    return Exactness.GLOB, self._below[above]
        for pattern, whole, text in self._globs:
            if pattern.fullmatch(key if whole else domain) and (whole or domain):
                return Exactness.GLOB, text
        return Exactness.NONE, ""

    def matches(self, address: str) -> bool:
        """Return True if any pattern matches."""
        return self.find(address)[0] is not Exactness.NONE


def _compiled(glob: str) -> re.Pattern[str]:
    """Compile a glob to a regular expression that never backtracks over a `*`: linear time in the text per wildcard."""
    first, *rest = ("".join("." if char == "?" else re.escape(char) for char in part) for part in glob.split("*"))
    if not rest:
        return re.compile(first, re.DOTALL)
    *middle, last = rest
    lazily = "".join(f"(?>.*?{part})" for part in middle if part)
    return re.compile(f"{first}{lazily}.*{last}", re.DOTALL)


def check_patterns(patterns: Iterable[str]) -> tuple[str, ...]:
    """Normalise the patterns and drop repetitions, in order. Raises RuleError for the first invalid one."""
    kept: dict[str, str] = {}
    for text in patterns:
        pattern = check_pattern(text)
        kept.setdefault(canonical(pattern), pattern)
    return tuple(kept.values())
