"""The message view: one copy (in Backup or in the bin), its fields, and the message in several forms, in tabs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.content import Content
from textual.widgets import Button, Rule, Static

from store.delivery.history import last_release, recipient_outcomes
from store.terms.errors import CopyBinned, CopyMissing
from tui.console.acts import actions
from tui.console.acts.binning import bring_back, bring_back_first, delete_for_good
from tui.console.acts.chosen_facts import open_campaign_of
from tui.console.context import ConsoleContext, Neighbour
from tui.console.keys.keymap import Scope, bindings
from tui.console.marks import Chosen
from tui.console.screens.page import Page
from tui.console.screens.text_finder import TextFinder
from tui.console.tasks import explain
from tui.console.text import message_lines as made
from tui.console.text.message_parts import SourceLines, attachment_lines, link_lines
from tui.console.text.outcome_lines import Release, sentence
from tui.console.widgets.button_row import ButtonRow
from tui.console.widgets.controls import PushButton
from tui.console.widgets.line_view import LineView
from tui.console.widgets.tab_strip import TabStrip
from tui.terminal.lines import Line, Span, wrap_within
from tui.terminal.safe import safe_content

if TYPE_CHECKING:
    from store.message.parsed import ParsedMessage
    from store.terms.records import Copy
    from store.vault.vault import Vault

TABS = ("Message", "Text", "Headers", "Source", "Attachments", "Links")
_BUTTONS = {
    "to-list": ("To messages list", "to_list"),
    "view-deliver": ("Deliver", "deliver"),
    "view-delete": ("Delete", "delete"),
    "view-save": ("Save", "save"),
}
#: Buttons left out without room for all, the first one first: the footer has all their keys.
_SPARED = ("to-list", "view-save", "view-delete")
#: Attempts to find a copy: it may move between Backup and the bin between the two lookups.
_LOOKS = 5
#: Most lines of the sentence about the releases; the first tab names every recipient.
_OUTCOME_LINES = 2
_COLOURS = {"danger": "$text-error", "risk": "$text-warning", "muted": "$text-muted"}


class _Record(NamedTuple):
    """A copy and the outcome of its releases; `binned`: it is in the bin."""

    copy: Copy
    release: Release
    binned: bool


def _copy_of(vault: Vault, copy_id: int) -> tuple[Copy, bool]:
    """Find a copy, and whether it is in the bin. Raises CopyMissing, TamperedError."""
    for _ in range(_LOOKS):
        try:
            return vault.get(copy_id), False
        except CopyBinned:
            if found := vault.get_many([copy_id], binned=True):
                return found[0], True
    raise CopyMissing(copy_id)


def _raw_of(vault: Vault, copy_id: int) -> bytes:
    """Read a copy's message from Backup or the bin. Raises CopyMissing."""
    for _ in range(_LOOKS):
        with suppress(CopyBinned):
            return vault.raw(copy_id)
        with suppress(CopyMissing):
            return vault.raw(copy_id, binned=True)
    raise CopyMissing(copy_id)


IN_BIN = "△ This copy is in the bin: u brings it back to Backup."
NOT_IN_BIN = "This copy is not in the bin."
NOT_READ = "The message is still being read."


