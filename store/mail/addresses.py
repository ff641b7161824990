"""Email addresses for an SMTP envelope, checked before use: the SMTP client sends them unchanged.

Sources: RFC 5321 (4.1.2, 4.5.3.1), RFC 6531 and 6532 (non-ASCII addresses). Dots anywhere in the local part are
accepted, since real mailboxes have them. Functions for text from a message do not raise; `check_address` and
`parse_addresses`, for text typed by an operator, raise `AddressError`.
"""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from collections.abc import Iterator

from store.terms.errors import AddressError

MAX_ADDRESS = 254
MAX_LOCAL = 64
MAX_DOMAIN = 253
#: Max characters of header text that are searched for addresses.
MAX_HEADER = 1_000_000

# Written as negated sets, which allow every non-ASCII character: compiling a set that lists them takes 5 ms.
_ATOM = re.compile(r"[^\x00- \"(),:;<>@\[\\\]\x7f]+")
_QUOTED = re.compile(r'"(?:[ !#-\[\]-~]|\\[ -~])*"')
#: Quoting in a local part: a pair of quotes, or a backslash before a character.
_QUOTES = re.compile(r'\\(.)|"', re.DOTALL)
_LABEL_END = r"[^\x00-/:-@\[-^`{-\x7f]"
_LABEL = re.compile(rf"{_LABEL_END}(?:[^\x00-,./:-@\[-^`{{-\x7f]*{_LABEL_END})?")
#: Most addresses: valid, and tested at a tenth of the cost.
_LABEL_EASY = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_EASY = re.compile(rf"[A-Za-z0-9_+=.-]{{1,{MAX_LOCAL}}}@{_LABEL_EASY}(?:\.{_LABEL_EASY})*")
#: Most fields with one address: words without a special character, and the address in angle brackets.
_EASY_FIELD = re.compile(r"[A-Za-z0-9_+=.' -]*<([^<>]*)>")
#: Characters that IDNA 2003 (in the standard library) maps to another name than IDNA 2008 does.
_DEVIATIONS = frozenset("\u00df\u03c2\u200c\u200d")


def check_address(text: str) -> str:
    """Return the address in `text`, without surrounding blanks and angle brackets, in Unicode form NFC.

    Raises AddressError, with the reason, if it is not valid in an SMTP envelope.
    """
    address = unicodedata.normalize("NFC", text.strip())
    if address.startswith("<") and address.endswith(">"):
        address = address[1:-1].strip()
    problem = address_problem(address)
    if problem:
        raise AddressError(f"{text.strip()!r} is not an email address: {problem}. Write it as name@example.com.")
    return address


def address_problem(address: str) -> str:
    """Return why `address` is not valid in an envelope; "" if it is valid."""
    if len(address) <= MAX_ADDRESS and _EASY.fullmatch(address):
        return ""
    if not address:
        return "it is empty"
    # Fast path: printable text has no character of these categories.
    if not address.isprintable() and any(unicodedata.category(char)[0] == "C" for char in address):
        return "it has a character that cannot be printed"
    local, at, domain = address.rpartition("@")
    if not at or not local or not domain:
        return "it needs one @ between a name and a domain"
    if len(address.encode()) > MAX_ADDRESS or len(local.encode()) > MAX_LOCAL:
        return f"it is longer than {MAX_LOCAL} bytes before the @, or {MAX_ADDRESS} in all"
    return _local_problem(local) or _domain_problem(domain)


def _local_problem(local: str) -> str:
    if local.startswith('"'):
        return "" if _QUOTED.fullmatch(local) else "the quotes before the @ do not match"
    if not _ATOM.fullmatch(local) or any(unicodedata.category(char)[0] == "Z" for char in local):
        return "a character before the @ is not allowed there"
    return ""


def _domain_problem(domain: str) -> str:
    if domain.startswith("["):
        return "" if _is_literal(domain) else "the address in [ ] is not an IP address"
    if len(domain.encode()) > MAX_DOMAIN:
        return f"the domain is longer than {MAX_DOMAIN} bytes"
    labels = domain.split(".")
    if not all(len(label.encode()) <= 63 and _LABEL.fullmatch(label) for label in labels):
        return "the domain is not valid"
    if any(unicodedata.category(char)[0] in "ZS" for char in domain):
        return "the domain is not valid"
    return ""


def _is_literal(domain: str) -> bool:
    inner = domain[1:-1] if domain.endswith("]") else ""
    try:
        if inner[:5].lower() == "ipv6:":
            ipaddress.IPv6Address(inner[5:])
        else:
            ipaddress.IPv4Address(inner)
    except ValueError:
        return False
    return "%" not in inner


def parse_addresses(text: str) -> list[str]:
    """Split an operator's text at commas, semicolons, blanks and line ends into addresses. Accepts `Name <a@x>` too.

    Returns each address once, in order; [] for an empty text. Raises AddressError for the first invalid address.
    """
    found: list[str] = []
    for piece in _split(text):
        inner = _angle(piece)
        found.extend(check_address(word) for word in ([inner] if inner is not None else _words(piece)))
    return unique(found)


