"""Decides when campaigns are found anew: after enough new copies, or after operators peeled copies off."""

from __future__ import annotations

import hashlib

import msgspec

from store.campaigns.marks import Marks
from store.campaigns.stored import State
from store.helpers.clock import now_ms
from store.vault.vault import Vault

#: Enough new copies: this share of the copies grouped last time, or this number if it is smaller.
_SHARE, _MANY = 0.05, 500
#: Least time between two findings: `_LEAST_MS` (ms), and this many times the duration of the last one: `_TIMES` after
#: new copies, `_TIMES_SAID` after damage or a change by operators. So finding takes at most a tenth, or a third, of one
#: CPU.
_LEAST_MS, _TIMES, _TIMES_SAID = 60_000, 9, 2
#: After this time (ms) one new copy is enough.
_LONG_MS = 600_000


def apart_digest(marks: Marks) -> bytes:
    """Hash the peeled-off copies, to notice changes."""
    return hashlib.sha256(msgspec.msgpack.encode(marks.peeled)).digest() if marks.peeled else b""


def enough_new(state: State, new: int) -> bool:
    """Return True if there are enough new copies for a new finding, apart from the time since the last one."""
    return new >= max(1, min(_MANY, round(_SHARE * state.grouped)))


def due(vault: Vault, state: State, marks: Marks, *, damaged: bool = False) -> bool:
    """Return True if campaigns should be found anew now. `damaged`: some of their rows do not verify.

    Raises StoreUnavailable.
    """
    if not state.generation:
        return vault.id_range()[1] > 0
    since = now_ms() - state.found_at
    if since < 0:
        since = _LONG_MS  # The clock was set back.
    said = damaged or apart_digest(marks) != state.apart
    if since < max(_LEAST_MS, (_TIMES_SAID if said else _TIMES) * state.took):
        return False
    if said:
        return True
    new = vault.count_above(state.until) + len(state.returned)
    return enough_new(state, new) or (new > 0 and since >= _LONG_MS)
