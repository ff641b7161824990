"""Named configuration: msgspec values, sealed, signed by the authority, and versioned.

A name ("settings", "saved-filters") holds one value. What is sealed says its name, its version and when it was changed,
so a row cannot stand in for another. A row that was put back from an older backup does verify; it is found all the same
where this vault has seen a newer version, or where the newest event of the audit trail knows of one. Putting the whole
database back, trail and all, cannot be found from within it.

Beside the newest version of a signed name its last former ones stay. They are never in force by themselves: they tell
what the newest said before it was damaged, until `reset` writes anew over it.

Working state that a gateway keeps without the authority ("free-space-notice") is sealed and versioned alike, unsigned.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Generic, NamedTuple, TypeVar
from weakref import WeakKeyDictionary

import msgspec

from store.authority import audit
from store.authority.kept_rows import kept_row
from store.database.connection import as_bytes, run, sound
from store.helpers.clock import now_ms
from store.helpers.decoding import msgpack_decoder
from store.sealing.sealed import generation_of
from store.sealing.signatures import Right
from store.terms.errors import StoreError, StoreFormat, TamperedError, UnlockError
from store.vault.grants import NotGranted
from store.vault.reader import Reader

T = TypeVar("T")

#: Working state: sealed, and signed by nobody, because a gateway writes it too.
UNSIGNED = frozenset({"free-space-notice"})

#: How many former versions of a signed name are kept.
FORMER = 50
#: No version reaches this: a number beyond it stands in a damaged row.
_VERSIONS = 1 << 53

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


#: The command that writes a damaged name anew.
_COMMANDS = {"settings": "settings", "rules": "rules", "address-lists": "lists"}


class ConfigurationDamaged(TamperedError):
    """A name's newest row does not verify, or an older one was put back: nothing of it is in force."""

    def __init__(self, name: str, why: str = "the seal does not verify") -> None:
        super().__init__(name, why)
        if name in _COMMANDS:
            self.args = (f"{self} `mailhold {_COMMANDS[name]} reset` shows what is still known, and writes anew.",)


class Salvage(NamedTuple, Generic[T]):
    """What keeps a name's value from being read ("": nothing), and what can still be known of it.

    `damaged` of its rows do not verify. `former` is the newest version that does. `held` is what a damaged row holds
    where it opens, and only its signature or its plain columns do not fit: any holder of a gateway's keys may be behind
    it.
    """

    problem: str
    damaged: int
    former: Stored[T] | None
    held: T | None


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
    try:
        frame = _newest_frame(vault, name, known)
    except TamperedError:
        if (kept := kept_row(vault, name, known)) is None:
            raise
        frame = _open(vault, kept)
    if frame is None:
        return None
    _saw(vault, name, frame.version)
    return Stored(_value(frame, name, kind), frame.version, frame.changed_at)


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
        _keep_former(vault, name, 0 if name in UNSIGNED else FORMER)
        _insert(vault, name, version, value, changed_at)
        if action:
            audit.record_event(
                vault, action, operator=operator, detail=detail, at=changed_at, configured=(name, version)
            )
    _saw(vault, name, version)
    return version


def reset(vault: Reader, name: str, value: object, *, operator: str = "", action: str = "", detail: str = "") -> int:
    """Put `value` in the place of whatever lies under `name`, also where that does not verify; returns the new version.

    It is above every version that is known or claimed, so that nothing older passes for it. Former versions that verify
    stay. With `action`, the event that says so is written in the same transaction. Raises UnlockError.
    """
    changed_at = now_ms()
    with vault.write():
        known, claimed = _known(vault, name), 0
        for row in list(_rows(vault, name, strays=True)):
            claimed = max(claimed, _sane(row.version))
            try:
                claimed = max(claimed, _open(vault, row).version)
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
    """What is wrong under `name`, if anything, and what can be known of it all the same. It changes nothing."""
    problem = ""
    try:
        read(vault, name, kind)
    except (TamperedError, StoreFormat) as error:
        problem = str(error)
    held: T | None = None
    good: list[Stored[T]] = []
    rows = list(_rows(vault, name, strays=True))
    for row in rows:
        try:
            frame = _open(vault, row)
            good.append(Stored(_value(frame, name, kind), frame.version, frame.changed_at))
        except (TamperedError, StoreFormat):
            held = _unsigned(vault, row, name, kind) if held is None else held
    former = max(good, key=lambda stored: stored.version, default=None)
    return Salvage(problem, len(rows) - len(good), former, held)


def seal_anew(vault: Reader, least: int = 0) -> None:
    """Seal what verifies with the newest configuration key; the newest of each name becomes a version more.

    It becomes at least the version `least`, so that those who saw newer ones take it up.

    In the caller's transaction. What does not verify stays as it is.
    """
    table = vault.models.Configuration
    opened: list[tuple[Any, _Frame]] = []
    for row in list(table.select().order_by(table.id)):
        try:
            opened.append((row, _open(vault, row, renewing=True)))
        except TamperedError:
            continue
    newest = {name: max(frame.version for _, frame in opened if frame.name == name) for name in _names(opened)}
    for row, frame in opened:
        row.version = max(frame.version + 1, least) if frame.version == newest[frame.name] else frame.version
        row.sealed, row.signature = _sealed(vault, frame._replace(version=row.version))
        row.save()


