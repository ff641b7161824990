"""`mailhold.toml`: the settings of a gateway on its own machine. All other settings are in the store, signed.

The commented example in this folder (`mailhold.toml.example`) has every key. An unknown key, or a value of the wrong
type, is an error that names the line.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import msgspec

from store.gateway.config_words import dotted, wrong_value
from store.gateway.listening_checks import Listener, require_apart, require_no_loop
from store.helpers.toml_lines import Lines, load
from store.helpers.toml_lines import Path as KeyPath
from store.mail.endpoint import Address, parse_address
from store.mail.relay import parse_relay
from store.terms.errors import MailholdError, UsageError
from store.terms.sizes import MIB, parse_size
from store.terms.verdicts import Status

if TYPE_CHECKING:
    from store.judging.engines.states import RemoteScanner
    from store.mail.relay import Relay

T = TypeVar("T")

EXAMPLE = "mailhold.toml.example"
#: Sections whose changes need a restart.
AT_START = ("store", "milter", "sink", "authentication", "delivery", "metrics")
_WHERE = re.compile(r" - at `(?:key in )?\$(.*)`$")
_STEP = re.compile(r"\.([^.\[\]]+)|\[(\d+|\.\.\.)\]")
_MODE = re.compile(r"0?[0-7]{3}")


class _Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class StoreSection(_Section, frozen=True, kw_only=True):
    """The store's location, and the credentials file written by `mailhold gateway enroll`."""

    location: str
    credentials: str


class MilterSection(_Section, frozen=True, kw_only=True):
    """The milter's listening addresses, who may connect to its sockets, and the largest message."""

    listen: tuple[str, ...] = ()
    group: str = ""
    mode: str = "0660"
    max_message: str = "64 MB"


class SinkSection(_Section, frozen=True, kw_only=True):
    """An LMTP or SMTP listener. Without `next_hop`, accepted messages end here, and each is kept."""

    listen: str
    protocol: Literal["lmtp", "smtp"] = "lmtp"
    trusted: bool = False
    next_hop: str = ""
    group: str = ""
    mode: str = "0660"
    max_message: str = "64 MB"


class ClamdSection(_Section, frozen=True, kw_only=True):
    address: str
    time_limit: float = 60.0
    concurrency: int = 8


class RspamdSection(_Section, frozen=True, kw_only=True):
    address: str
    time_limit: float = 30.0
    concurrency: int = 8
    symbols: dict[str, Status] = {}


class SpamdSection(_Section, frozen=True, kw_only=True):
    address: str
    time_limit: float = 60.0
    concurrency: int = 5
    spam_score: float | None = None
    user: str = ""


class EnginesSection(_Section, frozen=True, kw_only=True):
    """The scanners; all are asked at once about every message.

    If a scanner is down for `tell_after` seconds, the administrator gets a mail.
    """

    tell_after: float = 60.0

    clamd: ClamdSection | None = None
    rspamd: RspamdSection | None = None
    spamd: SpamdSection | None = None


class AuthenticationSection(_Section, frozen=True, kw_only=True):
    """The server whose Authentication-Results fields are believed, by the name in them; "" for none."""

    server: str = ""


class DeliverySection(_Section, frozen=True, kw_only=True):
    """The delivery of released messages."""

    enabled: bool = True
    connections: int = 4


class MetricsSection(_Section, frozen=True, kw_only=True):
    """The loopback address on which Prometheus gets the metrics; "" for none."""

    listen: str = ""


class LogSection(_Section, frozen=True, kw_only=True):
    format: Literal["json", "text"] = "json"
    level: Literal["debug", "info", "warning", "error"] = "info"


class Config(_Section, frozen=True, kw_only=True):
    """The contents of `mailhold.toml`."""

    store: StoreSection
    milter: MilterSection = MilterSection()
    sink: tuple[SinkSection, ...] = ()
    engines: EnginesSection = EnginesSection()
    authentication: AuthenticationSection = AuthenticationSection()
    delivery: DeliverySection = DeliverySection()
    metrics: MetricsSection = MetricsSection()
    log: LogSection = LogSection()


def example() -> str:
    """Return the commented example."""
    return resources.files("store.gateway").joinpath(EXAMPLE).read_text("utf-8")


def read_config(path: Path) -> Config:
    """Read a configuration file. Raises UsageError, which names the line."""
    try:
        text = path.read_text("utf-8-sig")
    except OSError as error:
        raise UsageError(
            f"The configuration {path} cannot be read: {error.strerror}. "
            "`mailhold gateway --example-config` prints one."
        ) from None
    except UnicodeDecodeError:
        raise UsageError(f"The configuration {path} is not UTF-8 text.") from None
    return parse_config(text, str(path))


def parse_config(text: str, source: str = "mailhold.toml") -> Config:
    """Parse and check a configuration. Raises UsageError, which names `source` and the line."""
    document = load(text, source)
    lines = Lines(text)

    def wrong(where: KeyPath, why: str) -> UsageError:
        return UsageError(f"{source}, line {lines.of(where)}: {why.rstrip('.')}.")

    try:
        config = msgspec.convert(document, Config, strict=True)
    except msgspec.ValidationError as error:
        found = _WHERE.search(str(error))
        where: KeyPath = tuple(
            name or (int(index) if index.isdigit() else "") for name, index in _STEP.findall(found[1] if found else "")
        )
        raise wrong(*wrong_value(_WHERE.sub("", str(error)), where, Config, example())) from None
    for where, check, value in _checks(config):
        try:
            check(value)
        except MailholdError as error:
            raise wrong(where, f"`{dotted(where)}`: {error}") from None
    return config


