"""The findings that the Deliver message window shows before OK.

They are made in threads; `show` runs on the event loop. Facts from the records and the queue are there at once. The
messages themselves are read a few at a time while the window is open. If this host sends by itself and the relay's last
answer is old, the relay is asked again. A gateway is told to ask its relay only on demand, so that a window opened by
accident writes nothing to the store.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from store.authority.settings import read_settings
from store.catalogue.subjects import same_subject
from store.delivery.greeting import ask_anew, greet
from store.delivery.lookalikes import Found, lookalikes
from store.delivery.preflight import (
    Content,
    Dressing,
    Preflight,
    content_of,
    dressing_of,
    look,
    look_at_relay,
    take_up,
    tally,
)
from store.mail.client import local_host_name
from store.sealing.keys import LOCAL_ID
from store.terms.progress import Cancelled
from tui.console.tasks import explain
from tui.terminal.preflight_words import Said, relay_sentences, sentences
from tui.terminal.words import counted

if TYPE_CHECKING:
    from store.delivery.choosing import Choice
    from store.delivery.hello import Heard
    from store.delivery.outcomes import Unsealed
    from store.vault.vault import Vault
    from tui.console.context import ConsoleContext

#: Age of the relay's answer (ms) above which the relay is asked again when the window opens.
OLD_MS = 10 * 60_000
#: Seconds to wait until a gateway has asked its relay; seconds of reading messages between two updates of the window.
ASK_WAIT, READ_SECONDS = 15.0, 0.25

NO_ANSWER = "The gateway has not asked its relay within {:g} seconds: it is busy or not running."

Show = Callable[[Sequence[Said]], None]


class Checking:
    """Finds out, for one window, what delivering the copies `ids` would do. Call its methods on the event loop."""

    def __init__(self, context: ConsoleContext, ids: Sequence[int]) -> None:
        self._context = context
        self._ids = list(dict.fromkeys(ids))
        self._show: Show = lambda _said: None
        self._closed = threading.Event()
        # The lock guards what threads share: the last findings, the read messages, the number of the last report.
        self._lock = threading.Lock()
        self._found: Preflight | None = None
        self._contents: dict[int, Content] = {}
        self._unsealed: Unsealed = {}
        self._dressing: Dressing | None = None
        self._chosen = False
        self._choice: Choice | None = None
        self._alike: Found | None = None
        self._asked = self._asking = False
        #: `_stored`: the relay's answer in the store. `_heard`: the answer that this window asked for. `_instead_of`:
        #: the stored answer at that time.
        self._stored: Heard | None = None
        self._heard: Heard | None = None
        self._instead_of: Heard | None = None
        self._unanswered = ""
        self._said = 0
        self._shown = 0

    def begin(self, show: Show) -> None:
        """Start. `show` is called with the sentences whenever they change."""
        self._show = show
        self._read_on()
        find, closed = self._find, self._closed.is_set
        background = self._context.shell.background
        background(lambda: find(closed), self._compared, on_error=self._failed, group="preflight senders")

    def _find(self, cancelled: Cancelled) -> Found:
        same = same_subject(self._context.catalogue)
        return lookalikes(self._context.vault, self._ids, same_subject=same, cancelled=cancelled)

    def _compared(self, found: Found) -> None:
        if not self._closed.is_set():
            self._alike = found
            self.look(self._choice)

    @property
    def lookalikes(self) -> int:
        """Return the number of copies with a look-alike sender found so far."""
        return len(self._alike.copies) if self._alike is not None else 0

    def spared(self) -> Mapping[int, str]:
        """Return the copies with a look-alike sender, by id, with the reason. Blocks until all copies are compared."""
        if self._alike is None:
            self._alike = self._find(lambda: False)
        return self._alike.reasons

    def close(self) -> None:
        """Stop: the window was answered."""
        self._closed.set()

    def look(self, choice: Choice | None) -> None:
        """Find out what a choice would do. None: no recipients are chosen yet."""
        self._choice = choice
        spared = self._alike.reasons if self._alike is not None else {}

        def work() -> tuple[int, list[Said]]:
            vault = self._context.vault
            if choice is None:
                found = look_at_relay(vault)
            else:
                found = look(
                    vault,
                    self._ids,
                    choice._replace(spared=spared),
                    cancelled=self._closed.is_set,
                    unsealed=self._unsealed,
                )
            with self._lock:
                self._found, self._chosen, self._stored = found, choice is not None, found.heard
                self._go_by_answer()
            return self._say()

        def looked(said: tuple[int, list[Said]]) -> None:
            self._take(said)
            found = self._found
            if not self._asked and found is not None and found.gateway_id == LOCAL_ID and self._is_old(found):
                self._ask(lambda vault: greet(vault, self._context.clock()))

        self._context.shell.background(work, looked, on_error=self._failed, group="preflight")

    def ask(self) -> None:
        """Ask the relay again."""
        if (found := self._found) is not None:
            self._ask(lambda vault: ask_anew(vault, found.gateway_id, ASK_WAIT, self._closed.is_set))

    def _ask(self, ask: Callable[[Vault], Heard | None]) -> None:
        if self._asking or self._closed.is_set():
            return
        self._asked = self._asking = True

        def work() -> tuple[int, list[Said]]:
            before = self._stored
            try:
                heard = ask(self._context.vault)
            finally:
                self._asking = False
            with self._lock:
                self._unanswered = "" if heard is not None else NO_ANSWER.format(ASK_WAIT)
                self._heard, self._instead_of = heard, before
                self._go_by_answer()
            return self._say()

        background = self._context.shell.background
        background(work, self._take, on_error=self._failed, group="preflight relay")
        background(self._say, self._take, on_error=self._failed, group="preflight asking")

    def _go_by_answer(self) -> None:
        """Use the answer that was asked for until the stored one changes.

        Times are not compared, since clocks may be wrong.
        """
        if self._found is not None and self._stored in (self._instead_of, self._heard):
            take_up(self._found, self._heard)

    def _is_old(self, found: Preflight) -> bool:
        return found.heard is None or not 0 <= self._context.clock() - found.heard.at < OLD_MS

    def _read_on(self) -> None:
        self._context.shell.background(self._read, self._took, on_error=self._failed, group="preflight messages")

    def _read(self) -> tuple[int, list[Said]]:
        """Read some more messages (for `READ_SECONDS`); return the report."""
        vault, until = self._context.vault, time.monotonic() + READ_SECONDS
        if self._dressing is None:
            self._dressing = dressing_of(read_settings(vault), asyncio.run(local_host_name()))
        for copy_id in self._ids[len(self._contents) :]:
            if self._closed.is_set():
                break
            now, single = self._context.clock(), len(self._ids) == 1
            self._contents[copy_id] = content_of(vault, copy_id, self._dressing, now, hashes=single)
            if time.monotonic() > until:
                break
        return self._say()

    def _took(self, said: tuple[int, list[Said]]) -> None:
        self._take(said)
        if len(self._contents) < len(self._ids) and not self._closed.is_set():
            self._read_on()

    def _say(self) -> tuple[int, list[Said]]:
        """Return a report number and the sentences known now.

        The number orders reports, which threads may deliver out of order.
        """
        with self._lock:
            self._said += 1
            return self._said, self._sentences()

    def _sentences(self) -> list[Said]:
        found, now = self._found, self._context.clock()
        if found is None:
            return []
        if self._chosen:
            said = sentences(found, tally(found, self._contents), self._contents, now=now, asking=self._asking)
        else:
            said = relay_sentences(found, now=now, asking=self._asking)
        if self._alike is None:
            said = [*said, Said("Comparing the senders with known ones…")]
        elif self._alike.unread:
            number = counted(self._alike.unread, "copy was", "copies were")
            said = [*said, Said(f"{number} not compared with the thread. Deliver fewer at a time.", True)]
        return [Said(self._unanswered, True), *said] if self._unanswered and not self._asking else said

    def _take(self, said: tuple[int, list[Said]]) -> None:
        number, what = said
        if number > self._shown and not self._closed.is_set():
            self._shown = number
            self._show(what)

    def _failed(self, error: Exception) -> None:
        if not self._closed.is_set():
            self._show([Said(explain(error), True)])
