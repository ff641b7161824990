"""Operators who are not root: a key file of their own, with a slot of its own in the store, as steps of setting up."""

from __future__ import annotations

import os
import pwd
from contextlib import closing
from pathlib import Path

from store.database.connection import shown_location
from store.helpers.secret_files import write_new
from store.installing.places import Places
from store.installing.step import MISSING, THERE, Look, NotMade, State, Step
from store.opening.opening import Unlock, open_store
from store.opening.slots import insert_slot
from store.sealing.keys import KEY_FILE, KEY_SIZE
from store.terms.errors import UsageError


def key_file_of(name: str) -> Path:
    """Return the path of an operator's key file, in the user's home. Raises UsageError where there is no such user."""
    try:
        return Path(pwd.getpwnam(name).pw_dir) / ".config/mailhold/key"
    except KeyError:
        raise UsageError(f"There is no user {name[:40]!r} on this machine: make it first (adduser).") from None


def key_of(places: Places, name: str) -> Step:
    """Make the step of the user's own key file, and of a slot in the store that has the user's name.

    Raises UsageError where there is no such user.
    """
    path = key_file_of(name)
    entry = pwd.getpwnam(name)

    def look() -> Look:
        try:
            status = path.lstat()
        except FileNotFoundError:
            return MISSING
        if status.st_uid != entry.pw_uid or status.st_mode & 0o077:
            return Look(
                State.DIFFERS, f"others own it or may read it. By hand: chown {name} {path} && chmod 0600 {path}"
            )
        return THERE

    def make() -> list[str]:
        secret = os.urandom(KEY_SIZE)
        with closing(open_store(places.store, Unlock.key_file(places.key_file))) as vault:
            _as_user(entry, path, secret)
            try:
                insert_slot(vault, KEY_FILE, secret, name)
            except BaseException:
                path.unlink(missing_ok=True)
                raise
        return []

    by_hand = (
        f"mailhold keys add --store {shown_location(places.store)} --key-file {places.key_file} "
        f"--new-key-file NEW --name {name}, then give the file NEW to {name} alone"
    )
    return Step(f"key file {path} ({name}, 0600) with a slot of its own in the store", look, make, by_hand)


def _as_user(entry: pwd.struct_passwd, path: Path, secret: bytes) -> None:
    """Write the key file as the user: in a home that he may change, root would follow his links. Raises NotMade."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.initgroups(entry.pw_name, entry.pw_gid)
            os.setresgid(entry.pw_gid, entry.pw_gid, entry.pw_gid)
            os.setresuid(entry.pw_uid, entry.pw_uid, entry.pw_uid)
            os.umask(0o077)
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_new(path, secret)
            code = 0
        finally:
            os._exit(code)
    if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]):
        raise NotMade(f"the user {entry.pw_name} cannot make {path}")
