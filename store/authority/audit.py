"""The audit trail: who did what to which copies, and when. Sealed, and each event bound to the one before it.

An event also carries the versions of all configuration as they were when it was written, so that settings put back from
an older backup are found (see `store.authority.configuration`).
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple, overload

import msgspec

from store.database.connection import as_bytes, run, sound
from store.helpers.clock import now_ms
from store.helpers.decoding import msgpack_decoder
from store.helpers.login import login_uid
from store.helpers.runs import ranges, runs
from store.sealing.keys import hybrid_public
from store.sealing.sealed import hpke_open, hpke_seal
from store.sealing.statements import statement, verify
from store.terms.errors import TamperedError, UnlockError
from store.vault.gateway_rows import former_key
from store.vault.reader import Reader

ROLE = "audit"
#: The first byte of an event that a gateway wrote; what an operator's keys sealed begins with the sealing's version.
_GATEWAY = b"\x02"
_GATEWAY_ROLE = "gateway event"
_SIGNATURE = 64
#: How many events of gateways are looked past for the newest operator's.
_LOOK_BACK = 500


class CopyIds(Sequence[int]):
    """Ids of copies in ascending order, held as runs: a hundred thousand of them in a row take no more than one."""

    def __init__(self, runs: Sequence[tuple[int, int]]) -> None:
        self.runs = tuple(runs)
        self._ends: list[int] = []
        for _, length in self.runs:
            self._ends.append((self._ends[-1] if self._ends else 0) + length)

    @classmethod
    def of(cls, ids: Iterable[int]) -> CopyIds:
        """The ids in any order; each counts once."""
        return cls(tuple(runs(sorted(set(ids)))))

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    @overload
    def __getitem__(self, index: int) -> int: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[int]: ...
    def __getitem__(self, index: int | slice) -> int | Sequence[int]:
        if isinstance(index, slice):
            return [self[at] for at in range(*index.indices(len(self)))]
        at = range(len(self))[index]
        run = bisect_right(self._ends, at)
        first, length = self.runs[run]
        return first + length - (self._ends[run] - at)

    def __iter__(self) -> Iterator[int]:
        for first, length in self.runs:
            yield from range(first, first + length)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, CopyIds):
            return self.runs == other.runs
        return isinstance(other, Sequence) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment] # what compares by content is not hashed

    def __repr__(self) -> str:
        return f"CopyIds({ranges(self)})"


class Event(NamedTuple):
    """One event. `at` is Unix milliseconds; `operator` is "" where the program acted by itself. Text is NOT safe.

    `uid` is the system's user id of the operator's login, None where that is not known. `damage` is what is wrong with
    the event, or "".
    """

    id: int
    at: int
    operator: str
    action: str
    copies: Sequence[int]
    detail: str
    uid: int | None = None
    damage: str = ""


class _Sealed(msgspec.Struct, frozen=True, array_like=True):
    at: int
    operator: str
    action: str
    runs: list[tuple[int, int]]
    detail: str
    previous: bytes
    versions: dict[str, int]
    #: Readers of before pass over what stands behind the fields that they know.
    uid: int | None = None


def record_event(
    vault: Reader,
    action: str,
    *,
    operator: str,
    copies: Iterable[int] = (),
    detail: str = "",
    at: int | None = None,
    configured: tuple[str, int] | None = None,
) -> None:
    """Write one event, in the transaction that is open or in its own. `action` is a verb phrase ("delivery queued").

    `operator` is what the key slot is called that unlocked the store (`Vault.opened_by`); the login's user id is
    written beside it. `detail` may hold message content: it is sealed, and NOT safe for a terminal. `configured` is the
    name and version of configuration that this transaction wrote.
    """
    runs = list(CopyIds.of(copies).runs)
    with vault.write():
        now = now_ms() if at is None else at
        newest = run(vault.db, "SELECT sealed FROM audit ORDER BY id DESC LIMIT 1").fetchone()
        previous = _digest(newest[0]) if newest else b""
        uid = login_uid() if operator else None
        sealed = _Sealed(now, operator, action, runs, detail, previous, _versions(vault, configured), uid)
        event = _seal(vault, msgspec.msgpack.encode(sealed))
        run(vault.db, "INSERT INTO audit (at, sealed) VALUES (?, ?)", now, event)


def events(vault: Reader, limit: int = 500, before_id: int | None = None, *, lenient: bool = False) -> list[Event]:
    """The newest events, newest first; those older than the event `before_id` where it is given.

    Raises TamperedError where an event was changed, or one between two of them is missing; with `lenient` such a one
    says so as its `damage`, and hides none of the others.
    """
    table = vault.models.Audit
    query = table.select().order_by(table.id.desc()).limit(limit)
    if before_id is not None:
        query = query.where(table.id < before_id)
    found: list[Event] = []
    expected: bytes | None = None
    with vault.reading():
        rows = list(query)
    for row in rows:
        damage = ""
        try:
            sealed = _open(vault, row)
        except TamperedError as error:
            if not lenient:
                raise
            at = row.at if isinstance(row.at, int) else 0
            found.append(Event(row.id, at, "", "", (), "", damage=error.why))
            expected = None
            continue
        if expected is not None and expected != _digest(row.sealed):
            damage = "an event after it is missing, or it is not where it was written"
            if not lenient:
                raise TamperedError(f"event {row.id}", damage)
        expected = sealed.previous
        copies = CopyIds(sealed.runs)
        found.append(Event(row.id, row.at, sealed.operator, sealed.action, copies, sealed.detail, sealed.uid, damage))
    return found


def check_events(
    vault: Reader, on_operator: Callable[[str, str], None] | None = None
) -> Iterator[tuple[str, str | None]]:
    """Verify the whole trail, oldest first: what each event is called, and what is wrong with it or None.

    `on_operator` is told the action and the detail of each event that no gateway wrote.
    """
    table = vault.models.Audit
    expected = b""
    after = 0
    while rows := list(table.select().where(table.id > after).order_by(table.id).limit(500)):
        for row in rows:
            after = row.id
            name = f"event {row.id}"
            try:
                event = _open(vault, row)
                problem = None if event.previous == expected else "an event before it is missing"
                if on_operator is not None and not _by_gateway(row):
                    on_operator(event.action, event.detail)
            except TamperedError as error:
                problem = str(error)
            expected = _digest(row.sealed)
            yield name, problem


def known_versions(vault: Reader) -> dict[str, int]:
    """The versions of all configuration as the newest event of an operator knows them. Raises TamperedError.

    What a gateway says of them counts for nothing: it must not be able to shut operators out of their settings.
    """
    table = vault.models.Audit
    with vault.reading():
        for row in table.select().order_by(table.id.desc()).limit(_LOOK_BACK).iterator():
            if not _by_gateway(row):
                return _open(vault, row).versions
    return {}


def _seal(vault: Reader, event: bytes) -> bytes:
    """An event as its row holds it. A gateway, which cannot read events, seals it to the read key and signs it."""
    keys = vault.keys
    if keys.private_key is not None or keys.gateway is None:
        return vault.seal(ROLE, event)
    gateway = keys.gateway
    header = _GATEWAY + gateway.gateway_id.to_bytes(8, "big")
    sealed = hpke_seal(hybrid_public(keys.read_public), _gateway_info(vault, header), event)
    return header + gateway.signing.sign(_gateway_info(vault, header, sealed)) + sealed


def _unseal(vault: Reader, blob: bytes, name: str) -> _Sealed:
    if blob[:1] != _GATEWAY:
        return msgpack_decoder(_Sealed).decode(vault.unseal(ROLE, blob))
    key = vault.keys.read_private
    if key is None:
        raise UnlockError("The keys at hand cannot read events: unlock the store as an operator.")
    header, signature, sealed = blob[:9], blob[9 : 9 + _SIGNATURE], blob[9 + _SIGNATURE :]
    gateway_id = int.from_bytes(header[1:], "big")
    info = _gateway_info(vault, header, sealed)
    try:
        verify(vault.signers.key(gateway_id), signature, info, name)
    except TamperedError:
        verify(former_key(vault, gateway_id), signature, info, name)
    event = msgpack_decoder(_Sealed).decode(hpke_open(key, _gateway_info(vault, header), sealed, name))
    # A gateway speaks for itself alone: it cannot make it look as if an operator had acted.
    return msgspec.structs.replace(event, operator="", versions={}, uid=None)


def _gateway_info(vault: Reader, header: bytes, *more: bytes) -> bytes:
    return statement(_GATEWAY_ROLE, vault.store_id, header, *more)


def _by_gateway(row: Any) -> bool:
    return isinstance(row.sealed, bytes | memoryview) and bytes(row.sealed[:1]) == _GATEWAY


def _open(vault: Reader, row: Any) -> _Sealed:
    name = f"event {row.id}"
    try:
        with sound(name):
            sealed = _unseal(vault, as_bytes(row.sealed), name)
    except (TamperedError, msgspec.DecodeError):
        raise TamperedError(name) from None
    if sealed.at != row.at:
        raise TamperedError(name, "its time was changed")
    return sealed


def _digest(sealed: Any) -> bytes:
    """What an event is bound to by the next; of an absurd one something that none is."""
    return hashlib.sha256(sealed if isinstance(sealed, bytes | memoryview) else b"").digest()


def _versions(vault: Reader, configured: tuple[str, int] | None) -> dict[str, int]:
    """What is known of all configuration: never less than the event before knew, whatever became of the rows since.

    Of the rows counts what that event did not deny: a damaged one may claim any name and any number.
    """
    if vault.keys.private_key is None:
        return {}  # Of a gateway it would count for nothing.
    rows = run(vault.db, "SELECT name, MAX(version) FROM configuration GROUP BY name").fetchall()
    found = {name: version for name, version in rows if isinstance(version, int) and 0 < version < 1 << 53}
    try:
        known = known_versions(vault)
    except TamperedError:
        known = {}
    versions = {name: max(version, found.get(name, 0)) for name, version in known.items()} if known else found
    return versions | dict([configured] if configured else [])
