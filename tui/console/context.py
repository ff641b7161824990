"""What every view of the console is given: the open store, who works in it, and what a view asks of the shell."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import tzinfo
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from store.filters.line import parse
from store.filters.named import expanded
from store.mail.outcome import NOTHING_TO_DO, Attention, Delivered
from tui.console.tasks import Task

if TYPE_CHECKING:
    from textual.screen import ModalScreen

    from store.authority.settings import Settings
    from store.catalogue.catalogue import Catalogue
    from store.filters.model import MessageFilter
    from store.filters.named import SavedFilter
    from store.vault.vault import Vault
    from tui.console.text.bin_lines import Held

A = TypeVar("A")
T = TypeVar("T")

#: The copy that lies `step` places after (before, where negative) another in the list, or None at its end.
Neighbour = Callable[[int, int], "int | None"]


class Shell(Protocol):
    """What the console's shell does for a view. Every method belongs to the event loop's thread."""

    def notice(self, text: str, *, severity: str = "information") -> None:
        """Show a line above the workspace until the user hides it. Severity: information, warning or error."""

    def follow_deliveries(self, delivery_ids: Sequence[int], held_for: int = 0) -> None:
        """Say behind the notice that is shown what becomes of these deliveries, until all are settled.

        `held_for` is for how long (ms) the outbox holds them yet.
        """

    def run_task(self, task: Task[Any]) -> None:
        """Run long work (import, bulk deliver, delete, save) with a progress bar and a way to cancel it."""

    def background(
        self,
        work: Callable[[], T],
        on_done: Callable[[T], None],
        *,
        on_error: Callable[[Exception], None] | None = None,
        group: str,
    ) -> None:
        """Run short `work` in a thread and hand what it returns to `on_done` on the event loop.

        Of several in one `group` only the newest one's result is handed over, so a slow, stale answer never shows.
        An error without `on_error` becomes a notice.
        """

    def open_copy(self, copy_id: int, neighbour: Neighbour | None = None) -> None:
        """Show the message view of a copy."""

    def open_act(self, held: Held) -> None:
        """Show the copies of an act of the bin."""

    def open_campaign(self, campaign_id: int, copy_id: int | None = None) -> None:
        """Show a campaign, with the cursor on a copy of it, else on its first odd one."""

    def open_compare(self, campaign_id: int, copy_id: int, neighbour: Neighbour | None = None) -> None:
        """Show a copy of a campaign beside a typical one."""

    def list_messages(self, flt: MessageFilter) -> None:
        """Show the message list, with what this filter lets through."""

    def close_page(self) -> None:
        """Leave a page that was opened over another, as the message view: back to where it was opened from."""

    def go(self, place: str) -> None:
        """Show a place of the tree: monitoring, backup, bin, queue, events or settings."""

    def store_changed(self) -> None:
        """Take up what this console just changed in the store at once, rather than at the next poll."""

    def unmark(self, ids: Collection[int]) -> None:
        """Take the marks off copies that an action is done with."""

    @property
    def typed(self) -> int:
        """How many keys had an effect so far."""

    def drop_typing(self) -> None:
        """Give no key an effect until there was a pause: a window comes in the midst of typing."""

    def ask(self, dialog: ModalScreen[A], answered: Callable[[A | None], None]) -> None:
        """Open a window; `answered` gets what it is dismissed with."""

    def end(self) -> None:
        """Leave the console."""

    def cannot(self, action: str) -> str | None:
        """Why an action (its id in the key map) is not possible now, or None if it is."""


@dataclass
class ConsoleContext:
    """The open store and the shell around a view.

    `clock` answers Unix milliseconds; `tz` is the zone that times are shown in. `settings` is a copy held in memory,
    kept true by the shell's polling; where `settings_problem` says why they cannot be read, they are the last known.
    `outcomes` says what became of each copy that was released before, `live` which copies have a delivery that is not
    finished, `attention` which deliveries an operator should look at; `deleting` deletions of this console run.
    `save_folder` is where the last save went; `seen_odd` are the copies that were on screen as odd in a campaign;
    `saved` are the saved filters. `twins` shows what else waits of the senders of what was delivered last, None where
    nothing does.
    """

    vault: Vault
    catalogue: Catalogue
    shell: Shell
    operator: str
    clock: Callable[[], int]
    tz: tzinfo
    settings: Settings
    host: str = ""
    settings_problem: str = ""
    outcomes: Mapping[int, Delivered] = field(default_factory=dict)
    live: Set[int] = frozenset()
    queue_length: int = 0
    attention: Attention = NOTHING_TO_DO
    deleting: int = 0
    saved: tuple[SavedFilter, ...] = ()
    save_folder: Path = field(default_factory=Path.cwd)
    seen_odd: set[int] = field(default_factory=set)
    twins: MessageFilter | None = None

    def parse(self, text: str, *, lenient: bool = False) -> MessageFilter:
        """Parse a filter line with the saved filters that it names. Raises FilterError as `parse`."""
        return parse(expanded(text, self.saved), tz=self.tz, lenient=lenient)
