"""The columns of the message list, and the choice of those that fit a width."""

from __future__ import annotations

from typing import NamedTuple

from store.terms.verdicts import DANGEROUS, Engine, Status, verdict_label

#: Short names of engines, for tree and list.
SHORT_ENGINES = {
    Engine.ANTI_VIRUS: "Anti-Virus",
    Engine.ANTI_SPAM: "Anti-Spam",
    Engine.ANTI_PHISHING: "Anti-Phishing",
    Engine.CONTENT: "Content",
    Engine.BLACK_LIST: "Black list",
}

#: Shorter labels of statuses, in at most 14 and at most 10 cells. The longest label that fits is used.
SHORT_STATUSES = {
    Status.PROBABLY_INFECTED: ("Prob. infected", "Prob. inf."),
    Status.PROBABLE_SPAM: ("Prob. spam",),
    Status.BLACKLISTED: ("Spam list",),
    Status.MALICIOUS_LINK: ("Malicious link", "Bad link"),
    Status.BANNED_FILE_NAME: ("Banned name", "Ban. name"),
    Status.BANNED_FILE_FORMAT: ("Banned format", "Ban. format", "Ban. form."),
    Status.SIZE_EXCEEDED: ("Too large",),
}

#: Sign in the last cell of From: the envelope sender is of another organisation.
DIFFERS = "≠"

#: Statuses that endanger users through what the message asks them to do or open.
RISKY = frozenset({Status.PHISHING, Status.MALICIOUS_LINK, Status.ENCRYPTED, Status.CORRUPTED})
#: Statuses given by a rule of the organisation.
POLICY = frozenset({Status.BANNED_FILE_NAME, Status.BANNED_FILE_FORMAT, Status.SIZE_EXCEEDED})


def severity(status: Status | None) -> str:
    """Return what a status's colour stands for: ``danger``, ``risk``, ``policy`` or ``bulk``."""
    if status in DANGEROUS:
        return "danger"
    if status in RISKY:
        return "risk"
    return "policy" if status in POLICY else "bulk"


def status_label(status: Status, width: int, engine: Engine | None = None) -> str:
    """Return a status's label in at most `width` cells. Pass its `engine` if no column names that."""
    labels = (verdict_label(engine, status), *SHORT_STATUSES.get(status, ()))
    return next((label for label in labels if len(label) <= width), labels[-1])


class Column(NamedTuple):
    """A column: `x` and `width` in cells; `sort` is the sort key that a click on it sets."""

    name: str
    title: str
    x: int
    width: int
    right: bool = False
    sort: str = ""


class _Want(NamedTuple):
    name: str
    title: str
    width: int
    share: int = 0
    right: bool = False
    sort: str = ""


def _wanted(width: int) -> tuple[list[_Want], int]:
    """Choose the columns for a width, and the gap between them (cells)."""
    mark = _Want("mark", "", 1)
    outcome = _Want("outcome", "", 1)
    sign = _Want("sign", "", 1)
    placed = _Want("placed", "Placed", 12 if width >= 68 else 6, sort="placed")
    from_ = _Want("from", "From", 8, 36, sort="from")
    to = _Want("to", "To", 8, 20, sort="to")
    subject = _Want("subject", "Subject", 10, 44, sort="subject")
    size = _Want("size", "Size", 6, right=True, sort="size")
    rule = _Want("rule", "Rule", 5, right=True, sort="rule")
    if width >= 126:
        engine = _Want("engine", "Engine", 13, sort="engine")
        status = _Want("status", "Status", 18, sort="engine")
        return [mark, placed, outcome, sign, engine, status, from_, to, subject, size, rule], 2
    if width >= 92:
        status = _Want("status", "Status", 18 if width >= 110 else 14, sort="engine")
        return [mark, placed, outcome, sign, status, from_, to, subject, size, rule], 2 if width >= 112 else 1
    if width >= 69:
        return [mark, placed, outcome, sign, _Want("status", "Status", 14, sort="engine"), from_, to, subject, size], 1
    if width >= 44:
        return [mark, placed, outcome, sign, _Want("status", "Status", 10, sort="engine"), from_, subject], 1
    return [mark, placed, outcome, sign, from_, subject], 1


def columns(width: int) -> list[Column]:
    """Return the columns, left to right, that fill `width` cells exactly (at least 32)."""
    wanted, gap = _wanted(width)
    # Marks and signs belong to the column on their right: the gap after them is always one cell.
    gaps = [1 if want.name in ("mark", "outcome", "sign") else gap for want in wanted[:-1]]
    spare = max(0, width - sum(want.width for want in wanted) - sum(gaps))
    shares = sum(want.share for want in wanted)
    last_flexible = max(index for index, want in enumerate(wanted) if want.share)
    placed: list[Column] = []
    x = used = 0
    for index, want in enumerate(wanted):
        extra = spare - used if index == last_flexible else spare * want.share // shares
        used += extra if want.share else 0
        cells = want.width + (extra if want.share else 0)
        placed.append(Column(want.name, want.title, x, cells, want.right, want.sort))
        x += cells + (gaps[index] if index < len(gaps) else 0)
    return placed
