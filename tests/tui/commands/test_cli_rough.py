"""The command line under bad conditions: closed streams, odd locales, bytes that are not text, absurd numbers."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest

from store.authority.audit import events, record_event
from store.authority.settings import Settings, read_settings
from store.database import access
from store.enrolment.enrolment import open_with_credentials
from store.gateway.config import example
from store.opening.opening import Unlock, open_store
from store.opening.slots import list_slots
from store.space.changing_settings import change_settings
from tui.commands.caller import is_terminal
from tui.commands.cli import main

MESSAGE = "From: a@x.example\r\nTo: b@y.example\r\nSubject: ¡Última!\r\n\r\nhello\r\n".encode()
#: A file name that is not UTF-8, as Python represents it.
NO_TEXT = os.fsdecode(b"n\xff\xfe")
_OUTPUT_FULL = "mailhold: the output cannot be written (No space left on device); what was done so far is kept.\n"

Shell = Callable[..., "subprocess.CompletedProcess[str]"]


def live_in(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Set the environment to the store in a folder."""
    monkeypatch.setenv("MAILHOLD_STORE", str(home / "backup.db"))
    monkeypatch.setenv("MAILHOLD_KEY_FILE", str(home / "key"))
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[3]))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a folder with a store of one copy, once per module."""
    home = tmp_path_factory.mktemp("made")
    (home / "a.eml").write_bytes(MESSAGE)
    with pytest.MonkeyPatch.context() as patch:
        live_in(home, patch)
        assert main(["init"]) == 0
        assert main(["import", str(home / "a.eml")]) == 0
    return home


@pytest.fixture
def shell(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """Run a line of shell in a folder with a store of one copy; `mailhold` is the command."""
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    live_in(tmp_path, monkeypatch)

    def call(line: str, **environment: str) -> subprocess.CompletedProcess[str]:
        command = f'mailhold() {{ "{sys.executable}" -m tui "$@"; }}; {line}'
        return subprocess.run(  # the line comes from the test
            ["/bin/bash", "-c", command],
            cwd=tmp_path,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            errors="replace",
            timeout=60,
            check=False,
        )

    return call


def open_it(tmp_path: Path):
    return open_store(str(tmp_path / "backup.db"), Unlock.key_file(tmp_path / "key"))


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize("words", ["status", "list --json", "show 1 --raw", "check", "save 1 --to out", "queue send"])
def test_a_closed_stream_fails_no_command(shell: Shell, words: str, closed: str) -> None:
    done = shell(f"mailhold {words} {closed}")
    assert (done.returncode, done.stderr) == (0, "")


def test_an_error_goes_nowhere_where_standard_error_is_closed(shell: Shell) -> None:
    done = shell("mailhold show 77 2>&-")
    assert (done.returncode, done.stdout) == (1, "")


@pytest.mark.parametrize("words", ["", "console", "demo"])
def test_the_console_says_that_it_needs_a_terminal_where_standard_input_is_closed(shell: Shell, words: str) -> None:
    done = shell(f"mailhold {words} <&-")
    assert done.returncode == 2
    assert "terminal" in done.stderr


@pytest.mark.parametrize("name", ["stdin", "stdout", "stderr"])
def test_the_console_needs_all_three_streams_on_a_terminal(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The console draws on standard error: with that in a file it would run unseen."""
    for stream in ("stdin", "stdout", "stderr"):
        monkeypatch.setattr(sys, stream, SimpleNamespace(isatty=lambda: True))
    assert is_terminal()
    monkeypatch.setattr(sys, name, SimpleNamespace(isatty=lambda: False))
    assert not is_terminal()


def test_a_full_disk_behind_standard_output_says_that_what_was_done_is_kept(shell: Shell) -> None:
    done = shell("mailhold delete 1 --yes >/dev/full")
    assert done.returncode == 1
    assert "is kept" in done.stderr
    assert shell("mailhold list --json").stdout.strip() == "[]"


@pytest.mark.parametrize("words", ["status", "--version", "--help", "list --help"])
def test_a_full_disk_behind_standard_output_is_not_blamed_on_the_store(shell: Shell, words: str) -> None:
    done = shell(f"unset PYTHONUNBUFFERED; mailhold {words} >/dev/full")
    assert (done.returncode, done.stderr) == (1, _OUTPUT_FULL)


