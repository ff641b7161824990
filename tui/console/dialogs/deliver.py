"""The Deliver message window."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from textual.containers import Horizontal
from textual.widget import Widget
from textual.widgets import Button, Input, Static

from store.delivery.choosing import Choice
from store.mail.addresses import mailbox, parse_addresses
from store.terms.errors import AddressError
from tui.console.dialogs.base import BelowBody, Dialog
from tui.console.dialogs.chosen import Summary
from tui.console.widgets.controls import CheckBox, Field, PushButton
from tui.console.widgets.recipient_list import RecipientList
from tui.console.widgets.typed_count import TypedCount
from tui.terminal.odd_words import campaigns_words
from tui.terminal.outcome_words import before
from tui.terminal.preflight_words import Said, lines
from tui.terminal.safe import safe
from tui.terminal.words import addresses, copies, counted

if TYPE_CHECKING:
    from store.delivery.queue import Recipient
    from store.mail.outcome import Delivered

#: With more addresses, the number of copies must be typed: a delivery cannot be undone.
MANY = 100
#: Number of problems that stay visible below the scrolling part.
_IN_SIGHT = 3


@dataclass(frozen=True)
class DeliverChoice:
    """The answer of the Deliver message window: recipients, and the original recipients left out.

    `outsiders`: header addresses outside the local domains that the user ticked; `again`: addresses that get the
    message a second time; `lookalikes`: also deliver copies with a look-alike sender.
    """

    original: bool
    additional: tuple[str, ...]
    left_out: frozenset[str]
    outsiders: frozenset[str] = frozenset()
    again: frozenset[str] = frozenset()
    lookalikes: bool = False


def choice_of(chosen: DeliverChoice) -> Choice:
    """Convert the window's answer for a release. Header addresses are allowed, since the window lists them."""
    return Choice(
        chosen.original,
        chosen.additional,
        chosen.left_out,
        from_header=True,
        outsiders=chosen.outsiders,
        again=chosen.again,
        lookalikes=chosen.lookalikes,
    )


class Check(Protocol):
    """Finds out what a choice would do, while the window is open."""

    @property
    def lookalikes(self) -> int:
        """Return the number of copies with a look-alike sender found so far."""

    def begin(self, show: Callable[[Sequence[Said]], None]) -> None:
        """Start. `show` is called with the sentences whenever they change."""

    def look(self, choice: Choice | None) -> None:
        """Find out what a choice would do. None: no recipients are chosen yet."""

    def ask(self) -> None:
        """Ask the relay again."""

    def close(self) -> None:
        """Stop: the window was answered."""


