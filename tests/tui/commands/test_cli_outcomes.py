"""The outcomes of released copies in the commands `list`, `show` and `status`, as text and as JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from store.authority.settings import Settings
from store.delivery import leases
from store.delivery.queue import cancel, release
from store.helpers.clock import now_ms
from store.mail.outcome import Outcome, State
from store.opening.slots import add_key_file
from store.space.changing_settings import change_settings
from store.vault.vault import Vault
from tests.tui.console.fakes import NOW, sample
from tui.commands.cli import main

AT = "2026-11-24T07:41:03.000Z"


@pytest.fixture
def ids(vault: Vault) -> list[int]:
    """Make five copies: sent to one of two recipients, unknown, deferred, cancelled, and never released."""
    change_settings(vault, Settings(relay="smtp://127.0.0.1:1", allow_infected=True))
    copies = vault.put_many((b"Subject: x\r\n\r\nx\r\n", sample(number), NOW) for number in range(5))
    ends = ([State.SENT, State.FAILED], [State.UNKNOWN], [State.DEFERRED])
    at = 1_795_506_063_000
    for copy_id, states in zip(copies, ends, strict=False):
        to = [f"{place}@x.example" for place in range(len(states))]
        release(vault, [copy_id], original=False, additional=to, operator="ada")
        with vault.write():
            [claim] = leases.claim(vault, 1, "w", 1, now_ms(), 60_000)
            found = {each: Outcome(state, "said") for each, state in zip(claim.live, states, strict=True)}
            leases.settle(vault, claim, found, at)
    queued = release(vault, copies[3:4], original=True).queued
    cancel(vault, queued[0])
    return copies


@pytest.fixture
def run(vault: Vault, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Any:
    key = tmp_path / "key"
    add_key_file(vault, key)
    monkeypatch.setenv("MAILHOLD_STORE", vault.location)
    monkeypatch.setenv("MAILHOLD_KEY_FILE", str(key))

    def call(*words: object) -> str:
        capsys.readouterr()
        assert main([str(word) for word in words]) == 0
        return capsys.readouterr().out

    return call


def test_list_says_who_got_it_when(run: Any, ids: list[int]) -> None:
    rows = {row["id"]: row for row in json.loads(run("list", "--json"))}
    assert [rows[copy_id]["delivered"] for copy_id in ids] == ["partly", "unknown", "waiting", "no", "no"]
    assert rows[ids[0]]["recipients"] == [
        {"address": "0@x.example", "state": "sent", "at": AT},
        {"address": "1@x.example", "state": "failed", "at": AT},
    ]
    assert rows[ids[3]]["recipients"][0]["state"] == "cancelled" and rows[ids[4]]["recipients"] == []
    signs = {int(line.split()[0]): line[27:30] for line in run("list").splitlines()}
    assert [signs[copy_id] for copy_id in ids] == [" ◒ ", " ? ", " ◷ ", "   ", "   "]
    found = json.loads(run("list", "delivered:partly,unknown", "--json"))
    assert [row["id"] for row in found] == [ids[1], ids[0]]


def test_show_says_who_got_it_when(run: Any, ids: list[int]) -> None:
    shown = json.loads(run("show", ids[0], "--json"))
    assert shown["delivered"] == "partly" and shown["released"]["by"] == "ada"
    assert shown["recipients"] == [
        {"address": "0@x.example", "state": "sent", "at": AT},
        {"address": "1@x.example", "state": "failed", "at": AT},
    ]
    text = run("show", ids[0])
    assert "partly" in text and "1@x.example  failed  24 Nov 2026 " in text
    assert json.loads(run("show", ids[4], "--json"))["released"] is None


def test_status_counts_what_to_look_at(run: Any, ids: list[int]) -> None:
    status = json.loads(run("status", "--json"))
    assert [status[name] for name in ("queue", "put_off", "failed", "unknown")] == [1, 1, 1, 1]
    assert "delivery queue: 1 waiting, 1 of them deferred · 1 failed · 1 unknown" in run("status")
