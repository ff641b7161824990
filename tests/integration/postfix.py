"""A real Postfix for tests: on loopback, with its own configuration, spool and mailboxes in a temporary folder.

It runs without systemd and without a resolver. Mail for `gw.test` goes to Maildirs through Postfix's own virtual(8), so
no other program is needed. Start it as root, because virtual(8) and master(8) change users.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

DOMAIN = "gw.test"
#: virtual(8) delivers as this user (nobody).
UID = 65534
REFUSED, DEFERRED = f"refused@{DOMAIN}", f"tempfail@{DOMAIN}"
REFUSED_REPLY, DEFERRED_REPLY = "550 5.7.1 policy refusal", "450 4.7.1 try again later"

MAIN = """\
compatibility_level = 3.6
queue_directory = {folder}/spool
data_directory = {folder}/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
meta_directory = /etc/postfix
shlib_directory = /usr/lib/postfix
mail_owner = postfix
setgid_group = postdrop
maillog_file = {folder}/postfix.log
maillog_file_prefixes = {folder}
myhostname = {domain}
myorigin = {domain}
mydestination =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
alias_maps =
alias_database =
local_recipient_maps =
default_transport = error:5.4.4 no mail leaves this host
relay_transport = error:5.4.4 no mail leaves this host
virtual_mailbox_domains = {domain}
virtual_mailbox_base = {folder}/mail
virtual_mailbox_maps = static:all/
virtual_uid_maps = static:{uid}
virtual_gid_maps = static:{uid}
virtual_mailbox_limit = 0
mailbox_size_limit = 0
message_size_limit = 60000000
header_size_limit = 60000000
smtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination
smtpd_recipient_restrictions =
    check_recipient_access inline:{{ {{{deferred}={deferred_reply}}} {{{refused}={refused_reply}}} }}, permit
smtpd_peername_lookup = no
smtp_dns_support_level = disabled
local_header_rewrite_clients =
message_drop_headers =
always_add_missing_headers = no
enable_long_queue_ids = yes
in_flow_delay = 0
smtputf8_enable = yes
smtpd_client_connection_rate_limit = 0
smtpd_client_connection_count_limit = 0
smtpd_client_event_limit_exceptions = static:all
smtpd_soft_error_limit = 1000
smtpd_hard_error_limit = 1000
smtpd_tls_cert_file = {folder}/cert.pem
smtpd_tls_key_file = {folder}/key.pem
smtpd_tls_security_level = may
"""

MASTER = """\
127.0.0.1:{port} inet n - {chroot} - - smtpd
{extra}
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""


def why_not() -> str:
    """Say why Postfix cannot be run here, or return ""."""
    if os.getuid() != 0:
        return "Postfix can only be started as root"
    missing = [name for name in ("postfix", "postconf") if not shutil.which(name)]
    if missing or not Path("/usr/lib/postfix/sbin/master").exists():
        return "Postfix is not installed (apt-get install postfix)"
    return ""


def free_port() -> int:
    """Find a loopback port without a listener."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


class Postfix:
    """A running Postfix. `settings` go to main.cf; `services` are lines of master.cf.

    `chroot`: confine its smtpd to the queue directory.
    """

    def __init__(self, settings: Mapping[str, str] | None = None, services: str = "", *, chroot: bool = False) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="mailhold-postfix-"))
        self.folder.chmod(0o755)
        self.port = free_port()
        self.maildir = self.folder / "mail" / "all"
        for name, owner in (("spool", 0), ("data", _uid("postfix")), ("mail", UID)):
            (self.folder / name).mkdir(mode=0o755)
            os.chown(self.folder / name, owner, -1)
        config = self.folder / "etc"
        config.mkdir(mode=0o755)
        values = {
            "folder": self.folder,
            "domain": DOMAIN,
            "uid": UID,
            "refused": REFUSED,
            "deferred": DEFERRED,
            "refused_reply": REFUSED_REPLY,
            "deferred_reply": DEFERRED_REPLY,
        }
        more = "".join(f"{name} = {value}\n" for name, value in (settings or {}).items())
        (config / "main.cf").write_text(MAIN.format(**values) + more)
        (config / "master.cf").write_text(MASTER.format(port=self.port, extra=services, chroot="y" if chroot else "n"))
        self._certificate()
        self._postfix("start")
        self._wait()

    @property
    def ca(self) -> Path:
        """Its self-signed certificate; valid for 127.0.0.1."""
        return self.folder / "cert.pem"

    def log(self) -> str:
        path = self.folder / "postfix.log"
        return path.read_text(errors="replace") if path.exists() else "(no log)"

    def received(self) -> list[bytes]:
        """Return the messages in the mailbox as delivered, in order of arrival. Lines end in LF."""
        files = [path for sub in ("new", "cur") for path in (self.maildir / sub).glob("*")]
        return [path.read_bytes() for path in sorted(files, key=lambda path: (path.stat().st_mtime_ns, path.name))]

    def wait_for(self, count: int, timeout: float = 60) -> list[bytes]:
        """Wait for `count` messages in the mailbox, at most `timeout` seconds; return those that are there."""
        until = time.monotonic() + timeout
        while time.monotonic() < until:
            if sum(1 for _ in (self.maildir / "new").glob("*")) >= count:
                break
            time.sleep(0.05)
        return self.received()

    def wait_until_empty(self, timeout: float = 60) -> None:
        """Wait until Postfix's queue is empty."""
        until = time.monotonic() + timeout
        queues = ("incoming", "active", "maildrop", "deferred")
        while time.monotonic() < until:
            if not any(path.is_file() for name in queues for path in (self.folder / "spool" / name).rglob("*")):
                return
            time.sleep(0.05)
        raise AssertionError(f"Postfix still has mail after {timeout} s:\n{self.log()[-3000:]}")

    def stop(self) -> None:
        self._postfix("stop", check=False)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _postfix(self, command: str, check: bool = True) -> None:
        done = subprocess.run(
            ["postfix", "-c", str(self.folder / "etc"), command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=60,
        )
        if check and done.returncode:
            raise RuntimeError(f"postfix {command} failed:\n{self.log()}")

    def _wait(self) -> None:
        until = time.monotonic() + 30
        while time.monotonic() < until:
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=5) as sock:
                    if sock.recv(4) == b"220 ":
                        return
            except OSError:
                time.sleep(0.1)
        raise RuntimeError(f"Postfix does not answer:\n{self.log()}")

    def _certificate(self) -> None:
        from tests.certificate import write_certificate

        write_certificate(self.folder / "cert.pem", self.folder / "key.pem")


def _uid(name: str) -> int:
    import pwd

    return pwd.getpwnam(name).pw_uid


@pytest.fixture(scope="module")
def postfix() -> Iterator[Postfix]:
    """Run a Postfix for the tests of one module; skip with the reason if it is missing."""
    reason = why_not()
    if reason:
        pytest.skip(reason)
    server = Postfix()
    yield server
    server.stop()