@pytest.mark.parametrize("words", ["status", "list", "gateway --example-config"])
def test_nor_is_output_that_is_longer_than_a_buffer_or_not_buffered(shell: Shell, words: str) -> None:
    done = shell(f"mailhold {words} >/dev/full", PYTHONUNBUFFERED="" if words.startswith("gateway") else "1")
    assert (done.returncode, done.stderr) == (1, _OUTPUT_FULL)


def test_a_long_list_comes_whole_and_in_order_through_a_pipe(shell: Shell) -> None:
    for unbuffered in ("", "1"):
        done = shell("mailhold gateway --example-config | md5sum", PYTHONUNBUFFERED=unbuffered)
        assert done.stdout.split()[0] == hashlib.md5(example().encode()).hexdigest()


@pytest.mark.parametrize("words", ["list", "show 1", "save 1 --to ü"])
def test_a_locale_without_the_letters_stops_nothing(shell: Shell, words: str) -> None:
    done = shell(f"mailhold {words}", LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0", PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stderr) == (0, "")
    if words == "list":
        assert r"\xdaltima" in done.stdout


@pytest.mark.parametrize(
    "words",
    [["save", "1", "--to", NO_TEXT], ["keys", "add", "--new-recovery", "--name", NO_TEXT], ["delete", "1", "--yes"]],
)
def test_bytes_that_are_no_text_are_kept_as_far_as_they_are(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    monkeypatch.setenv("SUDO_USER", NO_TEXT)
    monkeypatch.chdir(tmp_path)
    assert main(words) == 0
    vault = open_it(tmp_path)
    try:
        assert all("\udcff" not in event.detail + event.operator for event in events(vault))
        labels = [slot.label for slot in list_slots(vault)]
        assert all("\udcff" not in label for label in labels)
        assert words[0] != "keys" or "n\ufffd\ufffd" in labels
    finally:
        vault.close()


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("show", "9" * 5000), 1),
        (("show", "0" * 5000 + "1"), 0),
        (("delete", "7-" + "9" * 5000, "--yes"), 1),
        (("queue", "retry", "9" * 5000), 1),
        (("queue", "cancel", "1-99999999999"), 1),
        (("keys", "remove", "99999999999999999999"), 2),
        (("import", "a.eml", "--rule", "99999999999999999999999"), 2),
        (("list", "--limit", "99999999999999999999"), 0),
        (("list", "--limit", "99999999999999999999", "--sort", "size"), 0),
    ],
)
def test_absurd_numbers_are_answered(
    shell: Shell, capfd: pytest.CaptureFixture[str], words: tuple[str, ...], code: int
) -> None:
    assert main(words) == code
    assert "internal error" not in capfd.readouterr().err


def test_each_delivery_that_cannot_be_changed_is_named_and_the_others_are(
    shell: Shell, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["settings", "set", "relay=smtp://127.0.0.1:1"]) == 0
    for _ in range(3):
        assert main(["deliver", "1", "--also", "u@corp.example", "--again"]) == 0
    capfd.readouterr()
    assert main(["queue", "cancel", "99", "1", "3", "--json"]) == 1
    out, err = capfd.readouterr()
    assert "delivery 99" in err
    assert {each["id"]: each["state"] for each in json.loads(out)} == {1: "cancelled", 3: "cancelled"}
    assert main(["queue", "cancel", "1-50", "--json"]) == 1
    out, err = capfd.readouterr()
    assert {each["id"]: each["state"] for each in json.loads(out)} == {1: "cancelled", 2: "cancelled", 3: "cancelled"}
    assert err.count("nothing to cancel") == 2
    assert main(["queue", "cancel", "2-3", "51-60", "--json"]) == 1
    out, err = capfd.readouterr()
    assert "deliveries 51-60: There are none" in err and "deliveries 2-3" not in err


def test_a_damaged_delivery_is_listed_and_can_be_cancelled(shell: Shell, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["settings", "set", "relay=smtp://127.0.0.1:1"]) == 0
    for _ in range(2):
        assert main(["deliver", "1", "--also", "u@corp.example", "--again"]) == 0
    with sqlite3.connect(os.environ["MAILHOLD_STORE"]) as database:
        database.execute("UPDATE delivery SET order_signature = x'00' WHERE id = 1")
        database.execute("UPDATE delivery_recipient SET sealed_address = x'00' WHERE delivery_id = 1")
    capfd.readouterr()
    assert main(["queue"]) == 1
    out, err = capfd.readouterr()
    assert (
        "     1  copy 1  damaged  0 attempts\n" in out and "damaged or tampered with: its order was not signed" in out
    )
    assert "(does not verify)  queued" in out and "     2  copy 1  queued  0 attempts\n" in out
    assert err.count("\n") == 1 and "delivery 1: " in err
    assert "`mailhold check`" in err and "`mailhold queue cancel 1`" in err
    assert main(["queue", "--json"]) == 1
    two, one = json.loads(capfd.readouterr().out)
    assert (one["state"], one["live"], two["state"], two["damage"]) == ("damaged", True, "queued", None)
    assert "its order was not signed" in one["damage"]
    assert [each["address"] for each in one["recipients"]] == [""]
    assert main(["queue", "retry", "1", "--yes"]) == 1
    assert "deliver its copy again" in capfd.readouterr().err
    assert main(["queue", "cancel", "1", "--json"]) == 0
    assert json.loads(capfd.readouterr().out)[0]["live"] is False
    assert main(["queue"]) == 0


