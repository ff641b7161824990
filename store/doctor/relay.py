"""Find out whether the relay leads back through intake, and what is changed on the way, with a test message.

The message goes to the relay like a released one, with 8-bit text and a marker that is not in the store, so intake
judges and keeps it. If its copy comes to Backup, the relay leads back; the copy's bytes then show what the mail servers
in between changed, because any change makes a marker invalid. If no copy comes, the recipient gets the message.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter
from collections.abc import Sequence, Set
from typing import TYPE_CHECKING

from store.authority.settings import Settings, ignored_names
from store.delivery.marker import digest_of, field_of, find_marker, new_token, spellings
from store.delivery.trace import resent_fields
from store.doctor.doctor import SKEW, State, Trace, find_copy
from store.doctor.probes import GTUBE, Probe, compose
from store.helpers.clock import now_ms
from store.mail.addresses import same
from store.mail.client import Session, SessionLost, Timeouts, local_host_name
from store.mail.header_fields import header_of
from store.mail.ignored_fields import parse_names
from store.mail.outcome import Outcome
from store.mail.outcome import State as Sent
from store.mail.relay import parse_relay
from store.terms.errors import RelayError, SettingError, TamperedError
from store.terms.progress import Cancelled

if TYPE_CHECKING:
    from store.terms.records import Copy
    from store.vault.vault import Vault

#: Timeouts in seconds: for the connection, for a command's reply, and for the reply to the message.
_TIMEOUTS = Timeouts(30.0, 60.0, 120.0)
_EIGHT_BITS = "δοκιμή".encode()


def examine_relay(
    vault: Vault,
    settings: Settings,
    traces: Sequence[Trace],
    *,
    sender: str,
    recipient: str,
    wait: float = 30.0,
    cancelled: Cancelled | None = None,
) -> Trace:
    """Send a message to the relay, and wait up to `wait` seconds for its copy to come in again. Blocks.

    `traces` are those of the probes sent to the MTA; the message is one of which a copy was found. Raises
    StoreUnavailable, TamperedError.
    """
    kept = sorted((each.probe for each in traces if each.copy is not None), key=lambda probe: probe is not GTUBE)
    message_id = f"<relay.{secrets.token_hex(12)}@doctor.mailhold.invalid>"
    if not kept:
        trace = Trace(Probe("RELAY", GTUBE.engine, GTUBE.statuses), message_id)
        why = (
            "No copy of a test message was found, so this test would not show whether the relay leads back through the "
            "gateway"
        )
        trace.add("connect", State.SKIPPED, why)
        return trace
    trace = Trace(Probe("RELAY", kept[0].engine, kept[0].statuses), message_id)
    resent = resent_fields(sender, secrets.token_hex(12) + "@doctor.mailhold.invalid", now_ms())
    below = resent + compose(kept[0], sender, recipient, message_id, eight_bit=True)
    token, began = new_token(), now_ms()
    if _sent(trace, settings.relay, sender, recipient, field_of(token) + below):
        trace.copy = find_copy(vault, message_id, began - SKEW, wait, cancelled or (lambda: False))
        _look_where_it_leads(trace, settings, wait)
        if trace.copy is not None:
            _look_at_envelope(trace, trace.copy, sender, recipient)
            _look_at_bytes(trace, settings, token, below, vault.raw(trace.copy.id))
    return trace


def _sent(trace: Trace, relay: str, sender: str, recipient: str, message: bytes) -> bool:
    try:
        outcome = asyncio.run(_send(relay, sender, recipient, message))
    except (RelayError, SessionLost) as error:
        trace.add("connect", State.FAILED, str(error), "Is the relay in the settings running, and does it accept mail?")
        return False
    trace.add("connect", State.DONE, str(parse_relay(relay)))
    if outcome.state is not Sent.SENT:
        check = f"Does the relay accept mail for {recipient} from this host? Give another recipient with --to."
        trace.add("hand over", State.FAILED, outcome.reply, check)
        return False
    trace.add("hand over", State.DONE, outcome.reply)
    return True


async def _send(text: str, sender: str, recipient: str, message: bytes) -> Outcome:
    relay = parse_relay(text)
    context = await asyncio.to_thread(relay.tls_context)
    session = Session(relay, context, await local_host_name(), _TIMEOUTS)

    async def go_on(*_outcomes: object) -> None:
        """Do nothing before DATA."""

    await session.open()
    try:
        return (await session.send(sender, [recipient], message, go_on))[recipient]
    finally:
        await session.close()


def _look_where_it_leads(trace: Trace, settings: Settings, wait: float) -> None:
    leads_back = trace.copy is not None
    found = (
        f"copy {trace.copy.id}: the relay leads back through intake"
        if trace.copy is not None
        else f"No copy came to Backup within {wait:g} seconds: the relay does not lead back through intake"
    )
    if leads_back is settings.release_loops:
        trace.add("lead", State.DONE, found)
    elif leads_back:
        check = (
            "Released messages would be judged and kept again. Let the relay deliver past intake (better), or give "
            "them a marker that intake knows: `mailhold settings set release_loops=yes`."
        )
        trace.add("lead", State.FAILED, f"{found}, and release_loops is off", check)
    else:
        check = (
            "Released messages carry a marker that is not needed: `mailhold settings set release_loops=no`. If the "
            "message was only slow, repeat with a longer --wait."
        )
        trace.add("lead", State.FAILED, f"{found}, and release_loops is on", check)


def _look_at_envelope(trace: Trace, copy: Copy, sender: str, recipient: str) -> None:
    """Check that the marker's rows would be found for the envelope that came back."""
    came = (copy.record.envelope_sender or "", *copy.record.envelope_recipients)
    try:
        fits = same(sender) in spellings(came[0]) and all(same(recipient) in spellings(each) for each in came[1:])
    except TamperedError:
        fits = False
    if not fits:
        found = f"The envelope came back as from {came[0] or '<>'} to {', '.join(came[1:]) or 'nobody'}"
        check = "A mail server on the way rewrites addresses (an alias, a canonical map), which makes markers invalid."
        trace.add("envelope", State.FAILED, found, check)


