"""The gateway chapter followed literally: from `mailhold setup` to mail from Postfix in an operator's console.

Paths, ports, users and lines are those of the chapter, in a private view of the file system and the network: the
machine has Postfix as Debian configures it, and no Mailhold.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration import python_for_all
from tests.integration.postfix import why_not
from tests.integration.test_docs_commands import DONE, ENTERED, LEFT, SCRIPTS, layers, run  # noqa: F401  # a fixture
from tests.integration.test_readme_postfix import MAIN, MASTER, TOML, blocks
from tests.readme import ROOT

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180), pytest.mark.xdist_group("setup")]

CHAPTER = (ROOT / "docs/gateway.md").read_text()
SUBJECT = "Casino-4711"
ISOLATED = ("unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc")
#: The machine before the chapter begins: a network, the operator, and Postfix for example.org.
MACHINE = """python -c "
import fcntl, socket, struct
fcntl.ioctl(socket.socket(), 0x8914, struct.pack('16sH14x', b'lo', 0x1 | 0x40))  # SIOCSIFFLAGS: up and running
"
useradd --create-home anna
cp /usr/share/postfix/main.cf.debian /etc/postfix/main.cf
cp /usr/share/postfix/master.cf.dist /etc/postfix/master.cf
postconf -e myhostname=mx1.example.org mydestination=example.org alias_maps= alias_database= \
    maillog_file=/var/log/postfix.log smtp_dns_support_level=disabled smtpd_peername_lookup=no
"""
LOG = "/var/log/gateway.log"
HELPERS = f"""cat > /root/send.py <<'END'
import smtplib
import sys

sender, subject = sys.argv[1:]
with smtplib.SMTP("127.0.0.1", 25, local_hostname="client.test", timeout=60) as client:
    text = f"From: {{sender}}\\r\\nSubject: {{subject}}\\r\\n\\r\\nhello\\r\\n"
    client.sendmail(sender, ["anna@example.org"], text)
END
within() {{ for _ in $(seq 300); do if "$@"; then return; fi; sleep 0.1; done; echo "not within 30 s: $*"; return 1; }}
as_anna() {{ runuser -u anna -- env HOME=/home/anna TERM="$TERM" LANG="$LANG" PATH="$PATH" "$@"; }}
takes_lists() {{ test "$(grep -c '"address-lists"' {LOG})" -gt "$1"; }}
trap 'test $? = 0 || tail -n 30 /var/log/postfix.log {LOG}' EXIT
"""
#: Mail of a black-listed sender and of another: the former is listed, shown in the console, and released.
MAIL = f"""export MAILHOLD_STORE=/var/lib/mailhold/mail.store
within test -S /var/spool/postfix/mailhold/milter.sock
test "$(stat -c %U "/proc/$gateway")" = mailhold
postfix start
before=$(grep -c '"address-lists"' {LOG}) || true
MAILHOLD_KEY_FILE=/etc/mailhold/key mailhold lists add black spam@evil.example
within takes_lists "$before"
export MAILHOLD_KEY_FILE=/home/anna/.config/mailhold/key
python /root/send.py spam@evil.example {SUBJECT}
python /root/send.py good@client.test welcome
within grep -q 'Subject: welcome' /var/mail/anna
! grep -q 'Subject: {SUBJECT}' /var/mail/anna
as_anna mailhold list | grep {SUBJECT}
as_anna mailhold
as_anna mailhold deliver 1 --original
as_anna mailhold queue send 1
within grep -q 'Subject: {SUBJECT}' /var/mail/anna
"""


@pytest.fixture
def programs() -> Iterator[Path]:
    """Return a folder of programs that the chapter's users can run; skip if they can run none, or without Postfix."""
    if reason := why_not():
        pytest.skip(reason)
    if missing := [each for each in ("runuser", "setpriv", "useradd") if not shutil.which(each)]:
        pytest.skip(f"{missing[0]} is not installed (apt-get install util-linux passwd)")
    if not Path("/usr/share/postfix/master.cf.dist").exists():
        pytest.skip("Postfix is not Debian's")
    if not python_for_all.base():
        pytest.skip(f"other users than root may not run what is in {ROOT}, or no Python that they may run is here")
    folder = Path(tempfile.mkdtemp(prefix="mh-"))
    folder.chmod(0o755)
    try:
        yield python_for_all.environment(folder / "env")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def test_from_setup_to_mail_in_the_console(programs: Path, layers: str, tmp_path: Path) -> None:  # noqa: F811
    [checked] = re.findall(r"(?m)^```sh\n(mailhold gateway --check-config)\n```$", CHAPTER)
    [start] = re.findall(r"`(STATE_DIRECTORY=[^`]*setpriv [^`]*)`", CHAPTER)
    lines = [line for line in blocks(TOML)[0].splitlines() if line]
    script = [
        "set -e",
        MACHINE,
        HELPERS,
        "set -v",
        SCRIPTS["gateway-1"],
        *(f"grep -qxF '{line}' /etc/mailhold/mailhold.toml" for line in lines),
        checked,
        f"cat >> /etc/postfix/main.cf <<'END'\n{blocks(MAIN)[0]}END",
        f"cat >> /etc/postfix/master.cf <<'END'\n{blocks(MASTER)[0]}END",
        f"{start} > {LOG} 2>&1 & gateway=$!",
        MAIL,
        f"set +v\necho {DONE}\n",
    ]
    (tmp_path / "layers").mkdir()
    path = tmp_path / "script"
    path.write_text("\n".join(script))
    line = ["bash", "-c", f'{layers}exec bash "$2"', "bash", str(tmp_path / "layers"), str(path)]
    code, told = run([*ISOLATED, *line], Path("/root"), programs=programs)
    assert code == 0 and DONE in told.splitlines()[-1], f"exit code {code}:\n{told[-6000:]}"
    assert "✗" not in told and "Traceback" not in told
    # The console's output is everything between the two switches of the terminal's screen.
    assert SUBJECT in told[told.index(ENTERED) : told.rindex(LEFT)]
