"""Which copies of a handle do not fit it, and why: they are kept out of its act until somebody looked at them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from enum import Enum
from statistics import median
from typing import NamedTuple

from store.campaigns.growing import SPEAKS, Score, Weights, score
from store.campaigns.material import CONTENT, Flags, Material

#: A domain under this share is odd where so many domains have nearly all of the copies.
_DOMAIN_SHARE, _FEW_DOMAINS, _NEARLY_ALL = 0.03, 6, 0.9
#: A strand that so many copies have is expected of all.
_EXPECTED = 0.9
#: The least part of the median evidence, and of what all but a few have in a strand.
_LEAST_FIT, _TAIL, _LOW = 0.5, 0.05, 0.5
#: So many odd ones are shown at most, those that a flag keeps out not counted.
_MOST, _MOST_SHARE = 12, 0.03
#: Where so many copies have a subject of an answer, or the headers of a list, that is the handle's way.
_CLAIMED, _LISTED = 0.05, 0.5
#: A known sender with more copies than that in a handle where strangers have as many is one whose account was taken.
_FLOOD = 20
#: The letters of a handle are alike where their copies have, in the middle, so much of their content in common. Those
#: that have under this part of it are other letters, where they are no more than so many.
ALIKE, _TOLD, _OTHERS = 0.25, 0.3, 0.2


class Reason(Enum):
    """Why a copy is odd in its handle."""

    REPLY = "reply"
    ALIKE = "alike"
    KNOWN = "known"
    APART = "apart"
    CLAIMS = "claims"
    LISTED = "listed"
    DOMAIN = "domain"
    CONTENT = "content"
    PAYLOAD = "payload"
    ORIGIN = "origin"
    FIT = "fit"


_GATES = ((Flags.REPLY, Reason.REPLY), (Flags.ALIKE, Reason.ALIKE), (Flags.KNOWN, Reason.KNOWN))
#: What keeps a copy out of every act by default, whatever it is found beside.
GATED = Flags.REPLY | Flags.ALIKE | Flags.KNOWN
_SETTLED = frozenset((Reason.APART, Reason.ALIKE, Reason.KNOWN))
_STRANDS = (Reason.CONTENT, Reason.PAYLOAD, Reason.ORIGIN)


class Limits(NamedTuple):
    """What a copy must have to fit a handle.

    `typical`: the median of the evidence. `expected`: the strands that must speak. `least`: what the keys of each
    strand must weigh in sum. `claimed`, `listed`: answers by subject, and list mail, belong here. `domains`: the sender
    domains that belong here, None where they are too many to tell. `told`: the share of the keys of a copy's content
    that must weigh. `threads`: a campaign in stolen threads, to which answers belong;
    `known`: one from the accounts of several firms, to which known senders belong, since it is theirs that were stolen.
    """

    typical: float
    expected: tuple[bool, bool, bool]
    least: tuple[float, float, float]
    claimed: bool
    listed: bool
    domains: frozenset[str] | None
    told: float = 0.0
    threads: bool = False
    known: bool = False

    def reasons(self, found: Score, flags: int, domain: str) -> tuple[Reason, ...]:
        """Why a copy with this score does not fit, the gravest reason first; () where it does."""
        gates = flags & ~Flags.REPLY if self.threads else flags
        if self.known:
            gates &= ~Flags.KNOWN
        reasons = [reason for flag, reason in _GATES if gates & flag]
        if flags & Flags.CLAIMS and not flags & Flags.REPLY and not self.claimed:
            reasons.append(Reason.CLAIMS)
        if flags & Flags.LISTED and not self.listed:
            reasons.append(Reason.LISTED)
        if self.domains is not None and domain not in self.domains:
            reasons.append(Reason.DOMAIN)
        for strand, reason in enumerate(_STRANDS):
            silent = self.expected[strand] and found.strands[strand] < SPEAKS
            few = strand == CONTENT and found.told < self.told
            if silent or few or found.sums[strand] < self.least[strand]:
                reasons.append(reason)
        if found.total < _LEAST_FIT * self.typical:
            reasons.append(Reason.FIT)
        return tuple(reasons)

    def is_other_letter(self, found: Score, reasons: tuple[Reason, ...]) -> bool:
        """Return True for another letter with the same link or service: it may have a handle of its own."""
        return reasons == (Reason.CONTENT,) and found.told < self.told and not self.threads

    def fit(self, found: Score) -> float:
        """How well a copy fits, from 0 to 1."""
        return min(1.0, found.total / self.typical) if self.typical else 0.0


class Odd(NamedTuple):
    """A copy that does not fit: its row, and the reasons, the gravest first."""

    row: int
    reasons: tuple[Reason, ...]


class Sorted(NamedTuple):
    """The copies of a handle: those that fit, with how well from 0 to 1, and the odd ones; both ascending by row.

    What neither has is left for other handles: where more do not fit than can be looked at, they are no exceptions.
    `alike`: the share of their content that the copies have in common, in the middle. `silent`: most have nothing.
    """

    rows: list[int]
    fits: list[float]
    odd: list[Odd]
    limits: Limits
    alike: float = 0.0
    silent: bool = False


def most_shown(copies: int) -> int:
    """How many odd ones are shown beside a handle to which so many copies came."""
    return max(_MOST, round(_MOST_SHARE * copies))


def has_its_place(reasons: tuple[Reason, ...]) -> bool:
    """Return True for an odd copy that is always shown: a flag, or an operator, keeps it out."""
    # Answers that do not fit either are many where a campaign stole threads: as many are shown as of others.
    return not _SETTLED.isdisjoint(reasons) or reasons == (Reason.REPLY,)


def sorted_out(
    material: Material,
    rows: Sequence[int],
    heavy: Weights,
    apart: Iterable[int] = (),
    threads: float = 0.0,
    known: bool = False,
) -> Sorted:
    """Separate the copies that fit the handle from those that do not; operators keep the rows of `apart` out.

    `threads`: over 0 for a campaign in stolen threads; what Limits.told is then. `known`: as in Limits.
    """
    scores = [score(material.bounds, heavy.of, material.of(row), material.said[row]) for row in rows]
    limits = _limits(material, rows, scores, threads)._replace(known=known)
    kept_out, taken = set(apart), _taken(material, rows)
    fine: list[int] = []
    fits: list[float] = []
    gated: list[Odd] = []
    odd: list[tuple[float, Odd]] = []
    for row, found in zip(rows, scores, strict=True):
        flags = material.flags[row]
        if material.senders[row] in taken:
            flags &= ~Flags.KNOWN
        reasons = limits.reasons(found, flags, material.domain_names[material.domains[row]])
        if row in kept_out:
            reasons = (Reason.APART, *reasons)
        if has_its_place(reasons):
            gated.append(Odd(row, reasons))
        elif limits.is_other_letter(found, reasons):
            continue
        elif reasons:
            odd.append((found.total, Odd(row, reasons)))
        else:
            fine.append(row)
            fits.append(limits.fit(found))
    most = most_shown(len(rows))
    odd.sort(key=lambda pair: (pair[0], pair[1].row))
    shown = [*gated, *(one for _, one in odd[:most])]
    return Sorted(
        fine,
        fits,
        sorted(shown, key=lambda one: one.row),
        limits,
        alike=median(one.told for one in scores),
        silent=sum(one.strands[CONTENT] < SPEAKS for one in scores) * 2 > len(scores),
    )


def _taken(material: Material, rows: Sequence[int]) -> set[int]:
    """Find the known senders (by number) whose accounts were taken: much from one, and the same from strangers.

    Where all of it is from known senders it is no such thing: a newsletter, or a monitor in trouble.
    """
    known: Counter[int] = Counter()
    strange = 0
    for row in rows:
        if not material.flags[row] & Flags.KNOWN:
            strange += 1
        elif not material.flags[row] & Flags.LISTED:
            known[material.senders[row]] += 1
    return {sender for sender, copies in known.items() if min(copies, strange) > _FLOOD}


def _told(scores: Sequence[Score]) -> float:
    """Compute the least share of its content that a copy must have in common, if a handle's letters are much alike."""
    middle = median(one.told for one in scores)
    least = _TOLD * middle
    others = sum(one.told < least for one in scores)
    return least if middle >= ALIKE and others <= _OTHERS * len(scores) else 0.0


