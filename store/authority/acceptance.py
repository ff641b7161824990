"""Acceptances: an operator's signed decision to go on with a store that holds less than was seen of it before.

`generation` is a time (Unix ms), later than everything seen before. The store is no longer compared with heads of
earlier generations.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from store.database.connection import as_bytes, run, sound
from store.helpers.decoding import msgpack_decoder
from store.sealing.signatures import Right
from store.terms.errors import TamperedError
from store.vault.reader import Reader

_ROLE = "acceptance"
_NEWEST = "SELECT generation, data, signature FROM acceptance ORDER BY generation DESC LIMIT 100"


class Accepted(msgspec.Struct, frozen=True, array_like=True):
    """The content of an acceptance.

    `heads` is the digest of the heads that the store had, `seen_at` the time (Unix ms) of the newest head seen. `gaps`
    are runs (first id, length) of copy ids that were assigned and are lost: no copy has them. `kept` are the ids of
    deliveries that are sent although they were ordered before the acceptance.
    """

    heads: bytes
    seen_at: int
    gaps: list[tuple[int, int]]
    kept: list[int]


class Acceptance(msgspec.Struct, frozen=True):
    """An acceptance that verifies."""

    generation: int
    accepted: Accepted


def accept(vault: Reader, generation: int, accepted: Accepted) -> Acceptance:
    """Sign and write an acceptance, in the caller's transaction. Raises UnlockError."""
    data = msgspec.msgpack.encode(accepted)
    signature = vault.sig(_ROLE, generation, data)
    run(vault.db, "INSERT INTO acceptance (generation, data, signature) VALUES (?, ?, ?)", generation, data, signature)
    return Acceptance(generation, accepted)


def acceptances(vault: Reader) -> list[Acceptance]:
    """List the acceptances that verify, newest first."""
    with vault.reading():
        rows = run(vault.db, _NEWEST).fetchall()
    found = []
    for row in rows:
        try:
            found.append(_verified(vault, *row))
        except TamperedError:
            continue
    return found


def accepted_generation(vault: Reader) -> int:
    """Return the generation of the newest acceptance that verifies, 0 if there is none."""
    return next((each.generation for each in acceptances(vault)), 0)


def forgone(accepted: Sequence[Acceptance], delivery_id: int, ordered_at: int) -> bool:
    """Return True if a release was ordered (Unix ms) before an acceptance that does not keep it: it is not sent."""
    return any(ordered_at < each.generation and delivery_id not in each.accepted.kept for each in accepted)


def _verified(vault: Reader, generation: int, data: object, signature: object) -> Acceptance:
    what = f"acceptance {generation}"
    with sound(what):
        blob = as_bytes(data)
        vault.signers.verify(as_bytes(signature), what, _ROLE, generation, blob, right=Right.ACCEPT)
        try:
            return Acceptance(generation, msgpack_decoder(Accepted).decode(blob))
        except msgspec.MsgspecError:
            raise TamperedError(what, "it is not in the format of this version of Mailhold") from None