class MessageView(Page):
    """Shows a copy. Its fields are painted once its record is read; meanwhile a child process parses the message."""

    DEFAULT_CSS = """
    MessageView {
        & > #headline { height: 1; width: 1fr; text-wrap: nowrap; text-overflow: ellipsis; }
        & > #outcome { height: auto; width: 1fr; color: $accent; display: none; }
        & > #in-bin { height: auto; max-height: 2; width: 1fr; color: $text-warning; display: none; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = bindings(Scope.VIEW)
    scope = Scope.VIEW

    def __init__(self, context: ConsoleContext, copy_id: int, neighbour: Neighbour | None = None) -> None:
        super().__init__(context)
        self.copy_id = copy_id
        self.neighbour = neighbour
        self.copy: Copy | None = None
        self.binned = False
        self.parsed: ParsedMessage | None = None
        self._source: SourceLines | None = None
        self._release = Release(None, ())
        self._failure = ""
        self._tops: dict[int, int] = {}
        self._shown = 0
        #: The tab whose lines are on the screen; another one's are made while its tab is shown already.
        self._lines_of = 0

    def compose(self) -> ComposeResult:
        buttons = [PushButton(label, id=name) for name, (label, _) in _BUTTONS.items()]
        for button in buttons:
            button.can_focus = False
        yield ButtonRow(buttons, _SPARED, id="buttons")
        yield Static(id="headline", markup=False)
        yield Static(id="outcome", markup=False)
        yield Static(IN_BIN, id="in-bin", markup=False)
        yield TabStrip(TABS, id="tabs")
        yield Rule(line_style="solid")
        yield LineView(id="lines")

    def on_mount(self) -> None:
        self.lines = self.query_one(LineView)
        self.tabs = self.query_one(TabStrip)
        self._finder = TextFinder(self.context.shell, self.lines)
        self._load()

    def show_copy(self, copy_id: int) -> None:
        """Show another copy, in the same tab."""
        self.copy_id = copy_id
        self.copy = self.parsed = self._source = None
        self.binned = False
        self._release = Release(None, ())
        self._failure = ""
        self._tops.clear()
        self._load()

    def follow_store(self) -> None:
        """Show that the copy was released, deleted or brought back meanwhile."""
        if self.copy is not None:
            self._read_record(self._still_there)

    def _load(self) -> None:
        self._read_record(self._got)

    def _read_record(self, on_done: Callable[[_Record], None]) -> None:
        vault, copy_id = self.context.vault, self.copy_id

        def read() -> _Record:
            found = recipient_outcomes(vault, copy_id)
            copy, binned = _copy_of(vault, copy_id)
            return _Record(copy, Release(last_release(vault, copy_id) if found else None, found), binned)

        self.context.shell.background(read, on_done, on_error=self._failed, group="copy")

    def _got(self, record: _Record) -> None:
        copy = record.copy
        if not self.is_attached or copy.id != self.copy_id:
            return
        self.copy, self._release, self.binned = record
        self._show_head()
        self._show_tab()
        vault = self.context.vault

        def read() -> tuple[bytes, SourceLines]:
            raw = _raw_of(vault, copy.id)
            return raw, SourceLines(raw)

        def done(read: tuple[bytes, SourceLines]) -> None:
            if self.is_attached and copy.id == self.copy_id:
                raw, self._source = read
                if TABS[self.tabs.chosen] == "Source":
                    self._show_tab()
                self._parse(copy.id, raw)

        self.context.shell.background(read, done, on_error=self._failed, group="copy-read")

    def _parse(self, copy_id: int, raw: bytes) -> None:
        """Parse the message in a child process, which may take seconds; the source can be shown meanwhile."""

        def parse() -> ParsedMessage:
            from store.message.message import parse_in_child

            return parse_in_child(raw)

        def done(parsed: ParsedMessage) -> None:
            if self.is_attached and copy_id == self.copy_id:
                self.parsed = parsed
                self._name_tabs()
                if TABS[self.tabs.chosen] != "Source":
                    self._show_tab()

        self.context.shell.background(parse, done, on_error=self._failed, group="copy-parse")

    def _still_there(self, record: _Record) -> None:
        if not self.is_attached or record.copy.id != self.copy_id:
            return
        changed, self._release, self.binned = record.release != self._release, record.release, record.binned
        self._show_head()
        if changed and TABS[self._shown] == "Message":
            self._tops[self._shown] = round(self.lines.scroll_y)
            self._show_tab()

    def _failed(self, error: Exception) -> None:
        if not self.is_attached:
            return
        if isinstance(error, CopyMissing):
            if error.copy_id != self.copy_id:
                return
            self.copy = self.parsed = self._source = None
        self._failure = explain(error)
        self._show_head()
        self._show_tab()

    def _show_head(self) -> None:
        copy = self.copy
        headline = self.query_one("#headline", Static)
        if copy is None:
            headline.update(Content(f"Message copy {self.copy_id}"))
        else:
            reason = copy.record.reason
            sign = Content(f"{made.status_text(reason.status, reason.engine)}  ") if reason else Content("")
            if reason:
                sign = sign.stylize(_COLOURS.get(made.status_kind(reason.status), ""))
            headline.update(sign + safe_content(copy.record.subject or "(no subject)", "bold"))
        self._show_outcome()
        self.query_one("#in-bin").display = self.binned
        self._name_tabs()
        for button in self.query(PushButton):
            reason_against = None if button.id == "to-list" else self._reason_against(button.id or "")
            button.disabled = reason_against is not None
            button.tooltip = reason_against

    def _show_outcome(self) -> None:
        said = sentence(self._release, self.context.clock(), self.context.tz)
        line = self.query_one("#outcome", Static)
        line.display = bool(said)
        line.update(wrap_within(said, self.size.width, _OUTCOME_LINES))

    def on_resize(self) -> None:
        """Cut the outcome anew."""
        self._show_outcome()

    def reason_against(self, action: str) -> str | None:
        """Return why the copy cannot be brought back, or nothing can be found in this tab yet; else None."""
        if action in ("view-find", "view-find-next", "view-find-previous"):
            return None if self._is_read(TABS[self._shown]) else self._failure or NOT_READ
        return None if self.binned or action != "view-restore" else NOT_IN_BIN

    def _is_read(self, tab: str) -> bool:
        return {"Message": self.copy, "Source": self._source}.get(tab, self.parsed) is not None

    def _reason_against(self, action: str) -> str | None:
        return self._failure if self.copy is None and self._failure else self.context.shell.cannot(action)

    def _name_tabs(self) -> None:
        attachments = links = 0
        if self.parsed is not None:
            attachments, links = len(self.parsed.attachments), len(self.parsed.links)
        elif self.copy is not None:
            attachments = len(self.copy.record.attachments)
        counts = {"Attachments": attachments, "Links": links}
        self.tabs.rename([f"{tab} {counts[tab]:,}" if counts.get(tab) else tab for tab in TABS])

    def _show_tab(self) -> None:
        if self._shown != self.tabs.chosen:
            self._tops[self._shown] = round(self.lines.scroll_y)
            self._shown = self.tabs.chosen
        self.lines.build(self._builder(TABS[self._shown]))

    def _builder(self, tab: str) -> Callable[[int], Sequence[Line]]:
        copy, parsed, source, zone, failure = self.copy, self.parsed, self._source, self.context.tz, self._failure
        release = self._release
        if tab == "Message" and copy is not None:
            return lambda width: [
                *(made.failure_lines(failure, width) if failure else ()),
                *made.copy_lines(copy, zone, width, release),
            ]
        if tab == "Source" and source is not None:
            return lambda width: source
        if failure:
            return lambda width: made.failure_lines(failure, width)
        if parsed is None or tab == "Source":
            return lambda width: [(Span("Reading the message…" if copy else "", "muted"),)]
        makers = {
            "Text": made.text_lines,
            "Headers": made.header_lines,
            "Attachments": attachment_lines,
            "Links": link_lines,
        }
        return lambda width: makers[tab](parsed, width)

    def build_lines(self, event: LineView.Wanted) -> None:
        builder, width, tab = event.builder, event.width, self._shown

        def show(lines: Sequence[Line]) -> None:
            if self.is_attached and tab == self._shown:
                self._lines_of = tab
                line_width = lines.width if isinstance(lines, SourceLines) else 0
                self.lines.show(lines, line_width=line_width, top=self._tops.get(tab, 0))

        self.context.shell.background(lambda: builder(width), show, group="copy-lines")

    def on_tab_strip_chosen(self, event: TabStrip.Chosen) -> None:
        event.stop()
        self._show_tab()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        event.stop()
        getattr(self, f"action_{_BUTTONS[event.button.id or ''][1]}")()

    def action_to_list(self) -> None:
        self.context.shell.close_page()

    def action_deliver(self) -> None:
        if self.binned:
            self._act("view-deliver", lambda: bring_back_first(self.context, self._chosen, "deliver"))
        else:
            self._act("view-deliver", lambda: actions.deliver(self.context, [self.copy_id]))

    def action_save(self) -> None:
        if self.binned:
            self._act("view-save", lambda: bring_back_first(self.context, self._chosen, "save"))
        else:
            self._act("view-save", lambda: actions.save(self.context, [self.copy_id]))

    def action_delete(self) -> None:
        if self.binned:
            self._act("view-delete", lambda: delete_for_good(self.context, self._chosen, then=self._leaving()))
        else:
            self._act("view-delete", lambda: actions.delete(self.context, [self.copy_id], then=self._leaving()))

    def _leaving(self) -> Callable[[], None]:
        """Return a function that goes back to the list, unless the user has left this copy meanwhile."""
        copy_id = self.copy_id

        def leave() -> None:
            if self.is_attached and self.display and self.copy_id == copy_id:
                self.action_to_list()

        return leave

    def action_bring_back(self) -> None:
        if not self.refused("view-restore"):
            self._act("view-restore", lambda: bring_back(self.context, self._chosen))

    def action_campaign(self) -> None:
        open_campaign_of(self.context, self.copy_id)

    @property
    def _chosen(self) -> Chosen:
        return Chosen.of([self.copy_id])

    def _act(self, action: str, act: Callable[[], None]) -> None:
        reason = self._reason_against(action)
        if reason is None:
            act()
        else:
            self.context.shell.notice(reason, severity="refusal")

    def action_neighbour(self, step: int) -> None:
        if self.neighbour is None:
            self.context.shell.notice("Next and Previous work only on copies opened from the message list.")
            return
        target = self.neighbour(self.copy_id, step)
        if target is None:
            self.context.shell.notice("This is the last copy." if step > 0 else "This is the first copy.")
        else:
            self.show_copy(target)

    def action_tab(self, step: int) -> None:
        self.tabs.move(step)

    def action_find(self) -> None:
        if not self.refused("view-find"):
            self._finder.ask(TABS[self._shown])

    def action_find_step(self, step: int) -> None:
        if self._lines_of != self._shown:
            self.context.shell.notice(NOT_READ, severity="refusal")
        elif not self.refused("view-find"):
            self._finder.step(step, TABS[self._shown])