class DeliverDialog(Dialog[DeliverChoice]):
    """Asks for the recipients of `copies` message copies. Returns None if cancelled.

    `recipients` are the distinct original recipients of all copies, `address_count` their number if the list is not
    complete. `unticked`, `outsiders`, `held` and `left_out` are those of `addressing.Addressed`; `local_domains`:
    whether any are set. Numbers of copies: `dangerous` are infected or probably infected, and refused unless
    `infected_allowed`; `outside` are marked but not shown by the filter; `fitting` fit a campaign, `odd` are odd in
    one. `released` counts the outcomes of earlier releases. `summary` says which copies are concerned. `check` finds
    out what the delivery would do.
    """

    DEFAULT_CSS = """
    DeliverDialog {
        #original, #additional { margin-top: 1; }
        #recipients { max-height: 8; margin-left: 4; width: 1fr; }
        #additional-row { margin-left: 4; height: 1; }
        #again { margin-left: 4; display: none; }
        #lookalikes { display: none; }
        #additional-error { margin-left: 4; color: $text-error; height: auto; display: none; }
        .beside { margin-left: 4; }
        #count { text-style: bold; }
        #preflight { margin-top: 1; min-height: 5; }
        #whom { padding: 1 1 0 1; display: none; }
        #problems { max-height: 8; padding: 0 1; display: none; }
        #ask { dock: left; margin: 0 0 0 1; }
        #cancel { margin: 0; }
    }
    """
    heading = "Deliver message"
    first_focus = "#original"

    def __init__(
        self,
        recipients: Sequence[Recipient],
        *,
        copies: int,
        address_count: int | None = None,
        dangerous: int = 0,
        infected_allowed: bool = False,
        released: Mapping[Delivered, int] | None = None,
        outside: int = 0,
        fitting: int = 0,
        odd: int = 0,
        unticked: Mapping[str, str] | None = None,
        outsiders: Collection[str] = (),
        held: Mapping[str, str] | None = None,
        left_out: int = 0,
        local_domains: bool = True,
        summary: Summary | None = None,
        check: Check | None = None,
    ) -> None:
        super().__init__()
        self.unticked = unticked or {}
        self.outsiders = frozenset(outsiders)
        self.held = held or {}
        self.held_elsewhere = left_out
        self.local_domains = local_domains
        self.recipients = recipients
        self.copies = copies
        self.unlisted = max(0, (address_count or 0) - len(recipients))
        self.dangerous = dangerous
        self.infected_allowed = infected_allowed
        self.released = released or {}
        self.outside = outside
        self.fitting = fitting
        self.odd = odd
        self.summary = summary
        self.check = check
        self._looked_at: DeliverChoice | None = None

    @property
    def all_refused(self) -> bool:
        """True if all copies are infected and the settings do not allow to deliver such."""
        return not self.infected_allowed and self.dangerous >= self.copies

    def body(self) -> Iterable[Widget]:
        yield Static(id="count", markup=False)
        if self.summary is not None:
            yield from self.summary.lines()
        yield from self._warnings()
        yield CheckBox("To recipients' email addresses specified in the message header", id="original")
        if self.recipients:
            yield RecipientList(self.recipients, unticked=self.unticked, id="recipients")
        else:
            yield Static("No recipients are known. Use additional addresses.", markup=False, classes="note beside")
        if self.unlisted:
            text = f"and {counted(self.unlisted, 'address', 'addresses')} more, which are not listed here"
            yield Static(text, markup=False, classes="note beside")
        if self.outsiders:
            one, many = (
                "address in the header is not in a local domain",
                "addresses in the header are not in a local domain",
            )
            set_none = "" if self.local_domains else " (none is set, see Settings)"
            text = f"{counted(len(self.outsiders), one, many)}{set_none}"
            yield Static(text, markup=False, classes="note beside")
        yield CheckBox("To additional email addresses", id="additional")
        yield Horizontal(Field(placeholder="addresses, with commas between them", id="addresses"), id="additional-row")
        yield Static(id="additional-error", markup=False)
        yield CheckBox("Also to those who have it already or are waiting for it", id="again")
        yield CheckBox("Also copies from look-alike senders", id="lookalikes")
        yield TypedCount(verb="deliver")
        if self.check is not None:
            yield Static(id="preflight", markup=False, classes="note")

    def below_body(self) -> Iterable[BelowBody]:
        yield BelowBody(id="whom", markup=False, classes="note")
        yield BelowBody(id="problems", markup=False, classes="warning")

    def buttons(self) -> Iterable[PushButton]:
        yield from super().buttons()
        if self.check is not None:
            yield PushButton("Ask relay again", id="ask")

    def _warnings(self) -> Iterable[Static]:
        some = self.copies > 1
        if self.dangerous:
            one, many = ("of them is", "of them are") if some else ("copy is", "copies are")
            subject = counted(self.dangerous, one, many) if some else "This copy is"
            if self.infected_allowed:
                text = f"{subject} infected or probably infected: a security threat to the recipients' computers."
            else:
                verdict = "They will be refused" if self.dangerous > 1 else "It will be refused"
                text = (
                    f"{subject} infected or probably infected. {verdict}: delivery of infected messages is not "
                    "allowed in Backup settings."
                )
            yield Static(f"▲ {text}", markup=False, classes="danger")
        if wave := campaigns_words(self.copies, self.fitting, self.odd):
            yield Static(f"▲ {wave}", markup=False, classes="warning")
        for text in before(self.released, self.copies):
            yield Static(text, markup=False, classes="note")
        if self.held_elsewhere:
            one, many = "recipient already has its copy", "recipients already have their copies"
            is_ = "is" if self.held_elsewhere == 1 else "are"
            text = f"{counted(self.held_elsewhere, one, many)} (or may, or {is_} waiting) and {is_} left out."
            yield Static(text, markup=False, classes="note")
        if self.outside:
            text = f"{counted(self.outside, 'marked copy is', 'marked copies are')} outside the filter shown."
            yield Static(f"▲ {text}", markup=False, classes="warning")

    def opened(self) -> None:
        original = self.query_one("#original", CheckBox)
        original.disabled = not self.recipients and not self.unlisted
        if self.all_refused:
            self.query_one("#ok", PushButton).disabled = True
            self.query_one("#cancel").focus()
        elif original.disabled:
            self.query_one("#additional").focus()
        if self.check is not None:
            self.check.begin(self._say)
            self.check.look(None)
        self._recount()

    def on_unmount(self) -> None:
        if self.check is not None:
            self.check.close()

    def _say(self, said: Sequence[Said]) -> None:
        """Show what the delivery would do. Recipient counts and the first problems are below the scrolling part."""
        problems = [each for each in said if each.problem]
        whom = [each for each in said if each.whom and not each.problem]
        rest = [each for each in said if not each.problem and not each.whom]
        self.query_one("#preflight", Static).update(lines([*problems[_IN_SIGHT:], *rest]))
        for name, shown in (("#whom", whom), ("#problems", problems[:_IN_SIGHT])):
            line = self.query_one(name, BelowBody)
            line.update(lines(shown))
            line.display = bool(shown)
        self.query_one("#lookalikes", CheckBox).display = self.check is not None and self.check.lookalikes > 0
        self._bound_body()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        if event.button.id == "ask" and self.check is not None:
            self.check.ask()

    @property
    def original(self) -> bool:
        return self.query_one("#original", CheckBox).value

    def _left_out(self) -> frozenset[str]:
        return frozenset(self.query_one(RecipientList).left_out) if self.recipients else frozenset()

    def _additional(self) -> tuple[str, ...]:
        """Return the additional addresses, if their box is ticked. Raises `AddressError`."""
        text = self.query_one("#addresses", Field).value
        if not self.query_one("#additional", CheckBox).value or not text.strip():
            return ()
        return tuple(dict.fromkeys(parse_addresses(text)))

    def _twice(self) -> frozenset[str]:
        """Return the addresses that get the message a second time: ticked in the list, or
        typed while `#again` is ticked.
        """
        left_out = self._left_out()
        listed = [one.address for one in self.recipients if self.original and one.address not in left_out]
        typed = self._typed_held() if self.query_one("#again", CheckBox).value else []
        return frozenset(address for address in (*listed, *typed) if mailbox(address) in self.held)

    def _typed_held(self) -> list[str]:
        """Return the additional addresses that hold the message already; [] if one of them is invalid."""
        try:
            return [address for address in self._additional() if mailbox(address) in self.held]
        except AddressError:
            return []

    def _recount(self) -> None:
        left_out = self._left_out()
        chosen = {mailbox(one.address) for one in self.recipients if self.original and one.address not in left_out}
        typed = self._typed_held()
        again = self.query_one("#again", CheckBox)
        again.display = bool(typed)
        twice = self._twice()
        with suppress(AddressError):
            chosen.update(map(mailbox, self._additional()))
        chosen -= {mailbox(address) for address in typed} - {mailbox(address) for address in twice}
        number = len(chosen) + (self.unlisted if self.original else 0)
        # Says only what is chosen: the check finds out how many of the copies go to how many of the addresses.
        what = f"{copies(self.copies)} and {addresses(number)} chosen"
        if not number:
            what = f"{copies(self.copies)}, no recipients selected"
        if twice:
            what += f", {len(twice):,} of them for a second time"
        self.query_one("#count", Static).update(what)
        self.query_one(TypedCount).need(self.copies if number > MANY else 0)
        if self.recipients:
            self.query_one(RecipientList).active = self.original
            self.query_one("#original", CheckBox).partial = bool(left_out)
        self._look()

    def _look(self) -> None:
        """Have the choice checked if it has changed."""
        chosen: DeliverChoice | None = None
        with suppress(AddressError):
            chosen = self._answer(self._additional())
        if chosen is not None and not chosen.original and not chosen.additional:
            chosen = None
        if self.check is not None and chosen != self._looked_at:
            self._looked_at = chosen
            self.check.look(None if chosen is None else choice_of(chosen))

    def _answer(self, additional: tuple[str, ...]) -> DeliverChoice:
        left_out = self._left_out()
        ticked = self.outsiders - left_out if self.original else frozenset()
        unticked = left_out if self.original else frozenset()
        lookalikes = self.query_one("#lookalikes", CheckBox).value
        return DeliverChoice(self.original, additional, unticked, ticked, self._twice(), lookalikes)

    def on_check_box_changed(self, event: CheckBox.Changed) -> None:
        event.stop()
        if event.box.id == "additional" and event.value:
            self.query_one("#addresses").focus()
        self.complain("")
        if event.box.id == "original" and event.value:
            self._tick_someone()
        self._recount()

    def _tick_someone(self) -> None:
        """Reset the list if its box was ticked while no address is; if all are unticked by default, say so."""
        if not self.recipients or self.unlisted:
            return
        listed = self.query_one(RecipientList)
        if not listed.ticked:
            listed.reset()
        if not listed.ticked:
            with self.prevent(CheckBox.Changed):
                self.query_one("#original", CheckBox).value = False
            self.complain(
                "All recipients are left out for the reasons shown. Tick a recipient to deliver to it anyway."
            )

    def on_recipient_list_changed(self, event: RecipientList.Changed) -> None:
        event.stop()
        with self.prevent(CheckBox.Changed):
            self.query_one("#original", CheckBox).value = bool(event.recipients.ticked or self.unlisted)
        self.complain("")
        self._recount()

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        with self.prevent(CheckBox.Changed):
            self.query_one("#additional", CheckBox).value = bool(event.value.strip())
        self._say_additional("")
        self._recount()

    def on_input_blurred(self, event: Input.Blurred) -> None:
        event.stop()
        try:
            self._additional()
        except AddressError as error:
            self._say_additional(str(error))

    def _say_additional(self, text: str) -> None:
        line = self.query_one("#additional-error", Static)
        line.update(safe(text))
        line.display = bool(text)

    def accept(self) -> None:
        if self.all_refused:
            self.complain("Delivery of infected messages is not allowed in Backup settings.", "#cancel")
            return
        try:
            additional = self._additional()
        except AddressError as error:
            self._say_additional(str(error))
            self.query_one("#addresses").focus()
            return
        if self.query_one("#additional", CheckBox).value and not additional:
            self._say_additional("Enter at least one email address.")
            self.query_one("#addresses").focus()
        elif not self.original and not additional:
            self.complain("Tick at least one of the two recipient options.", "#original")
        elif self.query_one(TypedCount).insist():
            self.dismiss(self._answer(additional))
