"""The Backup settings (spec, "Configuring Backup settings"), sealed and signed in the store's configuration."""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import StrEnum
from functools import partial
from typing import Any

import msgspec

from store.authority import configuration
from store.authority.configuration_rows import SECONDED
from store.authority.resetting import Part
from store.authority.seconding import NOT_YET
from store.terms.errors import AddressError, RelayError, SettingError, StoreFormat, TamperedError
from store.terms.sizes import MIB, format_size, parse_size
from store.vault.reader import Reader

__all__ = [
    "Settings",
    "Unavailable",
    "format_size",
    "parse_setting",
    "parse_size",
    "read_settings",
    "write_settings",
]

#: The name of this part of the configuration.
NAME = "settings"
CHANGED, RESET = "settings changed", "settings reset"
#: From the spec: "A value of 100 MB or greater is recommended."
RECOMMENDED_SIZE = 100 * MIB
_LONGEST_LOCK = 24 * 60
#: Default hold of a release in seconds, for few copies and for many; and the longest.
HOLD, HOLD_MANY = 15, 300
LONGEST_HOLD = 3600
#: Max percent and max days of the bin. Most of Backup must remain for copies that nobody deleted.
_LARGEST_SHARE, _LONGEST_DAYS = 50, 3650


class Unavailable(StrEnum):
    """Actions to take on messages if Backup is unavailable."""

    PROCESS = "process"
    TEMPORARY_FAIL = "temporary-fail"
    REJECT = "reject"

    @property
    def label(self) -> str:
        """The option's label, in the spec's words."""
        return _LABELS[self]


_LABELS = {
    Unavailable.PROCESS: "Process messages",
    Unavailable.TEMPORARY_FAIL: "Temporary fail",
    Unavailable.REJECT: "Reject messages",
}


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """The Backup settings.

    Sizes are bytes; `notify_below` 0 sends no notification; "" means not set. A console locks after `lock_after`
    minutes without a key press (0 = never). `relay` is a URL for `store.mail.relay.parse_relay`, and may hold a
    password. `local_domains` are as in `store.mail.local_domains`; if empty, no address in a message's header counts as
    local. `release_loops`: the relay leads back through intake, so released messages need a marker. `release_ignores`
    are the names of header fields that the relay adds below the marker. `hold` and `hold_many` are the seconds that a
    release waits in the queue before it is sent, the second for more than 50 copies. `bin_share` is the part of the
    maximum size in percent that the bin may keep however many messages arrive, `bin_days` the days that it keeps a copy
    at most; if either is 0, there is no bin.
    """

    max_size: int = 7500 * MIB
    notify_below: int = 500 * MIB
    allow_infected: bool = False
    if_unavailable: Unavailable = Unavailable.PROCESS
    relay: str = ""
    administrator: str = ""
    local_domains: tuple[str, ...] = ()
    lock_after: int = 0
    release_loops: bool = False
    release_ignores: tuple[str, ...] = ()
    hold: int = msgspec.field(default_factory=lambda: HOLD)
    hold_many: int = msgspec.field(default_factory=lambda: HOLD_MANY)
    bin_share: int = 10
    bin_days: int = 7


#: The settings of a new store: messages that cannot be copied wait at the MTA. Without stored settings, the defaults
#: apply.
FIRST = Settings(if_unavailable=Unavailable.TEMPORARY_FAIL)


def write_first(vault: Reader) -> None:
    """Write the settings of a new store."""
    configuration.write(vault, NAME, FIRST, expected=0)


def read_settings(vault: Reader) -> Settings:
    """Read the settings in force; the defaults if none were written. Raises TamperedError, StoreFormat."""
    stored = configuration.read(vault, NAME, Settings)
    return stored.value if stored else Settings()


def former_settings(vault: Reader) -> Settings | None:
    """Read the newest former settings that verify; None if there are none. They are not in force."""
    former = configuration.salvage(vault, NAME, Settings).former
    return former.value if former else None


def settings_or_former(vault: Reader) -> Settings:
    """Read the settings in force; if they do not verify, former ones that do, else the defaults. Only for advice."""
    try:
        return read_settings(vault)
    except (TamperedError, StoreFormat):
        return former_settings(vault) or Settings()


def shown_settings(settings: Settings) -> str:
    """Format the settings that differ from a new store's, without passwords: ``max_size 5 GB, relay smtp://…``."""
    names = [name for name in Settings.__struct_fields__ if getattr(settings, name) != getattr(FIRST, name)]
    return ", ".join(f"{name} {_shown(settings, name)}" for name in names) or "all as in a new store"


