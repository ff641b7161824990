"""The relay to which released messages are sent, as a URL in the settings.

`smtp://[user:password@]host[:port][?starttls=1][&ca=/path]` or `smtps://...`. The default ports are 25 and 465. With
`starttls=1` the session must be upgraded to TLS; `smtps` starts with TLS. Certificates are always verified, against the
system's authorities or those in the file `ca`. A password is sent in clear text only to the loopback address.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from store.terms.errors import RelayError

if TYPE_CHECKING:
    import ssl

_FORM = "Write it as smtp://host:port, or smtps://user:password@host:port?ca=/path."
_YES = {"1": True, "yes": True, "true": True, "0": False, "no": False, "false": False}


@dataclass(frozen=True)
class Relay:
    """A parsed relay.

    `tls`: TLS from the first byte (smtps); `starttls`: by upgrade. `ca` is a file of CA certificates.
    """

    host: str
    port: int
    tls: bool = False
    starttls: bool = False
    user: str = ""
    password: str = field(default="", repr=False)
    ca: Path | None = None

    def __str__(self) -> str:
        """Format the URL without its password, fit to be shown."""
        user = f"{quote(self.user, safe='')}@" if self.user else ""
        host = f"[{self.host}]" if ":" in self.host else self.host
        query = "&".join((["starttls=1"] if self.starttls else []) + ([f"ca={self.ca}"] if self.ca else []))
        return f"{'smtps' if self.tls else 'smtp'}://{user}{host}:{self.port}{'?' + query if query else ''}"

    def tls_context(self) -> ssl.SSLContext | None:
        """Make the TLS context; None for a session without TLS. Reads files: do not call in an event loop.

        Raises RelayError.
        """
        if not (self.tls or self.starttls):
            return None
        import ssl

        try:
            return ssl.create_default_context(cafile=str(self.ca) if self.ca else None)
        except (OSError, ssl.SSLError) as error:
            raise RelayError(
                f"The relay's CA file {self.ca} cannot be used: {error}. Give a readable file of PEM certificates."
            ) from error


def parse_relay(text: str) -> Relay:
    """Parse a relay URL. Raises RelayError, which never repeats the text (it may hold a password)."""
    text = text.strip()
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        raise RelayError(f"The relay's address is not valid: its host or port is wrong. {_FORM}") from error
    if parts.scheme not in ("smtp", "smtps"):
        raise RelayError(f"The relay's address must begin with smtp:// or smtps://. {_FORM}")
    if parts.path not in ("", "/") or parts.fragment:
        raise RelayError(f"The relay's address has extra text after the host and port. {_FORM}")
    if any(char.isspace() or not char.isprintable() for char in text):
        raise RelayError(f"The relay's address has a blank or unprintable character in it. {_FORM}")
    host = parts.hostname or ""
    if not host or not _is_host(host):
        raise RelayError(f"The relay's address has no valid host name. {_FORM}")
    if port == 0:
        raise RelayError("The relay's port must be between 1 and 65535.")
    tls = parts.scheme == "smtps"
    starttls, ca = _options(parts.query)
    if tls and starttls:
        raise RelayError("A relay uses either smtps:// or starttls=1, not both. Leave one out.")
    if ca and not (tls or starttls):
        raise RelayError("The relay has a CA file but no TLS: add starttls=1, or use smtps://.")
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    if bool(user) != bool(password):
        raise RelayError(f"The relay needs both a user and a password, or neither. {_FORM}")
    if user and not (tls or starttls) and not _is_loopback(host):
        raise RelayError("The relay's password would be sent in clear text: add starttls=1, or use smtps://.")
    return Relay(host, port or (465 if tls else 25), tls, starttls, user, password, Path(ca) if ca else None)


def _options(query: str) -> tuple[bool, str]:
    starttls, ca = False, ""
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name == "starttls" and value.lower() in _YES:
            starttls = _YES[value.lower()]
        elif name == "ca" and value:
            ca = value
        else:
            raise RelayError("The only options of a relay are starttls=1 and ca=/path. " + _FORM)
    return starttls, ca


def _is_host(host: str) -> bool:
    if ":" in host:
        try:
            ipaddress.IPv6Address(host)
        except ValueError:
            return False
        return True
    labels = host.removesuffix(".").split(".")
    return len(host) <= 253 and all(
        0 < len(label) <= 63 and all(char.isalnum() or char in "-_" for char in label) for label in labels
    )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"
