"""Check that the gateway can work on this machine, as its own user: `mailhold gateway --check-config`."""

from __future__ import annotations

import errno
import grp
import os
import pwd
import socket
import stat
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple, NoReturn

from store.database.connection import beside, is_url, real_location
from store.gateway.config import Config
from store.gateway.listening_checks import is_local
from store.gateway.seen import seen_path
from store.mail.endpoint import Address, parse_address
from store.terms.errors import UsageError

#: The user of a gateway whose configuration is in the usual place.
USER = "mailhold"
#: The folder for what the gateway keeps, if it has none in the unit.
_STATE = "/var/lib/mailhold"
_SOCKET_PATH = 107
_FIRST_FREE = Path("/proc/sys/net/ipv4/ip_unprivileged_port_start")
#: From this Python on, asyncio leaves out those addresses of a name that the machine does not have.
_LEAVES_OUT = (3, 12, 5)
_OPEN = (
    "everybody who can connect there can write verdicts that the gateway believes: listen on 127.0.0.1 or a unix "
    "socket, or let only the scanner reach that port"
)
_NO_SCANNER = (
    "none is configured, so mail passes without a check for viruses, spam and phishing: add [engines.clamd], "
    "[engines.rspamd] or [engines.spamd] to mailhold.toml, unless something else scans it"
)


class Proof(NamedTuple):
    """A requirement of the gateway: `why` it is not met, with what to do, or "". A `warning` is no problem."""

    what: str
    why: str = ""
    warning: str = ""

    def __str__(self) -> str:
        """Return its line: ✓, ✗ with what to do, or ▲ with the warning."""
        if self.why:
            return f"✗ {self.what}: {self.why}"
        return f"▲ {self.what}: {self.warning}" if self.warning else f"✓ {self.what}"


def user_of(path: Path, config: Config, *, usual: Path) -> pwd.struct_passwd:
    """Return the user of the gateway with this configuration: the owner of its credentials.

    If root owns them, or they are missing: `mailhold` for the `usual` configuration, else this process's user. Raises
    UsageError if the user does not exist.
    """
    try:
        uid = Path(config.store.credentials).stat().st_uid
    except OSError:
        uid = 0
    try:
        if uid == 0 and path == usual:
            return pwd.getpwnam(USER)
        return pwd.getpwuid(uid or os.geteuid())
    except KeyError:
        raise UsageError(
            f"There is no user for the gateway (`{USER}`, or the owner of {config.store.credentials}). `mailhold "
            "setup` makes one."
        ) from None


def as_user(user: pwd.struct_passwd, work: Callable[[], int]) -> int:
    """Run `work` in a child process that drops root's rights for those of `user`; return its exit code.

    Only for a single-threaded process. `work` must flush what it prints.
    """
    child = os.fork()
    if child == 0:
        _in_child(user, work)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _in_child(user: pwd.struct_passwd, work: Callable[[], int]) -> NoReturn:
    code = 1
    try:
        os.initgroups(user.pw_name, user.pw_gid)
        os.setresgid(user.pw_gid, user.pw_gid, user.pw_gid)
        os.setresuid(user.pw_uid, user.pw_uid, user.pw_uid)
        code = work()
    finally:
        os._exit(code)


def proofs(path: Path, config: Config) -> Iterator[Proof]:
    """Check each requirement of the gateway, as the user of this process."""
    me = pwd.getpwuid(os.geteuid()).pw_name
    yield Proof(f"{path} can be read", _reached(path, os.R_OK, f"chgrp {USER} {path} && chmod 0640 {path}"))
    credentials = Path(config.store.credentials)
    yield Proof(f"only {me} can read {credentials}", _credentials(credentials, me))
    if not is_url(config.store.location):
        yield from _store(config.store.location, me)
    seen = seen_path(credentials).absolute().parent
    yield Proof(
        f"{seen}, the record of what was seen of the store, can be written",
        _state(seen, config.store.location, me),
    )
    places = [(config.milter.listen, config.milter.group)]
    places += [((sink.listen,), sink.group) for sink in config.sink]
    for listen, group in places:
        for text in listen:
            yield _listening(text, me)
        if group and any(text.startswith("unix:") for text in listen):
            yield Proof(f"sockets can be given to the group {group}", _group(group, me))
    for sink in config.sink:
        if sink.trusted and not is_local(parse_address(sink.listen)):
            yield Proof(f"trusted = true on {sink.listen}", warning=_OPEN)
    engines = config.engines
    if not (engines.clamd or engines.rspamd or engines.spamd) and (
        config.milter.listen or any(sink.next_hop and not sink.trusted for sink in config.sink)
    ):
        yield Proof("scanners", warning=_NO_SCANNER)


def _state(folder: Path, location: str, me: str) -> str:
    """Return why the folder for the gateway's record cannot be written.

    Never advises to give away the credentials' folder: it may hold root's key file.
    """
    if not (why := _writable(folder, me)):
        return ""
    store = Path(real_location(location)).absolute().parent
    if not is_url(location) and not _writable(store, me):
        own, make = store, ""
    else:
        own = Path(_STATE)
        make = f"install -d -o {me} -m 0750 {own}, then "
    return f"{why.partition(': ')[0]}: {make}start the gateway (and this check) with STATE_DIRECTORY={own}"


