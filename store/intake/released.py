"""Recognising what this store's deliveries sent back in: it passes once, and is not kept again.

A marker counts where the store has a row of it for every recipient, which a gateway signed that is not revoked, and the
message is byte for byte the one that was sent. The rows go in the transaction that finds that, so that it holds across
restarts and among gateways; a message with any other marker is judged like every message.
"""

from __future__ import annotations

import re
from collections.abc import Sequence, Set
from typing import TYPE_CHECKING, NamedTuple

from store.delivery.marker import FIELD, WHAT, Marked, digest_of, find_marker, spellings, tag_of
from store.delivery.release_rows import Release, announce, rows_for, take
from store.helpers.clock import now_ms
from store.mail.header_fields import header_of
from store.mail.incoming import Incoming
from store.terms.errors import TamperedError

if TYPE_CHECKING:
    from store.vault.vault import Vault

#: Fields of our own that a message may bring along: far more than any that comes from here has.
MOST_OWN = 1000
# A search over the bytes: a header may be as large as a message, and most have no such field.
_OWN = re.compile(rb"^x-mailhold-[!-9;-~]*[ \t]*:", re.IGNORECASE | re.MULTILINE)


class Fields(NamedTuple):
    """Our own fields in a message that comes in: where each is, and its marker.

    `unmarked` says why a message with a marker's field has no marker that could count. With `too_many`, only the first
    of the fields are in it.
    """

    delete: tuple[tuple[str, int], ...]
    marker: Marked | None = None
    unmarked: str = ""
    too_many: bool = False


def own_fields(raw: bytes) -> Fields:
    """Find Mailhold's own header fields. None of them goes on: only Mailhold may write them."""
    delete: list[tuple[str, int]] = []
    seen: dict[bytes, int] = {}
    header = header_of(raw)
    for found in _OWN.finditer(header.text, header.start, header.end):
        if len(delete) == MOST_OWN:
            return Fields(tuple(delete), too_many=True)
        field = next(header._replace(start=found.start()).fields())
        seen[field.name] = seen.get(field.name, 0) + 1
        delete.append((field.name.decode("ascii"), seen[field.name]))
    fields = Fields(tuple(delete))
    if FIELD not in seen:
        return fields
    try:
        return fields._replace(marker=find_marker(raw))
    except TamperedError as error:
        return fields._replace(unmarked=error.why)


class Passed(NamedTuple):
    """What became of a marker: the rows that were taken, or why the message is judged like any other."""

    rows: Sequence[Release]
    why: str


def passes(
    vault: Vault, marker: Marked, incoming: Incoming, *, ignored: Set[bytes] = frozenset(), now: int | None = None
) -> Passed:
    """Use up the marker of a released message, where it passes. Blocking.

    `ignored` are the names (lower case) of fields that relays may have added to it. Raises StoreUnavailable where it
    cannot be known whether a genuine marker was used before.
    """
    moment = now_ms() if now is None else now
    try:
        with vault.reading():
            rows = rows_for(vault, marker.token, incoming.recipients)
        digest = _digest(marker, incoming, ignored, {row.digest for row in rows})
        with vault.write():
            return Passed(take(vault, marker.token, incoming.recipients, digest, moment), "")
    except TamperedError as error:
        return Passed((), error.why)


def put_back(vault: Vault, marker: Marked, rows: Sequence[Release], recipients: Sequence[str]) -> None:
    """Let a message pass once more to `recipients`, whom it could not be sent on to. Raises StoreUnavailable."""
    tags = {tag_of(marker.token, each) for address in recipients for each in spellings(address)}
    with vault.write():
        announce(vault, [row for row in rows if row.tag in tags], now_ms())


def _digest(marker: Marked, incoming: Incoming, ignored: Set[bytes], wanted: Set[bytes]) -> bytes:
    for sender in spellings(incoming.sender):
        digest = digest_of(marker.token, sender, incoming.raw, marker.below, ignored)
        if digest in wanted:
            return digest
    raise TamperedError(WHAT, "the message is not byte for byte the one that was sent")
