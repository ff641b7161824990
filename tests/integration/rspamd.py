"""A real rspamd for tests: on a unix socket and on loopback, offline, with its own folders.

Everything that would ask the network is off, or ham would look like spam; a short list of top level domains and slow
expressions save it half a minute of compiling at its start. Of Debian's configuration only `local.d` is replaced.
GTUBE means reject, and its two variants add header and rewrite subject. It has to be started as root.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.postfix import free_port

#: Harmless texts that every spam scanner knows, in pieces so that this file is not spam itself.
GTUBE = "XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL" + "*C.34X"
GTUBE_ADD_HEADER = "YJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL" + "*C.34X"
GTUBE_REWRITE_SUBJECT = "ZJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL" + "*C.34X"
BLACKLISTED_SENDER = "blocked@bad.test"
MALICIOUS_HOST = "malware-host.com"

_OFF = (
    "rbl", "spf", "dkim", "dmarc", "arc", "asn", "fuzzy_check", "surbl", "hfilter", "emails", "mx_check", "greylist",
    "dkim_signing", "antivirus", "replies", "ratelimit", "history_redis", "neural", "reputation", "url_redirector",
    "bayes_expiry",
)  # fmt: skip

_LOCAL = {
    "actions.conf": "reject = 15;\nadd_header = 6;\ngreylist = 4;\n",
    "phishing.conf": "openphish_enabled = false;\nphishtank_enabled = false;\n",
    "multimap.conf": (
        'BLACKLIST_FROM {{ type = "from"; map = "{folder}/bl.map"; symbol = "BLACKLIST_FROM"; score = 10; }}\n'
        'BLACKLIST_URL {{ type = "url"; map = "{folder}/url.map"; symbol = "MALICIOUS_LINK"; score = 8; }}\n'
    ),
    "logging.inc": 'type = "file";\nfilename = "{folder}/log/rspamd.log";\n',
    "options.inc": (
        'gtube_patterns = "all";\nlocal_addrs = [];\ndisable_hyperscan = true;\nurl_tld = "{folder}/tlds";\n'
        'dns {{ nameserver = ["127.0.0.1:{dns}:1"]; timeout = 0.2s; retransmits = 1; }}\n'
    ),
    "worker-normal.inc": (
        'bind_socket = "127.0.0.1:{port}";\nbind_socket = "{folder}/run/rspamd.sock mode=0666";\ncount = 1;\n'
    ),
    "worker-controller.inc": "enabled = false;\n",
    "worker-proxy.inc": "enabled = false;\n",
    "worker-fuzzy.inc": "enabled = false;\n",
}


def why_not() -> str:
    """What keeps rspamd from being run here, or ""."""
    if not shutil.which("rspamd"):
        return "rspamd is not installed (apt-get install rspamd)"
    return "" if os.getuid() == 0 else "rspamd can only be started as root, because it changes users"


class RspamdServer:
    """A running rspamd; `unix` and `tcp` are its addresses as a gateway's configuration writes them."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="mailhold-rspamd-"))
        self.folder.chmod(0o755)
        self.port = free_port()
        values = {"folder": self.folder, "port": self.port, "dns": free_port()}
        shutil.copytree("/etc/rspamd", self.folder / "etc")
        local = self.folder / "etc" / "local.d"
        for name in _OFF:
            (local / f"{name}.conf").write_text("enabled = false;\n")
        for name, text in _LOCAL.items():
            (local / name).write_text(text.format(**values))
        (self.folder / "tlds").write_text("com\norg\nnet\ntest\nexample\n")
        (self.folder / "bl.map").write_text(f"{BLACKLISTED_SENDER}\n")
        (self.folder / "url.map").write_text(f"{MALICIOUS_HOST}\n")
        for name in ("db", "run", "log"):
            (self.folder / name).mkdir(mode=0o755)
        user = pwd.getpwnam("_rspamd")
        for path in (self.folder, *self.folder.rglob("*")):
            os.chown(path, user.pw_uid, user.pw_gid)
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    @property
    def unix(self) -> str:
        return f"unix:{self.folder / 'run' / 'rspamd.sock'}"

    @property
    def tcp(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def log(self) -> str:
        path = self.folder / "log" / "rspamd.log"
        return path.read_text(errors="replace") if path.exists() else "(no log)"

    def start(self) -> None:
        """Start it, and return once it answers."""
        config = self.folder / "etc"
        folders = {"CONFDIR": config, "LOCAL_CONFDIR": config, "DBDIR": self.folder / "db"}
        folders |= {"RUNDIR": self.folder / "run", "LOGDIR": self.folder / "log"}
        self._process = subprocess.Popen(
            [
                *("rspamd", "-f", "-u", "_rspamd", "-g", "_rspamd", "-c", str(config / "rspamd.conf")),
                *(f"--var={name}={path}" for name, path in folders.items()),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        until = time.monotonic() + 120
        while time.monotonic() < until and self._process.poll() is None:
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=5) as sock:
                    sock.sendall(b"GET /ping HTTP/1.0\r\n\r\n")
                    if sock.recv(12).startswith(b"HTTP/1."):
                        return
            except OSError:
                pass
            time.sleep(0.1)
        self.kill()
        raise RuntimeError(f"rspamd does not answer:\n{self.log()[-3000:]}")

    def signal(self, number: signal.Signals) -> None:
        """Send it and its workers a signal, such as SIGSTOP, which leaves it listening and mute."""
        assert self._process is not None
        os.killpg(self._process.pid, number)

    def kill(self) -> None:
        """End it and its workers at once, as a crash would."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(30)
            self._process = None

    def stop(self) -> None:
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


@pytest.fixture(scope="module")
def rspamd() -> Iterator[RspamdServer]:
    """An rspamd for the tests of one module; skips, saying why, where there is none."""
    reason = why_not()
    if reason:
        pytest.skip(reason)
    server = RspamdServer()
    yield server
    server.stop()