def scanners_of(engines: EnginesSection) -> tuple[RemoteScanner, ...]:
    """Make the scanners that a configuration names. Raises UsageError, also if a library is missing."""
    found: list[RemoteScanner] = []
    if engines.clamd is not None:
        from store.judging.engines.clamd import Clamd

        found.append(_made(Clamd, engines.clamd))
    if engines.rspamd is not None:
        from store.judging.engines.rspamd import Rspamd

        found.append(_made(Rspamd, engines.rspamd))
    if engines.spamd is not None:
        from store.judging.engines.spamd import Spamd

        found.append(_made(Spamd, engines.spamd))
    return tuple(found)


def size(text: str) -> int:
    """Parse a maximum message size into bytes. Raises SettingError, UsageError."""
    value = parse_size(text)
    if not value or value > 2048 * MIB:
        raise UsageError(f"{text!r} is not a valid size for a message: give one between 1 byte and 2 GB.")
    return value


def mode(text: str) -> int:
    """Parse a socket's mode, such as "0660". Raises UsageError."""
    if not _MODE.fullmatch(text):
        raise UsageError(f"{text!r} is not a mode of a socket: write four octal digits, for example 0660.")
    return int(text, 8)


def next_hop(section: SinkSection) -> Relay | None:
    """Return the relay to which a listener sends accepted messages; None if they end here. Raises RelayError."""
    return parse_relay(section.next_hop) if section.next_hop else None


def loopback(text: str) -> Address:
    """Parse a loopback address for metrics. Raises UsageError."""
    address = parse_address(text)
    try:
        here = address.host == "localhost" or ipaddress.ip_address(address.host).is_loopback
    except ValueError:
        here = False
    if not here:
        raise UsageError(
            f"`{text}` is not an address of this machine: metrics can only listen on 127.0.0.1:port or [::1]:port."
        )
    return address


def _made(kind: Callable[..., T], section: ClamdSection | RspamdSection | SpamdSection) -> T:
    values: dict[str, Any] = msgspec.structs.asdict(section)
    return kind(values.pop("address"), **values)


def _checks(config: Config) -> list[tuple[KeyPath, Callable[[Any], object], Any]]:
    """List the checks that types cannot express: path of the value, check, value."""
    checks: list[tuple[KeyPath, Callable[[Any], object], Any]] = [
        (("store", "location"), _filled, config.store.location),
        (("store", "credentials"), _filled, config.store.credentials),
        (("milter", "mode"), mode, config.milter.mode),
        (("milter", "max_message"), size, config.milter.max_message),
        (("engines", "tell_after"), _tell_after, config.engines.tell_after),
        (("delivery", "connections"), _connections, config.delivery.connections),
    ]
    checks += [(("milter", "listen"), parse_address, listen) for listen in config.milter.listen]
    for index, sink in enumerate(config.sink):
        checks += [
            (("sink", index, "listen"), parse_address, sink.listen),
            (("sink", index, "mode"), mode, sink.mode),
            (("sink", index, "max_message"), size, sink.max_message),
            (("sink", index, "next_hop"), next_hop, sink),
        ]
    if config.metrics.listen:
        checks.append((("metrics", "listen"), loopback, config.metrics.listen))
    for name in ("clamd", "rspamd", "spamd"):
        section = getattr(config.engines, name)
        if section is not None:
            checks.append((("engines", name, "concurrency"), _connections, section.concurrency))
            checks.append((("engines", name, "time_limit"), _time_limit, section.time_limit))
            checks.append((("engines", name), scanners_of, EnginesSection(**{name: section})))
    # Last: these need valid addresses.
    listeners = [Listener(sink.listen, sink.next_hop) for sink in config.sink]
    checks += [
        (("sink", index, "next_hop"), lambda at: require_no_loop(listeners, at), index)
        for index, sink in enumerate(config.sink)
        if sink.next_hop
    ]
    checks += _apart(config)
    if not config.milter.listen and not config.sink:
        checks.append((("milter",), _nothing, None))
    return checks


def _apart(config: Config) -> list[tuple[KeyPath, Callable[[Any], object], Any]]:
    """List the checks that no two listening addresses are the same."""
    texts: list[tuple[KeyPath, str]] = [(("milter", "listen"), listen) for listen in config.milter.listen]
    texts += [(("sink", index, "listen"), sink.listen) for index, sink in enumerate(config.sink)]
    texts += [(("metrics", "listen"), config.metrics.listen)] * bool(config.metrics.listen)
    try:
        addresses = [parse_address(text) for _, text in texts]
    except MailholdError:  # an earlier check names it
        return []
    return [(where, lambda at: require_apart(addresses, at), index) for index, (where, _) in enumerate(texts)]


def _filled(value: str) -> None:
    if not value.strip():
        raise UsageError("this value must not be empty")


def _connections(value: int) -> None:
    if not 1 <= value <= 256:
        raise UsageError(f"{value} is not a number of connections from 1 to 256")


def _time_limit(value: float) -> None:
    if not 0 < value <= 600:
        raise UsageError(f"{value} is not a time limit: give up to 600 seconds")


def _tell_after(value: float) -> None:
    if not 0 <= value <= 86_400:
        raise UsageError(f"{value} is not a delay: give 0 to 86400 seconds")


def _nothing(_value: object) -> None:
    raise UsageError("the gateway would not listen anywhere: set listen in [milter], or add a [[sink]]")
