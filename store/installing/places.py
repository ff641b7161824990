"""The request to `mailhold setup`, and the places of all files."""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass
from pathlib import Path

from store.database.connection import is_url, shown_location
from store.gateway.config import Config, read_config
from store.terms.errors import UsageError

#: The gateway's user, and the group whose members may use a SQLite store.
USER = GROUP = "mailhold"
#: Postfix's group, through which its smtpd may open the milter's socket.
POSTFIX = "postfix"
_NAME = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,61}[a-z0-9])?")
#: A path without blanks, quotes and other characters that are special in TOML, a systemd unit or a tmpfiles.d line.
_PLAIN_PATH = re.compile(r"/[^\s\"'\\%$;#]*")


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """The request. "" and None mean the default; `operators` are users of this system."""

    root: Path = Path("/")
    store: str = ""
    key_file: Path | None = None
    mta: str = ""
    relay: str = ""
    administrator: str = ""
    name: str = ""
    operators: tuple[str, ...] = ()
    by: str = ""


class Places:
    """The places of all files, below the requested root. An existing `mailhold.toml` takes precedence.

    Raises UsageError for a root or store path that cannot be written in all the files that name it, and for an invalid
    `mailhold.toml`.
    """

    def __init__(self, wanted: Wanted) -> None:
        self.root = wanted.root
        self.folder = wanted.root / "etc/mailhold"
        self.state = wanted.root / "var/lib/mailhold"
        self.run = wanted.root / "run/mailhold"
        self.spool = wanted.root / "var/spool/postfix"
        self.config = self.folder / "mailhold.toml"
        self.key_file = (wanted.key_file or self.folder / "key").absolute()
        self.unit = wanted.root / "etc/systemd/system/mailhold-gateway.service"
        self.sysusers = wanted.root / "etc/sysusers.d/mailhold.conf"
        self.tmpfiles = wanted.root / "etc/tmpfiles.d/mailhold.conf"
        self.present: Config | None = read_config(self.config) if self.config.exists() else None
        self.store, self.credentials = self._store(wanted), self.folder / "gateway.credentials"
        if self.present is not None:
            self.credentials = Path(self.present.store.credentials)
        self.postfix = wanted.mta == "postfix" or (not wanted.mta and self.spool.is_dir())
        self.socket = (self.spool / "mailhold" if self.postfix else self.run) / "milter.sock"
        self.name = wanted.name or _host_name()
        if not _NAME.fullmatch(self.name):
            raise UsageError(
                f"--name {self.name!r} is not a valid name for a gateway. Use lower-case letters, digits, dots and "
                "dashes."
            )
        for path in (str(self.root), *([] if self.is_url else [self.store])):
            if not _PLAIN_PATH.fullmatch(path):
                raise UsageError(f"{path!r} cannot be used here. Give an absolute path without blanks and quotes.")

    @property
    def is_url(self) -> bool:
        """Whether the store is in PostgreSQL."""
        return is_url(self.store)

    @property
    def store_folder(self) -> Path | None:
        """The folder of a SQLite store; None for a store in PostgreSQL."""
        return None if self.is_url else Path(self.store).parent

    def _store(self, wanted: Wanted) -> str:
        asked = wanted.store if not wanted.store or is_url(wanted.store) else str(Path(wanted.store).absolute())
        if self.present is None:
            return asked or str(self.state / "mail.store")
        location = self.present.store.location
        if asked and not _same(asked, location):
            raise UsageError(
                f"--store differs from the gateway's store {shown_location(location)} in {self.config}. Leave --store "
                "out, or change the file first."
            )
        return location


def _same(one: str, other: str) -> bool:
    if is_url(one) or is_url(other):
        return one == other
    return Path(one).resolve() == Path(other).resolve()


def _host_name() -> str:
    name = socket.gethostname().lower()
    return name if _NAME.fullmatch(name) else "mx1"
