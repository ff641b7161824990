"""An interrupted import is resumed: no message twice, none lost; the next import takes all again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from store.authority.acts import folded
from store.authority.audit import events
from store.files.mailbox import import_paths
from store.terms.errors import StoreUnavailable
from store.vault.vault import Vault
from tests.conftest import PASSPHRASE

MESSAGES = 230


@pytest.fixture
def box(tmp_path: Path) -> Path:
    """Make an mbox of messages, two of each digest, and a folder of three files."""
    lines = []
    for number in range(MESSAGES):
        lines.append(f"From a@b.example Mon Nov 23 10:00:00 2026\nFrom: a@b.example\nSubject: {number // 2}\n\nx\n\n")
    folder = tmp_path / "mail"
    folder.mkdir()
    (folder / "all.mbox").write_text("".join(lines))
    return folder


def subjects(vault: Vault) -> list[int]:
    return sorted(int(copy.record.subject) for copy in vault.newest(10_000))


WHOLE = sorted(number // 2 for number in range(MESSAGES))

_IMPORTS = """
import os, signal, sys
from pathlib import Path
from store.files.mailbox import import_paths
from store.opening.opening import Unlock, open_store
vault = open_store(sys.argv[1], Unlock.passphrase(sys.argv[2]))
seen = 0
def progress(done, total):
    global seen
    seen += 1
    if seen == int(sys.argv[4]):
        os.kill(os.getpid(), signal.SIGKILL)
import_paths(vault, [Path(sys.argv[3])], operator="ada", progress=progress)
"""


def killed(vault: Vault, box: Path, after: int) -> None:
    command = [sys.executable, "-c", _IMPORTS, vault.location, PASSPHRASE, str(box), str(after)]
    assert subprocess.run(command, env=dict(os.environ), check=False).returncode == -signal.SIGKILL


def test_run_again_after_a_kill_it_places_the_rest(any_vault: Vault, box: Path) -> None:
    killed(any_vault, box, 120)
    assert len(subjects(any_vault)) == 100
    killed(any_vault, box, 180)
    first = len(subjects(any_vault))
    result = import_paths(any_vault, [box], operator="ada")
    assert (result.left_out, result.imported) == (first, MESSAGES - first)
    assert subjects(any_vault) == WHOLE
    assert import_paths(any_vault, [box], operator="ada").left_out == 0


def test_the_trail_says_what_was_placed_and_that_it_was_interrupted(vault: Vault, box: Path) -> None:
    killed(vault, box, 120)
    found = events(vault)
    [line] = folded(found, found[0].at + 60_000)
    assert list(line.copies) == sorted(vault.ids())
    assert line.detail == f"from {box}; interrupted after 100"


def test_one_that_was_cancelled_is_gone_on_with(vault: Vault, box: Path) -> None:
    asked = iter(range(1000))
    result = import_paths(vault, [box], operator="ada", cancelled=lambda: next(asked) >= 75)
    assert result.cancelled and 0 < result.imported < MESSAGES
    again = import_paths(vault, [box], operator="ada")
    assert again.left_out == result.imported
    assert subjects(vault) == WHOLE
    [second, first] = folded(events(vault), 0)
    assert first.detail.endswith("; cancelled") and second.detail.startswith("goes on from event 1; from ")


def test_one_whose_store_failed_is_gone_on_with(vault: Vault, box: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put, groups = vault.put_many, []

    def fails(*arguments: object) -> list[int]:
        groups.append(arguments)
        if len(groups) == 3:
            raise StoreUnavailable("The disk went away.")
        return put(*arguments)  # type: ignore[arg-type]

    with monkeypatch.context() as patched:
        patched.setattr(vault, "put_many", fails)
        broken = import_paths(vault, [box], operator="ada")
    assert broken.imported == 100 and broken.failed
    assert import_paths(vault, [box], operator="ada").left_out == 100
    assert subjects(vault) == WHOLE


def test_another_folder_is_not_gone_on_with(vault: Vault, box: Path, tmp_path: Path) -> None:
    killed(vault, box, 120)
    other = tmp_path / "other"
    other.mkdir()
    (other / "all.mbox").write_bytes((box / "all.mbox").read_bytes())
    assert import_paths(vault, [other], operator="ada").left_out == 0


def test_a_message_that_was_changed_meanwhile_is_placed(vault: Vault, box: Path) -> None:
    killed(vault, box, 120)
    path = box / "all.mbox"
    path.write_bytes(path.read_bytes().replace(b"Subject: 7\n", b"Subject: 777\n"))
    result = import_paths(vault, [box], operator="ada")
    assert result.left_out == 98
    assert subjects(vault).count(777) == 2
