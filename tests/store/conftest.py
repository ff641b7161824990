"""Fixtures of the store's tests: messages, and rows to tamper with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from store.terms.records import Attachment, CopyRecord
from store.terms.verdicts import Action, Engine, Status, Verdict
from store.vault.vault import Vault

RECORD = CopyRecord(
    from_="Zoë Example <zoe@example.org>",
    to="bob@corp.example",
    subject="Straße [link](x) \x1b[31m",
    message_id="<1@example.org>",
    mta_message_id="4XyZ",
    envelope_sender="",
    envelope_recipients=("bob@corp.example", "eve@corp.example"),
    rule_id=7,
    verdicts=(Verdict(Engine.ANTI_SPAM, Status.SPAM, "score 12"), Verdict(Engine.ANTI_VIRUS, Status.CLEAN)),
    reason=Verdict(Engine.ANTI_SPAM, Status.SPAM, "score 12"),
    action=Action.DELETE_MESSAGE,
    sent_at=1,
    received_at=2,
    attachments=(Attachment("a.txt", "text/plain", 3),),
)


@pytest.fixture
def record() -> CopyRecord:
    """Make a record with most fields filled."""
    return RECORD


@pytest.fixture
def put_some(record: CopyRecord) -> Callable[..., list[int]]:
    """Return a function that puts `count` distinct copies into a vault, in one group commit."""

    def put(vault: Vault, count: int, size: int = 40) -> list[int]:
        return vault.put_many((f"{i}:".encode() + b"x" * size, record, 1000 + i) for i in range(count))

    return put


@pytest.fixture
def sql() -> Callable[..., Any]:
    """Return a function that runs SQL on a vault's database as a database writer would, with `?` for values."""

    def execute(vault: Vault, text: str, *values: Any) -> Any:
        with vault.db.making():
            cursor = vault.db.execute_sql(text.replace("?", vault.db.param), values)
        return cursor.fetchall() if cursor.description else None

    return execute
