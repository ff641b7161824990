"""A real amavis for tests: between a Postfix and its re-injection port, with a quarantine by LMTP."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

CONFIGURATION = """\
use strict;
$max_servers = 2; $daemon_user = 'amavis'; $daemon_group = 'amavis';
$mydomain = 'gw.test'; $myhostname = 'gw.gw.test';
$MYHOME = '{folder}/home'; $TEMPBASE = '{folder}/tmp'; $db_home = '{folder}/db'; $QUARANTINEDIR = '{folder}/run';
$pid_file = '{folder}/run/amavisd.pid'; $lock_file = '{folder}/run/amavisd.lock';
$log_level = 1; $do_syslog = 0; $logfile = '{folder}/run/amavis.log';
$enable_db = 0; $enable_zmq = 0; $snmp_contact = '';
$inet_socket_port = [{port}]; $inet_socket_bind = '127.0.0.1'; @inet_acl = qw(127.0.0.1);
$forward_method = 'smtp:[127.0.0.1]:{forward}'; $notify_method = $forward_method;
@local_domains_maps = (['.']); @mynetworks = qw(127.0.0.0/8);
$sa_tag_level_deflt = -999; $sa_tag2_level_deflt = 5; $sa_kill_level_deflt = 6.9; $sa_local_tests_only = 1;
$final_virus_destiny = D_DISCARD; $final_banned_destiny = D_DISCARD;
$final_spam_destiny = D_DISCARD; $final_bad_header_destiny = D_PASS;
@av_scanners = (['ClamAV-clamd', \\&ask_daemon, ["{{}}/*", 'clamd:[127.0.0.1]:{clamd}'],
  qr/\\bOK$/m, qr/\\bFOUND$/m, qr/^.*?: (?!Infected Archive)(.*) FOUND$/m]);
@av_scanners_backup = ();
{quarantine}
$banned_filename_re = new_RE(qr'.\\.(exe|vbs|pif|scr|bat|cmd|com)$'i);
1;
"""
#: Settings for a quarantine by LMTP to a port.
QUARANTINE = """\
$virus_quarantine_method = 'lmtp:[127.0.0.1]:{port}'; $spam_quarantine_method = $virus_quarantine_method;
$banned_files_quarantine_method = $virus_quarantine_method; $virus_quarantine_to = 'virus-quarantine@sink.test';
$spam_quarantine_to = 'spam-quarantine@sink.test'; $banned_quarantine_to = 'banned-quarantine@sink.test';
"""


def why_not() -> str:
    """Say why amavis cannot be run here, or return ""."""
    if not shutil.which("amavisd"):
        return "amavis is not installed (apt-get install amavisd-new)"
    return "" if os.getuid() == 0 else "amavis can only be started as root, because it changes users"


class Amavis:
    """A running amavis on `port`.

    It sends mail on to the port `forward` and asks clamd on the port `clamd`; `quarantine` holds the configuration
    lines for its quarantine.
    """

    def __init__(self, port: int, *, forward: int, clamd: int, quarantine: str) -> None:
        self.port = port
        self.folder = Path(tempfile.mkdtemp(prefix="mailhold-amavis-"))
        configuration = self.folder / "amavisd.conf"
        configuration.write_text(
            CONFIGURATION.format(folder=self.folder, port=port, forward=forward, clamd=clamd, quarantine=quarantine)
        )
        user = pwd.getpwnam("amavis")
        # amavis refuses to start if it could change its own configuration.
        for name in ("home", "tmp", "db", "run"):
            (self.folder / name).mkdir(mode=0o755)
            os.chown(self.folder / name, user.pw_uid, user.pw_gid)
        self.folder.chmod(0o755)
        self._output = (self.folder / "output.log").open("wb")
        self._process = subprocess.Popen(
            ["amavisd", "-c", str(configuration), "foreground"],
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=self._output,
        )
        self._wait()

    def log(self) -> str:
        paths = (self.folder / "output.log", self.folder / "run" / "amavis.log")
        return "".join(path.read_text(errors="replace") for path in paths if path.exists())

    def _wait(self) -> None:
        until = time.monotonic() + 60
        while time.monotonic() < until and self._process.poll() is None:
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=5) as sock:
                    if sock.recv(4) == b"220 ":
                        return
            except OSError:
                time.sleep(0.1)
        log = self.log()
        self.stop()
        raise RuntimeError(f"amavis does not answer:\n{log[-5000:]}")

    def stop(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(20)
        self._output.close()
        shutil.rmtree(self.folder, ignore_errors=True)
