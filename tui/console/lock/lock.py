"""Locking: the process is replaced by a new program that knows only the store's location
and how to ask for a passphrase.

Python frees strings without overwriting them, so a process cannot reliably erase its secrets. Executing another program
can: the kernel takes away all memory of the old one. Process id, terminal and parent stay the same. The operator's view
is handed over sealed; the keys that the passphrase unlocks can open it.
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
    """The operator's view, restored after unlocking: ids of copies, and the text of the filter line.

    `line` is the row of the cursor in the visible part of the list.
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
    """The data given to the locked process. `view` is sealed; `echo`: whether the terminal echoed input before."""

    location: str
    theme: str
    why: str
    view: bytes
    echo: bool = True


def sealed(vault: Vault, view: View) -> bytes:
    """Seal a view so that only operators of this store can read it."""
    return vault.seal(_ROLE, msgspec.msgpack.encode(view))


def unsealed(vault: Vault, view: bytes) -> View:
    """Open a view sealed by `sealed`; return a default view if that fails."""
    try:
        return msgspec.msgpack.decode(vault.unseal(_ROLE, view), type=View)
    except (MailholdError, msgspec.MsgspecError):
        return View()


def become_locked(handover: Handover, module: str) -> None:
    """Replace this program by `python -m module N`, which reads the handover from file descriptor N.

    Close the vault first. Does not return. Raises StoreError if the program cannot be replaced.
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
        environment.pop("MAILHOLD_TRACE", None)  # each console writes its own trace file, and never overwrites one
        os.execve(sys.executable, [sys.executable, "-P", "-m", module, str(stream)], environment)
    except OSError as error:
        show_typing(echo)
        raise StoreError(
            f"The console could not be locked ({error.strerror}), so it ended instead; the store is closed."
        ) from None


def received(stream: int) -> Handover:
    """Read the handover that `become_locked` left in a file descriptor."""
    with open(stream, "rb") as file:
        return msgspec.msgpack.decode(file.read(), type=Handover)


def show_typing(show: bool) -> bool:
    """Switch the terminal's echo while no app controls it; return whether it was on."""
    try:
        attributes = termios.tcgetattr(0)
        shown = bool(attributes[3] & termios.ECHO)
        attributes[3] = attributes[3] | termios.ECHO if show else attributes[3] & ~termios.ECHO
        termios.tcsetattr(0, termios.TCSANOW, attributes)
    except termios.error:
        return False
    return shown