def _names(opened: list[tuple[Any, _Frame]]) -> set[str]:
    return {frame.name for _, frame in opened}


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
    known = {*_seen.get(vault, {}), *_of_trail(vault)}  # Before the rows: these can only be more by then.
    table = vault.models.Configuration
    rows = list(table.select().order_by(table.id))
    newest = {str(row.name): row for row in sorted(rows, key=lambda row: _sane(row.version))}
    for name in sorted(known - set(newest)):
        yield f"configuration {name}", "it is missing"
    for row in rows:
        name, problem = str(row.name), None
        former = "" if row is newest[name] else f", former version {row.version}"
        try:
            frame = _open(vault, row)
            wanted = _known(vault, name)
            if not former and frame.version < wanted:
                problem = f"version {frame.version} is there, and version {wanted} had been written"
        except TamperedError as error:
            problem = str(error)
        yield f"configuration {name}{former}", problem


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
        return {name: version for name, version in audit.known_versions(vault).items() if _sane(version)}
    except (UnlockError, TamperedError):
        # A gateway cannot open the trail; an event that is damaged is `check`'s to report, and must not stop intake.
        return {}


def _rows(vault: Reader, name: str, *, strays: bool = False) -> Iterator[Any]:
    """The rows of a name, those that claim the highest version first; with `strays`, those whose name was damaged too:
    what they hold is sealed as that of `name`. Each is read when it is asked for: there are many, and lists are long.
    """
    table = vault.models.Configuration
    sql = "SELECT id FROM configuration WHERE name = ? OR ? = 1 ORDER BY version DESC, id DESC"
    with vault.reading():
        ids = [row_id for (row_id,) in run(vault.db, sql, name, int(strays)).fetchall()]
    for row_id in ids:
        with vault.reading():
            row = table.get_or_none(table.id == row_id)
        if row is not None and (row.name == name or (strays and _is_of(vault, row, name))):
            yield row


def _is_of(vault: Reader, row: Any, name: str) -> bool:
    try:
        with sound(name):
            vault.unseal(_role(name), as_bytes(row.sealed))
    except TamperedError:
        return False
    return True


def _newest_frame(vault: Reader, name: str, known: int) -> _Frame | None:
    """The newest version, at least the one that is `known`. Raises TamperedError where that is not there, or damaged.

    A damaged row that claims to be newer is passed over where what is known says that it is not.
    """
    problem: TamperedError | None = None
    for row in _rows(vault, name):
        try:
            frame = _open(vault, row)
        except TamperedError as error:
            problem = problem or error
            continue
        if problem is None and frame.version < known:
            problem = ConfigurationDamaged(
                name, f"version {frame.version} is there, and version {known} had been written"
            )
        if problem is None or 0 < known <= frame.version:
            return frame
        break
    if problem is None and known:
        problem = ConfigurationDamaged(name, f"version 0 is there, and version {known} had been written")
    if problem is not None:
        raise problem
    return None


def _value(frame: _Frame, name: str, kind: type[T]) -> T:
    try:
        return msgpack_decoder(kind).decode(frame.value)
    except msgspec.DecodeError:
        raise StoreFormat(f"The {name} of this store were written by a newer release: upgrade Mailhold.") from None


def _unsigned(vault: Reader, row: Any, name: str, kind: type[T]) -> T | None:
    """What a row holds that opens, whatever its signature and its plain columns say; None where it does not."""
    try:
        with sound(name):
            frame = msgpack_decoder(_Frame).decode(vault.unseal(_role(name), as_bytes(row.sealed)))
        return _value(frame, name, kind)
    except (TamperedError, StoreFormat, msgspec.DecodeError):
        return None


def _insert(vault: Reader, name: str, version: int, value: object, changed_at: int) -> None:
    frame = _Frame(name, version, changed_at, msgspec.Raw(msgspec.msgpack.encode(value)))
    sealed, signature = _sealed(vault, frame)
    row = {"version": version, "changed_at": changed_at, "sealed": sealed, "signature": signature}
    vault.models.Configuration.create(name=name, **row)
    if vault.keys.authority is not None:
        vault.grants.grant()  # To gateways that somebody took their grant from.


def _sealed(vault: Reader, frame: _Frame) -> tuple[bytes, bytes]:
    role = _role(frame.name)
    sealed = vault.seal(role, msgspec.msgpack.encode(frame))
    return sealed, vault.sign(role, sealed) if frame.name not in UNSIGNED else b""


def _keep_former(vault: Reader, name: str, number: int) -> None:
    """Leave `number` of a name's rows, those that were written last."""
    rows = run(vault.db, "SELECT id FROM configuration WHERE name = ? ORDER BY id DESC", name).fetchall()
    for (row_id,) in rows[number:]:
        run(vault.db, "DELETE FROM configuration WHERE id = ?", row_id)


def _sane(version: Any) -> int:
    """A version as a row claims it; 0 for what is none."""
    return version if isinstance(version, int) and 0 < version < _VERSIONS else 0


def _open(vault: Reader, row: Any, *, renewing: bool = False) -> _Frame:
    name = str(row.name)
    try:
        with sound(name):
            sealed = as_bytes(row.sealed)
            if name not in UNSIGNED:
                vault.verify(_role(name), sealed, as_bytes(row.signature), Right.CONFIGURE, at=row.changed_at)
            elif not renewing and generation_of(sealed, name) < vault.grants.newest():
                # Nobody signed it, and whoever was revoked since may have sealed it.
                raise TamperedError(name, "it is sealed with a former key")
            frame = msgpack_decoder(_Frame).decode(vault.unseal(_role(name), sealed))
    except NotGranted as error:
        raise TamperedError(name, error.why) from None
    except (TamperedError, msgspec.DecodeError):
        raise ConfigurationDamaged(name) from None
    if frame[:3] != (name, row.version, row.changed_at):
        raise ConfigurationDamaged(name, "its version or time was changed")
    return frame


def _role(name: str) -> str:
    return f"configuration {name}"
