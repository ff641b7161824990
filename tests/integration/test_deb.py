"""Debian's package: built, installed on this machine, used, upgraded, removed and purged; the store is kept."""

from __future__ import annotations

import os
import pwd
import re
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
UNIT = Path("/usr/lib/systemd/system/mailhold-gateway.service")
DROP_INS = Path("/etc/systemd/system/mailhold-gateway.service.d")


def has_user() -> bool:
    return any(entry.pw_name == "mailhold" for entry in pwd.getpwall())


@pytest.fixture
def package(tmp_path: Path) -> Iterator[Path]:
    """Build the package; after the test, remove what its installation leaves."""
    if os.geteuid() != 0 or not shutil.which("dpkg-deb") or not Path("/usr/bin/python3").exists():
        pytest.skip("this is no Debian with its own Python, or the tests do not run as root")
    present = [
        str(path) for path in (STATE, FOLDER, DROP_INS, Path(PROGRAM), Path("/usr/lib/mailhold")) if path.exists()
    ]
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
        for path in (STATE, FOLDER, DROP_INS, Path("/run/mailhold")):
            shutil.rmtree(path, ignore_errors=True)
        if not had_user and has_user():
            subprocess.run(["userdel", "mailhold"], capture_output=True, timeout=60, check=False)


def next_release(package: Path, folder: Path) -> Path:
    """Build the package of a later version: its unit has one more line, and its programs one more module."""
    tree = folder / "tree"
    run("dpkg-deb", "--raw-extract", package, tree)
    control = tree / "DEBIAN/control"
    control.write_text(re.sub(r"(?m)^Version: .*", "Version: 999-1", control.read_text()))
    with (tree / UNIT.relative_to("/")).open("a") as unit:
        unit.write("# a later release\n")
    [packages] = tree.glob("usr/lib/mailhold/lib/python3*/site-packages")
    (packages / "store/added_later.py").touch()
    built = folder / "mailhold_999-1.deb"
    run("dpkg-deb", "--root-owner-group", "-Znone", "--build", tree, built)
    return built


def is_upgraded(package: Path, folder: Path) -> None:
    """Upgrade to a later version; assert that the administrators' files and changes are kept."""
    config, own = FOLDER / "mailhold.toml", DROP_INS / "override.conf"
    config.write_text(config.read_text() + "# mine\n")
    own.parent.mkdir(parents=True)
    own.write_text("[Service]\nLimitNOFILE=4096\n")
    (DROP_INS / "mailhold-setup.conf").write_text("[Service]\nReadWritePaths=/srv\n")
    kept = [each for each in (*STATE.iterdir(), *FOLDER.iterdir(), *DROP_INS.iterdir()) if each.is_file()]

    def state() -> list[tuple[Path, int, str, str, bytes]]:
        return [(each, each.stat().st_mode, each.owner(), each.group(), each.read_bytes()) for each in kept]

    before = state()
    assert {"mail.store", "key", "gateway.credentials", "mailhold.toml"} <= {each.name for each in kept}
    run("dpkg", "-i", next_release(package, folder))
    assert run("dpkg-query", "--show", "--showformat=${Version}", "mailhold") == "999-1"
    assert state() == before
    assert UNIT.read_text().endswith("# a later release\n")
    assert (STATE.stat().st_mode & 0o7777, STATE.owner(), STATE.group()) == (0o2770, "mailhold", "mailhold")
    # Only the later version's modules are left, newly compiled.
    assert len(list(Path("/usr/lib/mailhold/lib").rglob("__pycache__/added_later.*.pyc"))) == 1
    assert "opened as gateway mx1" in run(PROGRAM, "gateway", "--check-config")
    assert "Nothing is missing" in run(PROGRAM, "setup", "--mta", "none", "--name", "mx1", "--yes")


def test_it_is_installed_used_upgraded_and_purged_and_the_store_stays(package: Path, tmp_path: Path) -> None:
    run("dpkg", "-i", package)
    assert run(PROGRAM, "--version").startswith("mailhold 0")
    assert has_user()
    assert (STATE.stat().st_mode & 0o7777, STATE.owner(), STATE.group()) == (0o2770, "mailhold", "mailhold")
    assert (FOLDER.stat().st_mode & 0o7777, FOLDER.owner(), FOLDER.group()) == (0o750, "root", "mailhold")
    assert list(STATE.iterdir()) == list(FOLDER.iterdir()) == []  # installing creates no store, key or configuration
    store, key_file, mail = STATE / "mail.store", FOLDER / "key", tmp_path / "a.eml"
    mail.write_bytes(MAIL)
    where = ["--store", str(store), "--key-file", str(key_file)]
    # The package ignores the caller's Python: modules of the same name and PYTHON* variables.
    (tmp_path / "store.py").write_text("raise SystemExit('a stranger')\n")
    clean = ["env", "-C", str(tmp_path), f"PYTHONPATH={tmp_path}", PROGRAM]
    said = run(*clean, "setup", "--mta", "none", "--name", "mx1", "--yes")
    assert "the package has it at /usr/lib/systemd/system/mailhold-gateway.service" in said
    assert "opened as gateway mx1" in said
    assert not Path("/etc/systemd/system/mailhold-gateway.service").exists()
    run(*clean, "import", *where, str(mail), "--verdict", "anti-spam=spam")
    assert "anna@x.example" in run(*clean, "list", *where)
    assert "anna@x.example" in run(*clean, "list", *where, "from:anna", "--sort", "size")  # required by polars
    assert "# mailhold.toml" in run(PROGRAM, "gateway", "--example-config")
    unit = UNIT.read_text()
    assert "ExecStart=/usr/bin/mailhold gateway --config /etc/mailhold/mailhold.toml\n" in unit
    documents = ("man/man1/mailhold.1.gz", "man/man5/mailhold.toml.5.gz", "doc/mailhold/docs/operations.md")
    for name in (*documents, "zsh/vendor-completions/_mailhold"):
        assert (Path("/usr/share") / name).is_file()
    assert "SupplementaryGroups" not in unit  # the gateway starts without Postfix
    is_upgraded(package, tmp_path)
    assert "anna@x.example" in run(*clean, "list", *where)
    before = store.read_bytes()
    run("dpkg", "--remove", "mailhold")
    assert not Path(PROGRAM).exists() and not Path("/usr/lib/mailhold").exists()
    assert (FOLDER / "mailhold.toml").exists()
    said = run("dpkg", "--purge", "mailhold")
    assert f"{FOLDER} is kept" in said and f"{STATE} is kept" in said
    assert not (FOLDER / "mailhold.toml").exists()
    assert [each.name for each in DROP_INS.iterdir()] == ["override.conf"]  # made by an administrator
    assert store.read_bytes() == before
    assert key_file.is_file() and (FOLDER / "gateway.credentials").is_file()
    assert run("dpkg-query", "--show", "--showformat=${Package}\n").find("mailhold\n") == -1
