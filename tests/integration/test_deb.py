"""Debian's package: built, installed on this machine, used, removed and purged; the store outlives it."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.test_wheel import _UNREACHED, MAIL, run
from tests.test_hygiene import ROOT

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300), pytest.mark.xdist_group("setup")]

STATE, FOLDER = Path("/var/lib/mailhold"), Path("/etc/mailhold")
PROGRAM = "/usr/bin/mailhold"


def has_user() -> bool:
    return any(entry.pw_name == "mailhold" for entry in pwd.getpwall())


@pytest.fixture
def package(tmp_path: Path) -> Iterator[Path]:
    """The package, built; what its installation leaves is removed after the test."""
    if os.geteuid() != 0 or not shutil.which("dpkg-deb") or not Path("/usr/bin/python3").exists():
        pytest.skip("this is no Debian with its own Python, or the tests do not run as root")
    present = [str(path) for path in (STATE, FOLDER, Path(PROGRAM), Path("/usr/lib/mailhold")) if path.exists()]
    if present:
        pytest.skip(f"Mailhold is set up on this machine, which a test must not touch: {', '.join(present)}")
    had_user = has_user()
    line = ["/usr/bin/python3", str(ROOT / "packaging/debian/build.py"), "--to", str(tmp_path)]
    done = subprocess.run(line, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=240, check=False)
    if done.returncode and _UNREACHED.search(done.stdout):
        pytest.skip(f"pip does not get what it needs from its registry: {done.stdout.strip().splitlines()[-1]}")
    assert done.returncode == 0, done.stdout
    [built] = tmp_path.glob("mailhold_*.deb")
    try:
        yield built
    finally:
        subprocess.run(["dpkg", "--purge", "mailhold"], capture_output=True, timeout=120, check=False)
        for path in (STATE, FOLDER, Path("/run/mailhold")):
            shutil.rmtree(path, ignore_errors=True)
        if not had_user and has_user():
            subprocess.run(["userdel", "mailhold"], capture_output=True, timeout=60, check=False)


def test_it_is_installed_used_and_purged_and_the_store_stays(package: Path, tmp_path: Path) -> None:
    run("dpkg", "-i", package)
    assert run(PROGRAM, "--version").startswith("mailhold 0")
    assert has_user()
    assert (STATE.stat().st_mode & 0o7777, STATE.owner(), STATE.group()) == (0o2770, "mailhold", "mailhold")
    assert (FOLDER.stat().st_mode & 0o7777, FOLDER.owner(), FOLDER.group()) == (0o750, "root", "mailhold")
    assert list(STATE.iterdir()) == list(FOLDER.iterdir()) == []  # no store, key or configuration is made unasked
    store, key_file, mail = STATE / "mail.store", FOLDER / "key", tmp_path / "a.eml"
    mail.write_bytes(MAIL)
    where = ["--store", str(store), "--key-file", str(key_file)]
    # Of the caller's Python nothing is taken: neither modules of the same name nor its variables.
    (tmp_path / "store.py").write_text("raise SystemExit('a stranger')\n")
    clean = ["env", "-C", str(tmp_path), f"PYTHONPATH={tmp_path}", PROGRAM]
    said = run(*clean, "setup", "--mta", "none", "--name", "mx1", "--yes")
    assert "the package has it at /usr/lib/systemd/system/mailhold-gateway.service" in said
    assert "opened as gateway mx1" in said
    assert not Path("/etc/systemd/system/mailhold-gateway.service").exists()
    run(*clean, "import", *where, str(mail), "--verdict", "anti-spam=spam")
    assert "anna@x.example" in run(*clean, "list", *where)
    assert "anna@x.example" in run(*clean, "list", *where, "from:anna", "--sort", "size")  # by polars
    assert "# mailhold.toml" in run(PROGRAM, "gateway", "--example-config")
    unit = Path("/usr/lib/systemd/system/mailhold-gateway.service").read_text()
    assert "ExecStart=/usr/bin/mailhold gateway --config /etc/mailhold/mailhold.toml\n" in unit
    for name in ("man/man1/mailhold.1.gz", "man/man5/mailhold.toml.5.gz", "zsh/vendor-completions/_mailhold"):
        assert (Path("/usr/share") / name).is_file()
    assert "SupplementaryGroups" not in unit  # it starts where no Postfix is
    before = store.read_bytes()
    run("dpkg", "--remove", "mailhold")
    assert not Path(PROGRAM).exists() and not Path("/usr/lib/mailhold").exists()
    assert (FOLDER / "mailhold.toml").exists()
    said = run("dpkg", "--purge", "mailhold")
    assert f"{FOLDER} is kept" in said and f"{STATE} is kept" in said
    assert not (FOLDER / "mailhold.toml").exists()
    assert store.read_bytes() == before
    assert key_file.is_file() and (FOLDER / "gateway.credentials").is_file()
    assert run("dpkg-query", "--show", "--showformat=${Package}\n").find("mailhold\n") == -1
