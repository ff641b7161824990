"""`mailhold bin`, and `mailhold delete` with a bin, on a real store."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from store.space.bin import Promise
from tui.commands.cli import main
from tui.terminal.bin_words import length, promise_words

HOUR = 3_600_000


class Cli:
    """The command line: runs `mailhold` in this process."""

    def __init__(self, capfd: pytest.CaptureFixture[str]) -> None:
        self._capfd = capfd
        self.code = 0
        self.out = self.err = ""

    def __call__(self, *words: str) -> str:
        self._capfd.readouterr()
        self.code = main(list(words))
        self.out, self.err = self._capfd.readouterr()
        return self.out

    def json(self, *words: str) -> Any:
        return json.loads(self(*words, "--json"))

    def ids(self) -> list[int]:
        return sorted(row["id"] for row in self.json("list", "--limit", "99"))


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Cli:
    """Make a store with copies 1 to 6."""
    monkeypatch.setenv("MAILHOLD_STORE", str(tmp_path / "backup.db"))
    monkeypatch.setenv("MAILHOLD_KEY_FILE", str(tmp_path / "key"))
    for number in range(6):
        (tmp_path / f"{number}.eml").write_text(f"From: a@x.example\nTo: b@y.example\nSubject: number {number}\n\nhi\n")
    assert main(["init"]) == main(["import", *(str(path) for path in sorted(tmp_path.glob("*.eml")))]) == 0
    return Cli(capfd)


def test_what_was_deleted_last_comes_back(cli: Cli) -> None:
    said = cli("delete", "2-3", "--yes")
    assert said.startswith("2 deleted, in the bin until ") and "bin restore --last" in said
    cli("delete", "5", "--yes")
    assert cli.ids() == [1, 4, 6]
    acts = cli.json("bin")
    assert [(act["copies"], act["left"], act["restored"], act["gone"]) for act in acts] == [(1, 1, 0, 0), (2, 2, 0, 0)]
    assert all(act["operator"] and act["at"] < act["until"] and act["size"] for act in acts)
    assert cli("bin", "restore", "--last") == "1 copy restored from the bin\n" and cli.ids() == [1, 4, 5, 6]
    assert cli("bin", "restore", "--last") == "2 copies restored from the bin\n" and cli.ids() == [1, 2, 3, 4, 5, 6]
    cli("bin", "restore", "--last")
    assert cli.code == 2 and "The bin holds nothing that you deleted" in cli.err
    assert cli("bin") == "The bin is empty.\n"
    assert (cli("check"), cli.code)[1] == 0


def test_an_act_comes_back_in_part(cli: Cli) -> None:
    act = cli.json("delete", "1-4", "--yes")["act"]
    assert cli.json("bin", "restore", "2-3", "77") == {"restored": 2, "there": [], "gone": [77], "refused": []}
    assert cli.code == 1 and "copy 77: There is no message copy 77" in cli.err
    assert "2 of 4 back" in cli("bin")
    cli("bin", "empty", "1", "--yes")
    assert cli.code == 0 and "2 of 4 back, 1 gone" in cli("bin")
    assert cli("bin", "restore", "--act", str(act)) == "1 copy restored from the bin\n"
    assert cli.ids() == [2, 3, 4, 5, 6]
    cli("bin", "restore", "--act", str(act))
    assert cli.code == 2 and f"The bin holds no copies of act {act}" in cli.err


def test_emptying_asks_for_the_number(cli: Cli) -> None:
    cli("delete", "1-3", "--yes")
    cli("bin", "empty")
    assert cli.code == 2 and "permanently deletes 3 copies of 3 copies in the bin" in cli.err and "--yes" in cli.err
    assert cli.json("bin", "empty", "--yes") == {"deleted": 3, "missing": [], "refused": [], "erased": True}
    assert cli("bin") == "The bin is empty.\n" and cli.ids() == [4, 5, 6]
    cli("bin", "restore", "1")
    assert cli.code == 1
    assert (cli("check"), cli.code)[1] == 0


def test_a_copy_in_the_bin_is_named_where_it_is_asked_for(cli: Cli) -> None:
    cli("delete", "3", "--yes")
    for words in (["show", "3"], ["save", "3", "--to", "/tmp"], ["deliver", "3", "--also", "x@y.example", "--yes"]):
        assert (cli(*words), cli.code)[1] != 0
    cli("show", "3")
    assert "Message copy 3 is in the bin" in cli.err and "mailhold bin restore 3" in cli.err


def test_deleting_for_good_and_without_a_bin(cli: Cli) -> None:
    done = cli.json("delete", "1", "--yes", "--for-good")
    assert (done["deleted"], done["binned"], done["act"], done["until"], done["erased"]) == (1, 0, None, None, True)
    done = cli.json("delete", "2", "--yes")
    assert (done["deleted"], done["binned"], done["erased"]) == (1, 1, False) and done["until"]
    assert "bin_days        off" in cli("settings", "set", "bin_days=off", "bin_share=5 %")
    assert "bin_share       5 %" in cli("settings")
    assert cli("delete", "3", "--yes") == "1 deleted\n"
    assert [act["left"] for act in cli.json("bin")] == [1]
    assert "bin: 1 copy, " in cli("status")
    for wrong in ("bin_days=4000", "bin_days=soon", "bin_share=90", "bin_share=-1"):
        assert (cli("settings", "set", wrong), cli.code)[1] == 2


@pytest.mark.parametrize(
    "words",
    [
        ["bin", "restore"],
        ["bin", "restore", "1", "--last"],
        ["bin", "restore", "1", "--yes"],
        ["bin", "list", "3"],
        ["bin", "list", "--yes"],
        ["bin", "empty", "--last"],
        ["bin", "empty", "3", "--act", "1"],
        ["bin", "restore", "x"],
    ],
)
def test_wrong_usage(cli: Cli, words: list[str]) -> None:
    cli(*words)
    assert cli.code == 2 and cli.err.startswith("mailhold: ") and cli.ids() == [1, 2, 3, 4, 5, 6]


def test_the_promise_in_words() -> None:
    until = 1_796_200_000_000
    assert promise_words(Promise(until)).startswith("until ")
    assert promise_words(Promise(until, 30 * HOUR)).endswith(", or about 30 hours at this rate")
    assert [length(ms) for ms in (0, HOUR // 2, HOUR, 2 * HOUR, 71 * HOUR, 72 * HOUR, 240 * HOUR)] == [
        *("1 minute", "30 minutes", "60 minutes", "2 hours", "71 hours", "3 days", "10 days")
    ]


@pytest.mark.parametrize(
    "command", [("delete", "--yes"), ("deliver", "--also", "c@x.example"), ("save", "--to", "out")]
)
def test_a_command_says_that_a_copy_is_in_the_bin_and_how_to_restore_it(
    cli: Cli, command: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    cli("settings", "set", "relay=smtp://127.0.0.1:9")
    cli("delete", "2-4", "--yes")
    cli(*command, "3")
    assert cli.code == 1
    assert "mailhold: copy 3: Message copy 3 is in the bin. To restore it: `mailhold bin restore 3`.\n" in cli.err
    cli(*command, "2-4")
    assert cli.code == 1
    assert "mailhold: copies 2-4: Backup has none of them; 3 of them are in the bin." in cli.err
    advice = cli.err.split("`mailhold ")[1].split("`")[0]
    cli(*command, "700-705")
    assert cli.code == 1 and "mailhold: copies 700-705: Backup has no copy with such an ID" in cli.err
    cli(*advice.split())
    assert cli.code == 0 and cli.ids() == [1, 2, 3, 4, 5, 6]


def test_a_range_without_copies_in_the_bin_is_a_failure(cli: Cli) -> None:
    cli("delete", "2", "--yes")
    for verb in ("restore", "empty"):
        cli("bin", verb, "700-705")
        assert cli.code == 1
        assert cli.err == "mailhold: copies 700-705: none of them is in the bin. `mailhold bin` lists what is.\n"
    cli("bin", "restore", "2", "3-5")
    assert cli.code == 1 and "copies 3-5" in cli.err and cli.ids() == [1, 2, 3, 4, 5, 6]


def test_the_reason_of_a_missing_copy_is_in_the_json_too(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    cli("delete", "2", "--yes")
    [failed] = cli.json("save", "2", "--to", "out")["failed"]
    assert failed["id"] == 2 and "in the bin" in failed["error"]
    assert cli.json("delete", "2", "--yes")["missing"] == [2]
