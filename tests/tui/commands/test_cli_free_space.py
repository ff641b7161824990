"""Commands that fill Backup or change its settings notify the administrator when the threshold is crossed: once."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest

from tests.store.mail.smtp_server import ScriptedServer
from tui.commands.cli import main


@pytest.fixture
def mail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a folder of twelve messages of about 20 KB, and a new store set in the environment."""
    monkeypatch.setenv("MAILHOLD_STORE", str(tmp_path / "backup.db"))
    monkeypatch.setenv("MAILHOLD_KEY_FILE", str(tmp_path / "key"))
    assert main(["init"]) == 0
    folder = tmp_path / "mail"
    folder.mkdir()
    for number in range(12):
        body = os.urandom(10_000).hex()
        (folder / f"{number}.eml").write_text(f"From: a@b.example\nSubject: {number}\n\n{body}\n")
    return folder


async def mailhold(*arguments: str) -> int:
    """Run the command as its own process; return its exit code."""
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "tui", *arguments)
    return await asyncio.wait_for(process.wait(), 60)


async def test_import_and_settings_tell_once(mail: Path) -> None:
    async with ScriptedServer() as server:
        relay = f"relay=smtp://127.0.0.1:{server.port}"
        assert await mailhold("settings", "set", "max_size=1 MB", "notify_below=900 KB") == 0
        assert await mailhold("settings", "set", relay, "administrator=admin@example.org") == 0
        assert server.taken == []
        assert await mailhold("import", str(mail)) == 0
        assert await mailhold("import", str(mail)) == 0
        assert [taken.rcpt for taken in server.taken] == [["admin@example.org"]]
        assert await mailhold("delete", "1-24", "--yes", "--for-good") == 0
        assert await mailhold("import", str(mail)) == 0
        assert len(server.taken) == 2
        assert await mailhold("delete", "25-30", "--yes", "--for-good") == 0
        assert await mailhold("settings", "set", "notify_below=1000 KB") == 0
        assert len(server.taken) == 3


async def test_a_relay_out_of_reach_fails_no_import(mail: Path) -> None:
    settings = ["max_size=1 MB", "notify_below=900 KB", "relay=smtp://127.0.0.1:1", "administrator=admin@example.org"]
    assert await mailhold("settings", "set", *settings) == 0
    assert await mailhold("import", str(mail)) == 0