def _limits(material: Material, rows: Sequence[int], scores: Sequence[Score], threads: float) -> Limits:
    size = len(rows)
    expected = [sum(one.strands[s] >= SPEAKS for one in scores) >= _EXPECTED * size for s in range(3)]
    least = [_LOW * sorted(one.sums[s] for one in scores)[int(_TAIL * size)] for s in range(3)]
    flags = [material.flags[row] for row in rows]
    return Limits(
        typical=median(one.total for one in scores),
        expected=(expected[0], expected[1], expected[2]),
        least=(least[0], least[1], least[2]),
        claimed=sum(bool(one & Flags.CLAIMS) for one in flags) >= _CLAIMED * size,
        listed=sum(bool(one & Flags.LISTED) for one in flags) >= _LISTED * size,
        domains=_domains(material, rows),
        told=threads or _told(scores),
        threads=threads > 0,
    )


def _domains(material: Material, rows: Sequence[int]) -> frozenset[str] | None:
    """Return the domains of a handle if few of them have nearly all copies, else None."""
    found = Counter(material.domains[row] for row in rows)
    if sum(n for _, n in found.most_common(_FEW_DOMAINS)) < _NEARLY_ALL * len(rows):
        return None
    return frozenset(material.domain_names[domain] for domain, n in found.items() if n >= _DOMAIN_SHARE * len(rows))
