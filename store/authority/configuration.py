"""Named configuration: msgspec values, sealed, signed by the authority, and versioned.

A name ("settings", "saved-filters") holds one value. What is sealed says its name, its version and when it was changed,
so a row cannot stand in for another. A row that was put back from an older backup does verify; it is found all the same
where this vault has seen a newer version, or where the newest event of the audit trail knows of one. Putting the whole
database back, trail and all, cannot be found from within it.

Working state that a gateway keeps without the authority ("free-space-notice") is sealed and versioned alike, unsigned.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Generic, NamedTuple, TypeVar
from weakref import WeakKeyDictionary

import msgspec

from store.authority import audit
from store.database.connection import as_bytes, run, sound
from store.helpers.clock import now_ms
from store.helpers.decoding import msgpack_decoder
from store.sealing.signatures import Right
from store.terms.errors import StoreError, StoreFormat, TamperedError, UnlockError
from store.vault.reader import Reader

T = TypeVar("T")

#: Working state: sealed, and signed by nobody, because a gateway writes it too.
UNSIGNED = frozenset({"free-space-notice"})

#: The newest version of each name that was seen through each open vault.
_seen: WeakKeyDictionary[Reader, dict[str, int]] = WeakKeyDictionary()


class Stored(NamedTuple, Generic[T]):
    """A value as it lies in the store. `version` counts from 1; `changed_at` is Unix milliseconds."""

    value: T
    version: int
    changed_at: int


class Conflict(StoreError):
    """Somebody else changed the same configuration in between."""

    def __init__(self, name: str) -> None:
        super().__init__(f"The {name} were changed by somebody else in the meantime: look at them and try again.")


class _Frame(NamedTuple):
    name: str
    version: int
    changed_at: int
    value: msgspec.Raw


def read(vault: Reader, name: str, kind: type[T]) -> Stored[T] | None:
    """The newest value of `name`, or None where none was ever written.

    Raises TamperedError where it does not verify or an older one was put back, StoreFormat where it verifies and is
    not a `kind` (a newer release wrote it).
    """
    # What is known comes first: the row read after it can only be newer.
    known = _known(vault, name)
    row = _newest(vault, name)
    version = row.version if row else 0
    if not isinstance(version, int):
        raise TamperedError(name, "its version is no number")
    if version < known:
        raise TamperedError(name, f"version {version} is there, and version {known} had been written")
    if row is None:
        return None
    frame = _open(vault, row)
    _saw(vault, name, version)
    try:
        return Stored(msgpack_decoder(kind).decode(frame.value), frame.version, frame.changed_at)
    except msgspec.DecodeError:
        raise StoreFormat(f"The {name} of this store were written by a newer release: upgrade Mailhold.") from None


def write(
    vault: Reader,
    name: str,
    value: object,
    *,
    expected: int | None = None,
    operator: str = "",
    action: str = "",
    detail: str = "",
    now: int | None = None,
) -> int:
    """Put `value` in the place of what `name` held; returns the new version, once that is durable.

    With `expected`, only where that version (0: none) is still the newest, else Conflict. With `action`, the event
    that says so is written in the same transaction. Raises TamperedError as `read` does.
    """
    changed_at = now_ms() if now is None else now
    with vault.write():
        present = read(vault, name, msgspec.Raw)
        version = present.version if present else 0
        if expected is not None and version != expected:
            raise Conflict(name)
        version += 1
        frame = _Frame(name, version, changed_at, msgspec.Raw(msgspec.msgpack.encode(value)))
        sealed = vault.seal(_role(name), msgspec.msgpack.encode(frame))
        signature = vault.sign(_role(name), sealed) if name not in UNSIGNED else b""
        run(vault.db, "DELETE FROM configuration WHERE name = ?", name)
        row = {"version": version, "changed_at": changed_at, "sealed": sealed, "signature": signature}
        vault.models.Configuration.create(name=name, **row)
        if action:
            audit.record_event(vault, action, operator=operator, detail=detail, at=changed_at)
    _saw(vault, name, version)
    return version


def seen_versions(vault: Reader) -> dict[str, int]:
    """The newest version of each signed name that was seen through this vault."""
    return {name: version for name, version in _seen.get(vault, {}).items() if name not in UNSIGNED}


def remember_versions(vault: Reader, versions: dict[str, int]) -> None:
    """Refuse from now on what is older than these, which were seen before this vault was opened."""
    known = _seen.setdefault(vault, {})
    for name, version in versions.items():
        known[name] = max(version, known.get(name, 0))


def check_configuration(vault: Reader) -> Iterator[tuple[str, str | None]]:
    """Verify every row: what each is called, and what is wrong with it or None."""
    table = vault.models.Configuration
    known = {*_seen.get(vault, {}), *_of_trail(vault)}  # Before the rows: these can only be more by then.
    present = {name for (name,) in run(vault.db, "SELECT DISTINCT name FROM configuration").fetchall()}
    for name in sorted(known - present):
        yield f"configuration {name}", "it is missing"
    for row in table.select().order_by(table.id):
        name, problem = str(row.name), None
        try:
            _open(vault, row)
            newest = _known(vault, name)
            if row.version < newest:
                problem = f"version {row.version} is there, and version {newest} had been written"
        except TamperedError as error:
            problem = str(error)
        yield f"configuration {name}", problem


def _saw(vault: Reader, name: str, version: int) -> None:
    """Remember a version that is durable: a transaction that is still open may yet be rolled back."""
    if not vault.db.in_transaction():
        _seen.setdefault(vault, {})[name] = version


def _known(vault: Reader, name: str) -> int:
    seen = _seen.get(vault, {}).get(name, 0)
    if name in UNSIGNED:
        return seen
    return max(seen, _of_trail(vault).get(name, 0))


def _of_trail(vault: Reader) -> dict[str, int]:
    try:
        return audit.known_versions(vault)
    except (UnlockError, TamperedError):
        # A gateway cannot open the trail; an event that is damaged is `check`'s to report, and must not stop intake.
        return {}


def _newest(vault: Reader, name: str) -> Any:
    table = vault.models.Configuration
    with vault.reading():
        return table.select().where(table.name == name).order_by(table.version.desc()).first()


def _open(vault: Reader, row: Any) -> _Frame:
    name = str(row.name)
    try:
        with sound(name):
            sealed = as_bytes(row.sealed)
            if name not in UNSIGNED:
                vault.verify(_role(name), sealed, as_bytes(row.signature), Right.CONFIGURE, at=row.changed_at)
            frame = msgpack_decoder(_Frame).decode(vault.unseal(_role(name), sealed))
    except (TamperedError, msgspec.DecodeError):
        raise TamperedError(name) from None
    if frame[:3] != (name, row.version, row.changed_at):
        raise TamperedError(name, "its version or time was changed")
    return frame


def _role(name: str) -> str:
    return f"configuration {name}"
