"""Find out where a link really leads: its host as a browser reads it, in ASCII, defanged, compared with the link's
text.

Browsers forgive much in a URL (backslashes, tabs, a name before `@`, numeric addresses), so URLs are parsed by the
WHATWG URL standard, not RFC 3986. Nothing is fetched or resolved, and nothing here raises.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from store.terms.hosts import LABEL_LIMIT, both_forms

#: Max characters of a URL that are read.
URL_LIMIT = 4096
_STRIP = re.compile(r"[\t\r\n]")
_EDGES = "".join(map(chr, range(0x21)))
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]{0,30}):")
_SPECIAL = frozenset(("http", "https", "ftp", "ws", "wss"))
_SAFE_SCHEMES = _SPECIAL | {"mailto", "tel", "sms", "cid", "mid", "news", "geo", "xmpp", "sip"}
_HIDING_SCHEMES = {"http": "hxxp", "https": "hxxps", "ftp": "fxp"}
_AUTHORITY_END = re.compile(r"[/\\?#]")
_PORT = re.compile(r":(\d*)\Z")
_NUMERIC_HOST = re.compile(r"(?:0[xX][0-9a-fA-F]*|\d+)(?:\.(?:0[xX][0-9a-fA-F]*|\d+)){0,3}\.?\Z")
_FILE_NAME = re.compile(r"(?i)\.(?:pdf|docx?|xlsx?|pptx?|txt|jpe?g|png|gif|html?|csv|exe|mp[34]|odt|ods|xml|eml)\Z")
#: A host name or URL as people write it: only such link text is compared with the target.
_SHOWN = re.compile(
    r"(?:(?P<scheme>[A-Za-z][A-Za-z0-9+.-]{1,20})://)?(?:[^\s/@]{1,64}@)?"
    r"(?P<host>(?:[^\W_](?:[\w-]{0,61}[^\W_])?\.){1,8}[^\W\d_](?:[\w-]{0,61}[^\W_]))(?::\d{1,5})?(?=[/?#\s,;:!)\]>'\"]|\.?\Z|\.\s)"
)


class Link(msgspec.Struct, frozen=True, array_like=True):
    """One link of a message: shown text and target URL (its first 4,096 characters). All of it is hostile text.

    `punycode` is the target host in ASCII if the host is not plain ASCII or is written as punycode. `mismatch`: the
    text names another host than the target. `reason` lists everything odd, in words; "" if nothing is.
    """

    text: str
    target: str
    defanged: str
    mismatch: bool = False
    punycode: str | None = None
    reason: str = ""


class Target(NamedTuple):
    """A parsed URL: lower-case scheme ("" = relative), user part, host in Unicode and in ASCII, port, the rest."""

    scheme: str
    user: str
    host: str
    ascii_host: str
    port: str
    rest: str


def read_url(url: str) -> Target:
    """Parse a URL as a browser does. Invalid host names come back unchanged. Never raises."""
    url = _STRIP.sub("", url[:URL_LIMIT]).strip(_EDGES)
    found = _SCHEME.match(url)
    scheme = found[1].lower() if found else ""
    rest = url[found.end() :] if found else url
    if scheme in ("mailto", "sip", "xmpp"):
        address = rest.split("?", 1)[0]
        user, at, host = address.rpartition("@")
        if not at:
            return Target(scheme, address, "", "", "", rest[len(address) :])
        return Target(scheme, user, *both_forms(host), "", rest[len(address) :])
    if scheme in _SPECIAL:
        rest = rest.lstrip("/\\")
    elif rest[:2] in ("//", "\\\\", "/\\", "\\/"):
        rest = rest[2:]
    else:
        return Target(scheme, "", "", "", "", rest)
    end = _AUTHORITY_END.search(rest)
    authority, path = (rest[: end.start()], rest[end.start() :]) if end else (rest, "")
    user, _, host = authority.rpartition("@")
    port = ""
    if number := _PORT.search(host):
        host, port = host[: number.start()], number[1]
    return Target(scheme, user, *both_forms(host), port, path)


def defang(url: str) -> str:
    """Rewrite a URL or address so that no terminal or program makes it a link: `hxxps://host[.]example/…`.

    Dots of the host and every `@` are bracketed. The result is still hostile text.
    """
    url = _STRIP.sub("", url[:URL_LIMIT]).strip(_EDGES)
    found = _SCHEME.match(url)
    scheme = found[1].lower() if found else ""
    head, rest = (url[: found.end()], url[found.end() :]) if found else ("", url)
    if scheme in _HIDING_SCHEMES:
        head = _HIDING_SCHEMES[scheme] + ":"
    elif scheme and scheme not in _SAFE_SCHEMES:
        head = scheme + "[:]"
    slashes = len(rest) - len(rest.lstrip("/\\"))
    end = _AUTHORITY_END.search(rest, slashes)
    stop = end.start() if end else len(rest)
    authority = rest[:stop].replace(".", "[.]").replace("@", "[@]")
    return head + authority + rest[stop:].replace("://", "[://]").replace("@", "[@]")


_SCRIPT_OF: dict[str, str] = {
    "HIRAGANA": "JAPANESE", "KATAKANA": "JAPANESE", "CJK": "HAN", "HANGUL": "KOREAN", "BOPOMOFO": "HAN",
}  # fmt: skip
_LATIN_LOOKALIKES = frozenset("асԁеһіјӏорԛѕԝхуѵʏɡαονρτικѡгьᴦ")


def _script(character: str) -> str:
    word = unicodedata.name(character, "").split(" ", 1)[0].split("-", 1)[0]
    return _SCRIPT_OF.get(word, word)


def host_warning(host: str) -> str:
    """Describe oddities in a Unicode host: mixed scripts, letters that only look Latin. "" if there are none."""
    for label in host.split("."):
        if label.isascii():
            continue
        scripts = {_script(character) for character in label[:LABEL_LIMIT] if character.isalpha()}
        foreign = scripts - {"HAN", "JAPANESE", "KOREAN"}
        asian = scripts & {"HAN", "JAPANESE", "KOREAN"}
        if len(foreign) > 1 or (foreign - {"LATIN"} and asian):
            return f"mixes {' and '.join(sorted(name.capitalize() for name in scripts))} letters"
        letters = [character for character in label if character.isalpha()]
        if scripts and "LATIN" not in scripts and all(letter in _LATIN_LOOKALIKES for letter in letters):
            return "written in letters that only look Latin"
    return ""


def examine(text: str, url: str) -> Link:
    """Build a Link from its shown text and target, with its oddities. Never raises."""
    target = read_url(url)
    reasons: list[str] = []
    if target.scheme and target.scheme not in _SAFE_SCHEMES:
        reasons.append(f"{target.scheme}: is not a web address")
    shown = _SHOWN.search(text[:URL_LIMIT])
    if shown and not shown["scheme"] and _FILE_NAME.search(shown["host"]):
        shown = None
    mismatch = bool(shown and target.ascii_host and not _same_site(both_forms(shown["host"])[1], target.ascii_host))
    if mismatch and shown:
        reasons.append(f"shows {shown['host']}, leads to {target.ascii_host}")
    elif shown and shown["scheme"] and target.scheme and not target.host:
        mismatch = True
    if target.user and target.scheme in _SPECIAL:
        reasons.append(f"the part before @ is not the host; it leads to {target.ascii_host}")
    if _NUMERIC_HOST.match(target.ascii_host) or target.ascii_host.startswith("["):
        reasons.append("the host is written as a number")
    warning = host_warning(target.host)
    ascii_host = None
    if target.host != target.ascii_host or "xn--" in target.ascii_host:
        ascii_host = target.ascii_host
        reasons.append(f"the host is not plain ASCII and reads {target.host}" + (f", {warning}" if warning else ""))
    if target.port and target.scheme in _SPECIAL and target.port not in ("80", "443", "21"):
        reasons.append(f"port {target.port}")
    if target.scheme in _SPECIAL and "%" in _authority(url):
        reasons.append(f"the host is percent-encoded and reads {target.ascii_host}")
    if len(url) > URL_LIMIT:
        reasons.append(f"{len(url):,} characters long: cut")
    return Link(text, url[:URL_LIMIT], defang(url), mismatch, ascii_host, "; ".join(reasons))


def _authority(url: str) -> str:
    return _AUTHORITY_END.split(url[:URL_LIMIT].split(":", 1)[-1].lstrip("/\\"), maxsplit=1)[0]


def _same_site(shown: str, target: str) -> bool:
    shown, target = (host.removesuffix(".").removeprefix("www.") for host in (shown, target))
    return shown == target or target.endswith("." + shown)


_IN_TEXT = re.compile(r"(?i)\b(?:https?://|ftp://|www\.)[^\s<>\"'\x00-\x20]{3,2000}")
_TRAILING = ".,;:!?)]}>'\"…"


def urls_in_text(text: str, start: int = 0, end: int | None = None) -> Iterator[tuple[str, str]]:
    """Yield the URLs in ``text[start:end]`` that mail programs make clickable: as written, and as target."""
    for match in _IN_TEXT.finditer(text, start, len(text) if end is None else end):
        url = match[0].rstrip(_TRAILING)
        yield url, url if "://" in url else f"http://{url}"


def links_in_text(text: str, limit: int) -> list[Link]:
    """Find the links in plain text, each once, at most `limit`."""
    found: dict[str, Link] = {}
    for url, target in urls_in_text(text):
        if url not in found:
            if len(found) == limit:
                break
            found[url] = examine(url, target)
    return list(found.values())
