"""Checks of a configuration's listening addresses against each other: none twice, and no loop."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import TYPE_CHECKING

from store.helpers.toml_lines import Path
from store.mail.endpoint import Address, parse_address
from store.mail.relay import parse_relay
from store.terms.errors import UsageError

if TYPE_CHECKING:
    from store.gateway.config import Config, SinkSection


def listened(config: Config) -> list[tuple[Path, Address]]:
    """Return every address that the gateway listens on, with the path of its key. Raises UsageError."""
    found: list[tuple[Path, Address]] = [
        (("milter", "listen"), parse_address(listen)) for listen in config.milter.listen
    ]
    found += [(("sink", index, "listen"), parse_address(sink.listen)) for index, sink in enumerate(config.sink)]
    if config.metrics.listen:
        found.append((("metrics", "listen"), parse_address(config.metrics.listen)))
    return found


def require_apart(config: Config, index: int) -> None:
    """Refuse the address number `index` of `listened` if an earlier one takes it already. Raises UsageError."""
    addresses = [address for _, address in listened(config)]
    if any(overlap(addresses[index], earlier) for earlier in addresses[:index]):
        raise UsageError(f"the gateway listens on `{addresses[index]}` already: choose another address or port")


def require_no_loop(sinks: Sequence[SinkSection], index: int) -> None:
    """Refuse a `next_hop` that leads back to its own listener, also through others. Raises UsageError, RelayError."""
    at, seen = index, set[int]()
    while sinks[at].next_hop and at not in seen:
        seen.add(at)
        relay = parse_relay(sinks[at].next_hop)
        hop = Address("", relay.host, relay.port)
        following = [number for number, sink in enumerate(sinks) if overlap(hop, parse_address(sink.listen))]
        if index in following:
            raise UsageError(
                f"`{relay}` leads back to this listener, so messages would go round in a loop: give the address of "
                "the mail server behind the gateway"
            )
        if not following:
            return
        at = following[0]


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
        return bool(address.path) or address.host == "localhost" or ipaddress.ip_address(address.host).is_loopback
    except ValueError:
        return False
