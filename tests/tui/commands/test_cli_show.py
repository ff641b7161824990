"""`mailhold show` as text: each field once, in words."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from store.terms.records import Attachment, CopyRecord
from store.terms.verdicts import Engine, Status, Verdict
from store.vault.vault import Vault
from tests.store.conftest import RECORD
from tests.tui.console.test_message_lines import FIELDS
from tui.commands.show import _print_fields, view_fields


@pytest.mark.parametrize(
    ("sender", "recipients", "shown"),
    [
        ("s@out.example", ["a@x.example", "b@x.example"], "s@out.example  a@x.example, b@x.example"),
        ("", ["a@x.example"], "<>  a@x.example"),
        (None, [], ""),
    ],
)
def test_the_envelope(
    vault: Vault, capsys: pytest.CaptureFixture[str], sender: str | None, recipients: list[str], shown: str
) -> None:
    record: CopyRecord = msgspec.structs.replace(RECORD, envelope_sender=sender, envelope_recipients=recipients)
    fields: dict[str, Any] = view_fields(vault, vault.get(vault.put(b"x", record)))
    _print_fields(fields, "")
    lines = {line[:36].strip(): line[36:] for line in capsys.readouterr().out.splitlines()}
    assert lines["Envelope"] == shown
    assert not {"Rule id", "Reason", "Stored at", "Size"} & lines.keys()


def test_the_fields_are_named_as_in_the_message_view_and_in_its_order(
    vault: Vault, capsys: pytest.CaptureFixture[str]
) -> None:
    _print_fields(view_fields(vault, vault.get(vault.put(b"x", RECORD))), "")
    labels = [line[:36].strip() for line in capsys.readouterr().out.splitlines()]
    assert [label for label in labels if label in FIELDS] == FIELDS
    assert {"ID", "Message-ID", "SHA-256"} <= set(labels)


@pytest.mark.parametrize(
    ("rule_id", "name", "shown"), [(3, "Inbound", "3  Inbound"), (3, "", "3"), (0, "old", "0  old"), (0, "", "")]
)
def test_a_copy_of_no_rule_is_not_one_of_rule_0(
    vault: Vault, capsys: pytest.CaptureFixture[str], rule_id: int, name: str, shown: str
) -> None:
    record: CopyRecord = msgspec.structs.replace(RECORD, rule_id=rule_id, rule_name=name)
    _print_fields(view_fields(vault, vault.get(vault.put(b"x", record))), "")
    lines = {line[:36].strip(): line[36:] for line in capsys.readouterr().out.splitlines()}
    assert lines["Processing rule"] == shown


def test_scan_results_are_in_words(vault: Vault, capsys: pytest.CaptureFixture[str]) -> None:
    verdicts = (Verdict(Engine.ANTI_VIRUS, Status.PROBABLY_INFECTED, "PUA.X"), Verdict(Engine.CONTENT, Status.CLEAN))
    record: CopyRecord = msgspec.structs.replace(RECORD, verdicts=verdicts)
    _print_fields(view_fields(vault, vault.get(vault.put(b"x", record))), "")
    said = [line[36:] for line in capsys.readouterr().out.splitlines()]
    first = said.index("Anti-Spam  Not scanned")
    assert said[first : first + 4] == [
        "Anti-Spam  Not scanned",
        "Anti-Virus  Probably infected  PUA.X",
        "Content filtering  Clean",
        "Anti-Phishing  Not scanned",
    ]


def test_sizes_have_their_unit(vault: Vault, capsys: pytest.CaptureFixture[str]) -> None:
    record: CopyRecord = msgspec.structs.replace(RECORD, attachments=(Attachment("a.zip", "application/zip", 4096),))
    _print_fields(view_fields(vault, vault.get(vault.put(b"x" * 1234, record))), "")
    lines = {line[:36].strip(): line[36:] for line in capsys.readouterr().out.splitlines()}
    assert lines["Message size"] == "1,234 bytes" and lines["Attachments"] == "a.zip  application/zip  4,096 bytes"
    assert lines["Stored size"].endswith(" bytes")
