"""Keeping the heads of an open store: signing its writer's, and finding out where the store holds less than was seen.

An operator's process signs in each of its transactions, but for those of which there are many (puts, deliveries):
these it signs for once a second, as a gateway does for all of its own, and when it closes. Nothing is signed that is
less than the newest head says: an operator's transaction is refused then; a gateway goes on without, and sends nothing.
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
    another_epoch,
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
from store.authority.older import Older, local, older_than
from store.database.connection import as_bytes, shown_location, sound
from store.helpers.clock import now_ms
from store.helpers.decoding import msgpack_decoder
from store.sealing.signatures import AUTHORITY
from store.terms.errors import StoreOlder, TamperedError
from store.vault.witness import Witness

if TYPE_CHECKING:
    from store.vault.vault import Vault

#: What to do where a store is older than what was seen of it.
OLDER = "Put back what is newer, or have an operator run `mailhold restore`; `mailhold check` says what is missing."
#: Seconds between heads that are signed for many transactions.
SIGN_SECONDS = 1.0
#: Open epochs of one writer that a head names, the newest: those of processes that were killed stay open for good.
_OPEN_EPOCHS = 64


class HeadKeeper(Witness):
    """Keeps the heads of one open store. Called under the writer's lock, inside its transaction, but for `beat`."""

    def __init__(self, vault: Vault, memory: Memory | None = None) -> None:
        """`memory` is what was seen of the store outside of it; without one nothing is remembered."""
        gateway = vault.keys.gateway
        self._vault = vault
        self._operator = vault.keys.authority is not None
        #: Under which id this process puts copies.
        self._gateway_id = gateway.gateway_id if gateway is not None else 0
        #: The newest head of each writer that verified.
        self._known: dict[int, Head] = {}
        self._pending: list[Head] = []
        #: Gateways that an operator signs for in the transaction that is open.
        self._others: list[int] = []
        self._unsigned = False
        #: What was found when the transaction began that is open, if it is one to sign for.
        self._looked: tuple[Head | None, Present] | None = None
        self._signed_at = float("-inf")
        #: What became more since the last head: in the transaction that is open, and in those before it.
        self._buried, self._buried_before = 0, 0
        self._deliveries, self._deliveries_before = 0, 0
        self._configuration: tuple[tuple[int, int], bytes, int] | None = None
        #: The newest acceptance as its row claims, and the newest that verifies.
        self._acceptance = (0, 0)
        self.older: Older | None = None
        self._memory = memory
        self.remembers = memory is not None
        #: What was kept when this process began, verified, and when that was (Unix ms; 0: nothing was seen before).
        self.remembered: list[Head] = []
        self.remembered_at = 0
        self._kept_at = float("-inf")
        self._keep_due = False
        #: Why what is seen is not kept, "" where it is.
        self.unkept = ""
        #: Whether an operator is accepting the store as it is, in the transaction that is open.
        self.accepting = False

    @property
    def problem(self) -> str:  # type: ignore[override]  # a fixed text where nothing is witnessed
        """Why nothing may be sent, "" where nothing stands in the way."""
        return "" if self.older is None else str(self._refusal())

    @property
    def generation(self) -> int:  # type: ignore[override]  # as above
        """That of the newest acceptance that was seen to verify (Unix ms)."""
        return self._acceptance[1]

    # --- Called by the vault -----------------------------------------------------------------------------------------

    def count_buried(self, copies: int) -> None:
        """Note copies that are buried in the transaction that is open."""
        self._buried += copies

    def count_delivery(self) -> None:
        """Note a delivery that is made in the transaction that is open."""
        self._deliveries += 1

    def sign_for(self, gateway_id: int) -> None:
        """Let the transaction that is open sign a head of that gateway as well."""
        self._others.append(gateway_id)

    def begun(self, *, quiet: bool) -> None:
        """Look, before anything is written, where this transaction is one to sign for. Raises StoreOlder."""
        self._looked = None
        if self.accepting or self.repairing:
            return
        if self._operator and not (quiet and time.monotonic() < self._signed_at + SIGN_SECONDS):
            with suppress(TamperedError):  # Then nothing is signed.
                self._looked = self._look()
                if self.older is not None:
                    raise self._refusal()

    def before_commit(self, *, quiet: bool) -> None:
        """Sign, where this is the moment for it."""
        if self._pending:
            return
        self._unsigned = True
        if self._looked is not None or self.accepting or self.repairing:
            self.sign()

    def committed(self) -> None:
        """Take what was signed, if anything, for signed."""
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
        """Keep what was signed, where that is due: the disk must not hold up those who put."""
        if self._keep_due:
            self._keep_due = False
            self.keep()

    def failed(self) -> None:
        """Forget what the transaction was to do."""
        self._pending, self._others, self._configuration = [], [], None
        self._buried = self._deliveries = 0

    def wants_last_word(self) -> bool:
        """Whether anything was written that no head was signed for."""
        return self._unsigned and self._vault.read_only is None

    def say_last_word(self) -> None:
        """Sign the last head of this process."""
        self.sign()

    def require_current(self) -> None:
        """Raise StoreOlder where the store holds less than was seen of it. In a transaction or a `reading`."""
        self._look()
        if self.older is not None:
            raise self._refusal()

    def close(self) -> None:
        """Keep what was seen."""
        self.keep()

    # --- Remembering -------------------------------------------------------------------------------------------------

    def open(self) -> None:
        """Compare the store with what was seen of it before, then keep what is seen now. Raises StoreUnavailable."""
        if self._memory is None:
            return
        seen = self._memory.read()
        self.remembered_at = seen.at if seen.heads else 0
        for each in seen.heads:
            with suppress(TamperedError):  # Whoever changed the file could as well have taken it away.
                self.remembered.append(verified_head(self._vault, each.writer, each.vector, each.signature))
        with self._vault.reading(), suppress(TamperedError):
            for row in head_rows(self._vault):
                with suppress(TamperedError):
                    self._known[row[0]] = verified_head(self._vault, *row)
            self._look()
            self.older = self.older or self._forked()
        if self.older is None:
            self.keep()

    def keep(self) -> None:
        """Keep outside of the store what was seen of it."""
        if self._memory is not None and self.older is None:
            heads = [SeenHead(each.writer, each.blob, each.signature) for each in self._known.values()]
            self.unkept = self._memory.keep(heads)
            self._kept_at = time.monotonic()

    def _forked(self) -> Older | None:
        """Whether an event or an epoch that was seen before is another one now."""
        for head in self._in_force(self.remembered):
            vector = head.vector
            if vector.event and another_event(self._vault, vector.event, vector.event_digest):
                return Older(vector.at, (), forked=True)
            if vector.epoch and another_epoch(self._vault, head.writer, vector.epoch, vector.opening):
                return Older(vector.at, (), forked=True)
        return None

    def _in_force(self, heads: list[Head]) -> list[Head]:
        return [head for head in heads if head.vector.generation >= self._acceptance[1]]

    # --- Signing -----------------------------------------------------------------------------------------------------

    def beat(self) -> None:
        """Sign for what was written since the last head, if anything.

        Raises StoreUnavailable: StoreOlder once, where the store was found to hold less than was seen of it.
        """
        if self._unsigned and self._vault.read_only is None:
            before = self.older
            with self._vault.write(quiet=True):
                self.sign()
            if self.older is not None and before is None:
                raise self._refusal()

    def sign(self) -> None:
        """Sign the heads that this process writes, in the transaction that is open.

        Nothing is signed where what there is to say does not verify, which `check` reports. Raises StoreOlder where
        an operator would sign less than was seen.
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
        """Compare what there is with the newest head."""
        newest = self._newest()
        now = present(self._vault)
        if now.acceptance != self._acceptance[0]:
            self._acceptance = (now.acceptance, accepted_generation(self._vault))
        forked = self.older if self.older is not None and self.older.forked and not self.accepting else None
        heads = self._in_force([*([newest] if newest is not None else []), *self.remembered])
        found = (self._older_than(head.vector, now) for head in heads)
        self.older = next((older for older in found if older is not None), forked)
        return newest, now

    def _older_than(self, vector: Vector, now: Present) -> Older | None:
        older = older_than(vector, now)
        if older is not None and older.forked and not another_event(self._vault, vector.event, vector.event_digest):
            return None
        return older

    def _newest(self) -> Head | None:
        """Find the newest head that verifies, of whatever writer."""
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
        """Build the next head without its writer's own part: never less than the newest head."""
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
            # The counter alone proves nothing: who writes the database can put it at its end.
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
        """Build a writer's own part: its last epoch, and the steps of the epochs it did not close."""
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
        """Whether this gateway may still sign for itself: a revoked one would take the place of its last head."""
        gateway = self._vault.keys.gateway
        key = self._vault.signers.key(self._gateway_id)
        return gateway is not None and key.public_bytes_raw() == gateway.signing_public

    def _refusal(self) -> StoreOlder:
        assert self.older is not None
        return StoreOlder(
            f"The store {shown_location(self._vault.location)} is older than what was seen of it at "
            f"{local(self.older.at)}: {self.older}. Nothing is sent. {OLDER}"
        )
