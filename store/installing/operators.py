"""Setup step for operators who are not root: a key file of their own, with its own slot in the store."""

from __future__ import annotations

import os
import pwd
from contextlib import closing
from pathlib import Path

from store.database.connection import shown_location
from store.helpers.secret_files import write_new
from store.installing.places import Places
from store.installing.step import MISSING, THERE, Look, NotMade, State, Step, group_name
from store.opening.opening import Unlock, open_store
from store.opening.slots import insert_slot
from store.sealing.keys import KEY_FILE, KEY_SIZE
from store.terms.errors import UsageError
from store.vault.vault import Vault


def key_file_of(name: str) -> Path:
    """Return the path of an operator's key file, in the user's home. Raises UsageError if there is no such user."""
    try:
        return Path(pwd.getpwnam(name).pw_dir) / ".config/mailhold/key"
    except KeyError:
        raise UsageError(_unknown(name)) from None


def key_of(places: Places, name: str) -> Step:
    """Return the step for the user's own key file, and for a slot in the store named after the user.

    Raises UsageError if there is no such user.
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
                State.DIFFERS, f"other users own it or may read it. By hand: chown {name} {path} && chmod 0600 {path}"
            )
        return THERE

    def make() -> list[str]:
        with closing(open_store(places.store, Unlock.key_file(places.key_file))) as vault:
            give_key(vault, name, path)
        return []

    by_hand = f"mailhold keys add --for {name} --store {shown_location(places.store)} --key-file {places.key_file}"
    return Step(f"key file {path} ({name}, 0600) with its own slot in the store", look, make, by_hand)


def give_key(vault: Vault, name: str, path: Path, label: str = "") -> int:
    """Make a key file that only the user `name` may read, as its owner, and its slot. Returns the slot's id.

    `label` is the slot's name, by default the user's. Raises UsageError, NotMade, UnlockError.
    """
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        raise UsageError(_unknown(name)) from None
    if os.geteuid() not in (0, entry.pw_uid):
        raise UsageError(f"Only root can make a key file for {name}. Use sudo, and root's key file with --key-file.")
    if os.path.lexists(path):
        raise UsageError(f"{path} already exists. Give another file with --new-key-file.")
    secret = os.urandom(KEY_SIZE)
    _as_user(entry, path, secret)
    try:
        return insert_slot(vault, KEY_FILE, secret, label or name)
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def closed_to(name: str, store: Path) -> str:
    """Return why the user cannot write to a SQLite store, with what to do; "" if its mode allows it."""
    entry, status = pwd.getpwnam(name), store.stat()
    groups = os.getgrouplist(name, entry.pw_gid)
    if entry.pw_uid in (0, status.st_uid) or (status.st_gid in groups and status.st_mode & 0o020):
        return ""
    group = group_name(status.st_gid)
    if status.st_gid in groups or group == "root":
        return f"{name} may not write to {store}. Give that file a group that {name} is in, and mode 0660."
    return f"{name} is not in the group {group}, which may open {store}: usermod -aG {group} {name}"


def _unknown(name: str) -> str:
    return f"There is no user {name[:40]!r} on this machine. Create the user first (adduser)."


def _as_user(entry: pwd.struct_passwd, path: Path, secret: bytes) -> None:
    """Write the key file as the user: root would follow links that the user may have put into the home.

    Raises NotMade.
    """
    child = os.fork()
    if child == 0:
        code = 1
        try:
            if os.geteuid() != entry.pw_uid:
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
        raise NotMade(f"the user {entry.pw_name} cannot create {path}")
