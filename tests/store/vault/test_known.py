"""Counters of known senders in the database: shared, bounded, decaying, and read across a change of their key."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.check import check
from store.enrolment.enrolment import enroll, open_with_credentials
from store.enrolment.revocation import revoke
from store.sealing.counting import DOMAIN, SENDER, Count, seal_count, tag_of
from store.terms.errors import MailholdError, TamperedError
from store.vault import known as module
from store.vault.known import HALF, OLD, Key, Known, fades, left_of
from store.vault.vault import Vault

ANNA: Key = (SENDER, "anna@example.net")
BERT: Key = (SENDER, "bert@example.net")
Sql = Callable[..., Any]


@pytest.fixture
def gateways(any_vault: Vault, tmp_path: Path) -> Iterator[list[Vault]]:
    """Open two gateways."""
    opened = []
    for name in ("mx1", "mx2"):
        enroll(any_vault, name, tmp_path / name)
        opened.append(open_with_credentials(any_vault.location, tmp_path / name))
    yield opened
    for each in opened:
        each.close()


def rows(vault: Vault, sql: Sql) -> list[tuple[int, bytes, int, bytes]]:
    found = sql(vault, "SELECT n, tag, day, sealed FROM known ORDER BY tag")
    return [(number, bytes(tag), day, bytes(sealed)) for number, tag, day, sealed in found]


def one(vault: Vault, key: Key, day: int = 100) -> tuple[float, float]:
    [count] = Known(vault).counts([key], day)
    return count.authenticated, count.other


def test_two_gateways_share_what_each_counts(any_vault: Vault, gateways: list[Vault]) -> None:
    first, second = map(Known, gateways)
    first.add({ANNA: (1, 2), BERT: (0, 1)}, 100)
    second.add({ANNA: (3, 0)}, 100)
    first.add({ANNA: (0, 1)}, 100)
    for vault in (*gateways, any_vault):
        assert one(vault, ANNA) == (4, 3)
        assert one(vault, BERT) == (0, 1)
        assert one(vault, (DOMAIN, "anna@example.net")) == (0, 0), "of another kind"
    assert not check(any_vault).broken


@given(st.floats(0, 1e6), st.floats(0, 1e6), st.integers(0, 500), st.integers(0, 500))
def test_what_fades_fades_whenever_it_is_looked_at(authenticated: float, other: float, first: int, more: int) -> None:
    count = Count(10, authenticated, other)
    once, twice = left_of(count, 10 + first + more), left_of(left_of(count, 10 + first), 10 + first + more)
    assert twice == pytest.approx(once)
    assert left_of(count, 10 + HALF) == pytest.approx((10 + HALF, authenticated / 2, other / 2))
    left = left_of(count, fades(count))
    assert left.authenticated + left.other <= 0.1250001
    if authenticated + other > 1:
        before = left_of(count, fades(count) - 1)
        assert before.authenticated + before.other > 0.1249999


def test_old_mail_counts_half_after_thirty_days(any_vault: Vault) -> None:
    Known(any_vault).add({ANNA: (8, 4)}, 100)
    assert one(any_vault, ANNA, 130) == pytest.approx((4, 2))
    Known(any_vault).add({ANNA: (1, 0)}, 160)
    assert one(any_vault, ANNA, 160) == pytest.approx((3, 1))
    assert one(any_vault, ANNA, 150) == pytest.approx((3, 1)), "a clock that is behind makes nothing more of it"


def test_the_oldest_and_smallest_go_where_there_are_too_many(
    any_vault: Vault, sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST", 50)
    monkeypatch.setattr(module, "GROUP", 7)
    known = Known(any_vault)
    known.add({(SENDER, f"old{number}@x"): (0, 1) for number in range(20)}, 100)
    known.add({(SENDER, f"large{number}@x"): (50, 0) for number in range(20)}, 100)
    known.tidy(110)
    assert len(rows(any_vault, sql)) == 40
    known.add({(SENDER, f"new{number}@x"): (0, 1) for number in range(20)}, 110)
    known.tidy(110)
    assert len(rows(any_vault, sql)) == 48
    left = [(name, one(any_vault, (SENDER, name), 110) != (0, 0)) for name in ("large3@x", "new3@x")]
    assert left == [("large3@x", True), ("new3@x", True)]
    assert sum(one(any_vault, (SENDER, f"old{number}@x"), 110) != (0, 0) for number in range(20)) == 8


def test_what_has_faded_is_removed(any_vault: Vault, sql: Sql, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "GROUP", 3)
    known = Known(any_vault)
    known.add({(SENDER, f"{number}@x"): (1, 0) for number in range(10)}, 100)
    known.add({ANNA: (1, 1)}, 100)
    known.tidy(100 + 3 * HALF)
    assert len(rows(any_vault, sql)) == 11
    known.tidy(101 + 3 * HALF)
    assert len(rows(any_vault, sql)) == 1, "two messages last thirty days longer than one"
    assert one(any_vault, ANNA, 101 + 3 * HALF) != (0, 0)


def test_a_revoked_gateways_key_opens_nothing_new(any_vault: Vault, gateways: list[Vault], sql: Sql) -> None:
    first, second = map(Known, gateways)
    first.add({ANNA: (2, 0), BERT: (1, 0)}, 100)
    old = gateways[1].grants.keys().counter
    revoke(any_vault, "mx2", operator="olga")
    with pytest.raises(MailholdError):
        second.add({ANNA: (100, 0)}, 100)
    first.add({ANNA: (1, 0)}, 100)
    assert one(gateways[0], ANNA) == (3, 0), "what the former key counted is kept"
    new = any_vault.grants.keys(2).counter
    found = {(number, tag) for number, tag, _, _ in rows(any_vault, sql)}
    assert found == {(2, tag_of(new, *ANNA)), (1, tag_of(old, *BERT))}, "and goes over with the next message"
    assert one(gateways[0], BERT) == (1, 0) and one(any_vault, BERT, 100 + OLD) != (0, 0)
    assert one(any_vault, BERT, 101 + OLD) == (0, 0), "the former key is read for so long"
    forged = seal_count(old, any_vault.store_id, 2, tag_of(new, *BERT), Count(100, 50, 0))
    sql(any_vault, "INSERT INTO known VALUES (2, ?, 500, ?)", tag_of(new, *BERT), forged)
    assert one(gateways[0], BERT) == (1, 0)


def test_what_is_under_former_keys_goes_in_time(any_vault: Vault, gateways: list[Vault], sql: Sql) -> None:
    known = Known(gateways[0])
    known.add({ANNA: (500, 0)}, 100)
    revoke(any_vault, "mx2", operator="olga")
    known.add({BERT: (500, 0)}, 100)
    known.tidy(100)
    assert [day for number, _, day, _ in rows(any_vault, sql) if number == 1] == [100 + OLD]
    known.tidy(105)
    assert [day for number, _, day, _ in rows(any_vault, sql) if number == 1] == [100 + OLD], "no later"
    known.tidy(101 + OLD)
    assert [number for number, *_ in rows(any_vault, sql)] == [2]
    assert one(any_vault, BERT, 101 + OLD) != (0, 0)


def test_what_is_under_a_key_before_the_former_goes_at_once(
    any_vault: Vault, gateways: list[Vault], sql: Sql, tmp_path: Path
) -> None:
    known = Known(gateways[0])
    known.add({ANNA: (500, 0)}, 100)
    revoke(any_vault, "mx2", operator="olga")
    known.add({BERT: (500, 0)}, 100)
    enroll(any_vault, "mx3", tmp_path / "mx3")
    newcomer = open_with_credentials(any_vault.location, tmp_path / "mx3")
    assert one(newcomer, BERT) == (500, 0) and one(newcomer, ANNA) == (0, 0), "it was granted no former key"
    newcomer.close()
    revoke(any_vault, "mx3", operator="olga")
    known.tidy(100)
    assert [number for number, *_ in rows(any_vault, sql)] == [2]
    assert one(gateways[0], BERT) == (500, 0) and one(gateways[0], ANNA) == (0, 0)


@pytest.mark.parametrize("fault", ["another tag", "swapped", "another generation", "damaged", "absurd"])
def test_a_row_that_does_not_open_counts_for_nothing(
    any_vault: Vault, sql: Sql, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    known = Known(any_vault)
    known.add({ANNA: (5, 0), BERT: (7, 0)}, 100)
    key = any_vault.grants.keys().counter
    anna, bert = tag_of(key, *ANNA), tag_of(key, *BERT)
    sealed = {tag: blob for _, tag, _, blob in rows(any_vault, sql)}
    if fault == "another tag":
        sql(any_vault, "UPDATE known SET tag = ? WHERE tag = ?", bytes(16), anna)
    elif fault == "swapped":
        sql(any_vault, "UPDATE known SET sealed = ? WHERE tag = ?", sealed[bert], anna)
        sql(any_vault, "UPDATE known SET sealed = ? WHERE tag = ?", sealed[anna], bert)
        assert one(any_vault, BERT) == (0, 0)
    elif fault == "another generation":
        sql(any_vault, "UPDATE known SET n = 7 WHERE tag = ?", anna)
    elif fault == "damaged":
        sql(any_vault, "UPDATE known SET sealed = ? WHERE tag = ?", sealed[anna][:-1] + b"x", anna)
    else:
        sql(any_vault, "UPDATE known SET sealed = ? WHERE tag = ?", b"", anna)
    assert one(any_vault, ANNA) == (0, 0)
    bad = "2" if fault == "swapped" else "1"
    [(what, why)] = check(any_vault).broken
    assert what == "known senders" and why.startswith(f"{bad} of 2 counters cannot be read")
    known.add({ANNA: (1, 0)}, 100)
    assert one(any_vault, ANNA) == (1, 0), "the next message writes it anew"
    monkeypatch.setattr(module, "GROUP", 1)
    known.add({(SENDER, f"{number}@x"): (1, 0) for number in range(3)}, 100)
    assert bool(check(any_vault).broken) is (fault in ("another tag", "swapped"))


def test_who_only_reads_has_no_key(vault: Vault) -> None:
    reader = Vault.from_key_material(vault.location, vault.worker_key_material())
    with pytest.raises((MailholdError, TamperedError)):
        Known(reader).counts([ANNA], 100)
    reader.close()


def test_a_write_that_fails_leaves_every_counter_as_it_was(any_vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    known = Known(any_vault)
    known.add({ANNA: (1, 0), BERT: (1, 0)}, 100)

    def cut(*_args: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "fades", cut)
    with pytest.raises(KeyboardInterrupt):
        known.add({ANNA: (1, 0), BERT: (1, 0)}, 100)
    assert one(any_vault, ANNA) == one(any_vault, BERT) == (1, 0)


def test_of_many_names_those_that_have_a_counter_are_told(
    any_vault: Vault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_TAGS_AT_ONCE", 3)
    assert not Known(any_vault).begins() and Known(any_vault).likely(Known(any_vault).begins(), SENDER, ["a"]) == []
    enroll(any_vault, "mx1", tmp_path / "mx1")
    Known(any_vault).add({(SENDER, f"a{number}@x.example"): (1, 0) for number in range(7)}, 100)
    revoke(any_vault, "mx1")  # The earlier counters are under the former key.
    known = Known(any_vault)
    known.add({(SENDER, "new@x.example"): (1, 0), (DOMAIN, "x.example"): (1, 0)}, 100)
    begins = known.begins()
    assert len(begins) == 9 and list(begins) == sorted(begins)
    names = ["b@x.example", "a3@x.example", "x.example", "new@x.example", *(f"c{number}" for number in range(500))]
    assert Known(any_vault).likely(begins, SENDER, names) == ["a3@x.example", "new@x.example"]
    assert known.likely(begins, DOMAIN, names) == ["x.example"]
