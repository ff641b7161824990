"""Setup steps for the gateway's user and group, and for group members."""

from __future__ import annotations

import grp
import os
import pwd
from pathlib import Path

from store.installing.places import GROUP, USER, Places
from store.installing.step import MISSING, THERE, Look, NotMade, State, Step, call

_NO_SHELL = "/usr/sbin/nologin"


def user(places: Places) -> Step:
    """Return the step for the system user and group `mailhold`: created by systemd-sysusers or useradd."""
    command = (
        *("useradd", "--system", "--user-group", "--no-create-home"),
        *("--home-dir", "/var/lib/mailhold", "--shell", _NO_SHELL, "--comment", "Mailhold gateway", USER),
    )

    def look() -> Look:
        if not _has_user(USER):
            return Look(State.DIFFERS, f"the group {GROUP} exists without the user") if _has_group(GROUP) else MISSING
        gid = pwd.getpwnam(USER).pw_gid
        if not _has_group(GROUP) or grp.getgrnam(GROUP).gr_gid != gid:
            return Look(State.DIFFERS, f"the user's primary group is not {GROUP}")
        return THERE

    def make() -> list[str]:
        if runs_systemd() and places.root == Path("/"):
            try:
                call("systemd-sysusers", str(places.sysusers))
            except NotMade:
                pass  # Try useradd instead; if that fails too, it says why.
        if not _has_user(USER):
            call(*command)
        return []

    by_hand = " ".join(f"'{word}'" if " " in word else word for word in command)
    where = "" if places.root == Path("/") else " (of this machine)"
    return Step(f"system user and group {USER}{where}", look, make, by_hand)


def member(name: str, group: str, why: str) -> Step:
    """Return the step that adds a user to a group; `why` is shown. Other steps create the user and the group."""

    def look() -> Look:
        if not _has_user(name) or not _has_group(group):
            return MISSING
        return THERE if grp.getgrnam(group).gr_gid in os.getgrouplist(name, pwd.getpwnam(name).pw_gid) else MISSING

    def make() -> list[str]:
        call("usermod", "-aG", group, name)
        return []

    return Step(f"user {name} in the group {group}, {why}", look, make, f"usermod -aG {group} {name}")


def runs_systemd() -> bool:
    """Return True if systemd is this machine's service manager."""
    return Path("/run/systemd/system").is_dir()


def _has_user(name: str) -> bool:
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


def _has_group(name: str) -> bool:
    try:
        grp.getgrnam(name)
    except KeyError:
        return False
    return True
