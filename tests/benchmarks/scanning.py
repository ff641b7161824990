"""The gateway with clamd and rspamd under load, next to what an administrator would use instead: their own milters.

The peer is Postfix that asks clamav-milter and then rspamd's own milter (its proxy worker, which scans by itself).
rspamd condemns each message after all its rules (a map of senders); so both scanners see each message on both sides.
The gateway keeps it in the store and discards it; the peer keeps it in Postfix's hold queue (`quarantine_on_reject`;
clamav-milter has `OnInfected Quarantine`, but a milter that quarantines ends the chain). Both sides use the same clamd
and the same rspamd, whose normal worker serves the gateway and whose proxy worker serves Postfix.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing
from pathlib import Path
from typing import ClassVar, NamedTuple

from tests.benchmarks.figures import Figure, median
from tests.benchmarks.way import Round, Way, gateway, send
from tests.integration import clamav_milter, clamd, rspamd
from tests.integration.lab import SENDER, Lab
from tests.integration.postfix import Postfix

#: Target: the share of the peer's rate.
RATE = 0.95
#: Processes of rspamd for either side: as many as the machine has cores.
WORKERS = 2
SESSIONS = 8


class Rspamd(rspamd.RspamdServer):
    """rspamd with both workers (without hyperscan, as in the tests), whose map of senders condemns `SENDER`."""

    local: ClassVar[Mapping[str, str]] = {
        **rspamd.LOCAL,
        "multimap.conf": ('MEASURED {{ type = "from"; map = "{folder}/bl.map"; symbol = "MEASURED"; score = 20; }}\n'),
        "worker-normal.inc": rspamd.LOCAL["worker-normal.inc"].replace("count = 1", f"count = {WORKERS}"),
        "worker-proxy.inc": (
            f'bind_socket = "{{folder}}/run/proxy.sock mode=0666";\ncount = {WORKERS};\nquarantine_on_reject = true;\n'
            'upstream "local" {{ default = yes; self_scan = yes; }}\n'
        ),
    }
    senders: ClassVar[tuple[str, ...]] = (SENDER,)

    @property
    def milter(self) -> str:
        return f"unix:{self.folder / 'run' / 'proxy.sock'}"


class Sides(NamedTuple):
    """The gateway with both scanners in its lab, and the peer; `empty` deletes what the peer's hold queue has."""

    lab: Lab
    ours: Way
    peer: Way
    empty: Callable[[], None]


def why_not() -> str:
    """Name the program that is missing, or return ""."""
    return clamd.why_not() or clamav_milter.why_not() or rspamd.why_not()


def sides(stack: ExitStack) -> Sides:
    """Run both sides until the stack is closed."""
    virus, spam = clamd.ClamdServer(), Rspamd()
    stack.callback(virus.stop)
    stack.callback(spam.stop)
    milter = clamav_milter.ClamavMilter(virus)
    stack.callback(milter.stop)
    settings = {"smtpd_milters": f"{milter.unix}, {spam.milter}", "milter_default_action": "tempfail"}
    peer = Postfix(settings=settings)
    stack.callback(peer.stop)
    lab = Lab(clamd=virus.unix, rspamd=spam.unix)
    ours = gateway(stack.enter_context(closing(lab)), SENDER)
    hold = peer.folder / "spool" / "hold"

    def held() -> list[Path]:
        return [path for path in hold.rglob("*") if path.is_file()]

    def empty() -> None:
        for path in held():
            path.unlink()

    return Sides(lab, ours, Way(peer, kept=lambda: len(held()), sender=SENDER), empty)


def measure(both: Sides, raw: bytes, file: Path, count: int, rounds: int) -> list[tuple[Round, Round]]:
    """Send as many messages to each side in turn."""
    took = []
    for number in range(rounds + 1):
        ours = send(both.ours, raw, file, count if number else 50, SESSIONS)
        peer = send(both.peer, raw, file, count if number else 50, SESSIONS)
        both.empty()
        took.append((ours, peer))
    return took[1:]  # the first started their processes


def lines(label: str, size: str, took: list[tuple[Round, Round]]) -> Iterator[Figure]:
    """Compare rates and waits."""
    rates, base = [ours.rate for ours, _ in took], median([peer.rate for _, peer in took])
    ratio = median([ours.rate / peer.rate for ours, peer in took])
    yield Figure(
        *(f"with clamd and rspamd, {label} (ratio: milters)", size, median(rates), min(rates), "msg/s", base, ratio),
        *(f"{RATE:.0%} of their own milters", ratio >= RATE),
    )
    processor = [ours.processor for ours, _ in took]
    yield Figure(f"  processor a message, {label}", size, median(processor), max(processor), "ms")


def missing(label: str, size: str) -> Figure:
    """Make the line for programs that are not installed."""
    return Figure(f"with clamd and rspamd, {label}", size, None, None, "msg/s", target=why_not())
