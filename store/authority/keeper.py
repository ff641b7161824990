"""Keep the heads of an open store: sign this process's heads, and detect that the store holds less than was seen.

An operator's process signs in each of its transactions, except for frequent ones (puts, deliveries): these it covers
once a second and when it closes, as a gateway does for all of its transactions. A head never says less than the newest
one. If the store holds less, an operator's transaction is refused; a gateway goes on storing, and sends nothing.
"""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import msgspec

from store.authority.acceptance import accepted_generation
from store.authority.heads import (
    Head,
    Present,
    Vector,
    another_event,
    configuration_digest,
    counted_anew,
    head_rows,
    own_part,
    present,
    put_head,
    still_open,
    verified_head,
)
from store.authority.memory import Memory, SeenHead
from store.authority.older import Older, forked, local, older_than
from store.database.connection import as_bytes, shown_location, sound
from store.helpers.clock import now_ms
from store.helpers.decoding import msgpack_decoder
from store.sealing.signatures import AUTHORITY
from store.terms.errors import StoreOlder, TamperedError
from store.vault.counters import lock
from store.vault.witness import Witness

if TYPE_CHECKING:
    from store.vault.vault import Vault

#: Advice for an operator if a store is older than what was seen of it.
OLDER = (
    "Restore a newer backup, or let an operator accept this store with `mailhold restore`. `mailhold check` says "
    "what is missing."
)
#: Min seconds between heads for frequent transactions.
SIGN_SECONDS = 1.0
#: Max open epochs in a head, the newest: epochs of killed processes stay open for ever.
_OPEN_EPOCHS = 64


