"""What the console polls: nothing without changes, and which copies are released and waiting."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing

import pytest

from store.authority.settings import Settings
from store.campaigns.finding import find
from store.campaigns.marks import name
from store.database.connection import BUSY_SECONDS
from store.delivery.queue import cancel, release
from store.delivery.releases import Releases
from store.mail.outcome import Delivered
from store.space.changing_settings import change_settings
from store.vault.vault import Vault
from tests.store.campaigns.mail import put_wave
from tests.tui.console.fakes import NOW, FakeCatalogue, copies, sample
from tui.console.follow import FINDER_REST, MOST_REST, REST, Follower


@pytest.fixture
def ids(any_vault: Vault) -> list[int]:
    change_settings(any_vault, Settings(relay="smtp://127.0.0.1:9"))
    return any_vault.put_many((b"Subject: x\r\n\r\nx\r\n", sample(2 + 8 * n), NOW) for n in range(3))


def test_released_and_waiting_copies_are_seen_as_they_change(any_vault: Vault, ids: list[int]) -> None:
    follows = Releases(any_vault)
    queued = release(any_vault, ids[:2], original=True, operator="ada").queued
    assert set(follows.read()) == set(ids[:2]) == follows.live
    cancel(any_vault, queued[0], "ada")
    assert set(follows.read()) == {ids[1]} == follows.live


def test_a_poll_answers_once_for_each_change(any_vault: Vault, ids: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    any_vault.delete(any_vault.put_many([(b"x", sample(1), NOW)]))
    decoded, since = [], any_vault.tombstones_since
    monkeypatch.setattr(any_vault, "tombstones_since", lambda id: decoded.append(id) or since(id))
    catalogue = FakeCatalogue(copies(3))
    follower = Follower(any_vault, catalogue)
    first = follower.poll()
    assert first is not None and first.copies_changed and first.gone == [] and not decoded
    assert follower.poll() is None
    any_vault.delete(ids[:1])
    second = follower.poll()
    assert second is not None and second.gone == ids[:1]
    assert follower.poll() is None
    release(any_vault, ids[1:2], original=True, operator="ada")
    third = follower.poll()
    assert third is not None and third.live == {ids[1]} and third.outcomes == {ids[1]: Delivered.WAITING}
    assert not third.copies_changed


def test_a_damaged_delivery_is_counted_and_hides_no_other(any_vault: Vault, ids: list[int]) -> None:
    queued = release(any_vault, ids[:2], original=True, operator="ada").queued
    table = any_vault.models.DeliveryRecipient
    with any_vault.write():
        table.update(sealed_address=b"x" * 90).where(table.delivery_id == queued[0]).execute()
    follower = Follower(any_vault, FakeCatalogue(copies(3)))
    facts = follower.poll()
    assert (
        facts is not None
        and facts.outcomes == {ids[0]: Delivered.UNKNOWN, ids[1]: Delivered.WAITING}
        and facts.live == set(ids[:2])
    )
    assert facts.problem == "1 delivery is damaged or tampered with. See Message queue."
    any_vault.delete(ids[2:])
    facts = follower.poll()
    assert facts is not None and "1 delivery is damaged" in facts.problem
    cancel(any_vault, queued[0], "ada")
    facts = follower.poll()
    assert facts is not None and not facts.problem


def test_settings_that_do_not_verify_hide_nothing(
    any_vault: Vault, ids: list[int], open_again: Callable[[], Vault]
) -> None:
    """The last known maximum is shown; if none is known, none is shown."""
    catalogue = FakeCatalogue(copies(3))
    before = Follower(any_vault, catalogue)
    first = before.poll()
    assert first is not None and first.maximum == Settings().max_size and not first.problem
    with any_vault.write():
        any_vault.models.Configuration.update(sealed=b"x" * 90).execute()
    for follower, maximum in ((before, Settings().max_size), (Follower(open_again(), catalogue), 0)):
        facts = follower.poll()
        assert facts is not None and (facts.used, facts.oldest) == (first.used, first.oldest)
        assert facts.maximum == maximum and "Settings is damaged" in facts.problem


def test_an_erasure_that_a_reader_puts_off_is_done_by_a_later_poll(vault: Vault) -> None:
    ids = vault.put_many((b"Subject: x\r\n\r\nx\r\n", sample(number), NOW) for number in range(3))
    follower = Follower(vault, FakeCatalogue(copies(3)))
    with closing(sqlite3.connect(vault.location, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT COUNT(*) FROM message").fetchone()
        assert vault.delete(ids[:1]).left
        follower.poll()
        assert vault.erasing.pending
    follower.poll()
    assert not vault.erasing.pending


def test_campaigns_are_told_as_they_stand(any_vault: Vault) -> None:
    first, *_ = put_wave(any_vault)
    catalogue = FakeCatalogue(copies(3))
    follower = Follower(any_vault, catalogue)
    facts = follower.poll()
    assert facts is not None and not facts.standing.campaigns and facts.standing.waiting == 65
    find(any_vault)
    facts = follower.poll()
    assert facts is not None and facts.standing is catalogue.standing
    assert list(facts.standing.campaigns[0].copies) == first
    name(any_vault, 1, "Parcels")
    facts = follower.poll()
    assert facts is not None and facts.standing.campaigns[0].mark.name == "Parcels"
    any_vault.delete(first[:1])
    later = follower.poll()
    assert later is not None and later.standing is facts.standing


class _Looking:
    """A finder that only counts how often it is told to look."""

    problem = ""

    def __init__(self) -> None:
        self.looks = 0

    def look(self, reader: object) -> None:
        self.looks += 1


def test_the_finder_waits_until_all_is_loaded_and_a_while_longer(any_vault: Vault, ids: list[int]) -> None:
    now, catalogue, finder = [100.0], FakeCatalogue(copies(3)), _Looking()
    catalogue.complete = False
    follower = Follower(any_vault, catalogue, finder, clock=lambda: now[0])  # type: ignore[arg-type]  # stand-ins
    for _ in range(3):
        follower.poll()
        now[0] += 2 * FINDER_REST
    assert not finder.looks
    catalogue.complete = True
    follower.poll()
    now[0] += FINDER_REST * 0.9
    follower.poll()
    assert not finder.looks
    now[0] += FINDER_REST * 0.2
    follower.poll()
    follower.poll()
    assert finder.looks == 2


def test_after_changes_there_is_a_pause_as_long_as_reading_them_is_worth(any_vault: Vault, ids: list[int]) -> None:
    now, catalogue = [100.0], FakeCatalogue(copies(3))

    def engine_counts() -> dict[object, int]:
        now[0] += 0.5
        return {}

    catalogue.engine_counts = engine_counts  # type: ignore[method-assign,assignment]  # takes half a second
    follower = Follower(any_vault, catalogue, clock=lambda: now[0])  # type: ignore[arg-type]  # a stand-in
    assert follower.poll() is not None
    assert follower.rest_until == now[0] + REST * 0.5
    now[0] += 10
    assert follower.poll() is None
    assert follower.rest_until < now[0]


def test_a_poll_that_had_to_wait_for_the_store_is_followed_by_a_short_pause(
    any_vault: Vault, ids: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]

    def finish(tries: int) -> bool:
        now[0] += BUSY_SECONDS
        return False

    monkeypatch.setattr(any_vault.erasing, "finish", finish)
    follower = Follower(any_vault, FakeCatalogue(copies(3)), clock=lambda: now[0])  # type: ignore[arg-type]  # stand-in
    assert follower.poll() is not None
    assert follower.rest_until == now[0] + MOST_REST < now[0] + BUSY_SECONDS
