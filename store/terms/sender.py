"""The sender that a message claims: its address before its name, and a comparison with the envelope.

The attacker chooses the name in From, and which of several addresses comes first. Nothing here raises, and no returned
text is safe for a terminal.
"""

from __future__ import annotations

import re
from functools import lru_cache

from store.terms.hosts import punycode

#: `Name <address>` and `"Name" <address>`, the form of nearly every From, without spaces around it. The groups are the
#: name (either) and the address. Polars uses it too, so it has only what both engines match alike; each character can
#: match in only one way, which is fast. After replacing by `PLAIN_FIRST`, no `<` is left.
PLAIN = r'(?:"([^"\\<>]*)" *|([^"<>(),;\\]*))<([^<>"(),;\\ ]+)>'
PLAIN_FIRST = "${3} ${1}${2}"
_PLAIN = re.compile(PLAIN)
#: Second-level labels under which many registries register names: `co.uk`, `com.br`, `co.com`.
_GENERIC = frozenset(("ac", "co", "com", "edu", "gob", "gouv", "gov", "mil", "ne", "net", "nom", "or", "org", "sch"))


def address_first(from_: str) -> str:
    """Format a decoded From field for display: `Billing <billing@example.com>` becomes `billing@example.com Billing`.

    With several mailboxes, all addresses come before all names. A field without an address in angle brackets stays as
    it is.
    """
    from_ = from_.strip(" ")
    if "<" not in from_:
        return from_
    if plain := _PLAIN.fullmatch(from_):
        return f"{plain[3]} {plain[1] or plain[2] or ''}".rstrip(" ")
    found, names = _taken_apart(from_)
    return " ".join(filter(None, (", ".join(found), ", ".join(names))))


def addresses(from_: str) -> list[str]:
    """List every address of a decoded From field, including those that some mail programs overlook."""
    if plain := _PLAIN.fullmatch(from_.strip(" ")):
        return [plain[3]]
    return [one for one in _taken_apart(from_)[0] if "@" in one]


def sender_of(from_: str) -> str:
    """Return the first address of a decoded From field, unchanged; the whole field if it has none."""
    return next(iter(addresses(from_)), from_.strip(" "))


def sender_differs(from_: str, envelope_sender: str | None) -> bool:
    """Return True if an address in From is of another organisation than the envelope's sender, or From has none.

    False if there is nothing to compare: no envelope, the null sender (bounces), no From. Bounce addresses and VERP of
    the same organisation do not differ.
    """
    if not from_ or not envelope_sender or "@" not in envelope_sender:
        return False
    domain = envelope_sender.rpartition("@")[2]
    if from_.endswith(f"@{domain}>") and "," not in from_ and from_.count("<") == 1:
        return False
    return _differs(from_, domain)


@lru_cache(2048)
def _differs(from_: str, domain: str) -> bool:
    found = addresses(from_)
    ours = organisation(domain)
    return not found or any(organisation(one.rpartition("@")[2]) != ours for one in found)


def organisation(domain: str) -> str:
    """Reduce a domain to the part that one organisation registers, by its labels: `example.co.uk`, `example.com`."""
    if domain.startswith("["):
        return domain
    if not domain.isascii():
        domain = punycode(domain) or domain
    labels = domain.lower().rstrip(".").split(".")
    generic = len(labels) > 2 and labels[-2] in _GENERIC
    return ".".join(labels[-3 if generic else -2 :])


def _taken_apart(text: str) -> tuple[list[str], list[str]]:
    """Split a field that is not `PLAIN` into addresses and names."""
    found, names, closed = _scan(text, quoting=True)
    if not closed:  # An unclosed quote or comment: some programs do not treat it as one.
        found, names, _ = _scan(text, quoting=False)
    return list(dict.fromkeys(found)), names


def _scan(text: str, *, quoting: bool) -> tuple[list[str], list[str], bool]:
    """Return addresses, names, and whether all quotes and comments were closed; ignores these without `quoting`."""
    found: list[str] = []
    names: list[str] = []
    outside: list[str] = []
    comment: list[str] = []
    inside: list[str] | None = None
    quoted = escaped = bracketed = False
    depth = 0
    for char in f"{text},":
        if escaped or (quoting and (quoted or depth) and char not in '\\"()'):
            escaped = False
            (comment if depth else outside).append(char)
        elif quoting and char == "\\" and (quoted or depth):
            escaped = True
        elif quoting and char == '"' and not depth and inside is None:
            quoted = not quoted
        elif quoting and char == "(" and not quoted and inside is None:
            depth += 1
        elif quoting and char == ")" and depth:
            depth -= 1
        elif quoted or depth:
            (comment if depth else outside).append(char)
        elif char == "<":
            outside += ["<", *inside] if inside is not None else ()
            inside = []
        elif char == ">" and inside is not None:
            found.append("".join(inside).strip() or "<>")
            inside, bracketed = None, True
        elif char in ",;" and inside is None:
            name = "".join(outside).strip()
            if name:
                (found if "@" in name and " " not in name and not bracketed else names).append(name)
            if "".join(comment).strip():
                names.append("".join(comment).strip())
            outside, comment, bracketed = [], [], False
        else:
            (outside if inside is None else inside).append(char)
    if inside is not None:
        names.append("".join([*outside, "<", *inside])[:-1].strip())
    elif quoted or depth:
        names.append("".join([*outside, *comment])[:-1].strip())
    return found, names, not quoted and not depth