def rebased(settings: Settings, base: Settings, present: Settings) -> Settings:
    """Copy the fields in which `settings` differs from `base` into `present`; all other fields stay as in `present`."""
    names = Settings.__struct_fields__
    own = {name: getattr(settings, name) for name in names if getattr(settings, name) != getattr(base, name)}
    return msgspec.structs.replace(present, **own)


def ignored_names(settings: Settings) -> frozenset[bytes]:
    """Return `release_ignores` as lower-case bytes, to compare with header fields."""
    return frozenset(name.lower().encode() for name in settings.release_ignores)


def write_settings(vault: Reader, before: Settings, settings: Settings, *, operator: str = "") -> None:
    """Store `settings` in place of `before`, with an audit event; do nothing if they are equal.

    Call `store.space.changing_settings` instead to also make the store as small as the new settings say.
    """
    if changed := changes_of(before, settings):
        configuration.write(vault, NAME, settings, operator=operator, action=CHANGED, detail="; ".join(changed))


def changes_of(before: Settings, after: Settings) -> list[str]:
    """Describe each changed setting, one line each, without passwords: ``max_size: 5 GB -> 4 GB``."""
    changed = [name for name in Settings.__struct_fields__ if getattr(before, name) != getattr(after, name)]
    return [f"{name}: {_shown(before, name)} -> {_shown(after, name)}" for name in changed]


def parse_setting(settings: Settings, name: str, value: str, *, unit: int = 0) -> tuple[Settings, str | None]:
    """Set the setting `name` to the typed `value`. Return the new settings, and a warning or None.

    A size without a unit is multiplied by `unit` bytes, or refused if `unit` is 0. Raises SettingError if there is no
    such setting, it cannot be set, or the value is not valid for it.
    """
    key = name.strip().lower().replace("-", "_")
    if key == SECONDED:
        raise SettingError(NOT_YET)
    if key not in _PARSERS:
        raise SettingError(f"There is no setting {name.strip()[:40]!r}. Use one of: {', '.join(_PARSERS)}.")
    text = value.strip()
    read = _PARSERS[key](text, unit) if key in ("max_size", "notify_below") else _PARSERS[key](text)
    changed: Settings = msgspec.structs.replace(settings, **{key: read})
    return changed, _warning(changed, key)


