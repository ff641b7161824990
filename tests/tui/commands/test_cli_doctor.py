"""`mailhold doctor` run like a user, against a scripted MTA in a thread."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from store.authority.settings import Settings
from store.message.message import summarise
from store.opening.opening import Unlock, create_store, open_store
from store.space.changing_settings import change_settings
from store.terms.verdicts import Action, Engine, Status, Verdict
from store.vault.vault import Vault
from tests.store.mail.smtp_server import ScriptedServer
from tui.commands.cli import main

FOUND = {
    b"EICAR": Verdict(Engine.ANTI_VIRUS, Status.INFECTED, "Eicar \x1b[2J"),
    b"GTUBE": Verdict(Engine.ANTI_SPAM, Status.SPAM, "score 999"),
}


@pytest.fixture
def opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Vault]:
    location, key = str(tmp_path / "backup.db"), tmp_path / "key"
    monkeypatch.setenv("MAILHOLD_STORE", location)
    monkeypatch.setenv("MAILHOLD_KEY_FILE", str(key))
    create_store(location, key_file=key)[0].close()
    vault = open_store(location, Unlock.key_file(key))
    yield vault
    vault.close()


@pytest.fixture
def mta(opened: Vault) -> Iterator[Callable[..., int]]:
    """Return a function that starts an MTA, which keeps each test message or follows a script, and returns its port."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    servers: list[ScriptedServer] = []

    def call(coroutine: Any) -> None:
        asyncio.run_coroutine_threadsafe(coroutine, loop).result(20)

    def start(script: Callable[[str, str], str | None] = lambda _point, _argument: None) -> int:
        def keeping(point: str, argument: str) -> str | None:
            if point == "replied":
                raw = server.taken[-1].content
                verdict = next(verdict for name, verdict in FOUND.items() if name in raw)
                record = replace(
                    summarise(raw), verdicts=(verdict,), reason=verdict, action=Action.DELETE_MESSAGE, rule_id=1
                )
                opened.put(raw, record)
            return script(point, argument)

        server = ScriptedServer(keeping)
        call(server.__aenter__())
        servers.append(server)
        return server.port

    yield start
    for server in servers:
        call(server.__aexit__())
    loop.call_soon_threadsafe(loop.stop)
    thread.join(10)


def test_all_is_well(mta: Callable[..., int], opened: Vault, capsys: pytest.CaptureFixture[str]) -> None:
    port = mta()
    assert main(["doctor", "--smtp", f"127.0.0.1:{port}", "--to", "a@gw.test", "--wait", "5"]) == 0
    out = capsys.readouterr().out
    assert "EICAR   ok" in out
    assert "GTUBE   ok" in out
    assert "Anti-Virus: Infected (Eicar " in out
    assert "\x1b" not in out
    assert opened.ids() == []


def test_as_json_and_kept(mta: Callable[..., int], opened: Vault, capsys: pytest.CaptureFixture[str]) -> None:
    change_settings(opened, Settings(administrator="admin@gw.test"))
    port = mta()
    arguments = ["doctor", "--smtp", f"127.0.0.1:{port}", "--only", "gtube", "--keep", "--json"]
    assert main(arguments) == 0
    [trace] = json.loads(capsys.readouterr().out)
    assert trace["ok"] is True
    assert trace["probe"] == "GTUBE"
    assert [step["step"] for step in trace["steps"]] == ["connect", "hand over", "keep", "act"]
    assert opened.ids() == [trace["copy"]["id"]]


def test_a_failed_step_is_shown_with_what_to_check(mta: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    port = mta(lambda point, _argument: "451 4.7.1 \x1b[31mlater" if point == "dot" else None)
    assert main(["doctor", "--smtp", f"127.0.0.1:{port}", "--to", "a@gw.test", "--only", "eicar"]) == 1
    out = capsys.readouterr().out
    assert "EICAR   FAILED" in out
    assert "hand over FAILED" in out
    assert "check:" in out
    assert "No gateway is enrolled in this store" in out
    assert "\x1b" not in out


def test_a_relay_that_was_not_tested_is_not_ok(
    mta: Callable[..., int], opened: Vault, capsys: pytest.CaptureFixture[str]
) -> None:
    change_settings(opened, Settings(relay="smtp://127.0.0.1:1"))
    port = mta(lambda point, _argument: "451 4.7.1 later" if point == "dot" else None)
    arguments = ["doctor", "--smtp", f"127.0.0.1:{port}", "--to", "a@gw.test", "--only", "eicar"]
    assert main(arguments) == 1
    assert "RELAY   not tested\n" in capsys.readouterr().out
    assert main([*arguments, "--json"]) == 1
    assert [each["ok"] for each in json.loads(capsys.readouterr().out)] == [False, False]


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--to", "no address"],
        ["--to", "a@gw.test", "--smtp", "host:port"],
        ["--to", "a@gw.test", "--wait", "-1"],
        ["--to", "a@gw.test", "--wait", "nan"],
        ["--to", "a@gw.test", "--only", "other"],
    ],
)
def test_wrong_usage(opened: Vault, arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    try:
        code = main(["doctor", *arguments])
    except SystemExit as stop:
        code = int(stop.code or 0)
    assert code == 2
    assert capsys.readouterr().err


def test_a_relay_that_leads_back_is_named(
    mta: Callable[..., int], opened: Vault, capsys: pytest.CaptureFixture[str]
) -> None:
    port, relay = mta(), mta()
    change_settings(opened, Settings(relay=f"smtp://127.0.0.1:{relay}"))
    assert main(["doctor", "--smtp", f"127.0.0.1:{port}", "--to", "a@gw.test", "--wait", "5", "--only", "gtube"]) == 1
    out = capsys.readouterr().out
    assert "GTUBE   ok" in out and "RELAY   FAILED" in out and "release_loops is off" in out
    assert opened.ids() == []  # the copies of both messages are deleted
