"""The delivery status notifications that a sender requested (RFC 3461, in MAIL and RCPT), kept with the copy.

Values are kept in xtext as received, so that a release sends them unchanged. Text is NOT safe for a terminal.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import msgspec

_XTEXT = rb"(?:[!-*,-<>-~]|\+[0-9A-F]{2})"
_ENVID = re.compile(rb"(?=.{1,100}$)" + _XTEXT + rb"+")
# An address type, a semicolon, the address; for the type utf-8 (RFC 6533) it may be in UTF-8.
_ORCPT = re.compile(rb"(?=.{1,500}$)[A-Za-z0-9-]+;(?:" + _XTEXT + rb"|[\x80-\xff])+")
_WHEN = (b"SUCCESS", b"FAILURE", b"DELAY")


class BadDsn(ValueError):
    """A parameter's value is not valid by RFC 3461."""


class RecipientDsn(msgspec.Struct, frozen=True, array_like=True):
    """The request for one recipient.

    `notify`: NEVER, or some of SUCCESS,FAILURE,DELAY; "" if a parameter was not given.
    """

    address: str
    notify: str = ""
    orcpt: str = ""


class Dsn(msgspec.Struct, frozen=True, array_like=True):
    """The request for a message. `ret`: FULL or HDRS; `recipients`: only those with parameters of their own."""

    ret: str = ""
    envid: str = ""
    recipients: tuple[RecipientDsn, ...] = ()

    def only(self, addresses: Iterable[str]) -> Dsn | None:
        """Keep the recipients among `addresses`; None if none is left."""
        wanted = frozenset(addresses)
        kept = tuple(each for each in self.recipients if each.address in wanted)
        return dsn_of(self.ret, self.envid, kept)

    @property
    def by_address(self) -> dict[str, RecipientDsn]:
        """The recipients by address."""
        return {each.address: each for each in self.recipients}


class Asked(NamedTuple):
    """The parameters of one MAIL or RCPT command; "" for those not given."""

    ret: str = ""
    envid: str = ""
    notify: str = ""
    orcpt: str = ""


#: Nearly every command asks for nothing.
NOTHING_ASKED = Asked()


def dsn_of(ret: str, envid: str, recipients: Iterable[RecipientDsn]) -> Dsn | None:
    """Collect the request for a message; None if there was none."""
    said = tuple(each for each in recipients if each.notify or each.orcpt)
    return Dsn(ret, envid, said) if ret or envid or said else None


def read_parameter(name: bytes, value: bytes) -> Mapping[str, str]:
    """Parse one parameter (`name` in upper case) into a field of `Asked`; {} if it is not one of DSN's.

    Raises BadDsn.
    """
    match name:
        case b"RET":
            if value.upper() in (b"FULL", b"HDRS"):
                return {"ret": value.upper().decode()}
        case b"ENVID":
            if _ENVID.fullmatch(value):
                return {"envid": value.decode("ascii")}
        case b"NOTIFY":
            words = value.upper().split(b",")
            if words == [b"NEVER"] or (set(words) <= set(_WHEN) and len(words) == len(set(words))):
                return {"notify": b",".join(words).decode()}
        case b"ORCPT":
            if _ORCPT.fullmatch(value):
                try:
                    return {"orcpt": value.decode()}
                except UnicodeDecodeError:
                    pass
        case _:
            return {}
    raise BadDsn(f"The value of {name.decode()} is not valid")


def asked_of(parameters: Iterable[bytes]) -> Asked:
    """Parse the NAME=VALUE parameters that an MTA accepted; invalid ones are skipped."""
    found: dict[str, str] = {}
    for each in parameters:
        if not each:
            continue
        name, _, value = each.partition(b"=")
        try:
            found.update(read_parameter(name.upper(), value))
        except BadDsn:
            continue
    return Asked(**found) if found else NOTHING_ASKED