def test_what_keeps_the_queue_from_being_sent_is_said(shell: Shell, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["settings", "set", "relay=smtps://127.0.0.1:1?ca=/nowhere"]) == 0
    assert main(["queue", "send"]) == 0
    capfd.readouterr()
    assert main(["deliver", "1", "--also", "u@corp.example", "--wait"]) == 1
    assert "/nowhere" in capfd.readouterr().err
    assert main(["queue", "send"]) == 1
    assert "/nowhere" in capfd.readouterr().err


def test_two_changes_of_different_settings_at_once_are_both_kept(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from store.space import changing_settings

    def slower(*arguments: object, **options: object) -> object:
        monkeypatch.undo()
        other = open_it(tmp_path)
        try:
            change_settings(other, Settings(administrator="boss@x.example"))
        finally:
            other.close()
        return change_settings(*arguments, **options)

    environment = {name: os.environ[name] for name in ("MAILHOLD_STORE", "MAILHOLD_KEY_FILE")}
    monkeypatch.setattr(changing_settings, "change_settings", slower)
    words = ["--store", environment["MAILHOLD_STORE"], "--key-file", environment["MAILHOLD_KEY_FILE"]]
    assert main([*words, "settings", "set", "max_size=1GB"]) == 0
    vault = open_it(tmp_path)
    try:
        settings = read_settings(vault)
    finally:
        vault.close()
    assert (settings.administrator, settings.max_size) == ("boss@x.example", 1 << 30)


@pytest.mark.parametrize("words", [("settings", "get"), ("settings", "set"), ("settings",)])
@pytest.mark.parametrize("value", ["relay=smtp://u:S3cret@127.0.0.1", "smtp://u:S3cret@127.0.0.1?starttls=1"])
def test_a_relays_password_in_a_wrong_place_is_not_repeated(shell: Shell, words: tuple[str, ...], value: str) -> None:
    done = shell(f"mailhold {' '.join(words)} '{value}'")
    assert "S3cret" not in done.stdout + done.stderr
    assert done.returncode == (0 if words[1:] == ("set",) and value.startswith("relay") else 2)


def test_an_empty_store_option_does_not_mean_another_store(shell: Shell) -> None:
    done = shell("mailhold --store '' delete 1 --yes")
    assert done.returncode == 2
    assert "No store given" in done.stderr


def test_a_fifo_is_no_store_and_no_command_waits_for_it(shell: Shell) -> None:
    done = shell("mkfifo pipe; mailhold --store pipe status")
    assert done.returncode == 1
    assert "not a Mailhold store" in done.stderr


@pytest.mark.parametrize("words", ["--store new.db --key-file newkey init", "keys add --new-recovery"])
def test_a_recovery_key_that_nobody_saw_is_said_to_be_lost(shell: Shell, words: str) -> None:
    done = shell(f"mailhold {words} >/dev/full")
    assert done.returncode == 1
    assert "keys add --new-recovery" in done.stderr


def test_ctrl_c_is_answered_from_the_first_moment_on(shell: Shell) -> None:
    script = (
        "import signal, sys, importlib.abc\n"
        "class Finder(importlib.abc.MetaPathFinder):\n"
        "    def find_spec(self, name, path, target=None):\n"
        "        if name in ('argparse', 'store.terms.errors'): raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Finder())\n"
        "from tui.commands.cli import main\n"
        "sys.exit(main(['status']))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 130
    assert "Traceback" not in done.stderr


def test_a_second_ctrl_c_does_not_break_the_end(shell: Shell, tmp_path: Path) -> None:
    assert threading.current_thread() is threading.main_thread()
    script = (
        "import os, signal, sys\n"
        "import tui.commands.cli\n"
        "def interrupted(argv): raise KeyboardInterrupt\n"
        "def say(message): os.kill(os.getpid(), signal.SIGINT); print(message, file=sys.stderr)\n"
        "tui.commands.cli._run, tui.commands.cli._say = interrupted, say\n"
        "sys.exit(tui.commands.cli.main())\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (130, "interrupted; what was done so far is kept.\n")
    assert signal.getsignal(signal.SIGINT) is not signal.SIG_IGN


@pytest.mark.parametrize(
    "change", ["UPDATE state SET id = id + 6", "UPDATE message SET stored_at = 9223372036854775807"]
)
def test_odd_numbers_in_the_database_end_in_an_answer(
    shell: Shell, tmp_path: Path, capfd: pytest.CaptureFixture[str], change: str
) -> None:
    database = sqlite3.connect(tmp_path / "backup.db")
    database.execute(change)
    database.commit()
    database.close()
    for words in (["status"], ["settings", "set", "max_size=1GB"], ["list"], ["check"]):
        main(words)
    err = capfd.readouterr().err
    assert "internal error" not in err and "Traceback" not in err


def test_a_library_that_does_not_load_is_named_by_its_own_words(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MAILHOLD_DEBUG", raising=False)

    def run(_argv: Sequence[str]) -> int:
        raise ImportError("libfoo.so.1: cannot open shared object file")

    assert main((), run) == 1
    err = capfd.readouterr().err
    assert err == (
        "mailhold: a library does not load (ImportError: libfoo.so.1: cannot open shared object file). Reinstall it "
        "in the Python that runs Mailhold.\n"
    )


def test_no_traceback_even_if_no_library_loads(tmp_path: Path) -> None:
    (tmp_path / "msgspec").mkdir()
    (tmp_path / "msgspec" / "__init__.py").write_text("raise ImportError('no \\x1b[31m_core')\n")
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-m", "tui", "list"], capture_output=True, text=True, check=False, env=environment
    )
    assert done.returncode == 1
    assert done.stderr == (
        "mailhold: a library does not load (ImportError: no \\x1b[31m_core). Reinstall it in the Python that runs "
        "Mailhold.\n"
    )


def test_status_says_why_nothing_seen_of_the_store_is_remembered(
    shell: Shell, capfd: pytest.CaptureFixture[str], state_home: Path
) -> None:
    assert main(["status"]) == 0
    assert "cannot be remembered" not in capfd.readouterr().out
    shutil.rmtree(state_home)
    state_home.write_text("in the way")
    try:
        assert main(["status"]) == 0
        said = capfd.readouterr().out
        assert "cannot be remembered here (" in said and "Not a directory" in said
        assert main(["status", "--json"]) == 0
        assert "Not a directory" in json.loads(capfd.readouterr().out)["unkept"]
    finally:
        state_home.unlink()


def test_status_says_what_gateways_said_is_wrong(
    shell: Shell, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["gateway", "enroll", "mx1", "--credentials", str(tmp_path / "credentials")]) == 0
    with closing(open_with_credentials(str(tmp_path / "backup.db"), tmp_path / "credentials")) as gateway:
        record_event(
            gateway, "engine down", operator="", detail="mx1: clamd at unix:/c: \x1b[31mrefused; messages wait"
        )
    capfd.readouterr()
    assert main(["status"]) == 0
    out = capfd.readouterr().out
    assert "gateway mx1: engine down since " in out and "clamd at unix:/c: " in out and "\x1b" not in out
    assert main(["status", "--json"]) == 0
    [trouble] = json.loads(capfd.readouterr().out)["troubles"]
    assert (trouble["gateway"], trouble["what"]) == ("mx1", "engine down")
    database = sqlite3.connect(tmp_path / "backup.db")
    database.execute("UPDATE audit SET sealed = x'00' WHERE id = (SELECT MAX(id) FROM audit)")
    database.commit()
    database.close()
    assert main(["status"]) == 0
    assert "gateways: their reports cannot be read" in capfd.readouterr().out


def test_status_says_that_the_file_system_stopped_writing(
    shell: Shell, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No gateway can record anything in such a store, so what is wrong is not among its events."""
    assert main(["status", "--json"]) == 0
    assert json.loads(capfd.readouterr().out)["read_only"] is None
    monkeypatch.setattr(access, "stopped_writing", lambda _path: True)
    assert main(["status", "--json"]) == 0
    said = capfd.readouterr()
    assert json.loads(said.out)["read_only"] == "its file system stopped writing after an error"
    assert "open for reading only: its file system stopped writing after an error" in said.err
