"""A setup step: what must exist, whether it does, and how it is created, by the program or by hand."""

from __future__ import annotations

import grp
import pwd
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from store.terms.errors import MailholdError


class State(Enum):
    """The state of a step. Things that DIFFER are not changed: the difference may be intended."""

    THERE = "present"
    MISSING = "missing"
    DIFFERS = "differs"


class Look(NamedTuple):
    """The state of a step, and what differs (`note`, part of a sentence)."""

    state: State
    note: str = ""


THERE, MISSING = Look(State.THERE), Look(State.MISSING)


@dataclass(frozen=True)
class Step:
    """One thing that must exist: `what` it is, in words, and `by_hand` the shell command that creates it.

    `look` changes nothing, and raises OSError or MailholdError if it cannot tell. `make` returns lines to show once,
    and raises OSError or MailholdError; it is called only if the step is MISSING.
    """

    what: str
    look: Callable[[], Look]
    make: Callable[[], list[str]]
    by_hand: str


class NotMade(MailholdError):
    """A required program is missing or failed; `str()` quotes its output."""


def call(*command: str) -> None:
    """Run a system program. Raises NotMade."""
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    except FileNotFoundError:
        raise NotMade(f"the program {command[0]} is not installed") from None
    except (OSError, subprocess.SubprocessError) as error:
        raise NotMade(f"running {command[0]} failed: {error}") from None
    if done.returncode:
        said = " ".join((done.stderr or done.stdout).split())
        raise NotMade(f"{command[0]} ended with {done.returncode}: {said or 'without a message'}")


def uid_of(user: str) -> int:
    """Return the number of a user. Raises NotMade if there is no such user."""
    try:
        return pwd.getpwnam(user).pw_uid
    except KeyError:
        raise NotMade(f"there is no user {user}") from None


def gid_of(group: str) -> int:
    """Return the number of a group. Raises NotMade if there is no such group."""
    try:
        return grp.getgrnam(group).gr_gid
    except KeyError:
        raise NotMade(f"there is no group {group}") from None


def user_name(uid: int) -> str:
    """Return the name of a user, or the number if it has no name."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def group_name(gid: int) -> str:
    """Return the name of a group, or the number if it has no name."""
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)
