"""Recognising what this store's deliveries sent back in: it passes once, and is not kept again.

A marker counts where it is genuine, not expired, fits the body and the envelope, and was not used before. Which ones
were used stands in the store, so that it holds across restarts and among gateways; a message with any other marker is
judged like every message.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from store.database.connection import Clash, run, run_many
from store.delivery.marker import FIELD, read_marker
from store.helpers.clock import now_ms
from store.mail.header_fields import header_of
from store.mail.incoming import Incoming
from store.sealing.statements import expand, statement
from store.terms.errors import TamperedError

if TYPE_CHECKING:
    from store.vault.vault import Vault

#: Fields of our own that a message may bring along: far more than any that comes from here has.
MOST_OWN = 1000
# A search over the bytes: a header may be as large as a message, and most have no such field.
_OWN = re.compile(rb"^x-mailhold-[!-9;-~]*[ \t]*:", re.IGNORECASE | re.MULTILINE)
#: A marker that was used: its row is nobody's release, so it has no delivery, gateway or signature.
_USED = "INSERT INTO release (tag, delivery_id, gateway_id, digest, expires_at, signature) VALUES (?, 0, 0, ?, ?, ?)"


class Fields(NamedTuple):
    """Our own fields in a message that comes in: where each is, and the values of markers.

    With `too_many`, only the first of them are in it.
    """

    delete: tuple[tuple[str, int], ...]
    markers: tuple[bytes, ...]
    too_many: bool = False


def own_fields(raw: bytes) -> Fields:
    """The fields in Mailhold's name, which nobody but Mailhold may write: none of them goes on."""
    delete: list[tuple[str, int]] = []
    markers: list[bytes] = []
    seen: dict[bytes, int] = {}
    header = header_of(raw)
    for found in _OWN.finditer(header.text, header.start, header.end):
        if len(delete) == MOST_OWN:
            return Fields(tuple(delete), tuple(markers), too_many=True)
        field = next(header._replace(start=found.start()).fields())
        seen[field.name] = seen.get(field.name, 0) + 1
        delete.append((field.name.decode("ascii"), seen[field.name]))
        if field.name == FIELD:
            markers.append(raw[field.value : field.end])
    return Fields(tuple(delete), tuple(markers))


def marker_key(vault: Vault) -> bytes:
    """The key of markers, which all gateways of the store share."""
    with vault.reading():
        return expand(vault.grants.keys().configuration, statement("delivery marker", vault.store_id))


def passes(vault: Vault, fields: Fields, incoming: Incoming, *, now: int | None = None) -> str:
    """Use up the marker of a released message: "" where it passes, else why it is judged like any other. Blocking.

    Raises StoreUnavailable where it cannot be known whether a genuine marker was used before.
    """
    moment = now_ms() if now is None else now
    key, why = marker_key(vault), "there is none"
    for value in fields.markers:
        try:
            marker = read_marker(key, value, incoming.raw, incoming.recipients, moment)
        except TamperedError as error:
            why = error.why
            continue
        rows = [(marker.nonce + tag, b"", marker.expires_at, b"") for tag in dict.fromkeys(marker.tags)]
        try:
            with vault.write():
                run(vault.db, "DELETE FROM release WHERE expires_at < ?", moment)
                run_many(vault.db, _USED, rows)
        except Clash:
            why = "it was used before"
            continue
        return ""
    return why
