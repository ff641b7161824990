"""Checks an act on campaigns before it runs: which copies it would delete, and totals about them.

    checked(vault, standing, [3, 8])             the copies of two campaigns
    checked(vault, standing, [3, 8], scope=ids)  of those copies alone: how many stay, and why

Reads every copy and changes nothing. The result fixes the ids, so copies that arrive later are not deleted.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from store.campaigns.marks import read_marks
from store.campaigns.standing import Campaign, Standing
from store.delivery.outcomes import mailbox_outcomes
from store.mail.outcome import State
from store.terms.progress import Cancelled, Progress
from store.terms.records import Copy, CopyRecord
from store.terms.verdicts import Engine, Status
from store.vault import live_deliveries
from store.vault.vault import Vault

#: Copies per read.
_PAGE = 500
#: A campaign is still arriving if one of its copies came within this time (ms).
RECENT_MS = 3_600_000
#: Copies that fit worse than this (% of the campaign's median) are counted as loose.
LOOSE = 75
#: Delivery states in which the message reached a mailbox, or may have.
_REACHED = frozenset({State.SENT, State.UNKNOWN})
#: Statuses by how strongly they condemn a message, the weakest first. Content filtering comes first: it says nothing
#: about the sender.
_STRENGTH = (
    Status.SIZE_EXCEEDED,
    Status.BANNED_FILE_NAME,
    Status.BANNED_FILE_FORMAT,
    Status.ENCRYPTED,
    Status.CORRUPTED,
    Status.MASSMAIL,
    Status.PROBABLE_SPAM,
    Status.BLACKLISTED,
    Status.SPAM,
    Status.MALICIOUS_LINK,
    Status.PHISHING,
    Status.PROBABLY_INFECTED,
    Status.INFECTED,
)
_STRENGTH_OF = {status: strength for strength, status in enumerate(_STRENGTH)}


class Stay(NamedTuple):
    """How many copies stay, by reason. Each copy is counted once, for the first reason that applies.

    `peeled`: an operator took them out of a campaign. `odd`: odd in their campaign. `waiting`: for delivery. `damaged`:
    they do not verify. `elsewhere`: in campaigns that were not chosen. `alone`: in no campaign.
    """

    peeled: int = 0
    odd: int = 0
    waiting: int = 0
    damaged: int = 0
    elsewhere: int = 0
    alone: int = 0

    @property
    def total(self) -> int:
        """The number of all copies that stay."""
        return sum(self)


class Weakest(NamedTuple):
    """The least condemned copy: the weakest status and, among equals, the lowest score relative to the threshold.

    `score`: a scanner's score; None if no scanner gave one.
    """

    copy: int
    engine: Engine
    status: Status
    score: float | None


class Loosest(NamedTuple):
    """The copy that fits its campaign worst; `fit` in %."""

    copy: int
    campaign: int
    fit: int


@dataclass
class Checked:
    """The copies that an act on campaigns would delete `at` a time (Unix ms), and totals for and against it.

    `ids`: the copies to delete (ascending), from `campaigns` campaigns; `stay`: copies that stay; `gone`: copies no
    longer in Backup. The rest counts copies to delete: `condemned` by an engine, `weakest` the least condemned one;
    `loosest` the one that fits worst, `loose` those that fit worse than `LOOSE` %; `written_to`: somebody here wrote to
    the sender; `let_through`: mail of the address was let through before; `unknown`: neither was checked; `delivered`:
    reached a mailbox, or may have. `arriving`: campaigns with copies of the last hour. `owners`: operators, and how
    many of the campaigns each has (NOT safe for a terminal).
    """

    at: int
    ids: list[int] = field(default_factory=list)
    campaigns: int = 0
    stay: Stay = field(default_factory=Stay)
    gone: int = 0
    condemned: int = 0
    weakest: Weakest | None = None
    loosest: Loosest | None = None
    loose: int = 0
    written_to: int = 0
    let_through: int = 0
    unknown: int = 0
    delivered: int = 0
    arriving: int = 0
    owners: tuple[tuple[str, int], ...] = ()

    @property
    def total(self) -> int:
        """The number of copies that would be deleted."""
        return len(self.ids)


def checked(
    vault: Vault,
    standing: Standing,
    chosen: Iterable[int],
    *,
    now: int,
    scope: Iterable[int] | None = None,
    progress: Progress | None = None,
    cancelled: Cancelled | None = None,
) -> Checked:
    """Check what an act on the `chosen` campaigns (by id) would delete at `now` (Unix ms).

    `scope`: the copies that the act is about; by default those of the campaigns. When `cancelled` returns True, the
    result covers the copies read so far. Raises TamperedError, StoreFormat, StoreUnavailable.
    """
    sorting = _Sorting(vault, standing, chosen, scope)
    result = Checked(now, stay=sorting.stay, gone=sorting.gone)
    reading = _Reading(vault, result, sorting.fitting)
    for at in range(0, len(sorting.candidates), _PAGE):
        if cancelled is not None and cancelled():
            break
        reading.take(sorting.candidates[at : at + _PAGE])
        if progress is not None:
            progress(min(at + _PAGE, len(sorting.candidates)), len(sorting.candidates))
    reading.finish(standing)
    return result


class _Sorting:
    """Decides from campaigns and marks alone which copies may be deleted, and counts why others stay."""

    def __init__(self, vault: Vault, standing: Standing, chosen: Iterable[int], scope: Iterable[int] | None) -> None:
        campaigns = {one.id: one for each in chosen if (one := standing.campaign(each)) is not None}.values()
        marks, _version = read_marks(vault)
        peeled, odd = marks.all_taken_out, standing.odd
        #: By copy: its fit (%), and the id of its campaign.
        self.fitting = {
            copy: (fit, one.id) for one in campaigns for copy, fit in zip(one.copies, one.fits, strict=True)
        }
        about = set(self._all(campaigns, marks.taken_out) if scope is None else scope)
        present = vault.present(sorted(about))
        self.gone = len(about) - len(present)
        placed = set() if scope is None else {copy for one in standing.campaigns for copy in one.copies}
        found: Counter[str] = Counter()
        self.candidates: list[int] = []
        for copy in sorted(present):
            if copy in peeled:
                found["peeled"] += 1
            elif copy in odd:
                found["odd"] += 1
            elif copy in self.fitting:
                self.candidates.append(copy)
            else:
                found["elsewhere" if copy in placed else "alone"] += 1
        self.stay = Stay(**found)

    @staticmethod
    def _all(campaigns: Iterable[Campaign], taken_out: Callable[[int], set[int]]) -> Iterable[int]:
        for one in campaigns:
            yield from one.copies
            yield from (each.copy for each in one.odd)
            for part in (one.id, *one.parts):
                yield from taken_out(part)


class _Reading:
    """Reads the copies that may be deleted, and adds up the totals."""

    def __init__(self, vault: Vault, result: Checked, fitting: dict[int, tuple[int, int]]) -> None:
        self._vault = vault
        self._result = result
        self._fitting = fitting
        self._weakest: tuple[tuple[int, float, int], Weakest] | None = None
        self._campaigns: set[int] = set()
        self._arriving: set[int] = set()

    def take(self, ids: Sequence[int]) -> None:
        """Read a batch of copies."""
        with self._vault.reading():
            live = live_deliveries.kept(self._vault.db, list(ids))
        damaged: list[int] = []
        wanted = [copy for copy in ids if copy not in live]
        copies = self._vault.get_many(wanted, on_error=lambda copy, _error: damaged.append(copy))
        outcomes = mailbox_outcomes(self._vault, wanted)
        result = self._result
        result.gone += len(wanted) - len(copies) - len(damaged)
        stay = result.stay
        result.stay = stay._replace(waiting=stay.waiting + len(live), damaged=stay.damaged + len(damaged))
        for copy in copies:
            self._count(copy)
            result.delivered += any(one.state in _REACHED for one in outcomes.get(copy.id, ()))

    def _count(self, copy: Copy) -> None:
        result, record = self._result, copy.record
        fit, campaign = self._fitting[copy.id]
        result.ids.append(copy.id)
        self._campaigns.add(campaign)
        if result.at - copy.stored_at < RECENT_MS:
            self._arriving.add(campaign)
        result.loose += fit < LOOSE
        if result.loosest is None or fit < result.loosest.fit:
            result.loosest = Loosest(copy.id, campaign, fit)
        self._condemn(copy.id, record)
        if record.known is None:
            result.unknown += 1
        else:
            result.written_to += record.known.written_to > 0
            result.let_through += record.known.address > 0

    def _condemn(self, copy: int, record: CopyRecord) -> None:
        reason = record.reason
        if reason is None or reason.status not in _STRENGTH_OF:
            return
        self._result.condemned += 1
        score, share = _score(record)
        key = (_STRENGTH_OF[reason.status], share, copy)
        if self._weakest is None or key < self._weakest[0]:
            self._weakest = key, Weakest(copy, reason.engine, reason.status, score)

    def finish(self, standing: Standing) -> None:
        """Fill in the totals that need all copies."""
        result = self._result
        result.weakest = self._weakest[1] if self._weakest else None
        result.campaigns, result.arriving = len(self._campaigns), len(self._arriving)
        owners = Counter(one.mark.owner for one in standing.campaigns if one.id in self._campaigns and one.mark.owner)
        result.owners = tuple(sorted(owners.items()))


def _score(record: CopyRecord) -> tuple[float | None, float]:
    """Return a copy's most condemning score, and its ratio to the scanner's threshold (infinite without a score)."""
    best: float | None = None
    share = float("inf")
    for each in record.findings:
        if each.score is None or math.isnan(each.score):
            continue
        part = each.score / each.required if each.required else each.score
        if best is None or part > share:
            best, share = each.score, part
    return best, share
