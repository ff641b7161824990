"""Setup step for the gateway's unit. An existing unit need not have the same text, only the lines that matter here."""

from __future__ import annotations

import os
import shlex
from itertools import pairwise
from pathlib import Path

from store.installing.files import text_file, write_text
from store.installing.places import GROUP, USER, Places
from store.installing.step import MISSING, THERE, Look, NotMade, State, Step
from store.installing.texts import UNIT, needed, unit

DROP_IN = "mailhold-setup.conf"
#: The folders in which systemd looks for units, highest precedence first, and for their drop-ins.
_FOLDERS = tuple(map(Path, ("etc/systemd/system", "run/systemd/system", "usr/lib/systemd/system")))

Service = dict[str, list[str]]


def unit_file(places: Places) -> Step:
    """Return the step for the unit. It is written only if neither setup nor a package has installed one."""
    written = text_file(places.unit, unit(places), f"mailhold gateway --systemd-unit > {places.unit}")

    def look() -> Look:
        if places.unit.is_symlink() and not places.unit.is_file():
            return Look(State.DIFFERS, f"it is masked, or a dangling link. By hand: systemctl unmask {UNIT}")
        path = present(places)
        if path is None:
            return MISSING
        wrong = _wrong(places, service(places))
        if wrong:
            return Look(State.DIFFERS, f"{path}: {'; '.join(wrong)}. By hand: systemctl edit {UNIT}")
        if path != places.unit:
            return Look(State.THERE, f"the package has it at {path}")
        return (
            THERE
            if path.read_text("utf-8", errors="replace") == unit(places)
            else Look(State.THERE, "with lines of its own")
        )

    return Step(written.what, look, written.make, written.by_hand)


def drop_in(places: Places) -> Step | None:
    """Return the step for a drop-in with the lines that the present unit lacks on this machine; None if it
    lacks none.
    """
    path = places.unit.parent / f"{UNIT}.d" / DROP_IN
    if present(places) is None:
        return None
    lines = _lacking(places, service(places, without=path))
    if not lines:
        return None
    text = "# Written by `mailhold setup`: what the unit lacks on this machine.\n[Service]\n" + "\n".join(lines) + "\n"

    def look() -> Look:
        return Look(State.MISSING, f"the unit lacks {', '.join(lacking)}") if (lacking := left()) else THERE

    def left() -> list[str]:
        return _lacking(places, service(places))

    def make() -> list[str]:
        write_text(path, text)
        if left():
            raise NotMade(f"another drop-in of {UNIT} overrides {path}")
        return []

    return Step(f"file {path} (root:root, 0644)", look, make, f"systemctl edit {UNIT}, with {' and '.join(lines)}")


def present(places: Places) -> Path | None:
    """Return the path of the unit that systemd reads, or None."""
    paths = (places.root / folder / UNIT for folder in _FOLDERS)
    return next((path for path in paths if path.is_file()), None)


def service(places: Places, *, without: Path | None = None) -> Service:
    """Read `[Service]` of the unit and its drop-ins: each key's values, in order. Raises OSError."""
    drop_ins: dict[str, Path] = {}
    for folder in _FOLDERS:
        for path in (places.root / folder / f"{UNIT}.d").glob("*.conf"):
            drop_ins.setdefault(path.name, path)
    found: Service = {}
    for each in (present(places), *(path for _, path in sorted(drop_ins.items()))):
        if each is not None and each != without:
            _read(each.read_text("utf-8", errors="replace"), found)
    return found


def _read(text: str, found: Service) -> None:
    """Add the assignments of one file. As in systemd, an empty one clears the values before it."""
    section = ""
    for line in text.replace("\\\n", " ").splitlines():
        line = line.strip()
        if line.startswith("["):
            section = line
        elif section == "[Service]" and "=" in line and line[0] not in "#;":
            name, _, value = line.partition("=")
            if value.strip():
                found.setdefault(name.strip(), []).append(value.strip())
            else:
                found[name.strip()] = []


def _wrong(places: Places, present: Service) -> list[str]:
    """List how the unit differs from this setup: in its user, group, program and configuration."""
    wrong = []
    for key, value in (("User", USER), ("Group", GROUP)):
        has = (present.get(key) or [""])[-1]
        if has != value and (has or key == "User"):
            wrong.append(f"its {key} is {has or 'root'} instead of {value}")
    starts = present.get("ExecStart", [])
    words = _words(starts[-1]) if starts else []
    program = words[0].lstrip("@-:+!|") if words else ""
    if not program:
        wrong.append("it starts nothing")
    elif not os.access(program, os.X_OK):
        wrong.append(f"it starts {program}, which does not exist")
    elif "gateway" not in words:
        wrong.append("it does not start `mailhold gateway`")
    elif (config := _config(words)) != str(places.config):
        wrong.append(f"its gateway reads {config} instead of {places.config}")
    return wrong


def _config(words: list[str]) -> str:
    for before, word in pairwise(words):
        if before == "--config":
            return word
        if word.startswith("--config="):
            return word.partition("=")[2]
    return "/etc/mailhold/mailhold.toml"


def _lacking(places: Places, present: Service) -> list[str]:
    """List the lines that the unit needs on this machine and lacks."""
    lines = []
    for line in needed(places):
        key, _, value = line.partition("=")
        has = present.get(key, [])
        if key == "ReadWritePaths":
            open_paths = [Path(word.lstrip("-+")) for values in has for word in _words(values)]
            folder = Path(value.lstrip("-"))
            strict = (present.get("ProtectSystem") or [""])[-1] == "strict"
            if strict and not any(each in (folder, *folder.parents) for each in open_paths):
                lines.append(line)
        elif key == "ProtectHome":
            if (has or ["no"])[-1] not in ("no", "false", "0", "off", value):
                lines.append(line)
        elif value not in has:
            lines.append(line)
    return lines


def _words(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError:
        return text.split()
