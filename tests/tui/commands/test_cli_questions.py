"""Commands that cannot be undone ask and say what is special; refusals say what happened, why and what to do."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from store.database.modes import ReadOnly
from store.opening.slots import SlotInfo
from tui.commands import passphrases
from tui.commands.cli import main
from tui.commands.keys import removal_question

Answer = Callable[[str], list[str]]


@pytest.fixture
def key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a store with a key file (slot 1) and a recovery key (slot 2)."""
    monkeypatch.setenv("MAILHOLD_STORE", str(tmp_path / "backup.db"))
    monkeypatch.setenv("MAILHOLD_KEY_FILE", str(tmp_path / "key"))
    assert main(["init"]) == 0
    return tmp_path / "key"


@pytest.fixture
def answer(monkeypatch: pytest.MonkeyPatch) -> Answer:
    """Make a terminal that gives an answer; the questions are added to the list."""

    def answered(text: str) -> list[str]:
        asked: list[str] = []

        def ask(question: str) -> str:
            asked.append(question)
            return text

        monkeypatch.setattr("tui.commands.asking.can_ask", lambda: True)
        monkeypatch.setattr("tui.commands.asking.ask", ask)
        return asked

    return answered


def slots(capsys: pytest.CaptureFixture[str]) -> list[int]:
    capsys.readouterr()
    assert main(["keys", "--json"]) == 0
    return [each["id"] for each in json.loads(capsys.readouterr().out)]


@pytest.mark.usefixtures("key")
def test_removing_a_key_asks_and_says_what_is_special(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], answer: Answer
) -> None:
    assert main(["keys", "add", "--new-key-file", str(tmp_path / "second"), "--name", "ben"]) == 0
    capsys.readouterr()
    for slot in ("1", "2", "3"):
        assert main(["keys", "remove", slot]) == 2
        assert "Nothing was done" in capsys.readouterr().err
    asked = answer("n")
    for slot in ("1", "2", "3"):
        assert main(["keys", "remove", slot]) == 2
    assert slots(capsys) == [1, 2, 3]
    assert "This command opened the store with it." in asked[0] and "last" not in asked[0]
    assert "It is the last recovery key. If the other keys are lost, nobody can then open the store." in asked[1]
    assert "a key file of ben" in asked[2] and "opened the store" not in asked[2] and "last" not in asked[2]
    assert all("This cannot be undone." in each for each in asked)
    answer("y")
    assert main(["keys", "remove", "3"]) == 0 and slots(capsys) == [1, 2]
    asked = answer("no")
    assert main(["keys", "remove", "1"]) == 2
    assert "It is the last key file." in asked[0] and "Only the recovery key then opens the store." in asked[0]
    assert main(["keys", "remove", "2", "--yes"]) == 0 and len(asked) == 1
    capsys.readouterr()
    assert main(["keys", "remove", "1", "--yes"]) == 1 and "last key slot" in capsys.readouterr().err


@pytest.mark.usefixtures("key")
def test_removing_a_key_that_is_not_there_asks_nothing(capsys: pytest.CaptureFixture[str], answer: Answer) -> None:
    asked = answer("y")
    assert main(["keys", "remove", "9"]) == 2 and not asked
    assert "There is no key slot 9." in capsys.readouterr().err
    assert main(["keys", "list", "--yes"]) == 2


def test_the_question_for_a_damaged_slot() -> None:
    said = removal_question([SlotInfo(1, "passphrase", "", 0)], 2, 1)
    assert said == "This removes key slot 2, which is damaged or was tampered with. This cannot be undone."
    said = removal_question([SlotInfo(1, "passphrase", "", 0), SlotInfo(2, "key-file", "a", 0)], 1, 1)
    assert said == (
        "This removes key slot 1, a passphrase: it no longer opens the store. It is the last passphrase. This command "
        "opened the store with it. Consoles that are open with it stay open. This cannot be undone."
    )


