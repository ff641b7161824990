"""Decides which copies do not fit a handle, and why: they are left out of its act until somebody has looked at them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from enum import Enum
from statistics import median
from typing import NamedTuple

from store.campaigns.growing import SPEAKS, Score, Weights, score
from store.campaigns.material import CONTENT, Flags, Material

#: If at most `_FEW_DOMAINS` domains have nearly all copies, a domain with less than this share is odd.
_DOMAIN_SHARE, _FEW_DOMAINS, _NEARLY_ALL = 0.03, 6, 0.9
#: If this share of the copies has evidence in a strand, every copy must have it.
_EXPECTED = 0.9
#: A copy needs this part of the median evidence; and in each strand this part (`_LOW`) of what all but `_TAIL` have.
_LEAST_FIT, _TAIL, _LOW = 0.5, 0.05, 0.5
#: At most this many odd copies are shown, or this share of the handle if that is more. Flagged ones do not count.
_MOST, _MOST_SHARE = 12, 0.03
#: If this share of the copies has an answer's subject, or list headers, these are not odd in the handle.
_CLAIMED, _LISTED = 0.05, 0.5
#: A known sender with more copies than this, in a handle with as many from strangers, has a hijacked account.
_FLOOD = 20
#: A handle's copies are alike if the median share of content keys in common is at least `ALIKE`. Copies under the part
#: `_TOLD` of that median are other letters, if they are at most the share `_OTHERS`.
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
#: Flags that keep a copy out of every act by default, in any handle.
GATED = Flags.REPLY | Flags.ALIKE | Flags.KNOWN
_SETTLED = frozenset((Reason.APART, Reason.ALIKE, Reason.KNOWN))
_STRANDS = (Reason.CONTENT, Reason.PAYLOAD, Reason.ORIGIN)


class Limits(NamedTuple):
    """The conditions for a copy to fit a handle.

    `typical`: the median evidence. `expected`: strands that must speak. `least`: by strand, the least sum of key
    weights. `claimed`, `listed`: copies with CLAIMS or LISTED fit. `domains`: sender domains that fit, None for any.
    `told`: the least share of content keys that have a weight. `threads`: a campaign in stolen threads, so answers fit;
    `known`: sent from hijacked accounts of several firms, so known senders fit.
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
        """Return why a copy with this score does not fit, the gravest reason first; () if it fits."""
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
        """Return True if the copy is another letter with the same link or service; it may have its own handle."""
        return reasons == (Reason.CONTENT,) and found.told < self.told and not self.threads

    def fit(self, found: Score) -> float:
        """Return how well a copy fits, from 0 to 1."""
        return min(1.0, found.total / self.typical) if self.typical else 0.0


class Odd(NamedTuple):
    """A copy that does not fit: its row, and the reasons, the gravest first."""

    row: int
    reasons: tuple[Reason, ...]


class Sorted(NamedTuple):
    """The copies of a handle: those that fit (`rows`, with `fits` from 0 to 1) and the odd ones, ascending by row.

    Copies in neither are left for other handles: if more are odd than can be shown, they are not exceptions. `alike`:
    the median share of content keys in common. `silent`: most copies have no content in common.
    """

    rows: list[int]
    fits: list[float]
    odd: list[Odd]
    limits: Limits
    alike: float = 0.0
    silent: bool = False


def most_shown(copies: int) -> int:
    """Return how many odd copies are shown with a handle that `copies` copies came to."""
    return max(_MOST, round(_MOST_SHARE * copies))


def has_its_place(reasons: tuple[Reason, ...]) -> bool:
    """Return True for an odd copy that is always shown: a flag or an operator keeps it out."""
    # Answers that also do not fit for another reason can be very many in stolen threads, so they are limited like other
    # odd copies.
    return not _SETTLED.isdisjoint(reasons) or reasons == (Reason.REPLY,)


def sorted_out(
    material: Material,
    rows: Sequence[int],
    heavy: Weights,
    apart: Iterable[int] = (),
    threads: float = 0.0,
    known: bool = False,
) -> Sorted:
    """Separate the copies that fit the handle from those that do not. `apart`: rows that operators took out.

    `threads`: for a campaign in stolen threads, its `Limits.told` (> 0). `known`: as in Limits.
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
    """Return the known senders (by number) whose accounts were hijacked.

    Many copies come from each of them, and as many from strangers. If all copies are from known senders, it is
    something else: a newsletter, or a failing monitor.
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
    """Return the least share of content in common for a copy to fit; 0 if the handle's letters are not much alike."""
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
