"""Acts never select copies by accident, and large ones require typing the number of copies."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from store.opening.opening import Unlock, open_store
from store.opening.slots import add_passphrase
from store.space.rotation import Removal
from store.terms.records import CopyRecord
from store.vault.vault import Vault
from tests import prepared
from tests.tui.commands.asking import Asked, answered, asked
from tui.commands.cli import main
from tui.commands.printing import local_time
from tui.commands.selection import described

Main = Callable[..., int]
ACTING = [("delete", "--yes"), ("deliver", "--also", "z@y.example", "--yes"), ("save", "--to", "out", "--yes")]


def live_in(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Set the environment to the store in a folder."""
    monkeypatch.setenv("MAILHOLD_STORE", str(home / "backup.db"))
    monkeypatch.setenv("MAILHOLD_KEY_FILE", str(home / "key"))
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[3]))
    monkeypatch.chdir(home)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a folder with a store of four copies, once per module."""
    home = tmp_path_factory.mktemp("made")
    folder = home / "mail"
    folder.mkdir()
    for number in range(1, 5):
        text = f"From: {'ann' if number < 4 else 'bob'}@x.example\nTo: c@y.example\nSubject: number {number}\n\nhi\n"
        (folder / f"{number}.eml").write_text(text)
    with pytest.MonkeyPatch.context() as patch:
        live_in(home, patch)
        assert main(["init"]) == 0
        assert main(["import", str(folder)]) == 0
        assert main(["settings", "set", "relay=smtp://127.0.0.1:1"]) == 0
    return home


@pytest.fixture
def home(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Copy a folder with a store of four copies, and set the environment to it."""
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    live_in(tmp_path, monkeypatch)
    return tmp_path


def copies(capfd: pytest.CaptureFixture[str]) -> list[int]:
    capfd.readouterr()
    assert main(["list", "--json"]) == 0
    return [row["id"] for row in json.loads(capfd.readouterr().out)]


def nothing_done(home: Path, capfd: pytest.CaptureFixture[str]) -> bool:
    """Return True if all copies are there, none was saved and none queued."""
    left = copies(capfd)
    assert main(["queue", "--json"]) == 0
    return left == [4, 3, 2, 1] and json.loads(capfd.readouterr().out) == [] and not (home / "out").exists()


@pytest.mark.parametrize("query", ["", "  ", "\t\n", '""', '"', '"" ""', '" "', 'from:" "', '-" "', "\u00a0"])
@pytest.mark.parametrize("words", ACTING)
def test_an_empty_query_is_an_error_where_something_is_done(
    home: Path, capfd: pytest.CaptureFixture[str], words: tuple[str, ...], query: str
) -> None:
    capfd.readouterr()
    assert main([*words, "--query", query]) == 2
    out, err = capfd.readouterr()
    assert out == "" and "--all" in err and "empty" in err
    assert nothing_done(home, capfd)


def test_a_list_with_an_empty_query_shows_all(home: Path, capfd: pytest.CaptureFixture[str]) -> None:
    capfd.readouterr()
    assert main(["list", "", "--json"]) == 0
    assert len(json.loads(capfd.readouterr().out)) == 4


