"""Undo a release: cancel its deliveries that are still in the queue. Messages that were sent stay sent."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from store.authority.audit import record_event
from store.authority.settings import read_settings
from store.delivery.listing import states_of
from store.delivery.outbox import PARTLY, call_back, reached
from store.delivery.placing import placed_ids
from store.delivery.retrying import NO_RELAY, retry, retry_plan
from store.helpers.runs import ranges
from store.mail.outcome import State
from store.terms.errors import MailholdError
from store.terms.progress import Cancelled, Progress
from store.undoing.plans import Told

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from store.undoing.plans import PastAct
    from store.vault.vault import Vault

#: Maximum runs of delivery ids named in a sentence.
_RUNS = 8
_WHY = {
    State.SENT.value: "it was sent",
    State.FAILED.value: "it had failed",
    State.UNKNOWN.value: "it may have been sent",
    State.CANCELLED.value: "it was cancelled already",
    State.SENDING.value: "it is being sent now",
}
_GONE = "it no longer exists"
_NO_COPY = "its message copy is no longer in Backup"
_CANCELLED = "left as before: the task was cancelled"


class Released:
    """Acts that queued copies for delivery. Each part of such an act names its deliveries."""

    def what(self, act: PastAct) -> str:
        """Describe the act in a few words."""
        count = len(act.event.copies)
        return f"{count:,} message {'copy' if count == 1 else 'copies'} placed in queue for delivery"

    def plan(self, vault: Vault, act: PastAct, *, again: bool) -> Told:
        """Plan which deliveries would be cancelled, or queued again. Raises StoreUnavailable."""
        able, why = _able(vault, act, again=again)
        partly = [] if again else sorted(reached(vault, able))
        return Told(_does(sorted(set(able).difference(partly)), again, partly), _does_not(why))

    def do(
        self, vault: Vault, act: PastAct, *, again: bool, operator: str, progress: Progress, cancelled: Cancelled
    ) -> Told:
        """Cancel deliveries, or send those cancelled again. Raises StoreUnavailable, UnlockError."""
        able, why = _able(vault, act, again=again)
        partly: list[int] = []
        if again:
            done = _send_again(vault, able, why, operator, progress, cancelled)
        else:
            called = call_back(vault, able, operator, progress=progress, cancelled=cancelled)
            done = called.called
            for each, reason in called.late:
                (partly if reason == PARTLY else why[reason]).append(each)
        left = sorted(set(able).difference(done, partly, *why.values()))
        why[_CANCELLED] += left
        told = Told(_does(done, again, partly), _does_not(why))
        if told.does and not left:
            record_event(
                vault,
                "redone" if again else "undone",
                operator=operator,
                detail=f"{act.event.action}: {'; '.join((*told.does, *told.does_not))}",
                undoes=-act.number if again else act.number,
            )
        return told


def _able(vault: Vault, act: PastAct, *, again: bool) -> tuple[list[int], dict[str, list[int]]]:
    """List the deliveries that can be cancelled, or with `again` be sent, and why the others cannot."""
    able, why = _sorted(vault, _placed(act), State.CANCELLED.value if again else "")
    if not again or not able:
        return able, why
    if not read_settings(vault).relay:
        why[NO_RELAY] += able
        return [], why
    copies: dict[int, int] = {}
    for each in able:
        try:
            copies[each] = retry_plan(vault, each).copy_id
        except MailholdError as error:
            why[str(error)].append(each)
    present = vault.present(sorted(copies.values()))
    why[_NO_COPY] += [each for each, copy_id in copies.items() if copy_id not in present]
    return [each for each, copy_id in copies.items() if copy_id in present], why


def _send_again(
    vault: Vault,
    ids: Sequence[int],
    why: Mapping[str, list[int]],
    operator: str,
    progress: Progress,
    cancelled: Cancelled,
) -> list[int]:
    """Send deliveries again. Returns those that are; adds the others to `why`, by reason."""
    done: list[int] = []
    for at, each in enumerate(ids):
        if cancelled():
            break
        try:
            retry(vault, each, operator)
            done.append(each)
        except MailholdError as error:
            why[str(error)].append(each)
        progress(at + 1, len(ids))
    return done


def _placed(act: PastAct) -> list[int]:
    """List the deliveries of a release."""
    return sorted({each for part in act.parts for each in placed_ids(part.detail)})


def _sorted(vault: Vault, ids: Sequence[int], wanted: str) -> tuple[list[int], dict[str, list[int]]]:
    """List the deliveries in the state `wanted` ("": waiting in the queue), and why the others are not."""
    able: list[int] = []
    why: dict[str, list[int]] = defaultdict(list)
    found = states_of(vault, ids)
    for each in ids:
        state, live = found.get(each, (_GONE, False))
        if state == wanted if wanted else live and state != State.SENDING.value:
            able.append(each)
        elif wanted and live:
            why["it waits in the queue"].append(each)
        else:
            why[_WHY.get(state, state or "its state is damaged")].append(each)
    return able, why


def _does(ids: Sequence[int], again: bool, partly: Sequence[int] = ()) -> tuple[str, ...]:
    """Say what happens to the deliveries `ids`, and to those that some recipients have (`partly`)."""
    said = []
    if ids:
        said.append(f"{_are(ids)} sent now" if again else f"{_are(ids)} cancelled: nobody has {_them(ids)} yet")
    if partly:
        said.append(f"{_are(partly)} cancelled: {PARTLY}")
    return tuple(said)


def _are(ids: Sequence[int]) -> str:
    return f"delivery {ids[0]} is" if len(ids) == 1 else f"{len(ids):,} deliveries are"


def _them(ids: Sequence[int]) -> str:
    return "it" if len(ids) == 1 else "them"


def _does_not(why: Mapping[str, Iterable[int]]) -> tuple[str, ...]:
    return tuple(f"delivery {ranges(sorted(ids), _RUNS)}: {reason}" for reason, ids in why.items() if ids)
