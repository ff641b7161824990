"""Translate scanners' words into verdicts: signature names and spam symbols. Also ranks verdicts by gravity."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

from store.terms.verdicts import Engine, Status, Verdict

#: Statuses, the gravest first. If several engines condemn a message, the first of these is the reason.
GRAVITY = (
    Status.INFECTED,
    Status.PROBABLY_INFECTED,
    Status.PHISHING,
    Status.MALICIOUS_LINK,
    Status.BANNED_FILE_NAME,
    Status.BANNED_FILE_FORMAT,
    Status.ENCRYPTED,
    Status.CORRUPTED,
    Status.BLACKLISTED,
    Status.SPAM,
    Status.PROBABLE_SPAM,
    Status.MASSMAIL,
    Status.SIZE_EXCEEDED,
)
_RANK = {status: rank for rank, status in enumerate(GRAVITY)}
_UNSURE = re.compile(r"^(?:[\w-]+\.)?(?:Heuristics|PUA)\.", re.IGNORECASE)
_BULK = frozenset({"PRECEDENCE_BULK", "MAILLIST"})


def verdict_of_signature(name: str) -> Verdict:
    """Classify a virus scanner's signature. A heuristic match is only Probably infected."""
    bare = name.partition(".")[2] if name.lower().startswith("clamav.") else name
    lowered = bare.lower()
    if lowered.startswith("heuristics.encrypted"):
        return Verdict(Engine.ANTI_VIRUS, Status.ENCRYPTED, name)
    if lowered.startswith("heuristics.broken"):
        return Verdict(Engine.ANTI_VIRUS, Status.CORRUPTED, name)
    if lowered.startswith("heuristics.phishing"):
        return Verdict(Engine.ANTI_PHISHING, Status.PHISHING, name)
    if _UNSURE.match(bare):
        return Verdict(Engine.ANTI_VIRUS, Status.PROBABLY_INFECTED, name)
    return Verdict(Engine.ANTI_VIRUS, Status.INFECTED, name)


def verdicts_of_symbols(symbols: Collection[str], status: Status, detail: str) -> list[Verdict]:
    """Derive the verdicts of Anti-Spam and Anti-Phishing from a spam scanner's symbols.

    `status` is the status by score or action alone: SPAM, PROBABLE_SPAM or CLEAN.
    """
    found = []
    phishing = next((name for name in symbols if name == "PHISHING" or name.startswith("PHISHED_")), None)
    link = next((name for name in symbols if "MALICIOUS_LINK" in name or "BLACKLIST_URL" in name), None)
    if phishing:
        found.append(Verdict(Engine.ANTI_PHISHING, Status.PHISHING, phishing))
    elif link:
        found.append(Verdict(Engine.ANTI_PHISHING, Status.MALICIOUS_LINK, link))
    if any(
        name.startswith(("BLACKLIST_FROM", "BLACKLIST_IP", "USER_IN_BLOCKLIST", "USER_IN_BLACKLIST"))
        for name in symbols
    ):
        status = Status.BLACKLISTED
    elif status is not Status.CLEAN and not _BULK.isdisjoint(symbols):
        status = Status.MASSMAIL
    found.append(Verdict(Engine.ANTI_SPAM, status, detail))
    return found


def gravest(verdicts: Iterable[Verdict]) -> Verdict | None:
    """Return the verdict that is the reason for a copy; None if no engine condemned the message."""
    return min(
        (verdict for verdict in verdicts if verdict.status in _RANK), key=lambda v: _RANK[v.status], default=None
    )


def one_an_engine(verdicts: Iterable[Verdict]) -> tuple[Verdict, ...]:
    """Keep the gravest verdict of each engine, in the order in which the engines first appear."""
    kept: dict[Engine, Verdict] = {}
    for verdict in verdicts:
        before = kept.get(verdict.engine)
        if before is None or _RANK.get(verdict.status, len(_RANK)) < _RANK.get(before.status, len(_RANK)):
            kept[verdict.engine] = verdict
    return tuple(kept.values())
