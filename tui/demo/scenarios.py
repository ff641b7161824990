"""Reasons why the demo's messages were kept: engine, status, frequency, scanner's words, and action."""

from __future__ import annotations

from functools import cache
from random import Random

from store.terms.verdicts import Action, Engine, Status, Verdict
from tui.demo.texts.reading import Table, read


class Scenario(Table, frozen=True):
    """One reason. `style` names the kind of letter; one of the attachments in `files` is chosen.

    `details` are the scanner's words: `{k}` is a number, `{score}` a score; `{file}`, `{sender}`,
    `{link}` come from the message.
    """

    engine: Engine
    status: Status
    weight: float
    style: str
    details: tuple[str, ...]
    actions: tuple[Action, ...]
    files: tuple[tuple[str, ...], ...] = ((),)


class Scenarios(Table, frozen=True):
    """All reasons.

    `words` are a scanner's words per kind of file, for scanners that do not say the same of every kind.
    """

    scenario: tuple[Scenario, ...]
    size_exceeded: Scenario
    words: dict[Status, dict[str, str]]
    formats: dict[str, str]


@cache
def scenarios() -> Scenarios:
    """Load all reasons. `size_exceeded` is not drawn by weight, since its messages must really be that large."""
    return read("scenarios.toml", Scenarios)


def verdicts_for(reason: Verdict, rng: Random) -> tuple[Verdict, ...]:
    """Make the verdicts of all engines: the reason, and what the others found before or besides it."""
    if reason.engine is Engine.BLACK_LIST:
        return (reason, *(Verdict(engine, Status.NOT_SCANNED) for engine in _SCANNERS))
    found = []
    for engine in _SCANNERS:
        if engine is reason.engine:
            found.append(reason)
        elif engine is Engine.ANTI_SPAM and reason.engine is Engine.ANTI_PHISHING:
            found.append(Verdict(engine, Status.PROBABLE_SPAM, f"{rng.uniform(7, 14):.1f} of 15.0: BAYES_SPAM"))
        elif engine is Engine.ANTI_SPAM and reason.engine is Engine.ANTI_VIRUS and rng.random() < 0.3:
            found.append(Verdict(engine, Status.NOT_SCANNED, "skipped: infected"))
        elif engine is Engine.ANTI_SPAM:
            found.append(Verdict(engine, Status.CLEAN, f"{rng.uniform(-3, 5):.1f} of 15.0"))
        else:
            found.append(Verdict(engine, Status.CLEAN))
    return tuple(found)


_SCANNERS = (Engine.ANTI_VIRUS, Engine.ANTI_SPAM, Engine.ANTI_PHISHING, Engine.CONTENT)
