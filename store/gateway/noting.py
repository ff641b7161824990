"""Record how a message was handled: one line in the log, and the metrics."""

from __future__ import annotations

import time
from typing import NamedTuple

from store.gateway.log import say
from store.gateway.metrics import Metrics
from store.intake.unavailable import Outage
from store.judging.judge import Decision
from store.judging.rules.model import Rule
from store.mail.incoming import Accept, Discard, Incoming, Outcome, Refuse
from store.terms.verdicts import Action, Status


class Judged(NamedTuple):
    """A judged message. `why` is the reason if a required copy was not kept."""

    decision: Decision
    changes: Accept
    copy_id: int | None
    why: str


def note(
    metrics: Metrics, outage: Outage, incoming: Incoming, rule: Rule, judged: Judged, outcome: Outcome, began: float
) -> None:
    """Log and count a handled message. `began` is a `time.perf_counter()` value."""
    decision, reason = judged.decision, judged.decision.reason
    took = time.perf_counter() - began
    name = outcome_name(outcome, decision)
    metrics.count("messages", name)
    metrics.time("judge", took)
    for verdict in decision.verdicts:
        if verdict.status not in (Status.CLEAN, Status.NOT_SCANNED):
            metrics.count("verdicts", verdict.engine.value, verdict.status.value)
    for engine in decision.unscanned:
        metrics.count("unscanned", engine.value, name)
    if judged.why:
        metrics.count("without_copy", name)
        outage.dealt_with(name)
    say(
        "message",
        queue_id=incoming.queue_id,
        outcome=name,
        rule=rule.id,
        engine=reason.engine.value if reason else None,
        status=reason.status.value if reason else None,
        copy=judged.copy_id,
        size=len(incoming.raw),
        recipients=len(incoming.recipients),
        not_scanned=", ".join(_not_scanned(decision)),
        why=judged.why,
        ms=milliseconds(began),
    )


def milliseconds(began: float) -> float:
    """Return the milliseconds since `began`."""
    return round((time.perf_counter() - began) * 1000, 1)


def outcome_name(outcome: Outcome, decision: Decision) -> str:
    """Name an outcome in one word for the log and the metrics."""
    match outcome:
        case Discard():
            return "deleted"
        case Refuse(code=code):
            return "rejected" if code >= 500 else "temporary-fail"
        case _:
            return "attachment-deleted" if decision.action is Action.DELETE_ATTACHMENT else "accepted"


def _not_scanned(decision: Decision) -> list[str]:
    verdicts = () if decision.asked_nobody else decision.verdicts
    return [each.engine.value for each in verdicts if each.status is Status.NOT_SCANNED]
