"""The systemd unit, and the lines for sysusers and tmpfiles, parsed by systemd's own programs."""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

import store
from store.installing.places import Places, Wanted
from store.installing.texts import sysusers, tmpfiles
from tests.test_hygiene import ROOT

pytestmark = pytest.mark.integration

UNIT = Path(store.__file__).parent / "gateway" / "mailhold-gateway.service"


def analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["systemd-analyze", *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60
    )


def test_systemd_takes_the_unit_and_finds_little_exposed(tmp_path: Path) -> None:
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd-analyze is not installed (apt-get install systemd)")
    # Replace only the path of the program.
    unit = tmp_path / UNIT.name
    unit.write_text(re.sub(r"(?m)^ExecStart=\S+", "ExecStart=/bin/true", UNIT.read_text()))
    verified = analyze("verify", "--man=no", str(unit))
    assert (verified.returncode, verified.stderr) == (0, "")
    exposure = re.search(
        r"Overall exposure level for \S+: ([\d.]+)", analyze("security", "--offline=1", str(unit)).stdout
    )
    assert exposure is not None
    assert float(exposure[1]) < 2.0


@pytest.mark.parametrize("packaged", [True, False], ids=["the package's", "setup's"])
def test_systemd_makes_the_user_and_the_folders(packaged: bool, tmp_path: Path) -> None:
    if missing := [each for each in ("systemd-sysusers", "systemd-tmpfiles") if not shutil.which(each)]:
        pytest.skip(f"{missing[0]} is not installed (apt-get install systemd)")
    if os.geteuid() != 0:
        pytest.skip("folders of other users are made by root alone, which the tests do not run as")
    root, debian = tmp_path / "root", ROOT / "packaging/debian"
    places = Places(Wanted(name="mx1", mta="postfix"))
    users, folders = tmp_path / "users.conf", tmp_path / "folders.conf"
    users.write_text((debian / "mailhold.sysusers").read_text() if packaged else sysusers(postfix=True))
    folders.write_text((debian / "mailhold.tmpfiles").read_text() if packaged else tmpfiles(places))
    (root / "etc").mkdir(parents=True)
    # Postfix's own user and group, as made by its package.
    (root / "etc/passwd").write_text("postfix:x:107:112::/var/spool/postfix:/usr/sbin/nologin\n")
    (root / "etc/group").write_text("postfix:x:112:\n")

    def call(program: str, *words: str) -> str:
        line = [program, f"--root={root}", *words]
        done = subprocess.run(line, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr

    assert "user 'mailhold' (Mailhold gateway)" in call("systemd-sysusers", "--dry-run", str(users))
    assert "mailhold" not in read(root, "passwd")
    call("systemd-sysusers", str(users))
    [entry] = re.findall(
        r"(?m)^mailhold:x:(\d+):(\d+):Mailhold gateway:/var/lib/mailhold:\S*nologin$", read(root, "passwd")
    )
    assert re.search(r"(?m)^postfix:x:112:mailhold$", read(root, "group")) or packaged
    call("systemd-tmpfiles", "--create", str(folders))
    made = {str(path.relative_to(root)): path.stat() for path in root.rglob("*") if "mailhold" in path.name}
    modes = {name: (stat.S_IMODE(each.st_mode), each.st_uid, each.st_gid) for name, each in made.items()}
    user, group = map(int, entry)
    expected = {"run/mailhold": (0o755, user, group), "var/lib/mailhold": (0o2770, user, group)}
    expected |= {"etc/mailhold": (0o750, 0, group)} if packaged else {"var/spool/postfix/mailhold": (0o750, user, 112)}
    assert modes == expected


def read(root: Path, name: str) -> str:
    return (root / "etc" / name).read_text()
