"""Recognise released messages of this store that come back in: each passes once, and is not kept again.

A marker is genuine if the store has a row of it for every recipient, signed by a gateway that is not revoked, and if
the message is byte for byte the one that was sent. The same transaction that checks the rows deletes them, so a marker
works once, across restarts and gateways. A message with any other marker is judged like every message.
"""

from __future__ import annotations

import re
from collections.abc import Sequence, Set
from typing import TYPE_CHECKING, NamedTuple

from store.delivery.marker import FIELD, WHAT, Marked, digest_of, find_marker, spellings, tag_of
from store.delivery.release_rows import Release, announce, rows_for, take
from store.helpers.clock import now_ms
from store.mail.header_fields import Header, header_of
from store.mail.incoming import Incoming
from store.terms.errors import TamperedError

if TYPE_CHECKING:
    from store.vault.vault import Vault

#: Max fields of our own in a message: far more than a message from Mailhold has.
MOST_OWN = 1000
# Searches the bytes: a header may be as large as a message, and most headers have no such field.
_OWN = re.compile(rb"^x-mailhold-[!-9;-~]*[ \t]*:", re.IGNORECASE | re.MULTILINE)


class Fields(NamedTuple):
    """Mailhold's own fields in an incoming message: the field numbers to delete, and the marker.

    `unmarked` is the reason why a message with a marker field has no valid marker. With `too_many`, only the first
    fields are listed.
    """

    delete: tuple[tuple[str, int], ...]
    marker: Marked | None = None
    unmarked: str = ""
    too_many: bool = False


def own_fields(raw: bytes, header: Header | None = None) -> Fields:
    """Find Mailhold's own header fields. They are all deleted from the message: only Mailhold may write them.

    `header` is the message's, if the caller has it.
    """
    delete: list[tuple[str, int]] = []
    seen: dict[bytes, int] = {}
    header = header_of(raw) if header is None else header
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
    """The result of checking a marker: the rows used up, or the reason why the message is judged like any other."""

    rows: Sequence[Release]
    why: str


def passes(
    vault: Vault, marker: Marked, incoming: Incoming, *, ignored: Set[bytes] = frozenset(), now: int | None = None
) -> Passed:
    """Use up the marker of a released message, if it is genuine. Blocking.

    `ignored` are the names (lower case) of fields that relays may have added. Raises StoreUnavailable if the store
    cannot tell whether a genuine marker was used before.
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
    """Let a message pass once more to `recipients`, to whom sending on failed. Raises StoreUnavailable."""
    tags = {tag_of(marker.token, each) for address in recipients for each in spellings(address)}
    with vault.write():
        announce(vault, [row for row in rows if row.tag in tags], now_ms())


def _digest(marker: Marked, incoming: Incoming, ignored: Set[bytes], wanted: Set[bytes]) -> bytes:
    for sender in spellings(incoming.sender):
        digest = digest_of(marker.token, sender, incoming.raw, marker.below, ignored)
        if digest in wanted:
            return digest
    raise TamperedError(WHAT, "the message is not exactly the one that was sent")
