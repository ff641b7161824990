"""MessageFilter: the spec's Search filter, field by field, and what it means for one copy."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping
from enum import StrEnum

import msgspec

from store.mail.outcome import Delivered
from store.terms.records import Copy, CopyRecord
from store.terms.verdicts import Engine, Status

#: Sizes in a filter are whole kilobytes, as in the spec.
KB = 1024
MAX_KB = 2**40
#: Times in a filter lie between 1970 and this (the end of the year 8999), so that any time zone can print them.
LAST_MOMENT = 221_845_391_999_999
_DAY_MS = 24 * 3_600_000


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
        """Its length (a month is 30 days, 3 months 90, a year 365); None for CUSTOM, which has limits instead."""
        return _PERIOD_MS.get(self)


_PERIOD_MS = {
    Period.HOUR: 3_600_000,
    Period.DAY: _DAY_MS,
    Period.WEEK: 7 * _DAY_MS,
    Period.TWO_WEEKS: 14 * _DAY_MS,
    Period.MONTH: 30 * _DAY_MS,
    Period.THREE_MONTHS: 90 * _DAY_MS,
    Period.YEAR: 365 * _DAY_MS,
}


class Term(msgspec.Struct, frozen=True):
    """Text to look for as a substring, without regard to case; `negated`: the copy must not have it."""

    text: str
    negated: bool = False


def fold(text: str) -> str:
    """Text as it is compared: Unicode case folding and canonical composition, so that `Straße` equals `STRASSE`."""
    if text.isascii():
        return text.lower()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())


def recipients_text(record: CopyRecord) -> str:
    """What the To field searches: the To header, and on lines of their own the addresses that it does not name.

    Those are the envelope's recipients (the only trace of a Bcc), or Cc and Bcc where no envelope is known.
    """
    others: Iterable[str] = record.envelope_recipients or (record.cc, record.bcc)
    missing = [address for address in others if address and address not in record.to]
    return "\n".join([record.to, *missing]) if missing else record.to


class MessageFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which copies to show. All that is set must hold; an empty filter holds for every copy.

    Texts: each term of `from_`, `to`, `subject`, `message_id` (the header's or the MTA's) and `words` (any of From,
    To, Subject) must hold. Sets (`rule_ids`, `engines`, `status`) hold where the copy's value is among them, the
    `not_` sets where it is not; engine and status are those of the verdict that caused the copy. `since` and `until`
    are Unix ms, both inclusive; `size_min` and `size_max` are KB, both inclusive. `delivered` and `not_delivered` hold
    for what became of the copy's releases (NO: never released, or called off). Values out of range are moved to its
    end. Limits of time without a period make it CUSTOM, and CUSTOM without limits is no period.
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

    def __post_init__(self) -> None:
        put = msgspec.structs.force_setattr
        for name in ("from_", "to", "subject", "message_id", "words"):
            put(self, name, tuple(term for term in getattr(self, name) if term.text))
        for name in ("rule_ids", "not_rule_ids"):
            put(self, name, tuple(sorted(set(getattr(self, name)))))
        for name, largest in (
            ("since", LAST_MOMENT),
            ("until", LAST_MOMENT),
            ("size_min", MAX_KB),
            ("size_max", MAX_KB),
        ):
            if (value := getattr(self, name)) is not None:
                put(self, name, min(max(value, 0), largest))
        limits = self.since is not None or self.until is not None
        if self.period is None and limits:
            put(self, "period", Period.CUSTOM)
        elif self.period is Period.CUSTOM and not limits:
            put(self, "period", None)

    @property
    def is_empty(self) -> bool:
        """True where it holds for every copy because nothing is set."""
        return self == _EMPTY

    def earliest(self, now: int) -> int | None:
        """The oldest time placed (Unix ms) that it lets through at `now`; None where it sets no such limit."""
        length = self.period.milliseconds if self.period else None
        starts = [start for start in (None if length is None else now - length, self.since) if start is not None]
        return max(starts, default=None)

    def asks_delivered(self) -> bool:
        """Return whether it looks at what became of a copy's releases."""
        return bool(self.delivered or self.not_delivered)

    def lets_through(self, outcome: Delivered) -> bool:
        """Return whether `delivered` and `not_delivered` hold for a copy of that outcome."""
        return (not self.delivered or outcome in self.delivered) and outcome not in self.not_delivered

    def matches(self, copy: Copy, *, now: int, outcomes: Mapping[int, Delivered] | None = None) -> bool:
        """Whether it holds for this copy at `now` (Unix ms). `outcomes` by copy id; one that it lacks is NO."""
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
            and self.lets_through((outcomes or {}).get(copy.id, Delivered.NO))
            and self._texts_match(record)
        )

    def _texts_match(self, record: CopyRecord) -> bool:
        sender, to, subject = fold(record.from_), fold(recipients_text(record)), fold(record.subject)
        ids = (fold(record.message_id), fold(record.mta_message_id))
        places = (
            (self.from_, (sender,)),
            (self.to, (to,)),
            (self.subject, (subject,)),
            (self.message_id, ids),
            (self.words, (sender, to, subject)),
        )
        return all(
            any(fold(term.text) in text for text in texts) != term.negated for terms, texts in places for term in terms
        )


_EMPTY = MessageFilter()
