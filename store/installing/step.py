"""A step of setting up: what there is to be, whether it is there, how it is made, and how it is made by hand."""

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
    """How a step stands. What DIFFERS stays as it is: it may be meant."""

    THERE = "is there"
    MISSING = "to make"
    DIFFERS = "differs"


class Look(NamedTuple):
    """How a step stands, and what differs (`note`, a sentence's part)."""

    state: State
    note: str = ""


THERE, MISSING = Look(State.THERE), Look(State.MISSING)


@dataclass(frozen=True)
class Step:
    """One thing to be there: `what` it is, in words, and `by_hand` the shell command that makes it.

    `look` changes nothing and raises OSError or MailholdError where it cannot tell. `make` returns lines to show once,
    and raises OSError or MailholdError; it is called where the step is MISSING alone.
    """

    what: str
    look: Callable[[], Look]
    make: Callable[[], list[str]]
    by_hand: str


class NotMade(MailholdError):
    """A program that is needed is missing or failed; `str` says what it said."""


def call(*command: str) -> None:
    """Run a program of the system. Raises NotMade."""
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    except FileNotFoundError:
        raise NotMade(f"there is no program {command[0]}") from None
    except (OSError, subprocess.SubprocessError) as error:
        raise NotMade(f"{command[0]} did not run: {error}") from None
    if done.returncode:
        said = " ".join((done.stderr or done.stdout).split())
        raise NotMade(f"{command[0]} ended with {done.returncode}: {said or 'it said nothing'}")


def uid_of(user: str) -> int:
    """Return the number of a user. Raises NotMade where there is no such user."""
    try:
        return pwd.getpwnam(user).pw_uid
    except KeyError:
        raise NotMade(f"there is no user {user}") from None


def gid_of(group: str) -> int:
    """Return the number of a group. Raises NotMade where there is no such group."""
    try:
        return grp.getgrnam(group).gr_gid
    except KeyError:
        raise NotMade(f"there is no group {group}") from None


def user_name(uid: int) -> str:
    """Return the name of a user, or the number where it has none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def group_name(gid: int) -> str:
    """Return the name of a group, or the number where it has none."""
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)
