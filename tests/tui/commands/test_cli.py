"""The command line run like a user: arguments in, output and exit code out, on a real store."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime
from itertools import starmap
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from store.opening.opening import Unlock, open_store
from store.opening.slots import add_passphrase
from store.terms.records import CopyRecord
from store.terms.verdicts import Engine, Status, Verdict
from tests import prepared
from tests.tui.commands.asking import answered
from tui.commands.cli import main


def message(sender: str, to: str, *fields: str, body: bytes) -> bytes:
    lines = [f"From: {sender}", f"To: {to}", *fields, ""]
    return "\r\n".join(lines).encode() + b"\r\n" + body


EICAR_LIKE = message(
    *("Billing <inv@acme.example>", "ap@corp.example", "Subject: Invoice 88213", "Message-ID: <a1@acme.example>"),
    body=b"hello\r\n",
)
NEWSLETTER = message(
    *("offers@news.example", "all@corp.example", "Subject: =?utf-8?q?=C2=A1=C3=9Altima_oportunidad!?="), body=b"buy\r\n"
)
HOSTILE = message(
    *("x@evil.example", "ap@corp.example", "Subject: \x1b]0;owned\x07\x1b[2J[@click=app.quit]x[/]"),
    body=b"\x1b[31mred\r\n",
)


class Done(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Run = Callable[..., Done]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """Run `mailhold` in this process, with the test's store and key file in the environment."""
    monkeypatch.setenv("MAILHOLD_STORE", str(tmp_path / "backup.db"))
    monkeypatch.setenv("MAILHOLD_KEY_FILE", str(tmp_path / "key"))

    def call(*arguments: str | Path | int) -> Done:
        capfd.readouterr()
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as stop:
            code = int(stop.code or 0)
        out, err = capfd.readouterr()
        return Done(code, out, err)

    return call


@pytest.fixture
def mail(tmp_path: Path) -> Path:
    folder = tmp_path / "mail"
    folder.mkdir()
    for name, raw in (("a.eml", EICAR_LIKE), ("b.eml", NEWSLETTER), ("c.eml", HOSTILE)):
        (folder / name).write_bytes(raw)
    return folder


@pytest.fixture
def filled(run: Run, mail: Path) -> Run:
    assert run("init").code == 0
    done = run("import", mail, "--verdict", "anti-virus=infected", "--rule", 3, "--force", "--json")
    assert done.json == {"imported": 3, "left_out": 0, "failed": [], "domains": {}}, done.err
    return run


def test_a_lock_that_no_passphrase_could_open_is_warned_of(run: Run, tmp_path: Path) -> None:
    assert run("init").code == 0
    done = run("settings", "set", "lock_after=15 min")
    assert done.code == 0 and "lock_after      15 minutes" in done.out
    assert "cannot lock, because no passphrase opens this store" in done.err
    assert run("settings", "--json").json["lock_after"] == 15
    vault = open_store(str(tmp_path / "backup.db"), Unlock.key_file(tmp_path / "key"))
    add_passphrase(vault, "x")
    vault.close()
    assert run("settings", "set", "lock_after=5").err == ""
    assert "lock_after      off" in run("settings", "set", "lock_after=off").out


def test_init_prints_the_recovery_key_once_and_asks_nothing_with_a_key_file(run: Run, tmp_path: Path) -> None:
    done = run("init")
    assert done.code == 0
    assert "recovery key" in done.out
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600
    again = run("init")
    assert again.code == 1
    assert "already" in again.err
    assert "Traceback" not in again.err


def test_commands_say_what_to_do_where_there_is_no_store(run: Run) -> None:
    done = run("list")
    assert done.code == 1
    assert "mailhold init" in done.err


