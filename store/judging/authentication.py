"""Find out whether a sender is authenticated: from Authentication-Results fields and from the scanners' symbols.

A sender can forge Authentication-Results, so the caller names the server whose fields count. Nothing here raises.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from store.judging.engines.engine import EngineResult
from store.mail.header_fields import header_of
from store.mail.incoming import Incoming
from store.terms.findings import Authentication

#: Max results read from one field, and max characters kept of an identity.
_MOST, _LONGEST = 12, 120
#: Bytes of a message that are searched for the end of its header.
_HEADER = 1 << 16
_FIELD = re.compile(rb"^Authentication-Results[ \t]*:((?:[^\n]*\n[ \t])*[^\n]*)", re.IGNORECASE | re.MULTILINE)
_COMMENT = re.compile(r"\([^()]*\)")
_METHOD = re.compile(r"([a-z][a-z0-9-]{0,30})(?:/\d+)?\s*=\s*([a-z]{1,20})\b", re.IGNORECASE)
_PROPERTY = re.compile(r"\b(?:header\.(?:d|from|i)|smtp\.mailfrom|smtp\.auth)\s*=\s*\"?([^\s;\"]+)", re.IGNORECASE)
#: Authentication results by the rspamd or SpamAssassin symbol that reports them.
_SYMBOLS = {
    "R_SPF_ALLOW": ("spf", "pass"),
    "R_SPF_FAIL": ("spf", "fail"),
    "R_SPF_SOFTFAIL": ("spf", "softfail"),
    "R_DKIM_ALLOW": ("dkim", "pass"),
    "R_DKIM_REJECT": ("dkim", "fail"),
    "DMARC_POLICY_ALLOW": ("dmarc", "pass"),
    "DMARC_POLICY_REJECT": ("dmarc", "fail"),
    "DMARC_POLICY_QUARANTINE": ("dmarc", "fail"),
    "DMARC_POLICY_SOFTFAIL": ("dmarc", "fail"),
    "SPF_PASS": ("spf", "pass"),
    "SPF_FAIL": ("spf", "fail"),
    "SPF_SOFTFAIL": ("spf", "softfail"),
    "DKIM_VALID_AU": ("dkim", "pass"),
    "DKIM_INVALID": ("dkim", "fail"),
    "DMARC_PASS": ("dmarc", "pass"),
    "DMARC_REJECT": ("dmarc", "fail"),
    "DMARC_QUAR": ("dmarc", "fail"),
    "DMARC_NONE": ("dmarc", "fail"),
}
#: The signer of these is the domain in From: SpamAssassin has compared them.
_AUTHOR = frozenset({"DKIM_VALID_AU"})


def read_results(value: str) -> tuple[Authentication, ...]:
    """Parse one Authentication-Results field: `mx.example; dkim=pass header.d=example.org; spf=fail`."""
    server, *pieces = _COMMENT.sub(" ", value).split(";")
    name = (server.split() or [""])[0][:_LONGEST]
    found = []
    for piece in pieces[:_MOST]:
        method = _METHOD.match(piece.strip())
        if method is None:
            continue
        whose = _PROPERTY.search(piece)
        identity = whose[1].strip("<>").lower()[:_LONGEST] if whose else ""
        found.append(Authentication(method[1].lower(), method[2].lower(), identity, name))
    return tuple(found)


def results_of(raw: bytes, server: str) -> tuple[Authentication, ...]:
    """Parse the topmost Authentication-Results field that names `server`. It may be forged."""
    header = header_of(raw[:_HEADER])
    for field in _FIELD.finditer(header.text, header.start, header.end):
        value = " ".join(field[1].decode("utf-8", "replace").split())
        if (_COMMENT.sub(" ", value).partition(";")[0].split() or [""])[0].lower() == server.lower():
            return read_results(value)
    return ()


def authentication_of(
    incoming: Incoming, results: Mapping[str, EngineResult], domain: str = "", server: str = ""
) -> tuple[Authentication, ...]:
    """Collect the authentication results of a message, and the login name if the client logged in.

    A result that a trusted server or a scanner states itself goes before one derived from a scanner's symbols. `domain`
    is the domain of the address in From. `server` is the server whose Authentication-Results fields are believed on a
    listener without trusted headers ("" = none).
    """
    found = [each for result in results.values() for each in result.authentication]
    if server and not incoming.trusted_headers:
        found += results_of(incoming.raw, server)
    told = {each.method for each in found}
    for name, result in results.items():
        for symbol, _ in result.symbols:
            if symbol not in _SYMBOLS:
                continue
            method, outcome = _SYMBOLS[symbol]
            if method not in told:
                identity = incoming.sender.rpartition("@")[2].lower() if method == "spf" else ""
                if method == "dmarc" or symbol in _AUTHOR:
                    identity = domain
                found.append(Authentication(method, outcome, identity[:_LONGEST], name))
    if incoming.auth_user:
        found.append(Authentication("auth", "pass", incoming.auth_user[:_LONGEST], "login"))
    return tuple(found)
