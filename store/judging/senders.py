"""Determine the sender of a message for the counters: the address in From, which the reader sees, at little cost."""

from __future__ import annotations

import re
from typing import NamedTuple

from store.mail.addresses import address_problem, mailbox
from store.mail.header_fields import Header, header_of
from store.message.headers import decode_addresses
from store.terms.sender import addresses

#: Bytes of a message searched for the end of its header, and max characters read of From.
_HEADER, _FROM = 1 << 16, 2000
_FIELDS = re.compile(
    rb"^(?:(From)|(Auto-Submitted)|(Precedence))[ \t]*:((?:[^\n]*\n[ \t])*[^\n]*)", re.IGNORECASE | re.MULTILINE
)
_FOLD = re.compile(rb"\r?\n[ \t]+")
_PLAIN = re.compile(r"(?:[^<>\"(),;@=]*|\"[^\"\\<>]*\")<([A-Za-z0-9._+=&'/-]{1,64}@[A-Za-z0-9.-]{1,190})>")
_BARE = re.compile(r"[A-Za-z0-9._+=&'/-]{1,64}@[A-Za-z0-9.-]{1,190}")
_BULK = frozenset((b"bulk", b"junk", b"list"))


class Sender(NamedTuple):
    """The counter keys of an address and its domain; "" if there is none. `automatic`: no person wrote the message."""

    address: str
    domain: str
    automatic: bool = False


def sender_of(raw: bytes, envelope_sender: str = "", header: Header | None = None) -> Sender:
    """Return the sender of a message: the first address in From, else the envelope sender. Never raises.

    `header` is the message's, if the caller has it.
    """
    if header is None or header.end > _HEADER:
        header = header_of(raw[:_HEADER])
    from_, automatic = b"", False
    for field in _FIELDS.finditer(header.text, header.start, header.end):
        if field[1]:
            from_ = from_ or field[4]
        elif field[2]:
            automatic = automatic or field[4].strip().lower() != b"no"
        else:
            automatic = automatic or field[4].strip().lower() in _BULK
    return _with_domain(_address(from_) or envelope_sender, automatic)


def recipient_of(address: str) -> str:
    """Return the counter key for mail to `address`; "" if it is not an address."""
    return _with_domain(address, False).address


def _address(value: bytes) -> str:
    """Return the first address in a field; "" if there is none."""
    if len(value) <= _FROM and b"=?" not in value and value.isascii():
        text = _FOLD.sub(b" ", value).decode("ascii").strip()
        if plain := _PLAIN.fullmatch(text):
            return plain[1]
        if _BARE.fullmatch(text) and not address_problem(text):
            return text
    text = decode_addresses(_FOLD.sub(b" ", value[:_FROM]).strip())
    return next((each for each in addresses(text) if not address_problem(each)), "")


def _with_domain(address: str, automatic: bool) -> Sender:
    key = mailbox(address)
    name, at, domain = key.rpartition("@")
    return Sender(key, domain, automatic) if at and name and domain else Sender("", "", automatic)
