"""`mailhold rules` and `mailhold lists`, run like a user."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest

from store.authority import audit
from store.opening.opening import Unlock, open_store
from tests.tui.commands.test_cli import Done, Run
from tui.commands.cli import main


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """Run `mailhold` in this process on a new store."""
    monkeypatch.setenv("MAILHOLD_STORE", str(tmp_path / "backup.db"))
    monkeypatch.setenv("MAILHOLD_KEY_FILE", str(tmp_path / "key"))
    assert main(["init"]) == 0

    def call(*arguments: str | Path | int) -> Done:
        capfd.readouterr()
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as stop:
            code = int(stop.code or 0)
        return Done(code, *capfd.readouterr())

    return call


def type_in(text: str | bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    data = text if isinstance(text, bytes) else text.encode()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))


def order(run: Run) -> list[int]:
    return [rule["id"] for rule in run("rules", "--json").json]


def test_in_a_new_store_mail_that_cannot_be_scanned_or_copied_waits(run: Run) -> None:
    waits = {"anti-virus": "temporary-fail", "anti-spam": "temporary-fail", "anti-phishing": "temporary-fail"}
    assert run("rules", "add", "Partners", "--sender", "partner.example").code == 0
    assert run("rules", "add", "Finance", "--if-down", "anti-spam=go-on").code == 0
    assert [rule["if_down"] for rule in run("rules", "--json").json] == [waits, {**waits, "anti-spam": "go-on"}, waits]
    assert run("settings", "get", "if_unavailable").out.split() == ["if_unavailable", "temporary-fail"]
    assert run("check").code == 0


def test_rules_are_added_changed_moved_and_removed(run: Run) -> None:
    assert "every message" in run("rules").out
    done = run("rules", "add", "Partners", "--sender", "partner.example", "--sender", "*.partner.example",
               "--network", "192.0.2.9/24", "--action", "anti-spam.spam=skip", "--scanner", "clamd")  # fmt: skip
    assert done.code == 0
    assert "from partner.example +1; client 192.0.2.0/24" in done.out
    assert run("rules", "add", "Finance", "--recipient", "finance@corp.example", "--every-recipient", "yes",
               "--max-size", "20MB", "--if-down", "anti-virus=temporary-fail", "--ban-name", "*.exe",
               "--ban-format", "executable").code == 0  # fmt: skip
    assert order(run) == [2, 3, 1]
    assert run("rules", "move", 3, 1).code == 0
    assert order(run) == [3, 2, 1]
    assert run("rules", "disable", 2, 3).code == 0
    assert run("rules", "enable", 3).code == 0
    finance, partners, default = run("rules", "--json").json
    assert (finance["enabled"], partners["enabled"], default["enabled"]) == (True, False, True)
    assert finance["content"] == {"banned_names": ["*.exe"], "banned_formats": ["executable"], "max_size": 20 << 20}
    assert finance["every_recipient"] is True
    assert finance["if_down"]["anti-virus"] == "temporary-fail"
    assert partners["scanners"] == ["clamd"]
    assert "- disabled" in run("rules").out
    assert run("rules", "set", 2, "--sender", "", "--scanner", "all", "--name", "Everyone").code == 0
    partners = run("rules", "show", 2, "--json").json
    assert (partners["senders"], partners["scanners"], partners["name"]) == ([], None, "Everyone")
    assert partners["actions"]["anti-spam"]["spam"] == "skip"
    assert run("rules", "remove", 2, 3).code == 0
    assert run("rules", "add", "Third").code == 0
    assert order(run) == [4, 1]


def test_rules_go_out_and_in_as_toml(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run("rules", "add", "Partners", "--sender", "partner.example")
    file = tmp_path / "rules.toml"
    assert run("rules", "export", file).code == 0
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.read_text() == run("rules", "export").out
    again = run("rules", "export", file)
    assert (again.code, again.err) == (2, f"mailhold: {file} already exists. Nothing was written. Give a new file.\n")
    elsewhere = run("lists", "export", tmp_path / "none" / "x")
    assert elsewhere.code == 2 and "cannot be written: No such file or directory. Give another file." in elsewhere.err
    assert run("rules", "import", file).out == "No change.\n"
    text = file.read_text().replace('"Partners"', '"Our partners"') + '\n[[rule]]\nname = "New"\n'
    text = text.replace("[[rule]]\nid = 1\n", "[[rule]]\nid = 9\n").replace('"Default"', '"Nine"')
    file.write_text(text)
    dry = run("rules", "import", file, "--dry-run")
    assert dry.out.startswith("This would change:\n")
    assert order(run) == [2, 1]
    done = run("rules", "import", file)
    assert done.out.replace("Changed:", "This would change:") == dry.out
    assert "rule 2 (Our partners) changed: name" in done.out
    assert "rule 10 (New) added" in done.out
    assert order(run) == [2, 9, 10, 1]
    file.write_text('[[rule]]\nname = "x"\nsenders = ["a b"]\n')
    wrong = run("rules", "import", file)
    assert (wrong.code, order(run)) == (2, [2, 9, 10, 1])
    assert f"{file}, line 3: " in wrong.err
    type_in('[[rule]]\nname = "Piped"\n', monkeypatch)
    assert [rule["name"] for rule in run("rules", "import", "-", "--json").json] == ["Piped", "Default"]
    type_in("", monkeypatch)
    empty = run("rules", "import", "-")
    assert (empty.code, "standard input has no rule, so this would remove all rules but Default" in empty.err) == (
        2,
        True,
    )
    assert [rule["name"] for rule in run("rules", "--json").json] == ["Piped", "Default"]
    assert "removed" in run("rules", "import", "-", "--dry-run").out
    assert run("rules", "import", "-", "--yes").code == 0
    assert [rule["name"] for rule in run("rules", "--json").json] == ["Default"]
    assert run("rules", "import", "-").out == "No change.\n"
    type_in(b"\n\xff", monkeypatch)
    assert "line 2: this is not UTF-8" in run("rules", "import", "-").err


def test_a_rule_is_shown_as_it_would_be_written(run: Run) -> None:
    out = run("rules", "show", 1).out
    assert out.startswith('[[rule]]\nid = 1\nname = "Default"\n')
    assert out.endswith("content.max-size = 0\n")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("disable", 1), "cannot be disabled"),
        (("remove", 1), "cannot be removed"),
        (("move", 1, 1), "cannot be moved"),
        (("show", 7), "Rule 7 does not exist"),
        (("remove", "x"), "not a rule's ID"),
        (("move", 2), "rules move RULE POSITION"),
        (("add",), "rules add NAME"),
        (("add", "Default"), "Two rules are named"),
        (("add", " "), "needs a name"),
        (("set", 1), "needs an option that says what to change"),
        (("set", 1, "--sender", "a.b"), "no conditions"),
        (("set", 1, "--action", "anti-spam.spam"), "Use ENGINE.STATUS=ACTION"),
        (("set", 1, "--action", "anti-spam.spam=disinfect"), "not possible"),
        (("set", 1, "--action", "anti-spam.infected=skip"), "no status of anti-spam `infected`"),
        (("set", 1, "--action", "x.spam=skip"), "no engine `x`"),
        (("set", 1, "--if-down", "content=go-on"), "no engine `content`"),
        (("set", 1, "--if-down", "anti-virus"), "is not ENGINE=CHOICE"),
        (("set", 1, "--max-size", "big"), "not a size"),
        (("add", "x", "--sender", "a b"), "not a pattern"),
        (("add", "x", "--network", "10"), "not a network"),
        (("list", "--sender", "a.b"), "--sender is only for"),
        (("list", "--dry-run"), "--dry-run is only for"),
        (("export", "--json"), "`rules export` writes TOML"),
        (("import", "/nowhere/r.toml"), "No such file"),
    ],
)
def test_what_is_wrong_is_said_and_changes_nothing(run: Run, words: tuple[str | int, ...], says: str) -> None:
    before = run("rules", "--json").json
    done = run("rules", *words)
    assert done.code == (1 if "/nowhere" in str(words) else 2)
    assert says in done.err
    assert "Traceback" not in done.err
    assert run("rules", "--json").json == before


def test_addresses_are_listed_and_taken_off(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert run("lists", "add", "black", "bad.example", "*.worse.example").code == 0
    done = run("lists", "add", "white", "@good.example", "--user", "Ann@corp.example")
    assert done.out == "White list of Ann@corp.example: added good.example\n"
    assert run("lists", "add", "black", "BAD.example").out.startswith("No change")
    assert run("lists", "--json").json == {
        "black": ["*.worse.example", "bad.example"],
        "white": [],
        "user_black": {},
        "user_white": {"Ann@corp.example": ["good.example"]},
    }
    assert run("lists", "list", "white", "--user", "ann@corp.example").out == (
        "White list of Ann@corp.example: 1\n  good.example\n"
    )
    assert "Black list of the organisation: 2" in run("lists").out
    assert run("lists", "remove", "black", "BAD.example").code == 0
    assert run("lists", "export", "black").out == "*.worse.example\n"
    file = tmp_path / "lists.toml"
    assert run("lists", "export", file).code == 0
    type_in("# mine\nx.example\n", monkeypatch)
    assert run("lists", "import", "black").code == 0
    assert run("lists", "export", "black").out == "*.worse.example\nx.example\n"
    type_in("y.example\n", monkeypatch)
    assert run("lists", "import", "black", "--replace").code == 0
    assert run("lists", "export", "black").out == "y.example\n"
    assert run("lists", "import", file).code == 0
    assert run("lists", "export", "black").out == "*.worse.example\n"
    assert run("lists", "export").out == file.read_text()
    for words in (("lists", "import"), ("lists", "import", "black", "--replace")):
        assert run("lists", "remove", "white", "good.example", "--user", "ann@corp.example").code in (0, 2)
        type_in("", monkeypatch)
        empty = run(*words)
        assert (empty.code, "this would remove all entries of all lists" in empty.err) == (2, True)
        assert run("lists", "export", "black").out == "*.worse.example\n"
    type_in("", monkeypatch)
    assert run("lists", "import", "black").code == 0, "adds nothing"
    assert run("lists", "import", "--yes").code == 0
    assert run("lists", "export", "black").out == ""


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("add", "black"), "lists add black ENTRY"),
        (("add", "grey", "a.b"), "lists add black ENTRY"),
        (("add", "black", "a b"), "not a pattern"),
        (("add", "black", "*"), "every sender"),
        (("add", "black", "a.b", "--user", "x"), "not an email address"),
        (("remove", "black", "a.b"), "not in the black list"),
        (("list", "grey"), "takes only black or white"),
        (("import", "black", "a", "b"), "takes one file"),
        (("export", "--user", "a@b.c"), "--user needs one list"),
        (("add", "black", "a.b", "--replace"), "--replace is only for"),
        (("export", "--json"), "`lists export` writes"),
    ],
)
def test_what_is_wrong_with_a_list_is_said(run: Run, words: tuple[str, ...], says: str) -> None:
    done = run("lists", *words)
    assert (done.code, says in done.err) == (2, True), done.err
    assert run("lists", "--json").json["black"] == []


def test_a_line_that_is_no_entry_is_named(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    type_in("a.example\nb c\n", monkeypatch)
    done = run("lists", "import", "black")
    assert (done.code, "standard input, line 2: 'b c'" in done.err) == (2, True)


def test_what_was_done_stands_among_the_events(run: Run, tmp_path: Path) -> None:
    run("rules", "add", "Partners")
    run("lists", "add", "black", "bad.example")
    vault = open_store(str(tmp_path / "backup.db"), Unlock.key_file(tmp_path / "key"))
    try:
        assert [event.action for event in audit.events(vault)][:2] == ["address lists changed", "rules changed"]
        assert all(event.operator for event in audit.events(vault)[:2])
    finally:
        vault.close()
