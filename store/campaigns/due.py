"""When campaigns are to be found anew: where enough copies are new since, or operators peeled others off."""

from __future__ import annotations

import hashlib

import msgspec

from store.campaigns.marks import Marks
from store.campaigns.stored import State
from store.helpers.clock import now_ms
from store.vault.vault import Vault

#: New copies that are enough: of all that were grouped, or so many.
_SHARE, _MANY = 0.05, 500
#: At most once in this time (ms); as many times what the last finding took, where new copies or what operators said is
#: the reason: it is never more than a tenth, or a third, of a processor's time.
_LEAST_MS, _TIMES, _TIMES_SAID = 60_000, 9, 2
#: After this time (ms) any new copy is enough.
_LONG_MS = 600_000


def apart_digest(marks: Marks) -> bytes:
    """Hash what is peeled off, to notice when it changes."""
    return hashlib.sha256(msgspec.msgpack.encode(marks.peeled)).digest() if marks.peeled else b""


def enough_new(state: State, new: int) -> bool:
    """Whether so many new copies are enough, when time does not count."""
    return new >= max(1, min(_MANY, round(_SHARE * state.grouped)))


def due(vault: Vault, state: State, marks: Marks, *, damaged: bool = False) -> bool:
    """Whether campaigns are to be found anew now; `damaged`: rows of them are. Raises StoreUnavailable."""
    if not state.generation:
        return vault.id_range()[1] > 0
    since = now_ms() - state.found_at
    if since < 0:
        since = _LONG_MS  # A clock was put back.
    said = damaged or apart_digest(marks) != state.apart
    if since < max(_LEAST_MS, (_TIMES_SAID if said else _TIMES) * state.took):
        return False
    if said:
        return True
    new = vault.count_above(state.until) + len(state.returned)
    return enough_new(state, new) or (new > 0 and since >= _LONG_MS)
