"""A unix socket to listen on that nobody can open before its mode and its group are right."""

from __future__ import annotations

import grp
import os
import socket
from pathlib import Path

from store.terms.errors import StoreError, UsageError


def unix_listener(path: Path, what: str, *, mode: int = 0o660, group: str = "") -> socket.socket:
    """A socket that listens on `path` for `what` ("the milter"), which `group` may open.

    A socket that nobody serves any more is replaced; one that another process serves is not taken away. Raises
    StoreError, and UsageError where there is no such group.
    """
    made = path.with_name(f".{path.name}.{os.getpid()}")
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        made.unlink(missing_ok=True)
        _refuse_if_served(path, what)
        listener.bind(str(made))
        if group:
            os.chown(made, -1, grp.getgrnam(group).gr_gid)
        made.chmod(mode)
        listener.listen(256)
        listener.setblocking(False)
        made.rename(path)
    except BaseException as error:
        listener.close()
        made.unlink(missing_ok=True)
        if isinstance(error, KeyError):
            raise UsageError(
                f"There is no group `{group}` for the socket of {what}: name one that the MTA is in."
            ) from None
        if isinstance(error, OSError):
            raise StoreError(
                f"{what[:1].upper()}{what[1:]} cannot listen on {path}: {error.strerror or error}."
            ) from None
        raise
    return listener


def _refuse_if_served(path: Path, what: str) -> None:
    probe = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        probe.connect(str(path))
    except OSError:
        return
    finally:
        probe.close()
    raise StoreError(f"The socket {path} of {what} is served by another process: stop that one first.")
