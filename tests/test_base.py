"""The base without any extra: every command works except the console and the demo; what is missing is named."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.test_hygiene import ROOT, module_name
from tui.commands import COMMANDS

#: Packages of the extras, which the base works without.
EXTRAS = ("textual", "rich", "polars", "aiosmtpd", "prometheus_client", "uvloop", "psycopg")
#: Modules that may import them: the console, the demo, and the modules that use Polars or psycopg.
OF_EXTRAS = ("tui.console", "tui.demo", "tui.terminal.rich", "store.catalogue", "store.database.binary_results")
MAIL = "From: Anna <anna@x.example>\r\nTo: bob@corp.example\r\nSubject: Счёт 发票\r\n\r\nhello\r\n".encode()

Python = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def python(tmp_path: Path) -> Python:
    """Run Python with arguments; neither it nor its children can import packages of the extras."""
    blocked = tmp_path / "blocked"
    blocked.mkdir()
    (blocked / "sitecustomize.py").write_text(f"import sys\nsys.modules.update(dict.fromkeys({EXTRAS}))\n")
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(blocked), str(ROOT)]),
        "MAILHOLD_STORE": str(tmp_path / "s.db"),
        "MAILHOLD_KEY_FILE": str(tmp_path / "key"),
        "MAILHOLD_DEBUG": "1",
    }

    def run(*words: str, **more: str) -> subprocess.CompletedProcess[str]:
        line = [sys.executable, *words]
        env = {**environment, **more}
        return subprocess.run(line, capture_output=True, text=True, timeout=120, cwd=tmp_path, env=env, check=False)

    return run


@pytest.fixture
def mailhold(python: Python) -> Python:
    """Run a command of the base."""
    return lambda *words, **more: python("-m", "tui", *words, **more)


def done(result: subprocess.CompletedProcess[str]) -> str:
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_everything_but_the_extras_own_modules_can_be_imported(python: Python) -> None:
    names = [module_name(path) for folder in ("store", "tui") for path in sorted((ROOT / folder).rglob("*.py"))]
    names = [name for name in names if not name.endswith("__main__")]
    code = (
        "import importlib, sys\n"
        "for name in sys.argv[1:]:\n"
        "    try:\n        importlib.import_module(name)\n"
        "    except ImportError:\n        print(name)\n"
    )
    failed = done(python("-c", code, *names)).split()
    assert [name for name in failed if not name.startswith(OF_EXTRAS)] == []
    assert {"tui.console.app", "store.catalogue.frame"} <= set(failed)


def test_every_command_shows_its_help(python: Python, mailhold: Python) -> None:
    assert "usage" in done(mailhold("--help"))
    code = (
        "from tui.commands import COMMANDS\nfrom tui.commands.cli import main\n"
        "for name in COMMANDS:\n"
        "    try:\n        main([name, '--help'])\n"
        "    except SystemExit as end:\n        assert not end.code, name\n"
    )
    assert done(python("-c", code)).count("usage: mailhold ") == len(COMMANDS)


def test_mail_is_kept_found_and_taken_out_again(mailhold: Python, tmp_path: Path) -> None:
    (tmp_path / "a.eml").write_bytes(MAIL)
    (tmp_path / "b.eml").write_bytes(MAIL.replace(b"Anna", b"Zoe").replace(b"hello", b"bye"))
    done(mailhold("init"))
    done(mailhold("import", "a.eml", "b.eml", "--verdict", "anti-spam=spam"))
    assert len(done(mailhold("list")).splitlines()) == 2
    assert "发票" in done(mailhold("list", "from:zoe счёт", "--limit", "5"))
    lines = done(mailhold("list", "--sort", "from")).splitlines()
    assert [line.split()[0] for line in lines] == ["1", "2"]
    assert "hello" in done(mailhold("show", "1", "--raw"))
    assert "1 saved" in done(mailhold("save", "--query", "from:zoe", "--to", "out"))
    assert "2 deleted" in done(mailhold("delete", "--query", "to:bob", "--yes"))
    done(mailhold("check"))
    assert "15 minutes" in done(mailhold("settings", "set", "lock_after=15 min"))
    for words in (("rules",), ("lists",), ("queue",), ("keys",), ("status",), ("gateway", "--example-config")):
        assert done(mailhold(*words)), words


@pytest.mark.parametrize(
    ("words", "extra", "what"),
    [
        ((), "console", "The console needs Textual"),
        (("console",), "console", "The console needs Textual"),
        (("demo",), "demo", "The demo needs Textual"),
        (("init", "--store", "postgresql://localhost/mail"), "postgresql", "A store in PostgreSQL needs psycopg"),
    ],
)
def test_what_is_missing_is_named_with_its_extra(
    mailhold: Python, words: tuple[str, ...], extra: str, what: str
) -> None:
    result = mailhold(*words, MAILHOLD_DEBUG="")
    assert result.returncode == 2 and not result.stdout
    assert what in result.stderr and f"pip install 'mailhold[{extra}]'" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_a_gateway_s_configuration_names_what_it_needs(mailhold: Python, tmp_path: Path) -> None:
    done(mailhold("init"))
    done(mailhold("gateway", "enroll", "mx1", "--credentials", "mx1.credentials"))
    config = (
        f'[store]\nlocation = "{tmp_path / "s.db"}"\ncredentials = "{tmp_path / "mx1.credentials"}"\n'
        f'[milter]\nlisten = ["unix:{tmp_path / "milter"}"]\n'
    )
    (tmp_path / "m.toml").write_text(config)
    assert "opened as gateway mx1" in done(mailhold("gateway", "--check-config", "--config", "m.toml"))
    (tmp_path / "m.toml").write_text(f'{config}[engines.rspamd]\naddress = "127.0.0.1:9"\n')
    result = mailhold("gateway", "--check-config", "--config", "m.toml")
    assert result.returncode == 1, "it is asked without an extra"
    assert "✗ rspamd answers: Connection refused" in result.stdout
    (tmp_path / "m.toml").write_text(f'{config}[metrics]\nlisten = "127.0.0.1:9100"\n')
    result = mailhold("gateway", "--check-config", "--config", "m.toml", MAILHOLD_DEBUG="")
    assert result.returncode == 2 and "[metrics] of mailhold.toml needs prometheus-client" in result.stderr
    assert "pip install 'mailhold[gateway]'" in result.stderr
