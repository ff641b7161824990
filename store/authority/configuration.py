"""Named configuration: msgspec values, sealed, signed by the authority, and versioned.

A name ("settings", "saved-filters") has one value. The sealed data holds the name, the version and the time of the
change, so a row cannot be passed off as another. A row restored from an older backup does verify; it is detected if
this vault has seen a newer version, or if the newest event of the audit trail names one. If the whole database was
restored, trail included, nothing inside it can show that.

The last former versions of a signed name are kept beside the newest. They are never in force: they show what the value
was before the newest was damaged, until `reset` overwrites it.

A gateway's working state ("free-space-notice") is sealed and versioned in the same way, but not signed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Generic, NamedTuple, TypeVar
from weakref import WeakKeyDictionary

import msgspec

from store.authority import audit
from store.authority.configuration_rows import (
    UNSIGNED,
    ConfigurationDamaged,
    Frame,
    open_row,
    rows_of,
    sane,
    sealed_row,
    value_of,
    value_unsigned,
)
from store.authority.kept_rows import kept_row
from store.database.connection import run
from store.helpers.clock import now_ms
from store.terms.errors import StoreError, StoreFormat, TamperedError, UnlockError
from store.vault.reader import Reader

T = TypeVar("T")

#: Max former versions kept of a signed name.
FORMER = 50

#: The newest version of each name seen through each open vault.
_seen: WeakKeyDictionary[Reader, dict[str, int]] = WeakKeyDictionary()


class Stored(NamedTuple, Generic[T]):
    """A value as stored. `version` counts from 1; `changed_at` is Unix ms."""

    value: T
    version: int
    changed_at: int


class Conflict(StoreError):
    """The same configuration was changed by someone else in between."""

    def __init__(self, name: str) -> None:
        super().__init__(f"The {name} were changed by somebody else in the meantime. Look at them and try again.")


class Salvage(NamedTuple, Generic[T]):
    """Why a name's value cannot be read ("" if it can), and what can still be recovered.

    `damaged` is the number of its rows that do not verify. `former` is the newest version that does. `held` is the
    content of a damaged row that can still be decrypted, with a wrong signature or wrong plain columns. Anyone with a
    gateway's keys may have written it.
    """

    problem: str
    damaged: int
    former: Stored[T] | None
    held: T | None


def read(vault: Reader, name: str, kind: type[T]) -> Stored[T] | None:
    """Read the newest value of `name`; None if none was ever written.

    Raises TamperedError if it does not verify or is an older version, StoreFormat if it verifies and is not a `kind`
    (written by a newer release).
    """
    # Read the known version first; a row read later can only be newer.
    known = _known(vault, name)
    try:
        frame = _newest_frame(vault, name, known)
    except TamperedError:
        if (kept := kept_row(vault, name, known)) is None:
            raise
        frame = open_row(vault, kept)
    if frame is None:
        return None
    _saw(vault, name, frame.version)
    return Stored(value_of(frame, name, kind), frame.version, frame.changed_at)


def write(
    vault: Reader,
    name: str,
    value: object,
    *,
    expected: int | None = None,
    operator: str = "",
    action: str = "",
    detail: str = "",
    undoes: int = 0,
    now: int | None = None,
) -> int:
    """Replace the value of `name`. Return the new version.

    With `expected`, raise Conflict unless that version is still the newest (0: none was written). With `action`, an
    audit event is written in the same transaction, with `operator`, `detail` and `undoes`. Raises Conflict, and
    TamperedError as `read` does.
    """
    changed_at = now_ms() if now is None else now
    with vault.write():
        present = read(vault, name, msgspec.Raw)
        version = present.version if present else 0
        if expected is not None and version != expected:
            raise Conflict(name)
        version += 1
        _keep_former(vault, name, 0 if name in UNSIGNED else FORMER)
        _insert(vault, name, version, value, changed_at)
        if action:
            audit.record_event(
                vault,
                action,
                operator=operator,
                detail=detail,
                at=changed_at,
                configured=(name, version),
                undoes=undoes,
            )
    _saw(vault, name, version)
    return version


def kept(vault: Reader, name: str, kind: type[T]) -> Iterator[Stored[T]]:
    """Yield the stored versions of a name that verify, newest first."""
    for row in rows_of(vault, name):
        try:
            frame = open_row(vault, row)
            yield Stored(value_of(frame, name, kind), frame.version, frame.changed_at)
        except (TamperedError, StoreFormat):
            continue


def reset(vault: Reader, name: str, value: object, *, operator: str = "", action: str = "", detail: str = "") -> int:
    """Overwrite the value of `name`, even if the present one does not verify. Return the new version.

    The new version is higher than every version known or claimed, so that no older row can replace it. Former versions
    that verify stay. With `action`, an audit event is written in the same transaction. Raises UnlockError.
    """
    changed_at = now_ms()
    with vault.write():
        known, claimed = _known(vault, name), 0
        for row in list(rows_of(vault, name, strays=True)):
            claimed = max(claimed, sane(row.version))
            try:
                claimed = max(claimed, open_row(vault, row).version)
            except TamperedError:
                run(vault.db, "DELETE FROM configuration WHERE id = ?", row.id)
        version = max(known, claimed) + 1
        _keep_former(vault, name, 0 if name in UNSIGNED else FORMER)
        _insert(vault, name, version, value, changed_at)
        if action:
            audit.record_event(
                vault, action, operator=operator, detail=detail, at=changed_at, configured=(name, version)
            )
    _saw(vault, name, version)
    return version


def salvage(vault: Reader, name: str, kind: type[T]) -> Salvage[T]:
    """Find out what is wrong with `name`, if anything, and what can still be recovered. Changes nothing."""
    problem = ""
    try:
        read(vault, name, kind)
    except (TamperedError, StoreFormat) as error:
        problem = str(error)
    held: T | None = None
    good: list[Stored[T]] = []
    rows = list(rows_of(vault, name, strays=True))
    for row in rows:
        try:
            frame = open_row(vault, row)
            good.append(Stored(value_of(frame, name, kind), frame.version, frame.changed_at))
        except (TamperedError, StoreFormat):
            held = value_unsigned(vault, row, name, kind) if held is None else held
    former = max(good, key=lambda stored: stored.version, default=None)
    return Salvage(problem, len(rows) - len(good), former, held)


def seal_anew(vault: Reader, least: int = 0) -> None:
    """Reseal all rows that verify with the newest configuration key, in the caller's transaction.

    Others stay as they are. The newest version of each name is raised by one, and at least to `least`, so that
    processes that saw newer versions accept it.
    """
    table = vault.models.Configuration
    opened: list[tuple[Any, Frame]] = []
    for row in list(table.select().order_by(table.id)):
        try:
            opened.append((row, open_row(vault, row, renewing=True)))
        except TamperedError:
            continue
    newest = {name: max(frame.version for _, frame in opened if frame.name == name) for name in _names(opened)}
    for row, frame in opened:
        row.version = max(frame.version + 1, least) if frame.version == newest[frame.name] else frame.version
        row.sealed, row.signature = sealed_row(vault, frame._replace(version=row.version))
        row.save()


def _names(opened: list[tuple[Any, Frame]]) -> set[str]:
    return {frame.name for _, frame in opened}


def seen_versions(vault: Reader) -> dict[str, int]:
    """Return the newest version of each signed name that this vault has seen."""
    return {name: version for name, version in _seen.get(vault, {}).items() if name not in UNSIGNED}


def remember_versions(vault: Reader, versions: dict[str, int]) -> None:
    """Refuse versions older than these, which were seen before this vault was opened."""
    known = _seen.setdefault(vault, {})
    for name, version in versions.items():
        known[name] = max(version, known.get(name, 0))


def check_configuration(vault: Reader) -> Iterator[tuple[str, str | None]]:
    """Verify every row. Yield its name, and what is wrong with it or None."""
    known = {*_seen.get(vault, {}), *_of_trail(vault)}  # Read the known names first; rows read later can only be newer.
    table = vault.models.Configuration
    rows = list(table.select().order_by(table.id))
    newest = {str(row.name): row for row in sorted(rows, key=lambda row: sane(row.version))}
    for name in sorted(known - set(newest)):
        yield f"configuration {name}", "it is missing"
    for row in rows:
        name, problem = str(row.name), None
        former = "" if row is newest[name] else f", former version {row.version}"
        try:
            frame = open_row(vault, row)
            wanted = _known(vault, name)
            if not former and frame.version < wanted:
                problem = f"it has version {frame.version}, but version {wanted} was written later"
        except TamperedError as error:
            problem = str(error)
        yield f"configuration {name}{former}", problem


def _saw(vault: Reader, name: str, version: int) -> None:
    """Record a version as seen once it is durable: an open transaction may still be rolled back."""
    if not vault.db.in_transaction():
        _seen.setdefault(vault, {})[name] = version


def _known(vault: Reader, name: str) -> int:
    seen = _seen.get(vault, {}).get(name, 0)
    if name in UNSIGNED:
        return seen
    return max(seen, _of_trail(vault).get(name, 0))


def _of_trail(vault: Reader) -> dict[str, int]:
    try:
        return {name: version for name, version in audit.known_versions(vault).items() if sane(version)}
    except (UnlockError, TamperedError):
        # A gateway cannot open the trail. A damaged event is reported by `check`, and must not stop intake.
        return {}


def _newest_frame(vault: Reader, name: str, known: int) -> Frame | None:
    """Fetch the newest version, at least `known`. Raises TamperedError if that version is missing or damaged.

    Skips a damaged row that claims to be newer, if a row of the known version verifies.
    """
    problem: TamperedError | None = None
    for row in rows_of(vault, name):
        try:
            frame = open_row(vault, row)
        except TamperedError as error:
            problem = problem or error
            continue
        if problem is None and frame.version < known:
            problem = ConfigurationDamaged(
                name, f"it has version {frame.version}, but version {known} was written later"
            )
        if problem is None or 0 < known <= frame.version:
            return frame
        break
    if problem is None and known:
        problem = ConfigurationDamaged(name, f"it has version 0, but version {known} was written later")
    if problem is not None:
        raise problem
    return None


def _insert(vault: Reader, name: str, version: int, value: object, changed_at: int) -> None:
    frame = Frame(name, version, changed_at, msgspec.Raw(msgspec.msgpack.encode(value)))
    sealed, signature = sealed_row(vault, frame)
    row = {"version": version, "changed_at": changed_at, "sealed": sealed, "signature": signature}
    vault.models.Configuration.create(name=name, **row)
    if vault.keys.authority is not None:
        vault.grants.grant()  # Restores the grants of gateways that lost theirs.


def _keep_former(vault: Reader, name: str, number: int) -> None:
    """Delete a name's rows except the last `number` written."""
    rows = run(vault.db, "SELECT id FROM configuration WHERE name = ? ORDER BY id DESC", name).fetchall()
    for (row_id,) in rows[number:]:
        run(vault.db, "DELETE FROM configuration WHERE id = ?", row_id)