def _store(location: str, me: str) -> Iterator[Proof]:
    location = real_location(location)
    store = Path(location).absolute()
    by_hand = f"chown {USER}:{USER} {store} && chmod 0660 {store}"
    yield Proof(f"{store} can be read and written", _reached(store, os.R_OK | os.W_OK, by_hand))
    for each in (beside(location, "-wal"), beside(location, "-shm")):
        if each.exists() and not os.access(each, os.R_OK | os.W_OK):
            yield Proof(f"{each} can be written", f"it belongs to another user: chown {USER}:{USER} {each}")
    yield Proof(f"the store's log can be written in {store.parent}", _writable(store.parent, me))


def _credentials(path: Path, me: str) -> str:
    by_hand = f"chown {me}: {path} && chmod 0600 {path}"
    if why := _reached(path, os.R_OK, by_hand):
        return why
    status = path.stat()
    if status.st_uid not in (os.geteuid(), 0) or status.st_mode & 0o077:
        return f"other users own it or may read it: {by_hand}"
    return ""


def _listening(text: str, me: str) -> Proof:
    address = parse_address(text)
    what = f"the gateway can listen on {text}"
    if not address.path:
        free = _first_free_port()
        if 0 < address.port < free and os.geteuid() != 0:
            return Proof(what, f"only root may use ports below {free}: choose another than {address.port}")
        return Proof(what, _bindable(address))
    path = Path(address.path)
    if len(os.fsencode(path)) > _SOCKET_PATH:
        return Proof(what, f"the path is longer than {_SOCKET_PATH} bytes: choose a shorter one")
    if path.exists() and not path.is_socket():
        return Proof(what, "there is another file with that name: choose another name")
    # The MTA has to enter the folder; the socket itself has its own mode and group.
    return Proof(what, _writable(path.absolute().parent, me, mode="0755"))


def _first_free_port() -> int:
    """Return the first port that users other than root may listen on. In many containers that is 0."""
    try:
        return int(_FIRST_FREE.read_text())
    except (OSError, ValueError):
        return 1024


def _bindable(address: Address) -> str:
    """Return why this machine cannot listen on an address, whatever its port. It may be in use by this gateway."""
    try:
        found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        said = getattr(error, "strerror", None) or str(error)
        return f"the name {address.host} cannot be resolved ({said}): write an address of this machine"
    bound, why = False, ""
    for family, kind, protocol, _, name in found:
        try:
            probe = socket.socket(family, kind, protocol)
        except OSError:  # a family that this machine does not have: the gateway leaves it out as well
            continue
        with probe:
            try:
                probe.bind((name[0], 0, *name[2:]))
                bound = True
            except OSError as error:
                why = (
                    f"{name[0]} is no address of this machine ({error.strerror}): write one that is, such as 127.0.0.1"
                )
                if error.errno != errno.EADDRNOTAVAIL or sys.version_info < _LEAVES_OUT:
                    return why
    return "" if bound else why or f"{address.host} has no address that this machine can listen on: write 127.0.0.1"


def _group(name: str, me: str) -> str:
    try:
        group = grp.getgrnam(name)
    except KeyError:
        return f"there is no group {name}: install the MTA first, or name another in mailhold.toml"
    if os.geteuid() and group.gr_gid not in (os.getegid(), *os.getgroups()):
        return f"{me} is not in it: usermod -aG {name} {me}"
    return ""


def _writable(folder: Path, me: str, mode: str = "0750") -> str:
    own = f"chown {me} {folder}"
    if folder.name != me:  # it may belong to others as well
        own = f"use a folder of its own, for example install -d -o {me} -m {mode} {folder / me}"
    if why := _reached(folder, os.W_OK | os.X_OK, own, f"install -d -o {me} -m {mode} {folder}"):
        return why
    return "" if folder.is_dir() else "it is not a folder"


def _reached(path: Path, access: int, by_hand: str, made: str = "") -> str:
    """Return why this process may not access the file or folder, with what to do; "" if it may."""
    path = path.absolute()
    for folder in reversed(path.parents):
        if not os.path.lexists(folder):
            return f"there is no folder {folder}: {made or '`mailhold setup` makes it'}"
        if not os.access(folder, os.X_OK):
            mode = stat.S_IMODE(folder.stat().st_mode)
            return f"the folder {folder} (mode {mode:04o}) cannot be entered: chmod o+x {folder}, or give it a group"
    if not os.path.lexists(path):
        return f"it does not exist: {made or '`mailhold setup` makes it'}"
    return "" if os.access(path, access) else f"permission denied: {by_hand}"


def scanner_proof(name: str, why: str) -> Proof:
    """Return the line for a scanner that did not answer because of `why` ("" if it did)."""
    if not why:
        return Proof(f"{name}: answers")
    what = f"start {name}, or correct its address in [engines.{name}]"
    if "Permission denied" in why:
        me = pwd.getpwuid(os.geteuid()).pw_name
        what = f"let {me} use its socket: usermod -aG GROUP {me}, with the socket's group"
    return Proof(f"{name} answers", f"{why}: {what}. Until then the rules' if-down decides about messages")
