"""Packaged files: man pages and completions made from the parser, and Debian's sources."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import msgspec
import pytest

from store.gateway import config
from tests.test_hygiene import ROOT
from tui.commands import COMMANDS

PACKAGING = ROOT / "packaging"


def test_pages_and_completions_are_current() -> None:
    done = subprocess.run(
        [sys.executable, PACKAGING / "make.py", "--check"], capture_output=True, text=True, timeout=60, cwd=ROOT
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_page_of_commands_has_them_all() -> None:
    page = (PACKAGING / "man" / "mailhold.1").read_text()
    assert re.findall(r'(?m)^\.SS "mailhold (\S+)"$', page) == list(COMMANDS)


def test_the_page_of_the_configuration_has_every_key() -> None:
    sections = re.split(r'(?m)^\.SS "\[+([a-z.]+)\]+"$', (PACKAGING / "man" / "mailhold.toml.5").read_text())[1:]
    shown = {name: set(re.findall(r"(?m)^\\fB([a-z_]+)\\fR = ", text)) for name, text in _pairs(sections)}
    tables = {field.name: field.type for field in msgspec.structs.fields(config.Config)}
    tables |= {"sink": config.SinkSection, "engines.clamd": config.ClamdSection}
    tables |= {"engines.rspamd": config.RspamdSection, "engines.spamd": config.SpamdSection}
    keys = {name: {field.name for field in msgspec.structs.fields(table)} for name, table in tables.items()}
    keys["engines"] -= {"clamd", "rspamd", "spamd"}
    assert shown == keys


def _pairs(words: list[str]) -> list[tuple[str, str]]:
    return list(zip(words[::2], words[1::2], strict=True))


@pytest.mark.parametrize("name", ["mailhold.1", "mailhold.toml.5"])
def test_troff_has_nothing_to_say_of_a_page(name: str) -> None:
    if not shutil.which("groff"):
        pytest.skip("groff is not installed (apt-get install groff-base)")
    line = ["groff", "-man", "-Tutf8", "-Kutf8", "-ww", "-z", str(PACKAGING / "man" / name)]
    done = subprocess.run(line, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


def test_bash_completes_commands_options_and_verbs() -> None:
    script = f"source {PACKAGING / 'completion' / 'mailhold'}; _init_completion() {{ return 1; }}; "
    script += 'complete_it() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=(); _shtab_mailhold; '
    script += 'echo "${COMPREPLY[*]}"; }; '
    script += "complete_it mailhold camp; complete_it mailhold bin rest; complete_it mailhold list --so"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=60)
    assert done.stdout.split() == ["campaigns", "restore", "--sort"], done.stderr


def test_debian_s_changelog_begins_with_this_release() -> None:
    release = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert (PACKAGING / "debian" / "changelog").read_text().startswith(f"mailhold ({release}-")


@pytest.mark.parametrize("script", ["postinst", "prerm", "postrm"])
def test_a_shell_reads_the_scripts(script: str) -> None:
    path: Path = PACKAGING / "debian" / script
    assert subprocess.run(["sh", "-n", path], capture_output=True, text=True, timeout=60).stderr == ""