class HeadKeeper(Witness):
    """Keeps the heads of one open store. Called under the writer's lock, inside its transaction, except for `beat`."""

    def __init__(self, vault: Vault, memory: Memory | None = None) -> None:
        """Keep the heads of `vault`.

        `memory` is what was seen of the store, kept outside it; None remembers nothing.
        """
        gateway = vault.keys.gateway
        self._vault = vault
        self._operator = vault.keys.authority is not None
        #: The gateway id under which this process stores copies.
        self._gateway_id = gateway.gateway_id if gateway is not None else 0
        #: The newest verified head of each writer.
        self._known: dict[int, Head] = {}
        self._pending: list[Head] = []
        #: Gateways for which an operator signs a head in the open transaction.
        self._others: list[int] = []
        self._unsigned = False
        #: The newest head and the state at the start of the open transaction, if this transaction is signed.
        self._looked: tuple[Head | None, Present] | None = None
        self._signed_at = float("-inf")
        #: Copies buried and deliveries made since the last head: in the open transaction, and in earlier ones.
        self._buried, self._buried_before = 0, 0
        self._deliveries, self._deliveries_before = 0, 0
        self._configuration: tuple[tuple[int, int], bytes, int] | None = None
        #: Generation of the newest acceptance that a row claims, and of the newest one that verifies.
        self._acceptance = (0, 0)
        self.older: Older | None = None
        self._memory = memory
        self.remembers = memory is not None
        #: The verified heads in `memory` when this process began, and their time (Unix ms; 0 = nothing was seen
        #: before).
        self.remembered: list[Head] = []
        self.remembered_at = 0
        self._kept_at = float("-inf")
        self._keep_due = False
        #: Why `memory` cannot be written; "" if it can.
        self.unkept = ""
        #: True while the open transaction writes an operator's acceptance of the store as it is.
        self.accepting = False

    @property
    def problem(self) -> str:  # type: ignore[override]  # a fixed text where nothing is witnessed
        """Why nothing may be sent; "" if sending is allowed."""
        return "" if self.older is None else str(self._refusal())

    @property
    def generation(self) -> int:  # type: ignore[override]  # as above
        """The generation (Unix ms) of the newest acceptance that verifies."""
        return self._acceptance[1]

    # --- Called by the vault -----------------------------------------------------------------------------------------

    def count_buried(self, copies: int) -> None:
        """Count copies buried in the open transaction."""
        self._buried += copies

    def count_delivery(self) -> None:
        """Count a delivery made in the open transaction."""
        self._deliveries += 1

    def sign_for(self, gateway_id: int) -> None:
        """Have the open transaction sign a head of that gateway as well."""
        self._others.append(gateway_id)

    def begun(self, *, quiet: bool) -> None:
        """Compare the store with the newest head, before anything is written, if this transaction is signed.

        Raises StoreOlder.
        """
        self._looked = None
        if self.accepting or self.repairing:
            return
        if self._operator and not (quiet and time.monotonic() < self._signed_at + SIGN_SECONDS):
            lock(self._vault.db)  # A transaction that counts copies has no lock yet.
            with suppress(TamperedError):  # Damaged rows: nothing is signed.
                self._looked = self._look()
                if self.older is not None:
                    raise self._refusal()

    def before_commit(self, *, quiet: bool) -> None:
        """Sign, if this transaction is signed."""
        if self._pending:
            return
        self._unsigned = True
        if self._looked is not None or self.accepting or self.repairing:
            self.sign()

    def committed(self) -> None:
        """Record that the pending heads are durable."""
        if self._pending:
            self._known |= {head.writer: head for head in self._pending}
            self._pending, self._others = [], []
            self._unsigned = False
            self._signed_at = time.monotonic()
            self._buried_before = self._deliveries_before = 0
            self._keep_due = time.monotonic() >= self._kept_at + SIGN_SECONDS
        else:
            self._buried_before += self._buried
            self._deliveries_before += self._deliveries
        self._buried = self._deliveries = 0

    def released(self) -> None:
        """Save the heads outside the store, if due. This is after the commit, so that the disk write delays no put."""
        if self._keep_due:
            self._keep_due = False
            self.keep()

    def failed(self) -> None:
        """Discard the state of the failed transaction."""
        self._pending, self._others, self._configuration = [], [], None
        self._buried = self._deliveries = 0

    def wants_last_word(self) -> bool:
        """Whether anything was written since the last signed head."""
        return self._unsigned and self._vault.read_only is None

    def say_last_word(self) -> None:
        """Sign the last head of this process."""
        self.sign()

    def require_current(self) -> None:
        """Raise StoreOlder if the store holds less than was seen of it. Call it in a transaction or a `reading`."""
        self._look()
        if self.older is not None:
            raise self._refusal()

    def close(self) -> None:
        """Save what was seen."""
        self.keep()

    # --- Remembering -------------------------------------------------------------------------------------------------

    def open(self) -> None:
        """Compare the store with what was seen of it before, then save what is seen now. Raises StoreUnavailable."""
        if self._memory is None:
            return
        seen = self._memory.read()
        self.remembered_at = seen.at if seen.heads else 0
        for each in seen.heads:
            # Whoever can change the file can delete it as well, so a bad head is ignored.
            with suppress(TamperedError):
                self.remembered.append(verified_head(self._vault, each.writer, each.vector, each.signature))
        with self._vault.reading(), suppress(TamperedError):
            for row in head_rows(self._vault):
                with suppress(TamperedError):
                    self._known[row[0]] = verified_head(self._vault, *row)
            self._look()
            self.older = self.older or forked(self._vault, self._in_force(self.remembered))
        if self.older is None:
            self.keep()

    def keep(self) -> None:
        """Save what was seen of the store, outside it."""
        if self._memory is not None and self.older is None:
            heads = [SeenHead(each.writer, each.blob, each.signature) for each in self._known.values()]
            self.unkept = self._memory.keep(heads)
            self._kept_at = time.monotonic()

    def _in_force(self, heads: list[Head]) -> list[Head]:
        return [head for head in heads if head.vector.generation >= self._acceptance[1]]

    # --- Signing -----------------------------------------------------------------------------------------------------

    def beat(self) -> None:
        """Sign for everything written since the last head, if anything.

        Raises StoreUnavailable. Raises StoreOlder the first time that the store is found to hold less than was seen of
        it.
        """
        if self._unsigned and self._vault.read_only is None:
            before = self.older
            with self._vault.write(quiet=True):
                self.sign()
            if self.older is not None and before is None:
                raise self._refusal()

    def sign(self) -> None:
        """Sign the heads of this process, in the open transaction.

        Signs nothing if a row involved does not verify, which `check` reports. Raises StoreOlder if an operator's head
        would say less than was seen.
        """
        vault = self._vault
        try:
            newest, now = self._looked or self._look()
            if self.older is not None:
                if self._operator:
                    raise self._refusal()
                return
            if self._looked is not None:
                now = present(vault)
            if not self._operator and not self._enrolled():
                return
            said = self._said(newest, now)
            writers = [AUTHORITY] if self._operator else []
            if not self._operator or self._vault.epoch_writer.state() is not None:
                writers.append(self._gateway_id)
            for sequence, writer in enumerate((*writers, *self._others), said.sequence):
                own = own_part(vault, writer) if writer in self._others else self._own(writer)
                vector = msgspec.structs.replace(said, sequence=sequence, **own)
                self._pending.append(put_head(vault, writer, vector))
        except TamperedError:
            self._pending = []

    def _look(self) -> tuple[Head | None, Present]:
        """Compare the store with the newest head; set `older`. Return that head and the state of the store."""
        newest = self._newest()
        now = present(self._vault)
        # Whatever is written to a store that was put back, it lacks what was seen until an operator accepts it.
        before = None if self.accepting else self.older
        if now.acceptance != self._acceptance[0]:
            generation = accepted_generation(self._vault)
            risen = generation > self._acceptance[1]
            self._acceptance = (now.acceptance, generation)
            if risen and not self._in_force(self.remembered):
                before = None
        heads = self._in_force([*([newest] if newest is not None else []), *self.remembered])
        found = (self._older_than(head.vector, now) for head in heads)
        self.older = next((older for older in found if older is not None), before)
        return newest, now

    def _older_than(self, vector: Vector, now: Present) -> Older | None:
        older = older_than(vector, now)
        if older is not None and older.forked and not another_event(self._vault, vector.event, vector.event_digest):
            return None
        return older

    def _newest(self) -> Head | None:
        """Find the newest head that verifies, of any writer."""
        claims: list[tuple[tuple[int, int], Head | None, tuple[int, Any, Any] | None]] = []
        for writer, blob, signature in head_rows(self._vault):
            known = self._known.get(writer)
            if known is not None and (known.blob, known.signature) == (blob, signature):
                claims.append((known.newness(), known, None))
                continue
            try:
                with sound("a head"):
                    vector = msgpack_decoder(Vector).decode(as_bytes(blob))
            except (TamperedError, msgspec.MsgspecError):
                continue  # `check` reports it.
            claims.append(((vector.generation, vector.sequence), None, (writer, blob, signature)))
        for _, head, row in sorted(claims, key=lambda claim: claim[0], reverse=True):
            if head is not None:
                return head
            try:
                assert row is not None
                found = self._known[row[0]] = verified_head(self._vault, *row)
            except TamperedError:
                continue
            return found
        return None

    def _said(self, newest: Head | None, now: Present) -> Vector:
        """Build the next head without its writer's own part. Its counters are never below the newest head's."""
        if newest is None:
            return msgspec.structs.replace(counted_anew(self._vault), sequence=1)
        before = newest.vector
        configuration, generation = self._configured(now)
        return msgspec.structs.replace(
            before,
            sequence=before.sequence + 1,
            at=now_ms(),
            generation=max(before.generation, self._acceptance[1]),
            event=now.event,
            event_digest=now.event_digest,
            tombstone=now.tombstone,
            buried=before.buried + self._buried + self._buried_before,
            bin_act=now.bin_act,
            # Do not trust the counter alone: anyone who can write the database can raise it to its limit.
            next_copy=max(before.next_copy, min(now.next_copy, now.newest_copy + 1)),
            next_delivery=now.next_delivery,
            deliveries=before.deliveries + self._deliveries + self._deliveries_before,
            configuration=configuration,
            key_generation=max(before.key_generation, generation),
        )

    def _configured(self, now: Present) -> tuple[bytes, int]:
        """Return the configuration's digest and its key's generation, read anew if either may have changed."""
        grants = self._vault.grants
        state = (now.newest_configuration, grants.claimed())
        if self._configuration is None or self._configuration[0] != state:
            self._configuration = (state, configuration_digest(self._vault), grants.newest())
        return self._configuration[1:]

    def _own(self, writer: int) -> dict[str, Any]:
        """Build a writer's own part: its last epoch, and the steps of its open epochs."""
        known = self._known.get(writer)
        own: dict[str, Any] = {"epoch": 0, "opening": bytes(32), "open_epochs": []}
        if known is not None:
            own = {name: getattr(known.vector, name) for name in own}
        state = self._vault.epoch_writer.state() if writer != AUTHORITY else None
        steps = dict(own["open_epochs"])
        if state is not None:
            opening, count = state
            if opening.name.number >= own["epoch"]:
                own |= {"epoch": opening.name.number, "opening": opening.digest()}
            steps[opening.name.epoch_id] = max(count, steps.get(opening.name.epoch_id, 0))
        there = still_open(self._vault, steps)
        own["open_epochs"] = [(each, steps[each]) for each in sorted(there)[-_OPEN_EPOCHS:]]
        return own

    def _enrolled(self) -> bool:
        """Return True if this gateway may still sign for itself: a revoked one would overwrite its last head."""
        gateway = self._vault.keys.gateway
        key = self._vault.signers.key(self._gateway_id)
        return gateway is not None and key.public_bytes_raw() == gateway.signing_public

    def _refusal(self) -> StoreOlder:
        assert self.older is not None
        return StoreOlder(
            f"The store {shown_location(self._vault.location)} is older than what was seen of it at "
            f"{local(self.older.at)}: {self.older}. Nothing is sent. {OLDER}"
        )
