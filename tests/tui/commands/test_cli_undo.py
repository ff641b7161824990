"""`mailhold undo` shows what it would do, asks, and reports what it did."""

from __future__ import annotations

import pytest

from tests.tui.commands.test_cli import Run
from tests.tui.commands.test_cli_rules import run

__all__ = ["run"]


def black(run: Run) -> list[str]:
    return list(run("lists", "--json").json["black"])


def test_undo_and_redo(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run("lists", "add", "black", "spammer.example").code == 0
    done = run("undo")
    assert done.code == 2 and "add --yes" in done.err
    assert "is undone: black list of the organisation: removed spammer.example" in done.out
    asked: list[str] = []
    monkeypatch.setattr("tui.commands.undo.can_ask", lambda: True)
    monkeypatch.setattr("tui.commands.undo.ask", lambda question: asked.append(question) or "n")
    assert run("undo").code == 2
    assert black(run) == ["spammer.example"] and asked == ["Undo it? [y/N] "]
    monkeypatch.setattr("tui.commands.undo.ask", lambda question: "y")
    assert run("undo").code == 0
    assert black(run) == []
    done = run("undo", "--yes")
    assert done.code == 1 and done.out == "Nothing that root did can be undone.\n"
    done = run("undo", "--again", "--yes")
    assert done.code == 0 and "is redone: " in done.out
    assert run("undo", "--again", "--yes").out == "Nothing that root did can be redone.\n"
    assert black(run) == ["spammer.example"]


def test_the_list_and_its_json(run: Run) -> None:
    assert run("undo", "--list").out == "There is nothing to list.\n"
    assert run("undo", "--json").json is None
    assert run("lists", "add", "black", "one.example").code == 0
    assert run("settings", "set", "administrator=a@corp.example").code == 0
    first, second = run("undo", "--list", "--json").json
    assert first["what"] == "settings changed: administrator: - -> a@corp.example"
    assert second["done"] == ["black list of the organisation: removed one.example"]
    assert "a@corp.example" in run("undo", "--list").out
    done = run("undo", "--yes", "--json")
    assert done.json == first
    assert run("undo", "--list", "--again", "--json").json[0]["act"] == first["act"]


def test_a_password_is_never_shown(run: Run) -> None:
    assert run("settings", "set", "relay=smtp://user:secret@127.0.0.1:25").code == 0
    for words in (["undo", "--list"], ["undo", "--yes"], ["undo", "--again", "--yes"]):
        done = run(*words)
        assert done.code == 0 and "secret" not in done.out + done.err