def test_a_script_s_unset_variable_names_no_folder_and_a_second_query_is_not_dropped(
    home: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for words in (["save", "1", "--to", ""], ["save", "--query", "n", "--query", "bob", "--to", "out", "--yes"]):
        with pytest.raises(SystemExit) as stop:
            main(words)
        assert stop.value.code == 2
    assert sorted(path.name for path in home.iterdir() if path.suffix == ".eml") == []
    assert nothing_done(home, capfd)


@pytest.mark.parametrize("more", [["1", "--all"], ["--all", "--query", "ann"], ["1", "--query", "ann"], [], ["1", ""]])
@pytest.mark.parametrize("words", ACTING)
def test_one_way_of_selecting_and_no_more(
    home: Path, capfd: pytest.CaptureFixture[str], words: tuple[str, ...], more: list[str]
) -> None:
    assert main([*words, *more]) == 2
    assert nothing_done(home, capfd)


def test_all_takes_all(home: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["save", "--all", "--to", "out", "--yes"]) == 0
    assert len(list((home / "out").iterdir())) == 4
    assert main(["deliver", "--all", "--also", "z@y.example", "--yes", "--json"]) == 0
    assert json.loads(capfd.readouterr().out.splitlines()[-1])["queued"] == 4
    assert main(["queue", "cancel", "1-4"]) == 0
    assert main(["delete", "--all", "--yes"]) == 0
    assert copies(capfd) == []


def test_a_question_says_when_several_copies_were_placed(vault: Vault) -> None:
    ids = [vault.put(b"raw", CopyRecord(), stored_at=at) for at in (0, 59_999, 60_000)]
    first, last = local_time(0), local_time(60_000)
    assert described(vault, ids[:2]) == f"2 copies, placed at {first}"
    assert described(vault, ids) == f"3 copies, placed between {first} and {last}"


@pytest.mark.parametrize("select", [["--query", "from:ann"], ["--all"]])
@pytest.mark.parametrize("words", [["delete"], ["deliver", "--also", "z@y.example"], ["save", "--to", "out"]])
def test_many_copies_by_query_need_yes_where_nobody_can_be_asked(
    home: Path, capfd: pytest.CaptureFixture[str], words: list[str], select: list[str]
) -> None:
    capfd.readouterr()
    assert main([*words, *select, "--json"]) == 2
    out, err = capfd.readouterr()
    count = 4 if select == ["--all"] else 3
    assert out == "" and f"{count} copies, placed " in err and "--yes" in err
    assert nothing_done(home, capfd)


def test_ids_are_meant_where_nothing_is_lost(home: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["save", "1-2", "4", "--to", "out"]) == 0
    assert main(["deliver", "1-2", "--also", "z@y.example"]) == 0
    assert main(["save", "--query", "from:bob", "--to", "other"]) == 0, "one copy is no surprise"
    assert main(["delete", "1-2"]) == 2
    assert main(["delete", "--query", "from:nobody"]) == 0, "nothing to ask about"
    assert copies(capfd) == [4, 3, 2, 1]


def test_the_number_is_typed_on_a_terminal(home: Path, capfd: pytest.CaptureFixture[str]) -> None:
    done = asked(home, ["save", "--query", "from:ann", "--to", "out", "--json"], b"3\n")
    assert done.code == 0
    assert len(json.loads(done.out)["saved"]) == 3, "what is asked stays out of standard output"
    assert "This saves 3 copies, placed " in done.shown
    done = asked(home, ["deliver", "--all", "--also", "z@y.example", "--json"], b"4\n")
    assert (done.code, json.loads(done.out)["queued"]) == (0, 4)
    assert main(["queue", "cancel", "1-4"]) == 0
    done = asked(home, ["delete", "4"], b"1\n")
    assert done.code == 0 and 'copy 4 "number 4" from bob@x.example' in done.shown
    assert copies(capfd) == [3, 2, 1]


@pytest.mark.parametrize(
    ("keys", "code"), [(b"\n", 2), (b"y\n", 2), (b"yes\n", 2), (b"4\n", 2), (b"33\n", 2), (b"\x04", 2), (b"\x03", 130)]
)
@pytest.mark.parametrize("words", [["delete"], ["deliver", "--also", "z@y.example"], ["save", "--to", "out"]])
def test_any_other_answer_does_nothing(
    home: Path, capfd: pytest.CaptureFixture[str], words: list[str], keys: bytes, code: int
) -> None:
    done = asked(home, [*words, "--query", "from:ann", "--json"], keys)
    assert (done.code, done.out) == (code, "")
    assert "othing was done" in done.shown and "Traceback" not in done.shown
    assert nothing_done(home, capfd)


def test_what_was_typed_before_the_question_is_no_answer(home: Path, capfd: pytest.CaptureFixture[str]) -> None:
    done = asked(home, ["delete", "--query", "from:ann"], b"no\n", early=b"3\n3\n")
    assert done.code == 2
    assert nothing_done(home, capfd)


@pytest.fixture
def half(home: Path) -> tuple[str, int]:
    """Return the setting of a maximum that two of the four copies exceed, and that maximum."""
    vault = open_store(str(home / "backup.db"), Unlock.key_file(home / "key"))
    try:
        count = vault.count()
        # Deleting copies frees their derived rows too, but the forecast does not count these.
        size = (count.used_bytes - count.derived_bytes) // 2 + count.derived_bytes + 1
    finally:
        vault.close()
    return f"max_size={size} bytes", size


def maximum(capfd: pytest.CaptureFixture[str]) -> int:
    capfd.readouterr()
    assert main(["settings", "--json"]) == 0
    size: int = json.loads(capfd.readouterr().out)["max_size"]
    return size


@pytest.mark.parametrize("value", ["200", "1", "7.5", "1,000"])
@pytest.mark.parametrize("name", ["max_size", "notify_below"])
def test_a_size_needs_its_unit(home: Path, capfd: pytest.CaptureFixture[str], name: str, value: str) -> None:
    capfd.readouterr()
    assert main(["settings", "set", f"{name}={value}", "--yes"]) == 2
    out, err = capfd.readouterr()
    assert out == "" and f"{value} has no unit" in err and f"{value}MB" in err
    assert (maximum(capfd), copies(capfd)) == (7500 << 20, [4, 3, 2, 1])


def test_a_smaller_maximum_says_what_would_go_and_needs_yes(
    home: Path, capfd: pytest.CaptureFixture[str], half: tuple[str, int]
) -> None:
    capfd.readouterr()
    assert main(["settings", "set", half[0], "--json"]) == 2
    out, err = capfd.readouterr()
    assert out == "" and "permanently removes the 2 oldest of 4 copies, all placed before 2" in err and "--yes" in err
    assert "100 MB is not recommended" in err
    assert (maximum(capfd), copies(capfd)) == (7500 << 20, [4, 3, 2, 1])
    assert main(["settings", "set", half[0], "--yes"]) == 0
    assert (maximum(capfd), copies(capfd)) == (half[1], [4, 3])
    assert main(["settings", "set", "max_size=1GB"]) == 0, "where nothing goes, nothing is asked"


@pytest.mark.parametrize(("keys", "code", "left"), [(b"2\n", 0, [4, 3]), (b"4\n", 2, [4, 3, 2, 1])])
def test_the_number_of_copies_that_a_smaller_maximum_takes_is_typed(
    home: Path, capfd: pytest.CaptureFixture[str], half: tuple[str, int], keys: bytes, code: int, left: list[int]
) -> None:
    done = asked(home, ["settings", "set", half[0]], keys)
    assert (done.code, bool(done.out)) == (code, not code)
    assert copies(capfd) == left


def test_copies_that_come_in_before_the_answer_are_asked_about(
    home: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, half: tuple[str, int]
) -> None:
    """If the question cannot be asked again, nothing is done."""
    from store.space import changing_settings, rotation

    real = rotation.would_remove
    looked: list[int] = []

    def earlier(vault: Vault, size: int, bin_share: int) -> Removal:
        looked.append(size)
        return Removal() if len(looked) == 1 else real(vault, size, bin_share)

    monkeypatch.setattr(rotation, "would_remove", earlier)
    monkeypatch.setattr(changing_settings, "would_remove", earlier)
    assert main(["settings", "set", half[0]]) == 2
    assert len(looked) == 2
    assert (maximum(capfd), copies(capfd)) == (7500 << 20, [4, 3, 2, 1])


def in_terminal_without_key(home: Path, monkeypatch: pytest.MonkeyPatch, secrets: list[bytes]) -> tuple[Asked, int]:
    """Run `mailhold status` without a key file, and type the secrets one by one; return also how many were left."""
    monkeypatch.delenv("MAILHOLD_KEY_FILE")
    with (home / "stdout").open("wb") as stdout:
        command = [sys.executable, "-m", "tui", "status"]
        pid, terminal = prepared.in_terminal(command, stdout=stdout.fileno())
    left = list(secrets)
    code, shown = answered(pid, terminal, lambda text: left.pop(0) if left and text.endswith("Passphrase: ") else b"")
    return Asked(code, (home / "stdout").read_text(), shown), len(left)


@pytest.fixture
def with_passphrase(home: Path) -> Path:
    with closing(open_store(str(home / "backup.db"), Unlock.key_file(home / "key"))) as vault:
        add_passphrase(vault, "correct horse battery", "root")
    return home


def test_a_mistyped_passphrase_is_asked_for_again(with_passphrase: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    typed = [b"correct horse batery\n", b"\n", b"correct horse battery\n"]
    found, left = in_terminal_without_key(with_passphrase, monkeypatch, typed)
    assert (found.code, left) == (0, 0) and "4 message copies" in found.out
    assert found.shown.count("Try again.") == 1


def test_a_passphrase_is_asked_for_three_times(with_passphrase: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found, left = in_terminal_without_key(with_passphrase, monkeypatch, [b"wrong\n"] * 4)
    assert (found.code, left, found.out) == (1, 1, "")
    assert found.shown.count("No key slot opens with that passphrase.") == 3
    assert found.shown.count("Try again.") == 2


def test_a_wrong_key_file_is_not_tried_again(
    home: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (home / "other").write_bytes(bytes(32))
    (home / "other").chmod(0o600)
    monkeypatch.setenv("MAILHOLD_KEY_FILE", str(home / "other"))
    assert main(["status"]) == 1
    assert "Try again" not in capfd.readouterr().err
