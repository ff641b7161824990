"""An existing unit is compared with what the gateway needs; missing lines are added by a drop-in."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import pytest

from store.installing.places import Places, Wanted
from store.installing.step import State
from store.installing.texts import UNIT, needed, unit
from store.installing.unit import drop_in, service, unit_file
from store.terms.errors import UsageError

PACKAGED = unit().replace("SupplementaryGroups=postfix\n", "")


@pytest.fixture(autouse=True)
def running_program(monkeypatch: pytest.MonkeyPatch) -> None:
    # A program that exists on any machine.
    monkeypatch.setattr("store.installing.texts.program", lambda: sys.executable)


def machine(tmp_path: Path, packaged: str = "", *, store: str = "/var/lib/mailhold/mail.store") -> Places:
    """Make the places below `tmp_path`, with a package's unit, its program and configuration."""
    places = Places(Wanted(root=tmp_path, store=store, name="mx1", mta="none"))
    if packaged:
        path = tmp_path / "usr/lib/systemd/system" / UNIT
        path.parent.mkdir(parents=True, exist_ok=True)
        text = packaged.replace("/etc/mailhold/mailhold.toml", str(places.config))
        path.write_text(re.sub(r"(?m)^ExecStart=\S+", f"ExecStart={sys.executable}", text))
    return places


def test_a_unit_is_written_where_there_is_none(tmp_path: Path) -> None:
    places = machine(tmp_path)
    assert unit_file(places).look().state is State.MISSING
    assert drop_in(places) is None


def test_a_packaged_unit_that_does_is_there(tmp_path: Path) -> None:
    places = machine(tmp_path, PACKAGED)
    look = unit_file(places).look()
    assert (look.state, "the package has it at" in look.note) == (State.THERE, True)
    assert drop_in(places) is None


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("User=mailhold", "User=vmail", "its User is vmail instead of mailhold"),
        ("User=mailhold\n", "", "its User is root instead of mailhold"),
        ("Group=mailhold", "Group=mail", "its Group is mail instead of mailhold"),
        ("--config ", "--config /srv", "its gateway reads /srv"),
        (" gateway --config", " status --config", "it does not start `mailhold gateway`"),
        ("ExecStart=", "ExecStart=/gone/", "it starts /gone/"),
        ("ExecStart=", "# ExecStart=", "it starts nothing"),
    ],
)
def test_what_a_unit_does_otherwise_is_said(tmp_path: Path, old: str, new: str, why: str) -> None:
    places = machine(tmp_path, PACKAGED)
    path = tmp_path / "usr/lib/systemd/system" / UNIT
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new, 1))
    look = unit_file(places).look()
    assert look.state is State.DIFFERS
    assert why in look.note and f"By hand: systemctl edit {UNIT}" in look.note


def test_an_administrators_drop_in_counts(tmp_path: Path) -> None:
    places = machine(tmp_path, PACKAGED)
    folder = tmp_path / "etc/systemd/system" / f"{UNIT}.d"
    folder.mkdir(parents=True)
    (folder / "override.conf").write_text(f"[Service]\nExecStart=\nExecStart={sys.executable} gateway --config=/else\n")
    assert "its gateway reads /else" in unit_file(places).look().note
    assert len(service(places)["ExecStart"]) == 1
    # A file of the same name in /etc replaces the package's unit.
    packaged = tmp_path / "usr/lib/systemd/system" / f"{UNIT}.d"
    packaged.mkdir()
    (packaged / "override.conf").write_text("[Service]\nUser=other\n")
    assert service(places)["User"] == ["mailhold"]


def test_a_unit_of_setups_own_that_was_edited_is_there_as_long_as_it_does(tmp_path: Path) -> None:
    places = machine(tmp_path)
    path = places.unit
    path.parent.mkdir(parents=True)
    path.write_text(unit(places) + "# mine\n")
    assert unit_file(places).look() == (State.THERE, "with lines of its own")
    path.unlink()
    path.symlink_to("/dev/null")
    assert "masked" in unit_file(places).look().note


@pytest.mark.parametrize(
    ("store", "lines"),
    [
        ("/srv/mail/mail.store", ["ReadWritePaths=/srv/mail"]),
        ("/home/mail/mail.store", ["ReadWritePaths=/home/mail", "ProtectHome=tmpfs", "BindPaths=/home/mail"]),
    ],
)
def test_a_store_elsewhere_is_opened_to_the_unit_by_a_drop_in(tmp_path: Path, store: str, lines: list[str]) -> None:
    if os.geteuid() != 0:
        pytest.skip("files of setting up belong to root, which the tests do not run as")
    places = machine(tmp_path, PACKAGED, store=store)
    assert needed(places) == lines
    step = drop_in(places)
    assert step is not None
    look = step.look()
    assert (look.state, look.note) == (State.MISSING, f"the unit lacks {', '.join(lines)}")
    step.make()
    assert step.look().state is State.THERE
    written = tmp_path / "etc/systemd/system" / f"{UNIT}.d/mailhold-setup.conf"
    assert written.read_text().splitlines()[1:] == ["[Service]", *lines]
    # Again: it exists, and stays.
    again = drop_in(machine(tmp_path, store=store))
    assert again is not None and again.look().state is State.THERE


def test_a_folder_that_the_unit_opens_already_is_enough(tmp_path: Path) -> None:
    opened = PACKAGED.replace("[Install]", 'ReadWritePaths="/srv" /other\n[Install]')
    assert drop_in(machine(tmp_path, opened, store="/srv/mail/mail.store")) is None
    # Without ProtectSystem=strict every folder is writable.
    assert drop_in(machine(tmp_path, PACKAGED.replace("=strict", "=full"), store="/srv/mail/mail.store")) is None
    closed = PACKAGED.replace("[Install]", "ReadWritePaths=/srv\nReadWritePaths=\n[Install]")
    assert drop_in(machine(tmp_path, closed, store="/srv/mail/mail.store")) is not None


@pytest.mark.parametrize("store", ["/srv/mail/mail.store", "/home/mail/mail.store"])
def test_a_unit_that_setup_writes_lacks_nothing(tmp_path: Path, store: str) -> None:
    places = machine(tmp_path, store=store)
    places.unit.parent.mkdir(parents=True)
    places.unit.write_text(unit(places))
    assert drop_in(places) is None
    assert unit_file(places).look() == (State.THERE, "")


def test_another_store_than_the_gateways_is_refused(tmp_path: Path) -> None:
    (tmp_path / "etc/mailhold").mkdir(parents=True)
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    (tmp_path / "etc/mailhold/mailhold.toml").write_text(
        f'[store]\nlocation = "{tmp_path}/real/s"\ncredentials = "/c"\n[milter]\nlisten = ["unix:/x"]\n'
    )
    with pytest.raises(UsageError, match="--store differs"):
        Places(Wanted(root=tmp_path, store="/srv/other.store"))
    with pytest.raises(UsageError, match="--store differs"):
        Places(Wanted(root=tmp_path, store="postgresql://h/db"))
    # Two names of one file are one store; it keeps the name that the gateway uses.
    assert Places(Wanted(root=tmp_path, store=f"{tmp_path}/link/s")).store == f"{tmp_path}/real/s"
