"""The Backup settings window."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import msgspec
from textual.containers import Horizontal
from textual.widget import Widget
from textual.widgets import Input, Static

from store.authority.settings import Unavailable, format_size, parse_setting, shown_bin_days, shown_bin_share
from store.terms.errors import SettingError
from store.terms.sizes import MIB, megabytes
from tui.console.dialogs.base import Dialog
from tui.console.text.relay_text import masked, unmasked
from tui.console.widgets.controls import Choice, Field
from tui.terminal.safe import safe
from tui.terminal.setting_words import LABELS

if TYPE_CHECKING:
    from store.authority.settings import Settings

_UNAVAILABLE = tuple(Unavailable)
_EXPLAINED = {
    Unavailable.PROCESS: "Messages keep being processed even if Backup is unavailable.",
    Unavailable.TEMPORARY_FAIL: "The sender is told that Backup is temporarily unavailable, and tries again later.",
    Unavailable.REJECT: "Messages are rejected when Backup is unavailable.",
}
#: Text fields in display order: the setting's name (also the field's id) and its label.
_FIELDS = {
    name: LABELS[name] for name in ("max_size", "notify_below", "relay", "administrator", "local_domains", "bin_days")
} | {"bin_share": "Its share of the maximum size"}


_SIZES = ("max_size", "notify_below")


class BackupSettingsDialog(Dialog["Settings"]):
    """Edits the settings; returns the new ones, or None. The caller writes them.

    `used_bytes`: bytes that Backup uses now. A smaller maximum is warned about, since it deletes the oldest copies.
    """

    DEFAULT_CSS = """
    BackupSettingsDialog {
        .name { width: 39; max-width: 70%; height: auto; }
        .name.-short { width: 16; }
        .unit { width: auto; height: 1; margin-left: 1; }
        #unavailable-explained { margin-left: 2; }
        .says { height: auto; margin-left: 2; display: none; color: $text-muted; }
        .says.-error { color: $text-error; }
        .says.-warning { color: $text-warning; }
        .quiet { color: $text-muted; margin-top: 1; }
    }
    """
    heading = "Backup settings"
    first_focus = "#max_size"

    def __init__(self, settings: Settings, *, used_bytes: int = 0) -> None:
        super().__init__()
        self.settings = settings
        self.used_bytes = used_bytes

    def body(self) -> Iterable[Widget]:
        settings = self.settings
        yield from self._field("max_size", megabytes(settings.max_size), "for example 7500")
        yield from self._field("notify_below", megabytes(settings.notify_below), "0: no notice")
        yield self._row(
            "Allow delivery of infected messages",
            Choice(("Yes", "No"), 0 if settings.allow_infected else 1, id="allow_infected"),
        )
        yield Static(id="allow_infected-says", classes="says", markup=False)
        yield Static("Actions to take on messages if Backup is unavailable", markup=False)
        labels = tuple(one.label for one in _UNAVAILABLE)
        choice = Choice(labels, _UNAVAILABLE.index(settings.if_unavailable), id="if_unavailable")
        yield Horizontal(Static("  ", classes="label"), choice, classes="row")
        yield Static(id="unavailable-explained", classes="note", markup=False)
        yield Static("Delivery and notification", classes="quiet", markup=False)
        yield from self._field("relay", masked(settings.relay), "none; smtp://host:port")
        yield from self._field("administrator", settings.administrator, "none; or an address")
        yield from self._field("local_domains", ", ".join(settings.local_domains), "none; or domains, with commas")
        yield Static("Bin", classes="quiet", markup=False)
        yield from self._field("bin_days", shown_bin_days(settings.bin_days), "days, or off to delete for good")
        yield from self._field("bin_share", shown_bin_share(settings.bin_share), "percent")

    def _field(self, name: str, value: str, placeholder: str) -> Iterable[Widget]:
        controls: list[Widget] = [Field(value, placeholder=placeholder, id=name)]
        if name in _SIZES:
            controls.append(Static("MB", id=f"{name}-unit", classes="unit", markup=False))
        yield self._row(_FIELDS[name], *controls)
        yield Static(id=f"{name}-says", classes="says", markup=False)

    @staticmethod
    def _row(label: str, *controls: Widget) -> Horizontal:
        name = Static(label, classes="name" if len(label) > 15 else "name -short", markup=False)
        return Horizontal(name, *controls, classes="row")

    def opened(self) -> None:
        for name in _FIELDS:
            self._judge(name, quiet=True)
        self._explain()

    def _value(self, name: str) -> str:
        text = self.query_one(f"#{name}", Field).value.strip()
        return unmasked(text, self.settings.relay) if name == "relay" else text

    def _parse(self, settings: Settings, name: str) -> tuple[Settings, str]:
        """Return `settings` with the value of the field `name`, and a warning or "". Raises `SettingError`."""
        parsed, warning = parse_setting(settings, name, self._value(name), unit=MIB)
        warnings = [warning] if warning else []
        if name == "max_size" and parsed.max_size < self.used_bytes:
            excess = format_size(self.used_bytes - parsed.max_size)
            warnings.append(f"Backup already uses more: saving this deletes the oldest copies ({excess}) for good.")
        return parsed, " ".join(warnings)

    def _beside(self, name: str) -> Settings:
        """Return the settings to check a field against.

        If the two sizes conflict, only the threshold shows the error.
        """
        if name == "max_size":
            return msgspec.structs.replace(self.settings, notify_below=0)
        if name == "notify_below":
            try:
                return self._parse(self.settings, "max_size")[0]
            except SettingError:
                pass
        return self.settings

    def _judge(self, name: str, *, quiet: bool = False) -> bool:
        """Show under a field what is wrong with it; return False if it cannot be used. `quiet` hides errors.

        A size typed with a unit is also shown in MB.
        """
        try:
            parsed, warning = self._parse(self._beside(name), name)
        except SettingError as error:
            self._say(name, "" if quiet else str(error), "-error")
            return False
        if name in _SIZES:
            bare = self._value(name)[-1:].isdigit()
            self.query_one(f"#{name}-unit", Static).update(
                "MB" if bare else f"= {getattr(parsed, name) / MIB:,.10g} MB"
            )
        self._say(name, warning, "-warning")
        return True

    def _say(self, name: str, text: str, kind: str) -> None:
        line = self.query_one(f"#{name}-says", Static)
        line.update(safe(text))
        line.display = bool(text)
        line.set_class(kind == "-error", "-error")
        line.set_class(kind == "-warning", "-warning")

    def _explain(self) -> None:
        chosen = _UNAVAILABLE[self.query_one("#if_unavailable", Choice).index]
        self.query_one("#unavailable-explained", Static).update(_EXPLAINED[chosen])
        allowed = self.query_one("#allow_infected", Choice).index == 0
        text = "Delivering infected messages puts recipients' computers at risk." if allowed else ""
        self._say("allow_infected", text, "-warning")

    def on_choice_changed(self, event: Choice.Changed) -> None:
        event.stop()
        self._explain()

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        self.complain("")
        self._judge(event.input.id or "", quiet=True)
        if event.input.id == "max_size":
            self._judge("notify_below", quiet=True)

    def on_input_blurred(self, event: Input.Blurred) -> None:
        event.stop()
        self._judge(event.input.id or "")

    def accept(self) -> None:
        wrong = [name for name in _FIELDS if not self._judge(name)]
        if wrong:
            self.query_one(f"#{wrong[0]}").focus()
            return
        settings = self.settings
        try:
            for name in _FIELDS:
                settings, _ = self._parse(settings, name)
            allowed = self.query_one("#allow_infected", Choice).index == 0
            settings, _ = parse_setting(settings, "allow_infected", "yes" if allowed else "no")
            chosen = _UNAVAILABLE[self.query_one("#if_unavailable", Choice).index]
            settings, _ = parse_setting(settings, "if_unavailable", chosen.value)
        except SettingError as error:
            self.complain(str(error))
            return
        self.dismiss(settings)
