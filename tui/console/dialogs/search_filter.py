"""The Search filter window: the spec's fields, which edit the same MessageFilter as the filter line."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import tzinfo
from typing import Any, ClassVar

import msgspec
from textual.containers import Horizontal
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Button, Input, Select, Static

from store.filters.line import MessageFilter, Period, Term, parse, print_filter
from store.terms.errors import FilterError
from store.terms.verdicts import Engine
from tui.console.dialogs.base import Dialog
from tui.console.widgets.controls import CheckBox, Field, PushButton
from tui.terminal.cells import zone_name
from tui.terminal.safe import safe

#: Text fields: the filter's attribute, and the label.
_TEXTS = {"from_": "From", "to": "To", "subject": "Subject", "message_id": "Message-ID"}
#: What an empty field shows.
_WANTED = {
    "from_": "any; part of a name or address",
    "to": "any; part of a name or address",
    "subject": "any; part of the subject",
    "message_id": "any; part, also of MTA-Message-ID",
}
#: Engines in the spec's order.
_ENGINES = (Engine.ANTI_SPAM, Engine.ANTI_VIRUS, Engine.CONTENT, Engine.ANTI_PHISHING, Engine.BLACK_LIST)
_MOST_KB = 2**40
#: Few enough digits for `int`, which raises ValueError for thousands of them.
_DIGITS = re.compile(r"[0-9]{1,20}")


class DropDown(Select[Any], inherit_css=False):
    """A list to choose one line from; one line high until it is opened."""

    #: The keys, in words, for the window's edge.
    key_words: ClassVar[tuple[str, ...]] = ("Enter choose",)
    DEFAULT_CSS = """
    DropDown {
        width: 1fr; height: auto; color: $foreground;
        & > SelectOverlay {
            width: 1fr; height: auto; max-height: 10; display: none; overlay: screen; constrain: none inside;
            color: $foreground; background: $panel; border: none; padding: 0; scrollbar-size-vertical: 1;
            &:focus { border: none; background-tint: transparent; }
            & > .option-list--option-highlighted { background: $block-cursor-background; }
            &:ansi > .option-list--option-highlighted { text-style: reverse; }
        }
        &:focus > SelectCurrent, &.-expanded > SelectCurrent { background: $panel; background-tint: $accent 12%; }
        &:ansi:focus > SelectCurrent { text-style: reverse; }
        & > SelectCurrent, &:ansi > SelectCurrent {
            border: none; border-left: vkey $text-disabled; border-right: vkey $text-disabled;
            padding: 0; width: 1fr; height: 1; background: $panel; color: $foreground;
            &.-has-value > Static#label { color: $foreground; }
            & > Static#label { width: 1fr; color: $foreground; background: transparent; }
            & > .arrow { width: 1; height: 1; color: $accent; background: transparent; }
        }
        &.-expanded > SelectCurrent > .down-arrow { display: none; }
        &.-expanded > SelectCurrent > .up-arrow { display: block; }
        & > SelectCurrent > .up-arrow { display: none; }
        &.-expanded > SelectOverlay { display: block; }
    }
    """


class SearchFilterDialog(Dialog[MessageFilter]):
    """Edits a filter; returns the new one, or None.

    `rules`: ids and names of the rules; times are in `tz`. Parts of the filter without a field (bare words, negated
    terms, statuses, alternatives) are listed below the fields and kept.
    """

    DEFAULT_CSS = """
    SearchFilterDialog {
        .name { width: 14; height: 1; }
        #size-max, #size-min { width: 12; }
        .sign { width: auto; height: 1; padding: 0 1; }
        .zone { width: auto; height: 1; padding: 0 0 0 1; color: $text-muted; }
        #since, #until { width: 18; }
        .moment { width: auto; height: 1; }
        .boxes { width: 1fr; height: auto; }
        CheckBox { margin: 0 2 0 0; }
        .ending { width: 13; height: 1; padding: 0 0 0 1; }
        &.-narrow {
            .boxes, .moments { layout: vertical; }
            .ending { width: 14; padding: 0; }
        }
        .wide { width: 19; }
        #kept { margin-top: 1; }
        #dialog-buttons { margin-top: 1; }
    }
    """
    heading = "Search filter"
    acts = False
    first_focus = "#from_"

    def __init__(self, flt: MessageFilter, *, rules: Sequence[tuple[int, str]] = (), tz: tzinfo, now: int) -> None:
        super().__init__()
        self.filter = flt
        self.rules = rules
        self.tz = tz
        self.now = now

    def body(self) -> Iterable[Widget]:
        for name, label in _TEXTS.items():
            yield self._row(label, Field(_shown_text(getattr(self.filter, name)), placeholder=_WANTED[name], id=name))
        rules = DropDown(self._rule_options(), value=self.filter.rule_ids, allow_blank=False, compact=True, id="rule")
        yield self._row("Rule ID", rules, classes="gap")
        periods: list[tuple[Content, Period | str]] = [(Content("Any time"), "")]
        periods += [(Content(period.label), period) for period in Period]
        period = DropDown(periods, value=self.filter.period or "", allow_blank=False, compact=True, id="period")
        yield self._row("Period", period)
        with_zone = Static(zone_name(self.tz, self.now), markup=False, classes="zone")
        since = Field(self._moment("since"), placeholder="YYYY-MM-DD HH:MM", id="since")
        until = Field(self._moment("until"), placeholder="YYYY-MM-DD HH:MM", id="until")
        ending = Static("ending with", markup=False, classes="ending")
        yield Horizontal(
            Horizontal(Static("starting from", markup=False, classes="name"), since, classes="moment"),
            Horizontal(ending, until, with_zone, classes="moment"),
            classes="row moments",
        )
        boxes = [CheckBox(engine.label, engine in self.filter.engines, id=engine.value) for engine in _ENGINES]
        yield self._row("Scan type", Horizontal(*boxes[:3], classes="boxes"), classes="gap")
        yield self._row("", Horizontal(*boxes[3:], classes="boxes"))
        yield Horizontal(
            Static("Message size (KB)", markup=False, classes="wide"),
            Static("≤", markup=False, classes="sign"),
            Field(_number(self.filter.size_max), placeholder="any", id="size-max"),
            Static("≥", markup=False, classes="sign"),
            Field(_number(self.filter.size_min), placeholder="any", id="size-min"),
            classes="row gap",
        )
        kept = print_filter(self._kept(), tz=self.tz)
        if kept:
            yield Static(f"and also  {safe(kept)}", markup=False, classes="note", id="kept")

    def _row(self, label: str, *widgets: Widget, classes: str = "") -> Horizontal:
        return Horizontal(Static(label, markup=False, classes="name"), *widgets, classes=f"row {classes}".strip())

    def _rule_options(self) -> list[tuple[Content, tuple[int, ...]]]:
        options: list[tuple[Content, tuple[int, ...]]] = [(Content("Any"), ())]
        for number, name in ((number, name if number else "no rule") for number, name in self.rules):
            options.append((Content(safe(f"{number}  {name}".strip(), max_len=60)), (number,)))
        if self.filter.rule_ids not in [value for _, value in options]:
            options.append((Content(", ".join(map(str, self.filter.rule_ids))), self.filter.rule_ids))
        return options

    def _moment(self, name: str) -> str:
        value = getattr(self.filter, name)
        if value is None:
            return ""
        printed = print_filter(MessageFilter(**{name: value}), tz=self.tz)
        return printed.partition(":")[2].replace("T", " ", 1)

    def buttons(self) -> Iterable[PushButton]:
        yield PushButton("OK", id="ok")
        yield PushButton("Clear", id="clear")
        yield PushButton("Cancel", id="cancel")

    def on_mount(self) -> None:
        self._enable_limits()

    def _enable_limits(self) -> None:
        custom = self.query_one("#period", DropDown).value == Period.CUSTOM
        for name in ("since", "until"):
            self.query_one(f"#{name}", Field).disabled = not custom

    def on_select_changed(self, event: Select.Changed) -> None:
        event.stop()
        if event.select.id == "period":
            self._enable_limits()

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        self.complain("")

    def on_button_pressed(self, event: Button.Pressed) -> None:
        if event.button.id == "clear":
            self.dismiss(MessageFilter())

    def _kept(self) -> MessageFilter:
        """Return the part of the filter for which this window has no field."""
        texts = {name: _rest(getattr(self.filter, name)) for name in _TEXTS}
        without = {"rule_ids": (), "period": None, "since": None, "until": None, "size_min": None, "size_max": None}
        return msgspec.structs.replace(self.filter, engines=frozenset(), **without, **texts)

    def accept(self) -> None:
        fields: dict[str, Any] = {"since": None, "until": None}
        for name in _TEXTS:
            fields[name] = _with_text(getattr(self.filter, name), self.query_one(f"#{name}", Field).value)
        fields["rule_ids"] = self.query_one("#rule", DropDown).value
        fields["engines"] = frozenset(
            engine for engine in _ENGINES if self.query_one(f"#{engine.value}", CheckBox).value
        )
        if self._take_period(fields) and self._take_sizes(fields):
            self.dismiss(msgspec.structs.replace(self.filter, **fields))

    def _take_period(self, fields: dict[str, Any]) -> bool:
        period = self.query_one("#period", DropDown).value or None
        fields["period"] = period
        if period is not Period.CUSTOM:
            if period is not None and period is self.filter.period:
                fields["since"], fields["until"] = self.filter.since, self.filter.until
            return True
        for name, label in (("since", "starting from"), ("until", "ending with")):
            text = self.query_one(f"#{name}", Field).value.strip()
            try:
                fields[name] = getattr(parse(f"{name}:{text.replace(' ', 'T', 1)}", tz=self.tz), name) if text else None
            except FilterError:
                self.complain(f"The {label} field needs a date and time, as in 2026-11-20 12:00.", f"#{name}")
                return False
        since, until = fields["since"], fields["until"]
        if since is None and until is None:
            self.complain("The Custom period needs a date and time in at least one field.", "#since")
            return False
        if since is not None and until is not None and since > until:
            self.complain("The period ends before it starts.", "#until")
            return False
        return True

    def _take_sizes(self, fields: dict[str, Any]) -> bool:
        for name in ("size-max", "size-min"):
            text = self.query_one(f"#{name}", Field).value.strip()
            if text and (not _DIGITS.fullmatch(text) or int(text) > _MOST_KB):
                self.complain("The message size needs a whole number of kilobytes.", f"#{name}")
                return False
            fields[name.replace("-", "_")] = int(text) if text else None
        low, high = fields["size_min"], fields["size_max"]
        if low is not None and high is not None and low > high:
            self.complain("No message is both that large and that small.", "#size-min")
            return False
        return True


def _shown_text(terms: Sequence[Term]) -> str:
    """Return the term that a field shows: the first that is not negated, or ""."""
    return next((safe(term.text) for term in terms if not term.negated), "")


def _with_text(terms: tuple[Term, ...], text: str) -> tuple[Term, ...]:
    """Replace the term that the field shows by the edited text."""
    if text == _shown_text(terms):
        return terms
    edited = (Term(text.strip()),) if text.strip() else ()
    place = next((index for index, term in enumerate(terms) if not term.negated), 0)
    return terms[:place] + edited + _rest(terms)[place:]


def _rest(terms: Sequence[Term]) -> tuple[Term, ...]:
    """Return the terms that a field does not show."""
    first = next((index for index, term in enumerate(terms) if not term.negated), None)
    return tuple(term for index, term in enumerate(terms) if index != first)


def _number(value: int | None) -> str:
    return "" if value is None else str(value)
