"""A real rspamd for tests: on a unix socket and on loopback, offline, in its own folders.

Everything that would ask the network is off, or ham would look like spam; a short list of top level domains and
uncompiled expressions save half a minute at its start. Only `local.d` of Debian's configuration is replaced. GTUBE
gives reject, and its two variants give add header and rewrite subject. Start it as root.
"""

from __future__ import annotations

import shutil
import socket
from collections.abc import Iterator, Mapping
from typing import ClassVar

import pytest

from tests.integration.postfix import free_port
from tests.integration.scanner import Scanner, missing, running

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

#: The files of local.d; a field in braces is a folder or port.
LOCAL = {
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
    """Say why rspamd cannot be run here, or return ""."""
    return missing("rspamd", "rspamd")


class RspamdServer(Scanner):
    """A running rspamd; `unix` and `tcp` are its addresses as a gateway's configuration writes them."""

    program = "rspamd"
    question, answer = b"GET /ping HTTP/1.0\r\n\r\n", b"HTTP/1."
    log_file = "log/rspamd.log"
    local: ClassVar[Mapping[str, str]] = LOCAL
    #: The senders in the map bl.map.
    senders: ClassVar[tuple[str, ...]] = (BLACKLISTED_SENDER,)

    def prepare(self) -> None:
        self.port = free_port()
        values = {"folder": self.folder, "port": self.port, "dns": free_port()}
        shutil.copytree("/etc/rspamd", self.folder / "etc")
        local = self.folder / "etc" / "local.d"
        for name in _OFF:
            (local / f"{name}.conf").write_text("enabled = false;\n")
        for name, text in self.local.items():
            (local / name).write_text(text.format(**values))
        (self.folder / "tlds").write_text("com\norg\nnet\ntest\nexample\n")
        (self.folder / "bl.map").write_text("".join(f"{sender}\n" for sender in self.senders))
        (self.folder / "url.map").write_text(f"{MALICIOUS_HOST}\n")
        for name in ("db", "run", "log"):
            (self.folder / name).mkdir(mode=0o755)
        self.own("_rspamd")

    @property
    def unix(self) -> str:
        return f"unix:{self.folder / 'run' / 'rspamd.sock'}"

    @property
    def tcp(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def command(self) -> list[str]:
        config = self.folder / "etc"
        folders = {"CONFDIR": config, "LOCAL_CONFDIR": config, "DBDIR": self.folder / "db"}
        folders |= {"RUNDIR": self.folder / "run", "LOGDIR": self.folder / "log"}
        return [
            *("rspamd", "-f", "-u", "_rspamd", "-g", "_rspamd", "-c", str(config / "rspamd.conf")),
            *(f"--var={name}={path}" for name, path in folders.items()),
        ]

    def connected(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=5)


@pytest.fixture(scope="module")
def rspamd() -> Iterator[Scanner]:
    """Run an rspamd for the tests of one module; skip with the reason if it is missing."""
    yield from running(why_not(), RspamdServer)
