"""`mailhold import --known`, and the sender's line in `mailhold show`."""

from __future__ import annotations

import json
import mailbox
from collections.abc import Iterator
from pathlib import Path

import pytest

from store.authority.audit import events
from store.authority.settings import Settings
from store.files.known_mail import KNOWN, import_known
from store.files.mailbox import import_paths
from store.helpers.clock import DAY_MS, now_ms
from store.opening.opening import Unlock, open_store
from store.sealing.counting import DOMAIN, RECIPIENT, SENDER
from store.space.changing_settings import change_settings
from store.terms.errors import UsageError
from store.terms.findings import Authentication, Finding, KnownSender
from store.terms.records import CopyRecord
from store.vault.known import Key, Known
from store.vault.vault import Vault
from tui.commands.cli import main

ANNA: Key = (SENDER, "anna@example.net")


@pytest.fixture
def local(any_vault: Vault) -> Iterator[Vault]:
    change_settings(any_vault, Settings(local_domains=("corp.example",)))
    yield any_vault


def counts(vault: Vault, *keys: Key) -> list[tuple[float, float]]:
    found = Known(vault).counts(keys, now_ms() // DAY_MS)
    return [(round(each.authenticated, 2), round(each.other, 2)) for each in found]


def mail(from_: str, to: str = "bob@corp.example", *fields: str) -> bytes:
    return "\n".join((f"From: {from_}", f"To: {to}", "Subject: hi", *fields, "", "hi", "")).encode()


def test_a_maildir_of_good_mail(local: Vault, tmp_path: Path) -> None:
    for folder in ("cur", "new", "tmp"):
        (tmp_path / "in" / folder).mkdir(parents=True)
    signed = "Authentication-Results: mx.corp.example; dkim=pass header.d=example.net"
    (tmp_path / "in/cur/1:2,S").write_bytes(mail("Anna <Anna@example.net>", "bob@corp.example", signed))
    (tmp_path / "in/new/2").write_bytes(mail("anna@example.net"))
    (tmp_path / "in/new/3").write_bytes(mail("Bob <bob@corp.example>", "Anna <anna@example.net>, carl@corp.example"))
    told: list[tuple[int, int]] = []
    result = import_known(local, [tmp_path / "in"], operator="olga", progress=lambda *done: told.append(done))
    assert (result.messages, result.counters, result.failed) == (3, 5, [])
    assert counts(local, ANNA, (DOMAIN, "example.net"), (RECIPIENT, ANNA[1])) == [(1, 1), (1, 1), (0, 1)]
    assert counts(local, (RECIPIENT, "carl@corp.example")) == [(0, 0)]
    assert told[-1][0] == told[-1][1] > 0
    assert [each.operator for each in events(local) if each.action == KNOWN] == ["olga"]


def test_an_mbox_of_good_mail(local: Vault, tmp_path: Path) -> None:
    box = mailbox.mbox(tmp_path / "good.mbox")
    for number in range(5):
        box.add(mail(f"anna{number % 2}@example.net"))
    box.close()
    assert import_known(local, [tmp_path / "good.mbox"]).messages == 5
    assert counts(local, (SENDER, "anna0@example.net"), (DOMAIN, "example.net")) == [(0, 3), (0, 5)]


def test_a_list_of_addresses(local: Vault, tmp_path: Path) -> None:
    lines = (
        "\ufeff# our partners\n\nanna@Example.net 12\nanna@example.net, 3, authenticated\n@example.net;7\n"
        "carl@example.org\nanna@example.net 2 written # by us\n"
    )
    (tmp_path / "list.txt").write_text(lines)
    result = import_known(local, [tmp_path / "list.txt"])
    assert (result.lines, result.messages) == (5, 0)
    keys = (ANNA, (DOMAIN, "example.net"), (SENDER, "carl@example.org"), (RECIPIENT, ANNA[1]))
    assert counts(local, *keys) == [(3, 12), (3, 19), (0, 1), (0, 2)]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("anna@example.net 0", "a number of messages"),
        ("anna@example.net 1000001", "a number of messages"),
        ("anna@example.net twelve", "a number of messages"),
        ("anna@example.net 12 12", "a number of messages"),
        ("anna 12", "neither an address nor a domain"),
        ("@ 12", "neither an address nor a domain"),
        ("@example.net 1 written", "needs an address"),
    ],
)
def test_a_line_that_is_not_valid_is_named_and_nothing_counted(
    vault: Vault, tmp_path: Path, line: str, why: str
) -> None:
    (tmp_path / "list.txt").write_text(f"carl@example.org 5\n{line}\n")
    with pytest.raises(UsageError, match=f"line 2: .*{why}"):
        import_known(vault, [tmp_path / "list.txt"])
    assert counts(vault, (SENDER, "carl@example.org")) == [(0, 0)]
    (tmp_path / "list.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match="not UTF-8"):
        import_known(vault, [tmp_path / "list.txt"])


def test_what_is_cancelled_counts_nothing(vault: Vault, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("carl@example.org 5\n")
    assert import_known(vault, [tmp_path / "list.txt"], cancelled=lambda: True).cancelled
    assert counts(vault, (SENDER, "carl@example.org")) == [(0, 0)]


def test_what_cannot_be_read_is_named(vault: Vault, tmp_path: Path) -> None:
    result = import_known(vault, [tmp_path / "none"])
    assert [path for path, _ in result.failed] == [tmp_path / "none"] and result.counters == 0


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> str:
    """Make a store that the test's commands find."""
    location = str(tmp_path / "own.db")
    monkeypatch.setenv("MAILHOLD_STORE", location)
    monkeypatch.setenv("MAILHOLD_KEY_FILE", str(tmp_path / "key"))
    assert main(["init"]) == 0
    return location


def test_the_command(own: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "list.txt").write_text("anna@example.net 12\n")
    (tmp_path / "one.eml").write_bytes(mail("bert@example.net"))
    capsys.readouterr()
    known = ["--known", str(tmp_path / "list.txt")]
    assert main(["import", *known, "--known", str(tmp_path / "one.eml")]) == 0
    assert "3 addresses and domains counted as known, from 1 message and 1 line" in capsys.readouterr().out
    assert main(["import", *known, "--json"]) == 0
    assert '"counters": 2' in capsys.readouterr().out
    for wrong in ([], [*known, "x.eml"], [*known, "--rule", "1"]):
        assert main(["import", *wrong]) == 2
    assert main(["import", "--known", str(tmp_path / "none")]) == 1


RECORD = CopyRecord(
    from_="anna@example.net",
    client_address="192.0.2.7",
    client_name="mx.example.net",
    findings=(Finding("rspamd", 14.2, 15.0, (("BAD", 9.0), ("WORSE", None))),),
    authentication=(Authentication("spf", "pass", "example.net", "rspamd"),),
    known=KnownSender(1, 3, 2, 10, 0),
)


def test_what_is_imported_says_what_was_known_of_its_sender(local: Vault, tmp_path: Path) -> None:
    (tmp_path / "1.eml").write_bytes(mail("Anna <Anna@example.net>"))
    (tmp_path / "2.eml").write_bytes(mail("dora@example.net"))
    (tmp_path / "3.eml").write_bytes(b"Subject: nobody\n\nx\n")
    import_paths(local, [tmp_path / "1.eml"])
    Known(local).add({ANNA: (2, 1), (DOMAIN, "example.net"): (3, 0), (RECIPIENT, ANNA[1]): (0, 1)}, now_ms() // DAY_MS)
    import_paths(local, [tmp_path / "1.eml", tmp_path / "2.eml", tmp_path / "3.eml"])
    known = [copy.record.known for copy in local.scan()]
    assert known == [None, KnownSender(2, 1, 3, 0, 1), KnownSender(0, 0, 3, 0, 0), None]


def test_show_tells_what_was_known(own: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    vault = open_store(own, Unlock.key_file(tmp_path / "key"))
    vault.put_many([(b"Subject: x\r\n\r\n", record, None) for record in (RECORD, CopyRecord())])
    vault.close()
    capsys.readouterr()
    assert main(["show", "1", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["client_name"] == "mx.example.net"
    assert shown["known"] == {
        "address": {"authenticated": 1, "other": 3},
        "domain": {"authenticated": 2, "other": 10},
        "written_to": 0,
    }
    symbols = [{"name": "BAD", "weight": 9.0}, {"name": "WORSE", "weight": None}]
    assert shown["findings"] == [{"scanner": "rspamd", "score": 14.2, "required": 15.0, "symbols": symbols}]
    result = {"method": "spf", "result": "pass", "identity": "example.net", "server": "rspamd"}
    assert shown["authentication"] == [result]
    assert main(["show", "1"]) == 0
    assert (
        "sender: 4 let through before (1 authenticated), 12 of its domain, nobody here wrote to it; spf pass; "
        "client mx.example.net [192.0.2.7]; score 14.2 of 15.0: BAD WORSE"
    ) in capsys.readouterr().out
    assert main(["show", "2", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["known"] is None
