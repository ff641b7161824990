"""Follow the outcomes of all released copies; cheap to call repeatedly.

The first reading takes ids and states of all deliveries from two indexes. Later ones read the deliveries that are
unfinished, new, or finished since, because recipients' states change only while their delivery is live. A finished
delivery that was reopened and finished again between two readings changes the sums over all finished ones; then
everything is read again. Each reading uses one snapshot, so that no commit is missed.

If a copy has one delivery, states suffice. If it has several, their addresses are unsealed: each mailbox counts once,
with its strongest state (`store.mail.outcome.strongest`).
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Collection, Hashable, Iterable, Mapping
from typing import TYPE_CHECKING, NamedTuple

from store.database.connection import run, snapshot
from store.delivery.listing import KNOWN_STATE, RecipientRow, whole
from store.delivery.orders import unseal_recipient
from store.mail.addresses import mailbox
from store.mail.outcome import Attention, Delivered, State, delivered, strongest
from store.terms.errors import TamperedError

if TYPE_CHECKING:
    from store.vault.vault import Vault

_CHUNK = 500
#: Maximum deliveries per reading whose addresses are verified, the newest ones: as many as the message queue shows.
_VERIFIED = 1_000
#: The low 30 bits of `next_attempt_at`: a number even in damaged rows, and small enough to be summed up.
_NEXT = f"COALESCE(next_attempt_at & {(1 << 30) - 1}, 0)"
_FINISHED = ", ".join(repr(state.value) for state in State if not state.live)
#: State by its stored text; "" is an unknown one.
_STATE_OF = {state.value: state for state in State} | {"": State.UNKNOWN}
_COLUMNS = f"id, copy_id, {KNOWN_STATE}, {_NEXT}"
_UNFINISHED = f"SELECT id, {KNOWN_STATE}, {_NEXT} FROM delivery WHERE state NOT IN ({_FINISHED})"  # noqa: S608 - made of constants alone
_SUMS = f"SELECT state, COUNT(*), SUM({_NEXT}) FROM delivery WHERE state IN ({_FINISHED}) GROUP BY state"  # noqa: S608 - made of constants alone
_RECIPIENTS = (
    f"SELECT id, delivery_id, {KNOWN_STATE}, sealed_address, NULL FROM delivery_recipient "  # noqa: S608 - made of constants alone
    "WHERE delivery_id = ANY(?) ORDER BY id"
)
_STATES = f"SELECT delivery_id, {KNOWN_STATE} FROM delivery_recipient WHERE delivery_id = ANY(?)"  # noqa: S608 - made of constants alone


class _Known(NamedTuple):
    copy_id: int
    state: str
    next_attempt: int


_Recipients = tuple[tuple[Hashable, State], ...]


class Releases:
    """Follows the deliveries of one store. Call `read` from any thread; only that changes the public attributes.

    `outcomes` has the `Delivered` of every copy that was released and not called off; it is a new object whenever it
    changes. `attention` are the deliveries that an operator should look at. `live` are the copies with an unfinished
    delivery, `waiting` is the number of such deliveries, `damaged` that of deliveries that do not verify (without
    cancelled ones).
    """

    def __init__(self, vault: Vault) -> None:
        self.outcomes: Mapping[int, Delivered] = {}
        self.attention = Attention()
        self.live: frozenset[int] = frozenset()
        self.waiting = 0
        self.damaged = 0
        self._vault = vault
        self._lock = threading.Lock()
        self._looked_for: tuple[tuple[int, int], frozenset[int]] = ((-1, -1), frozenset())
        self._found: set[int] = set()
        self._forget()

    def _forget(self) -> None:
        self._differs = True
        self._known: dict[int, _Known] = {}
        self._of_copy: dict[int, tuple[int, ...]] = {}
        self._recipients: dict[int, _Recipients] = {}
        self._unfinished: dict[int, tuple[str, int]] = {}
        self._sums: Counter[tuple[str, str]] = Counter()
        self._broken: set[int] = set()
        self._next_outcomes: dict[int, Delivered] = {}
        self._failed: dict[int, frozenset[int]] = {}
        self._unknown: dict[int, frozenset[int]] = {}

    def read(self) -> Mapping[int, Delivered]:
        """Read the changes since the last reading. Returns `outcomes`. Raises StoreUnavailable.

        With 100,000 deliveries, takes some tenths of a second the first time and some hundredths after a change.
        """
        with self._lock, self._vault.reading(), snapshot(self._vault.db):
            try:
                if self._known:
                    self._read_changed()
                if not self._known or self._stored_sums() != +self._sums:
                    self._read_all()
                self._publish()
            except BaseException:
                self._forget()  # The changes may have been applied in part.
                raise
            return self.outcomes

    def progress(self, delivery_ids: Iterable[int]) -> Counter[State]:
        """Count these deliveries by state, as last read; a delivery's state is `overall` of its recipients."""
        with self._lock:
            return Counter(_STATE_OF[self._known[each].state] for each in delivery_ids if each in self._known)

    def _read_all(self) -> None:
        db = self._vault.db
        self._forget()
        copies = dict(run(db, "SELECT id, copy_id FROM delivery").fetchall())
        self._unfinished = {each: (state, at) for each, state, at in run(db, _UNFINISHED).fetchall()}
        states = run(db, f"SELECT id, {KNOWN_STATE}, {_NEXT} FROM delivery ORDER BY id").fetchall()  # noqa: S608 - made of constants alone
        self._learn([(each, copies[each], state, at) for each, state, at in states])

    def _read_changed(self) -> None:
        db = self._vault.db
        before, now = self._unfinished, {each: (state, at) for each, state, at in run(db, _UNFINISHED).fetchall()}
        # A delivery's recipients change while it is being sent, without a change of its own row.
        changed = [each for each, key in now.items() if key[0] == State.SENDING or before.get(each) != key]
        changed += [each for each in before if each not in now]
        newest = next(reversed(self._known)) if self._known else 0
        changed += [each for (each,) in run(db, "SELECT id FROM delivery WHERE id > ?", newest).fetchall()]
        self._unfinished = now
        wanted = sorted(set(changed))
        rows: list[tuple[int, int, str, int]] = []
        for at in range(0, len(wanted), _CHUNK):
            sql = f"SELECT {_COLUMNS} FROM delivery WHERE id = ANY(?) ORDER BY id"  # noqa: S608 - made of constants alone
            rows += run(db, sql, wanted[at : at + _CHUNK]).fetchall()
        self._learn(rows)

    def _stored_sums(self) -> Counter[tuple[str, str]]:
        found: Counter[tuple[str, str]] = Counter()
        for state, count, total in run(self._vault.db, _SUMS).fetchall():
            found["count", state], found["sum", state] = count, int(total)
        return +found

    def _learn(self, rows: list[tuple[int, int, str, int]]) -> None:
        """Store deliveries as read, in order of id, and judge their copies again."""
        copies = set()
        for each, copy_id, state, at in rows:
            known, old = _Known(whole(copy_id), state, at), self._known.get(each)
            copies.add(known.copy_id)
            if old is not None:
                copies.add(old.copy_id)
                self._count(old, -1)
                if old.copy_id != known.copy_id:
                    self._of_copy[old.copy_id] = tuple(one for one in self._of_copy[old.copy_id] if one != each)
            if old is None or old.copy_id != known.copy_id:
                self._of_copy[known.copy_id] = (*self._of_copy.get(known.copy_id, ()), each)
            self._known[each] = known
            self._count(known, 1)
        self._read_recipients([row[0] for row in rows], copies)
        for copy_id in copies:
            self._judge(copy_id)

    def _count(self, known: _Known, sign: int) -> None:
        if known.state and not _STATE_OF[known.state].live:
            self._sums["count", known.state] += sign
            self._sums["sum", known.state] += sign * known.next_attempt

    def _read_recipients(self, changed: list[int], copies: Collection[int]) -> None:
        """Read the recipients of changed deliveries, where the delivery's own state does not say enough.

        Unseals addresses if a copy has several deliveries, and of the newest deliveries to verify them. If all
        recipients have the message or may have it, the delivery's state says so.
        """
        anew = set(changed)
        several = (each for copy_id in copies if len(ids := self._of_copy[copy_id]) > 1 for each in ids)
        opened = {each for each in several if each in anew or not self._is_open(each)}
        opened.update(changed[-_VERIFIED:])
        told = (State.SENT.value, State.UNKNOWN.value)
        plain = [each for each in changed if each not in opened and self._known[each].state not in told]
        for each in changed:
            self._recipients.pop(each, None)
        self._broken.difference_update(changed)
        for at in range(0, len(plain), _CHUNK):
            found: dict[int, list[tuple[Hashable, State]]] = {each: [] for each in plain[at : at + _CHUNK]}
            for delivery_id, state in run(self._vault.db, _STATES, plain[at : at + _CHUNK]).fetchall():
                found[delivery_id].append((len(found[delivery_id]), _STATE_OF[state]))
            self._recipients.update((each, tuple(recipients)) for each, recipients in found.items())
        wanted = sorted(opened)
        for at in range(0, len(wanted), _CHUNK):
            self._open(wanted[at : at + _CHUNK])

    def _is_open(self, delivery_id: int) -> bool:
        return any(isinstance(key, str) for key, _ in self._recipients.get(delivery_id, ()))

    def _open(self, delivery_ids: list[int]) -> None:
        found: dict[int, list[tuple[Hashable, State]]] = {each: [] for each in delivery_ids}
        damaged: set[int] = set()
        for row in map(RecipientRow._make, run(self._vault.db, _RECIPIENTS, delivery_ids).fetchall()):
            try:
                key, state = mailbox(unseal_recipient(self._vault, row).address), _STATE_OF[row.state]
            except TamperedError:
                key, state = "", State.UNKNOWN
                damaged.add(row.delivery_id)
            found[row.delivery_id].append((key, state))
        for each, recipients in found.items():
            self._recipients[each] = tuple(recipients) or (("", State.UNKNOWN),)
            if (each in damaged or not recipients) and self._known[each].state != State.CANCELLED:
                self._broken.add(each)

    def _judge(self, copy_id: int) -> None:
        """Compute a copy's outcome, and which of its deliveries did not reach somebody."""
        best: dict[Hashable, tuple[State, int]] = {}
        for each in self._of_copy[copy_id]:
            recipients = self._recipients.get(each)
            if recipients is None:
                recipients = ((0, _STATE_OF[self._known[each].state]),)
            for key, state in recipients:
                if key not in best or strongest((state, best[key][0])) is state:
                    best[key] = (state, each)
        outcome = delivered(state for state, _ in best.values())
        self._differs |= self._next_outcomes.get(copy_id, Delivered.NO) is not outcome
        if outcome is Delivered.NO:
            self._next_outcomes.pop(copy_id, None)
        else:
            self._next_outcomes[copy_id] = outcome
        for kept, wanted in ((self._failed, State.FAILED), (self._unknown, State.UNKNOWN)):
            kept.pop(copy_id, None)
            if outcome is not Delivered.YES and (ids := {each for state, each in best.values() if state is wanted}):
                kept[copy_id] = frozenset(ids)

    def _publish(self) -> None:
        if self._differs:
            self.outcomes, self._differs = dict(self._next_outcomes), False
        present = self._present(frozenset((*self._failed, *self._unknown)))
        deferred = (each for each, (state, _) in self._unfinished.items() if state == State.DEFERRED)
        self.attention = Attention(
            frozenset(each for copy_id, ids in self._failed.items() if copy_id in present for each in ids),
            frozenset(each for copy_id, ids in self._unknown.items() if copy_id in present for each in ids),
            frozenset(deferred),
        )
        self.live = frozenset(self._known[each].copy_id for each in self._unfinished)
        self.waiting, self.damaged = len(self._unfinished), len(self._broken)

    def _present(self, copies: frozenset[int]) -> set[int]:
        """Return those copies that are still in Backup, looked up again only if copies came or went."""
        if not copies:
            return set()
        looked_for = (self._vault.newest_tombstone(), self._vault.bin.newest_row()), copies
        if looked_for != self._looked_for:
            self._found = self._vault.present(sorted(copies))
            self._looked_for = looked_for
        return self._found
