"""The campaigns as stored in the side table. A finding replaces all of them in one transaction, so no reader sees half.

    Stored(vault)
        state()             counters and the last copy handled; its `number` grows with every change
        read(before)        the campaigns, in the order of their acts, and the copies that joined since the finding
        handles()           their weights and limits, which let copies join
        put_found(…)        replaces all campaigns by newly found ones
        put_joined(…)       adds copies that joined, and moves the last copy handled

Rows of kind `campaign`: the state under id 0, campaign n under -n. Kind `joining`, also under -n: its weights and
limits. Kind `joined`, under the copy's id: the campaign that a copy joined; removed with the copy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

import msgspec

from store.campaigns.grouping import Handle
from store.campaigns.rows import (
    JoinedRow,
    packed_campaign,
    packed_joined,
    packed_joining,
    unpacked_campaign,
    unpacked_joined,
    unpacked_joining,
)
from store.campaigns.standing import Campaign
from store.database.connection import snapshot
from store.helpers.decoding import msgpack_decoder
from store.terms.errors import TamperedError
from store.vault.derived import Derived, Loose
from store.vault.reader import OnError
from store.vault.vault import Vault

CAMPAIGN, JOINING, JOINED = "campaign", "joining", "joined"
VERSION = 1
#: A row that claims a campaign id of this size or more was forged.
_MOST = 1 << 31
_ROWS = 500
Guard = Callable[[], None]
Problem = Callable[[str], None]


class State(msgspec.Struct, frozen=True, array_like=True):
    """The state row.

    `number` grows with every change, `generation` with every finding. `following`: the next campaign id. `found_at`
    (Unix ms), `took` (ms): the last finding; it grouped `grouped` copies, up to id `until`; `apart`: a digest of what
    was peeled off by then. `looked`: copies up to this id were handled since; `returned`: copies that joined after
    coming back out of the bin; `bin_row`: the bin journal's row up to which those were searched. `order`: all campaign
    ids.
    """

    number: int = 0
    generation: int = 0
    following: int = 1
    found_at: int = 0
    took: int = 0
    grouped: int = 0
    until: int = 0
    apart: bytes = b""
    looked: int = 0
    returned: tuple[int, ...] = ()
    bin_row: int = 0
    order: tuple[int, ...] = ()


class Found(NamedTuple):
    """A handle to store under a campaign's id; the campaign's title and the texts of its keys, NOT safe."""

    id: int
    handle: Handle
    title: str
    texts: dict[int, str]


class Rows(NamedTuple):
    """The stored state, campaigns and joined copies, read in one transaction."""

    state: State
    campaigns: tuple[Campaign, ...]
    joined: dict[int, JoinedRow]


def no_guard() -> None:
    """Permit the write: the default guard."""


def no_problem(_text: str) -> None:
    """Ignore damaged rows: the default for `problem`."""


class Stored:
    """Access to the rows of one store. Thread-safe. Raises UnlockError if the key is not an operator's.

    `guard` is called inside each writing transaction; if it raises, nothing is changed. `problem` is called with a
    sentence for each damaged row, which is left out.
    """

    def __init__(self, vault: Vault, *, guard: Guard = no_guard) -> None:
        self._vault, self._guard = vault, guard
        self._rows = Loose(vault, CAMPAIGN, VERSION)
        self._joining = Loose(vault, JOINING, VERSION)
        self._joined = Derived(vault, JOINED, VERSION)

    def sealed_state(self) -> bytes:
        """Read the sealed state row; it differs after every change. Raises StoreUnavailable."""
        return self._rows.get(0)

    def state(self) -> State:
        """Read the state; an empty one if there is none. Raises TamperedError, StoreUnavailable."""
        return self._opened_state(self._rows.get(0))

    def state_or_new(self) -> State:
        """Read the state. If it is damaged, return an empty one that reuses no campaign id. Raises StoreUnavailable."""
        try:
            return self.state()
        except TamperedError:
            used = [-row_id for row_id in (*self._rows.ids(), *self._joining.ids()) if -_MOST < row_id < 0]
            return State(following=max(used, default=0) + 1)

    def read(self, before: Rows | None = None, *, problem: Problem = no_problem) -> Rows:
        """Read everything except weights and limits, in one transaction. Raises StoreUnavailable.

        `before`: an earlier result; its unchanged parts are reused.
        """
        with self._vault.reading(), snapshot(self._vault.db):
            try:
                state = self.state()
            except TamperedError as error:
                problem(str(error))
                return Rows(State(), (), {})
            if before is not None and before.state.generation == state.generation:
                joined = self._joined_since(state, before.state, problem)
                return Rows(state, before.campaigns, before.joined | joined if joined else before.joined)
            sealed = self._rows.all()
            joined = self._joined_since(state, msgspec.structs.replace(state, looked=0, returned=()), problem)
        return Rows(state, tuple(self._campaigns(state, sealed, problem)), joined)

    def _joined_since(self, state: State, before: State, problem: Problem) -> dict[int, JoinedRow]:
        """Read the copies that joined a campaign since an earlier state of the same generation."""
        found: dict[int, JoinedRow] = {}
        on_error = _telling(problem)
        returned = sorted(set(state.returned).difference(before.returned))
        # Includes copies in the bin: they have their place when they come back.
        for binned in (False, True):
            found |= self._rows_of(
                self._joined.read(returned, binned=binned, on_error=on_error).items(), state, problem
            )
            if state.looked > before.looked:
                for batch in self._joined.batches(max(before.looked, state.until), binned=binned, on_error=on_error):
                    found |= self._rows_of(batch, state, problem)
        return found

    def have_joined(self, state: State, ids: Sequence[int]) -> set[int]:
        """Return those of the copies that joined a campaign since the last finding. Raises StoreUnavailable."""
        return set(self._rows_of(self._joined.read(ids).items(), state, no_problem))

    def _rows_of(self, batch: Iterable[tuple[int, bytes]], state: State, problem: Problem) -> dict[int, JoinedRow]:
        found = {}
        for copy_id, data in batch:
            try:
                row = unpacked_joined(data, copy_id)
            except TamperedError as error:
                problem(str(error))
                continue
            if row.generation == state.generation:
                found[copy_id] = row
        return found

    def handles(self, *, problem: Problem = no_problem) -> tuple[State, dict[int, Handle]]:
        """Read the weights and limits of each campaign, by id in the order of acts.

        Raises TamperedError, StoreUnavailable.
        """
        with self._vault.reading(), snapshot(self._vault.db):
            sealed, joining = self._rows.all(), self._joining.all()
        state = self._opened_state(sealed.get(0, b""))
        found: dict[int, Handle] = {}
        for one in self._campaigns(state, sealed, problem):
            try:
                data = self._joining.open(-one.id, joining.get(-one.id, b""))
                found[one.id] = unpacked_joining(data, one, state.generation)
            except TamperedError as error:
                problem(str(error))
        return state, found

    def _opened_state(self, sealed: bytes) -> State:
        if not sealed:
            return State()
        try:
            return msgpack_decoder(State).decode(_opened(self._rows, 0, sealed))
        except msgspec.MsgspecError:
            raise TamperedError(_named(0), "it is in a form that this version of Mailhold does not know") from None

    def _campaigns(self, state: State, sealed: Mapping[int, bytes], problem: Problem) -> Iterable[Campaign]:
        for number in state.order:
            try:
                row = sealed.get(-number)
                if row is None:
                    raise TamperedError(_named(number), "it is not there")
                yield unpacked_campaign(_opened(self._rows, number, row), number, state.generation)
            except TamperedError as error:
                problem(str(error))

    def put_found(self, state: State, found: Sequence[Found], joined: Mapping[int, JoinedRow]) -> State:
        """Replace all campaigns by `found`, with the copies in `joined`. Returns the state written.

        `state` gets its number, generation and order here. The copies that had joined the old campaigns are removed. In
        one transaction. Raises FoundMeanwhile, StoreUnavailable, and whatever the guard raises.
        """
        # Sealing comes before the transaction, to keep that short. It fixes the generation, which the transaction
        # checks.
        before = self.state_or_new()
        state = msgspec.structs.replace(
            state,
            number=before.number + 1,
            generation=before.generation + 1,
            following=max([before.following, state.following, *(one.id + 1 for one in found)]),
            order=tuple(one.id for one in found),
        )
        rows = [
            (-one.id, self._rows.seal(-one.id, packed_campaign(state.generation, one.handle, one.title, one.texts)))
            for one in found
        ]
        joining = [
            (-one.id, self._joining.seal(-one.id, packed_joining(state.generation, one.handle))) for one in found
        ]
        with self._vault.write(quiet=True):
            self._guard()
            present = self.state_or_new()
            if present.generation != before.generation:
                raise FoundMeanwhile
            state = msgspec.structs.replace(state, number=present.number + 1)
            kept = {row_id for row_id, _ in rows}
            self._rows.remove([row_id for row_id in self._rows.ids() if row_id and row_id not in kept])
            self._joining.remove([row_id for row_id in self._joining.ids() if row_id not in kept])
            self._joined.remove(present.until, max(present.looked, state.looked), present.returned)
            self._rows.put(rows)
            self._joining.put(joining)
            self._put_joined(state.generation, joined)
            self._put_state(state)
        return state

    def put_joined(self, state: State, looked: int, joined: Mapping[int, JoinedRow], **changes: object) -> State | None:
        """Store copies that joined, and that all copies up to `looked` were handled. Returns the new state.

        `changes`: `returned` and `bin_row`; `number` does not grow if only `bin_row` changes. Returns None, writing
        nothing, if campaigns were found anew since `state`: start again then. In one transaction. Raises TamperedError,
        StoreUnavailable, and whatever the guard raises.
        """
        with self._vault.write(quiet=True):
            self._guard()
            present = self.state()
            if present.generation != state.generation:
                return None
            changed = msgspec.structs.replace(present, looked=max(present.looked, looked), **changes)
            if joined or changed.looked != present.looked:
                changed = msgspec.structs.replace(changed, number=present.number + 1)
            self._put_joined(state.generation, joined)
            self._put_state(changed)
        return changed

    def _put_joined(self, generation: int, joined: Mapping[int, JoinedRow]) -> None:
        rows = [
            (copy_id, packed_joined(msgspec.structs.replace(row, generation=generation)))
            for copy_id, row in joined.items()
        ]
        for start in range(0, len(rows), _ROWS):
            self._joined.write(rows[start : start + _ROWS])

    def _put_state(self, state: State) -> None:
        self._rows.put([(0, self._rows.seal(0, msgspec.msgpack.encode(state)))])


class FoundMeanwhile(Exception):
    """Another process found campaigns anew during this finding."""


def _opened(rows: Loose, number: int, sealed: bytes) -> bytes:
    try:
        return rows.open(-number, sealed)
    except TamperedError:
        raise TamperedError(_named(number)) from None


def _named(number: int) -> str:
    return f"campaign {number}" if number else "the state of campaigns"


def _telling(problem: Problem) -> OnError:
    return lambda copy_id, _error: problem(str(TamperedError(f"the campaign of copy {copy_id}")))
