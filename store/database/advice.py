"""What an administrator can do about a database that does not work, by the driver's text."""

from __future__ import annotations

import os
from pathlib import Path

from store.database.file_systems import is_read_only, stopped_writing

_PERMISSIONS = "check who owns it and its permissions"
_DISK = "look for disk errors in the system's log"
#: Parts of a server's or libpq's errors, and what to do. The first that matches counts.
_SERVER = (
    (
        (
            "starting up",
            "shutting down",
            "recovery mode",
            "not yet accepting",
            "administrator command",
            "postmaster exit",
        ),
        "the server is starting or stopping, or ended this connection: try again once it runs",
    ),
    (
        ("too many clients", "too many connections", "connection slots"),
        "raise max_connections (or the limit of this user) on the server, or end programs that use it",
    ),
    (
        ("authentication failed", "no pg_hba.conf entry", "no password supplied"),
        "check the user and the password in the store's location, and pg_hba.conf on the server",
    ),
    (
        ("read-only transaction", "hot standby", "during recovery"),
        "this server is a standby or was set to read-only, so give the one that can be written to",
    ),
    (("lock timeout",), "another program locked it for too long, try again"),
    (
        ("statement timeout", "user request"),
        "statement_timeout on the server is too short for this user, or somebody cancelled it",
    ),
    (
        ("-in-transaction timeout", "idle-session timeout", "transaction timeout"),
        "the server ended a connection that did nothing for too long, try again",
    ),
    (
        (
            "refused",
            "timeout expired",
            "timed out",
            "closed the connection",
            "unreachable",
            "No route",
            "reset by peer",
            "resolve",
            "translate host",
            "No such file",
            "connection is closed",
            "connection is lost",
        ),
        "check that the database server runs and that this machine can reach it",
    ),
)
_STOPPED = "its file system stopped writing after an error. Look in the system's log why, repair it, and mount it again"
_MOUNT = "its file system is read-only. Look in the system's log why, repair it, and mount it for writing"


def advice_on(text: str, file: str | None) -> str:
    """Say what to do about an error of the driver. `file` is the store's path, None for a database server."""
    refused = "readonly" in text or "read-only" in text or "permission" in text.lower()
    failed = "disk I/O error" in text
    if file is not None and (refused or failed):
        return _about_file(Path(file).absolute(), _PERMISSIONS if refused else _DISK)
    if file is None and (
        found := next((advice for parts, advice in _SERVER if any(map(text.__contains__, parts))), "")
    ):
        return found
    if refused:
        return _PERMISSIONS
    if failed:
        return _DISK
    if "locked" in text:
        return "another program locked it for too long, try again"
    return "check that the database exists and that this user may use it"


def _about_file(path: Path, otherwise: str) -> str:
    """Linux makes a file system read-only when its disk fails, also while the store is open; permissions stay then."""
    try:
        if is_read_only(path):
            return _MOUNT
        if stopped_writing(path):
            return _STOPPED
    except OSError:
        return otherwise
    return _DISK if os.access(path, os.W_OK) and os.access(path.parent, os.W_OK) else otherwise
