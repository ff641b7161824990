"""MessageFilter: the spec's Search filter, field by field, and the test whether a copy matches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple, Protocol

import msgspec

from store.filters import asked
from store.filters.folding import fold, needles, searched
from store.helpers.clock import DAY_MS
from store.mail.outcome import Delivered
from store.terms.records import Copy, CopyRecord
from store.terms.verdicts import Engine, Status

#: Sizes in a filter are whole kilobytes, as in the spec.
KB = 1024
MAX_KB = 2**40
#: The latest time in a filter (Unix ms, end of the year 8999), so that it can be printed in any time zone. The earliest
#: is 1970.
LAST_MOMENT = 221_845_391_999_999


class Period(StrEnum):
    """How long ago a copy was placed in Backup. The value is its name in the filter line; `label` is the spec's."""

    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    TWO_WEEKS = "2weeks"
    MONTH = "month"
    THREE_MONTHS = "3months"
    YEAR = "year"
    CUSTOM = "custom"

    @property
    def label(self) -> str:
        return {"2weeks": "2 weeks", "3months": "3 months"}.get(self.value, self.value.capitalize())

    @property
    def milliseconds(self) -> int | None:
        """The length in ms (a month is 30 days, 3 months 90, a year 365); None for CUSTOM, which has limits instead."""
        return _PERIOD_MS.get(self)


_PERIOD_MS = {
    Period.HOUR: 3_600_000,
    Period.DAY: DAY_MS,
    Period.WEEK: 7 * DAY_MS,
    Period.TWO_WEEKS: 14 * DAY_MS,
    Period.MONTH: 30 * DAY_MS,
    Period.THREE_MONTHS: 90 * DAY_MS,
    Period.YEAR: 365 * DAY_MS,
}


class Term(msgspec.Struct, frozen=True):
    """Text to search for as a part (compared as in `store.filters.folding`); `negated`: the copy must not contain it.

    A text with no visible character matches everything.
    """

    text: str
    negated: bool = False


class Group(msgspec.Struct, frozen=True):
    """Alternatives: matches if any branch does; if `negated`, if none does.

    Empty branches are dropped; a branch that consists only of a group is replaced by that group's branches.
    """

    branches: tuple[MessageFilter, ...]
    negated: bool = False

    def __post_init__(self) -> None:
        branches: list[MessageFilter] = []
        for branch in self.branches:
            inner = branch.only_group
            if inner is not None and not inner.negated:
                branches += inner.branches
            elif not branch.is_empty:
                branches.append(branch)
        msgspec.structs.force_setattr(self, "branches", tuple(branches))


class CarriedFile(Protocol):
    """The attributes of an attached file that filters compare: declared name (NOT safe), format by content, SHA-256."""

    @property
    def name(self) -> str: ...
    @property
    def content_type(self) -> str: ...
    @property
    def sha256(self) -> bytes: ...


class Beside(NamedTuple):
    """Values of a copy that filters need and that its record does not have.

    `campaigns`: the id of its campaign and of those joined to it; empty if it is in none. `links`: domains. `looked`:
    whether links and files are known; if not, neither a condition on them nor its negation matches.
    """

    campaigns: frozenset[int] = frozenset()
    odd: bool = False
    links: Sequence[str] = ()
    files: Sequence[CarriedFile] = ()
    looked: bool = True


_NOTHING = Beside(looked=False)


def recipients_text(record: CopyRecord) -> str:
    """Return the text that the To field searches: the To header, then further addresses, one per line.

    Those are envelope recipients that To does not name (the only trace of a Bcc); without an envelope, Cc and Bcc.
    """
    others: Iterable[str] = record.envelope_recipients or (record.cc, record.bcc)
    missing = [address for address in others if address and address not in record.to]
    return "\n".join([record.to, *missing]) if missing else record.to


