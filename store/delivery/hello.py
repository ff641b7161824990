"""The table `hello`: the relay's answer to EHLO, as each sending gateway last got it.

Each gateway signs its own row and seals it to the operators; so does `local`, for the program that has the store open.
To request a new answer, an operator writes a row under the negated gateway id, signed as an order is; the gateway's
worker looks for it (`store.delivery.greeting`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from store.database.connection import as_bytes, run, sound
from store.helpers.decoding import msgpack_decoder
from store.mail.offers import Offers, offers_of
from store.sealing.keys import hybrid_public
from store.sealing.sealed import hpke_open, hpke_seal
from store.sealing.signatures import Right
from store.sealing.statements import statement
from store.terms.errors import TamperedError, UnlockError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.hpke import MLKEM768X25519PrivateKey

    from store.vault.vault import Vault

ROLE, WANTED = "hello", "hello wanted"
#: Maximum extensions kept, and characters of each with its parameters, and of a problem.
MOST, LONGEST = 60, 300

_WRITE = (
    "INSERT INTO hello (gateway_id, at, sealed, signature) VALUES (?, ?, ?, ?) ON CONFLICT (gateway_id) DO UPDATE SET "
    "at = excluded.at, sealed = excluded.sealed, signature = excluded.signature"
)
_READ = "SELECT at, sealed, signature FROM hello WHERE gateway_id = ?"


class Hello(msgspec.Struct, frozen=True, array_like=True):
    """An answer to EHLO. All texts come from the relay: NOT safe for a terminal.

    `relay` is its address without the password, `problem` why it could not be used ("" if it answered), `extensions`
    are (name in lower case, parameters) of what it offers.
    """

    relay: str
    problem: str = ""
    extensions: tuple[tuple[str, str], ...] = ()

    @property
    def offers(self) -> Offers:
        """The extensions, parsed."""
        return offers_of(dict(self.extensions))


class Heard(NamedTuple):
    """An answer of the relay, and when it came (Unix ms, by the gateway's clock)."""

    at: int
    hello: Hello


def hello_of(relay: str, extensions: Mapping[str, str], problem: str = "") -> Hello:
    """Make a Hello of an answer, cut to the limits."""
    kept = [(_text(name), _text(text)) for name, text in extensions.items() if len(name) + len(text) <= LONGEST]
    return Hello(relay, _text(problem)[:LONGEST], tuple(kept[:MOST]))


def _text(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


def write_hello(vault: Vault, hello: Hello, now: int) -> None:
    """Write the answer that this vault's gateway got, in the open transaction.

    Raises UnlockError where the keys at hand are no gateway's.
    """
    gateway = vault.keys.gateway
    if gateway is None:
        raise UnlockError("This key is not a gateway's. Unlock the store with an operator key.")
    key, info = hybrid_public(vault.keys.read_public), _info(vault.store_id, gateway.gateway_id, now)
    sealed = hpke_seal(key, info, msgspec.msgpack.encode(hello))
    signature = vault.sig(ROLE, gateway.gateway_id, now, sealed, gateway=True)
    run(vault.db, _WRITE, gateway.gateway_id, now, sealed, signature)


def read_hello(vault: Vault, gateway_id: int) -> Heard | None:
    """Read a gateway's last answer; None if it has reported none yet.

    Raises TamperedError where it is not what that gateway wrote, UnlockError where the keys at hand cannot read it.
    """
    with vault.reading():
        row = run(vault.db, _READ, gateway_id).fetchone()
    return None if row is None else _opened(vault, gateway_id, row)


def want_hello(vault: Vault, gateway_id: int, now: int) -> None:
    """Request that a gateway's worker ask the relay again. Raises StoreUnavailable, UnlockError."""
    signature = vault.sig(WANTED, gateway_id, now)
    with vault.write(quiet=True):
        run(vault.db, _WRITE, -gateway_id, now, b"", signature)


def wanted(vault: Vault, gateway_id: int, known: int) -> int:
    """Return the time of the newest verified request to ask the relay again (Unix ms), or `known` if there is none.

    Raises StoreUnavailable.
    """
    with vault.reading():
        row = run(vault.db, _READ, -gateway_id).fetchone()
    if row is None or row[0] == known:
        return known
    try:
        return _verified_wish(vault, gateway_id, row)
    except TamperedError:
        return known  # `check` reports it.


def problems(vault: Vault) -> Iterator[tuple[str, str]]:
    """Yield each row that does not verify, and why."""
    with vault.reading():
        rows = run(vault.db, "SELECT gateway_id, at, sealed, signature FROM hello ORDER BY gateway_id").fetchall()
    for gateway_id, *row in rows:
        try:
            if gateway_id < 0:
                _verified_wish(vault, -gateway_id, row)
            else:
                _opened(vault, gateway_id, row)
        except TamperedError as error:
            yield error.what, error.why


def _verified_wish(vault: Vault, gateway_id: int, row: Any) -> int:
    what = f"the request to gateway {gateway_id} to ask its relay"
    with sound(what), vault.reading():
        at, sealed, signature = int(row[0]), as_bytes(row[1]), as_bytes(row[2])
        if sealed:
            raise TamperedError(what, "it holds more than a request may")
        vault.signers.verify(signature, what, WANTED, gateway_id, at, right=Right.RELEASE)
    return at


def _opened(vault: Vault, gateway_id: int, row: Any) -> Heard:
    what = f"the relay's EHLO answer to gateway {gateway_id}"
    with sound(what), vault.reading():
        at, sealed, signature = int(row[0]), as_bytes(row[1]), as_bytes(row[2])
        vault.signers.verify(signature, what, ROLE, gateway_id, at, sealed, gateway=gateway_id)
    if vault.keys.read_private is None:
        raise UnlockError("This key cannot read what the relay answered. Unlock the store with an operator key.")
    return Heard(at, open_hello(vault.keys.read_private, vault.store_id, gateway_id, at, sealed, what))


def open_hello(
    key: MLKEM768X25519PrivateKey, store_id: bytes, gateway_id: int, at: int, sealed: bytes, what: str
) -> Hello:
    """Open a row whose signature was verified. Raises TamperedError naming `what`."""
    opened = hpke_open(key, _info(store_id, gateway_id, at), sealed, what)
    try:
        return msgpack_decoder(Hello).decode(opened)
    except msgspec.DecodeError:
        raise TamperedError(what, "it is not in the format of this version of Mailhold") from None


def _info(store_id: bytes, gateway_id: int, at: int) -> bytes:
    return statement(ROLE, store_id, gateway_id, at)
