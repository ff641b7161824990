"""The outcome of one act of delivering, shown live behind its notice: counted for many messages, named for one.

While the outbox holds the deliveries, the remaining seconds are counted down.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from store.mail.outcome import LIVE, State
from tui.console.context import ConsoleContext
from tui.console.text.outcome_lines import told
from tui.console.widgets.notice import NoticeLine
from tui.terminal.outcome_words import progress
from tui.terminal.times import time_left

if TYPE_CHECKING:
    from textual.timer import Timer

#: Seconds between updates of the countdown.
_SECOND = 1.0


class _Told(NamedTuple):
    long: str
    short: str
    settled: bool
    waits: bool


class OutcomeNotice:
    """Follows the deliveries that the present notice is about. Use it on the event loop's thread only."""

    def __init__(self, context: ConsoleContext, line: NoticeLine) -> None:
        self._context = context
        self._line = line
        self._followed: Sequence[int] = ()
        self._told: _Told | None = None
        self._said = ("", "")
        self._held_until = 0
        self._timer: Timer | None = None

    def follow(self, delivery_ids: Sequence[int], held_for: int = 0) -> None:
        """Show the outcome of these deliveries behind the notice. `held_for`: ms for which they are still held."""
        self.stop()
        self._followed = tuple(delivery_ids)
        if held_for > 0:
            self._held_until = self._context.clock() + held_for
            self._timer = self._line.set_interval(_SECOND, self._tick)
        self.refresh()

    def stop(self) -> None:
        """Stop following: another notice is shown."""
        self._followed, self._told, self._said = (), None, ("", "")
        self._stop_counting()

    @property
    def counting(self) -> bool:
        """True while the time until the deliveries are sent is counted down."""
        return self._timer is not None

    def _stop_counting(self) -> None:
        self._held_until = 0
        if self._timer is not None:
            self._timer.stop()
            self._timer = None

    def _tick(self) -> None:
        if self._context.clock() >= self._held_until or not self._line.display:
            self._stop_counting()
        self._say()

    def _say(self) -> None:
        """Show the last outcome and the remaining hold, if that differs from what is shown."""
        told = self._told
        if told is None:
            return
        left = f"goes out in {time_left(self._held_until - self._context.clock())}" if self.counting else ""
        said = (f"{told.long}, {left}", f"· {left}") if left and told.waits else (told.long, told.short)
        if said != self._said:
            self._said = said
            self._line.show_outcome(*said)

    def refresh(self) -> None:
        """Read the outcome again, after the store changed."""
        followed = self._followed
        if not followed or not self._line.display:
            return
        read = self._read_one if len(followed) == 1 else self._read_many

        def show(found: _Told) -> None:
            if followed is self._followed:
                self._told = found
                if not found.waits:
                    self._stop_counting()
                self._say()
                if found.settled:
                    self.stop()

        self._context.shell.background(lambda: read(followed), show, group="notice")

    def _read_one(self, followed: Sequence[int]) -> _Told:
        from store.delivery.history import RecipientOutcome
        from store.delivery.queue import delivery_of

        delivery = delivery_of(self._context.vault, followed[0])
        recipients = [RecipientOutcome(one.address, one.state, 0, one.reply) for one in delivery.recipients]
        words = told(recipients, self._context.clock(), self._context.tz)
        # The short form counts recipients if their states differ: a cut sentence could name only those served.
        states = Counter(one.state for one in recipients)
        short = f"· {progress(states) if len(states) > 1 else words}"
        return _Told(f"· {words}", short, not delivery.live, delivery.live and State.QUEUED in states)

    def _read_many(self, followed: Sequence[int]) -> _Told:
        releases = self._context.catalogue.releases
        states = releases.progress(followed) if releases is not None else {}
        # Deliveries queued after the last read are waiting.
        states[State.QUEUED] = states.get(State.QUEUED, 0) + len(followed) - sum(states.values())
        waiting = any(number for state, number in states.items() if state in LIVE)
        return _Told(progress(states), progress(states, short=True), not waiting, bool(states[State.QUEUED]))
