"""A locked console: the process becomes a new one, which holds nothing but where the store is and whom to ask.

Python frees a text and does not overwrite it, so no amount of letting go makes a process forget. What replaces its
program does: the kernel takes all of its memory away. Process, terminal and parent stay; what the operator was looking
at goes along sealed, to be opened by the keys that the passphrase brings back.
"""

from __future__ import annotations

import os
import sys
import termios
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from store.terms.errors import MailholdError, StoreError

if TYPE_CHECKING:
    from store.vault.vault import Vault

_ROLE = "console view"


class View(msgspec.Struct, frozen=True, array_like=True):
    """What the operator was looking at: ids of copies, and what the filter line said.

    `line` is where in the list's window the cursor was.
    """

    place: str = "backup"
    filter: str = ""
    sort: str = ""
    descending: bool = False
    cursor: int | None = None
    line: int = 0
    copy: int | None = None
    marks: list[int] = []
    folder: str = ""


class Handover(msgspec.Struct, frozen=True, array_like=True):
    """What the locked process is given. `view` is sealed; `echo` says whether the terminal showed what was typed."""

    location: str
    theme: str
    why: str
    view: bytes
    echo: bool = True


def sealed(vault: Vault, view: View) -> bytes:
    """Seal a view so that only this store's operators can read it."""
    return vault.seal(_ROLE, msgspec.msgpack.encode(view))


def unsealed(vault: Vault, view: bytes) -> View:
    """Open what `sealed` sealed; return the first view if that fails."""
    try:
        return msgspec.msgpack.decode(vault.unseal(_ROLE, view), type=View)
    except (MailholdError, msgspec.MsgspecError):
        return View()


def become_locked(handover: Handover, module: str) -> None:
    """Replace this program by `python -m module N`, which finds the handover in descriptor N; the vault is closed.

    Does not return. Raises StoreError where it cannot.
    """
    echo = show_typing(False)
    try:
        stream = os.memfd_create("mailhold-locked", 0)
        with open(stream, "wb", closefd=False) as file:
            file.write(msgspec.msgpack.encode(msgspec.structs.replace(handover, echo=echo)))
        os.lseek(stream, 0, os.SEEK_SET)
        packages = str(Path(__file__).resolve().parents[3])
        inherited = os.environ.get("PYTHONPATH")
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([packages, inherited] if inherited else [packages])}
        environment.pop("MAILHOLD_TRACE", None)  # which is one console's, and is not written over
        os.execve(sys.executable, [sys.executable, "-P", "-m", module, str(stream)], environment)
    except OSError as error:
        show_typing(echo)
        raise StoreError(
            f"The console could not be locked ({error.strerror}), so it ended instead; the store is closed."
        ) from None


def received(stream: int) -> Handover:
    """Read what `become_locked` left in a file descriptor."""
    with open(stream, "rb") as file:
        return msgspec.msgpack.decode(file.read(), type=Handover)


def show_typing(show: bool) -> bool:
    """Whether the terminal is to show what is typed, while no app has it; returns whether it did."""
    try:
        attributes = termios.tcgetattr(0)
        shown = bool(attributes[3] & termios.ECHO)
        attributes[3] = attributes[3] | termios.ECHO if show else attributes[3] & ~termios.ECHO
        termios.tcsetattr(0, termios.TCSANOW, attributes)
    except termios.error:
        return False
    return shown
