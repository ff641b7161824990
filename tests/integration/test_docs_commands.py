"""Every command block of the documentation, run in order and unchanged on a machine without Mailhold.

Each script gets its own view of the file system (a private mount namespace): its changes below /etc, /var, /home, /root
and /run disappear with it. It runs on a terminal, where the test types q in the console and answers questions.
"""

from __future__ import annotations

import contextlib
import mailbox
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import CORPUS
from tests.prepared import in_terminal
from tests.readme import PAGES, ROOT, scripts
from tests.store.campaigns.mail import letter, single

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180), pytest.mark.xdist_group("setup")]

SCRIPTS = {f"{page.stem}-{number}": text for page in PAGES for number, text in enumerate(scripts(page), 1)}
PATIENCE = 120.0  # time limit of a script (s)
DONE = "every line has run"
#: Mount an overlay in memory on each folder that commands change; `$1` is an empty folder.
LAYERS = """set -eu
mount -t tmpfs tmpfs "$1"
for name in etc var home root; do
    mkdir "$1/$name" "$1/$name.work"
    mount -t overlay -o "lowerdir=/$name,upperdir=$1/$name,workdir=$1/$name.work" overlay "/$name"
done
mount -t tmpfs tmpfs /run
"""
OWN = "export MAILHOLD_STORE=$HOME/backup.store MAILHOLD_KEY_FILE=$HOME/backup.key\nmailhold init\n"
SHARED = """install -d /etc/mailhold /var/lib/mailhold
mailhold init --store /var/lib/mailhold/mail.store --key-file /etc/mailhold/key
"""
#: Steps that the reader of a script has already done.
BEFORE = {
    "commands-1": OWN + "mkdir -p /var/spool/quarantine\ncp message.eml /var/spool/quarantine/spam-1.eml\n",
    "campaigns-1": OWN + "mailhold import --verdict anti-spam=spam wave\n",
    "storage-1": SHARED + "mailhold import --store /var/lib/mailhold/mail.store --key-file /etc/mailhold/key Maildir\n",
    "gateway-1": "useradd --create-home anna\ngetent group postfix || groupadd postfix\n",
    "gateway-2": SHARED + "mkdir -p /etc/systemd/system\n",
}
#: Questions, and the answers to type; \1 is the text in the parentheses of the question.
ANSWERS = ((r"\[y/N\] $", "y\r"), (r"Type ([\d,]+) to confirm: $", r"\1" + "\r"))
#: Text that only the console shows, once it accepts keys.
CONSOLE = "Monitoring"
ENTERED, LEFT = "\x1b[?1049h", "\x1b[?1049l"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Make the home folder of a reader: mail in the forms that `import` accepts."""
    home = tmp_path / "home"
    for name in ("Maildir/cur", "Maildir/new", "Maildir/tmp", "wave"):
        (home / name).mkdir(parents=True)
    messages = [single(number) for number in range(10)]
    real = sorted(path for path in CORPUS.rglob("*.eml") if path.is_file())[:20] if CORPUS.is_dir() else []
    messages += [path.read_bytes() for path in real]
    for number, raw in enumerate(messages):
        (home / f"Maildir/cur/{number}.M1P1.host:2,S").write_bytes(raw)
    box = mailbox.mbox(home / "mail.mbox")
    for number in range(10, 15):
        box.add(single(number))
    box.close()
    (home / "message.eml").write_bytes(single(15))
    lines = re.findall(r"(?m)^    (@?[\w@.]+ \d+(?: \w+)?)$", (ROOT / "docs/commands.md").read_text())
    (home / "known.txt").write_text("\n".join(lines) + "\n")
    for campaign, size in enumerate((30, 20)):
        for number in range(size):
            (home / f"wave/{campaign}-{number:02}.eml").write_bytes(letter(campaign, number))
    return home


def run(
    command: list[str], home: Path, *, programs: Path = Path(sys.executable).parent, shown: str = CONSOLE
) -> tuple[int, str]:
    """Run a command on a terminal with root's login environment; return its exit code and output.

    `programs` is the folder that `mailhold` is in. A console that opens is left once it has shown the text `shown`.
    """
    path = f"{programs}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    environment = {"HOME": str(home), "PATH": path, "TERM": "xterm-256color", "LANG": "C.UTF-8"}
    pid, terminal = in_terminal(command, environment=environment, size=(140, 40), cwd=str(home), plainly=True)
    told, answered, quitting, until = "", 0, False, time.monotonic() + PATIENCE
    try:
        while time.monotonic() < until:
            if not select.select([terminal], [], [], 5)[0]:
                if quitting:
                    os.write(terminal, b"q")  # keys typed while the console starts may be lost
                continue
            try:
                data = os.read(terminal, 1 << 16)
            except OSError:  # the other end is closed
                break
            if not data:
                break
            told += data.decode(errors="replace")
            if told.rfind(ENTERED) > told.rfind(LEFT):
                if not quitting and shown in told[told.rfind(ENTERED) :]:
                    os.write(terminal, b"q")
                    quitting = True
                continue
            quitting = False
            for question, answer in ANSWERS:
                if match := re.search(question, told[answered:]):
                    os.write(terminal, match.expand(answer).encode())
                    answered = len(told)
        else:
            os.killpg(pid, signal.SIGKILL)
            pytest.fail(f"it did not end within {PATIENCE:.0f} s:\n{told[-3000:]}")
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), told
    finally:
        with contextlib.suppress(OSError):
            os.close(terminal)


@pytest.fixture(scope="module")
def layers(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the lines that give a script its own view; skip if the machine does not permit mounts."""
    if os.geteuid() != 0 or not shutil.which("unshare"):
        pytest.skip("only root can give a script a view of the file system of its own, by unshare")
    present = [name for name in ("/etc/mailhold", "/var/lib/mailhold") if Path(name).exists()]
    if present:
        pytest.skip(f"Mailhold is set up on this machine: {', '.join(present)}")
    empty = tmp_path_factory.mktemp("layers")
    tried = subprocess.run(
        ["unshare", "--mount", "bash", "-c", LAYERS, "bash", str(empty)], capture_output=True, text=True, timeout=60
    )
    if tried.returncode:
        pytest.skip(f"this machine permits no mounts: {tried.stderr.strip()}")
    return LAYERS


@pytest.mark.parametrize("name", SCRIPTS)
def test_every_line_runs_as_it_stands(name: str, layers: str, home: Path, tmp_path: Path) -> None:
    (tmp_path / "layers").mkdir()
    script = tmp_path / "script"
    script.write_text(f"set -e\n{BEFORE.get(name, '')}\nset -v\n{SCRIPTS[name]}\nset +v\necho {DONE}\n")
    command = ["unshare", "--mount", "bash", "-c", layers + 'exec bash "$2"', "bash", str(tmp_path / "layers")]
    code, told = run([*command, str(script)], home)
    assert code == 0 and DONE in told.splitlines()[-1], f"exit code {code}:\n{told[-3000:]}"
    assert "Traceback" not in told


def test_what_is_prepared_is_for_scripts_that_there_are() -> None:
    assert set(BEFORE) <= set(SCRIPTS)
