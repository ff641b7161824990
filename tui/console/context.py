"""The context of every view: the open store, the operator, and the shell's services."""

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

#: Returns the id of the copy `step` places after another (before it, if negative) in a list, or None at its end.
Neighbour = Callable[[int, int], "int | None"]


class Shell(Protocol):
    """The services of the console's shell for views. Call all methods on the event loop's thread."""

    def notice(self, text: str, *, severity: str = "information") -> None:
        """Show a notice above the workspace until the user hides it.

        Severity: information, warning, error, refusal (why a key did nothing) or passing (of use on this page alone).
        The last two go with the page.
        """

    def follow_deliveries(self, delivery_ids: Sequence[int], held_for: int = 0) -> None:
        """Show the outcome of these deliveries behind the present notice, until all are settled.

        `held_for`: ms for which the outbox still holds them.
        """

    def run_task(self, task: Task[Any]) -> None:
        """Run long work (import, bulk deliver, delete, save) with a progress bar that can be cancelled."""

    def background(
        self,
        work: Callable[[], T],
        on_done: Callable[[T], None],
        *,
        on_error: Callable[[Exception], None] | None = None,
        group: str,
        wait: float = 0.0,
    ) -> None:
        """Run short `work` in a thread, and pass its result to `on_done` on the event loop.

        Only the result of the newest work in a `group` is passed on, so that a stale result is never shown. An error
        without `on_error` becomes a notice. The call holds the event loop for `wait` seconds, or until the work is
        done.
        """

    def open_copy(self, copy_id: int, neighbour: Neighbour | None = None) -> None:
        """Show the message view of a copy."""

    def open_act(self, held: Held) -> None:
        """Show the copies of an act in the bin."""

    def open_campaign(self, campaign_id: int, copy_id: int | None = None) -> None:
        """Show a campaign, with the cursor on a copy, or on its first odd one."""

    def open_compare(self, campaign_id: int, copy_id: int, neighbour: Neighbour | None = None) -> None:
        """Show a copy of a campaign beside a typical one."""

    def list_messages(self, flt: MessageFilter) -> None:
        """Show the message list with this filter."""

    def close_page(self) -> None:
        """Close the page on top (such as a message view), and show the one below."""

    def go(self, place: str) -> None:
        """Show a place of the tree, by its id, such as backup, bin or queue."""

    def store_changed(self) -> None:
        """Show a change made by this console at once, not only at the next poll."""

    def unmark(self, ids: Collection[int]) -> None:
        """Remove the marks of copies after an action on them."""

    @property
    def typed(self) -> int:
        """Number of keys that had an effect."""

    def drop_typing_since(self, typed: int) -> None:
        """Ignore keys until there is a pause if any had an effect since the count was `typed`.

        Call it before opening a window that was asked for then: keys typed since are not meant for it.
        """

    def ask(self, dialog: ModalScreen[A], answered: Callable[[A | None], None]) -> None:
        """Open a window; `answered` is called with its answer."""

    def end(self) -> None:
        """Leave the console."""

    def cannot(self, action: str) -> str | None:
        """Return why an action (by its id in the key map) is not possible now, or None."""


@dataclass
class ConsoleContext:
    """The open store and the shell, for views.

    `clock` returns Unix ms; times are shown in `tz`. `settings` is a copy in memory that polling keeps current; if
    `settings_problem` says why they cannot be read, they are the last known ones. `outcomes`: outcome by id of each
    released copy; `live`: copies with an unfinished delivery; `attention`: deliveries that need attention;
    `deleting`: number of deletions that this console is running. `save_folder`: folder of the last save; `seen_odd`:
    copies shown as odd in a campaign; `saved`: the saved filters. `twins`: filter for further copies of the senders
    delivered last, None if there are none.
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
        """Parse a filter line, with its saved filters. Raises FilterError as `parse`."""
        return parse(expanded(text, self.saved), tz=self.tz, lenient=lenient)