def test_a_short_passphrase_is_refused(monkeypatch: pytest.MonkeyPatch, key: Path, tmp_path: Path) -> None:
    for typed, taken in (("x", False), ("eleven char", False), ("twelve chars", True)):
        monkeypatch.setattr(passphrases, "ask_secret", lambda _prompt, typed=typed: typed)
        assert (main(["keys", "add"]) == 0) is taken
        monkeypatch.delenv("MAILHOLD_KEY_FILE")
        assert (main(["init", "--store", str(tmp_path / f"{typed}.db")]) == 0) is taken
        monkeypatch.setenv("MAILHOLD_KEY_FILE", str(key))


def test_without_a_terminal_the_message_names_what_was_to_be_typed(
    monkeypatch: pytest.MonkeyPatch, key: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(passphrases, "can_ask_secret", lambda: False)
    capsys.readouterr()
    assert main(["keys", "add"]) == 1
    assert "for the new passphrase" in (said := capsys.readouterr().err) and "--new-key-file" in said
    assert main(["--recovery", "status"]) == 1
    assert "for the recovery key" in (said := capsys.readouterr().err) and "--key-file" not in said
    monkeypatch.delenv("MAILHOLD_KEY_FILE")
    assert main(["init", "--store", str(tmp_path / "new.store")]) == 1
    assert "mailhold init --key-file F" in capsys.readouterr().err
    assert main(["status"]) == 1
    assert "needs a passphrase" in (said := capsys.readouterr().err) and "set MAILHOLD_KEY_FILE" in said


@pytest.mark.usefixtures("key")
@pytest.mark.parametrize("command", ["rules", "lists"])
def test_an_import_of_a_file_that_is_not_there_says_so(
    tmp_path: Path, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert main([command, "import", str(tmp_path / "nofile")]) == 1
    assert capsys.readouterr().err == (
        f"mailhold: {tmp_path / 'nofile'} cannot be read: No such file or directory. Nothing was changed. Name another "
        "file.\n"
    )


@pytest.mark.usefixtures("key")
def test_revoking_a_gateway_that_is_not_there_asks_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main(["gateway", "revoke", "mx9"]) == 2
    assert capsys.readouterr().err == "mailhold: There is no gateway 'mx9'. `mailhold gateway list` lists them.\n"


@pytest.mark.usefixtures("key")
def test_accepting_a_store_that_lacks_nothing_is_no_failure(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["settings", "set", "max_size=7 GB"]) == 0
    capsys.readouterr()
    before = (tmp_path / "backup.db").read_bytes()
    assert main(["restore"]) == 0
    said = capsys.readouterr().out
    assert "The store holds everything that was seen of it" in said
    assert "Nothing had to be accepted, and nothing was changed." in said and "add --yes" in said
    assert main(["restore", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["older"] is None
    assert (tmp_path / "backup.db").read_bytes() == before
    asked: list[str] = []
    monkeypatch.setattr("tui.commands.restore.can_ask", lambda: True)
    monkeypatch.setattr("tui.commands.restore.ask", lambda question: asked.append(question) or "y")
    assert main(["restore"]) == 0 and "for gateways that saw more of it" in asked[0]
    assert "The store is accepted." in capsys.readouterr().out


@pytest.mark.usefixtures("key")
def test_save_on_a_read_only_store_says_what_works_instead(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_words: object, **_options: object) -> None:
        raise ReadOnly(str(tmp_path / "backup.db"), "its file system is read-only", "Mount it for writing.").refusal()

    monkeypatch.setattr("store.opening.opening.open_store", refuse)
    capsys.readouterr()
    assert main(["save", "1", "--to", str(tmp_path / "out")]) == 1
    said = capsys.readouterr().err
    assert said.startswith(f"mailhold: The store {tmp_path / 'backup.db'} cannot be changed:")
    assert said.endswith("To write a message to a file anyway: `mailhold show --raw ID >FILE`.\n")


@pytest.mark.usefixtures("key")
def test_a_question_about_one_copy_names_its_senders_address_before_the_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "1.eml").write_text('From: "ceo@corp.example" <evil@x.example>\nSubject: pay\n\nhi\n')
    assert main(["import", str(tmp_path / "1.eml")]) == 0
    capsys.readouterr()
    assert main(["delete", "1"]) == 2
    said = capsys.readouterr().err
    assert 'copy 1 "pay" from evil@x.example ceo@corp.example' in said
    assert "`mailhold bin restore --last` undoes this until" in said
