"""Checks of a configuration's listening addresses against each other: none twice, and no loop."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import NamedTuple

from store.mail.endpoint import Address, parse_address
from store.mail.relay import parse_relay
from store.terms.errors import UsageError


class Listener(NamedTuple):
    """A listener's address, and the relay URL that its messages go on to ("" if they end here)."""

    listen: str
    next_hop: str = ""


def require_apart(addresses: Sequence[Address], index: int) -> None:
    """Refuse the address number `index` if an earlier one takes it already. Raises UsageError."""
    if any(overlap(addresses[index], earlier) for earlier in addresses[:index]):
        raise UsageError(f"the gateway listens on `{addresses[index]}` already: choose another address or port")


def require_no_loop(listeners: Sequence[Listener], index: int) -> None:
    """Refuse a `next_hop` that leads back to its own listener, also through others. Raises UsageError, RelayError."""
    at, seen = index, set[int]()
    while listeners[at].next_hop and at not in seen:
        seen.add(at)
        relay = parse_relay(listeners[at].next_hop)
        hop = Address("", relay.host, relay.port)
        following = [number for number, each in enumerate(listeners) if _reaches(hop, parse_address(each.listen))]
        if index in following:
            raise UsageError(
                f"`{relay}` leads back to this listener, so messages would go round in a loop: give the address of "
                "the mail server behind the gateway"
            )
        if not following:
            return
        at = following[0]


def _reaches(hop: Address, listener: Address) -> bool:
    """Return whether connections to `hop` surely arrive at a listener: at 0.0.0.0 only those to this machine."""
    same = hop.host.lower() == listener.host.lower()
    return overlap(hop, listener) and (same or is_local(hop) or not _is_unspecified(listener.host))


def _is_unspecified(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False


def overlap(one: Address, other: Address) -> bool:
    """Return whether two addresses are the same, or one includes the other as 0.0.0.0 does."""
    if one.path or other.path:
        return one.path == other.path
    if one.port != other.port:
        return False
    return one.host.lower() == other.host.lower() or _includes(one, other) or _includes(other, one)


def _includes(one: Address, other: Address) -> bool:
    hosts = {"127.0.0.1", "::1"} if other.host.lower() == "localhost" else {other.host}
    if one.host.lower() == "localhost":
        return bool(hosts & {"127.0.0.1", "::1"})
    try:
        address = ipaddress.ip_address(one.host)
        return address.is_unspecified and any(ipaddress.ip_address(host).version == address.version for host in hosts)
    except ValueError:
        return False


def is_local(address: Address) -> bool:
    """Return whether only this machine can connect to an address."""
    try:
        return (
            bool(address.path) or address.host.lower() == "localhost" or ipaddress.ip_address(address.host).is_loopback
        )
    except ValueError:
        return False