def test_the_list_shows_the_address_first_and_tells_who_blacklisted(run: Run, tmp_path: Path) -> None:
    run("init")
    for number, verdict in enumerate(("anti-spam=blacklisted", "black-list=blacklisted")):
        path = tmp_path / f"{number}.eml"
        path.write_bytes(EICAR_LIKE.replace(b"88213", str(number).encode()))
        assert run("import", path, "--verdict", verdict).code == 0
    newest, older = run("list").out.splitlines()
    assert "inv@acme.example Billing" in newest and "Billing <" not in newest
    assert ("Black list" in newest, "Blacklisted" in older) == (True, True)
    assert "inv@acme.example Billing" in run("show", "1").out
    rows = run("list", "--json").json
    assert [(row["from"], row["engine"], row["status"]) for row in rows] == [
        ("Billing <inv@acme.example>", "black-list", "blacklisted"),
        ("Billing <inv@acme.example>", "anti-spam", "blacklisted"),
    ]


def test_no_store_named_is_wrong_usage(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MAILHOLD_STORE")
    assert run("list").code == 2


@pytest.mark.parametrize(
    "words",
    [
        ("frobnicate",),
        ("list", "--limit", "x"),
        ("list", "size:<=<="),
        ("list", "--sort", "colour"),
        ("import", "x", "--verdict", "anti-virus"),
        ("import", "x", "--verdict", "anti-gravity=infected"),
        ("import", "x", "--verdict", "anti-virus=happy"),
        ("show", "seven"),
        ("show", "1-2"),
        ("save", "1", "--query", "x", "--to", "y"),
        ("save", "--to", "y"),
        ("delete", "9-1", "--yes"),
        ("deliver", "1"),
        ("deliver", "1", "--also", "<x"),
        ("settings", "set"),
        ("settings", "set", "colour=red"),
        ("settings", "set", "max_size=lots"),
        ("settings", "max_size=1GB"),
        ("queue", "retry"),
        ("keys", "remove"),
        ("demo", "--messages", "0"),
        ("demo", "--attack", "-1"),
    ],
)
def test_wrong_usage_exits_2_with_one_clear_line(filled: Run, words: tuple[str, ...]) -> None:
    done = filled(*words)
    assert done.code == 2, done
    assert done.err.strip()
    assert "Traceback" not in done.err


def test_list_has_the_documented_fields_newest_first(filled: Run) -> None:
    rows = filled("list", "--json").json
    assert [row["id"] for row in rows] == sorted((row["id"] for row in rows), reverse=True)
    assert set(rows[0]) == {
        *("id", "from", "to", "subject", "message_id", "mta_message_id", "rule_id", "stored_at", "size"),
        *("engine", "status", "reason", "delivered", "recipients", "campaign", "fit", "odd", "odd_reasons"),
    }
    first = rows[-1]
    assert first["from"] == "Billing <inv@acme.example>"
    assert first["subject"] == "Invoice 88213"
    assert first["message_id"].strip("<>") == "a1@acme.example"
    assert (first["engine"], first["status"], first["rule_id"]) == ("anti-virus", "infected", 3)
    assert first["size"] == len(EICAR_LIKE)
    assert first["reason"].startswith("Anti-Virus: Infected")


def test_list_takes_a_filter_a_limit_and_an_order(filled: Run) -> None:
    assert [row["subject"] for row in filled("list", "úLTIMA", "--json").json] == ["¡Última oportunidad!"]
    assert len(filled("list", "--limit", 2, "--json").json) == 2
    assert filled("list", "--limit", 0, "--json").json == []
    sizes = [row["size"] for row in filled("list", "--sort", "-size", "--json").json]
    assert sizes == sorted(sizes, reverse=True)
    assert filled("list", "rule:4", "--json").json == []
    assert [row["id"] for row in filled("list", "-from:evil", "--json", "rule:3").json] == [2, 1]
    assert [row["id"] for row in filled("list", "--json", "--", "-from:evil").json] == [2, 1]
    assert len(filled("list", "subject:Invoice 88213", "--json").json) == 1


def test_show_raw_gives_the_bytes_back(filled: Run) -> None:
    for copy_id, raw in ((1, EICAR_LIKE), (2, NEWSLETTER), (3, HOSTILE)):
        command = [sys.executable, "-m", "tui", "show", str(copy_id), "--raw"]
        assert subprocess.run(command, capture_output=True, timeout=60, check=True).stdout == raw


def test_show_json_has_all_the_fields_of_the_view(filled: Run) -> None:
    fields = filled("show", 1, "--json").json
    assert {
        *("subject", "processing_rule", "from", "to", "cc", "bcc", "scan_results", "backup_reason"),
        *("blacklisted_by_user", "whitelisted_by_user", "time_placed_in_backup", "mta_message_id", "message_size"),
        *("time_sent", "time_received", "attachments", "anti_virus_databases_release_date"),
    } <= set(fields)
    engines = [result["engine"] for result in fields["scan_results"]]
    assert engines == ["anti-spam", "anti-virus", "content", "anti-phishing"]


def test_show_has_every_verdict_of_an_engine_like_the_view(filled: Run, tmp_path: Path) -> None:
    found = [
        (Engine.CONTENT, Status.BANNED_FILE_NAME, "a.exe (*.exe)"),
        (Engine.ANTI_VIRUS, Status.INFECTED, "Eicar"),
        (Engine.CONTENT, Status.BANNED_FILE_FORMAT, "a.exe: application/x-dosexec"),
        (Engine.BLACK_LIST, Status.BLACKLISTED, "evil.example"),
    ]
    verdicts = tuple(starmap(Verdict, found))
    vault = open_store(str(tmp_path / "backup.db"), Unlock.key_file(tmp_path / "key"))
    copy_id = vault.put(b"Subject: x\n\nx\n", CopyRecord(verdicts=verdicts, reason=verdicts[1]))
    vault.close()
    assert [tuple(each.values()) for each in filled("show", copy_id, "--json").json["scan_results"]] == [
        ("anti-spam", "not-scanned", ""),
        ("anti-virus", "infected", "Eicar"),
        ("content", "banned-file-name", "a.exe (*.exe)"),
        ("content", "banned-file-format", "a.exe: application/x-dosexec"),
        ("anti-phishing", "not-scanned", ""),
        ("black-list", "blacklisted", "evil.example"),
    ]


def test_no_control_byte_of_a_message_is_printed(filled: Run) -> None:
    for words in (("list",), ("list", "--json"), ("show", "3"), ("show", "3", "--json")):
        out = filled(*words).out
        assert not set(out) & set(map(chr, [*range(10), *range(11, 32), *range(127, 160)])), words


def test_a_missing_copy_is_named_and_exits_1(filled: Run, tmp_path: Path) -> None:
    for words in (("show", "99"), ("save", "1", "99", "--to", tmp_path / "out"), ("delete", "99", "--yes")):
        done = filled(*words)
        assert done.code == 1
        assert "99" in done.err
    assert len(list((tmp_path / "out").iterdir())) == 1


def test_save_by_range_and_by_query(filled: Run, tmp_path: Path) -> None:
    done = filled("save", "1-2", "--to", tmp_path / "one", "--json")
    assert done.code == 0
    assert sorted(Path(item["path"]).read_bytes() for item in done.json["saved"]) == sorted([EICAR_LIKE, NEWSLETTER])
    assert "Warning: " in done.err
    done = filled(
        "save", "--query", "-from:acme -from:news", "--to", tmp_path / "two", "--json"
    )  # one copy: no question
    assert [Path(item["path"]).read_bytes() for item in done.json["saved"]] == [HOSTILE]


def test_delete_needs_yes_where_nobody_can_be_asked(filled: Run) -> None:
    done = filled("delete", 1)
    assert (done.code, done.out) == (2, "")
    assert "deletes copy 1 " in done.err and "Invoice 88213" in done.err and "--yes" in done.err
    assert "bin restore --last" in done.err and "permanently" not in done.err
    assert "permanently deletes copy 1 " in filled("delete", 1, "--for-good").err
    assert len(filled("list", "--json").json) == 3
    assert filled("delete", 1, "--yes").code == 0
    assert filled("delete", "--query", "from:evil", "--yes", "--json").json["deleted"] == 1
    assert [row["id"] for row in filled("list", "--json").json] == [2]
    assert filled("check").code == 0


def test_settings_are_set_shown_and_kept(filled: Run) -> None:
    assert filled("settings", "--json").json["allow_infected"] is False
    assert filled("settings", "--json").json["max_size"] == 7500 * 1024 * 1024
    done = filled("settings", "set", "allow_infected=yes", "if_unavailable=reject", "max_size=50MB")
    assert done.code == 0
    assert "100 MB" in done.err
    fields = filled("settings", "--json").json
    assert (fields["allow_infected"], fields["if_unavailable"], fields["max_size"]) == (
        True,
        "reject",
        50 * 1024 * 1024,
    )
    assert filled("settings", "set", "relay=smtp://u:hunter2@127.0.0.1:2525").code == 0
    assert "hunter2" not in filled("settings").out
    assert "hunter2" not in filled("settings", "--json").out


def test_status_has_the_documented_fields(filled: Run) -> None:
    status = filled("status", "--json").json
    assert set(status) == {
        "messages",
        "used_bytes",
        "max_bytes",
        "free_bytes",
        "oldest",
        "binned",
        "binned_bytes",
        "derived_bytes",
        "known_bytes",
        "queue",
        *("put_off", "failed", "unknown", "odd_times", "wrong_clocks", "troubles", "unkept", "read_only"),
    }
    assert status["messages"] == 3
    assert status["used_bytes"] + status["free_bytes"] == status["max_bytes"]
    assert status["queue"] == 0


def test_delivery_of_infected_copies_is_refused_and_queued_where_allowed(filled: Run) -> None:
    assert filled("settings", "set", "relay=smtp://127.0.0.1:1").code == 0
    done = filled("deliver", 1, "--original", "--json")
    assert done.code == 1
    assert done.json["queued"] == 0
    assert "nfected" in done.json["refused"][0]["reason"]
    assert "Warning" not in done.err
    assert filled("queue", "--json").json == []
    filled("settings", "set", "allow_infected=yes")
    filled("settings", "set", "local_domains=corp.example")
    done = filled("deliver", 1, "--original", "--from-header", "--also", "it@corp.example", "--json")
    assert done.json["queued"] == 1, done
    assert (
        "mailhold: Warning: 1 copy is infected or probably infected: a security threat to the recipients' computers.\n"
        in done.err
    )
    [delivery] = filled("queue", "--json").json
    assert delivery["copy_id"] == 1
    assert {recipient["address"] for recipient in delivery["recipients"]} == {"ap@corp.example", "it@corp.example"}
    assert set(delivery["recipients"][0]) == {"address", "state", "reply", "damage"}
    assert filled("queue", "cancel", delivery["id"]).code == 0
    assert filled("queue", "--json").json[0]["state"] == "cancelled"


def test_deliver_without_a_relay_says_so(filled: Run) -> None:
    filled("settings", "set", "allow_infected=yes")
    done = filled("deliver", 1, "--original")
    assert done.code == 1
    assert "relay" in done.err


def test_import_names_what_failed(filled: Run, tmp_path: Path) -> None:
    done = filled("import", tmp_path / "nowhere", "--json")
    assert done.code == 1
    assert done.json["imported"] == 0
    assert done.json["failed"][0]["path"].endswith("nowhere")
    assert "nowhere" in done.err


def test_a_wrong_key_is_a_clear_error(filled: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = tmp_path / "other-key"
    other.write_bytes(os.urandom(32))
    other.chmod(0o600)
    done = filled("list", "--key-file", other)
    assert done.code == 1
    assert "key" in done.err
    other.chmod(0o644)
    done = filled("list", "--key-file", other)
    assert done.code == 1
    assert "600" in done.err or "readable" in done.err


def test_keys_are_listed_added_and_removed_but_never_the_last(filled: Run, tmp_path: Path) -> None:
    slots = filled("keys", "--json").json
    assert sorted(slot["kind"] for slot in slots) == ["key-file", "recovery"]
    created = datetime.fromisoformat(slots[0]["created_at"]).astimezone()
    assert filled("keys").out.splitlines()[0].endswith(created.strftime("  %Y-%m-%d %H:%M"))
    assert filled("keys", "add", "--new-key-file", tmp_path / "second", "--name", "cron").code == 0
    assert filled("list", "--key-file", tmp_path / "second").code == 0
    first = next(slot["id"] for slot in slots if slot["kind"] == "key-file")
    assert filled("keys", "remove", first, "--yes").code == 0
    done = filled("list")
    assert done.code == 1  # the first key file opens nothing any more
    ids = [slot["id"] for slot in filled("keys", "--key-file", tmp_path / "second", "--json").json]
    codes = [filled("keys", "remove", slot, "--yes", "--key-file", tmp_path / "second").code for slot in ids]
    assert 1 in codes
    assert filled("list", "--key-file", tmp_path / "second").code in (0, 1)


def test_without_a_terminal_the_passphrase_is_not_waited_for(filled: Run, tmp_path: Path) -> None:
    environment = {key: value for key, value in os.environ.items() if key != "MAILHOLD_KEY_FILE"}
    done = subprocess.run(
        [sys.executable, "-m", "tui", "list"],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        start_new_session=True,
        check=False,
    )
    assert done.returncode == 1
    assert "--key-file" in done.stderr


def test_a_passphrase_is_asked_twice_by_init_and_once_after(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MAILHOLD_KEY_FILE", raising=False)
    store = tmp_path / "asked.db"
    assert "recovery key" in _on_terminal(["init", "--store", str(store)], ["correct horse", "correct horse"])
    assert "0 shown" in _on_terminal(["list", "--store", str(store)], ["correct horse"])
    wrong = _on_terminal(["list", "--store", str(store)], ["battery", "staple", "correct"])
    assert wrong.count("No key slot opens") == 3
    assert "Traceback" not in wrong
    assert "0 shown" not in wrong


def _on_terminal(arguments: list[str], answers: list[str]) -> str:
    """Run mailhold on its own pseudo-terminal, answer its questions, and return all output."""
    pid, terminal = prepared.in_terminal([sys.executable, "-m", "tui", *arguments])
    questions: set[str] = set()

    def answer(shown: str) -> bytes:
        question = shown.rstrip(" ")
        if not answers or not question.endswith(":") or question in questions:
            return b""
        questions.add(question)
        return answers.pop(0).encode() + b"\n"

    return answered(pid, terminal, answer)[1]


def test_raw_bytes_are_not_written_to_a_terminal_unless_forced(filled: Run) -> None:
    for extra, expected in (([], "--force"), (["--force"], "\x1b[31mred")):
        shown = _on_terminal(["show", "3", "--raw", *extra], [])
        assert expected in shown
        assert ("\x1b[31m" in shown) == bool(extra)


def test_help_lists_every_command(run: Run) -> None:
    from tui.commands import COMMANDS

    out = run("--help").out
    for name in COMMANDS:
        assert f"    {name}" in out
        assert run(name, "--help").code == 0


def test_list_ends_at_once_after_all_its_output(tmp_path: Path) -> None:
    """Freeing the memory of a large list at the end would take a tenth of a second."""
    code = (
        "import atexit, sys; from tui.commands.cli import main; "
        "atexit.register(print, 'torn down'); sys.argv[0:] = ['mailhold', *sys.argv[1:]]; "
        "sys.exit(main(run=lambda argv: print(*argv, 'x' * 100_000) or 3))"
    )
    for word, ends in (("list", False), ("show", True)):
        done = subprocess.run([sys.executable, "-c", code, word], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (3, "")
        assert done.stdout == f"{word} {'x' * 100_000}\n" + "torn down\n" * ends
    with Path("/dev/full").open("w") as full:
        done = subprocess.run([sys.executable, "-c", code, "list"], stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 1 and "No space left" in done.stderr
