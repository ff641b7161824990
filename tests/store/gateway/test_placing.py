"""A store that does not answer: messages get their answer in time, and none is stored twice."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from store.authority.settings import Settings, Unavailable
from store.database.connection import run
from store.enrolment.enrolment import enroll, open_with_credentials
from store.gateway import placing
from store.intake.unavailable import TEMPORARY
from store.mail.incoming import Discard, Incoming
from store.vault.vault import Vault
from tests.store.gateway.test_gateway_intake import TO, Lab


@pytest.fixture
def lab(vault: Vault, tmp_path: Path) -> Iterator[Lab]:
    enroll(vault, "mx1", tmp_path / "credentials")
    opened = open_with_credentials(vault.location, tmp_path / "credentials")
    made = Lab(opened)
    made.force(settings=Settings(if_unavailable=Unavailable.TEMPORARY_FAIL))
    yield made
    made.pool.shutdown()
    made.thinkers.shutdown()
    opened.close()


def _message(number: int = 0) -> Incoming:
    return Incoming(b"Subject: %d\r\n\r\nx" % number, "a@spam.example", list(TO), queue_id="4x", received_at=7)


async def _placed(vault: Vault, count: int) -> None:
    while len(vault.ids()) < count:
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.05)  # The results land in the event loop.


async def test_a_message_is_deferred_in_time_and_its_late_copy_is_the_one_when_it_comes_again(
    lab: Lab, vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(placing, "KEEP_SECONDS", 0.2)
    first = _message()
    with vault.write():  # Nobody else can write meanwhile.
        assert await lab.intake.filter(first) == TEMPORARY
        first.settled(answered=False)
        [(event, fields)] = lab.said
        assert event == "backup unavailable" and "has not answered" in fields["why"]
        assert await lab.intake.filter(_message()) == TEMPORARY
        assert len(lab.said) == 1
    await _placed(vault, 1)
    again = _message()
    assert await lab.intake.filter(again) == Discard()
    again.settled(answered=True)
    assert vault.ids() == [1] and lab.said[-1][0] == "backup available again"
    assert await lab.intake.filter(_message()) == Discard()
    assert len(vault.ids()) == 2


async def test_a_client_that_went_away_before_the_copy_was_placed_brings_the_same_message(
    lab: Lab, vault: Vault
) -> None:
    with vault.write():
        task = asyncio.create_task(lab.intake.filter(_message()))
        await asyncio.sleep(0.2)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert await lab.intake.filter(_message()) == TEMPORARY
        assert "still being placed" in lab.said[-1][1]["why"]
    await _placed(vault, 1)
    assert await lab.intake.filter(_message()) == Discard()
    assert vault.ids() == [1]


async def test_messages_do_not_pile_up_in_memory(lab: Lab, vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(placing, "KEEP_SECONDS", 0.2)
    with vault.write():
        late = [lab.intake.filter(_message(number)) for number in range(placing.MOST_LATE)]
        assert await asyncio.gather(*late) == [TEMPORARY] * placing.MOST_LATE
        monkeypatch.setattr(placing, "KEEP_SECONDS", 60.0)
        assert await lab.intake.filter(_message(99)) == TEMPORARY
    await _placed(vault, placing.MOST_LATE)
    assert await lab.intake.filter(_message(99)) == Discard()
    assert len(vault.ids()) == placing.MOST_LATE + 1
    assert run(vault.db, "SELECT COUNT(*) FROM pending").fetchone()[0] == placing.MOST_LATE + 1
