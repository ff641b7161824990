"""A catalogue in plain lists with copies, for testing the console's widgets without Polars."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import attrgetter

from store.campaigns.standing import Standing
from store.catalogue.columns import Reading
from store.catalogue.selection import RowSelection, Selection
from store.catalogue.sort import NEWEST, Sort, SortKey
from store.filters.line import MessageFilter
from store.terms.records import Copy, CopyRecord, row_of
from store.terms.verdicts import Engine, Status, Verdict

#: 24 November 2026, 09:00 UTC.
NOW = 1_795_510_800_000
MINUTE = 60_000

_VERDICTS = (
    Verdict(Engine.ANTI_SPAM, Status.SPAM, "score 14.2"),
    Verdict(Engine.ANTI_VIRUS, Status.INFECTED, "Eicar-Test-Signature"),
    Verdict(Engine.ANTI_PHISHING, Status.PHISHING, ""),
    Verdict(Engine.CONTENT, Status.BANNED_FILE_FORMAT, "invoice.exe"),
    Verdict(Engine.ANTI_SPAM, Status.PROBABLE_SPAM, "score 6.1"),
    Verdict(Engine.BLACK_LIST, Status.BLACKLISTED, "news@offers.example"),
    Verdict(Engine.ANTI_VIRUS, Status.ENCRYPTED, "Heuristics.Encrypted.Zip"),
    Verdict(Engine.ANTI_PHISHING, Status.MALICIOUS_LINK, ""),
)
_SENDERS = (
    "Billing <inv@acme-supplies.example>",
    "offers@news.example",
    "Zoë Müller <zoe@example.org>",
    "hr@example.net",
    "山田太郎 <yamada@example.jp>",
)
_SUBJECTS = (
    "Invoice 88213 is overdue",
    "¡Última oportunidad!",
    "Your account is suspended",
    "会議の議事録について",
    "CV attached",
    "Re: [/foo] [@click=app.quit]x[/]",
    "Bad \x1b[31mred\x1b[0m \u202egnp.exe",
)


def sample(number: int, now: int = NOW) -> CopyRecord:
    """Make a record that depends only on its number."""
    sender = _SENDERS[number % len(_SENDERS)]
    domain = "lists.example" if number % 7 == 0 else sender.rpartition("@")[2].rstrip(">")
    return CopyRecord(
        from_=sender,
        to="ap@corp.example" if number % 3 else "ceo@corp.example, board@corp.example",
        subject=_SUBJECTS[number % len(_SUBJECTS)],
        message_id=f"<{number}@example.org>",
        mta_message_id=f"4bQ{number:06}",
        rule_id=number % 4 + 1,
        envelope_sender=f"bounce@{domain}",
        envelope_recipients=("ap@corp.example",),
        reason=_VERDICTS[number % len(_VERDICTS)],
        size=700 * (number % 97 + 1) ** 2 % 3_000_000 + 400,
    )


def copies(count: int, *, first: int = 1, now: int = NOW, step: int = 7 * MINUTE) -> list[Copy]:
    """Make copies with ids from `first`, the newest with the highest id, placed `step` ms apart up to `now`."""
    return [Copy(first + n, now - (count - n) * step, 4096, sample(first + n, now)) for n in range(count)]


_KEYS = {
    SortKey.PLACED: attrgetter("id"),
    SortKey.ENGINE: lambda row: (row.engine or "", row.status or ""),
    SortKey.FROM: attrgetter("from_"),
    SortKey.TO: attrgetter("to"),
    SortKey.SUBJECT: attrgetter("subject"),
    SortKey.SIZE: attrgetter("size"),
    SortKey.RULE: attrgetter("rule_id"),
}


class FakeCatalogue:
    """A `Catalogue` over a list. Change `copies` and call `changed` to make the console read it."""

    def __init__(self, some: Iterable[Copy] = (), *, now: int = NOW) -> None:
        self.copies = list(some)
        self.now = now
        self.complete = True
        self.at_rest = True
        self.partial = False
        self.problem: str | None = None
        self.damaged: frozenset[int] = frozenset()
        self.selects: list[MessageFilter] = []
        self.releases: object = None
        self.standing = Standing()
        self.reading: Reading | None = None
        self.read_changes = 0
        self.unread = 0
        self.frame = None
        self._dirty = False

    loaded = property(lambda self: len(self.copies))
    total = property(lambda self: len(self.copies))

    def start(self) -> None:
        """Do nothing: there is nothing to load."""

    def close(self) -> None:
        """Do nothing: there is nothing to close."""

    def wait_complete(self, timeout: float | None = None) -> bool:
        return True

    def wait_for(self, flt: MessageFilter) -> None:
        """Return at once: everything is available."""

    def changed(self) -> None:
        self._dirty = True

    def refresh(self) -> bool:
        dirty, self._dirty = self._dirty, False
        return dirty

    def add(self, some: Iterable[Copy]) -> None:
        self.copies = [*self.copies, *some]
        self._dirty = True

    def remove(self, ids: Sequence[int]) -> None:
        self.copies = [copy for copy in self.copies if copy.id not in ids]
        self._dirty = True

    def select(self, flt: MessageFilter, sort: Sort = NEWEST) -> Selection:
        self.selects.append(flt)
        rows = [row_of(copy) for copy in self.copies if flt.matches(copy, now=self.now)]
        rows.sort(key=_KEYS[sort.key], reverse=sort.descending)
        high_water = max((copy.id for copy in self.copies), default=0)
        partial, total = self.partial, len(self.copies)
        return RowSelection(rows, total=total, partial=partial, high_water=high_water, unread=self.unread)

    def count(self, flt: MessageFilter) -> int | None:
        return sum(flt.matches(copy, now=self.now) for copy in self.copies) if self.complete else None

    def engine_counts(self) -> dict[Engine | None, int]:
        counts: dict[Engine | None, int] = {}
        for copy in self.copies:
            engine = copy.record.reason.engine if copy.record.reason else None
            counts[engine] = counts.get(engine, 0) + 1
        return counts

    def placed_span(self, ids: Sequence[int]) -> tuple[int, int]:
        placed = [copy.stored_at for copy in self.copies if copy.id in ids]
        return min(placed, default=0), max(placed, default=0)

    def known_senders(self, ids: Sequence[int]) -> int | None:
        return None

    def rule_ids(self) -> list[tuple[int, str]]:
        return [(number, "") for number in sorted({copy.record.rule_id for copy in self.copies})]

    def day_counts(self, days: int) -> list[tuple[int, dict[Engine, int]]]:
        return []
