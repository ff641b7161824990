"""The wheel in a fresh environment: the base alone, then with the console, on the oldest and the newest Python here."""

from __future__ import annotations

import mailbox
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from tests.integration.test_docs_commands import ENTERED, LEFT
from tests.integration.test_docs_commands import run as on_terminal
from tests.readme import README, scripts
from tests.test_hygiene import ROOT, tracked_files

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300), pytest.mark.xdist_group("wheel")]

_OLDEST = (3, 11)
_LOOK = "import sys; print(*sys.version_info[:2], sys.version_info.releaselevel)"
_UNREACHED = re.compile(
    r"Retrying|ConnectionError|Could not find a version|Temporary failure|Max retries", re.IGNORECASE
)
MAIL = b"From: Anna <anna@x.example>\r\nTo: bob@corp.example\r\nSubject: offer\r\n\r\nhello\r\n"


def run(*words: str | Path) -> str:
    """Run a program; return its output, standard error included. Fail with the output if the program fails."""
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stdout
    return done.stdout


def pip(*words: str | Path) -> str:
    """Run pip; skip if it cannot reach a package registry."""
    line = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "--retries", "1", *words]
    done = subprocess.run(line, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=240, check=False)
    if done.returncode and _UNREACHED.search(done.stdout):
        pytest.skip(f"pip does not get what it needs from its registry: {done.stdout.strip().splitlines()[-1]}")
    assert done.returncode == 0, done.stdout
    return done.stdout


@cache
def interpreters() -> dict[tuple[int, int], str]:
    """List every Python from 3.11 on that is installed here: version and path."""
    names = [f"python3.{minor}" for minor in range(11, 30)]
    found = [shutil.which(name) for name in names] + [
        shutil.which(name, path="/usr/bin:/usr/local/bin") for name in names
    ]
    found += [str(path) for path in sorted(Path.home().glob(".pyenv/versions/*/bin/python3"))]
    known: dict[tuple[int, int], str] = {}
    for program in [sys.executable, *filter(None, found)]:
        done = subprocess.run([program, "-c", _LOOK], capture_output=True, text=True, timeout=30, check=False)
        major, minor, level = (done.stdout.split() or ["0", "0", ""]) if not done.returncode else ("0", "0", "")
        if level == "final" and (int(major), int(minor)) >= _OLDEST:
            known.setdefault((int(major), int(minor)), program)
    return known


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel from the committed files only."""
    source = tmp_path_factory.mktemp("source")
    for path in tracked_files():
        if path.relative_to(ROOT).parts[0] in ("store", "tui", "packaging", "pyproject.toml", "README.md", "LICENSE"):
            target = source / path.relative_to(ROOT)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
    target = tmp_path_factory.mktemp("wheel")
    pip("wheel", "--no-deps", "--wheel-dir", target, source)
    [built] = target.glob("mailhold-*.whl")
    return built


def test_it_holds_every_file_of_the_two_packages(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    committed = {str(path.relative_to(ROOT)) for path in tracked_files()}
    assert {name for name in names if ".dist-info/" not in name and ".data/" not in name} == {
        name for name in committed if name.startswith(("store/", "tui/"))
    }
    assert {name.partition(".data/data/share/")[2] for name in names if ".data/" in name} == {
        "man/man1/mailhold.1",
        "man/man5/mailhold.toml.5",
        "bash-completion/completions/mailhold",
        "zsh/site-functions/_mailhold",
        "fish/vendor_completions.d/mailhold.fish",
    }
    assert {"store/py.typed", "tui/py.typed"} <= names


@pytest.fixture(params=["3.11", "the newest"])
def python(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Make a fresh environment without pip; return its `bin` folder."""
    known = interpreters()
    if request.param == "the newest":
        program = known[max(known)]
    elif _OLDEST in known:
        program = known[_OLDEST]
    else:
        pytest.skip("there is no Python 3.11")
    run(program, "-m", "venv", "--without-pip", tmp_path / "env")
    return str(tmp_path / "env" / "bin")


@pytest.fixture
def install(python: str, wheel: Path) -> Callable[[str], None]:
    """Return a function that installs the wheel with extras (`""`, `"[console]"`)."""
    options = ["--no-compile", "--only-binary", ":all:", "--constraint", str(ROOT / "constraints.txt")]
    return lambda extras: pip("--python", f"{python}/python", "install", *options, f"{wheel}{extras}") and None


def test_the_base_works_and_readme_s_first_minutes_with_the_console(
    python: str,
    install: Callable[[str], None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store, key_file, mail = tmp_path / "s.db", tmp_path / "key", tmp_path / "a.eml"
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PYTHONPATH", raising=False)
    monkeypatch.setenv("MAILHOLD_STORE", str(store))
    monkeypatch.setenv("MAILHOLD_KEY_FILE", str(key_file))
    mail.write_bytes(MAIL)
    (tmp_path / "m.toml").write_text(
        f'[store]\nlocation = "{store}"\ncredentials = "{tmp_path / "mx1"}"\n'
        f'[milter]\nlisten = ["unix:{tmp_path / "milter"}"]\n'
    )
    mailhold = f"{python}/mailhold"
    install("")
    assert run(mailhold, "--version").startswith("mailhold 0")
    assert "gateway" in run(mailhold, "--help")
    run(mailhold, "init")
    run(mailhold, "import", mail, "--verdict", "anti-spam=spam")
    assert "anna@x.example" in run(mailhold, "list")
    assert "anna@x.example" in run(mailhold, "list", "from:anna", "--sort", "size")
    assert run(mailhold, "list", "from:zoe") == ""
    run(mailhold, "gateway", "enroll", "mx1", "--credentials", tmp_path / "mx1")
    assert "opened as gateway mx1" in run(mailhold, "gateway", "--check-config", "--config", tmp_path / "m.toml")
    bare = subprocess.run([mailhold], capture_output=True, text=True, timeout=60, check=False)
    assert bare.returncode == 2 and "pip install 'mailhold[console]'" in bare.stderr
    assert len(bare.stderr.splitlines()) == 1
    install("[console]")
    assert "anna@x.example" in run(mailhold, "list", "from:anna", "--sort", "size")
    # The commands of the front page, in a home with the reader's own mail.
    (home := tmp_path / "home").mkdir()
    maildir = mailbox.Maildir(home / "Maildir", create=True)
    maildir.add(MAIL.replace(b"offer", b"a first offer"))
    maildir.add(MAIL.replace(b"x.example", b"example.org"))
    [minutes] = scripts(README)
    assert "mailhold init" in minutes and "$HOME/Maildir" in minutes
    code, told = on_terminal(["bash", "-e", "-c", minutes], home, programs=Path(python), shown="a first offer")
    assert code == 0, told
    assert "a first offer" in told[told.index(ENTERED) : told.rindex(LEFT)]
