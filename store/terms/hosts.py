"""The name of a host in Unicode and in plain ASCII (punycode), as a browser reads it. Nothing here raises."""

from __future__ import annotations

import re
import unicodedata

LABEL_LIMIT = 63
_PERCENT = re.compile(r"%([0-9A-Fa-f]{2})")
_DOTS = re.compile("[\u3002\uff0e\uff61]")


def both_forms(host: str) -> tuple[str, str]:
    """Write a host in Unicode and in ASCII, as a browser reads it. A malformed name comes back unchanged."""
    if "%" in host:
        raw = _PERCENT.sub(lambda match: chr(int(match[1], 16)), host)
        try:
            host = raw.encode("latin-1").decode()
        except UnicodeError:
            host = raw
    shown = _DOTS.sub(".", unicodedata.normalize("NFKC", host[:1024]).lower()).strip()
    labels = shown.split(".")
    return ".".join(map(_unicode_label, labels)), ".".join(map(_ascii_label, labels))


def _unicode_label(label: str) -> str:
    if not label.startswith("xn--") or len(label) > LABEL_LIMIT:
        return label
    try:
        return label[4:].encode("ascii").decode("punycode")
    except (UnicodeError, ValueError, OverflowError):
        return label


def _ascii_label(label: str) -> str:
    if label.isascii() or len(label) > LABEL_LIMIT:
        return label
    try:
        return "xn--" + label.encode("punycode").decode("ascii")
    except (UnicodeError, ValueError, OverflowError):
        return label


def punycode(host: str) -> str | None:
    """Return the ASCII form of a host that is not plain ASCII or is in punycode already; None for plain ASCII."""
    if host.isascii() and "xn--" not in host.lower():
        return None
    return both_forms(host)[1]
