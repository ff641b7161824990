"""The locked console: a window that asks for the passphrase, and nothing else."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from textual.binding import Binding
from textual.screen import ModalScreen
from textual.widget import Widget
from textual.widgets import Button, Static

from store.database.connection import shown_location
from store.database.modes import Use
from store.opening.opening import Unlock, open_store
from store.terms.errors import MailholdError
from tui.console.dialogs.base import Dialog
from tui.console.driver import EndsWithTerminal
from tui.console.tasks import explain, run_in_thread
from tui.console.theme import dress
from tui.console.widgets.controls import Field, PushButton
from tui.terminal.safe import safe

if TYPE_CHECKING:
    from store.vault.vault import Vault


class Curtain(ModalScreen[None]):
    """Covers the whole console while it is being locked."""

    DEFAULT_CSS = """
    Curtain { align: center middle; background: $background; & > Static { width: auto; color: $muted; } }
    """

    def compose(self) -> Iterable[Widget]:
        yield Static("Finishing the current delivery before locking…", markup=False)


class LockDialog(Dialog[str]):
    """Asks for the passphrase until the store opens. Esc empties the field, and does not leave."""

    DEFAULT_CSS = """
    LockDialog { background: $background; & > #dialog { width: 64; } }
    """
    heading = "Backup is locked"
    esc_word = "clear"
    first_focus = "#passphrase"

    def __init__(self, location: str, why: str) -> None:
        super().__init__()
        self._location = location
        self._why = why

    def body(self) -> Iterable[Widget]:
        yield Static(safe(shown_location(self._location)), markup=False, classes="note")
        if self._why:
            yield Static(self._why, markup=False, classes="note")
        yield Static("Passphrase", markup=False, classes="gap")
        yield Field(id="passphrase", password=True)

    def buttons(self) -> Iterable[PushButton]:
        yield PushButton("Unlock", id="ok")
        yield PushButton("Quit the console", id="leave")

    def accept(self) -> None:
        field = self.query_one("#passphrase", Field)
        if field.disabled:
            return
        if not field.value:
            self.complain("Enter the passphrase.", "#passphrase")
            return
        field.disabled = True
        self.complain("Unlocking…")
        self.run_worker(self._unlock(field))

    async def _unlock(self, field: Field) -> None:
        location, unlock = self._location, Unlock.passphrase(field.value)
        field.value = ""
        try:
            vault = await run_in_thread(lambda: open_store(location, unlock, Use.EITHER), name="unlock")
        except MailholdError as error:
            field.disabled = False
            self.complain(explain(error), "#passphrase")
        else:
            assert isinstance(self.app, LockApp)
            self.app.unlocked(vault)

    def action_cancel(self) -> None:
        self.query_one("#passphrase", Field).value = ""

    def on_button_pressed(self, event: Button.Pressed) -> None:
        if event.button.id == "leave":
            self.app.exit()


class LockApp(EndsWithTerminal):
    """The locked console of the store at `location`. `vault` is the open store once it is unlocked."""

    TITLE = "Mailhold"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS = [Binding("ctrl+q", "quit", "Quit", show=False, priority=True)]  # noqa: RUF012 - as Textual declares it

    def __init__(self, location: str, *, why: str = "", theme: str = "") -> None:
        super().__init__()
        dress(self, theme)
        self._location = location
        self._why = why
        self.vault: Vault | None = None

    def on_ready(self) -> None:
        self.push_screen(LockDialog(self._location, self._why))

    def unlocked(self, vault: Vault) -> None:
        """End this app, so that the console can open."""
        self.vault = vault
        self.exit()
