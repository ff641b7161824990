"""The rows of the configuration: how a value is sealed and signed in a row, and how it is read back.

The sealed data holds the name, the version and the time of the change, so a row cannot be passed off as another.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple, TypeVar

import msgspec

from store.database.connection import as_bytes, run, sound
from store.helpers.decoding import msgpack_decoder
from store.sealing.sealed import generation_of
from store.sealing.signatures import Right
from store.sealing.statements import statement, verify
from store.terms.errors import StoreFormat, TamperedError
from store.vault.grants import NotGranted
from store.vault.reader import Reader

T = TypeVar("T")

#: Working state: sealed but not signed, because gateways write it too.
UNSIGNED = frozenset({"free-space-notice"})
#: Which acts need two operators. Signed by the authority alone, else a single operator could revoke it.
SECONDED = "seconded"
#: Versions are below this; a higher number is in a damaged row.
_VERSIONS = 1 << 53

_IDS = "SELECT id FROM configuration WHERE name = ? OR ? = 1 ORDER BY version DESC, id DESC"
_ROW = "SELECT id, name, version, changed_at, sealed, signature FROM configuration WHERE id = ?"

#: The command that resets a damaged name.
_COMMANDS = {"settings": "settings", "rules": "rules", "address-lists": "lists"}


class ConfigurationDamaged(TamperedError):
    """A name's newest row does not verify, or is an older version: none of its values is in force."""

    def __init__(self, name: str, why: str = "the seal does not verify") -> None:
        super().__init__(name, why)
        if name in _COMMANDS:
            self.args = (f"{self} `mailhold {_COMMANDS[name]} reset` shows what is still known and restores them.",)


class Frame(NamedTuple):
    """The sealed content of a row. `value` is msgpack; `changed_at` is Unix ms."""

    name: str
    version: int
    changed_at: int
    value: msgspec.Raw


class Row(NamedTuple):
    """A row as stored, not verified. The ORM takes as long to read one as its signature takes to verify."""

    id: int
    name: str
    version: int
    changed_at: int
    sealed: bytes
    signature: bytes


def rows_of(vault: Reader, name: str, *, strays: bool = False) -> Iterator[Row]:
    """Yield a name's rows, the highest claimed version first.

    With `strays`, also rows whose name column was damaged, but whose content is sealed under `name`. Rows are fetched
    one by one: there can be many, and address lists are long.
    """
    waiting, looked = _ids_of(vault, name, strays), set[int]()
    while waiting:
        row_id = waiting.pop(0)
        looked.add(row_id)
        with vault.reading():
            found = run(vault.db, _ROW, row_id).fetchone()
        if found is None:
            # A newer version took its place meanwhile: without it, the name would seem to have none.
            waiting = [each for each in _ids_of(vault, name, strays) if each not in looked]
            continue
        row = Row(*found)
        if row.name == name or (strays and _is_of(vault, row, name)):
            yield row


def _ids_of(vault: Reader, name: str, strays: bool) -> list[int]:
    with vault.reading():
        return [row_id for (row_id,) in run(vault.db, _IDS, name, int(strays)).fetchall()]


def _is_of(vault: Reader, row: Any, name: str) -> bool:
    try:
        with sound(name):
            vault.unseal(_role(name), as_bytes(row.sealed))
    except TamperedError:
        return False
    return True


def value_of(frame: Frame, name: str, kind: type[T]) -> T:
    """Decode an opened row's value. Raises StoreFormat if a newer release wrote it."""
    try:
        return msgpack_decoder(kind).decode(frame.value)
    except msgspec.DecodeError:
        raise StoreFormat(f"The {name} of this store were written by a newer release. Upgrade Mailhold.") from None


def value_unsigned(vault: Reader, row: Any, name: str, kind: type[T]) -> T | None:
    """Decode a row that can be decrypted, ignoring its signature and its plain columns; None if it cannot."""
    try:
        with sound(name):
            frame = msgpack_decoder(Frame).decode(vault.unseal(_role(name), as_bytes(row.sealed)))
        return value_of(frame, name, kind)
    except (TamperedError, StoreFormat, msgspec.DecodeError):
        return None


def sealed_row(vault: Reader, frame: Frame) -> tuple[bytes, bytes]:
    """Seal and sign a row; the signature is empty for unsigned names."""
    role = _role(frame.name)
    sealed = vault.seal(role, msgspec.msgpack.encode(frame))
    return sealed, vault.sign(role, sealed) if frame.name not in UNSIGNED else b""


def sane(version: Any) -> int:
    """Return the version that a row claims; 0 if it is impossible."""
    return version if isinstance(version, int) and 0 < version < _VERSIONS else 0


def open_row(vault: Reader, row: Any, *, renewing: bool = False) -> Frame:
    """Verify and decrypt a row. With `renewing`, also one sealed with a former configuration key.

    Raises TamperedError, ConfigurationDamaged.
    """
    name = str(row.name)
    try:
        with sound(name):
            sealed = as_bytes(row.sealed)
            if name == SECONDED:
                signed = statement("signed", _role(name), vault.store_id, sealed)
                verify(vault.keys.authority_verifier(), as_bytes(row.signature), signed, name)
            elif name not in UNSIGNED:
                vault.verify(_role(name), sealed, as_bytes(row.signature), Right.CONFIGURE, at=row.changed_at)
            elif not renewing and generation_of(sealed, name) < vault.grants.newest():
                # The row is unsigned, so a gateway revoked since could have sealed it.
                raise TamperedError(name, "it is sealed with an old key")
            frame = msgpack_decoder(Frame).decode(vault.unseal(_role(name), sealed))
    except NotGranted as error:
        raise TamperedError(name, error.why) from None
    except (TamperedError, msgspec.DecodeError):
        raise ConfigurationDamaged(name) from None
    if frame[:3] != (name, row.version, row.changed_at):
        raise ConfigurationDamaged(name, "its version or time was changed")
    return frame


def _role(name: str) -> str:
    return f"configuration {name}"
