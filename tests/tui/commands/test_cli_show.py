"""`mailhold show` as text: each field once, in words."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from store.terms.records import CopyRecord
from store.vault.vault import Vault
from tests.store.conftest import RECORD
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
    assert {
        "Processing rule",
        "Backup Reason",
        "Time placed in Backup",
        "MTA-Message-ID",
        "Message size",
    } <= lines.keys()
