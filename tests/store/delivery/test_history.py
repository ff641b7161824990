"""The history of a copy's releases: the newest one not cancelled, and every mailbox."""

from __future__ import annotations

from store.authority.settings import Settings
from store.delivery.history import last_release, recipient_outcomes
from store.delivery.queue import release
from store.delivery.retrying import cancel
from store.mail.outcome import State
from store.space.changing_settings import change_settings
from store.terms.records import CopyRecord
from store.vault.vault import Vault

RAW = b"Subject: x\r\nTo: a@x.example\r\n\r\nbody\r\n"


def test_the_newest_release_that_was_not_called_off_is_told(any_vault: Vault) -> None:
    change_settings(any_vault, Settings(relay="smtp://127.0.0.1:1"))
    record = CopyRecord(envelope_sender="s@x.example", envelope_recipients=("a@x.example",))
    one, other = (any_vault.put(RAW, record) for _ in range(2))
    placed = {}
    for operator in ("ada", "bob", "eve"):
        [placed[operator]] = release(any_vault, [one], original=True, operator=operator, again=True).queued
    release(any_vault, [other], original=True, operator="zoe")
    for operator, before in (("eve", "bob"), ("bob", "ada"), ("ada", None)):
        told = last_release(any_vault, one)
        assert told is not None and told.operator == operator
        cancel(any_vault, placed[operator])
        told = last_release(any_vault, one)
        assert (told.operator if told else None) == before
    assert last_release(any_vault, 99) is None
    assert [(each.address, each.state) for each in recipient_outcomes(any_vault, one)] == [
        ("a@x.example", State.CANCELLED)
    ] * len(recipient_outcomes(any_vault, one))
