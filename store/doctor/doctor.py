"""Send the two harmless messages that every scanner knows through the MTA, and follow each to the store.

The steps of a trace: connect to the MTA, hand the message over, find its copy in Backup with the right engine and
status, and compare the copy's action with the MTA's reply. The first step that fails says what to check.
"""

from __future__ import annotations

import secrets
import smtplib
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from store.doctor.probes import PROBES, Probe, compose
from store.helpers.clock import now_ms
from store.judging.rules.rules import first_match, read_rules
from store.mail.endpoint import host_and_port
from store.mail.incoming import Incoming
from store.terms.progress import Cancelled
from store.terms.records import Copy
from store.terms.verdicts import Action, Verdict

if TYPE_CHECKING:
    from store.judging.rules.model import Rule
    from store.vault.vault import Vault

#: Timeout for the MTA, and pause between two searches of the store, in seconds.
SMTP_SECONDS, LOOK_SECONDS = 60.0, 0.25
#: Max difference of this host's clock from the copies' times (ms), and copies per page of the search.
SKEW, _PAGE = 300_000, 200


class State(StrEnum):
    """The result of a step. SKIPPED: by the rules, no copy is expected."""

    DONE = "done"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True)
class Step:
    """One step: its result in words, partly the MTA's (NOT safe for a terminal), and what to check if it failed."""

    name: str
    state: State
    found: str
    check: str = ""


@dataclass
class Trace:
    """All steps of one probe."""

    probe: Probe
    message_id: str
    steps: list[Step] = field(default_factory=list)
    queue_id: str = ""
    copy: Copy | None = None

    @property
    def failed(self) -> Step | None:
        """The step that failed, or None; it is the last one."""
        return next((step for step in self.steps if step.state is State.FAILED), None)

    @property
    def tested(self) -> bool:
        """Whether any step was made."""
        return any(step.state is not State.SKIPPED for step in self.steps)

    def add(self, name: str, state: State, found: str, check: str = "") -> None:
        self.steps.append(Step(name, state, found, check))


def parse_endpoint(text: str) -> tuple[str, int]:
    """Parse `host:port`, `host` or `[v6]:port` into host and port (default 25). Raises UsageError."""
    return host_and_port(text, "not an SMTP server: write host:port, for example 127.0.0.1:25", 25)


def examine(
    vault: Vault,
    server: tuple[str, int],
    *,
    sender: str,
    recipient: str,
    probes: Sequence[Probe] = PROBES,
    wait: float = 30.0,
    cancelled: Cancelled | None = None,
) -> list[Trace]:
    """Send each probe and follow it, for at most `wait` seconds. Blocks. Raises TamperedError, StoreUnavailable."""
    return [_examine(vault, server, sender, recipient, probe, wait, cancelled or (lambda: False)) for probe in probes]


def _examine(
    vault: Vault,
    server: tuple[str, int],
    sender: str,
    recipient: str,
    probe: Probe,
    wait: float,
    cancelled: Cancelled,
) -> Trace:
    message_id = f"<{probe.name.lower()}.{secrets.token_hex(12)}@doctor.mailhold.invalid>"
    trace = Trace(probe, message_id)
    raw = compose(probe, sender, recipient, message_id)
    rule = _rule(vault, Incoming(raw=raw, sender=sender, recipients=[recipient], client_address=server[0]))
    began = now_ms()
    reply = _hand_over(trace, server, sender, recipient, raw)
    if reply is None:
        return trace
    rejected = reply[0] >= 500
    trace.copy = find_copy(vault, message_id, began - SKEW, 0.0 if rejected else wait, cancelled)
    if trace.copy is not None:
        _look_at_copy(trace, trace.copy, reply)
    else:
        _look_at_rule(trace, rule, server, rejected, wait)
    return trace


def _look_at_rule(trace: Trace, rule: Rule, server: tuple[str, int], rejected: bool, wait: float) -> None:
    """Add the step that explains why there is no copy."""
    engine = trace.probe.engine
    actions = {rule.action_for(engine, status) for status in trace.probe.statuses}
    if rejected and Action.REJECT in actions:
        trace.add(
            "keep", State.SKIPPED, f"Rule {rule.id} rejects such messages, and keeps no copy of rejected messages"
        )
        trace.add("act", State.DONE, Action.REJECT.label)
    elif rejected:
        trace.add(
            "keep",
            State.FAILED,
            "The message was rejected, but there is no copy in Backup",
            f"Rule {rule.id} would not reject it, so another filter did. A milter that rejects ends the chain: remove "
            "the scanners' own milters from `smtpd_milters`; the gateway asks the scanners itself.",
        )
    elif actions == {Action.SKIP}:
        trace.add("keep", State.SKIPPED, f"Rule {rule.id} lets such messages pass, and keeps no copy of them")
    else:
        bounce = (
            f" Rule {rule.id} rejects such messages and keeps no copy of them; behind the queue they bounce."
            if Action.REJECT in actions
            else ""
        )
        trace.add(
            "keep",
            State.FAILED,
            f"The message was accepted, but no copy of it came to Backup within {wait:g} seconds",
            "Either the gateway did not see it: is it in `smtpd_milters` or `content_filter` of the service at "
            f"{server[0]}:{server[1]}, and does it use this store? Or {engine.label} found nothing: is the scanner "
            "configured and running, and does its database know the test message? The gateway's log says when a "
            "scanner is down." + bounce,
        )