def addresses_in_header(text: str) -> list[str]:
    """Return the valid addresses in a decoded To, Cc or Bcc field. Skips everything else. Never raises."""
    one = _EASY_FIELD.fullmatch(text) if len(text) < MAX_HEADER else None
    easy = one[1] if one else text
    if len(easy) <= MAX_ADDRESS and _EASY.fullmatch(easy):
        return [easy]
    found: list[str] = []
    for piece in _split(text[:MAX_HEADER]):
        inner = _angle(piece)
        candidates = [inner] if inner is not None else [word for word in _words(piece) if "@" in word]
        if len(candidates) == 1:
            candidate = unicodedata.normalize("NFC", candidates[0].strip())
            if address_problem(candidate):
                candidate = candidate.partition(":")[2]  # the first member of a group: `Team:a@example.com`
            if not address_problem(candidate):
                found.append(candidate)
    return unique(found)


def unique(addresses: list[str]) -> list[str]:
    """Drop repeated addresses; keep the first of each, in order."""
    kept: dict[str, str] = {}
    for address in addresses:
        kept.setdefault(same(address), address)
    return list(kept.values())


def same(address: str) -> str:
    """Return the key that all spellings of one mailbox share; mail servers replace one spelling by another.

    The local part is without quotes and backslashes, its case is kept. The domain is as in `domain_key`, without a
    trailing dot. A text without a domain is a local part.
    """
    local, at, domain = address.rpartition("@")
    if not at:
        local, domain = domain, ""
    return f"{_QUOTES.sub(_unquoted, local)}{at}{domain_key(domain.removesuffix('.'))}"


def _unquoted(found: re.Match[str]) -> str:
    return found[1] or ""


def mailbox(address: str) -> str:
    """Return the key by which a mailbox gets a message only once: like `same`, but ignoring the local part's case."""
    local, at, domain = unicodedata.normalize("NFC", address).rpartition("@")
    return f"{local.casefold()}{at}{domain_key(domain)}"


def domain_key(domain: str) -> str:
    """Return the key that all spellings of a domain share: lower case, in punycode if possible."""
    lowered = unicodedata.normalize("NFC", domain).lower()
    if lowered.isascii() or _DEVIATIONS & set(lowered):
        return lowered
    try:
        below, name = lowered[:1] == ".", lowered.removeprefix(".")
        return "." * below + name.encode("idna").decode("ascii")
    except UnicodeError:
        return lowered


def ascii_form(address: str) -> str | None:
    """Return the address in pure ASCII, its domain in punycode if needed; None if only SMTPUTF8 can carry it."""
    if address.isascii():
        return address
    local, at, domain = address.rpartition("@")
    if not local.isascii() or _DEVIATIONS & set(domain):
        return None
    try:
        return f"{local}{at}{domain.encode('idna').decode('ascii')}"
    except UnicodeError:
        return None


def _split(text: str) -> Iterator[str]:
    """Split `text` at commas, semicolons and line ends outside quotes, angle brackets and comments."""
    start = depth = 0
    quoted = angle = escaped = False
    for at, char in enumerate(text):
        if escaped:
            escaped = False
        elif char == "\\" and (quoted or depth):
            escaped = True
        elif char == '"' and not depth:
            quoted = not quoted
        elif quoted:
            continue
        elif char == "(" and not angle:
            depth += 1
        elif char == ")" and depth:
            depth -= 1
        elif depth:
            continue
        elif char == "<":
            angle = True
        elif char == ">":
            angle = False
        elif char in ",;\r\n" and not angle:
            if text[start:at].strip():
                yield text[start:at].strip()
            start = at + 1
    if text[start:].strip():
        yield text[start:].strip()


def _angle(piece: str) -> str | None:
    """Return the content of the last pair of angle brackets; None if the text does not end with one."""
    if not piece.endswith(">"):
        return None
    opening = piece.rfind("<")
    return None if opening < 0 else piece[opening + 1 : -1]


def _words(piece: str) -> list[str]:
    """Split a piece without angle brackets into words. A quoted local part stays whole; comments are dropped."""
    words: list[str] = []
    word: list[str] = []
    depth = 0
    quoted = escaped = False
    for char in piece:
        if escaped:
            escaped = False
        elif char == "\\":
            escaped = True
        elif char == '"' and not depth:
            quoted = not quoted
        elif char == "(" and not quoted:
            depth += 1
            continue
        elif char == ")" and depth and not quoted:
            depth -= 1
            continue
        if depth:
            continue
        if char.isspace() and not quoted:
            words.append("".join(word))
            word = []
        else:
            word.append(char)
    words.append("".join(word))
    return [word for word in words if word]
