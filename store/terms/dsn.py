"""What a sender asked to be told about its message (RFC 3461): the parameters of MAIL and RCPT, kept with the copy.

They are kept as they came, in xtext, so that what goes out again is what came. Text is NOT safe for a terminal.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import msgspec

_XTEXT = rb"(?:[!-*,-<>-~]|\+[0-9A-F]{2})"
_ENVID = re.compile(rb"(?=.{1,100}$)" + _XTEXT + rb"+")
# A type of address and, behind a semicolon, the address; of the type utf-8 (RFC 6533) in UTF-8 too.
_ORCPT = re.compile(rb"(?=.{1,500}$)[A-Za-z0-9-]+;(?:" + _XTEXT + rb"|[\x80-\xff])+")
_WHEN = (b"SUCCESS", b"FAILURE", b"DELAY")


class BadDsn(ValueError):
    """A parameter's value is not as RFC 3461 has it."""


class RecipientDsn(msgspec.Struct, frozen=True, array_like=True):
    """What was asked for one recipient: `notify` is NEVER or some of SUCCESS,FAILURE,DELAY; "" is what was not said."""

    address: str
    notify: str = ""
    orcpt: str = ""


class Dsn(msgspec.Struct, frozen=True, array_like=True):
    """What was asked for a message: `ret` is FULL or HDRS; `recipients` are those for whom anything was said."""

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
        """The recipients by their address."""
        return {each.address: each for each in self.recipients}


class Asked(NamedTuple):
    """The parameters of one MAIL or RCPT command, "" for each that is not there."""

    ret: str = ""
    envid: str = ""
    notify: str = ""
    orcpt: str = ""


def dsn_of(ret: str, envid: str, recipients: Iterable[RecipientDsn]) -> Dsn | None:
    """Collect what was asked for a message; None if nothing was."""
    said = tuple(each for each in recipients if each.notify or each.orcpt)
    return Dsn(ret, envid, said) if ret or envid or said else None


def read_parameter(name: bytes, value: bytes) -> Mapping[str, str]:
    """One parameter (`name` in upper case) as a field of `Asked`; empty where it is none of DSN's. Raises BadDsn."""
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
    """Read the NAME=VALUE parameters that an MTA accepted; skips invalid ones."""
    found: dict[str, str] = {}
    for each in parameters:
        name, _, value = each.partition(b"=")
        try:
            found.update(read_parameter(name.upper(), value))
        except BadDsn:
            continue
    return Asked(**found)
