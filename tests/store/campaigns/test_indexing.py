"""Indexing: every copy gets its traits, newest first, even after interruptions, on both databases."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from store.campaigns.indexing import index, read_traits, traits_of
from store.campaigns.making import Context, made_of
from store.message.parser import parse_message
from store.terms.errors import UnlockError
from store.terms.records import CopyRecord
from store.vault.vault import Vault


def message(number: int) -> bytes:
    return f"From: a{number}@x.example\nSubject: Parcel {number}\n\nYour parcel waits for you at http://x.example/\n".encode()


def put(vault: Vault, count: int) -> list[int]:
    record = CopyRecord(client_address="192.0.2.9")
    return vault.put_many((message(number), record, None) for number in range(count))


def test_all_are_indexed_once(any_vault: Vault) -> None:
    ids = put(any_vault, 450)
    told: list[tuple[int, int]] = []
    result = index(any_vault, progress=lambda done, total: told.append((done, total)))
    assert (result.indexed, result.failed, result.left) == (450, [], 0)
    assert told[-1] == (450, 450) and told == sorted(told)
    found = read_traits(any_vault, ids)
    assert sorted(found) == ids
    for number, copy_id in enumerate(ids[:9]):
        assert found[copy_id] == made_of(parse_message(message(number)), Context("192.0.2.9"))
    assert index(any_vault).indexed == 0
    put(any_vault, 3)
    assert index(any_vault, after_id=ids[-1] + 1).indexed == 2 and index(any_vault).indexed == 1


def test_what_is_stopped_goes_on_with_the_rest(any_vault: Vault) -> None:
    ids = put(any_vault, 850)
    told: list[int] = []
    result = index(
        any_vault, progress=lambda done, _total: told.append(done), cancelled=lambda: max(told, default=0) > 0
    )
    assert 200 <= result.indexed < 850 and result.left == 850 - result.indexed
    lacking = traits_of(any_vault).lacking(limit=999)
    assert len(lacking) == result.left and not set(ids[-200:]) & set(lacking)
    assert index(any_vault).indexed == result.left
    assert not traits_of(any_vault).lacking()


def test_a_copy_that_cannot_be_read_is_told_and_the_others_are_done(any_vault: Vault, sql: Callable[..., Any]) -> None:
    ids = put(any_vault, 5)
    sql(any_vault, "UPDATE body SET sealed = SUBSTR(sealed, 1, 30) WHERE id = ?", ids[1])
    sql(any_vault, "DELETE FROM body WHERE id = ?", ids[2])
    result = index(any_vault)
    assert result.indexed == 3 and sorted(copy_id for copy_id, _why in result.failed) == ids[1:3]
    assert sorted(read_traits(any_vault, ids)) == [ids[0], *ids[3:]]


def test_traits_that_were_changed_are_told_and_can_be_made_anew(any_vault: Vault, sql: Callable[..., Any]) -> None:
    ids = put(any_vault, 2)
    index(any_vault)
    sql(any_vault, "UPDATE derived SET sealed = SUBSTR(sealed, 1, 30) WHERE id = ?", ids[0])
    told: list[int] = []
    assert list(read_traits(any_vault, ids, on_error=lambda copy_id, _error: told.append(copy_id))) == ids[1:]
    assert told == ids[:1]
    assert index(any_vault, again=[*told, 999]).indexed == 1
    assert sorted(read_traits(any_vault, ids)) == ids


def test_copies_that_go_meanwhile_are_no_failure(any_vault: Vault) -> None:
    ids = put(any_vault, 450)
    gone = iter([ids[100:140], ids[:20]])

    def progress(_done: int, _total: int) -> None:
        any_vault.delete(next(gone, []))

    result = index(any_vault, progress=progress)
    assert not result.failed and result.left == 0
    assert sorted(read_traits(any_vault, ids)) == any_vault.ids()


def test_a_message_that_kills_its_child_has_the_traits_of_its_headers(
    vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    from store.campaigns import in_child

    monkeypatch.setattr(in_child._children, "_entry", ("no.such.module", "main"))
    in_child.close_children()
    [copy_id] = put(vault, 1)
    assert index(vault).indexed == 1
    traits, texts = read_traits(vault, [copy_id])[copy_id]
    assert traits.sender == "a0@x.example" and traits.origin and not texts.links


def test_a_gateway_cannot(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vault, "keys", dataclasses.replace(vault.keys, private_key=None))
    with pytest.raises(UnlockError):
        index(vault)
