"""A message that is resent after no answer is not placed again; one resent after an answer is a new message."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import pytest
from peewee import OperationalError

from store.database.connection import run
from store.terms.errors import StoreUnavailable
from store.terms.records import CopyRecord
from store.vault import unanswered as module
from store.vault.vault import Vault

RAW = b"Subject: x\r\n\r\ny\r\n"


def tag_of(
    vault: Vault, raw: bytes = RAW, sender: str = "a@b.example", recipients: tuple[str, ...] = ("c@d",)
) -> bytes:
    return vault.unanswered.tag(hashlib.sha256(raw).digest(), sender, recipients)


def arrive(
    vault: Vault, raw: bytes = RAW, sender: str = "a@b.example", recipients: tuple[str, ...] = ("c@d",)
) -> tuple[bytes, int]:
    """Receive a message like a gateway; return its tag and its copy."""
    tag = tag_of(vault, raw, sender, recipients)
    copy_id = vault.unanswered.take(tag)
    return tag, vault.put(raw, CopyRecord(), tag=tag) if copy_id is None else copy_id


def rows(vault: Vault) -> int:
    return int(run(vault.db, "SELECT COUNT(*) FROM pending").fetchone()[0])


def test_after_a_kill_the_message_that_comes_again_is_the_same_once(
    any_vault: Vault, open_again: Callable[[], Vault]
) -> None:
    _, first = arrive(any_vault)
    after = open_again()  # Only its rows remain of the killed process.
    tag, again = arrive(after)
    assert again == first and after.ids() == [first]
    after.unanswered.settle(tag, again, answered=True)
    _, second = arrive(after)
    assert second != first and after.ids() == [first, second]


def test_what_was_answered_is_another_message(any_vault: Vault, open_again: Callable[[], Vault]) -> None:
    tag, first = arrive(any_vault)
    any_vault.unanswered.settle(tag, first, answered=True)
    any_vault.write_answers()
    assert rows(any_vault) == 0
    _, second = arrive(open_again())
    assert second != first


def test_two_that_were_alike_are_two(any_vault: Vault, open_again: Callable[[], Vault]) -> None:
    first, second = arrive(any_vault)[1], arrive(any_vault)[1]
    assert first != second
    after = open_again()
    assert {arrive(after)[1], arrive(after)[1]} == {first, second}
    assert arrive(after)[1] not in (first, second)


@pytest.mark.parametrize(
    "other", [{"raw": RAW + b"z"}, {"sender": "z@b.example"}, {"recipients": ("c@d", "e@d")}, {"recipients": ()}]
)
def test_other_bytes_or_another_envelope_are_another_message(
    vault: Vault, open_again: Callable[[], Vault], other: dict[str, object]
) -> None:
    _, first = arrive(vault)
    assert arrive(open_again(), **other)[1] != first  # type: ignore[arg-type]


def test_a_client_that_went_away_without_an_answer_brings_the_same_message(vault: Vault) -> None:
    tag, first = arrive(vault)
    vault.unanswered.settle(tag, first, answered=False)
    assert arrive(vault)[1] == first


@pytest.mark.parametrize("committed", [True, False])
def test_a_message_whose_commit_has_an_unknown_outcome_is_placed_once(
    any_vault: Vault, monkeypatch: pytest.MonkeyPatch, committed: bool
) -> None:
    """The server is lost in the middle of a commit, and does not answer when asked whether it was done."""
    arrive(any_vault, raw=b"before")
    commit = any_vault.db.commit

    def lost() -> None:
        if committed:
            commit()
        raise OperationalError("the connection was lost")

    with monkeypatch.context() as broken:
        broken.setattr(any_vault.db, "commit", lost)
        if committed:
            broken.setattr(any_vault.db, "rollback", lambda: None)
        for _ in range(2):  # The client comes again while the server is still away.
            with pytest.raises(StoreUnavailable):
                arrive(any_vault)
    tag, copy_id = arrive(any_vault)
    assert any_vault.ids() == [1, copy_id] == [1, 2]
    any_vault.unanswered.settle(tag, copy_id, answered=True)
    assert arrive(any_vault)[1] == 3


def test_doubts_do_not_pile_up(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST", 2)
    placed = [arrive(vault, raw=b"%d" % number) for number in range(3)]
    vault.unanswered.doubt(placed)
    assert [vault.unanswered.take(tag) for tag, _ in placed] == [None, placed[1][1], placed[2][1]]


def test_a_copy_that_is_gone_meanwhile_is_placed_again(vault: Vault, open_again: Callable[[], Vault]) -> None:
    _, first = arrive(vault)
    vault.delete([first])
    after = open_again()
    _, again = arrive(after)
    assert again != first and after.ids() == [again]


def test_after_a_day_it_is_another_message(
    vault: Vault, open_again: Callable[[], Vault], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, first = arrive(vault)
    later = module.now_ms() + module.DAY_MS
    monkeypatch.setattr(module, "now_ms", lambda: later)
    after = open_again()
    assert arrive(after)[1] != first
    assert rows(after) == 1


def test_the_next_copy_and_the_end_of_the_process_take_the_rows_away(
    vault: Vault, open_again: Callable[[], Vault]
) -> None:
    for number in range(3):
        tag, copy_id = arrive(vault, raw=b"%d" % number)
        vault.unanswered.settle(tag, copy_id, answered=True)
        assert rows(vault) == 1
    vault.close()
    assert rows(open_again()) == 0


def test_those_that_never_come_again_do_not_pile_up(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST", 2)
    for number in range(4):
        tag, copy_id = arrive(vault, raw=b"%d" % number)
        vault.unanswered.settle(tag, copy_id, answered=False)
    vault.write_answers()
    assert rows(vault) == 2


def test_among_many_that_never_come_again_one_is_found_at_once(vault: Vault) -> None:
    plan = run(vault.db, f"EXPLAIN QUERY PLAN {module._DELETE}", b"", 0, 0).fetchall()
    assert [row[3] for row in plan] == ["SEARCH pending USING PRIMARY KEY (tag=? AND copy_id=?)"]


def test_a_digest_that_is_handed_in_is_the_copys(vault: Vault) -> None:
    copy_id = vault.put(RAW, CopyRecord(), digest=hashlib.sha256(RAW).digest())
    assert vault.raw(copy_id) == RAW


@pytest.mark.parametrize(("others", "known"), [(9_999, True), (10_000, False)])
def test_ten_thousand_may_come_again(vault: Vault, others: int, known: bool) -> None:
    tag, first = arrive(vault)
    vault.unanswered.settle(tag, first, answered=False)
    for number in range(others):
        vault.unanswered.settle(b"%d" % number, 1000 + number, answered=False)
    assert vault.unanswered.needs_writing() is not known
    assert vault.unanswered.take(tag) == (first if known else None)


def test_the_one_that_waits_longest_is_forgotten(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST", 2)
    placed = [arrive(vault, raw=b"%d" % number) for number in range(3)]
    for tag, copy_id in placed:
        vault.unanswered.settle(tag, copy_id, answered=False)
    assert [vault.unanswered.take(tag) for tag, _ in placed] == [None, placed[1][1], placed[2][1]]


def test_the_row_of_a_copy_that_is_gone_goes_too(vault: Vault, open_again: Callable[[], Vault]) -> None:
    tag, first = arrive(vault)
    vault.delete([first])
    after = open_again()
    assert tag_of(after) == tag
    assert after.unanswered.take(tag) is None and after.unanswered.needs_writing()
    after.write_answers()
    assert rows(after) == 0 and not after.unanswered.needs_writing()


@pytest.mark.parametrize(("hours", "known"), [(0, True), (23.999, True), (-23.999, True), (24, False), (-24, False)])
def test_it_is_known_for_a_day_by_a_clock_that_is_right_within_a_day(
    vault: Vault, open_again: Callable[[], Vault], monkeypatch: pytest.MonkeyPatch, hours: float, known: bool
) -> None:
    moment = 1_900_000_000_000
    monkeypatch.setattr(module, "now_ms", lambda: moment)
    _, first = arrive(vault)
    monkeypatch.setattr(module, "now_ms", lambda: moment + round(hours * 3_600_000))
    assert (arrive(open_again())[1] == first) is known


def test_a_tag_is_of_the_message_and_its_envelope_and_of_the_store(
    vault: Vault, open_again: Callable[[], Vault]
) -> None:
    tag = tag_of(vault, recipients=("c@d", "\udce9@d"))
    assert len(tag) == 16
    assert tag_of(open_again(), recipients=("c@d", "\udce9@d")) == tag
    # The boundary between two recipients is part of the tag.
    assert tag_of(vault, recipients=("c@d\udce9@d",)) != tag


def test_of_several_copies_of_one_message_the_oldest_comes_first(vault: Vault, open_again: Callable[[], Vault]) -> None:
    placed = [arrive(vault)[1] for _ in range(3)]
    after = open_again()
    assert [arrive(after)[1] for _ in range(3)] == placed
    assert arrive(after)[1] not in placed


def test_only_what_became_durable_is_forgotten(vault: Vault) -> None:
    tag, first = arrive(vault)
    vault.unanswered.settle(tag, first, answered=True)
    with pytest.raises(ZeroDivisionError), vault.write():
        vault.unanswered.write([])
        raise ZeroDivisionError
    assert rows(vault) == 1 and vault.unanswered.needs_writing()
    with vault.write():
        answered = vault.unanswered.write([])
    assert len(answered) == 1
    vault.unanswered.settle(b"other", 99, answered=True)
    vault.unanswered.written(answered)
    assert rows(vault) == 0 and vault.unanswered.needs_writing(), "what was answered meanwhile is still to be written"
    with vault.write():
        other = vault.unanswered.write([])
    assert len(other) == 1 and other != answered