def _rule(vault: Vault, incoming: Incoming) -> Rule:
    return first_match(read_rules(vault), incoming)


def _hand_over(
    trace: Trace, server: tuple[str, int], sender: str, recipient: str, raw: bytes
) -> tuple[int, str] | None:
    """Send the message to the MTA. Return its reply, or None if a step failed."""
    where = f"{server[0]}:{server[1]}"
    client = smtplib.SMTP(timeout=SMTP_SECONDS)
    try:
        try:
            code, words = client.connect(*server)
            if code != 220:
                raise smtplib.SMTPConnectError(code, words)
            client.ehlo_or_helo_if_needed()
        except (OSError, smtplib.SMTPException) as error:
            trace.add(
                "connect",
                State.FAILED,
                f"No MTA accepts mail at {where}: {_error(error)}",
                "Is the MTA running, and does it listen there? Name another with --smtp.",
            )
            return None
        trace.add("connect", State.DONE, f"{where}: {_words(words)}")
        return _transaction(trace, client, sender, recipient, raw)
    finally:
        client.close()


def _transaction(trace: Trace, client: smtplib.SMTP, sender: str, recipient: str, raw: bytes) -> tuple[int, str] | None:
    try:
        for command, reply in (("MAIL", client.mail(sender)), ("RCPT", client.rcpt(recipient))):
            if 400 <= reply[0] < 500:
                _put_off(trace, *reply)
                return None
            if reply[0] // 100 != 2:
                check = (
                    f"Give addresses that the MTA accepts: --to for the recipient, --from for the sender (`{command}`)."
                )
                trace.add("hand over", State.FAILED, f"{reply[0]} {_words(reply[1])}", check)
                return None
        code, told = client.data(raw)
    except (OSError, smtplib.SMTPException) as error:
        check = (
            "Does the filter behind the MTA answer in time? The logs of the MTA and the gateway say what they waited "
            "for."
        )
        trace.add("hand over", State.FAILED, f"The connection was lost: {_error(error)}", check)
        return None
    if 400 <= code < 500:
        _put_off(trace, code, told)
        return None
    words = _words(told)
    trace.queue_id = words.rpartition("queued as ")[2] if "queued as " in words else ""
    trace.add("hand over", State.DONE, f"{code} {words}")
    try:
        client.quit()
    except (OSError, smtplib.SMTPException):
        pass
    return code, words


def _put_off(trace: Trace, code: int, words: bytes) -> None:
    trace.add(
        "hand over",
        State.FAILED,
        f"{code} {_words(words)}",
        "The message was deferred. Is the gateway running, may the MTA's user open its socket, and is Backup "
        "available (`mailhold status`)? A rule may also defer mail while a scanner is down; the gateway's log says "
        "so.",
    )


def find_copy(vault: Vault, message_id: str, since: int, wait: float, cancelled: Cancelled) -> Copy | None:
    """Wait up to `wait` seconds for a copy with that Message-ID placed after `since` (Unix ms). Return it, or None."""
    until = time.monotonic() + wait
    token: object = None
    while True:
        now = vault.change_token()
        if now != token:
            token = now
            found = _search(vault, message_id, since)
            if found is not None:
                return found
        if time.monotonic() >= until or cancelled():
            return None
        time.sleep(LOOK_SECONDS)


def _search(vault: Vault, message_id: str, since: int) -> Copy | None:
    before: int | None = None
    while page := vault.newest(_PAGE, before):
        for copy in page:
            if copy.record.message_id.strip() == message_id:
                return copy
        before = page[-1].id
        if page[-1].stored_at < since:
            return None
    return None


def _look_at_copy(trace: Trace, copy: Copy, reply: tuple[int, str]) -> None:
    """Check that the copy has the expected verdict, and that the MTA's reply matches its action."""
    record, probe = copy.record, trace.probe
    verdict = next((each for each in record.verdicts if each.engine is probe.engine), record.reason)
    if verdict is None or verdict.engine is not probe.engine or verdict.status not in probe.statuses:
        found = _verdict(verdict) if verdict is not None else "no verdict"
        wanted = " or ".join(status.label for status in probe.statuses)
        trace.add(
            "keep",
            State.FAILED,
            f"Copy {copy.id} says {found}, not {probe.engine.label}: {wanted}",
            f"The scanner for {probe.engine.label} was not asked, or does not know the test message. Is it running?",
        )
        return
    rule = f"rule {record.rule_id}{f' {record.rule_name}' if record.rule_name else ''}"
    trace.add("keep", State.DONE, f"copy {copy.id}: {_verdict(verdict)}, {rule}")
    if (record.action is Action.REJECT) is not (reply[0] >= 500):
        trace.add(
            "act",
            State.FAILED,
            f"The copy's action is {record.action.label}, but the MTA said {reply[0]}",
            "Another filter overrode the gateway's decision. Look for it in the MTA's configuration and log.",
        )
        return
    trace.add("act", State.DONE, record.action.label)


def _verdict(verdict: Verdict) -> str:
    return f"{verdict.engine.label}: {verdict.status.label}{f' ({verdict.detail})' if verdict.detail else ''}"


def _words(text: bytes) -> str:
    return " ".join(text.decode("utf-8", "replace").split())


def _error(error: Exception) -> str:
    if isinstance(error, smtplib.SMTPResponseException):
        words = error.smtp_error
        return f"{error.smtp_code} {_words(words if isinstance(words, bytes) else str(words).encode())}"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
