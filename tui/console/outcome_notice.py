"""What came of one act of delivering, behind its notice: counted for many messages, named for one; live."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from store.mail.outcome import LIVE, State
from tui.console.context import ConsoleContext
from tui.console.text.outcome_lines import told
from tui.console.widgets.notice import NoticeLine
from tui.terminal.outcome_words import progress


class _Told(NamedTuple):
    long: str
    short: str
    settled: bool


class OutcomeNotice:
    """Follows the deliveries that the shown notice is about. Belongs to the event loop's thread."""

    def __init__(self, context: ConsoleContext, line: NoticeLine) -> None:
        self._context = context
        self._line = line
        self._followed: Sequence[int] = ()

    def follow(self, delivery_ids: Sequence[int]) -> None:
        """Say behind the notice what becomes of these deliveries."""
        self._followed = tuple(delivery_ids)
        self.refresh()

    def stop(self) -> None:
        """Leave it: another notice is shown."""
        self._followed = ()

    def refresh(self) -> None:
        """Take up what changed in the store."""
        followed = self._followed
        if not followed or not self._line.display:
            return
        read = self._read_one if len(followed) == 1 else self._read_many

        def show(found: _Told) -> None:
            if followed is self._followed:
                self._line.show_outcome(found.long, found.short)
                if found.settled:
                    self.stop()

        self._context.shell.background(lambda: read(followed), show, group="notice")

    def _read_one(self, followed: Sequence[int]) -> _Told:
        from store.delivery.history import RecipientOutcome
        from store.delivery.queue import delivery_of

        delivery = delivery_of(self._context.vault, followed[0])
        recipients = [RecipientOutcome(one.address, one.state, 0, one.reply) for one in delivery.recipients]
        words = told(recipients, self._context.clock(), self._context.tz)
        # Cut short, who has it must not stand for those who have not.
        states = Counter(one.state for one in recipients)
        return _Told(f"· {words}", f"· {progress(states) if len(states) > 1 else words}", not delivery.live)

    def _read_many(self, followed: Sequence[int]) -> _Told:
        releases = self._context.catalogue.releases
        states = releases.progress(followed) if releases is not None else {}
        # What was queued after the last reading waits.
        states[State.QUEUED] = states.get(State.QUEUED, 0) + len(followed) - sum(states.values())
        waiting = any(number for state, number in states.items() if state in LIVE)
        return _Told(progress(states), progress(states, short=True), not waiting)