def _shown(settings: Settings, name: str) -> str:
    """Format a setting's value for the audit event: readable sizes, no password."""
    value = getattr(settings, name)
    if name in ("max_size", "notify_below"):
        return format_size(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if (words := in_words(name, value)) is not None:
        return words
    if name == "relay" and value:
        from store.mail.relay import parse_relay

        try:
            return str(parse_relay(value))
        except RelayError:
            return "not valid"
    if name in ("local_domains", "release_ignores"):
        return ", ".join(value) or "-"
    return value or "-"


def _warning(settings: Settings, key: str) -> str | None:
    warnings = []
    if key == "max_size" and settings.max_size < RECOMMENDED_SIZE:
        warnings.append(
            f"A Backup maximum size below {format_size(RECOMMENDED_SIZE)} is not recommended: copies are removed soon "
            "after they were placed."
        )
    if key in ("max_size", "notify_below") and settings.notify_below >= settings.max_size:
        warnings.append(
            "The threshold should be smaller than the maximum size; otherwise you get a single notification "
            "immediately."
        )
    if key == "allow_infected" and settings.allow_infected:
        warnings.append(
            "Delivering infected and probably infected messages can pose a security threat to computers of users."
        )
    return " ".join(warnings) or None


def _threshold(text: str, unit: int) -> int:
    return parse_size(text, unit=unit)


def _max_size(text: str, unit: int) -> int:
    size = parse_size(text, unit=unit)
    if size == 0:
        raise SettingError("The Backup maximum size cannot be 0. 100 MB or more is recommended.")
    return size


def _yes_no(text: str, name: str = "allow_infected") -> bool:
    answers = {"yes": True, "true": True, "1": True, "on": True, "no": False, "false": False, "0": False, "off": False}
    if text.lower() not in answers:
        raise SettingError(f"{text[:40]!r} is neither yes nor no. Write {name}=yes or {name}=no.")
    return answers[text.lower()]


def _unavailable(text: str) -> Unavailable:
    for option in Unavailable:
        if text.lower().replace("_", "-").replace(" ", "-") in (option.value, option.label.lower().replace(" ", "-")):
            return option
    raise SettingError(
        f"{text[:40]!r} is not an action. Use one of: {', '.join(option.value for option in Unavailable)}."
    )


def _relay(text: str) -> str:
    from store.mail.relay import parse_relay

    try:
        if text:
            parse_relay(text)
    except RelayError as error:
        raise SettingError(str(error)) from error
    return text


def _administrator(text: str) -> str:
    from store.mail.addresses import check_address

    try:
        return check_address(text) if text else ""
    except AddressError as error:
        raise SettingError(str(error)) from error


def _local_domains(text: str) -> tuple[str, ...]:
    from store.mail.local_domains import parse_domains

    return parse_domains(text)


def _release_ignores(text: str) -> tuple[str, ...]:
    from store.mail.ignored_fields import parse_names

    return parse_names(text)


def _lock_after(text: str) -> int:
    if text.lower() in ("", "off"):
        return 0
    found = re.fullmatch(r"([0-9]{1,4}) *(min|minutes?)?", text.lower())
    if found is None or int(found[1]) > _LONGEST_LOCK:
        raise SettingError(
            f"{text[:40]!r} is not a number of minutes up to {_LONGEST_LOCK:,} (a day). Write for example "
            "lock_after=15, or lock_after=off so that the console never locks."
        )
    return int(found[1])


def _hold(text: str, name: str = "hold") -> int:
    if text.lower() in ("off", "none", "no"):
        return 0
    found = re.fullmatch(r"([0-9]{1,5}) *(s|sec|seconds?|min|minutes?)?", text.lower())
    seconds = 0 if found is None else int(found[1]) * (60 if (found[2] or "s").startswith("m") else 1)
    if found is None or seconds > LONGEST_HOLD:
        raise SettingError(
            f"{text[:40]!r} is not a number of seconds up to {LONGEST_HOLD:,} (an hour). Write for example {name}=15, "
            f"or {name}=0 to send without waiting."
        )
    return seconds


def shown_hold(seconds: int) -> str:
    """Format `hold` or `hold_many`: `off`, `15 s`."""
    return f"{seconds:,} s" if seconds else "off"


def shown_lock_after(minutes: int) -> str:
    """Format `lock_after`: `off`, `1 minute`, `15 minutes`."""
    return "off" if not minutes else f"{minutes:,} minute{'s' if minutes != 1 else ''}"


def _bin_share(text: str) -> int:
    found = re.fullmatch(r"([0-9]{1,3}) *%?", text)
    if found is None or int(found[1]) > _LARGEST_SHARE:
        raise SettingError(
            f"{text[:40]!r} is not a share of Backup. Write a percentage of its maximum size from 0 to "
            f"{_LARGEST_SHARE}, for example bin_share=10."
        )
    return int(found[1])


def _bin_days(text: str) -> int:
    if text.lower() in ("", "off"):
        return 0
    found = re.fullmatch(r"([0-9]{1,4}) *(days?)?", text.lower())
    if found is None or int(found[1]) > _LONGEST_DAYS:
        raise SettingError(
            f"{text[:40]!r} is not a number of days up to {_LONGEST_DAYS:,}. Write for example bin_days=7, or "
            "bin_days=off to delete permanently, without a bin."
        )
    return int(found[1])


def shown_bin_share(percent: int) -> str:
    """Format `bin_share`: `10 %`."""
    return f"{percent} %"


def shown_bin_days(days: int) -> str:
    """Format `bin_days`: `off`, `1 day`, `7 days`."""
    return "off" if not days else f"{days:,} day{'s' if days != 1 else ''}"


#: Settings that are shown in words, and their format functions.
_IN_WORDS: dict[str, Callable[[int], str]] = {
    "lock_after": shown_lock_after,
    "hold": shown_hold,
    "hold_many": shown_hold,
    "bin_share": shown_bin_share,
    "bin_days": shown_bin_days,
}


def in_words(name: str, value: int) -> str | None:
    """Format a numeric setting (`off`, `7 days`, `10 %`); None if it is shown as a number."""
    return _IN_WORDS[name](value) if name in _IN_WORDS else None


#: The settings in the order shown, each with the parser of its text.
_PARSERS: dict[str, Callable[..., Any]] = {
    "max_size": _max_size,
    "notify_below": _threshold,
    "allow_infected": _yes_no,
    "if_unavailable": _unavailable,
    "relay": _relay,
    "administrator": _administrator,
    "local_domains": _local_domains,
    "lock_after": _lock_after,
    "release_loops": partial(_yes_no, name="release_loops"),
    "release_ignores": _release_ignores,
    "hold": _hold,
    "hold_many": partial(_hold, name="hold_many"),
    "bin_share": _bin_share,
    "bin_days": _bin_days,
}

#: The part of the configuration that `mailhold settings reset` rewrites.
PART = Part("settings", "settings", Settings, lambda _known: FIRST, shown_settings, CHANGED, RESET)