#: Names of the fields: terms, which must all match; alternatives, as numbers or texts; limits, with their largest
#: values.
TERMS = ("from_", "to", "subject", "message_id", "words", "links", "files", "clients", "symbols", "envelope")
_NUMBERS = ("rule_ids", "not_rule_ids", "campaigns", "not_campaigns")
_NAMES = ("auth", "not_auth", "sha256", "not_sha256")
_LIMITS = {"since": LAST_MOMENT, "until": LAST_MOMENT, "size_min": MAX_KB, "size_max": MAX_KB}


class MessageFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Conditions on the copies to show. All of them must hold; an empty filter matches every copy.

    Texts: each term of `from_`, `to`, `subject`, `message_id` (the header's or the MTA's) and `words` (any of From, To,
    Subject) must match. Sets (`rule_ids`, `engines`, `status`) match if the copy's value is in them, the `not_` sets if
    it is not; engine and status are those of the verdict that caused the copy. `since` and `until` are Unix ms, both
    inclusive; `size_min` and `size_max` are KB, both inclusive. `delivered` and `not_delivered` compare the outcome of
    the copy's releases (NO: never released, or called off). Values out of range are moved to the nearest limit. Limits
    of time without a period make it CUSTOM; CUSTOM without limits is removed.

    `links`, `files`, `clients`, `symbols` and `envelope` are terms, which must all match: any link's domain, any file's
    name or format, the client (`asked.client_wanted`), any engine's symbol, the envelope's sender. Of `campaigns` (0:
    in none), `sha256` (hexadecimal prefixes) and `auth` (``fail``, ``dkim=fail``) one must match. `score_min` and
    `score_max` are limits, both inclusive and rounded to hundredths, of the highest score of any engine; a copy without
    a score does not match.
    Each of `groups` must match.
    """

    from_: tuple[Term, ...] = ()
    to: tuple[Term, ...] = ()
    subject: tuple[Term, ...] = ()
    message_id: tuple[Term, ...] = ()
    words: tuple[Term, ...] = ()
    rule_ids: tuple[int, ...] = ()
    not_rule_ids: tuple[int, ...] = ()
    period: Period | None = None
    since: int | None = None
    until: int | None = None
    engines: frozenset[Engine] = frozenset()
    not_engines: frozenset[Engine] = frozenset()
    status: frozenset[Status] = frozenset()
    not_status: frozenset[Status] = frozenset()
    size_min: int | None = None
    size_max: int | None = None
    delivered: frozenset[Delivered] = frozenset()
    not_delivered: frozenset[Delivered] = frozenset()
    campaigns: tuple[int, ...] = ()
    not_campaigns: tuple[int, ...] = ()
    odd: bool | None = None
    known: bool | None = None
    links: tuple[Term, ...] = ()
    files: tuple[Term, ...] = ()
    sha256: tuple[str, ...] = ()
    not_sha256: tuple[str, ...] = ()
    clients: tuple[Term, ...] = ()
    score_min: float | None = None
    score_max: float | None = None
    symbols: tuple[Term, ...] = ()
    envelope: tuple[Term, ...] = ()
    auth: frozenset[str] = frozenset()
    not_auth: frozenset[str] = frozenset()
    groups: tuple[Group, ...] = ()

    def __post_init__(self) -> None:
        put = msgspec.structs.force_setattr
        for name in TERMS:
            put(self, name, tuple(term for term in getattr(self, name) if fold(term.text)))
        for name in _NUMBERS:
            put(self, name, tuple(sorted(set(getattr(self, name)))))
        for name in _NAMES:
            values = {value.lower() for value in getattr(self, name) if value}
            put(self, name, frozenset(values) if name.endswith("auth") else tuple(sorted(values)))
        for name, largest in _LIMITS.items():
            if (value := getattr(self, name)) is not None:
                put(self, name, min(max(value, 0), largest))
        for name in ("score_min", "score_max"):
            if (score := getattr(self, name)) is not None:
                put(self, name, asked.hundredths(score) / asked.HUNDREDTHS)
        limits = self.since is not None or self.until is not None
        if self.period is None and limits:
            put(self, "period", Period.CUSTOM)
        elif self.period is Period.CUSTOM and not limits:
            put(self, "period", None)
        if self.groups:
            put(self, "groups", tuple(group for group in self.groups if group.branches))
            self._unwrap()

    def _unwrap(self) -> None:
        """If the filter is only a group with one branch, become that branch."""
        group = self.only_group
        if group is not None and not group.negated and len(group.branches) == 1:
            for name in self.__struct_fields__:
                msgspec.structs.force_setattr(self, name, getattr(group.branches[0], name))

    @property
    def is_empty(self) -> bool:
        """Whether nothing is set, so that every copy matches."""
        return self == _EMPTY

    @property
    def only_group(self) -> Group | None:
        """The filter's only group, if it has one and nothing else; otherwise None."""
        if len(self.groups) != 1:
            return None
        others = (getattr(self, name) == getattr(_EMPTY, name) for name in self.__struct_fields__ if name != "groups")
        return self.groups[0] if all(others) else None

    @property
    def moves(self) -> bool:
        """Whether it depends on the present time, so that a copy may stop matching without any change."""
        return any(part.period is not None and part.period.milliseconds for part in self.parts())

    def parts(self) -> Iterator[MessageFilter]:
        """Yield this filter and all branches of its groups, nested ones too."""
        yield self
        for group in self.groups:
            for branch in group.branches:
                yield from branch.parts()

    def fixed(self, now: int) -> MessageFilter:
        """Replace relative periods by fixed times, so that the filter keeps its meaning at `now` (Unix ms)."""
        since = self.earliest(now)
        groups = tuple(Group(tuple(each.fixed(now) for each in one.branches), one.negated) for one in self.groups)
        period = self.period if since is None else Period.CUSTOM
        return msgspec.structs.replace(self, period=period, since=since, groups=groups)

    def earliest(self, now: int) -> int | None:
        """Return the earliest time placed (Unix ms) that matches at `now`, groups aside; None without such a limit."""
        length = self.period.milliseconds if self.period else None
        starts = [start for start in (None if length is None else now - length, self.since) if start is not None]
        return max(starts, default=None)

    def asks_delivered(self) -> bool:
        """Return True if the filter depends on the outcome of a copy's releases."""
        return any(part.delivered or part.not_delivered for part in self.parts())

    def asks(self) -> frozenset[str]:
        """List the filter's fields that are not in a list line, by their names in the filter line."""
        return frozenset(
            field for part in self.parts() for field, names in _BESIDE.items() if any(_is_set(part, n) for n in names)
        )

    def lets_through(self, outcome: Delivered) -> bool:
        """Return True if `delivered` and `not_delivered` match a copy with this outcome."""
        return (not self.delivered or outcome in self.delivered) and outcome not in self.not_delivered

    def matches(
        self,
        copy: Copy,
        *,
        now: int,
        outcomes: Mapping[int, Delivered] | None = None,
        beside: Beside | None = None,
    ) -> bool:
        """Return True if the copy matches at `now` (Unix ms). `outcomes`: by copy id, NO if missing.

        `beside`: the copy's values that are not in its record; None: not known.
        """
        return self._holds(copy, now, outcomes or {}, beside or _NOTHING, unknown=False)

    def _holds(self, copy: Copy, now: int, outcomes: Mapping[int, Delivered], beside: Beside, *, unknown: bool) -> bool:
        """Do `matches`; `unknown` is the result of conditions on links and files that are not known."""
        record = copy.record
        engine = record.reason.engine if record.reason else None
        status = record.reason.status if record.reason else None
        earliest = self.earliest(now)
        return (
            (earliest is None or copy.stored_at >= earliest)
            and (self.until is None or copy.stored_at <= self.until)
            and (not self.engines or engine in self.engines)
            and engine not in self.not_engines
            and (not self.status or status in self.status)
            and status not in self.not_status
            and (not self.rule_ids or record.rule_id in self.rule_ids)
            and record.rule_id not in self.not_rule_ids
            and (self.size_min is None or record.size >= self.size_min * KB)
            and (self.size_max is None or record.size <= self.size_max * KB)
            and self.lets_through(outcomes.get(copy.id, Delivered.NO))
            and self._texts_match(record)
            and self._record_matches(record)
            and self._beside_matches(beside, unknown)
            and all(
                any(
                    branch._holds(copy, now, outcomes, beside, unknown=unknown is not group.negated)
                    for branch in group.branches
                )
                != group.negated
                for group in self.groups
            )
        )

    def _texts_match(self, record: CopyRecord) -> bool:
        if not (self.from_ or self.to or self.subject or self.message_id or self.words):
            return True
        sender, to, subject = map(searched, (record.from_, recipients_text(record), record.subject))
        ids = (searched(record.message_id), searched(record.mta_message_id))
        return (
            _contain(self.from_, (sender,))
            and _contain(self.to, (to,))
            and _contain(self.subject, (subject,))
            and _contain(self.message_id, ids)
            and _contain(self.words, (sender, to, subject))
        )

    def _record_matches(self, record: CopyRecord) -> bool:
        if self.score_min is not None or self.score_max is not None:
            score = asked.score_of(record)
            if score is None:
                return False
            if self.score_min is not None and score < asked.hundredths(self.score_min):
                return False
            if self.score_max is not None and score > asked.hundredths(self.score_max):
                return False
        if self.auth or self.not_auth:
            words = asked.auth_words(record.authentication)
            if (self.auth and self.auth.isdisjoint(words)) or not self.not_auth.isdisjoint(words):
                return False
        return (
            (self.known is None or asked.is_known(record) is self.known)
            and (not self.symbols or _contain(self.symbols, asked.symbols_of(record)))
            and (not self.envelope or _contain(self.envelope, [*map(searched, asked.envelope_texts(record))]))
            and all(
                asked.client_wanted(term.text).holds(record.client_address, record.client_name) != term.negated
                for term in self.clients
            )
        )

    def _beside_matches(self, beside: Beside, unknown: bool) -> bool:
        ids = beside.campaigns or {0}
        if (self.campaigns and ids.isdisjoint(self.campaigns)) or not ids.isdisjoint(self.not_campaigns):
            return False
        if self.odd is not None and beside.odd is not self.odd:
            return False
        if not beside.looked:
            return unknown or not (self.links or self.files or self.sha256 or self.not_sha256)
        if self.sha256 or self.not_sha256:
            sums = [file.sha256.hex() for file in beside.files]
            if self.sha256 and not any(one.startswith(self.sha256) for one in sums):
                return False
            if any(one.startswith(self.not_sha256) for one in sums):
                return False
        links = [searched(link) for link in beside.links] if self.links else []
        files = [text for file in beside.files for text in (file.name, file.content_type)] if self.files else []
        return _contain(self.links, links) and _contain(self.files, [searched(text) for text in files])


def _contain(terms: Iterable[Term], texts: Sequence[str]) -> bool:
    """Return True if each term is in one of these texts (made by `searched`), or in none if it is negated."""
    return all(any(needle in text for needle in needles(term.text) for text in texts) != term.negated for term in terms)


def _is_set(flt: MessageFilter, name: str) -> bool:
    return getattr(flt, name) not in ((), frozenset(), None)


_BESIDE = {
    "campaign": ("campaigns", "not_campaigns"),
    "odd": ("odd",),
    "known": ("known",),
    "link": ("links",),
    "file": ("files",),
    "sha256": ("sha256", "not_sha256"),
    "client": ("clients",),
    "score": ("score_min", "score_max"),
    "symbol": ("symbols",),
    "envelope": ("envelope",),
    "auth": ("auth", "not_auth"),
}
_EMPTY = MessageFilter()
