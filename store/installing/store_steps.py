"""Setup steps for the store, its first key, its settings and the gateway's credentials."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from store.authority.settings import parse_setting, read_settings
from store.database.connection import BALLAST, beside, connect, run, shown_location, translated
from store.database.modes import Use
from store.enrolment.enrolment import enroll
from store.installing.files import access_of, give
from store.installing.places import GROUP, USER, Places, Wanted
from store.installing.step import MISSING, THERE, Look, State, Step
from store.opening.first_configuration import write_first_configuration
from store.opening.opening import Unlock, create_store, open_store
from store.sealing.keys import make_key_file
from store.space.changing_settings import change_settings
from store.vault.vault import Vault


def key_file(places: Places) -> Step:
    """Return the step for root's key file, with which the store is created."""

    def look() -> Look:
        if os.path.lexists(places.key_file):
            return access_of(places.key_file, "root", "root", 0o600)
        if has_store(places):
            return Look(
                State.DIFFERS,
                f"the store already exists and opens with another key. By hand: mailhold keys add --store "
                f"{shown_location(places.store)} --new-key-file {places.key_file}",
            )
        return MISSING

    def make() -> list[str]:
        make_key_file(places.key_file)
        return []

    by_hand = f"(umask 077; head -c 32 /dev/urandom > {places.key_file})"
    return Step(f"key file {places.key_file} (root:root, 0600), which can open every copy", look, make, by_hand)


def store(places: Places, wanted: Wanted) -> Step:
    """Return the step for the store; its `make` returns the lines that show the recovery key."""
    shown = shown_location(places.store)

    def look() -> Look:
        if not has_store(places):
            return MISSING
        return THERE if places.is_url else access_of(Path(places.store), USER, GROUP, 0o660)

    def make() -> list[str]:
        vault, recovery = create_store(
            places.store, key_file=places.key_file, operator=wanted.by, prepare=write_first_configuration
        )
        vault.close()
        if not places.is_url:
            for path in (Path(places.store), *(beside(places.store, each) for each in ("-wal", "-shm", BALLAST))):
                if path.exists():
                    give(path, USER, GROUP, 0o660)
        return [
            f"The store opens with the key file {places.key_file}, or with this recovery key:\n",
            f"    {recovery}\n",
            "Write the recovery key down and keep it apart from the store: it is not shown again,",
            "and without any key nobody can open the store, not even its makers.",
        ]

    access = "" if places.is_url else f" ({USER}:{GROUP}, 0660)"
    by_hand = f"mailhold init --store {shown} --key-file {places.key_file}"
    if not places.is_url:
        by_hand += f" && chown {USER}:{GROUP} {shown} && chmod 0660 {shown}"
    return Step(f"store {shown}{access}", look, make, by_hand)


def credentials(places: Places, wanted: Wanted) -> Step:
    """Return the step for the gateway's enrolment, with credentials that only its user may read."""
    path = places.credentials

    def look() -> Look:
        return access_of(path, USER, GROUP, 0o600) if os.path.lexists(path) else MISSING

    def make() -> list[str]:
        with _opened(places) as vault:
            enroll(vault, places.name, path, operator=wanted.by or vault.opened_by)
        give(path, USER, GROUP, 0o600)
        return []

    by_hand = (
        f"mailhold gateway enroll {places.name} --credentials {path} --store {shown_location(places.store)} "
        f"--key-file {places.key_file} && chown {USER}:{GROUP} {path}"
    )
    return Step(f"gateway {places.name}, credentials {path} ({USER}:{GROUP}, 0600)", look, make, by_hand)


def setting(places: Places, name: str, value: str) -> Step:
    """Return the step for a setting in the store; a different value that is already set stays."""

    def look() -> Look:
        if not has_store(places):
            return MISSING
        if not places.key_file.exists():
            return Look(State.DIFFERS, f"it cannot be checked without the key file {places.key_file}")
        with _opened(places, Use.READ) as vault:
            present = read_settings(vault)
        if not getattr(present, name):
            return MISSING
        same = parse_setting(present, name, value)[0] == present
        return THERE if same else Look(State.DIFFERS, f"the store has a different {name}. By hand: {by_hand}")

    def make() -> list[str]:
        with _opened(places) as vault:
            present = read_settings(vault)
            changed, warning = parse_setting(present, name, value)
            change_settings(vault, changed, base=present, operator=vault.opened_by)
        return [warning] if warning else []

    opening = f"--store {shown_location(places.store)} --key-file {places.key_file}"
    by_hand = f"mailhold settings set {name}=… {opening}"
    return Step(f"setting {name}", look, make, by_hand)


def has_store(places: Places) -> bool:
    """Return True if the store exists. Raises StoreUnavailable if the database cannot be asked."""
    if not places.is_url:
        return os.path.lexists(places.store)
    db = connect(places.store)
    try:
        with translated(places.store):
            run(db, "SELECT 1").fetchone()
            return bool(db.table_exists("store"))
    finally:
        db.close_all()


@contextmanager
def _opened(places: Places, use: Use = Use.WRITE) -> Iterator[Vault]:
    with closing(open_store(places.store, Unlock.key_file(places.key_file), use)) as vault:
        yield vault
