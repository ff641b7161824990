"""The release order: signed by an operator; only the gateway that sends it can open it.

`order_blob` is sealed (HPKE) to the gateway's delivery key. The authority signs it together with the ids of delivery,
copy and gateway, so that it is valid for these only. For operators, each recipient row holds the address sealed under
the store's private key, and a worker's reply under the read key.
"""

from __future__ import annotations

import secrets
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from store.database.connection import as_bytes, sound
from store.helpers.decoding import msgpack_decoder
from store.sealing.keys import hybrid_public
from store.sealing.sealed import hpke_open, hpke_seal
from store.sealing.signatures import Right
from store.sealing.statements import statement
from store.terms.dsn import Dsn
from store.terms.errors import TamperedError, UnlockError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.hpke import MLKEM768X25519PrivateKey, MLKEM768X25519PublicKey

    from store.vault.vault import Vault

ORDER = "delivery order"
#: The role of an operator's second signature, with which an order is sent without waiting out its hold.
AT_ONCE = "delivery order at once"
RECIPIENT = "delivery recipient"
REPLY = "delivery reply"
_PRIVATE, _HYBRID = b"\x00", b"\x01"


class Addressee(NamedTuple):
    """One recipient in an order. `place` is the index of its row among the delivery's rows, by id, from 0."""

    place: int
    address: str


class Order(msgspec.Struct, frozen=True, array_like=True):
    """A message to send, and its recipients. Times are Unix ms. `sender` is "" for the null sender.

    `dangerous`: the copy is infected or probably infected, and delivering such copies was allowed when it was ordered.
    `nonce` makes every order unique, even for the same delivery. The order can be cancelled and is not sent before
    `not_before`; 0 for at once. `dsn` is what the message's sender asked to be notified of.
    """

    delivery_id: int
    copy_id: int
    sha256: bytes
    sender: str
    addressees: tuple[Addressee, ...]
    dangerous: bool
    operator: str
    ordered_at: int
    expires_at: int
    nonce: bytes
    not_before: int = 0
    dsn: Dsn | None = None


class SealedRecipient(msgspec.Struct, frozen=True, array_like=True):
    """Sealed content of a recipient row, for operators: its place, its address, and who ordered the release."""

    delivery_id: int
    place: int
    address: str
    operator: str


def new_nonce() -> bytes:
    """Return 16 random bytes."""
    return secrets.token_bytes(16)


def _signed(delivery_id: int, copy_id: int, gateway_id: int, blob: bytes) -> bytes:
    return statement(ORDER, delivery_id, copy_id, gateway_id, blob)


def _info(store_id: bytes, delivery_id: int, gateway_id: int) -> bytes:
    return statement(ORDER, store_id, delivery_id, gateway_id)


def seal_order(vault: Vault, order: Order, gateway_id: int, key: MLKEM768X25519PublicKey) -> tuple[bytes, bytes]:
    """Seal an order for the gateway with the delivery key `key`, and sign it as the authority."""
    blob = hpke_seal(key, _info(vault.store_id, order.delivery_id, gateway_id), msgspec.msgpack.encode(order))
    return blob, vault.sign(ORDER, _signed(order.delivery_id, order.copy_id, gateway_id, blob))


def sign_at_once(vault: Vault, row: Any) -> bytes:
    """Return a new signature of a verified row's order, with which it is sent without waiting.

    The order and its nonce stay the same, so that a machine that sent it already does not send it twice.
    """
    return vault.sign(AT_ONCE, _signed(row.id, row.copy_id, row.gateway_id, as_bytes(row.order_blob)))


def verify_order(vault: Vault, row: Any) -> bool:
    """Verify the signature of a delivery row's order. Raises TamperedError, naming the delivery.

    Returns whether it was signed to be sent at once, whatever the order says.
    """
    for role in (ORDER, AT_ONCE):
        with suppress(TamperedError), sound(role):
            data = _signed(row.id, row.copy_id, row.gateway_id, as_bytes(row.order_blob))
            vault.verify(role, data, as_bytes(row.order_signature), Right.RELEASE)
            return role == AT_ONCE
    raise TamperedError(f"delivery {row.id}", "its order was not signed by an operator of this store")


def open_order(vault: Vault, row: Any, key: MLKEM768X25519PrivateKey) -> Order:
    """Open and verify the order of a delivery row. Raises TamperedError if it was changed or belongs elsewhere.

    Sets its `not_before` to 0 if an operator signed it to be sent at once.
    """
    what = f"delivery {row.id}"
    at_once = verify_order(vault, row)
    opened = hpke_open(key, _info(vault.store_id, row.id, row.gateway_id), as_bytes(row.order_blob), what)
    try:
        order = msgpack_decoder(Order).decode(opened)
    except msgspec.DecodeError:
        raise TamperedError(what, "its order is not in the format of this version of Mailhold") from None
    if (order.delivery_id, order.copy_id) != (row.id, row.copy_id):
        raise TamperedError(what, "its order belongs to another delivery")
    if order.expires_at != row.expires_at:
        raise TamperedError(what, "its expiry was changed")
    return msgspec.structs.replace(order, not_before=0) if at_once else order


def seal_recipient(vault: Vault, recipient: SealedRecipient) -> bytes:
    """Seal the address of a recipient row."""
    return vault.seal(RECIPIENT, msgspec.msgpack.encode(recipient))


def unseal_recipient(vault: Vault, row: Any) -> SealedRecipient:
    """Open a recipient row. Raises TamperedError if it was changed or belongs to another delivery."""
    what = f"a recipient of delivery {row.delivery_id}"
    try:
        with sound(RECIPIENT):
            opened = vault.unseal(RECIPIENT, as_bytes(row.sealed_address))
        recipient = msgpack_decoder(SealedRecipient).decode(opened)
    except (TamperedError, msgspec.DecodeError):
        raise TamperedError(what) from None
    if recipient.delivery_id != row.delivery_id:
        raise TamperedError(what, "it belongs to another delivery")
    return recipient


def seal_reply(vault: Vault, recipient_id: int, text: str) -> bytes:
    """Seal a server's reply for operators. Without an operator's keys, seals it to the store's read key."""
    if vault.keys.private_key is not None:
        return _PRIVATE + vault.seal(f"{REPLY} {recipient_id}", text.encode())
    key = hybrid_public(vault.keys.read_public)
    return _HYBRID + hpke_seal(key, statement(REPLY, vault.store_id, recipient_id), text.encode())


def unseal_reply(vault: Vault, row: Any) -> str:
    """Open the reply of a recipient row; "" if there is none. NOT safe for a terminal.

    Raises TamperedError, and UnlockError where the keys at hand cannot read replies.
    """
    if row.sealed_reply is None:
        return ""
    key, what = vault.keys.read_private, f"a reply of delivery {row.delivery_id}"
    with sound(what):
        sealed = as_bytes(row.sealed_reply)
    if key is None:
        raise UnlockError("This key cannot read replies. Unlock the store with an operator key.")
    if sealed[:1] == _HYBRID:
        return hpke_open(key, statement(REPLY, vault.store_id, row.id), sealed[1:], what).decode()
    try:
        return vault.unseal(f"{REPLY} {row.id}", sealed[1:]).decode()
    except TamperedError:
        raise TamperedError(what) from None