def _look_at_bytes(trace: Trace, settings: Settings, token: bytes, below: bytes, raw: bytes) -> None:
    """Check that the marker would be valid; if not, report what was added to the message or changed."""
    line = field_of(token)
    above, found, back = raw.partition(line)
    if not found:
        check = (
            "A mail server on the way removes or changes header fields that it does not know, so markers do not work."
        )
        trace.add("marker", State.FAILED, "The marker did not come back", check)
        return
    relay_ignores, names = ignored_names(settings), _names(back) - _names(below)
    stands = _stands(raw)
    added = names if stands else names + _names(above) - Counter([b"received"])
    shown = ", ".join(sorted(name.decode("ascii", "replace") for name in added))
    if stands and _equal(token, below, back, relay_ignores):
        ignored = f", except for the fields in release_ignores: {shown}" if shown else ""
        trace.add("marker", State.DONE, f"The message came back as it was sent{ignored}")
    elif not added:
        check = (
            "A mail server on the way changes messages, which makes markers invalid. Configure it to leave them "
            "unchanged."
            if _EIGHT_BITS in raw
            else "A mail server on the way does not offer 8BITMIME and re-encodes the text, which makes markers "
            "invalid."
        )
        trace.add("marker", State.FAILED, "The message came back changed", check)
    elif stands and _equal(token, below, back, relay_ignores | set(added)):
        trace.add("marker", State.FAILED, f"Fields were added on the way: {shown}", _advice(settings, shown))
    else:
        check = (
            "This makes markers invalid. Configure the mail server that adds them to leave released messages unchanged."
        )
        trace.add("marker", State.FAILED, f"Fields were added on the way: {shown}", check)


def _advice(settings: Settings, added: str) -> str:
    names = ", ".join((*settings.release_ignores, added))
    try:
        parse_names(names)
    except SettingError as error:
        return str(error)
    return f'`mailhold settings set release_ignores="{names}"` ignores them when messages are compared.'


def _stands(raw: bytes) -> bool:
    """Return True if no text above the marker makes it invalid."""
    try:
        find_marker(raw)
    except TamperedError:
        return False
    return True


def _equal(token: bytes, one: bytes, other: bytes, ignored: Set[bytes]) -> bool:
    try:
        return digest_of(token, "", one, 0, ignored) == digest_of(token, "", other, 0, ignored)
    except TamperedError:
        return False


def _names(block: bytes) -> Counter[bytes]:
    return Counter(field.name for field in header_of(block, mbox=False).fields())
